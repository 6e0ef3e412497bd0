"""The further pair of runs that would decide a comparison: the cheapest whose result probably leaves 0 out.

A pair is both recipes trained at the pooled law's best size for some FLOPs, and the loss of either at its end. It says
something of the difference at the target, and something of where the target is: of the best size, by the pooled law's
draws. Both are taken as jointly normal with the pair's result, which then moves the target's mean by a normal amount of
known spread, and narrows it by as much, whatever the result is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones.analyses.compare.optima import jacobian, optima
from gemstones.analyses.compare.regression import COMMON_MISFIT, Cell, Difference
from gemstones.errors import InvalidRequest
from gemstones.laws.law import Law
from gemstones.shape import FloatArray, Shape
from gemstones.units import Interval

ENOUGH = 0.8
"""A pair would decide where it does so with this probability."""
STEP = 0.25
"""Decades between the pairs that are considered."""
PLACES = 40
"""Draws of the target's place that are looked at."""
ROOM = 3.0
"""Decades below the target from which on they are, where no fitted range says."""


@dataclass(frozen=True)
class Decisive:
    """A further pair of runs, and how probably the comparison is decided after it."""

    params: float
    """In the pooled law's convention."""
    tokens: float
    flops: float
    """Of each of the two runs."""
    shape: str | None
    """Of a pooled law of shapes."""
    probability: float
    """That the interval at the target then leaves out 0, averaged over what the pair may show."""

    @property
    def enough(self) -> bool:
        """Whether it would decide, rather than be the likeliest to of those that would not."""
        return self.probability >= ENOUGH

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "enough": self.enough}


def would_decide(
    law: Law,
    rows: Difference,
    cells: Sequence[Cell],
    target: tuple[FloatArray, FloatArray],
    theta: FloatArray,
    ends: Interval,
    level: float,
    most: float,
) -> Decisive | None:
    """The cheapest pair of up to `most` FLOPs a run that probably decides, else the likeliest to.

    `target` is the logs of the law's columns (1 + draws, k) and (log N, log T) (1 + draws, 2), the estimate's first and
    then each draw's of `theta` (draws, m), which may be none; `ends` are the interval's there at `level`, in log loss.
    None where the pooled law has no best size for any FLOPs considered.
    """
    from scipy.special import ndtr, ndtri

    least = most / 10**ROOM if law.fitted.flops is None else min(law.fitted.flops[0], most / 10)
    budgets = [float(x) for x in most / 10 ** np.arange(0.0, np.log10(most / least) + STEP / 2, STEP)[::-1]]
    try:
        found = optima(law, law.theta[None], budgets)
    except InvalidRequest:  # a law without a best size
        return None
    known = [i for i, one in enumerate(found) if np.isfinite(one.log_loss[0])]
    if not known:
        return None
    places = 1 + np.unique(np.linspace(0, len(theta) - 1, min(len(theta), PLACES)).astype(int))
    here = [0, *places] if len(theta) else [0]
    columns = np.stack([*target[0][here], *(found[i].log_columns[0] for i in known)])
    sizes = [np.array([found[i].log_params[0], found[i].log_tokens[0]]) for i in known]
    where = np.stack([*target[1][here], *sizes])
    mean, covariance, noise = _mixture(rows, cells, jacobian(law, columns), where)
    n = len(here)
    there = slice(n, None)
    moved = covariance[:n, there].mean(0) ** 2 / (np.diag(covariance)[there] + noise)
    if len(theta):
        losses = law.log_loss([*columns[there].T], theta[places - 1])
        of_place, of_loss = mean[1:n] - mean[1:n].mean(), losses - losses.mean(0)
        together = (of_place[:, None] * of_loss).mean(0)
        moved = moved + together**2 / (np.square(of_loss).mean(0) + COMMON_MISFIT**2 + noise)
    z, middle = float(ndtri((1 + level) / 2)), (ends[0] + ends[1]) / 2
    left = np.sqrt(np.maximum(((ends[1] - ends[0]) / 2 / z) ** 2 - moved, 0.0))
    step = np.sqrt(moved) + 1e-12
    chances = ndtr((middle - z * left) / step) + ndtr((-middle - z * left) / step)
    sure = np.flatnonzero(chances >= ENOUGH)
    at = int(sure[0]) if len(sure) else int(np.argmax(chances))
    return Decisive(
        float(np.exp(where[n + at, 0])),
        float(np.exp(where[n + at, 1])),
        budgets[known[at]],
        _shape(law, columns[n + at]),
        float(chances[at]),
    )


def _mixture(
    rows: Difference, cells: Sequence[Cell], slopes: FloatArray, where: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Mean (p,) and covariance (p, p) of the difference over all cells, and the variance of a pair's noise."""
    weights = np.exp([cell.log_weight for cell in cells])
    weights /= weights.sum()
    joint = [cell.joint(rows, slopes, where) for cell in cells]
    means = np.stack([mean for mean, _ in joint])
    middle = weights @ means
    apart = means - middle
    covariance = np.einsum("c,cpq->pq", weights, np.stack([own for _, own in joint]))
    covariance += np.einsum("c,cp,cq->pq", weights, apart, apart)
    of_runs = 1.0 if rows.paired else 2.0
    by_run = float(weights @ np.square([cell.noise for cell in cells]))
    noise = of_runs * (by_run + (by_run if rows.row_noise is None else rows.row_noise**2))
    return middle, covariance, noise


def _shape(law: Law, log_columns: FloatArray) -> str | None:
    at = dict(zip(law.columns, np.exp(log_columns), strict=True))
    if "width" not in at or "depth" not in at:
        return None
    return str(Shape(round(at["width"]), round(at["depth"])))
