"""The section of a study's page: what tokens off the optimum cost."""

from __future__ import annotations

from collections.abc import Sequence

from gemstones.analyses.overtrain.figure import overtrain_figure
from gemstones.analyses.overtrain.overtrain import Overtraining
from gemstones.figures.table import Table
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.words import PARAMS_WORDS, capital, law_words

MOST_BUDGETS = 4
"""Drawn in one figure."""


def overtraining_section(made: Sequence[Overtraining]) -> Section:
    """What more tokens than optimal cost, by budget."""
    return Section(
        "overtrain",  # the explorer has an `overtraining`
        "Overtraining",
        ("Overtraining spends the same budget on a smaller model, trained on more tokens than is optimal.",),
        figures=(
            Figure(
                "overtraining",
                "Predicted loss over the factor of overtraining, by budget",
                "The best shape on more, or fewer, tokens than is optimal, for the same budget.",
                overtrain_figure(made[:MOST_BUDGETS]),
                capital(made[0].sentence or ""),
                "overtraining",
            ),
        ),
        tables=(
            TableBlock(
                "overtraining",
                "Overtraining",
                _overtraining(made),
                first=("factor", "loss increase", "loss", "shape"),
            ),
        ),
        notes=tuple(dict.fromkeys(note for one in made for note in one.notes)),
    )


def _overtraining(found: Sequence[Overtraining]) -> Table:
    rows = [
        {
            "budget": one.budget,
            "law": law_words(one.optimum.law_name),
            "factor": point.factor,
            "shape": None if point.shape is None else str(point.shape),
            "params": point.params,
            "params_convention": PARAMS_WORDS[one.params_convention],
            "tokens": point.tokens,
            **with_ends("loss", point.loss, point.loss_interval),
            **with_ends("loss increase", point.loss_increase, point.increase_interval),
        }
        for one in found
        for point in one.points
    ]
    return Table(typed_frame(rows, {"law", "shape", "params_convention"}))
