"""Expressions as trees: constants, columns, and operations on them. Everything is a plain, frozen value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

ARITHMETIC = frozenset({"negative", "+", "-", "*", "/", "//", "%", "^"})
"""Operators on numbers that give a number; so do the functions."""

COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
"""Operators on two numbers, or two texts, that give a truth."""

CONNECTIVES = frozenset({"and", "or", "not"})
"""Operators on truths."""

TESTS = frozenset({"in", "like", "ilike", "is null", "is nan"})
"""Other operators that give a truth."""

CONDITIONS = COMPARISONS | CONNECTIVES | TESTS


@dataclass(frozen=True)
class Number:
    """A number; whole ones are `int`, and compare exactly with whole columns."""

    value: float
    at: int


@dataclass(frozen=True)
class Text:
    """A text in single quotes."""

    value: str
    at: int


@dataclass(frozen=True)
class Truth:
    """TRUE or FALSE."""

    value: bool
    at: int


@dataclass(frozen=True)
class Name:
    """A column."""

    name: str
    at: int


@dataclass(frozen=True)
class Operation:
    """An operator or function by its name in `ARITHMETIC`, `FUNCTIONS` or `CONDITIONS`, and its operands."""

    operator: str
    operands: tuple[Node, ...]
    at: int
    depth: int
    """Operations from here to the farthest leaf."""


Node: TypeAlias = Number | Text | Truth | Name | Operation
"""`at` counts the characters of the text before the node's own sign: errors point there."""


def depth(node: Node) -> int:
    """Operations between the node and its farthest leaf; 0 for a leaf."""
    return node.depth if isinstance(node, Operation) else 0


def is_condition(node: Node) -> bool:
    """Whether the node is true or false by its form; a column may be either."""
    return isinstance(node, Truth) or (isinstance(node, Operation) and node.operator in CONDITIONS)


def columns_of(node: Node) -> Iterator[str]:
    """The columns used, from left to right, as often as they are."""
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Operation):
        for operand in node.operands:
            yield from columns_of(operand)
