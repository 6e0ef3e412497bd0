"""Is there value in a shape at equal loss? The error that a task's law leaves, over the logarithm of width over depth.

The law of the task, error = ε − k·exp(−γ·L), is refitted in every resample of runs and so is the line through what it
leaves: the interval of the slope holds that both are estimated. A slope above 0 says that of two models of one loss the
deeper one makes fewer errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.analyses.downstream.forms import TaskForm
from gemstones.analyses.downstream.rows import TaskRows
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.interval import DEFAULT_LEVEL, interval
from gemstones.laws.solver.resample import CHUNK, draw_weights
from gemstones.shape import FloatArray
from gemstones.units import Interval


@dataclass(frozen=True, eq=False)
class EqualLoss:
    """What is left of a task's error at equal loss, over the aspect ratio."""

    task: str
    slope: float
    """Of error, a share of 1, for every doubling of width over depth."""
    interval: Interval | None
    """By resampled runs; None without."""
    aspect_ratio: FloatArray
    """(rows,): width over depth."""
    residuals: FloatArray
    """(rows,): measured less predicted error."""

    @property
    def settled(self) -> bool:
        """Whether the interval has one sign."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def equal_loss(rows: TaskRows, *, bootstrap: int, seed: int = 0, level: float = DEFAULT_LEVEL) -> EqualLoss:
    """The slope for one task; `InvalidTable` where widths and depths are not known of every row."""
    ratio = rows.table.numbers("width") / rows.table.numbers("depth")
    form = TaskForm.of("gadre", rows.losses[:, None], rows.floor)
    minima, _ = form.fitted(rows.accuracy)
    left = form.accuracy(minima[:1], form.x)[0] - rows.accuracy
    slope = _slope(np.log2(ratio), left[None], np.ones((1, len(left))))
    draws = np.zeros(0)
    if bootstrap and rows.table.runs >= LEAST_RUNS:
        parts = []
        for chunk in range(-(-bootstrap // CHUNK)):
            weights = draw_weights(rows.table.run_codes, "run", seed, chunk)[: bootstrap - chunk * CHUNK]
            theta = form.refitted(rows.accuracy, weights, minima)
            parts.append(_slope(np.log2(ratio), form.accuracy(theta, form.x) - rows.accuracy, weights))
        draws = np.concatenate(parts)
    return EqualLoss(rows.task, float(slope[0]), interval(draws, float(slope[0]), level=level), ratio, left)


def _slope(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Of the weighted lines through y (B, rows) over x (rows,): (B,)."""
    total = weights.sum(1)
    mean_x, mean_y = (weights @ x) / total, (weights * y).sum(1) / total
    away = x - mean_x[:, None]
    return np.asarray((weights * away * (y - mean_y[:, None])).sum(1) / (weights * away**2).sum(1))
