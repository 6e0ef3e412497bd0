"""Which column of a file is which column of the schema, as the user says: `loss=val_loss,tokens=n_tokens`.

Aliases are never guessed: a column called `loss` may be a training loss, `params` any of three conventions.
A column that is missing is an error that suggests the nearest names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.schema import COLUMNS

if TYPE_CHECKING:
    import polars as pl


def parse_columns(text: str) -> dict[str, str]:
    """`text` as schema name → name in the file; a name in the file may hold `=` and spaces, but no comma.

    >>> parse_columns("loss=val_loss, tokens=n_tokens")
    {'loss': 'val_loss', 'tokens': 'n_tokens'}
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        name, equals, source = (piece.strip() for piece in part.partition("="))
        if not (name and equals and source):
            raise InvalidRequest(
                f"columns {one_line(text)!r}: {one_line(part)!r} is not NAME=COLUMN: write them like "
                "loss=val_loss,tokens=n_tokens"
            )
        if name in columns:
            raise InvalidRequest(f"columns {one_line(text)!r}: {one_line(name)} is given twice")
        columns[name] = source
    check_names(columns)
    return columns


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


def nearest(name: str, found: Iterable[str]) -> str | None:
    """The name most like `name`, one that contains it first."""
    names = list(found)
    containing = [other for other in names if name.lower() in other.lower()]
    near = containing or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return near[0] if near else None


def _free_name(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    while name in taken:
        name += "_"
    return name
