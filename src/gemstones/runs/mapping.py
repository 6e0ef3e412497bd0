"""Which column of a file is which column of the schema, as the user says: `loss=val_loss,tokens=n_tokens`.

Aliases are never guessed: a column called `loss` may be a training loss, `params` any of three conventions.
A column that is missing is an error that suggests the nearest names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.nearest import nearest
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.schema import COLUMNS

if TYPE_CHECKING:
    import polars as pl


def parse_columns(text: str) -> dict[str, str]:
    """`text` as schema name → expression over the columns of the file, split at commas outside () and quotes.

    >>> parse_columns("loss=val_loss, tokens=_step*524288, flops=max(a,b)*1e9, run='x,y'")
    {'loss': 'val_loss', 'tokens': '_step*524288', 'flops': 'max(a,b)*1e9', 'run': "'x,y'"}
    """
    columns: dict[str, str] = {}
    for part in _split(text):
        name, equals, source = (piece.strip() for piece in part.partition("="))
        if not (name and equals and source):
            raise InvalidRequest(
                f"columns {one_line(text)!r}: {one_line(part)!r} is not NAME=EXPRESSION: write them like "
                'loss=val_loss,tokens=_step*524288, and names that hold a comma in double quotes like loss="a,b"'
            )
        if name in columns:
            raise InvalidRequest(f"columns {one_line(text)!r}: {one_line(name)} is given twice")
        columns[name] = source
    check_names(columns)
    return columns


_PIECE = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|.""", re.DOTALL)
"""A quoted text, or one character; a quote that is not closed is a character."""


def _split(text: str) -> list[str]:
    parts, inside = [""], 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece == "," and not inside:
            parts.append("")
            continue
        inside = max(0, inside + (piece == "(") - (piece == ")"))
        parts[-1] += piece
    return parts


def check_names(columns: Mapping[str, str]) -> None:
    """Refuse names that the schema does not have."""
    for name in columns:
        if name not in COLUMNS:
            raise InvalidRequest(
                f"columns: {one_line(name)!r} is no column of a run table: choose from {listed(COLUMNS)}"
            )


def apply_mapping(frame: pl.DataFrame, columns: Mapping[str, str] | None, file: str) -> pl.DataFrame:
    """`frame` with the mapped columns under their schema names.

    A file often has both a `loss` and a `val_loss`: a column whose name is taken is kept as `source_…`.
    """
    columns = dict(columns or {})
    check_names(columns)
    for name, source in columns.items():
        if source not in frame.columns:
            raise InvalidTable(
                f"is missing, and {name} is mapped to it; found are "
                f"{listed(frame.columns)}{_suggestion(name, frame)}",
                file=file,
                column=one_line(source),
            )
    mapped = {name: frame[source].alias(name) for name, source in columns.items()}
    rest = []
    for series in frame.get_columns():
        if series.name in columns:
            if columns[series.name] != series.name:
                rest.append(series.alias(_free_name(f"source_{series.name}", frame.columns)))
        elif series.name not in columns.values():
            rest.append(series)
    return frame.select([*mapped.values(), *rest])


def check_required(frame: pl.DataFrame, file: str) -> None:
    """Refuse a frame without the columns that nothing can stand in for."""
    for name in ("tokens", "loss"):
        if name not in frame.columns:
            raise InvalidTable(
                "is missing; required are tokens and loss, and run or width and depth; "
                f"found are {listed(frame.columns)}{_suggestion(name, frame)}",
                file=file,
                column=name,
            )


def _suggestion(name: str, frame: pl.DataFrame) -> str:
    near = nearest(name, (column for column in frame.columns if column not in COLUMNS))
    return f"; map it with --columns {name}={one_line(near) if near else 'ITS_NAME'}"


def _free_name(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    while name in taken:
        name += "_"
    return name
