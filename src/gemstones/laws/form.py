"""The forms of laws: sums of powers of named columns, plus a constant (paper, Equations 1–3).

    L̂ = Σ_i exp(c_i)·x_i^(−e_i) + exp(E)

A form is written as its terms: `N,T` is Equation 1, `w,d,N,T` Equation 2, `w,d,T` Equation 3. Adding a
form is writing it: every comma-separated list of terms is one, and any numeric column of the run table
can be a term by its name (`N,T,batch_size`). Adding a symbol is one line in `COLUMNS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, ParamsConvention, params
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, Shapes

COLUMNS = {"w": "width", "d": "depth", "N": "params_{convention}", "T": "tokens"}
"""Symbol → column of the run table; N counts parameters in the fit's convention."""

SHAPE_COLUMNS: dict[str, Callable[[Shapes], FloatArray]] = {
    "width": lambda shapes: shapes.width,
    "depth": lambda shapes: shapes.depth,
    "aspect_ratio": lambda shapes: shapes.aspect_ratio,
    "flops_per_token": flops_per_token,
    **{f"params_{c}": lambda shapes, c=c: params(shapes, c) for c in PARAMS_CONVENTIONS},  # type: ignore[misc]
}
"""Columns that a shape determines: a law in these and tokens can prescribe shapes."""

_TERM = re.compile(r"[A-Za-z_]\w*")


def parse_terms(text: str, convention: ParamsConvention = "total") -> tuple[str, ...]:
    """Terms of a law written like `w,d,N,T`; a column that has a symbol becomes it, so `width` is `w`."""
    symbols = {column_name(symbol, convention): symbol for symbol in COLUMNS}
    terms = tuple(symbols.get(part.strip(), part.strip()) for part in text.split(","))
    bad = next((t for t in terms if not _TERM.fullmatch(t)), None)
    if bad is not None or len(set(terms)) != len(terms):
        raise InvalidRequest(
            f"law {text!r} is not a list of different columns: write it like N,T or w,d,N,T, "
            f"with {', '.join(COLUMNS)} or names of columns"
        )
    return terms


def column_name(term: str, convention: ParamsConvention) -> str:
    """Name in the run table of a term's column."""
    return COLUMNS.get(term, term).format(convention=convention)


def table_columns(terms: Sequence[str], table: RunTable, convention: ParamsConvention) -> FloatArray:
    """Values of the terms' columns, (rows, k); `InvalidTable` where one is not positive: powers need it."""
    columns = []
    for term in terms:
        name = column_name(term, convention)
        values = table.numbers(name)
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
