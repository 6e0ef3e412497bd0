"""Numbers that carry their first and second derivatives, over arrays: exact derivatives of whatever is written.

Forward mode: every operation applies the chain rule to gradient and Hessian. It serves the few parts of a law that are
not linear in its constants, and derivatives in columns; the rest of a law has closed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.shape import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Dual:
    """A value with its derivatives in q variables; shapes broadcast."""

    value: FloatArray
    """(…)"""
    gradient: FloatArray
    """(q, …)"""
    hessian: FloatArray
    """(q, q, …)"""

    __array_ufunc__ = None  # arrays leave operations with these to them

    def chain(self, value: FloatArray, first: FloatArray, second: FloatArray) -> Dual:
        """f of this, from f, f′ and f″ at its value."""
        outer = self.gradient[:, None] * self.gradient[None]
        return Dual(value, first * self.gradient, first * self.hessian + second * outer)

    def __add__(self, other: Number) -> Dual:
        if isinstance(other, Dual):
            return Dual(
                self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian
            )
        return Dual(self.value + other, self.gradient, self.hessian)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.gradient, -self.hessian)

    def __sub__(self, other: Number) -> Dual:
        return self + -other

    def __rsub__(self, other: Number) -> Dual:
        return -self + other

    def __mul__(self, other: Number) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value * other, self.gradient * other, self.hessian * other)
        cross = self.gradient[:, None] * other.gradient[None]
        return Dual(
            self.value * other.value,
            self.gradient * other.value + self.value * other.gradient,
            self.hessian * other.value + self.value * other.hessian + cross + cross.swapaxes(0, 1),
        )

    __rmul__ = __mul__


Number = Dual | FloatArray | float


def variables(values: Sequence[FloatArray]) -> list[Dual]:
    """Independent variables: each its own derivative."""
    q = len(values)
    dims = np.broadcast(*values).ndim if values else 0
    ones = np.eye(q).reshape(q, q, *[1] * dims)
    none = np.zeros((q, q, *[1] * dims))
    return [Dual(np.asarray(value), ones[i], none) for i, value in enumerate(values)]


def exp(x: Number) -> Number:
    """e^x."""
    if isinstance(x, Dual):
        y = np.exp(x.value)
        return x.chain(y, y, y)
    return np.asarray(np.exp(x))


def log(x: Number) -> Number:
    """Natural logarithm."""
    if isinstance(x, Dual):
        inverse = 1 / x.value
        return x.chain(np.log(x.value), inverse, -(inverse**2))
    return np.asarray(np.log(x))


def power(x: Number, exponent: float) -> Number:
    """x to a number."""
    if isinstance(x, Dual):
        # Written so that squares of zero have derivatives.
        first = exponent * x.value ** (exponent - 1)
        second = exponent * (exponent - 1) * (x.value ** (exponent - 2) if exponent != 1 else 0.0)
        return x.chain(x.value**exponent, first, np.asarray(second))
    return np.asarray(x**exponent)


def logaddexp(x: Number, y: Number) -> Number:
    """log(e^x + e^y), without overflow."""
    if not isinstance(x, Dual) and not isinstance(y, Dual):
        return np.asarray(np.logaddexp(x, y))
    total = np.logaddexp(value_of(x), value_of(y))
    difference = x - y
    assert isinstance(difference, Dual)
    share = np.exp(value_of(x) - total)
    mean = difference * share + y
    assert isinstance(mean, Dual)
    outer = difference.gradient[:, None] * difference.gradient[None]
    return Dual(total, mean.gradient, mean.hessian + share * (1 - share) * outer)


def logsumexp(terms: Sequence[Number]) -> Number:
    """log Σ e^x, without overflow."""
    first, *others = terms
    total = first
    for term in others:
        total = logaddexp(total, term)
    return total


def where(condition: BoolArray, x: Number, y: Number) -> Number:
    """x where the condition holds, y elsewhere."""
    if not isinstance(x, Dual) and not isinstance(y, Dual):
        return np.where(condition, x, y)
    a, b = _lifted(x, y), _lifted(y, x)
    return Dual(
        np.where(condition, a.value, b.value),
        np.where(condition, a.gradient, b.gradient),
        np.where(condition, a.hessian, b.hessian),
    )


def minimum(x: Number, y: Number) -> Number:
    """The lesser of both, with its derivatives."""
    return where(value_of(x) <= value_of(y), x, y)


def maximum(x: Number, y: Number) -> Number:
    """The greater of both, with its derivatives."""
    return where(value_of(x) >= value_of(y), x, y)


def value_of(x: Number) -> FloatArray:
    """The value alone."""
    return x.value if isinstance(x, Dual) else np.asarray(x)


def _lifted(x: Number, other: Number) -> Dual:
    """x as a constant beside `other`, which has derivatives."""
    if isinstance(x, Dual):
        return x
    assert isinstance(other, Dual)
    return Dual(np.asarray(x), np.zeros_like(other.gradient), np.zeros_like(other.hessian))
