"""Bounds of a sum of powers over blocks of a grid of shapes: which blocks may hold its least.

Each term of a sum of powers is least where its column is largest, or smallest if its exponent is negative. So no shape
of a block has less than the sum of the terms at the block's most favourable columns, wherever in it these are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.law import Law
from gemstones.planning.sight import sum_of_terms
from gemstones.shape import FloatArray

RATIO = 1.1
"""Largest width over smallest in a block, and depth, about. A search of two million shapes by laws of w, d, N and T
took 1.1 to 1.3 ms with 1.03, 0.3 to 0.4 with 1.1, and 0.2 to 0.3 with 1.2."""


@dataclass(frozen=True, eq=False)
class Extremes:
    """The least and the largest of an array (widths, depths) in every block, (block rows, block columns)."""

    least: FloatArray
    largest: FloatArray

    @classmethod
    def of(cls, values: FloatArray, rows: tuple[slice, ...], columns: tuple[slice, ...]) -> Extremes:
        """Of `values` that vary along both axes, or have length 1 along one."""
        least = largest = values
        for axis, blocks in enumerate((rows, columns)):
            if values.shape[axis] > 1:
                begin = [block.start for block in blocks]
                least = np.minimum.reduceat(least, begin, axis=axis)
                largest = np.maximum.reduceat(largest, begin, axis=axis)
        return cls(least, largest)


@dataclass(frozen=True, eq=False)
class Blocks:
    """A grid of shapes in blocks, with the extremes in each of a law's columns and of the cost per token."""

    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    log_columns: tuple[Extremes | None, ...]
    """Of each of the law's symbols, None for T."""
    log_cost_per_token: Extremes

    def bounds(self, law: Law, theta: FloatArray, budget: float) -> FloatArray | None:
        """What the sum of the law's terms is at least in each block, (rows, columns), for θ (m,).

        Inference only takes tokens. None for a law that is no sum of powers.
        """
        powers = law.parsed_form.powers(theta)
        if powers is None:
            return None
        cost = self.log_cost_per_token
        tokens = Extremes(np.log(budget) - cost.largest, np.log(budget) - cost.least)
        best = []
        for symbol, of_column in zip(law.symbols, self.log_columns, strict=True):
            falls = {bool(e >= 0) for name, e in zip(powers[0], powers[1], strict=True) if name == symbol}
            if len(falls) > 1 or (of_column is None and falls == {False}):
                return None
            extremes = of_column or tokens
            best.append(extremes.least if falls == {False} else extremes.largest)
        return np.broadcast_to(sum_of_terms(law, theta, best), (len(self.rows), len(self.columns)))


def blocks_of(values: FloatArray) -> tuple[slice, ...]:
    """Consecutive ascending `values` (n,) in blocks of about `RATIO` from first to last, of one value at least."""
    count = int(np.log(values[-1] / values[0]) / np.log(RATIO)) + 1
    begin = np.unique(np.searchsorted(values, values[0] * RATIO ** np.arange(count))).tolist()
    return tuple(slice(i, j) for i, j in zip(begin, [*begin[1:], len(values)], strict=True))
