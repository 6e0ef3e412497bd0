"""Cells → columns of one type: lists of Python values to series, text to numbers.

Nothing is coerced in silence: a cell that is no number is an error that names its row. Text may carry SI
suffixes (`10B`), but then every cell of the column must: `10B` beside `10` is two units, not one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidQuantity, InvalidTable
from gemstones.runs.one_line import one_line
from gemstones.runs.schema import Column
from gemstones.units import SUFFIXES, parse_quantity

if TYPE_CHECKING:
    import polars as pl

_WHOLE_LIMIT = 2.0**53
"""Whole numbers above it are not exact as floats."""


def series_of_cells(name: str, cells: Sequence[Any]) -> pl.Series:
    """Python values as a series: booleans, whole numbers, floats, or else text."""
    import msgspec
    import polars as pl

    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {bool}:
        return pl.Series(name, cells, dtype=pl.Boolean if kinds else pl.Null)
    if kinds <= {int} and all(cell is None or -(2**63) <= cell < 2**63 for cell in cells):
        return pl.Series(name, cells, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, [None if cell is None else _float(cell) for cell in cells], dtype=pl.Float64)
    as_text = [cell if cell is None or isinstance(cell, str) else _text(cell, msgspec) for cell in cells]
    return pl.Series(name, as_text, dtype=pl.String)


def _float(cell: float) -> float:
    try:
        return float(cell)
    except OverflowError:  # a whole number of more than 308 digits; the rule on infinities names its row
        return float("inf")


def _text(cell: object, msgspec: Any) -> str:
    try:
        return str(msgspec.json.encode(cell).decode())
    except (TypeError, ValueError, OverflowError):
        return str(cell)


def inferred(series: pl.Series) -> pl.Series:
    """A column of text as whole numbers, floats or booleans if all of its cells are."""
    import polars as pl

    text = series.str.strip_chars()
    text = pl.select(pl.when(text != "").then(text)).to_series().alias(series.name)
    if text.null_count() == len(text):
        return pl.Series(series.name, [None] * len(text), dtype=pl.Null)
    if text.drop_nulls().is_in(["true", "false"]).all():
        return text == "true"
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    return text


def text_column(series: pl.Series, column: Column, file: str) -> pl.Series:
    """`series` as text, empty cells as null."""
    import polars as pl

    if series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
        raise InvalidTable(f"holds {series.dtype}: it must be text", file=file, column=column.name)
    text = series.cast(pl.String).str.strip_chars()
    return pl.select(pl.when(text != "").then(text)).to_series().alias(column.name)


def number_column(series: pl.Series, column: Column, file: str) -> pl.Series:
    """`series` as Float64, whole where the schema says so; text is parsed, what is no number refused."""
    import polars as pl

    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        numbers = _parsed(series, column, file)
    elif series.dtype.is_numeric() or series.dtype == pl.Null:
        numbers = series.cast(pl.Float64)
    else:
        present = first_row(series.is_not_null())
        row = 1 if present is None else present
        raise InvalidTable(
            f"{one_line(series[row - 1], 40)} is not a number: the column holds {one_line(series.dtype, 40)}",
            file=file,
            row=row,
            column=column.name,
        )
    if column.dtype == "Int64":
        # NaN and infinities are left to the rule that names them as such.
        broken = first_row(
            numbers.is_finite() & ((numbers != numbers.floor()) | (numbers.abs() > _WHOLE_LIMIT))
        )
        if broken is not None:
            raise InvalidTable(
                f"{numbers[broken - 1]!r} must be a whole number", file=file, row=broken, column=column.name
            )
    return numbers.alias(column.name)


def _parsed(series: pl.Series, column: Column, file: str) -> pl.Series:
    import polars as pl

    text = series.str.strip_chars()
    text = pl.select(pl.when(text != "").then(text)).to_series()
    numbers = text.cast(pl.Float64, strict=False)
    others = (text.is_not_null() & numbers.is_null()).arg_true().to_list()
    if not others:
        return numbers
    values, suffixed = numbers.to_list(), set()
    for index in others:
        cell = text[index]
        try:
            values[index] = parse_quantity(cell, column.name)
        except InvalidQuantity as error:
            unreadable = "is not a number" in str(error)
            rule = f"{one_line(cell, 40)!r} is not a number" if unreadable else one_line(error)
            raise InvalidTable(rule, file=file, row=index + 1, column=column.name) from None
        if cell[-1].upper() in SUFFIXES:
            suffixed.add(index)
    plain = set(text.is_not_null().arg_true().to_list()) - suffixed
    if suffixed and plain:
        odd, usual = (suffixed, plain) if len(suffixed) < len(plain) else (plain, suffixed)
        raise InvalidTable(
            f"mixed units: {one_line(text[min(odd)], 40)!r} beside {one_line(text[min(usual)], 40)!r}: "
            "give every value a suffix, or none",
            file=file,
            row=min(odd) + 1,
            column=column.name,
        )
    return pl.Series(values, dtype=pl.Float64)


def first_row(mask: pl.Series) -> int | None:
    """The first row (counted from 1) where `mask` is true."""
    rows = mask.fill_null(False).arg_true()
    return int(rows[0]) + 1 if len(rows) else None
