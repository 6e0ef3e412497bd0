"""Parquet files, of this program and of others."""

from __future__ import annotations

from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.parquet import declared_units, parse_parquet, table_fields


def _open(content: Content) -> Opened:
    frame, metadata = parse_parquet(content.data, content.file)
    fields = table_fields(metadata, content.file)
    units = declared_units(metadata, content.file)
    name = PARQUET.name if fields is None else "gemstones"
    return Opened(frame, name, content.file, fields=fields, units=units)


PARQUET = Format(
    name="parquet",
    files="a Parquet file",
    command="gemstones data show runs.parquet",
    source="https://parquet.apache.org/docs/file-format",
    detect=lambda content: content.data.startswith(b"PAR1") or content.suffix == ".parquet",
    open=_open,
)
