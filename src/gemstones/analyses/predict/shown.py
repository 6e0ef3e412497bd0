"""How predictions are said, in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gemstones.display import Card, Row, cautions, interval_text, labelled
from gemstones.laws.interval import level_text
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.analyses.predict.predict import Prediction, Predictions


def predict_card(made: Predictions) -> Card:
    """All of it, for a terminal and for a notebook."""
    level = f"{level_text(made.level)} " if made.level is not None else ""
    measured = any(one.measured is not None for one in made.predictions)
    header = (
        "at", "loss", f"{level}interval of a new run", f"{level}interval of the fit", "beyond runs",
        *(("measured", "off by") if measured else ()),
    )  # fmt: skip
    return Card(
        predict_heading(made), header, [_row(one, measured) for one in made.predictions], predict_notes(made)
    )


def predict_heading(made: Predictions) -> str:
    """Which law predicts, in which conventions."""
    return (
        f"Losses by {made.law_name} [{made.law.form}], {SHORT[made.loss_unit]}; N counts {made.law.params_convention} "
        "parameters"
    )


def at_text(at: Mapping[str, float | str]) -> str:
    """A point, like `N=7B, T=1T`.

    >>> at_text({"run": "main/1", "w": 2048, "N": 7e9})
    'main/1, w=2048, N=7B'
    """

    def text(key: str, value: float | str) -> str:
        if isinstance(value, str):
            return value
        return f"{value:.6g}" if key in WHOLE else format_quantity(value)

    return ", ".join(
        text(key, value) if key == "run" else f"{key}={text(key, value)}" for key, value in at.items()
    )


WHOLE = {"w", "d", "width", "depth"}
"""Axes whose values nobody abbreviates."""


def _row(one: Prediction, measured: bool) -> Row:
    at = at_text(one.at)
    if one.decades_beyond is None:
        beyond = "not known"
    else:
        beyond = "within" if one.decades_beyond == 0 else f"{one.decades_beyond:.1f} decades"
    cells = [
        at,
        f"{one.loss:.4f}",
        interval_text(one.interval, "{:.4f}".format),
        interval_text(one.interval_of_fit, "{:.4f}".format),
        beyond,
    ]
    if measured:
        cells.append("-" if one.measured is None else f"{one.measured:.4f}")
        cells.append("-" if one.error is None else f"{one.error:+.2%}")
    return tuple(cells)


OF_THE_FIT = 3
"""The column that a short table leaves out: the narrower interval, which holds only if the form is right."""


def predict_answer(made: Predictions) -> list[str]:
    """How intervals were made, and how predictions compare with what was measured."""
    said = [made.intervals_note]
    if made.root_mean_square is not None:
        held = (
            ""
            if made.held is None
            else f"; {made.held:.0%} of the measured losses lie in the interval of a new run"
        )
        said.append(f"off by {made.root_mean_square:.2%} (rms of log loss) where measured{held}")
    return said


def predict_notes(made: Predictions) -> list[str]:
    """The same, with flags and assumptions."""
    return [
        *predict_answer(made),
        *labelled(("caution", cautions(made.flags)), ("assumed", made.assumptions)),
    ]
