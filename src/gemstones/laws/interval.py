"""Intervals from bootstrap draws.

Percentiles of the draws, which need nothing but the draws and carry over to everything derived from them.
`benchmarks/coverage.py` measures how often they cover a planted truth.
"""

from __future__ import annotations

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws.law import Interval
from gemstones.shape import FloatArray

DEFAULT_LEVEL = 0.95


def check_level(level: float) -> None:
    """Refuse what is not the probability of an interval."""
    if not 0 < level < 1:
        raise InvalidRequest(f"level {level} must lie between 0 and 1, like 0.95")


def interval(draws: FloatArray, level: float = DEFAULT_LEVEL) -> Interval:
    """The central interval of `draws` (n,) that holds a share `level` of them."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
