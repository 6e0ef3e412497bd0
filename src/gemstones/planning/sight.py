"""What a law sees of a shape, and the sum of its terms for many shapes at once.

At a budget the best shape minimises the sum inside the outer exponent; exponent and irreducible loss do not move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws.columns import SHAPE_COLUMNS
from gemstones.laws.dual import value_of
from gemstones.laws.law import Law
from gemstones.shape import FloatArray, Shapes

STEEPEST = 600.0
"""Logarithm of the largest term: a draw with an exponent of 70 has larger ones, beyond every float."""

Sight = Literal["size", "counts", "shape"]
"""What a law sees of a model: N alone; counts of parameters or FLOPs, but no width or depth; its shape."""

TOKENS = "T"


def sight(law: Law) -> Sight:
    """What `law` sees of a model; `InvalidRequest` if it needs what neither a shape nor tokens determine.

    >>> sight(Law(("N", "T"), (0.34, 0.28), (6.0, 6.0), 0.5))
    'size'
    """
    if law.parsed_form.groups:
        raise InvalidRequest(
            f"law {law.form} differs by {', '.join(law.parsed_form.groups)}: say which is to be planned for, "
            "with --of NAME=VALUE"
        )
    unknown = [
        symbol
        for symbol, column in zip(law.symbols, law.columns, strict=True)
        if symbol != TOKENS and column not in SHAPE_COLUMNS
    ]
    if unknown or TOKENS not in law.symbols:
        what = (
            f"column {unknown[0]} is not a function of a shape" if unknown else "it has no term in tokens (T)"
        )
        raise InvalidRequest(f"law {law.form} cannot prescribe: {what}")
    if set(law.symbols) == {"N", TOKENS}:
        return "size"
    others = {column for column in law.columns if column != "tokens"}
    counts = all(column.startswith("params_") or column == "flops_per_token" for column in others)
    return "counts" if counts else "shape"


def log_columns(law: Law, shapes: Shapes) -> tuple[FloatArray | None, ...]:
    """Log of each of the law's symbols for shapes, None for T; `InvalidRequest` as `sight`."""
    sight(law)
    return tuple(
        None if symbol == TOKENS else np.log(SHAPE_COLUMNS[column](shapes))
        for symbol, column in zip(law.symbols, law.columns, strict=True)
    )


def sum_of_terms(law: Law, theta: FloatArray, columns: Sequence[FloatArray]) -> FloatArray:
    """Σ exp(ηᵢ) for θ (m,) and logs of the law's symbols, which broadcast: a column that varies along one axis costs
    no more than that. For θ (D, m), (D, …)."""
    form = law.parsed_form
    powers = form.powers(theta)
    if powers is None:
        return np.exp(np.minimum(value_of(form.log_sum(theta, columns)), STEEPEST))
    names, exponents, coefficients = powers
    if theta.ndim > 1:  # a number for each θ, beside the axes of the columns
        shape = (len(names), *theta.shape[:-1], *[1] * max(np.ndim(column) for column in columns))
        exponents, coefficients = (np.moveaxis(x, -1, 0).reshape(shape) for x in (exponents, coefficients))
    total: FloatArray = np.zeros(())
    at = {symbol: i for i, symbol in enumerate(law.symbols)}
    # T varies along both axes: first, so that the sum has the full shape from the start.
    for i in sorted(range(len(names)), key=lambda i: names[i] != TOKENS):
        log_x = columns[at[names[i]]]
        total = total + np.exp(np.minimum(coefficients[i] - exponents[i] * log_x, STEEPEST))
    return total


def loss_of_sum(law: Law, theta: FloatArray, total: FloatArray) -> FloatArray:
    """Predicted loss from the sum of terms: the outer exponent and the irreducible loss of θ (m,)."""
    form = law.parsed_form
    outer = form.outer_exponent(theta)
    with np.errstate(over="ignore"):
        raised = total if outer is None else total**outer
        irreducible = form.log_irreducible(theta)
        return np.asarray(raised if irreducible is None else raised + np.exp(irreducible))
