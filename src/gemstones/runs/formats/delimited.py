"""CSV with a header (RFC 4180): every column as text, cells stripped, empty ones null."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from gemstones.errors import InvalidTable
from gemstones.runs.cells import inferred
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.text import decoded
from gemstones.runs.one_line import one_line

if TYPE_CHECKING:
    import polars as pl


def typed_csv(data: bytes, file: str) -> pl.DataFrame:
    """The columns of a published CSV file, each as what all of its cells are."""
    frame = parse_delimited(decoded(data, file), file)
    return frame.with_columns(inferred(series) for series in frame.get_columns())


def parse_delimited(text: str, file: str, separator: str = ",") -> pl.DataFrame:
    """Columns of text. Raises `InvalidTable`, with the row, for what is no such table."""
    import polars as pl

    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    row, rows, header = 0, [], None
    try:
        for cells in reader:
            if not cells:  # an empty line
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                continue
            row += 1
            if len(cells) != len(header):
                raise InvalidTable(f"has {len(cells)} cells, the header {len(header)}", file=file, row=row)
            rows.append(cells)
    except csv.Error as error:
        raise InvalidTable(f"is no CSV: {one_line(error)}", file=file, row=row + 1) from None
    if header is None:
        raise InvalidTable("is empty: a header and rows are needed", file=file)
    check_distinct(header, file)
    frame = pl.DataFrame(
        {
            name: pl.Series(name, [cells[i] for cells in rows], dtype=pl.String)
            for i, name in enumerate(header)
        }
    )
    return frame.with_columns(pl.all().str.strip_chars().replace("", None))


def check_distinct(header: list[str], file: str) -> None:
    """Refuse a name that is there twice."""
    for name in header:
        if header.count(name) > 1:
            raise InvalidTable(
                "is there twice: give every column a name of its own",
                file=file,
                column=one_line(name) or "''",
            )


def _open(content: Content) -> Opened:
    return Opened(parse_delimited(content.text, content.file), CSV.name, content.file)


CSV = Format(
    name="csv",
    files="a CSV file with a header",
    command="gemstones data show runs.csv",
    source="RFC 4180",
    detect=lambda content: content.suffix == ".csv",
    open=_open,
)
