"""Restarts where a law's constant and something else say the same.

Where an exponent e is near zero, a·x^(−e) + b is nearly (a + b)·x^(−e·a/(a + b)): constant and term trade places along
a crease so flat that a descent creeps along it, most of the time towards b = 0. With an outer exponent, S^p + b is
nearly a power of S alone, around a typical row. `merged` jumps to those ends.
"""

from __future__ import annotations

import numpy as np

from gemstones.laws.solver.system import System
from gemstones.shape import FloatArray, IntArray

FLAT = 0.1
"""Exponents below count as flat."""
DEAD = 1e-6
"""A constant that is a smaller share of a typical loss is as good as zero."""


def merged(system: System, theta: FloatArray) -> tuple[FloatArray, IntArray]:
    """The restarts of θ (B, m) that are worth a try: θ (R, m), and the problem that each belongs to.

    Value and slopes of the prediction at a typical row stay as they are.
    """
    chart = system.chart
    none = theta[:0], np.zeros(0, np.int64)
    if chart is None or system.constants != 1 or system.group is not None:
        return none
    constant = theta[:, system.linear]
    typical = np.exp(chart.log_level)
    alive = (constant > DEAD * typical) & (system.lower[system.linear] <= 0)
    if chart.power is None:
        slopes = np.where(chart.bendable, np.abs(theta[:, chart.exponents]), np.inf)
        flattest = slopes.argmin(1)
        which = np.flatnonzero(alive & (slopes.min(1) < FLAT))
        out, at = theta[which], flattest[which]
        rows = np.arange(len(which))
        together = np.exp(out[rows, at]) + constant[which]
        out[rows, chart.exponents[at]] *= np.exp(out[rows, at]) / together
        out[rows, at] = np.log(together)
    else:
        which = np.flatnonzero(alive & (constant < 0.9 * typical))
        local = chart.at(theta[which], np.zeros((len(which), theta.shape[1]), bool))
        coordinates = local.coordinates(theta[which])
        coordinates[:, system.linear] = 0.0
        out = local.parameters(coordinates)
    out[:, system.linear] = system.lower[system.linear]
    return np.clip(out, system.lower, system.upper), which
