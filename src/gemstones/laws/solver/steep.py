"""Starts with one steep term each: what no grid of usual exponents sees.

A term with an exponent of 3 or more matters for the few smallest values of its column alone. Where its column is nearly
tied to another (width to parameters) or runs are few, the best of all minima is sometimes there, and every start of a
screen, whose exponents end at 1 or 2, goes elsewhere: one of the first 20 planted tables of the benchmark, by
3e-3 of the objective, and two of their 80 resamples (benchmarks/robustness.py), by 0.05 and 0.1.
"""

from __future__ import annotations

import numpy as np

from gemstones.laws.solver.derivatives import evaluate, log_terms
from gemstones.laws.solver.system import System
from gemstones.shape import FloatArray, IntArray

STEEP = 3.5
"""Exponent of the steep term, or `STEEPER` times what it was, where that is more."""
STEEPER = 3.0
SHARE = 0.1
"""Its largest share of the sum of terms, in any row."""
LEAST_AXES = 3
"""Exponents (and p) from which on a law has such minima."""


def steep(
    system: System, theta: FloatArray, weights: FloatArray | None = None
) -> tuple[FloatArray, IntArray]:
    """From each of θ (B, m): θ (S, m) in which one of its terms is steep, and the number of the θ it was.

    Rows without weight, of `weights` (B, n), do not count.
    """
    chart = system.chart
    axes = len(system.kind("exponent")) + system.outer
    if chart is None or axes < LEAST_AXES:
        return theta[:0], np.zeros(0, np.int64)
    with np.errstate(all="ignore"):
        log_sum = np.log(evaluate(system, theta).inner_sum)
    starts = []
    for c, e in enumerate(chart.exponents):
        if not chart.bendable[c] or (chart.exponents == e).sum() > 1 or system.upper[e] < STEEP:
            continue
        start = theta.copy()
        start[:, e] = np.clip(np.maximum(STEEP, STEEPER * theta[:, e]), system.lower[e], system.upper[e])
        start[:, c] = 0.0
        room = log_sum - log_terms(system.terms[system.foreign + c], start)
        if weights is not None:
            room = np.where(weights > 0, room, np.inf)
        start[:, c] = room.min(1) + np.log(SHARE)
        starts.append(start)
    if not starts:
        return theta[:0], np.zeros(0, np.int64)
    return np.concatenate(starts), np.tile(np.arange(len(theta)), len(starts))
