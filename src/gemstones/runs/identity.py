"""Names for the runs of a table that has none: by shape, else by size, else every row on its own.

Resampling is by run, so what counts as a run is an assumption that the table states. Rows of one size are the
checkpoints of one run only where they can be: not in an isoFLOP table, whose rows are runs of one budget each, nor
where a size has two losses at the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.lazy import pl
from gemstones.runs.known_names import BUDGET, names_of
from gemstones.runs.one_line import one_line
from gemstones.shape import FloatArray, IntArray

SAME_BUDGET = 0.03
"""FLOPs of an isoFLOP table's runs differ by less within a budget (of the log)."""
MOST = 0.8
"""Of the rows, or of the sizes."""
LEAST_SIZES = 3
"""Of a budget: fewer may be a coincidence."""


@dataclass(frozen=True, eq=False)
class Named:
    """A frame whose rows have runs, and what that assumes."""

    frame: pl.DataFrame
    said: tuple[str, ...] = ()
    invented: bool = False
    """Whether the names are ours: rows that clash under them are then runs of their own."""


def with_runs(frame: pl.DataFrame) -> Named:
    """`frame` with a name in `run` in every row if it had none at all."""
    if frame["run"].null_count() < frame.height:
        return Named(frame)
    whole = {
        # Of a number that is no whole one of 64 bits, the number itself.
        name: pl.coalesce(
            pl.col(name).cast(pl.Int64, strict=False).cast(pl.String), pl.col(name).cast(pl.String)
        )
        for name in ("width", "depth", "params_total")
    }
    if not any(frame[name].null_count() for name in ("width", "depth")):
        sizes, name, how = (
            ["width", "depth"],
            pl.concat_str(whole["width"], pl.lit("x"), whole["depth"]),
            "width and depth",
        )
    elif frame["params_total"].null_count() == 0:
        sizes, name, how = ["params_total"], whole["params_total"], "params_total"
    else:
        return row_runs(frame, "")
    key = frame.select(pl.struct("family", *sizes).rank("dense")).to_series().to_numpy()
    if why := _isoflop(frame, key):
        return row_runs(frame, why)
    family = pl.when(pl.col("family").is_null()).then(pl.lit("")).otherwise(pl.col("family") + "/")
    parts: list[pl.Expr] = [family, name]
    seed = next((column for column in names_of(frame.columns, frozenset({"seed"}))), None)
    if seed is not None and frame[seed].null_count() == 0 and frame[seed].n_unique() > 1:
        parts += [pl.lit("/seed"), pl.col(seed).cast(pl.String)]
        how += " and seed"
    sentence = f"rows of the same {how} assumed to be one run (name runs with a column run)"
    return Named(frame.with_columns(pl.concat_str(parts).alias("run")), (sentence,), invented=True)


def row_runs(frame: pl.DataFrame, why: str) -> Named:
    """`frame` with a run in every row, and why."""
    digits = len(str(frame.height))
    rows = pl.int_range(1, frame.height + 1, eager=True).cast(pl.String).str.zfill(digits)
    because = f", {why}" if why else ""
    sentence = f"each row assumed to be a run of its own{because} (name runs with a column run)"
    return Named(frame.with_columns(("row/" + rows).alias("run")), (sentence,))


def _isoflop(frame: pl.DataFrame, size: FloatArray) -> str:
    """Why rows of one size are not one run's checkpoints; nothing where they may be."""
    budgets = names_of(frame.columns, BUDGET)
    if budgets and frame[budgets[0]].null_count() == 0:
        return f"of the budgets in {one_line(budgets[0], 40)}"
    tokens = frame["tokens"].to_numpy()
    spent = frame["flops"] if not frame["flops"].null_count() else frame["params_total"] * frame["tokens"]
    if not spent.null_count() and _shares_budgets(spent.to_numpy(), size, tokens):
        return "of budgets that several sizes share"
    if len(np.unique(size)) == len(size):
        return ""
    grows = (size[1:] == size[:-1]) & (tokens[1:] > tokens[:-1])
    # Runs that were logged side by side have the same tokens, row after row.
    if not grows.any() and len(np.unique(tokens)) == len(tokens):
        return "for no size is repeated in growing tokens"
    return ""


def _shares_budgets(flops: FloatArray, size: FloatArray, tokens: FloatArray) -> bool:
    """Whether nearly all rows lie at a few FLOPs, each of several sizes."""
    order = np.argsort(flops, kind="stable")
    steps = np.diff(np.log(flops[order]), prepend=np.log(flops[order[0]]))
    group: IntArray = np.cumsum((steps > SAME_BUDGET).astype(np.int64))
    if group[-1] < 1 or len(flops) < 2 * LEAST_SIZES:
        return False
    sizes = np.array([len(np.unique(part)) for part in _split(size[order], group)])
    rows = np.bincount(group)
    # A run's checkpoints lie at different FLOPs: in a budget every size is there once.
    of_budget = (sizes >= LEAST_SIZES) & (sizes == rows)
    if rows[of_budget].sum() <= MOST * len(flops):
        return False
    # Runs whose sizes and checkpoints both double share FLOPs too: but then tokens, and never all sizes.
    whole = np.mean(sizes[of_budget]) >= MOST * len(np.unique(size))
    return bool(whole or len(np.unique(tokens)) > MOST * len(tokens))


def _split(values: FloatArray, group: IntArray) -> Sequence[FloatArray]:
    return np.split(values, np.flatnonzero(np.diff(group)) + 1)
