"""Where to start from: values of the constants that a formula does not have as exponents or coefficients.

What a constant is added to, or divides, says how large it may be: a critical batch lies among the batches, the centre
of a bowl among the learning rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gemstones.laws.dual import value_of
from gemstones.laws.evaluate import Values
from gemstones.laws.form import Form
from gemstones.laws.listed import tree_of
from gemstones.laws.tree import Constant, Expression, Product, Sum, columns, constants, product_of, walk
from gemstones.shape import FloatArray

QUANTILES = (0.5, 0.15, 0.85)
"""Of what a constant is compared with."""
PASSES = (np.log(4.0), 0.0, np.log(16.0))
"""A positive constant that is compared with nothing, as its logarithm: of order one."""
SLOPE, CURVATURE = 0.0, 0.1
"""A constant that multiplies columns alone, and one that multiplies other constants."""


def starts_of(form: Form, name: str, log_columns: Mapping[str, FloatArray]) -> FloatArray:
    """Three values of a constant, as it is kept, the likeliest first."""
    i = form.index(name)
    lower, upper = (bounds[i] for bounds in form.limits())
    tree = tree_of(form.text)
    values = Values(log_columns, {}, frozenset())
    if form.entries[i].parameter.positive:
        compared = [np.ravel(x) for x in _magnitudes(tree, name, values)]
        starts = np.array(PASSES)
    else:
        compared = [np.ravel(x) for x in _beside(tree, name, values)]
        starts = np.full(3, CURVATURE if _multiplies_constants(tree, name) else SLOPE)
    if compared:
        starts = np.quantile(np.concatenate(compared), QUANTILES)
    if not ((lower < starts) & (starts < upper)).all():
        low, high = np.clip([lower, upper], -20.0, 20.0)
        starts = low + (high - low) * np.array(QUANTILES)
    return starts


def _magnitudes(tree: Expression, name: str, values: Values) -> Iterator[FloatArray]:
    """Logs of what a positive constant is added to, or is a multiple of."""
    for part in walk(tree):
        if isinstance(part, Sum) and any(p == _named(part, name) for _, p in part.parts):
            plain = [p for _, p in part.parts if columns(p) and not any(constants(p))]
            yield from (value_of(values.log_of(p)) for p in plain)
        if isinstance(part, Product):
            mine = next((power for power, f in part.factors if f == _named(part, name)), None)
            plain_factors = [(power, f) for power, f in part.factors if not any(constants(f))]
            if mine is not None and any(columns(f) for _, f in plain_factors):
                yield -mine * value_of(values.log_of(product_of(iter(plain_factors))))


def _beside(tree: Expression, name: str, values: Values) -> Iterator[FloatArray]:
    """Values of what a constant of any sign is subtracted from, or added to."""
    for part in walk(tree):
        if isinstance(part, Sum):
            mine = next((sign for sign, p in part.parts if p == _named(part, name)), None)
            for sign, p in part.parts:
                if mine is not None and columns(p) and not any(constants(p)):
                    yield -mine * sign * value_of(values.value_of(p))


def _multiplies_constants(tree: Expression, name: str) -> bool:
    return any(
        isinstance(part, Product)
        and any(f == _named(part, name) for _, f in part.factors)
        and any(c.name != name for _, f in part.factors for c in constants(f))
        for part in walk(tree)
    )


def _named(tree: Expression, name: str) -> Constant | None:
    """The constant of that name as it stands in a tree."""
    return next((c for c in constants(tree) if c.name == name), None)
