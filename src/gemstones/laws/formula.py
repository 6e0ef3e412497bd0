"""The grammar in which laws are written as formulas: text to tree and back, nothing evaluated.

    sum     = ["-"] product {("+" | "-") product}
    product = power {("*" | "/") power}
    power   = atom [("^" | "**") ["-"] power]
    atom    = number | name ["[" column "]"] | function "(" sum {"," sum} ")" | "(" sum ")" | "{" column "}"

A name is a column of the run table or a constant of the law. It is a column where it is the base of a power or the
argument of a logarithm (`N^a`, `log(granularity)`), where it is one of the names in `BARE` (`N`, `T`, `tokens`), and
in braces (`{batch size}`); it is a constant everywhere else, and always in an exponent: in `C/(N^c*T^d)` d is an
exponent, in `B/d^b` it is depth. A constant may differ between the values of a text column: `A[recipe]`.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from gemstones.errors import InvalidRequest
from gemstones.laws.tree import (
    BARE,
    FUNCTIONS,
    SYMBOLS,
    Call,
    Column,
    Constant,
    Expression,
    Number,
    Power,
    Sum,
    columns,
    constants,
    product_of,
    sum_of,
    symbol,
)

LONGEST, DEEPEST = 1000, 16
"""Characters of a formula, and parentheses within each other."""


_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|\{(?P<column>[^{}]*)\}"
    r"|(?P<sign>\*\*|[-+*/^()\[\],]))"
)
_ALIKE = str.maketrans({"−": "-", "–": "-", "·": "*", "×": "*", "∗": "*"})


@lru_cache(maxsize=512)
def parse_formula(text: str) -> Expression:
    """The tree of a formula; `InvalidRequest` with the character where it cannot be read.

    >>> parse_formula("1.69 + A/N^a")
    Sum(parts=((1, Number(value=1.69)), (1, Product(factors=((1, Constant(name='A', group='')), \
(-1, Power(base=Column(name='N'), exponent=Constant(name='a', group=''))))))))
    """
    if len(text) > LONGEST:
        raise InvalidRequest(
            f"law of {len(text):,} characters is longer than {LONGEST:,}: write a shorter one"
        )
    reader = _Reader(text)
    tree = reader.sum(exponent=False)
    reader.expect("")
    _check_names(tree, reader)
    return tree


class _Reader:
    """Reads one formula from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.seen: dict[str, int] = {}
        """Where each name stands first."""
        self._advance()

    def error(self, rule: str, at: int | None = None) -> InvalidRequest:
        """What is wrong at a character, counted from 1."""
        place = self.start if at is None else at
        shown = self.text if len(self.text) <= 80 else f"…{self.text[max(place - 30, 0) : place + 30]}…"
        return InvalidRequest(f"law {shown!r}, character {place + 1}: {rule}")

    def _advance(self) -> None:
        clean = self.text.translate(_ALIKE)
        self.start = self.position + len(clean[self.position :]) - len(clean[self.position :].lstrip())
        if self.start >= len(clean):
            self.kind, self.value = "", ""
            return
        match = _TOKEN.match(clean, self.position)
        if match is None:
            raise self.error(
                f"{self.text[self.start]!r} is not of a formula: write it like E + A/N^a + B/T^b, "
                "with columns of other characters in braces"
            )
        self.kind = str(match.lastgroup)
        self.value = match[self.kind]
        if self.kind == "sign":
            self.kind = self.value = self.value.replace("**", "^")
        self.position = match.end()

    def expect(self, kind: str) -> None:
        """Go past a sign, or the end of the text."""
        if self.kind != kind:
            here = repr(self.value) if self.kind else "the end"
            if kind == "":
                start = self.kind in ("number", "name", "column", "(")
                raise self.error(
                    f"{here} follows a whole formula: "
                    + ("put an operator before it" if start else "remove it")
                )
            raise self.error(f"{here} stands where {kind!r} is needed: put it there")
        self._advance()

    def sum(self, exponent: bool) -> Expression:
        parts = []
        sign = -1 if self.kind == "-" else 1
        if self.kind == "-":
            self._advance()
        parts.append((sign, self.product(exponent)))
        while self.kind in ("+", "-"):
            sign = 1 if self.kind == "+" else -1
            self._advance()
            parts.append((sign, self.product(exponent)))
        return sum_of(iter(parts))

    def product(self, exponent: bool) -> Expression:
        factors = [(1, self.power(exponent))]
        while self.kind in ("*", "/"):
            power = 1 if self.kind == "*" else -1
            self._advance()
            factors.append((power, self.power(exponent)))
        return product_of(iter(factors))

    def power(self, exponent: bool) -> Expression:
        name = self.kind == "name"
        at = self.start
        base = self.atom(exponent)
        if self.kind != "^":
            return base
        if name and not exponent and isinstance(base, Constant) and not base.group:
            base = self.column(base.name, at)
        self._advance()
        self.down()
        if self.kind == "-":
            self._advance()
            raised: Expression = Sum(((-1, self.power(True)),))
        else:
            raised = self.power(True)
        self.depth -= 1
        return Power(base, raised)

    def down(self) -> None:
        """One parenthesis deeper."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} parentheses within each other: write it flatter")

    def atom(self, exponent: bool) -> Expression:
        kind, value, at = self.kind, self.value, self.start
        if kind not in ("number", "column", "name", "("):
            here = repr(value) if kind else "the end"
            raise self.error(
                f"{here} stands where a number, a constant or a column is needed: go on like E + A/N^a + B/T^b"
            )
        self._advance()
        if kind == "number" and not math.isfinite(float(value)):
            raise self.error(f"{value} is no finite number: write a smaller one", at)
        if kind == "(":
            self.down()
            inner = self.sum(exponent)
            self.expect(")")
            self.depth -= 1
            return inner
        if kind == "name":
            return self.named(value, at, exponent)
        return Number(float(value)) if kind == "number" else self.column(value.strip(), at)

    def named(self, name: str, at: int, exponent: bool) -> Expression:
        """What a name means, by what follows it and where it stands."""
        if self.kind == "(":
            return self.call(name, at)
        if self.kind == "[":
            return self.grouped(name, at)
        if name in BARE and not exponent:
            return self.column(name, at)
        self.seen.setdefault(name, at)
        return Constant(name)

    def column(self, name: str, at: int) -> Column:
        """A column by its symbol, if it has one."""
        if not name:
            raise self.error("braces are empty: write the name of a column in them", at)
        self.seen.setdefault(f"{{{name}}}", at)
        return Column(symbol(name))

    def grouped(self, name: str, at: int) -> Constant:
        """A constant that differs between the values of a column."""
        self._advance()
        if self.kind not in ("name", "column") or not self.value.strip():
            raise self.error(
                f"{name}[…] needs the column whose values it differs between, like {name}[family]"
            )
        group = self.value.strip()
        self._advance()
        self.expect("]")
        self.seen.setdefault(name, at)
        return Constant(name, group)

    def call(self, function: str, at: int) -> Expression:
        """A function of its arguments."""
        if function not in FUNCTIONS:
            raise self.error(
                f"{function} is no function: there are {', '.join(FUNCTIONS)}; between a constant and parentheses "
                "put an operator",
                at,
            )
        self.down()
        self._advance()
        arguments: list[Expression] = []
        while True:
            name, start = self.kind == "name", self.start
            argument = self.sum(exponent=function == "exp")
            if function == "log" and name and isinstance(argument, Constant) and not argument.group:
                argument = self.column(argument.name, start)
            arguments.append(argument)
            if self.kind != ",":
                break
            self._advance()
        self.expect(")")
        self.depth -= 1
        if len(arguments) != FUNCTIONS[function]:
            raise self.error(f"{function} takes {FUNCTIONS[function]} arguments, not {len(arguments)}", at)
        return Call(function, tuple(arguments))


def _check_names(tree: Expression, reader: _Reader) -> None:
    """A name has one meaning, and a constant is grouped everywhere alike."""
    named = columns(tree)
    groups: dict[str, str] = {}
    for constant in constants(tree):
        at = reader.seen[constant.name]
        if constant.name in named:
            raise reader.error(
                f"{constant.name} is a constant here and {SYMBOLS.get(constant.name, 'a column')} elsewhere: "
                "name the constant otherwise",
                at,
            )
        if groups.setdefault(constant.name, constant.group) != constant.group:
            raise reader.error(
                f"{constant.name} stands with and without the same [column]: write it alike everywhere", at
            )
