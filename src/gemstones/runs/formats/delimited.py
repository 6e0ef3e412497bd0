"""Text with separators and a header (RFC 4180): CSV, TSV, and the semicolons of spreadsheets.

A table whose rows are alike is read by polars, every cell as text. One that is not (a row with a cell too many, a
quote in the middle of a cell) is read again row by row, which reads it or names the row of the fault.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.cells import inferred
from gemstones.runs.formats.decimal_comma import has_decimal_commas
from gemstones.runs.formats.text import decoded
from gemstones.runs.one_line import one_line

SEPARATORS = (",", "\t", ";")
_SAMPLED_ROWS = 20
"""In which separators are looked for."""
_HINT = re.compile(r"\s*sep=([,;\t])[ \t]*\r?\n")
_BLOCK = 1 << 24
"""Bytes whose structure is looked at at a time."""
_ROWS = 1 << 16
"""Rows that are kept as lists at a time."""


@dataclass(frozen=True, eq=False)
class Delimited:
    """A table of text: cells stripped, empty ones null."""

    frame: pl.DataFrame
    separator: str
    decimal_comma: bool


def typed_csv(data: bytes, file: str) -> pl.DataFrame:
    """The columns of a published CSV file, each as what all of its cells are."""
    frame = _parse_rows(decoded(data, file), ",", file)
    return frame.with_columns(inferred(series) for series in frame.get_columns())


def parse_delimited(text: str, file: str, separator: str | None = None) -> Delimited:
    """The table in `text`, its separator found unless it is given. Raises `InvalidTable`, with the row."""
    separator = separator or find_separator(text)
    text = _without_hint(text)
    frame = _parse_rows(text, separator, file)
    likely = separator == ";"
    commas = (separator != "," or '"' in text) and "," in text
    return Delimited(frame, separator, commas and has_decimal_commas(frame, likely, file))


def find_separator(text: str) -> str:
    """The separator that a first line `sep=;` names, as Excel writes it; else that with which the first rows have most
    cells, and equally many; a comma where none has.
    """
    if hint := _HINT.match(text):
        return hint[1]
    return max(SEPARATORS, key=lambda separator: _evidence(text, separator))


def _without_hint(text: str) -> str:
    """`text` after a first line that names the separator; not by substitution, which would look all through it."""
    hint = _HINT.match(text)
    return text if hint is None else text[hint.end() :]


def is_table(text: str) -> bool:
    """Whether the first rows have two cells or more, and equally many."""
    return any(_evidence(text, separator) >= (True, 2) for separator in SEPARATORS)


def header_of(text: str) -> list[str]:
    """Names in the first row that is not empty."""
    for cells in _sampled(_without_hint(text), find_separator(text)):
        return [cell.strip() for cell in cells]
    return []


def check_distinct(header: list[str], file: str) -> None:
    """Refuse a name that is there twice."""
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise InvalidTable(
                "is there twice: give every column a name of its own",
                file=file,
                column=one_line(name) or "''",
            )
        seen.add(name)


def _evidence(text: str, separator: str) -> tuple[bool, int]:
    """Whether the first rows have equally many cells, and how many the header has."""
    cells = [len(row) for row in _sampled(text, separator)]
    return (len(set(cells)) == 1 and cells[0] > 1, cells[0]) if cells else (False, 0)


def _sampled(text: str, separator: str) -> Iterator[list[str]]:
    """The first rows that are not empty, as far as they can be told apart."""
    end = 0
    for _ in range(_SAMPLED_ROWS + 1):
        end = text.find("\n", end) + 1
        if not end:
            break
    rows = csv.reader(io.StringIO(text[: end or len(text)], newline=""), delimiter=separator)
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield from itertools.islice((cells for cells in rows if cells), _SAMPLED_ROWS)
    except csv.Error:  # what is no CSV is told by the reader of rows
        return
    finally:
        csv.field_size_limit(limit)


def _parse_rows(text: str, separator: str, file: str) -> pl.DataFrame:
    """Columns of text, under the names of the header."""
    frame = _alike(text, separator)
    if frame is None:
        frame = _row_by_row(text, separator, file)
    names = [(name or "").strip() for name in frame.row(0)]
    # The index that pandas writes has no name; a column that has neither name nor cells is a trailing separator.
    check_distinct([name for name in names if name], file)
    named = [name or f"column_{place}" for place, name in enumerate(names, start=1)]
    check_distinct(named, file)
    frame = frame.slice(1).rename(dict(zip(frame.columns, named, strict=True)))
    frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
    frame = frame.drop(
        name
        for name, own in zip(named, names, strict=True)
        if not own and frame[name].null_count() == frame.height
    )

    if not frame.width:
        raise InvalidTable("is empty: a header and rows are needed", file=file)
    return frame


def _alike(text: str, separator: str) -> pl.DataFrame | None:
    """All rows, the header the first of them, where each has equally many cells; else `None`."""
    data = (text.replace("\r\n", "\n") if "\r" in text else text).encode()
    if b"\r" in data:
        return None
    data = data.strip(b"\n") + b"\n"
    rows = _equal_rows(data, ord(separator))
    if rows is None:
        return None
    try:
        frame = pl.read_csv(
            data,
            has_header=False,
            separator=separator,
            quote_char='"' if b'"' in data else None,
            infer_schema=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return frame if frame.height == rows else None


def _equal_rows(data: bytes, separator: int) -> int | None:
    """Number of rows of at least two cells, where all have equally many and every quote is about a whole cell."""
    inside, before, cells, rows, begun = False, ord("\n"), None, 0, 0
    for start in range(0, len(data), _BLOCK):
        block = np.frombuffer(data, np.uint8, min(_BLOCK, len(data) - start), start)
        marks = (block == separator) | (block == ord("\n"))
        if b'"' in data:
            quotes = block == ord('"')
            within = (np.logical_xor.accumulate(quotes) ^ inside).astype(bool)
            ahead = data[start + len(block)] if start + len(block) < len(data) else ord("\n")
            if not _quotes_are_whole(block, quotes, within, before, ahead, separator):
                return None
            marks &= ~within
            inside = bool(within[-1])
            before = int(block[-1])
        places = np.flatnonzero(marks)
        ends = np.flatnonzero(block[places] == ord("\n"))
        # Separators since the end of the row before, of which the first may lie in an earlier block.
        between = np.diff(ends, prepend=-1) - 1
        if len(ends):
            between[0] += begun
            begun = len(places) - 1 - int(ends[-1])
            cells = int(between[0]) if cells is None else cells
            if cells == 0 or np.any(between != cells):
                return None
        else:
            begun += len(places)
        rows += len(ends)
    return None if inside or begun else rows


def _quotes_are_whole(
    block: np.ndarray, quotes: np.ndarray, within: np.ndarray, before: int, ahead: int, separator: int
) -> bool:
    """Whether each quote opens a cell at its start, closes one at its end, or is doubled."""
    places = np.flatnonzero(quotes)
    previous = np.concatenate(([before], block[:-1]))[places]
    following = np.concatenate((block[1:], [ahead]))[places]
    opens = within[places]
    edges = [separator, ord("\n"), ord('"')]
    return bool(np.all(np.isin(np.where(opens, previous, following), edges)))


def _row_by_row(text: str, separator: str, file: str) -> pl.DataFrame:
    width, row, rows, frames = None, 0, [], []
    limit = csv.field_size_limit(sys.maxsize)
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator):
            if not cells:  # an empty line
                continue
            width = len(cells) if width is None else width
            if len(cells) != width:
                raise InvalidTable(f"has {len(cells)} cells, the header {width}", file=file, row=row)
            row += 1
            rows.append(cells)
            if len(rows) == _ROWS:
                frames.append(_frame_of(rows, width))
                rows = []
    except csv.Error as error:
        raise InvalidTable(f"is no CSV: {one_line(error)}", file=file, row=row) from None
    finally:
        csv.field_size_limit(limit)
    if width is None:
        raise InvalidTable("is empty: a header and rows are needed", file=file)
    return pl.concat([*frames, _frame_of(rows, width)])


def _frame_of(rows: list[list[str]], width: int) -> pl.DataFrame:
    return pl.DataFrame(
        [pl.Series(f"{place}", [cells[place] for cells in rows], dtype=pl.String) for place in range(width)]
    )
