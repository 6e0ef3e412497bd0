"""The losses of one table: its own, and those of the same checkpoints on other sets.

Others are columns `loss_NAME` beside `loss` (`gemstones-benchmarks`, the held-out sets of a suite), or rows of their
own, by `set`, in a table of `gemstones evaluate`. Any other column of losses can be named too, like `hellaswag_bpb`.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.runs.dropped import Dropped
from gemstones.runs.loss_names import loss_kind
from gemstones.runs.one_line import listed
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

OWN = "loss"
"""The table's own."""
_OTHER = "loss_"


def losses_of(table: RunTable) -> tuple[str, ...]:
    """The losses that a table has by the names of its columns, its own first; or its sets, where they are rows.

    >>> from gemstones.runs import load
    >>> losses_of(load([{"N": 1e8, "T": 2e9, "loss": 3.1, "loss_c4": 3.4, "loss_c4_stderr": 0.1, "loss_train": 3.0}]))
    ('loss', 'loss_c4')
    """
    return _sets(table) or (
        OWN,
        *(
            name
            for name, dtype in table.frame.schema.items()
            if name.startswith(_OTHER)
            and dtype.is_numeric()
            and loss_kind(name) in {"other", "evaluation"}
            and table.frame[name].null_count() < table.rows
        ),
    )


def loss_named(table: RunTable, loss: str) -> str:
    """The loss that a name means: `loss` for main, `loss_dclm` for dclm, a set of rows, or a column by its own name.

    Raises `InvalidRequest` for one that the table has not.
    """
    sets = _sets(table)
    if loss in sets or (loss in table.frame.columns and table.frame[loss].dtype.is_numeric()):
        return loss
    plain = re.sub(r"[^a-z0-9]+", "_", loss.lower()).strip("_")
    name = OWN if plain in ("main", "validation") else f"{_OTHER}{plain}"
    if name in table.frame.columns:
        return name
    known = sets or ("main", *(name.removeprefix(_OTHER) for name in losses_of(table)[1:]))
    raise InvalidRequest(
        f"loss {loss!r} is no loss of {table.origin}: choose from {listed(known, 20)}, or name a column"
    )


def with_loss(table: RunTable, loss: str | None) -> RunTable:
    """The table with the loss that was asked for in its column `loss`; of rows without it, none, and it says so."""
    if loss is None:
        return table
    name = loss_named(table, loss)
    if name in _sets(table):
        return replace(table, frame=table.frame.filter(pl.col("set") == name))
    if name == OWN:
        return table
    values: FloatArray = table.frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~np.isnan(values) & ~((values > 0) & np.isfinite(values)))
    if bad.size:
        raise InvalidTable(
            f"{values[bad[0]]:g} must be positive to be a loss",
            file=table.origin,
            row=int(bad[0]) + 1,
            column=name,
        )
    known = np.isfinite(values)
    if not known.any():
        raise InvalidTable("has no number in any row", file=table.origin, column=name)
    frame = table.frame.with_columns(pl.Series(OWN, values)).filter(known)
    if known.all():
        return replace(table, frame=frame)
    lost = Dropped(f"without {name}", int((~known).sum()))
    return replace(
        table, frame=frame, dropped=(*table.dropped, lost), assumptions=(*table.assumptions, str(lost))
    )


def _sets(table: RunTable) -> tuple[str, ...]:
    """Of an evaluation's rows, where there are several."""
    if table.format != "evaluation" or "set" not in table.frame.columns:
        return ()
    names = tuple(table.frame["set"].unique(maintain_order=True).to_list())
    return names if len(names) > 1 else ()
