"""The logarithm of a term as a function of a law's constants: linear in most, with polynomials in logs of columns.

    A/N^(a + g·log X)   →   log A − a·log N − g·log X·log N

A positive constant is known by its logarithm, so that a product is a sum and a power a product: sums and products of
powers, tied and fixed exponents and interactions are all linear. What is not (a constant inside a sum, a square, the
product of two constants) is kept as it is written, in `Linear.rest`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gemstones.errors import InvalidRequest
from gemstones.laws.tree import (
    Call,
    Constant,
    Expression,
    Number,
    Power,
    Product,
    Sum,
    constants,
    product_of,
    sum_of,
    written,
)

Monomial = tuple[Expression, ...]
"""A product of the logs of these: columns, or whatever of columns is no product of powers."""
Polynomial = dict[Monomial, float]
ONE: Monomial = ()


@dataclass(frozen=True)
class Linear:
    """Σ over constants θ of (their polynomial)·θ, plus a polynomial, plus what is not linear."""

    of: dict[str, Polynomial] = field(default_factory=dict)
    """Polynomial of each constant; that of "" stands alone."""
    rest: tuple[tuple[Polynomial, Expression], ...] = ()
    """Polynomials times expressions of several constants, or of one in its own way."""

    def __add__(self, other: Linear) -> Linear:
        return Linear(_added(self.of, other.of), self.rest + other.rest)

    def times(self, factor: Polynomial) -> Linear:
        """Every part multiplied by a polynomial."""
        of = {name: _multiplied(p, factor) for name, p in self.of.items()}
        return Linear(of, tuple((_multiplied(p, factor), e) for p, e in self.rest))


def log_of(tree: Expression, positive: frozenset[str]) -> Linear:
    """The log of a positive expression; `positive` are the constants that are known by their logs."""
    match tree:
        case Number(value) if value > 0:
            log = Linear({"": {ONE: math.log(value)}})
        case Number(value):
            raise InvalidRequest(
                f"law has {value:g} where only a positive number has a meaning: write another"
            )
        case Constant(name) if name in positive:
            log = Linear({name: {ONE: 1.0}})
        case Product(factors):
            log = _sum((power, log_of(factor, positive)) for power, factor in factors)
        case Power(base, exponent):
            log = multiplied(value_of(exponent, positive), log_of(base, positive), positive)
        case Call("exp", (argument,)):
            log = value_of(argument, positive)
        case _ if any(constants(tree)):
            log = Linear(rest=(({ONE: 1.0}, Call("log", (tree,))),))
        case _:
            log = Linear({"": {(tree,): 1.0}})
    return log


def value_of(tree: Expression, positive: frozenset[str]) -> Linear:
    """An expression of any sign, as it stands in an exponent."""
    match tree:
        case Number(value):
            whole = Linear({"": {ONE: value}})
        case Constant(name) if name not in positive:
            whole = Linear({name: {ONE: 1.0}})
        case Sum(parts):
            whole = _sum((sign, value_of(part, positive)) for sign, part in parts)
        case Call("log", (argument,)):
            whole = log_of(argument, positive)
        case Product(factors) if all(power == 1 or isinstance(f, Number) for power, f in factors):
            whole = Linear({"": {ONE: 1.0}})
            for power, factor in factors:
                one = Number(1 / factor.value) if power == -1 and isinstance(factor, Number) else factor
                whole = multiplied(whole, value_of(one, positive), positive)
        case Power(base, Number(2.0)) if not any(constants(base)):
            once = value_of(base, positive)
            whole = multiplied(once, once, positive)
        case _ if any(constants(tree)):
            whole = Linear(rest=(({ONE: 1.0}, tree),))
        case _:
            whole = Linear({"": {(Call("exp", (tree,)),): 1.0}})
    return whole


def multiplied(left: Linear, right: Linear, positive: frozenset[str]) -> Linear:
    """A product: of constants with each other it is not linear."""
    product = Linear()
    for a in _parts(left, positive):
        for b in _parts(right, positive):
            factor = _multiplied(a.polynomial, b.polynomial)
            if a.tree is None or b.tree is None:
                product += (b if a.tree is None else a).with_polynomial(factor)
            else:
                product += Linear(rest=((factor, product_of(iter([(1, a.tree), (1, b.tree)]))),))
    return product


def expression(polynomial: Polynomial) -> Expression:
    """A polynomial as it would be written."""
    parts: list[tuple[int, Expression]] = []
    for monomial, factor in polynomial.items():
        logs: list[tuple[int, Expression]] = [(1, Call("log", (atom,))) for atom in monomial]
        number: list[tuple[int, Expression]] = [] if abs(factor) == 1 and logs else [(1, Number(abs(factor)))]
        parts.append((1 if factor >= 0 else -1, product_of(iter(number + logs))))
    return sum_of(iter(parts)) if parts else Number(0.0)


@dataclass(frozen=True)
class _Part:
    polynomial: Polynomial
    name: str | None
    """Of a constant, or "" for a part without any; None for an expression."""
    tree: Expression | None
    """Of the constant as it counts here, or of the expression; None for a part without any."""

    def with_polynomial(self, polynomial: Polynomial) -> Linear:
        """This with another polynomial in place of its own."""
        if self.name is not None:
            return Linear({self.name: polynomial})
        assert self.tree is not None
        return Linear(rest=((polynomial, self.tree),))


def _parts(linear: Linear, positive: frozenset[str]) -> list[_Part]:
    def counted(name: str) -> Expression | None:
        if not name:
            return None
        return Call("log", (Constant(name),)) if name in positive else Constant(name)

    return [
        *(_Part(polynomial, name, counted(name)) for name, polynomial in linear.of.items()),
        *(_Part(polynomial, None, tree) for polynomial, tree in linear.rest),
    ]


def _sum(parts: Iterable[tuple[int, Linear]]) -> Linear:
    whole = Linear()
    for sign, part in parts:
        whole += part if sign == 1 else part.times({ONE: -1.0})
    return whole


def _added(left: dict[str, Polynomial], right: dict[str, Polynomial]) -> dict[str, Polynomial]:
    whole = {name: dict(polynomial) for name, polynomial in left.items()}
    for name, polynomial in right.items():
        mine = whole.setdefault(name, {})
        for monomial, factor in polynomial.items():
            mine[monomial] = mine.get(monomial, 0.0) + factor
    return {name: {m: f for m, f in p.items() if f} for name, p in whole.items()}


def _multiplied(left: Polynomial, right: Polynomial) -> Polynomial:
    whole: Polynomial = {}
    for a, a_factor in left.items():
        for b, b_factor in right.items():
            monomial = tuple(sorted((*a, *b), key=written))
            whole[monomial] = whole.get(monomial, 0.0) + a_factor * b_factor
    return whole
