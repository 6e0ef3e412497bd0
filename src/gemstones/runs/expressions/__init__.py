"""Expressions over columns, as `--columns NAME=EXPRESSION` and `--where CONDITION` take them.

    numbers      524_288   1e9   200B   50M   names   + - * / // % ^   ln log log2 log10 exp sqrt abs min max
    text         'main'   size(run)
    conditions   = != < <= > >=   AND OR NOT   IN (…)   BETWEEN … AND …   IS [NOT] NULL   IS [NOT] NAN   LIKE 'a%'

Names are those of columns: bare, or in double quotes or backticks. The longest column that matches wins, so
`val-loss` is a column where there is one, and a difference where there is none.

A small language of our own: nothing in it reads a file, and a text that is not one whole expression is refused.

>>> import polars as pl
>>> frame = pl.DataFrame({"run": ["a-20M", "b-45M"], "_step": [1000, 2000], "eval/loss": [4.6, None]})
>>> parse_expression("_step*524_288", frame.columns).evaluate(frame).to_list()
[524288000.0, 1048576000.0]
>>> parse_condition("eval/loss IS NOT NULL AND size(run) < 1B", frame.columns).evaluate(frame).to_list()
[True, False]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gemstones.lazy import pl
from gemstones.runs.expressions.evaluation import Evaluation
from gemstones.runs.expressions.parser import Parser
from gemstones.runs.expressions.tokens import Tokens
from gemstones.runs.expressions.tree import Name, Node, columns_of, is_condition

__all__ = ["Expression", "parse_condition", "parse_expression"]


@dataclass(frozen=True)
class Expression:
    """A text that was read as one expression or condition over columns."""

    text: str
    tree: Node
    is_condition: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns used, each once, from left to right."""
        return tuple(dict.fromkeys(columns_of(self.tree)))

    def evaluate(self, frame: pl.DataFrame, *, decimal_comma: bool = False) -> pl.Series:
        """The value in every row of `frame`.

        Of a condition true, false, or null where it is not known because a value is missing. Of an expression
        Float64, null where an operand is missing or there is no finite value (1/0, ln(0)); a bare column as it
        is. Columns of text are read as numbers where numbers are expected, with decimal commas if
        `decimal_comma`. Raises `InvalidRequest` where a column does not hold what is expected.
        """
        what = "condition" if self.is_condition else "expression"
        tokens = Tokens(self.text, (), what)
        series = Evaluation(frame, tokens.message, decimal_comma).whole(self.tree, self.is_condition)
        return series.alias("")


def parse_expression(text: str, names: Iterable[str]) -> Expression:
    """`text` as a number or text for every row; `names` are the columns there are.

    Raises `InvalidRequest`, in one line that points at the character, for anything else.

    >>> parse_expression("params/1e6 + other", ["params", "other"]).names
    ('params', 'other')
    """
    tokens = Tokens(text, names, "expression")
    tree = _parsed(tokens)
    if is_condition(tree):
        tokens.error(tree.at, "this is a condition, and a number or a text is expected: use it with --where")
    return Expression(text, tree)


def parse_condition(text: str, names: Iterable[str]) -> Expression:
    """`text` as true or false for every row; `names` are the columns there are.

    Raises `InvalidRequest`, in one line that points at the character, for anything else.

    >>> parse_condition("tokens > 200B foo", ["tokens"])
    Traceback (most recent call last):
    gemstones.errors.InvalidRequest: condition 'tokens > 200B foo': character 15, 'foo': one condition ends before \
it: join conditions with AND or OR
    """
    tokens = Tokens(text, names, "condition")
    tree = _parsed(tokens)
    if not is_condition(tree) and not isinstance(tree, Name):
        tokens.error(
            tree.at, "this is no condition: compare it with something, like width >= 512 AND tokens > 1e10"
        )
    return Expression(text, tree, is_condition=True)


def _parsed(tokens: Tokens) -> Node:
    stripped = tokens.text.strip()
    if stripped in tokens.names:
        return Name(stripped, tokens.skip())
    return Parser(tokens).whole()
