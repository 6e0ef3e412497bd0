"""The section of a study's page: recipes compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gemstones.analyses.compare.figure import compare_figure
from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.compare.shown import about, compare_notes
from gemstones.analyses.compare.shown import sentence as compare_sentence
from gemstones.figures.table import Table
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock


def compare_section(comparisons: Sequence[Comparison]) -> Section:
    """Which recipe is better at scale, and how surely."""
    rows = [
        {
            "recipe": one.names[1],
            "against": one.names[0],
            "budget": at.budget,
            **with_ends("difference", at.difference if at.interval else None, at.interval),
            "probability that its loss is lower": at.probability_lower,
            **with_ends("compute multiplier", _finite(at.multiplier), _both_finite(at.multiplier_interval)),
        }
        for one in comparisons
        for at in one.at
    ]
    drawn = [one for one in comparisons if not one.reason]
    figures: tuple[Figure, ...] = ()
    if drawn:
        figures = (
            Figure(
                "compare",
                "Difference of loss between recipes, by budget, with intervals",
                "Below 0 the recipe is better; what the largest pairs measured is grey (docs/compare.md).",
                compare_figure(drawn),
                compare_sentence(drawn[0].at[-1], drawn[0].level, drawn[0].names),
                "compare",
            ),
        )
    words = []
    for one in comparisons:
        titled = drawn and one is drawn[0]  # its sentence is the figure's title
        words.append(
            f"{about(one)}."
            if titled
            else f"{about(one)}: {one.reason or compare_sentence(one.at[-1], one.level, one.names)}."
        )
    return Section(
        "compare",
        "Recipes compared",
        tuple(words),
        figures=figures,
        tables=(
            TableBlock("compare", "Recipes at the budgets", Table(typed_frame(rows, {"recipe", "against"}))),
        ),
        notes=tuple(
            f"{about(one)}: {note}" if len(comparisons) > 1 else note
            for one in comparisons
            for note in compare_notes(one)
        ),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _both_finite(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    return ends if ends is not None and all(map(math.isfinite, ends)) else None
