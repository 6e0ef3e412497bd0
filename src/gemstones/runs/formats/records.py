"""Python's objects → a frame: one a row, nested ones as `parent.field`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from gemstones.lazy import pl
from gemstones.runs.cells import series_of_cells
from gemstones.runs.formats.delimited import check_distinct

DEEPEST = 16
"""Levels of objects that become columns; what lies deeper stays as JSON."""


def flat(record: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    """`record` with the fields of nested objects under `parent.field`."""
    if not any(isinstance(held, Mapping) for held in record.values()):
        return {str(name): held for name, held in record.items()}
    flattened: dict[str, Any] = {}
    _flatten(record, "", separator, flattened, DEEPEST)
    return flattened


def frame_of_records(records: Iterable[Mapping[str, Any]], file: str) -> pl.DataFrame:
    """A row for each record, a column for each name in the order of their appearance; null where it is lacking."""
    cells: dict[str, list[Any]] = {}
    rows = 0
    for record in records:
        for name, cell in flat(record).items():
            column = cells.get(name)
            if column is None:
                cells[name] = column = []
            if len(column) < rows:
                column.extend([None] * (rows - len(column)))
            if len(column) == rows:
                column.append(cell)
        rows += 1
    for column in cells.values():
        column.extend([None] * (rows - len(column)))
    names = [name.strip() or f"column_{place}" for place, name in enumerate(cells, start=1)]
    check_distinct(names, file)
    return pl.DataFrame(
        [
            series_of_cells(name, [native(cell) for cell in column])
            for name, column in zip(names, cells.values(), strict=True)
        ]
    )


def native(cell: Any) -> Any:  # noqa: PLR0911
    """`cell` as JSON has it: numbers of numpy and of `decimal` as Python's, pandas' nulls as None."""
    kind = type(cell)
    if cell is None or kind in (str, int, float, bool):
        return cell
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, bool | int | float | str):  # subclasses: numpy.float64, enumerations
        return next(base(cell) for base in (bool, int, float, str) if isinstance(cell, base))
    if getattr(cell, "shape", None) == () and hasattr(cell, "item"):  # other scalars of numpy, torch, jax
        return native(cell.item())
    return cell


def _flatten(
    record: Mapping[str, Any], prefix: str, separator: str, into: dict[str, Any], depth: int
) -> None:
    for name, held in record.items():
        if isinstance(held, Mapping) and held and depth:
            _flatten(held, f"{prefix}{name}{separator}", separator, into, depth - 1)
        else:
            into[f"{prefix}{name}"] = held
