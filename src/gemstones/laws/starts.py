"""Where to start from: values of the constants that a formula does not have as exponents or coefficients.

What a constant is added to, or divides, says how large it may be: a critical batch lies among the batches, the centre
of a bowl among the learning rates. A factor that all terms have is fitted by itself first, to what a quadratic function
of the other columns leaves of the log of reducible loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gemstones.laws.dual import value_of
from gemstones.laws.evaluate import Values
from gemstones.laws.form import Form
from gemstones.laws.listed import tree_of
from gemstones.laws.tree import Constant, Expression, Product, Sum, columns, constants, product_of, walk
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    from gemstones.laws.solver.problem import Inner

QUANTILES = (0.5, 0.15, 0.85)
"""Of what a constant is compared with."""
PASSES = (np.log(4.0), 0.0, np.log(16.0))
"""A positive constant that is compared with nothing, as its logarithm: of order one."""
REDUCIBLE = 0.9
"""The irreducible loss is taken as this share of the least loss while a common factor is fitted by itself."""
STEPS = 60
"""Of the descent that fits it."""
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


def fitted_alone(
    inner: Inner, log_loss: FloatArray, others: Sequence[FloatArray], lower: FloatArray, upper: FloatArray
) -> FloatArray:
    """Starts (s, q) of a factor that all terms have, by least squares from each of its own starts, best first.

    `others` are logs of the columns of the rest of the law, (n,) each. What they explain is left out by projection
    (variable projection, Golub & Pereyra 1973), so that the descent is in the q constants of the factor alone.
    """
    least = float(np.exp(log_loss.min()))
    target = np.log(np.exp(log_loss) - REDUCIBLE * least)
    centred = [x - x.mean() for x in others]
    features = [np.ones_like(target), *centred, *(a * b for i, a in enumerate(centred) for b in centred[i:])]
    basis, _ = np.linalg.qr(np.column_stack(features))

    def left(values: FloatArray) -> FloatArray:
        return np.asarray(values - basis @ (basis.T @ values))

    ends = []
    for start in inner.starts:
        theta, damping = np.clip(start, lower, upper), 1e-2
        residual = left(target - inner.value(theta[None])[0])
        for _ in range(STEPS):
            slopes = left(inner.derivatives(theta[None])[0][0].T)
            normal, gradient = slopes.T @ slopes, slopes.T @ residual
            scale = np.maximum(np.diagonal(normal), 1e-12 * max(float(np.trace(normal)), 1e-300))
            step = np.linalg.solve(normal + damping * np.diag(scale), gradient)
            trial = np.clip(theta + step, lower, upper)
            with np.errstate(over="ignore"):
                after = left(target - inner.value(trial[None])[0])
            better = bool(np.isfinite(after).all() and after @ after < residual @ residual)
            damping = damping / 3 if better else damping * 4
            if better:
                theta, residual = trial, after
        ends.append((float(residual @ residual), theta))
    ends.sort(key=lambda end: end[0])
    return np.array([theta for _, theta in ends])
