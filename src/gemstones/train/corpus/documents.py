"""One file → its documents, as text.

- JSON lines, by content: one document a line, in the field that is asked for, whatever the file is called
- `.json` that is no lines: the objects of an array, or the one object, where they have the field; else plain text
- `.html`, `.htm`, `.xhtml`: one document, the text of the page
- Parquet, by content: one document a row, in the column of that name
- anything else: one document, if it is UTF-8 text; else it is skipped, and named

and each of these packed with gzip, Zstandard, bzip2 or xz (`gemstones.train.corpus.unpacked`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gemstones.lazy import pl
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.html import html_text
from gemstones.train.corpus.json_text import BadLines, json_lines, json_whole, lines_of_json
from gemstones.train.corpus.unpacked import HEAD, SUFFIXES, Unpacked, unpacked

Kind = Literal["html", "jsonl", "json", "parquet", "text"]

KINDS: dict[str, Kind] = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
"""By suffix, without that of the packing."""

ROWS_AT_ONCE = 20_000
"""Of a Parquet file, in memory."""
PARQUET = b"PAR1"
"""First bytes."""


class BinaryFileError(Exception):
    """The file holds no text: it is skipped, counted and named, with this reason."""


@dataclass
class Reading:
    """How a file is read, and what was noticed."""

    field: str = "text"
    """Of JSON, or a column of Parquet; `meta.text` is the field `text` of the object `meta`."""
    bad_lines: BadLines = "refuse"
    skipped_lines: int = 0
    skipped_bytes: int = 0
    """Of these lines, unpacked."""
    read_bytes: int = 0
    """Of all lines."""
    as_text: bool = False
    """Whether JSON without the field was taken for plain text."""


def kind_of(name: str) -> Kind:
    """What a file of this name is taken for, unless its content says otherwise.

    >>> kind_of("page.html.gz"), kind_of("c4-train.00000.json.zst"), kind_of("README")
    ('html', 'json', 'text')
    """
    stem = name.lower()
    for suffix in SUFFIXES:
        if stem.endswith(suffix):
            stem = stem.removesuffix(suffix)
            break
    return KINDS.get(Path(stem).suffix, "text")


def documents_of(path: Path, reading: Reading | str = "text") -> Iterator[str]:
    """The documents of one file in its order, empty ones included; `reading` is how, or the field alone.

    Raises `BinaryFileError` for a file that is not text, `InvalidCorpus` (file and line) for one that cannot
    be read as what it is.
    """
    with unpacked(path) as file:
        yield from _read(file, path, Reading(reading) if isinstance(reading, str) else reading)


def _read(file: Unpacked, path: Path, reading: Reading) -> Iterator[str]:
    kind = kind_of(path.name)
    head = file.head()
    if kind == "parquet" or head.startswith(PARQUET):
        # Random access: a plain file is left to polars, a packed one is unpacked in memory.
        yield from _parquet(io.BytesIO(file.whole()) if file.packed else path, path, reading.field)
    elif kind == "html":
        yield html_text(_decode(file.whole()))
    elif kind == "jsonl" or lines_of_json(head, reading.field, cut=len(head) == HEAD, named=kind == "json"):
        yield from json_lines(file.lines(), path, reading)
    else:
        if b"\0" in head:  # no need to unpack all of it
            raise BinaryFileError("binary")
        content = file.whole()
        if len(head) == HEAD and lines_of_json(content, reading.field, cut=False, named=kind == "json"):
            yield from json_lines(
                io.BytesIO(content), path, reading
            )  # the first line was longer than the head
            return
        text = _decode(content)
        del content
        documents = json_whole(text, path, reading.field) if kind == "json" else None
        if documents is None:
            reading.as_text = kind == "json"
            documents = [text]
        yield from documents


def _decode(content: bytes) -> str:
    if b"\0" in content:
        raise BinaryFileError("binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BinaryFileError("no UTF-8 text") from None


def _parquet(source: Path | io.BytesIO, path: Path, field: str) -> Iterator[str]:
    try:
        table = pl.scan_parquet(source)
        schema = table.collect_schema()
        column, names = pl.col(field), [field]
        if field not in schema:
            names = field.split(".")
            column = pl.col(names[0])
            for name in names[1:]:
                column = column.struct.field(name)
        kind: object = schema.get(names[0])
        for name in names[1:]:
            kind = {f.name: f.dtype for f in kind.fields}.get(name) if isinstance(kind, pl.Struct) else None
        if kind is None:
            raise InvalidCorpus(
                f"has no column {field!r}, only {one_line(', '.join(schema))}: name the column of the text "
                "with --field",
                file=path,
            )
        if kind not in (pl.String, pl.Categorical):
            raise InvalidCorpus(f"column {field!r} is {kind}, not text: name another with --field", file=path)
        rows = table.select(column.cast(pl.String).fill_null("").alias("text"))
        first = 0
        while texts := rows.slice(first, ROWS_AT_ONCE).collect().to_series().to_list():
            yield from texts
            first += ROWS_AT_ONCE
    except pl.exceptions.PolarsError as error:
        raise InvalidCorpus(f"is not a Parquet file that can be read: {one_line(error)}", file=path) from None
