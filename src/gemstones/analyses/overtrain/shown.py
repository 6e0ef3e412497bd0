"""Overtraining as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.display import Card, Row, cautions, interval_text, labelled
from gemstones.laws.interval import level_text
from gemstones.planning.shown import OF_NEW_RUN, budget_text
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.analyses.overtrain.overtrain import Overtrained, Overtraining


def _row(point: Overtrained) -> Row:
    written = (f"{point.factor:.4g}", str(point.shape or "-"))
    if point.params is None:
        return (*written, "-", format_quantity(point.tokens), "-", "-", "-", "-", "-")
    return (
        *written,
        format_quantity(point.params),
        format_quantity(point.tokens),
        format_quantity(point.tokens / point.params),
        f"{point.loss:.4f}",
        interval_text(point.loss_interval, "{:.4f}".format),
        f"{point.loss_increase:.2%}",
        interval_text(point.increase_interval, "{:.2%}".format),
    )


def overtrain_card(found: Overtraining) -> Card:
    """All of it, for a terminal and for a notebook."""
    interval = "interval" if found.level is None else f"{level_text(found.level)} interval"
    header = (
        "T over optimal", "shape", f"N ({found.params_convention})", "T (tokens)", "T/N",
        f"loss ({SHORT[found.optimum.loss_unit]})", f"{interval} {OF_NEW_RUN}", "increase", interval,
    )  # fmt: skip
    return Card(overtrain_heading(found), header, list(map(_row, found.points)), overtrain_notes(found))


SHORT_COLUMNS = (0, 1, 2, 3, 5, 7, 8)
"""Of a short table: without T/N, and without the interval of each loss, whose increase has its own."""
OTHER_COLUMNS = (0, 4, 5, 6)
"""Those that it lacks."""


def overtrain_heading(found: Overtraining) -> str:
    """The budget and its optimum."""
    best = found.optimum
    return (
        f"For {budget_text(best)} by {best.law_name} [{best.law_form}]: the optimum is "
        + (f"{best.shape}, " if best.shape else "")
        + f"{format_quantity(best.params)} {found.params_convention} parameters, "
        f"{format_quantity(best.tokens)} tokens"
    )


def overtrain_answer(found: Overtraining) -> list[str]:
    """What it comes to in words, and the factors that have no design."""
    return [
        *([] if found.sentence is None else [f"in words: {found.sentence}"]),
        *labelled(("no design", [f"factor {p.factor:.3g}: {p.reason}" for p in found.points if p.reason])),
    ]


def overtrain_notes(found: Overtraining) -> list[str]:
    """What it comes to in words, and what must be read with it."""
    best = found.optimum
    return [
        *overtrain_answer(found),
        f"extrapolation at the optimum: {best.extrapolation.sentence()}",
        *labelled(
            ("note", found.notes),
            ("caution", cautions(best.flags)),
            ("assumed", best.assumptions),
        ),
    ]
