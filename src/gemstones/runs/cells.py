"""Cells → columns of one type: lists of Python values to series, text to numbers and to names.

Nothing is coerced in silence: a cell that is no number is an error that names its row. Text may carry SI
suffixes (`10B`), but then every cell of the column must: `10B` beside `10` is two units, not one. A comma
separates thousands in whole numbers and in groups of three only; where it is the decimal sign, that holds for
the whole file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.one_line import one_line
from gemstones.runs.schema import Column
from gemstones.units import SUFFIXES

RowNumbers = NDArray[np.int64]
"""Numbers of rows as the file counts them, from 1."""

_WHOLE_LIMIT = 2.0**53
"""Whole numbers above it are not exact as floats."""

MISSING = ("", "-", "--", "–", "—", "?", "n/a", "na", "#n/a", "<na>", "nan", "nat", "null", "none", "nil")
"""Cells that say in a column of numbers that there is none, in lower case."""

_GROUPED = r"^[+-]?[1-9][0-9]{0,2}(?:%s[0-9]{3})+%s$"
"""Thousands by a separator, and what may follow."""
_SPACES = ("_", " ", "\u00a0", "\u202f", "\u2009", "'", "’")
"""Separators of thousands that are never decimal signs."""
_DECIMAL_COMMA = r"^[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?$"
_SUFFIXED = r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,9}))?\s*([KkMmBbGgTtPpEeZzYy])$"
_CONTROL = r"[\p{C}\p{Zl}\p{Zp}]"
"""Control and format characters, and separators of lines: they break tables and terminals."""


def series_of_cells(name: str, cells: Sequence[Any]) -> pl.Series:
    """Python values as a series: booleans, whole numbers, floats, or else text."""
    import msgspec

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


def inferred(series: pl.Series, *, decimal_comma: bool = False) -> pl.Series:
    """A column of text as whole numbers, floats or booleans if all of its cells are, or say that there is none."""
    text = series.str.strip_chars()
    text = pl.select(pl.when(text != "").then(text)).to_series().alias(series.name)
    if text.null_count() == len(text):
        return pl.Series(series.name, [None] * len(text), dtype=pl.Null)
    if text.drop_nulls().is_in(["true", "false"]).all():
        return text == "true"
    present = text.set(is_missing(text), None)
    if present.null_count() == len(text):
        return text
    for dtype in (pl.Int64, pl.Float64):
        numbers = present.cast(dtype, strict=False)
        if numbers.null_count() == present.null_count():
            return numbers
    if decimal_comma:
        found = read_numbers(series, thousands=False, decimal_comma=True)
        if not found.unreadable.any() and not found.suffixed.any():
            return found.values.alias(series.name)
    return text


def is_missing(text: pl.Series) -> pl.Series:
    """Where cells of text say that there is no number."""
    return text.is_null() | text.str.strip_chars().str.to_lowercase().is_in(MISSING).fill_null(True)


def text_column(series: pl.Series, column: Column, file: str) -> pl.Series:
    """`series` as text, empty cells as null, control characters written as escapes (`\\x1b`)."""
    if series.dtype.is_nested() or series.dtype in (pl.Object, pl.Binary):
        raise InvalidTable(f"holds {series.dtype}: it must be text", file=file, column=column.name)
    if series.dtype.is_float():
        # Numbers as names: 7 rather than 7.0.
        whole = series.cast(pl.Int64, strict=False)
        series = whole if (whole == series).all() else series
        series = series.fill_nan(None) if series.dtype.is_float() else series
    text = series.cast(pl.String).str.strip_chars()
    return escaped(pl.select(pl.when(text != "").then(text)).to_series()).alias(column.name)


def escaped(text: pl.Series) -> pl.Series:
    """`text` with control characters and the like as escapes, so that different names stay different."""
    strange = text.filter(text.str.contains(_CONTROL)).unique().to_list()
    if not strange:
        return text
    return text.replace_strict(strange, list(map(escape, strange)), default=text, return_dtype=pl.String)


def escape(text: str) -> str:
    """One text with control characters as escapes.

    >>> escape("a\\x1b[31m\\n")
    'a\\\\x1b[31m\\\\n'
    """
    return "".join(c if c.isprintable() or c in _SPACES else _code(c) for c in text)


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a column of text says in numbers."""

    values: pl.Series
    """Float64; null where a cell is missing or unreadable."""
    unreadable: pl.Series
    """Cells that are neither numbers nor missing."""
    suffixed: pl.Series
    """Cells with an SI suffix."""
    decimal_comma: bool = False
    """Whether a comma was read as the decimal sign."""


