"""Pieces → trees, by precedence climbing (Pratt 1973). From the loosest to the tightest:

    OR |    AND &    NOT    = != < <= > >= IN BETWEEN LIKE IS    + -    * / // %    unary -    ^ **

Operations on constants are computed here, so that 1/0 and 10^400 are refused where they stand.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NoReturn

from gemstones.runs.expressions.functions import FUNCTIONS, of_constants, sizes
from gemstones.runs.expressions.tokens import Tokens
from gemstones.runs.expressions.tree import (
    ARITHMETIC,
    COMPARISONS,
    Name,
    Node,
    Number,
    Operation,
    Text,
    Truth,
    depth,
    is_condition,
)
from gemstones.runs.nearest import nearest
from gemstones.runs.one_line import listed, one_line
from gemstones.units import read_number

DEEPEST = 80
"""Operands inside one another: parentheses, signs, exponents of exponents."""

LONGEST_CHAIN = 100
"""Operations below one another in the tree: terms of a sum, say. AND, OR and IN take any number."""

_OR, _AND, _NOT, _COMPARED, _SUM, _PRODUCT, _SIGN, _POWER = range(1, 9)
_BINDING = {
    **{"or": _OR, "and": _AND, "^": _POWER},
    **dict.fromkeys((*COMPARISONS, "in", "between", "like", "ilike", "is", "not"), _COMPARED),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
}
_OPPOSITES = ("in", "between", "like", "ilike")
"""What may follow a NOT that stands between two operands."""


class Parser:
    """Reads one expression or condition from its tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.inside = 0

    def whole(self) -> Node:
        """The tree of the whole text."""
        tokens = self.tokens
        if tokens.ended():
            tokens.error(len(tokens.text), f"it is empty: write {_EXAMPLE[tokens.what]}")
        node = self.binary(_OR)
        if not tokens.ended():
            self.unexpected(node)
        return node

    def binary(self, least: int) -> Node:
        """Operators that bind at least as tightly as `least`, and their operands."""
        self.inside += 1
        if self.inside > DEEPEST:
            self.tokens.error(
                self.tokens.skip(), f"it is nested more than {DEEPEST} deep: write it with fewer parentheses"
            )
        left = self.prefix()
        while True:
            at = self.tokens.skip()
            name, length = self.tokens.operator()
            binding = _BINDING.get(name, 0)
            if binding < least:
                self.inside -= 1
                return left
            self.tokens.at += length
            if binding == _COMPARED:
                left = self.comparison(name, left, at)
                after, _ = self.tokens.operator()
                if _BINDING.get(after) == _COMPARED:
                    self.tokens.error(
                        self.tokens.at,
                        "comparisons do not chain: write a < b AND b < c, or x BETWEEN a AND b",
                    )
            else:
                # ^ groups from the right, and its exponent may have a sign; others group from the left.
                right = self.binary(_SIGN if name == "^" else binding + 1)
                left = self.operation(name, (left, right), at)

    def prefix(self) -> Node:
        """A sign or NOT and its operand, or a value."""
        tokens = self.tokens
        at = tokens.skip()
        if tokens.take_word("not"):
            return self.operation("not", (self.binary(_NOT),), at)
        if tokens.take("-") or tokens.take("−"):
            return self.operation("negative", (self.binary(_SIGN),), at)
        if tokens.take("+"):
            return self.binary(_SIGN)
        return self.value(at)

    def value(self, at: int) -> Node:
        """Parentheses, a constant, a call or a column."""
        tokens = self.tokens
        if tokens.take("("):
            node = self.binary(_OR)
            self.closing(node, at)
            return replace(node, at=at)  # errors point at the parenthesis
        number, name = tokens.number(), tokens.known_name()
        called = self.call(at, len(name))
        if called is not None:
            return called
        if number and len(number) >= len(name):
            tokens.at += len(number)
            return self.constant(number, at)
        if name:
            tokens.at += len(name)
            return Name(name, at)
        return self.quoted_or_truth(at)

    def quoted_or_truth(self, at: int) -> Node:
        """A text, a quoted column, TRUE or FALSE."""
        tokens = self.tokens
        quote, inside = tokens.quoted()
        if quote == "'":
            return Text(inside, at)
        if quote:
            if inside not in tokens.names:
                self.unknown(inside, at, "text is written in single quotes")
            return Name(inside, at)
        truth = tokens.take_word("true", "false")
        return Truth(truth == "true", at) if truth else self.no_value(at)

    def constant(self, number: str, at: int) -> Number:
        """The number that was written."""
        value = read_number(number)
        digits = re.split("[eE]", number, maxsplit=1)[0]
        if value is None or value == float("inf") or (value == 0 and re.search("[1-9]", digits)):
            self.tokens.error(at, "it is beyond the numbers that a float holds, about 1e-323 to 1.8e308")
        # Identifiers above 2^53 are compared as they are written: not every one of them is a float.
        if re.fullmatch("[0-9_]+", number) and value < 2**63:
            return Number(int(number.replace("_", "")), at)
        return Number(_whole(value), at)

    def call(self, at: int, longest_name: int) -> Node | None:
        """A function and its arguments; None where there is none, or a column of a longer name."""
        tokens = self.tokens
        word = tokens.word()
        if not word or not tokens.text[at + len(word) :].lstrip().startswith("(") or len(word) < longest_name:
            return None
        if word in ("not", "null", "true", "false", "and", "or", "in"):
            return None
        if word not in FUNCTIONS:
            if longest_name:
                return None  # a column, and then a parenthesis that has to be explained
            near = nearest(word, FUNCTIONS)
            tokens.error(
                at, f"there is no function {word}{_suggested(near)}; functions are {listed(FUNCTIONS, 20)}"
            )
        tokens.at += len(word)
        tokens.take("(")
        arguments: list[Node] = []
        if not tokens.take(")"):
            arguments.append(self.binary(_SUM))
            while tokens.take(","):
                arguments.append(self.binary(_SUM))
            self.closing(arguments[-1], at + len(word))
        least, most = FUNCTIONS[word]
        if not least <= len(arguments) <= most:
            takes = "one value" if most == 1 else "two values or more"
            tokens.error(at, f"{word} takes {takes}, and {len(arguments)} are given")
        return self.operation(word, tuple(arguments), at)

    def comparison(self, name: str, left: Node, at: int) -> Node:
        """What follows a comparison, IN, BETWEEN, LIKE or IS; NOT before them negates."""
        tokens = self.tokens
        if name == "not":
            name = tokens.take_word(*_OPPOSITES)
            if not name:
                tokens.error(at, "NOT stands before a condition, or before IN, BETWEEN or LIKE")
            return self.operation("not", (self.comparison(name, left, at),), at)
        if name == "is":
            negated = tokens.take_word("not")
            tested = tokens.take_word("null", "nan")
            if not tested:
                tokens.error(tokens.skip(), "after IS comes NULL, NOT NULL, NAN or NOT NAN")
            node = self.operation(f"is {tested}", (left,), at)
            return self.operation("not", (node,), at) if negated else node
        if name == "in":
            return self.operation("in", (left, *self.members()), at)
        right = self.binary(_SUM)
        if name == "between":
            if not tokens.take_word("and"):
                tokens.error(tokens.skip(), "BETWEEN takes two values: write it like x BETWEEN 1 AND 2")
            upper = self.binary(_SUM)
            bounds = (
                self.operation(">=", (left, right), at),
                self.operation("<=", (left, upper), at),
            )
            return self.operation("and", bounds, at)
        if name in ("like", "ilike") and not isinstance(right, Text):
            tokens.error(right.at, "LIKE takes a text in single quotes, in which % stands for any characters")
        return self.operation(name, (left, right), at)

    def members(self) -> list[Node]:
        """The list after IN."""
        tokens = self.tokens
        at = tokens.skip()
        if not tokens.take("("):
            tokens.error(at, "IN takes a list: write it like x IN (1, 2) or run IN ('a', 'b')")
        if tokens.take(")"):
            tokens.error(at, "the list has no values: write it like x IN (1, 2)")
        members = [self.binary(_SUM)]
        while tokens.take(","):
            members.append(self.binary(_SUM))
        self.closing(members[-1], at)
        return members

    def operation(self, name: str, operands: tuple[Node, ...], at: int) -> Node:
        """The operation as a node: its value if all operands are constant numbers, one node for a chain of ANDs."""
        tokens = self.tokens
        self.check_kinds(name, operands, at)
        if name == "size" and isinstance(operands[0], Text):
            found = sizes(operands[0].value)
            if len(found) != 1:
                tokens.error(
                    operands[0].at, f"it holds {len(found)} quantities with a suffix, and has to hold one"
                )
            return Number(found[0], at)
        if name in ARITHMETIC or name in FUNCTIONS:
            if name in ("/", "//", "%") and isinstance(operands[1], Number) and operands[1].value == 0:
                tokens.error(operands[1].at, "division by 0 has no value: divide by something else")
            values = [operand.value for operand in operands if isinstance(operand, Number)]
            if len(values) == len(operands):
                value = of_constants(name, values)
                if value is None:
                    tokens.error(at, "this has no finite value: write one that has")
                return Number(_whole(value), at)
        if name in ("and", "or"):
            operands = tuple(part for operand in operands for part in _chained(name, operand))
        below = 1 + max(map(depth, operands))
        if below > LONGEST_CHAIN:
            tokens.error(at, f"there are more than {LONGEST_CHAIN} operations in a row: write it with fewer")
        return Operation(name, operands, at, below)

    def check_kinds(self, name: str, operands: tuple[Node, ...], at: int) -> None:
        """Refuse what the form alone shows to be of the wrong kind; columns are looked at when it is evaluated."""
        for operand in operands:
            if name in ("and", "or", "not"):
                if isinstance(operand, Number | Text) or not (
                    is_condition(operand) or isinstance(operand, Name)
                ):
                    self.tokens.error(
                        operand.at,
                        f"{name.upper()} joins conditions, and this is none: compare it with something",
                    )
            elif isinstance(operand, Operation) and is_condition(operand):
                self.tokens.error(
                    at, f"{_shown(name)} takes values, and beside it is a condition: use AND or OR"
                )
            elif name in ARITHMETIC or (name in FUNCTIONS and name != "size"):
                if not isinstance(operand, Number | Name | Operation):
                    self.tokens.error(operand.at, f"{_shown(name)} takes numbers, and this is none")
            elif name == "size" and not isinstance(operand, Text | Name):
                self.tokens.error(operand.at, "size takes a column of text: write it like size(run)")

    def closing(self, inside: Node, opened: int) -> None:
        """Read the closing parenthesis."""
        if not self.tokens.take(")"):
            if self.tokens.ended():
                self.tokens.error(
                    len(self.tokens.text), f"the parenthesis at character {opened + 1} is not closed: write )"
                )
            self.unexpected(inside)

    def unexpected(self, before: Node) -> None:
        """Refuse what stands where an operator is expected."""
        tokens = self.tokens
        at = tokens.skip()
        sign = tokens.text[at]
        ended = "condition" if is_condition(before) else "value"
        rule = f"one {ended} ends before it: "
        if sign == ")":
            rule = "no parenthesis is open here: leave it out, or write ( before"
        elif (
            sign == "," and re.match(r",\s*[0-9]", tokens.text[at:]) and at and tokens.text[at - 1].isdigit()
        ):
            rule += "write numbers with a point and without commas, like 1.5, 1000000 or 1_000_000"
        elif sign == "(" and isinstance(before, Name):
            rule = f"there is no function {one_line(before.name, 40)}; functions are {listed(FUNCTIONS, 20)}"
        elif (
            at
            and not tokens.text[at - 1].isspace()
            and not sign.isspace()
            and isinstance(before, Name | Number)
        ):
            rule += 'write an operator, or a name with such characters in double quotes, like "val.loss"'
        elif is_condition(before):
            rule += "join conditions with AND or OR"
        else:
            rule += "write an operator between them"
        tokens.error(at, rule)

    def no_value(self, at: int) -> NoReturn:
        """Refuse what stands where a value is expected."""
        tokens = self.tokens
        word = tokens.long_word()
        if not word:
            if at == len(tokens.text):
                tokens.error(at, "a value is missing: write a column, a number or a text in single quotes")
            tokens.error(
                at,
                "a column, a number or a text in single quotes is expected here; names that begin with a sign are "
                "written in double quotes",
            )
        if tokens.word() == "null":
            tokens.error(at, "NULL is no value: write IS NULL or IS NOT NULL")
        if tokens.word() in ("nan", "inf", "infinity"):
            tokens.error(at, "this is no value to compare with: write IS NAN, or a bound like < 1e300")
        if tokens.word() in ("select", "case"):
            tokens.error(at, "this is no expression over columns: compare and compute, like loss < 4")
        if word[0].isdigit():
            column = re.match(r"[0-9.]+(?=[^\W\d])", word)
            rule = "this is no number: write it like 2048, 1e22, 50M or 200B"
            rest = word[column.end() :] if column else ""
            if rest in tokens.names:
                rule += f", and a product like {word[: -len(rest)]}*{rest}"
            tokens.error(at, rule)
        self.unknown(word, at, f"text is written in single quotes, like '{one_line(word, 40)}'")

    def unknown(self, name: str, at: int, remedy: str) -> NoReturn:
        """Refuse a name that no column has."""
        near = nearest(name, self.tokens.names)
        found = f"there is no column {one_line(name, 60)}{_suggested(near)}; found are {listed(self.tokens.names)}"
        self.tokens.error(at, f"{found}; {remedy}")


_EXAMPLE = {"condition": "one like width >= 512 AND tokens > 1e10", "expression": "one like _step*524288"}


def _whole(value: float) -> float:
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _chained(name: str, node: Node) -> tuple[Node, ...]:
    return node.operands if isinstance(node, Operation) and node.operator == name else (node,)


def _shown(name: str) -> str:
    return {"negative": "-"}.get(name, name.upper())


def _suggested(near: str | None) -> str:
    return "" if near is None else f" (did you mean {one_line(near, 60)}?)"
