"""Every format, in the order in which a file or a folder is tried: what is told by more comes first."""

from __future__ import annotations

from pathlib import Path

from gemstones.errors import InvalidRequest
from gemstones.runs.formats.arrow_files import ARROW, PARQUET
from gemstones.runs.formats.content import Content
from gemstones.runs.formats.folders import LEDGERS
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.json_files import JSON
from gemstones.runs.formats.json_lines import JSON_LINES
from gemstones.runs.formats.text_tables import CSV, SEMICOLONS, TSV
from gemstones.runs.one_line import one_line

FILES: tuple[Format[Content], ...] = (
    PARQUET,
    ARROW,
    JSON_LINES,
    JSON,
    SEMICOLONS,
    TSV,
    CSV,
)
FOLDERS: tuple[Format[Path], ...] = (LEDGERS,)
NAMES = (*(known.name for known in FILES), *(known.name for known in FOLDERS))


def check_name(name: str) -> None:
    """Refuse a name that no format has."""
    if name not in NAMES:
        raise InvalidRequest(f"format {one_line(name)!r} is unknown: choose from {', '.join(sorted(NAMES))}")
