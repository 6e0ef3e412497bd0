"""Paths → rows: which format a file has, and how it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.formats.content import Content, read_content
from gemstones.runs.formats.delimited import CSV
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.json_lines import JSON_LINES
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.parquet_file import PARQUET
from gemstones.runs.one_line import one_line

FORMATS: tuple[Format, ...] = (PARQUET, JSON_LINES, CSV)
"""Every format, in the order in which a file is tried."""

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
"""Of files that are read; what a file holds goes before its name."""


def open_runs(
    paths: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002
    run_from: str | None = None,
    reserved: Iterable[str] = (),
) -> Opened:
    """The rows of a file, as its format has them.

    `format` names the format where the content does not tell it. The table is called by the file's stem, or by
    its whole name where that stem is `reserved` for a known data set. Raises `InvalidTable` or `InvalidRequest`.
    """
    if not isinstance(paths, str | Path):
        (paths,) = paths
    content = read_content(paths)
    opened = (_named(format) if format else _detected(content)).open(content)
    return replace(
        opened,
        dataset=one_line(content.name) if content.stem in reserved else content.stem,
        sources=opened.fields.sources if opened.fields else (content.source,),
    )


def _named(name: str) -> Format:
    for known in FORMATS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in FORMATS)
    raise InvalidRequest(f"format {one_line(name)!r} is unknown: choose from {names}")


def _detected(content: Content) -> Format:
    for known in FORMATS:
        if known.detect(content):
            return known
    raise InvalidTable(
        f"has suffix {one_line(content.suffix)!r}: it must be one of {', '.join(SUFFIXES)}, or be a folder of "
        f"ledgers",
        file=content.file,
    )
