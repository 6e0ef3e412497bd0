"""The columns of a frame as the schema types them, and those of the source as what all of their cells are."""

from __future__ import annotations

from gemstones.lazy import pl
from gemstones.runs.cells import (
    RowNumbers,
    cell_error,
    first_index,
    inferred,
    number_column,
    read_numbers,
    text_column,
)
from gemstones.runs.mapping import SHAPE_COLUMNS
from gemstones.runs.schema import COLUMNS, SCHEMA, Column

_SHAPE_FIELDS = {name: Column(name, "Int64", "", "") for name in SHAPE_COLUMNS}


def typed(
    frame: pl.DataFrame,
    file: str,
    rows: RowNumbers | None = None,
    *,
    infer: bool = False,
    decimal_comma: bool = False,
) -> pl.DataFrame:
    """The schema's columns in order, numbers as Float64, null where absent; then those of the source.

    `infer`: whether text of the source's own columns is read as what all of its cells are. Raises `InvalidTable` for
    the first cell that is not what its column holds, by its number in `rows`.
    """
    columns = []
    for column in SCHEMA:
        series = (
            frame[column.name]
            if column.name in frame.columns
            else pl.Series(column.name, [None] * frame.height)
        )
        if column.dtype == "String":
            columns.append(text_column(series, column, file))
        else:
            columns.append(number_column(series, column, file, rows, decimal_comma=decimal_comma))
    for series in frame.drop([column.name for column in SCHEMA], strict=False).get_columns():
        if series.name in _SHAPE_FIELDS and (series.dtype == pl.String or series.dtype.is_numeric()):
            columns.append(_shape_field(series, file, rows, decimal_comma=decimal_comma))
        elif infer and series.dtype == pl.String:
            columns.append(inferred(series, decimal_comma=decimal_comma))
        else:
            columns.append(series)
    return pl.DataFrame(columns)


def _shape_field(series: pl.Series, file: str, rows: RowNumbers | None, *, decimal_comma: bool) -> pl.Series:
    column = _SHAPE_FIELDS[series.name]
    numbers = number_column(series, column, file, rows, decimal_comma=decimal_comma)
    if (at := first_index(~numbers.is_finite() | (numbers < 1))) is not None:
        raise cell_error(f"{numbers[at]:g} must be at least 1", file, at, rows, series.name)
    return numbers.cast(pl.Int64)


def readable(frame: pl.DataFrame, *, decimal_comma: bool) -> pl.DataFrame:
    """`frame` with the numbers that can be read in the schema's columns of text, null in their other cells.

    For a condition, which may leave out the rows in which something else stands.
    """
    read = []
    for name in (*COLUMNS, *SHAPE_COLUMNS):
        column = COLUMNS.get(name) or _SHAPE_FIELDS[name]
        if name in frame.columns and column.dtype != "String" and frame[name].dtype == pl.String:
            found = read_numbers(frame[name], thousands=column.thousands, decimal_comma=decimal_comma)
            if found.values.null_count() < frame.height:
                read.append(found.values.alias(name))
    return frame.with_columns(read)
