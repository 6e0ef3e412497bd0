"""Differences of two predictions, tested on the same draws: two intervals that overlap decide nothing.

What is uncertain about both cancels in their difference. Draw i of two things goes together: both follow from one draw
of a law, or from fits to the same resample of the runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.interval import DEFAULT_LEVEL, enough, interval, level_text, needed_draws
from gemstones.shape import FloatArray
from gemstones.units import Interval


@dataclass(frozen=True)
class Paired:
    """One thing less another."""

    difference: float
    interval: Interval | None
    """From the differences in every draw; None where there are too few."""
    below: float | None
    """Share of the draws in which it is below zero, ties as half; None where there are too few."""
    draws: int
    level: float

    @property
    def settled(self) -> bool:
        """Whether as large a share as the level of the draws agree on its sign."""
        return self.below is not None and max(self.below, 1 - self.below) >= self.level

    @property
    def decided(self) -> bool:
        """The same, or that there are no draws: then the estimates decide."""
        return self.settled or self.below is None

    @property
    def words(self) -> str:
        """In which share of the draws it has the sign of the estimate, or why that is not known."""
        if self.below is None:
            return f"none: {self.draws} resamples are too few: {needed_draws(self.level)} are needed"
        share = self.below if self.difference < 0 else 1 - self.below
        return f"in {share:.1%} of {self.draws} draws, {level_text(self.level)} needed"


def paired(
    one: FloatArray, other: FloatArray, estimates: tuple[float, float], level: float = DEFAULT_LEVEL
) -> Paired:
    """`one` less `other`, from their estimates and draws (draws,); of unequal numbers as many as both have.

    Draws in which either is not finite are left out.

    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(0, 1, 400)
    >>> found = paired(1 + shared, 1.1 + shared, (1.0, 1.1))
    >>> found.settled, found.below
    (True, 1.0)
    """
    count = min(len(one), len(other))
    drawn = np.asarray(one[:count] - other[:count])
    drawn = drawn[np.isfinite(drawn)]
    difference = estimates[0] - estimates[1]
    if not enough(len(drawn), level):
        return Paired(difference, None, None, len(drawn), level)
    below = float((drawn < 0).mean() + 0.5 * (drawn == 0).mean())
    return Paired(difference, interval(drawn, difference, level=level), below, len(drawn), level)
