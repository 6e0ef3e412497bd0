"""The columns of laws: their symbols, where a run table has them, and which of them a shape determines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, ParamsConvention, params
from gemstones.arguments import shown
from gemstones.errors import InvalidRequest, InvalidTable, UserError
from gemstones.laws.tree import SYMBOLS
from gemstones.lazy import pl
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, IntArray, Shapes
from gemstones.units import parse_quantity

OTHER_NAMES = {
    "lr": ("learning_rate", "max_lr", "peak_lr"),
    "batch": ("batch_size", "batch_sequences", "batch_tokens", "global_batch_size", "bs"),
}
"""Names that a table may have for these; the first that it has is taken."""

SHAPE_COLUMNS: dict[str, Callable[[Shapes], FloatArray]] = {
    "width": lambda shapes: shapes.width,
    "depth": lambda shapes: shapes.depth,
    "aspect_ratio": lambda shapes: shapes.aspect_ratio,
    "flops_per_token": flops_per_token,
    "projection_flops": lambda shapes: 2.0 * shapes.depth * np.square(shapes.width),
    **{f"params_{c}": lambda shapes, c=c: params(shapes, c) for c in PARAMS_CONVENTIONS},  # type: ignore[misc]
}
"""Columns that a shape determines: a law in these and tokens can prescribe shapes."""


MOST_LEVELS = 64
"""Values of a column between which constants may differ."""


def column_name(symbol: str, convention: ParamsConvention) -> str:
    """Name in the run table of the column that a symbol stands for; any other name is its own."""
    return SYMBOLS.get(symbol, symbol).format(convention=convention)


def column_symbol(name: str, convention: ParamsConvention) -> str:
    """The symbol of a column that has one; N before P, where both count the same.

    >>> column_symbol("width", "total"), column_symbol("P", "non_embedding"), column_symbol("granularity", "total")
    ('w', 'N', 'granularity')
    """
    column = column_name(name, convention)
    return next((s for s in SYMBOLS if column_name(s, convention) == column), name)


def quantities(given: Any, name: str) -> FloatArray:
    """Numbers, or quantities like `7B`, one or many, as an array; `InvalidRequest` for what is neither.

    >>> quantities(["1B", 2e9], "N")
    array([1.e+09, 2.e+09])
    """
    if isinstance(given, str):
        return np.asarray(parse_quantity(given, name))
    try:
        values = np.asarray(given)
        if values.dtype.kind in "OU":
            flat = [parse_quantity(one, name) for one in np.asarray(given, object).ravel()]
            return np.array(flat).reshape(values.shape)
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise InvalidRequest(f"{name} {shown(given)} must be a number, or numbers of one shape") from None


def table_columns(symbols: Sequence[str], table: RunTable, convention: ParamsConvention) -> FloatArray:
    """Values of columns, (rows, k); `InvalidTable` where one is not positive: powers need it."""
    columns = []
    for symbol in symbols:
        name, values = _found(symbol, table, convention)
        bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
        if bad.size:
            raise InvalidTable(
                f"{values[bad[0]]:g} must be positive and finite to be a term of a law",
                file=table.origin,
                row=int(bad[0]) + 1,
                column=name,
            )
        columns.append(values)
    return np.column_stack(columns)


def columns_used(symbols: Sequence[str], table: RunTable, convention: ParamsConvention) -> tuple[str, ...]:
    """Names of the columns of this table that symbols, or columns by name, are read from."""
    names = [column_name(symbol, convention) for symbol in symbols]
    known = table.frame.columns
    found = (next((n for n in (name, *OTHER_NAMES.get(name, ())) if n in known), None) for name in names)
    return tuple(name for name in found if name is not None)


def _found(symbol: str, table: RunTable, convention: ParamsConvention) -> tuple[str, FloatArray]:
    """Name and values of the column that a symbol means in this table."""
    name = column_name(symbol, convention)
    known = table.frame.columns
    if name not in known:
        name = next((n for n in OTHER_NAMES.get(name, ()) if n in known), name)
    if name in known:
        return name, table.numbers(name)
    if name == "tokens_per_param":
        return name, table.numbers("tokens") / table.numbers(f"params_{convention}")
    if name == "aspect_ratio":
        return name, table.numbers("width") / table.numbers("depth")
    if name == "projection_flops":
        return name, 2.0 * table.numbers("depth") * np.square(table.numbers("width"))
    return name, table.numbers(name)


def shape_terms(terms: Sequence[str], convention: ParamsConvention) -> list[str]:
    """The columns of `terms` other than tokens, or an error if a shape does not determine them all."""
    columns = [column_name(term, convention) for term in terms if term != "T"]
    unknown = [c for c in columns if c not in SHAPE_COLUMNS]
    if unknown or "T" not in terms:
        what = (
            f"column {unknown[0]} is not a function of a shape" if unknown else "it has no term in tokens (T)"
        )
        raise InvalidRequest(f"law {','.join(terms)} cannot prescribe: {what}")
    return columns


def group_values(column: str, table: RunTable) -> list[str]:
    """The value of a text or whole-number column in every row; `InvalidTable` where it is absent or has a null."""
    if column not in table.frame.columns:
        text = [
            c for c in table.frame.columns if table.frame[c].dtype in (pl.String, pl.Categorical, pl.Enum)
        ]
        raise InvalidTable(
            f"is no column of the runs, so constants cannot differ by it; of text are {', '.join(text)}",
            file=table.origin,
            column=column,
        )
    series = table.frame[column]
    if series.null_count():
        raise InvalidTable(
            "is missing, and constants differ by it: fill it in, or leave the row out with --where",
            file=table.origin,
            row=int(series.is_null().arg_true()[0]) + 1,
            column=column,
        )
    if series.dtype.is_float() or not (
        series.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean) or series.dtype.is_integer()
    ):
        raise InvalidTable(
            f"holds {series.dtype}: constants differ by text or whole numbers",
            file=table.origin,
            column=column,
        )
    return [str(value) for value in series.to_list()]


def group_levels(column: str, table: RunTable) -> tuple[str, ...]:
    """The values of a column between which constants differ, sorted."""
    levels = tuple(sorted({*group_values(column, table)}))
    if len(levels) > MOST_LEVELS:
        raise InvalidTable(
            f"has {len(levels)} values: constants can differ between at most {MOST_LEVELS}",
            file=table.origin,
            column=column,
        )
    return levels


def group_codes(column: str, levels: Sequence[str], table: RunTable) -> IntArray:
    """Position in `levels` of the value of every row; `InvalidTable` for a value that is not among them."""
    values = group_values(column, table)
    position = {level: i for i, level in enumerate(levels)}
    unknown = next((i for i, value in enumerate(values) if value not in position), None)
    if unknown is not None:
        raise InvalidTable(
            f"{values[unknown]!r} is none of the fitted values, {', '.join(levels)}",
            file=table.origin,
            row=unknown + 1,
            column=column,
        )
    return np.array([position[value] for value in values])
