"""One file → its documents, as text.

- `.html`, `.htm`, `.xhtml`: one document, the text of the page
- `.jsonl`, `.ndjson`: one document a line, in the field that is asked for
- `.parquet`: one document a row, in the column of that name
- any other name: one document, if it is UTF-8 text; else it is binary, and skipped

and each of these compressed with gzip, its name ending in `.gz`.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from gemstones.files import of_the_path
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.html import html_text

Kind = Literal["html", "jsonl", "parquet", "text"]

KINDS: dict[str, Kind] = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""By suffix, without `.gz`."""

ROWS_AT_ONCE = 20_000
"""Of a Parquet file, in memory."""

_GZIP_MAGIC = b"\x1f\x8b"


class BinaryFileError(Exception):
    """The file holds no text: it is skipped and counted."""


def kind_of(name: str) -> Kind:
    """How a file of this name is read.

    >>> kind_of("page.html.gz"), kind_of("README")
    ('html', 'text')
    """
    return KINDS.get(Path(name.lower().removesuffix(".gz")).suffix, "text")


def documents_of(path: Path, field: str = "text") -> Iterator[str]:
    """The documents of one file in its order, empty ones included.

    Raises `BinaryFileError` for a file that is not text, `InvalidCorpus` (file and line) for one that cannot
    be read as what its name says.
    """
    try:
        with path.open("rb") as raw:
            packed = path.name.lower().endswith(".gz") and raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            with gzip.open(raw) if packed else raw as file:
                yield from _read(file, path, field)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidCorpus(f"is not a whole gzip file: {one_line(error)}", file=path) from None
    except OSError as error:
        if not of_the_path(error):
            raise
        raise InvalidCorpus(f"cannot be read: {error.strerror or one_line(error)}", file=path) from None


def _read(file: IO[bytes] | gzip.GzipFile, path: Path, field: str) -> Iterator[str]:
    match kind_of(path.name):
        case "jsonl":
            yield from _json_lines(file, path, field)
        case "parquet":
            # Random access: a plain file is left to polars, a packed one is unpacked in memory.
            yield from _parquet(
                io.BytesIO(file.read()) if isinstance(file, gzip.GzipFile) else path, path, field
            )
        case "html":
            yield html_text(_decode(file.read()))
        case "text":
            yield _decode(file.read())


def _decode(content: bytes) -> str:
    if b"\0" in content:
        raise BinaryFileError
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BinaryFileError from None


def _json_lines(file: IO[bytes] | gzip.GzipFile, path: Path, field: str) -> Iterator[str]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in enumerate(file, start=1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not content.strip():
            continue
        try:
            row = decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidCorpus(f"is not a JSON object: {one_line(error)}", file=path, line=number) from None
        if field not in row:
            names = one_line(", ".join(row) or "none")
            raise InvalidCorpus(
                f"has no field {field!r}, only {names}: name the field of the text with --field",
                file=path,
                line=number,
            )
        text = row[field]
        if not isinstance(text, str | None):
            raise InvalidCorpus(
                f"field {field!r} is {one_line(repr(text), 40)}, not text: name another with --field",
                file=path,
                line=number,
            )
        yield text or ""


def _parquet(source: Path | io.BytesIO, path: Path, field: str) -> Iterator[str]:
    import polars as pl

    try:
        table = pl.scan_parquet(source)
        schema = table.collect_schema()
        if field not in schema:
            raise InvalidCorpus(
                f"has no column {field!r}, only {one_line(', '.join(schema))}: name the column of the text "
                "with --field",
                file=path,
            )
        if schema[field] not in (pl.String, pl.Categorical):
            raise InvalidCorpus(
                f"column {field!r} is {schema[field]}, not text: name another with --field", file=path
            )
        column = table.select(pl.col(field).cast(pl.String).fill_null(""))
        first = 0
        while rows := column.slice(first, ROWS_AT_ONCE).collect().to_series().to_list():
            yield from rows
            first += ROWS_AT_ONCE
    except pl.exceptions.PolarsError as error:
        raise InvalidCorpus(f"is not a Parquet file that can be read: {one_line(error)}", file=path) from None
