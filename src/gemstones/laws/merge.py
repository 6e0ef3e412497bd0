"""A restart for laws whose constant and flattest term say the same.

Where an exponent e is near zero, a·x^(−e) + b is nearly (a + b)·x^(−e·a/(a + b)): constant and term trade
places along a crease so flat that a descent creeps along it for thousands of steps, most of the time towards
b = 0. `merged` jumps to that end.
"""

from __future__ import annotations

import numpy as np

from gemstones.laws.problem import Problem
from gemstones.shape import BoolArray, FloatArray

FLAT = 0.1
"""Exponents below count as flat."""
DEAD = -15.0
"""Log of a constant that is as good as zero."""


def merged(problem: Problem, theta: FloatArray) -> tuple[FloatArray, BoolArray]:
    """θ (B, m; centred) with the constant merged into the flattest term, and where that is worth a try.

    Value and slope of the prediction at a typical row stay as they are.
    """
    k = problem.terms
    flattest = np.abs(theta[:, :k]).argmin(1)
    rows = np.arange(len(theta))
    exponent, log_term, log_constant = theta[rows, flattest], theta[rows, k + flattest], theta[:, 2 * k]
    together = np.logaddexp(log_term, log_constant)
    out = theta.copy()
    out[rows, flattest] = exponent * np.exp(log_term - together)
    out[rows, k + flattest] = together
    out[:, 2 * k] = DEAD
    return out, (np.abs(exponent) < FLAT) & (log_constant > DEAD / 2)
