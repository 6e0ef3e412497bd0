"""The other two approaches on an isoFLOP table, beside Approach 2: the frontier of its rows, a law fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.envelope import OF_FRONTIER, Line, envelope
from gemstones.laws.interval import interval
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.units import Interval

QUANTITIES = ("params", "tokens")


@dataclass(frozen=True, eq=False)
class Approach:
    """How N* and T* grow with FLOPs by one approach."""

    number: int
    """1, 2 or 3, as of Hoffmann et al. 2022, §3."""
    how: str
    """From what, for people."""
    fits: dict[str, Line]
    """`params` and `tokens`, natural logs over natural logs of FLOPs."""
    intervals: dict[str, Interval | None]
    """Of the slopes, at the level of the table."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "approach": self.number,
            "how": self.how,
            **{
                name: {"slope": line.slope, "interval": self.intervals.get(name)}
                for name, line in self.fits.items()
            },
        }


def by_frontier(
    table: RunTable, convention: ParamsConvention, bootstrap: int, seed: int, level: float
) -> Approach | None:
    """Approach 1 on the same rows: the hull of loss over FLOPs; None where it has no line."""
    try:
        found = envelope(table, params=convention, bootstrap=bootstrap, seed=seed, level=level)
    except (InvalidRequest, InvalidTable):
        return None
    known = found.intervals or {}
    ends = {name: known[name]["slope"] if name in known else None for name in QUANTITIES}
    how = f"the frontier of least loss, {len(found.frontier)} of {table.rows:,} rows"
    if known:
        how += f"; its interval, from {bootstrap} resamples by run, is {OF_FRONTIER}"
    return Approach(1, how, {name: found.fits[name] for name in QUANTITIES}, ends)


def by_law(form: str, fits: dict[str, Line], log_c: FloatArray, log_n: FloatArray, level: float) -> Approach:
    """Approach 3: the lines `fits` through a law's minima at budgets, log FLOPs (budgets,), with intervals from its
    draws' minima, log N* (draws, budgets)."""
    x = log_c - log_c.mean()
    slopes = log_n @ x / (x @ x)
    size, tokens = fits["params"].slope, fits["tokens"].slope
    ends = interval(slopes[np.isfinite(slopes)], size, level=level)
    # At a budget more parameters are fewer tokens: the slopes have one spread.
    turned = None if ends is None else (tokens + size - ends[1], tokens + size - ends[0])
    how = f"law {form} fitted to the same rows" + (f"; {len(log_n)} resamples by run" if ends else "")
    return Approach(3, how, fits, {"params": ends, "tokens": turned})
