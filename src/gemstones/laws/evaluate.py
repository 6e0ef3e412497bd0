"""Values of formulas, from logs of columns and a law's constants as they are kept; with derivatives, if given any."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gemstones.laws.dual import Number, exp, log, logaddexp, maximum, minimum, power
from gemstones.laws.linear import Polynomial
from gemstones.laws.tree import Call, Column, Constant, Expression, Power, Product, Sum
from gemstones.laws.tree import Number as Written


@dataclass(frozen=True, eq=False)
class Values:
    """What names stand for; all broadcast against each other."""

    log_columns: Mapping[str, Number]
    """Log of each column."""
    constants: Mapping[str, Number]
    """Of each constant: its log if it is in `positive`, itself otherwise."""
    positive: frozenset[str]

    def polynomial(self, polynomial: Polynomial) -> Number:
        """Σ factor·Π logs."""
        total: Number = 0.0
        for monomial, factor in polynomial.items():
            one: Number = factor
            for atom in monomial:
                one = one * self.log_of(atom)
            total = total + one
        return total

    def log_of(self, tree: Expression) -> Number:  # noqa: PLR0911 (one case a line)
        """The log of a positive expression."""
        match tree:
            case Written(value):
                return math.log(value)
            case Column(name):
                return self.log_columns[name]
            case Constant(name) if name in self.positive:
                return self.constants[name]
            case Product(factors):
                return _sum([self.log_of(f) if sign == 1 else -self.log_of(f) for sign, f in factors])
            case Power(base, exponent):
                return self.value_of(exponent) * self.log_of(base)
            case Sum(parts) if all(sign == 1 for sign, _ in parts):
                (_, first), *others = parts
                total = self.log_of(first)
                for _, part in others:
                    total = logaddexp(total, self.log_of(part))
                return total
            case Call("exp", (argument,)):
                return self.value_of(argument)
            case Call("min", (a, b)):
                return minimum(self.log_of(a), self.log_of(b))
            case Call("max", (a, b)):
                return maximum(self.log_of(a), self.log_of(b))
            case Call("repeated", (a, b, c)):
                return _log_repeated(self.log_of(a), self.log_of(b), self.log_of(c))
            case _:
                return log(self.value_of(tree))

    def value_of(self, tree: Expression) -> Number:  # noqa: PLR0911
        """An expression of any sign."""
        match tree:
            case Written(number):
                return number
            case Constant(name) if name not in self.positive:
                return self.constants[name]
            case Sum(parts):
                return _sum([self.value_of(p) if sign == 1 else -self.value_of(p) for sign, p in parts])
            case Product(factors):
                product: Number = 1.0
                for sign, factor in factors:
                    value = self.value_of(factor)
                    product = product * (value if sign == 1 else power(value, -1.0))
                return product
            case Power(base, Written(exponent)):
                return power(self.value_of(base), exponent)
            case Call("log", (argument,)):
                return self.log_of(argument)
            case Call("min", (a, b)):
                return minimum(self.value_of(a), self.value_of(b))
            case Call("max", (a, b)):
                return maximum(self.value_of(a), self.value_of(b))
            case _:
                return exp(self.log_of(tree))


def _sum(parts: list[Number]) -> Number:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _log_repeated(x: Number, unique: Number, passes: Number) -> Number:
    """log of u·(1 + r·(1 − exp(−(x/u − 1)/r))) beyond u, of x up to it; all arguments are logs."""
    repeats = maximum(exp(x - unique) - 1.0, 0.0)
    worn = 1.0 - exp(-(repeats * exp(-passes)))
    return minimum(x, unique) + log(1.0 + exp(passes) * worn)
