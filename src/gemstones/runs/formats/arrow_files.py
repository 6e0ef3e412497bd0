"""Parquet files, of this program and of others, and Arrow IPC files (Feather version 2) and streams.

Sources: https://parquet.apache.org/docs/file-format, https://arrow.apache.org/docs/format/Columnar.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.formats.arrow_child import Unreadable, read, read_in_child
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.one_line import one_line
from gemstones.runs.parquet import declared_units, table_fields

_PACKAGE = Path(__file__).resolve().parent.parent
_MAGIC, _ARROW, _STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"


def parse_parquet(content: Content) -> tuple[pl.DataFrame, Mapping[str, str], tuple[str, ...]]:
    """Plain columns, key-value metadata and notes of a Parquet file. Raises `InvalidTable`."""
    data, file = content.data, content.file
    footer = int.from_bytes(data[-8:-4], "little")
    if not (data.startswith(_MAGIC) and data.endswith(_MAGIC) and len(data) >= footer + 12 > 12):
        raise InvalidTable(
            "is no whole Parquet file: it does not begin and end as one: copy or write it again", file=file
        )
    return _read("parquet", "Parquet", content)


def _open_parquet(content: Content) -> Opened:
    frame, metadata, notes = parse_parquet(content)
    fields = table_fields(metadata, content.file)
    return Opened(
        frame,
        PARQUET.name if fields is None else "gemstones",
        content.file,
        assumptions=() if fields else notes,
        fields=fields,
        units=declared_units(metadata, content.file),
    )


def _open_arrow(content: Content) -> Opened:
    frame, _, notes = _read("arrow", "Arrow", content)
    return Opened(frame, ARROW.name, content.file, assumptions=notes)


def _read(kind: str, name: str, content: Content) -> tuple[pl.DataFrame, Mapping[str, str], tuple[str, ...]]:
    try:
        # Who installed the package answers for the files in it.
        ours = content.path.resolve().is_relative_to(_PACKAGE)
        frame, metadata, notes = (read if ours else read_in_child)(kind, content.data)
    except Unreadable as error:
        raise InvalidTable(f"is no whole {name} file: {one_line(error)}", file=content.file) from None
    if not frame.width:
        raise InvalidTable("is empty: it has no columns", file=content.file)
    return frame, metadata, tuple(notes)


PARQUET = Format(
    name="parquet",
    files="a Parquet file",
    command="gemstones data show runs.parquet",
    source="https://parquet.apache.org/docs/file-format",
    detect=lambda content: content.data.startswith(_MAGIC) or content.suffix == ".parquet",
    open=_open_parquet,
)
ARROW = Format(
    name="arrow",
    files="an Arrow IPC file (Feather) or stream",
    command="gemstones data show runs.arrow",
    source="https://arrow.apache.org/docs/format/Columnar.html",
    detect=lambda content: (
        content.data.startswith((_ARROW, _STREAM)) or content.suffix in (".arrow", ".feather")
    ),
    open=_open_arrow,
)
