"""Frames in memory: polars, pandas, Arrow's protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidTable
from gemstones.runs.cells import series_of_cells
from gemstones.runs.formats.delimited import check_distinct
from gemstones.runs.formats.opened import Opened
from gemstones.runs.schema import COLUMNS
from gemstones.runs.table import Source

if TYPE_CHECKING:
    import polars as pl


def open_frame(frame: Any) -> Opened:
    """The rows of a frame of polars, of pandas, or of Arrow's protocols. Raises `InvalidTable`."""
    return Opened(_polars_of(frame), "frame", "frame", sources=(Source("frame", ""),))


def _polars_of(frame: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return frame
    if hasattr(frame, "to_dict") and hasattr(frame, "columns"):  # pandas, without importing it
        header = [str(name) for name in frame.columns]
        check_distinct(header, "frame")
        cells = frame.to_dict(orient="list")
        return pl.DataFrame(
            {
                name: series_of_cells(name, _without_pandas_nulls(name, cells[key]))
                for name, key in zip(header, cells, strict=True)
            }
        )
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame)
    if hasattr(frame, "__dataframe__"):
        return pl.from_dataframe(frame)
    raise InvalidTable(
        f"a {type(frame).__name__} holds no runs: give a path, or a frame of polars, pandas or Arrow",
        file="frame",
    )


def _without_pandas_nulls(name: str, cells: list[Any]) -> list[Any]:
    """Cells with pandas' several nulls as None; a NaN of a required column stays, for its rule."""
    required = name in COLUMNS and COLUMNS[name].required
    return [
        None if type(cell).__name__ in ("NAType", "NaTType") or (not required and cell != cell) else cell  # noqa: PLR0124
        for cell in cells
    ]
