"""Which rows a fit uses, and how often each counts: weights, and the best of what was tried at each size and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.columns import OTHER_NAMES
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

SAME_TOKENS = 1.01
"""Token counts within this ratio are one: batches of different sizes do not end at the same token."""
SIZE = ("width", "depth", "params_total", "params_no_embedding", "params_non_embedding")
"""Columns that make a size, as far as the table knows them."""


def weighted_rows(column: str, table: RunTable) -> tuple[RunTable, FloatArray]:
    """The rows that count at all, and how often each does, (rows,).

    `InvalidTable` where a weight is negative or not finite, or none is positive.
    """
    weights = table.numbers(column)
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if bad.size:
        raise InvalidTable(
            f"{weights[bad[0]]:g} must be a finite weight, 0 or more",
            file=table.origin,
            row=int(bad[0]) + 1,
            column=column,
        )
    if not weights.any():
        raise InvalidTable("is 0 in every row: at least one must count", file=table.origin, column=column)
    counted = weights > 0
    return replace(table, frame=table.frame.filter(counted)), weights[counted]


def best_of(tried: Sequence[str], table: RunTable, kept_apart: Sequence[str]) -> tuple[RunTable, str]:
    """The row of least loss over the columns `tried`, for each size, tokens and value of `kept_apart`; and a sentence.

    `kept_apart` are the other columns of the law: rows that differ in them are not compared.

    >>> from gemstones.runs import load
    >>> best, sentence = best_of(["lr_base"], load("pebbles"), ["N", "T"])
    >>> sentence
    'the least loss over lr_base of each size and tokens (within 1%): 405 rows, 285 left out'
    """
    frame = table.frame
    names = [_name(column, table) for column in tried]
    apart = [c for c in dict.fromkeys((*SIZE, *kept_apart)) if c in frame.columns and c != "tokens"]
    if both := [name for name in names if name in (*apart, "tokens", "loss")]:
        raise InvalidRequest(
            f"best-of {both[0]}: it is what rows are compared at, or a column of the law: name another"
        )
    known = [c for c in apart if frame[c].null_count() == 0]
    loss, tokens = table.numbers("loss"), table.numbers("tokens")
    sizes = list(zip(*(frame[c].to_list() for c in known), strict=True)) if known else [()] * table.rows
    best: dict[tuple[object, ...], tuple[float, int]] = {}
    start: dict[tuple[object, ...], float] = {}
    for i in np.argsort(tokens, kind="stable").tolist():
        size = sizes[i]
        if tokens[i] > start.get(size, 0.0) * SAME_TOKENS:
            start[size] = float(tokens[i])
        place = (*size, start[size])
        if place not in best or loss[i] < best[place][0]:
            best[place] = (float(loss[i]), i)
    rows = sorted(i for _, i in best.values())
    said = (
        f"the least loss over {' and '.join(tried)} of each size and tokens (within {SAME_TOKENS - 1:.0%}): "
        f"{len(rows):,} rows, {table.rows - len(rows):,} left out"
    )
    return replace(table, frame=frame[rows]), said


def _name(column: str, table: RunTable) -> str:
    """The column of a table that a name means."""
    names = (column, *OTHER_NAMES.get(column, ()))
    found = next((name for name in names if name in table.frame.columns), None)
    if found is None:
        table.numbers(column)  # raises, with what there is
    return found or column