def read_numbers(series: pl.Series, *, thousands: bool = True, decimal_comma: bool = False) -> Numbers:
    """The numbers in a column of text.

    `thousands`: whether whole numbers may have separators of thousands, in groups of three. A column that may
    not (a loss) has decimal commas where it has commas and no points. `decimal_comma` holds for all of a file.
    """
    text = series.str.strip_chars()
    text = text.set(is_missing(text), None)
    values = text.cast(pl.Float64, strict=False)
    open_cells = text.is_not_null() & values.is_null()
    nothing = pl.repeat(False, len(text), dtype=pl.Boolean, eager=True)
    comma_is_decimal = False
    if open_cells.any() or decimal_comma:
        text, comma_is_decimal = _with_points(text, thousands, decimal_comma)
        values = text.cast(pl.Float64, strict=False)
        open_cells = text.is_not_null() & values.is_null()
    if not open_cells.any():
        return Numbers(values, nothing, nothing, comma_is_decimal)
    parts = text.str.extract_groups(_SUFFIXED).struct.unnest()
    mantissa, exponent, suffix = (parts[name] for name in parts.columns)
    suffixed = open_cells & suffix.is_not_null()
    if suffixed.any():
        powers = {letter: power for name, power in SUFFIXES.items() for letter in {name, name.lower()}}
        power = suffix.replace_strict(list(powers), list(powers.values()), default=0, return_dtype=pl.Int64)
        power += exponent.cast(pl.Int64, strict=False).fill_null(0)
        # One conversion of the whole decimal: 0.3 * 1e9 would not be 3e8 exactly.
        whole = (mantissa + "e" + power.cast(pl.String)).cast(pl.Float64, strict=False)
        values = pl.select(pl.when(suffixed).then(whole).otherwise(values)).to_series()
    unreadable = text.is_not_null() & values.is_null()
    return Numbers(values, unreadable, suffixed & ~unreadable, comma_is_decimal)


def _with_points(text: pl.Series, thousands: bool, decimal_comma: bool) -> tuple[pl.Series, bool]:
    """`text` with decimal points and without separators of thousands, and whether commas were decimal signs."""

    def without(text: pl.Series, separator: str, rest: str = r"(?:\.0*)?") -> pl.Series:
        grouped = text.str.contains(_GROUPED % (separator, rest)).fill_null(False)
        if not grouped.any():
            return text
        bare = text.str.replace_all(separator.replace("\\", ""), "", literal=True)
        return pl.select(pl.when(grouped).then(bare).otherwise(text)).to_series()

    if thousands:
        for separator in _SPACES:
            if text.str.contains(separator, literal=True).any():
                text = without(text, separator, r"(?:[.,][0-9]*)?")
    commas = text.str.contains(",", literal=True).fill_null(False)
    if not commas.any() and not decimal_comma:
        return text, False
    points = text.str.contains(".", literal=True).fill_null(False)
    if not thousands:
        is_decimal = decimal_comma or not points.any()
    else:
        # 1,048,576 has a decimal comma nowhere.
        is_decimal = decimal_comma and not text.str.contains(_GROUPED % ("(?:,[0-9]{3}),", "")).any()
        if not is_decimal:
            return without(text, ","), False
        grouped = text.str.contains(_GROUPED % (r"\.", "(?:,[0-9]*)?")).fill_null(False)
        if (grouped | ~points).all():
            text = without(text, r"\.", "(?:,[0-9]*)?")
    decimal = text.str.contains(_DECIMAL_COMMA).fill_null(False) & is_decimal
    pointed = text.str.replace(",", ".", literal=True)
    return pl.select(pl.when(decimal).then(pointed).otherwise(text)).to_series(), bool(decimal.any())


