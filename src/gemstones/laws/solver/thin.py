"""Some rows in place of all, where there are many: most of the way to a minimum needs no more.

What a few thousand rows leave uncertain is a small part of what the next steps on all rows mend anyway, at a fraction
of the cost: on 10,000 rows a resample of `N,T` takes 7 evaluations in place of 12, one of `w,d,N,T` half of the time; a
fit of `N,T` to a million rows takes 3 CPU seconds in place of 10.
"""

from __future__ import annotations

import numpy as np

from gemstones.laws.solver.polish import Polished, delta_schedule, polish, stage_tolerance
from gemstones.laws.solver.system import System
from gemstones.shape import FloatArray, IntArray

THIN_ROWS = 2048
WORTH_THINNING = 2 * THIN_ROWS
"""Rows from which on thinning pays."""
AFTER = 1.6
"""δ of the first stage on all rows, in units of the last."""


class Thinned:
    """Some rows of a system, chosen once."""

    def __init__(self, system: System, rows: IntArray) -> None:
        self.rows, self.system = rows, system.taken(rows)

    @classmethod
    def of(cls, system: System) -> Thinned | None:
        """None where there are few rows, or groups: some may have few."""
        if system.rows < WORTH_THINNING or system.departures or system.constants > 1:
            return None
        rows = np.random.default_rng(0).choice(system.rows, THIN_ROWS, replace=False)
        return cls(system, np.sort(rows))

    def polished(
        self,
        starts: FloatArray,
        delta: float,
        weights: FloatArray | None,
        index: IntArray | None,
        *,
        above: float,
        schedule: tuple[float, ...],
    ) -> Polished:
        """As `gemstones.laws.solver.polish.polish`, on these rows alone and no further than they are worth."""
        rows = None if weights is None else np.ascontiguousarray(weights[:, self.rows])
        return polish(
            self.system,
            starts,
            delta,
            rows,
            index,
            above=above,
            schedule=schedule,
            tolerance=stage_tolerance(delta),
        )


def after_thinning(delta: float) -> tuple[float, ...]:
    """δ of the stages on all rows."""
    return delta_schedule(delta, AFTER * delta)
