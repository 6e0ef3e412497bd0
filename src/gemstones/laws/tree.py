"""Formulas of laws as trees: columns, constants, numbers, and what is made of them; and their text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gemstones.runs.schema import SCHEMA
from gemstones.units import format_number

SYMBOLS = {
    "w": "width",
    "d": "depth",
    "N": "params_{convention}",
    "T": "tokens",
    "F": "flops_per_token",
    "P": "params_non_embedding",
    "b": "projection_flops",
}
"""Symbol → column. N counts parameters in the fit's convention; b is 2·d·w², the FLOPs per token of a square projection
in every block, forward."""
BARE = frozenset(
    {
        *("w", "d", "N", "T", "lr", "batch", "unique_tokens", "granularity", "experts", "tokens_per_param"),
        *(column.name for column in SCHEMA if column.dtype != "String"),
    }
)
"""Names that are columns wherever they stand outside an exponent. The other symbols are so only as bases of powers and
in logarithms: a formula that goes on from `A/…` and `B/…` to `F/…` means a constant."""


@dataclass(frozen=True)
class Number:
    """A number as it is written."""

    value: float


@dataclass(frozen=True)
class Column:
    """A column of the run table, by symbol or name."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A constant of the law, one for each value of the column `group` if there is one."""

    name: str
    group: str = ""


@dataclass(frozen=True)
class Sum:
    """Parts with their signs, +1 or −1."""

    parts: tuple[tuple[int, Expression], ...]


@dataclass(frozen=True)
class Product:
    """Factors with their powers, +1 or −1."""

    factors: tuple[tuple[int, Expression], ...]


@dataclass(frozen=True)
class Power:
    """base^exponent."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True)
class Call:
    """A function of `FUNCTIONS`."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Column | Constant | Sum | Product | Power | Call

FUNCTIONS = {"log": 1, "exp": 1, "min": 2, "max": 2, "repeated": 3}
"""Function → number of arguments. `repeated(x, u, r)` is what x counts for when only u of it differs and repeating is
worth r further passes at most: u·(1 + r·(1 − exp(−(x/u − 1)/r))) beyond u (Muennighoff et al. 2023, Equation 5)."""

_PLAIN = re.compile(r"[^\W\d]\w*")


def symbol(name: str) -> str:
    """The symbol of a column that has one of its own, whatever N counts.

    >>> symbol("width"), symbol("granularity")
    ('w', 'granularity')
    """
    return next((short for short, column in SYMBOLS.items() if column == name), name)


def constants(tree: Expression) -> Iterator[Constant]:
    """Every constant of a tree, as often and in the order in which it is written."""
    for part in walk(tree):
        if isinstance(part, Constant):
            yield part


def columns(tree: Expression) -> tuple[str, ...]:
    """The columns of a tree, each once, in the order in which they are written."""
    return tuple(dict.fromkeys(part.name for part in walk(tree) if isinstance(part, Column)))


def walk(tree: Expression) -> Iterator[Expression]:
    """A tree and all its parts, from left to right."""
    yield tree
    for part in children(tree):
        yield from walk(part)


def children(tree: Expression) -> tuple[Expression, ...]:
    """The parts that a tree is made of."""
    match tree:
        case Sum(parts):
            return tuple(part for _, part in parts)
        case Product(factors):
            return tuple(factor for _, factor in factors)
        case Power(base, exponent):
            return base, exponent
        case Call(_, arguments):
            return arguments
        case _:
            return ()


def rebuilt(tree: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """A tree with every part replaced by what `change` makes of it, parts before wholes."""
    match tree:
        case Sum(parts):
            tree = sum_of((sign, rebuilt(part, change)) for sign, part in parts)
        case Product(factors):
            tree = product_of((power, rebuilt(factor, change)) for power, factor in factors)
        case Power(base, exponent):
            tree = Power(rebuilt(base, change), rebuilt(exponent, change))
        case Call(function, arguments):
            tree = Call(function, tuple(rebuilt(argument, change) for argument in arguments))
    return change(tree)


def sum_of(parts: Iterator[tuple[int, Expression]]) -> Expression:
    """A sum without sums within it; of one part with a plus, the part."""
    flat: list[tuple[int, Expression]] = []
    for sign, part in parts:
        flat += [(sign * s, p) for s, p in part.parts] if isinstance(part, Sum) else [(sign, part)]
    return flat[0][1] if len(flat) == 1 and flat[0][0] == 1 else Sum(tuple(flat))


def product_of(factors: Iterator[tuple[int, Expression]]) -> Expression:
    """A product whose factors are no products; of one factor, the factor."""
    flat: list[tuple[int, Expression]] = []
    for power, factor in factors:
        splits = isinstance(factor, Product) and power == 1
        flat += factor.factors if splits else [(power, factor)]  # type: ignore[union-attr]
    return flat[0][1] if len(flat) == 1 and flat[0][0] == 1 else Product(tuple(flat))


def written(tree: Expression, values: Mapping[str, str] | None = None) -> str:
    """The text of a tree: `parse_formula` gives the tree back. With `values` in place of constants, for people."""
    return _Writer(values or {}).text(tree, 0)


@dataclass(frozen=True)
class _Writer:
    values: Mapping[str, str]
    """Texts that stand in place of constants."""

    def text(self, tree: Expression, within: int, *, column: bool = False) -> str:
        """With parentheses where `tree` binds less than `within`: 0 sum, 1 product, 2 power, 3 base or exponent.

        `column` says that a name here is read as a column.
        """
        binds, text = 3, ""
        match tree:
            case Number(value):
                text = format_number(value)
            case Column(name):
                bare = name in BARE or (column and _PLAIN.fullmatch(name) is not None)
                text = name if bare else f"{{{name}}}"
            case Constant(name) if name in self.values:
                text = self.values[name]
                binds = 0 if text.startswith("-") else 3
            case Constant(name, group):
                plain = _PLAIN.fullmatch(group) is not None
                text = name + (f"[{group if plain else f'{{{group}}}'}]" if group else "")
            case Call(function, arguments):
                inside = ", ".join(self.text(a, 0, column=function == "log") for a in arguments)
                text = f"{function}({inside})"
            case Power(base, exponent):
                binds, text = 2, f"{self.text(base, 3, column=True)}^{self.text(exponent, 3)}"
            case Product(factors):
                text = "".join(f"{'*' if power == 1 else '/'}{self.text(f, 2)}" for power, f in factors)
                binds, text = 1, text.removeprefix("*") if text.startswith("*") else "1" + text
            case Sum(parts):
                text = "".join(f"{' + ' if sign == 1 else ' - '}{self.text(part, 1)}" for sign, part in parts)
                text = re.sub(r" \+ \(-([\d.e+-]+)\)", r" - \1", text) if self.values else text
                binds = 0
                text = text.removeprefix(" + ") if text.startswith(" + ") else "-" + text.removeprefix(" - ")
        return f"({text})" if binds < within else text