def number_column(
    series: pl.Series,
    column: Column,
    file: str,
    rows: RowNumbers | None = None,
    *,
    decimal_comma: bool = False,
) -> pl.Series:
    """`series` as Float64, whole where the schema says so; text is parsed, what is no number refused.

    Cells that say that there is no number are null, and so is NaN. `rows` are the numbers of the rows in errors.
    """
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        numbers = _parsed(series, column, file, rows, decimal_comma=decimal_comma)
    elif series.dtype.is_numeric() or series.dtype == pl.Null:
        numbers = series.cast(pl.Float64)
    else:
        present = first_index(series.is_not_null())
        at = 0 if present is None else present
        problem = f"{one_line(series[at], 40)} is not a number: the column holds {one_line(series.dtype, 40)}"
        raise cell_error(problem, file, at, rows, column.name)
    numbers = numbers.fill_nan(None)
    if column.dtype == "Int64":
        # Infinities are left to the rule that names them as such.
        broken = first_index(
            numbers.is_finite() & ((numbers != numbers.floor()) | (numbers.abs() > _WHOLE_LIMIT))
        )
        if broken is not None:
            raise cell_error(f"{numbers[broken]!r} must be a whole number", file, broken, rows, column.name)
    return numbers.alias(column.name)


def _parsed(
    series: pl.Series, column: Column, file: str, rows: RowNumbers | None, *, decimal_comma: bool
) -> pl.Series:
    found = read_numbers(series, thousands=column.thousands, decimal_comma=decimal_comma)
    at = first_index(found.unreadable)
    if at is not None:
        cell = one_line(series[at], 40)
        raise cell_error(f"{cell!r} is not a number{_remedy(cell, column)}", file, at, rows, column.name)
    plain = found.values.is_not_null() & ~found.suffixed
    if found.suffixed.any() and plain.any():
        few, many = sorted((found.suffixed, plain), key=lambda mask: int(mask.sum()))
        odd, usual = int(few.arg_true()[0]), int(many.arg_true()[0])
        if few.sum() == many.sum():
            odd, usual = (int(mask.arg_true()[0]) for mask in (plain, found.suffixed))
        problem = (
            f"mixed units: {one_line(series[odd], 40)!r} beside {one_line(series[usual], 40)!r}: "
            "give every value a suffix, or none"
        )
        raise cell_error(problem, file, odd, rows, column.name)
    return found.values


def _remedy(cell: str, column: Column) -> str:
    if "," not in cell:
        return ""
    if not column.thousands:
        return ": its column has decimal points as well as commas: write all of it with points"
    return ": a comma separates thousands, in whole numbers and groups of three: write decimals with a point"


def first_index(mask: pl.Series) -> int | None:
    """Where `mask` is true first, counted from 0."""
    found = mask.fill_null(False).arg_true()
    return int(found[0]) if len(found) else None


def first_row(mask: pl.Series) -> int | None:
    """The first row (counted from 1) where `mask` is true."""
    found = first_index(mask)
    return None if found is None else found + 1


def cell_error(problem: str, file: str, index: int, rows: RowNumbers | None, column: str) -> InvalidTable:
    """What is wrong with a cell, at an index of what is left of a file."""
    return InvalidTable(problem, file=file, row=row_number(index, rows), column=column)


def row_number(index: int, rows: RowNumbers | None) -> int:
    """The row, as the file counts them from 1, at an index of what is left of it."""
    return index + 1 if rows is None else int(rows[index])
