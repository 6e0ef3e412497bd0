"""A file, a folder of ledgers or a frame → `RunTable`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.architecture import Architecture
from gemstones.runs.building import build_table
from gemstones.runs.dropped import Dropped, merged
from gemstones.runs.duplicates import duplicates_rule
from gemstones.runs.expressions import parse_condition
from gemstones.runs.formats import open_frame, open_runs
from gemstones.runs.loss_units import loss_unit as checked_loss_unit
from gemstones.runs.mapping import parse_columns
from gemstones.runs.one_line import one_line
from gemstones.runs.parquet import check_units
from gemstones.runs.reading import Request, read_table
from gemstones.runs.table import RunTable


def read_runs(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002
    run_from: str | None = None,
    columns: Mapping[str, str] | str | None = None,
    where: str | None = None,
    loss_unit: str | None = None,
    duplicates: str | None = None,
    force: bool = False,
    vocabulary: int | None = None,
    head_size: int | None = None,
    context: int | None = None,
    queries_per_kv: int | None = None,
    reserved: Iterable[str] = (),
) -> RunTable:
    """The runs in files, in a folder of ledgers, or in a frame of polars, pandas, or of Arrow's protocols.

    `source` is a path, a pattern like `logs/*.csv`, several of them, or a frame. `format` is that of the files where
    their content does not tell it; `run_from` is a regular expression that finds the name of a run in that of a file.
    `columns` says what a column of the table is over those of the source, as a mapping or written like
    `loss=val_loss,tokens=_step*524288`. `where` keeps the rows for which a condition holds, over columns of either
    name, before any rule is applied. `loss_unit` is `nats`, `bits` or `bits_per_byte`, by default what the format or
    the column's name says, else nats. `duplicates` says which of two rows of a run at the same tokens is kept: `last`,
    `first`, or `refuse`. `force` takes what cannot be in the units of the table, with a warning. The other options
    describe the models where parameters or FLOPs have to be computed from width and depth; those not given are
    assumed to be the Gemstones', and the table says so. Ledgers tell all of that themselves, and take none of it.
    A file's table is called by its stem, or by its whole name where that stem is `reserved` for a known data set.
    Raises `InvalidTable`, in one line.
    """
    if isinstance(columns, str):
        columns = parse_columns(columns)
    architecture = Architecture(vocabulary, head_size, context, queries_per_kv)
    architecture.like()  # options that no model can have are refused before any file is read
    request = Request(
        columns=dict(columns or {}),
        where=where,
        loss_unit=None if loss_unit is None else checked_loss_unit(loss_unit),
        duplicates=duplicates_rule(duplicates),
        architecture=architecture,
        force=force,
    )
    opened = (
        open_runs(source, format=format, run_from=run_from, reserved=reserved)
        if is_path(source)
        else open_frame(source)
    )
    if opened.format == "ledgers" and request != Request(where=where, force=force):
        raise InvalidRequest(
            f"columns, vocabulary and the like cannot be set for the folder {opened.file}: its ledgers tell them"
        )
    check_units(opened.units, request.columns, opened.file)
    fields = opened.fields
    if fields is not None:
        table = build_table(
            opened.frame,
            dataset=fields.dataset,
            file=opened.file,
            columns=request.columns,
            architecture=fields.architecture.overridden(by=architecture),
            selection=fields.selection,
            assumptions=fields.assumptions,
            flops_convention=fields.flops_convention,
            sources=fields.sources,
            units_declared=True,
        )
        table = replace(
            table,
            loss_unit=request.loss_unit or fields.loss_unit,
            format=fields.format,
            mapped=fields.mapped,
            where=fields.where,
            dropped=fields.dropped,
            warnings=fields.warnings,
        )
        return filtered(table, where)
    return read_table(opened, request)


def filtered(table: RunTable, where: str | None) -> RunTable:
    """The rows of a finished table for which a condition holds, as if the others had not been read."""
    if where is None:
        return table
    frame = table.frame.filter(
        parse_condition(where, table.frame.columns).evaluate(table.frame).fill_null(False)
    )
    if frame.height == 0:
        raise InvalidTable(f"has no row for which {one_line(where)!r} holds", file=table.origin)
    lost = Dropped(f"--where {one_line(where)}", table.rows - frame.height)
    both = f"({table.where}) AND ({one_line(where)})" if table.where else one_line(where)
    return replace(
        table,
        frame=frame,
        where=both,
        dropped=merged((*table.dropped, lost)),
        assumptions=(*table.assumptions, str(lost)) if lost.rows else table.assumptions,
    )


def is_path(source: Any) -> bool:
    """Whether a caller gives a path, or several, and not a frame."""
    if isinstance(source, list | tuple):
        return bool(source) and all(isinstance(path, str | Path) for path in source)
    return isinstance(source, str | Path)
