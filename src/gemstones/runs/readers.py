"""A file, a folder of ledgers or a frame → `RunTable`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidRequest
from gemstones.runs.architecture import Architecture
from gemstones.runs.building import build_table
from gemstones.runs.cells import inferred
from gemstones.runs.formats import open_frame, open_runs
from gemstones.runs.mapping import parse_columns
from gemstones.runs.parquet import check_units
from gemstones.runs.schema import COLUMNS
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import polars as pl


def read_runs(
    source: Any,
    *,
    columns: Mapping[str, str] | str | None = None,
    vocabulary: int | None = None,
    head_size: int | None = None,
    context: int | None = None,
    queries_per_kv: int | None = None,
    reserved: Iterable[str] = (),
) -> RunTable:
    """The runs in a file, in a folder of ledgers, or in a frame of polars, pandas, or of Arrow's protocols.

    `columns` maps schema names to names in the source, as a mapping or written like `loss=val_loss,…`. The
    other options describe the models where parameters or FLOPs have to be computed from width and depth; those
    not given are assumed to be the Gemstones', and the table says so. Ledgers tell all of that themselves, and
    take none of it. A file's table is called by its stem, or by its whole name where that stem is `reserved`
    for a known data set. Raises `InvalidTable`, in one line.
    """
    if isinstance(columns, str):
        columns = parse_columns(columns)
    architecture = Architecture(vocabulary, head_size, context, queries_per_kv)
    architecture.like()  # options that no model can have are refused before any file is read
    opened = open_runs(source, reserved=reserved) if isinstance(source, str | Path) else open_frame(source)
    if opened.format == "ledgers" and (columns or architecture != Architecture()):
        raise InvalidRequest(
            f"columns, vocabulary and the like cannot be set for the folder {opened.file}: its ledgers tell them"
        )
    check_units(opened.units, columns or {}, opened.file)
    fields = opened.fields
    if fields is None:
        return build_table(
            _inferred(opened.frame),
            dataset=opened.dataset,
            file=opened.file,
            columns=columns,
            architecture=architecture,
            assumptions=opened.assumptions,
            sources=opened.sources,
        )
    return build_table(
        opened.frame,
        dataset=fields.dataset,
        file=opened.file,
        columns=columns,
        architecture=fields.architecture.overridden(by=architecture),
        selection=fields.selection,
        assumptions=fields.assumptions,
        flops_convention=fields.flops_convention,
        sources=fields.sources,
        units_declared=True,
    )


def _inferred(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of text that the schema does not have as what all of their cells are."""
    import polars as pl

    return frame.with_columns(
        inferred(series)
        for series in frame.get_columns()
        if series.dtype == pl.String and series.name not in COLUMNS
    )
