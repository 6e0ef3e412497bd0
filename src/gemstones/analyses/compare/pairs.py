"""Which runs of two recipes belong together, and the rows that the regression is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, IntArray

SAME_SIZE = 1e-6
"""Log parameters of a pair differ by less, or their tokens' logs by less than the next."""
SAME_TOKENS = 0.01
MOST_ROWS = 300
"""The regression is of as many rows at most, taken evenly from every run: more say little, for those of a run are not
independent."""
LEAST_PAIRS, LEAST_RUNS = 4, 6
"""Pairs, or unpaired runs of each recipe, without which there is no probability."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of A and of B that differ in the recipe alone."""

    a: IntArray
    b: IntArray
    """Row numbers of the two tables, (pairs of checkpoints,)."""
    runs: IntArray
    """(pairs of checkpoints,): which pair of runs."""

    @property
    def count(self) -> int:
        """Pairs of runs."""
        return len(np.unique(self.runs))


def pairs_of(a: RunTable, b: RunTable, params: str) -> Pairs:
    """Runs of equal size and shape paired in the order of their tables, and of each pair the checkpoints at the same
    tokens."""
    of_a, of_b = _runs(a, params), _runs(b, params)
    rows_a: list[int] = []
    rows_b: list[int] = []
    runs: list[int] = []
    number = 0
    left = {key: list(found) for key, found in of_b.items()}
    tokens_a, tokens_b = (np.log(table.numbers("tokens")) for table in (a, b))
    for key, found in of_a.items():
        for one in found:
            if not left.get(key):
                continue
            other = _best(one, left[key], tokens_a, tokens_b)
            matched = _matched(one, left[key][other], tokens_a, tokens_b)
            if not matched:
                continue
            left[key].pop(other)
            rows_a += [i for i, _ in matched]
            rows_b += [j for _, j in matched]
            runs += [number] * len(matched)
            number += 1
    return Pairs(np.array(rows_a, np.int64), np.array(rows_b, np.int64), np.array(runs, np.int64))


def _runs(table: RunTable, params: str) -> dict[tuple[float, ...], list[IntArray]]:
    """Rows of every run by size, and by shape where that is known."""
    size = np.log(table.numbers(f"params_{params}"))
    known = [c for c in ("width", "depth") if not table.frame[c].null_count()]
    shape = [table.numbers(column) for column in known]
    codes = table.run_codes
    found: dict[tuple[float, ...], list[IntArray]] = {}
    for run in range(int(codes.max()) + 1):
        rows = np.flatnonzero(codes == run)
        first = rows[0]
        key = (round(float(size[first]) / SAME_SIZE / 10), *(float(x[first]) for x in shape))
        found.setdefault(key, []).append(rows)
    return found


def _best(one: IntArray, others: Sequence[IntArray], a: FloatArray, b: FloatArray) -> int:
    return max(range(len(others)), key=lambda i: len(_matched(one, others[i], a, b)))


def _matched(one: IntArray, other: IntArray, a: FloatArray, b: FloatArray) -> list[tuple[int, int]]:
    """Rows of two runs at the same tokens."""
    order = other[np.argsort(b[other])]
    at = np.clip(np.searchsorted(b[order], a[one]), 0, len(order) - 1)
    pairs = []
    for i, k in zip(one, at, strict=True):
        j = min((int(order[max(k - 1, 0)]), int(order[k])), key=lambda row: abs(b[row] - a[i]))
        if abs(b[j] - a[i]) < SAME_TOKENS:
            pairs.append((int(i), j))
    return pairs


def thinned(runs: IntArray, log_tokens: FloatArray, most: int = MOST_ROWS) -> IntArray:
    """Row numbers, as many as `most` or fewer, evenly from each run in log T, its last always there."""
    count = len(np.unique(runs))
    each = max(2, most // count)
    kept = []
    for run in np.unique(runs):
        rows = np.flatnonzero(runs == run)
        rows = rows[np.argsort(log_tokens[rows], kind="stable")]
        if len(rows) > each:
            targets = np.linspace(log_tokens[rows[0]], log_tokens[rows[-1]], each)
            rows = rows[np.unique(np.abs(log_tokens[rows][:, None] - targets).argmin(0))]
        kept.append(rows)
    return np.sort(np.concatenate(kept))
