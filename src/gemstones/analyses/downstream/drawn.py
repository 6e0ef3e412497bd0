"""What is drawn of a task's law: its checkpoints, measured and predicted, and the law over losses with its band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gemstones.analyses.downstream.forms import TaskForm
from gemstones.analyses.downstream.rows import TaskRows
from gemstones.analyses.downstream.trials import Splits, Tried
from gemstones.laws.interval import interval
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    import polars as pl

POINTS = 100
"""Of the law's line."""


@dataclass(frozen=True, eq=False)
class Line:
    """A law over the fitted losses, (POINTS,) each; the band is that of its draws, if its form is right."""

    loss: FloatArray
    accuracy: FloatArray
    low: FloatArray | None
    high: FloatArray | None


def line_of(form: TaskForm, theta: FloatArray, losses: FloatArray, level: float) -> Line:
    """The law by θ (1 + draws, m), the estimate first."""
    over = np.linspace(losses.min(), losses.max(), POINTS)
    values = form.accuracy(theta, over[:, None])
    ends = [interval(of[1:], float(of[0]), level=level) for of in values.T]
    if any(one is None for one in ends):
        return Line(over, values[0], None, None)
    low, high = np.array(ends, dtype=float).T
    return Line(over, values[0], low, high)


def checkpoints_of(rows: TaskRows, predicted: FloatArray, tried: Tried, held: Splits) -> pl.DataFrame:
    """One row per checkpoint: loss, accuracy, what the fit to all `predicted`, and what fits without it did.

    `predicted_beyond` is of the rows above the cut by a fit to those below, `predicted_left_out` by a fit without the
    run; null where a row was not held back so.
    """
    import polars as pl

    kept = [
        name
        for name in ("run", "params_total", "tokens", "flops")
        if rows.table.frame[name].null_count() < rows.table.rows
    ]
    found = {"loss": rows.losses, "accuracy": rows.accuracy, "predicted": predicted}
    parts = {
        "predicted_beyond": () if held.beyond is None else (held.beyond,),
        "predicted_left_out": held.groups,
    }
    for (name, tests), held_back in zip(parts.items(), tried.residuals, strict=True):
        column = np.full(rows.table.rows, np.nan)
        if held_back is not None and tests and tried.reason is None:
            at = np.concatenate([np.flatnonzero(test) for test in tests])
            column[at] = held_back[0] + rows.accuracy[at]
        found[name] = column
    columns = [pl.Series(name, values).fill_nan(None) for name, values in found.items()]
    return rows.table.frame.select(kept).with_columns(columns)
