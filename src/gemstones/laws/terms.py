"""What a formula says: its terms, the irreducible loss, the exponent around the sum, and the kind of every constant.

    L̂ = (Σᵢ exp(ηᵢ))^p + exp(E)

A constant that multiplies positive things is positive and kept as its logarithm; one in an exponent is a number of any
sign. An exponent stands alone in a power of the formula and counts in the direction that is written there: `A/N^a`
falls where a is positive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gemstones.errors import InvalidRequest
from gemstones.laws.linear import ONE, Linear, Polynomial, expression, log_of
from gemstones.laws.solver.problem import Kind
from gemstones.laws.tree import (
    Call,
    Constant,
    Expression,
    Number,
    Power,
    Product,
    Sum,
    children,
    columns,
    constants,
    product_of,
    sum_of,
    written,
)

MOST_TERMS, MOST_CONSTANTS = 32, 64


@dataclass(frozen=True)
class Parameter:
    """A constant of a law, before it is split by the values of its group."""

    name: str
    kind: Kind
    group: str
    """Column between whose values it differs; empty for none."""
    positive: bool
    """Kept as its logarithm."""
    free: bool = False
    """Of any sign, and starting from zero: an interaction, or a further exponent of a term."""


@dataclass(frozen=True, eq=False)
class TermOf:
    """One term, as the logarithm of it."""

    text: str
    linear: tuple[tuple[str, Polynomial], ...]
    """Constants that η is linear in, with what multiplies them."""
    offset: Polynomial
    rest: tuple[tuple[Polynomial, Expression], ...]
    """Polynomials times expressions that are not linear in their constants."""
    columns: tuple[str, ...]
    """Of the term, in the order in which they are written."""

    @property
    def constants(self) -> frozenset[str]:
        """Names of the constants in it."""
        nonlinear = {c.name for _, tree in self.rest for c in constants(tree)}
        return frozenset(nonlinear | {name for name, _ in self.linear})


@dataclass(frozen=True, eq=False)
class Structure:
    """A formula, understood."""

    parameters: tuple[Parameter, ...]
    """Exponents, coefficients, the irreducible loss, the outer exponent, and whatever else; as in θ."""
    terms: tuple[TermOf, ...]
    constant: str | float | None
    """The irreducible loss: the name of its constant, a fixed number of nats, or None."""
    outer: str | float | None
    """The exponent around the sum: the name of its constant, a fixed number, or None for 1."""
    columns: tuple[str, ...]
    """Of all terms, in the order in which they are written."""

    @property
    def positive(self) -> frozenset[str]:
        """The constants that are kept as their logarithms."""
        return frozenset(p.name for p in self.parameters if p.positive)


@lru_cache(maxsize=256)
def structure_of(tree: Expression) -> Structure:
    """The law that a tree of `parse_formula` writes; `InvalidRequest` if it is none."""
    constant, outer, inner = _split(tree)
    positive = frozenset(c.name for c in constants(tree)) - _real(tree)
    summands = list(_summands(inner))
    if len(summands) > MOST_TERMS:
        raise InvalidRequest(f"law has {len(summands)} terms, more than {MOST_TERMS}: write a smaller one")
    if not columns(tree):
        raise InvalidRequest(
            f"law {written(tree)!r} has no column: write one like E + A/N^a + B/T^b; a column of another name stands "
            "in braces"
        )
    logs = [_log(term, positive) for term in summands]
    terms = tuple(
        TermOf(
            written(term),
            tuple((name, p) for name, p in log.of.items() if name),
            log.of.get("", {}),
            log.rest,
            columns(term),
        )
        for term, log in zip(summands, logs, strict=True)
    )
    parameters = _parameters(tree, summands, terms, constant, outer, positive)
    _check_told_apart(parameters, terms)
    return Structure(parameters, terms, constant, outer, columns(tree))


def _split(tree: Expression) -> tuple[str | float | None, str | float | None, Expression]:
    """Irreducible loss, outer exponent, and the sum of terms inside."""
    parts = tree.parts if isinstance(tree, Sum) else ((1, tree),)
    if any(sign == -1 for sign, _ in parts):
        subtracted = next(part for sign, part in parts if sign == -1)
        raise InvalidRequest(
            f"law subtracts {written(subtracted)}: a law is a sum of positive terms, so write it with a plus, and a "
            "term that grows with its column as A*N^a"
        )
    alone = [part for _, part in parts if isinstance(part, Constant | Number)]
    others = [part for _, part in parts if not isinstance(part, Constant | Number)]
    if len(alone) > 1:
        raise InvalidRequest(
            f"law has {' and '.join(map(written, alone))} standing alone: loss determines their sum, so keep one"
        )
    constant: str | float | None = None
    if alone:
        constant = alone[0].name if isinstance(alone[0], Constant) else _positive(alone[0].value)
    raised = [part for part in others if isinstance(part, Power) and any(constants(part.base))]
    if raised and isinstance(raised[0].base, Sum):
        (power, *rest) = others
        if rest or not isinstance(power, Power):
            raise InvalidRequest(
                f"law has terms beside {written(raised[0])}: only an irreducible loss can stand there, so put them "
                "inside the parentheses, or write the power as a factor of a term"
            )
        exponent = power.exponent
        if isinstance(exponent, Number):
            return constant, _positive(exponent.value), power.base
        if isinstance(exponent, Constant) and not exponent.group:
            return constant, exponent.name, power.base
        raise InvalidRequest(
            f"law has the exponent {written(exponent)} around its sum: a constant or a number can stand there, like "
            "(A/N^a + B/T^b)^p"
        )
    for part in others:
        factors = part.factors if isinstance(part, Product) else ()
        if any(
            isinstance(f, Power) and isinstance(f.base, Sum) and _is_sum_of_terms(f.base) for _, f in factors
        ):
            raise InvalidRequest(
                f"law has a factor of a power of a sum in {written(part)}: coefficients inside the parentheses say the "
                "same, so leave it out"
            )
    if not others:
        raise InvalidRequest(f"law {written(tree)!r} has no term: write one like E + A/N^a + B/T^b")
    return constant, None, sum_of((1, part) for part in others)


def _is_sum_of_terms(tree: Sum) -> bool:
    """Whether every part has a constant and a column: A/N^a + B/T^b, but not batch + K."""
    return all(any(constants(part)) and columns(part) for _, part in tree.parts)


def _positive(value: float) -> float:
    if value > 0:
        return value
    raise InvalidRequest(
        f"law has {value:g} where only a positive number has a meaning: write another, or leave it out"
    )


def _summands(tree: Expression) -> Iterator[Expression]:
    """Terms of a sum; products of sums are multiplied out where a constant is in the sum."""
    if isinstance(tree, Sum):
        for sign, part in tree.parts:
            if sign == -1:
                raise InvalidRequest(f"law subtracts {written(part)} in a sum of terms: write it with a plus")
            yield from _summands(part)
        return
    factors = tree.factors if isinstance(tree, Product) else ()
    for i, (power, factor) in enumerate(factors):
        if power == 1 and isinstance(factor, Sum) and any(constants(factor)):
            if any(sign == -1 for sign, _ in factor.parts):
                continue
            for _, part in factor.parts:
                yield from _summands(product_of(iter((*factors[:i], (1, part), *factors[i + 1 :]))))
            return
    yield tree


def _log(term: Expression, positive: frozenset[str]) -> Linear:
    scaled = any(c.name in positive for c in constants(term))
    factors = [f for _, f in term.factors] if isinstance(term, Product) else [term]
    if not scaled and not any(isinstance(factor, Number) for factor in factors):
        raise InvalidRequest(
            f"law has the term {written(term)} without a constant or a number that scales it: write A*{written(term)}, "
            f"or 1*{written(term)}"
        )
    return log_of(term, positive)


def _real(tree: Expression, real: bool = False) -> frozenset[str]:
    """Constants that stand in exponents, or are added to logarithms: of any sign."""
    match tree:
        case Constant(name):
            return frozenset([name]) if real else frozenset()
        case Power(base, exponent):
            return _real(base, real) | _real(exponent, True)
        case Call("exp", (argument,)):
            return _real(argument, True)
        case Call("log", arguments) | Call("repeated", arguments):
            return frozenset().union(*(_real(argument, False) for argument in arguments))
        case Product(factors):  # what divides cannot be zero
            divisors = {f for power, f in factors if power == -1 and isinstance(f, Constant)}
            return frozenset().union(*(_real(f, real) for _, f in factors if f not in divisors))
        case _:
            return frozenset().union(*(_real(part, real) for part in children(tree)))


def _parameters(
    tree: Expression,
    summands: Sequence[Expression],
    terms: tuple[TermOf, ...],
    constant: str | float | None,
    outer: str | float | None,
    positive: frozenset[str],
) -> tuple[Parameter, ...]:
    groups = {c.name: c.group for c in constants(tree)}
    if len(groups) > MOST_CONSTANTS:
        raise InvalidRequest(
            f"law has {len(groups)} constants, more than {MOST_CONSTANTS}: write a smaller one"
        )
    in_terms = frozenset().union(*(term.constants for term in terms))
    for name, what in ((constant, "the irreducible loss"), (outer, "the exponent around the sum")):
        if isinstance(name, str) and name in in_terms:
            raise InvalidRequest(f"law has {name} as {what} and in a term: give them two names")
    exponents, further = _directions(summands)
    kinds: dict[str, Kind] = {}
    free = set()
    for name in groups:
        if name == constant:
            kinds[name] = "constant"
        elif name == outer:
            kinds[name] = "outer"
        elif name in positive:
            kinds[name] = "coefficient" if _is_coefficient(name, terms) else "inner"
        elif name in exponents - further:
            kinds[name] = "exponent"
        else:
            kinds[name] = "inner"
            if not any(name in {c.name for c in constants(e)} for t in terms for e in _term_parts(t)):
                free.add(name)
    order: tuple[Kind, ...] = ("exponent", "coefficient", "constant", "outer", "inner")
    return tuple(
        Parameter(name, kind, groups[name], name in positive or kind in ("constant", "outer"), name in free)
        for wanted in order
        for name, kind in kinds.items()
        if kind == wanted
    )


def _term_parts(term: TermOf) -> list[Expression]:
    return [tree for _, tree in term.rest]


def _is_coefficient(name: str, terms: tuple[TermOf, ...]) -> bool:
    """Whether a positive constant only ever multiplies."""
    nonlinear = {c.name for term in terms for part in _term_parts(term) for c in constants(part)}
    factors = [p for term in terms for linear, p in term.linear if linear == name]
    return name not in nonlinear and all(p == {ONE: 1.0} for p in factors)


def _exponents(term: Expression, falls: bool = False) -> Iterator[tuple[str, bool]]:
    """Constants that are exponents of a term's factors, and whether it falls with them: a in 1/N^a and in N^-a.

    What stands in an exponent, in a sum or under a function is no factor.
    """
    match term:
        case Product(factors):
            for power, factor in factors:
                yield from _exponents(factor, falls != (power == -1))
        case Power(base, exponent):
            parts = exponent.parts if isinstance(exponent, Sum) else ((1, exponent),)
            if columns(base):
                yield from (
                    (part.name, falls != (sign == -1)) for sign, part in parts if isinstance(part, Constant)
                )


def _directions(summands: Sequence[Expression]) -> tuple[frozenset[str], frozenset[str]]:
    """Constants that are exponents, and those of either sign: where a term falls with one, others may do anything."""
    every: set[str] = set()
    further: set[str] = set()
    for term in summands:
        exponents = list(_exponents(term))
        every |= {name for name, _ in exponents}
        if any(falls for _, falls in exponents):
            further |= {name for name, falls in exponents if not falls}
    for term in summands:
        further -= {name for name, falls in _exponents(term) if falls}
    return frozenset(every), frozenset(further)


def _check_told_apart(parameters: tuple[Parameter, ...], terms: tuple[TermOf, ...]) -> None:
    """No two constants enter everywhere alike."""
    nonlinear = {c.name for term in terms for part in _term_parts(term) for c in constants(part)}
    seen: dict[str, str] = {}
    for parameter in parameters:
        if parameter.name in nonlinear or parameter.kind in ("constant", "outer"):
            continue
        # Equal up to a factor: A*B, and the square of one.
        entries = [(i, dict(term.linear).get(parameter.name, {})) for i, term in enumerate(terms)]
        scale = next(factor for _, p in entries for factor in p.values())
        key = repr(
            [(i, sorted((written_monomial(m), f / scale) for m, f in p.items())) for i, p in entries if p]
        ) + repr(parameter.group)
        if key in seen:
            raise InvalidRequest(
                f"law has {seen[key]} and {parameter.name} only together: loss cannot tell them apart, so keep one"
            )
        seen[key] = parameter.name


def written_monomial(monomial: tuple[Expression, ...]) -> str:
    """A product of logs, to compare with others."""
    return written(expression({monomial: 1.0}))
