"""Which rows of a table share a budget: by a column that says so, or by clusters of their FLOPs."""

from __future__ import annotations

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.runs.known_names import BUDGET, names_of
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, IntArray

LEAST_GAP, MOST_GAP = 0.02, 0.7
"""In log FLOPs: runs that lie nearer share a budget, runs that lie farther apart do not."""
CLEAR = 3.0
"""The narrowest gap between budgets must be so many times the widest within one."""


def budget_of_rows(table: RunTable, flops: FloatArray, column: str | None = None) -> tuple[IntArray, str]:
    """The number of each row's budget, ascending in FLOPs, (rows,), and a sentence about where they are from.

    A budget is a value of `column`, or of the one column that is named like a budget; else a cluster of `flops`
    (rows,). Raises `InvalidRequest` where FLOPs have no clusters, as of runs whose every checkpoint is there.
    """
    names = [column] if column is not None else list(names_of(table.frame.columns, BUDGET))
    if column is not None and column not in table.frame.columns:
        known = ", ".join(table.frame.columns)
        raise InvalidRequest(f"budget column {column!r} is not in {table.origin}: its columns are {known}")
    for name in names:
        if table.frame[name].null_count() == 0 and table.frame[name].n_unique() < table.rows:
            values = table.frame[name].cast(str).to_numpy().astype(str)
            return _ascending(
                np.unique(values, return_inverse=True)[1], flops
            ), f"budgets are those of column {name}"
        if column is not None:
            raise InvalidRequest(
                f"budget column {column!r} of {table.origin} must have a value in every row, and several rows for each"
            )
    return clusters(flops, table.origin), "budgets are clusters of the runs' FLOPs"


def clusters(flops: FloatArray, origin: str = "the table") -> IntArray:
    """Numbers of clusters of `flops` (rows,), ascending: cut where neighbours are much farther apart than elsewhere.

    >>> clusters(np.array([1.0e18, 1.02e18, 3.0e18, 3.1e18, 1.01e18])).tolist()
    [0, 0, 1, 1, 0]
    """
    order = np.argsort(flops, kind="stable")
    gaps = np.diff(np.log(flops[order]))
    sizes = np.unique(np.concatenate([[LEAST_GAP], np.clip(gaps, LEAST_GAP, MOST_GAP)]))
    # What is wider than the lower end of the widest empty stretch between sizes of gaps cuts.
    ratios = sizes[1:] / sizes[:-1]
    if ratios.size and ratios.max() < CLEAR:
        raise InvalidRequest(
            f"the FLOPs of {origin} do not fall into budgets: gaps between them are of all sizes; name a column of "
            "budgets with --budget, or choose the runs of an isoFLOP grid with --where"
        )
    cut = gaps > (sizes[int(ratios.argmax())] if ratios.size else LEAST_GAP)
    numbers = np.empty(len(flops), np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(cut)])
    return numbers


def _ascending(codes: IntArray, flops: FloatArray) -> IntArray:
    middle = np.array([np.median(flops[codes == code]) for code in range(int(codes.max()) + 1)])
    rank = np.empty(len(middle), np.int64)
    rank[np.argsort(middle, kind="stable")] = np.arange(len(middle))
    return np.asarray(rank[codes])
