"""Trees → columns, a node at a time. What a column holds is known here: numbers, text, or truths.

A file of text has only text. Its columns are numbers where numbers are expected and every cell that is not
missing is one; that is decided for the whole column, never for a cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NoReturn

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.runs.cells import first_row, is_missing, number_column
from gemstones.runs.expressions.functions import finite, of_series, sizes
from gemstones.runs.expressions.tree import (
    COMPARISONS,
    CONNECTIVES,
    Name,
    Node,
    Number,
    Operation,
    Text,
    Truth,
    is_condition,
)
from gemstones.runs.one_line import one_line
from gemstones.runs.schema import Column

Kind = Literal["number", "text", "truth", "cells", "nothing"]
"""What a node holds. `cells`: a column of text, which may be read as numbers or truths; `nothing`: all null."""

LONGEST_PATTERN = 1000
"""Characters of a pattern of LIKE."""


@dataclass(frozen=True)
class Evaluation:
    """A frame, and how to refuse a node with the text that it was written in."""

    frame: pl.DataFrame
    message: Callable[[int, str], str]
    decimal_comma: bool = False

    def error(self, node: Node, rule: str) -> NoReturn:
        """Refuse a node."""
        raise InvalidRequest(self.message(node.at, rule))

    def whole(self, node: Node, condition: bool) -> pl.Series:
        """The column of the whole tree: truths of a condition; a bare column as it is."""
        if condition:
            return self.truths(node)
        if isinstance(node, Name):
            return self.column(node)
        return self.texts(node) if isinstance(node, Text) else self.numbers(node)

    # ---------------------------------------------------------------- leaves

    def column(self, node: Name) -> pl.Series:
        """The column as the frame has it; categories as text, decimals as floats."""
        if node.name not in self.frame.columns:
            self.error(node, f"the table has no column {one_line(node.name, 60)} any more")
        series = self.frame[node.name]
        if series.dtype in (pl.Categorical, pl.Enum) or series.dtype.is_temporal():
            return series if series.dtype == pl.Duration else series.cast(pl.String)
        return series.cast(pl.Float64) if series.dtype.is_decimal() else series

    def kind(self, node: Node) -> Kind:
        """What the node holds; refuses columns of lists, structures and bytes."""
        if is_condition(node):
            return "truth"
        if not isinstance(node, Name):
            return "text" if isinstance(node, Text) else "number"
        dtype = self.column(node).dtype
        kinds: dict[object, Kind] = {pl.String: "cells", pl.Boolean: "truth", pl.Null: "nothing"}
        kind = "number" if dtype.is_numeric() else kinds.get(dtype)
        return kind or self.error(
            node, f"the column holds {one_line(dtype, 40)}: only numbers and text are computed with"
        )

    def constant(self, value: float | str | None, dtype: type[pl.DataType]) -> pl.Series:
        """A column of one value."""
        return pl.repeat(value, self.frame.height, dtype=dtype, eager=True)

    # ---------------------------------------------------------------- numbers

    def numbers(self, node: Node) -> pl.Series:
        """The node as Float64, null where there is no finite value."""
        if isinstance(node, Number):
            return self.constant(float(node.value), pl.Float64)
        if isinstance(node, Name):
            return finite(self.number_cells(node).cast(pl.Float64))
        if not isinstance(node, Operation) or is_condition(node):
            self.error(node, "a number is expected here")
        if node.operator == "size":
            return self.sizes(node.operands[0])
        return of_series(node.operator, [self.numbers(operand) for operand in node.operands])

    def number_cells(self, node: Name) -> pl.Series:
        """A column as numbers of any type: text is read, and refused if a cell is none."""
        kind = self.kind(node)
        if kind == "number":
            return self.column(node)
        if kind == "nothing":
            return self.constant(None, pl.Float64)
        if kind == "truth":
            self.error(node, f"the column {one_line(node.name, 40)} holds true and false, no numbers")
        numbers = self.read(node)
        if isinstance(numbers, str):
            self.error(
                node, f"{numbers}: compare with a text in single quotes, or use size(…) or other columns"
            )
        return numbers

    def read(self, node: Name) -> pl.Series | str:
        """The numbers in a column of text, or why it has none."""
        cells, name = self.column(node), one_line(node.name, 40)
        separated = cells.str.contains(",", literal=True)
        settled = self.decimal_comma or cells.str.contains("^[0-9]+,[0-9]{3},").any()
        if separated.any() and not settled:
            row = first_row(separated) or 1
            return (
                f"{one_line(cells[row - 1], 40)!r} in row {row} of {name} may be a number with a decimal comma or "
                "with a separator of thousands; write the column without commas"
            )
        column = Column(name, "Float64", "", "")
        try:
            return number_column(cells, column, "", decimal_comma=self.decimal_comma)
        except InvalidTable as error:
            return one_line(error)

    def present(self, node: Name) -> pl.Series:
        """The cells of a column of text, null where they say that there is no value."""
        cells = self.column(node)
        return cells.set(is_missing(cells), None).str.strip_chars()

    def sizes(self, node: Node) -> pl.Series:
        """The quantity with a suffix in every text, each text looked at once."""
        texts = self.texts(node)
        found: dict[str, float] = {}
        for text in texts.drop_nulls().unique():
            quantities = sizes(text)
            if len(quantities) != 1:
                row = first_row(texts == text)
                many = "several different quantities" if quantities else "no quantity"
                self.error(
                    node,
                    f"{one_line(text, 60)!r} in row {row} holds {many} with a suffix, like 20M: "
                    "use a column that has the number",
                )
            found[text] = quantities[0]
        if not found:
            return self.constant(None, pl.Float64)
        return texts.replace_strict(list(found), list(found.values()), default=None, return_dtype=pl.Float64)

    # ---------------------------------------------------------------- text

    def texts(self, node: Node) -> pl.Series:
        """The node as text."""
        if isinstance(node, Text):
            return self.constant(node.value, pl.String)
        kind = self.kind(node)
        if isinstance(node, Name) and kind == "cells":
            return self.column(node)
        if kind == "nothing":
            return self.constant(None, pl.String)
        return self.error(node, "text is expected here, and this is none; compare numbers without quotes")

    # ---------------------------------------------------------------- truths

    def truths(self, node: Node) -> pl.Series:
        """The node as a column of true, false and null: unknown where a value is missing."""
        if isinstance(node, Truth):
            return self.constant(node.value, pl.Boolean)
        if not isinstance(node, Operation):
            return self.truth_cells(node)
        if node.operator in CONNECTIVES:
            return self.joined(node)
        if node.operator in COMPARISONS:
            return self.compared(node)
        test = {"in": self.among, "like": self.like, "ilike": self.like}.get(node.operator, self.tested)
        return test(node)

    def joined(self, node: Operation) -> pl.Series:
        """AND, OR and NOT of what may be unknown: false AND unknown is false, true OR unknown is true."""
        value = self.truths(node.operands[0])
        for operand in node.operands[1:]:
            other = self.truths(operand)
            value = value & other if node.operator == "and" else value | other
        return ~value if node.operator == "not" else value

    def truth_cells(self, node: Node) -> pl.Series:
        """A column as true and false."""
        kind = self.kind(node)
        if kind == "nothing":
            return self.constant(None, pl.Boolean)
        if isinstance(node, Name) and kind == "truth":
            return self.column(node)
        if isinstance(node, Name) and kind == "cells":
            text = self.present(node).str.to_lowercase()
            if text.drop_nulls().is_in(["true", "false"]).all():
                return text == "true"
        return self.error(
            node, "this is neither true nor false: compare it with something, like width >= 512"
        )

    def compared(self, node: Operation) -> pl.Series:
        """A comparison: of numbers, of texts, or of truths; unknown where one side is missing or NaN."""
        left, right = self.alike(node, list(node.operands))
        return _COMPARE[node.operator](left, right)

    def among(self, node: Operation) -> pl.Series:
        """Whether a value is one of a list."""
        value, *members = node.operands
        if all(isinstance(member, Number) for member in members) or all(
            isinstance(member, Text) for member in members
        ):
            left, _ = self.alike(node, [value, members[0]])
            constants = [member.value for member in members if isinstance(member, Number | Text)]
            whole = left.dtype == pl.Int64 and all(isinstance(constant, int) for constant in constants)
            dtype = left.dtype if whole or left.dtype == pl.String else pl.Float64
            return left.cast(dtype).is_in(pl.Series(constants, dtype=dtype, strict=False).implode())
        value_is = [Operation("=", (value, member), node.at, node.depth) for member in members]
        return self.truths(Operation("or", tuple(value_is), node.at, node.depth))

    def like(self, node: Operation) -> pl.Series:
        """Whether a text is as a pattern says: % for any characters, _ for one."""
        value, pattern = node.operands
        written = pattern.value if isinstance(pattern, Text) else ""
        if len(written) > LONGEST_PATTERN:
            self.error(
                pattern, f"the pattern has more than {LONGEST_PATTERN} characters: write a shorter one"
            )
        parts = {"%": ".*", "_": "."}
        regex = "".join(parts.get(c) or re.escape(c) for c in re.sub("%+", "%", written))
        flags = "(?is)" if node.operator == "ilike" else "(?s)"
        return self.texts(value).str.contains(f"{flags}^(?:{regex})$")

    def tested(self, operation: Operation) -> pl.Series:
        """IS NULL: no value, also NaN, and in text an empty cell or N/A; IS NAN."""
        node = operation.operands[0]
        kind = self.kind(node)
        if operation.operator == "is null":
            if isinstance(node, Name):
                series = self.present(node) if kind == "cells" else self.column(node)
                return (series.fill_nan(None) if series.dtype.is_float() else series).is_null()
            return (self.texts(node) if kind == "text" else self.numbers(node)).is_null()
        if isinstance(node, Name) and kind == "cells":
            return self.column(node).str.strip_chars().str.to_lowercase().str.contains("^[+-]?nan$")
        if kind in ("text", "truth"):
            self.error(node, "only a number can be NaN: write IS NULL")
        values = self.number_cells(node) if isinstance(node, Name) else self.numbers(node)
        return values.cast(pl.Float64).is_nan()

    def alike(self, node: Operation, operands: list[Node]) -> list[pl.Series]:
        """Operands as columns of one kind, that of the first whose kind is not open."""
        kinds = [self.kind(operand) for operand in operands]
        fixed = {kind for kind in kinds if kind not in ("cells", "nothing")}
        if len(fixed) > 1:
            one, other = kinds
            self.error(
                node,
                f"{_KINDS[one]} is compared with {_KINDS[other]}: write numbers without quotes, and text in single "
                "quotes",
            )
        kind = next(iter(fixed)) if fixed else self.open_kind(operands, kinds)
        if kind == "truth":
            if node.operator not in ("=", "!=", "in"):
                self.error(node, "true and false have no order: compare them with = or !=")
            return [self.truth_cells(o) if isinstance(o, Name) else self.truths(o) for o in operands]
        if kind == "text":
            return [self.texts(operand) for operand in operands]
        return self.comparable([self.ordered(operand) for operand in operands])

    def open_kind(self, operands: list[Node], kinds: list[Kind]) -> Kind:
        """Two columns of text are compared as numbers if every cell of both is one."""
        cells = [
            o for o, kind in zip(operands, kinds, strict=True) if kind == "cells" and isinstance(o, Name)
        ]
        return "text" if not cells or any(isinstance(self.read(o), str) for o in cells) else "number"

    def ordered(self, node: Node) -> pl.Series:
        """The node as numbers to compare: whole ones exactly, infinities kept, NaN as no value."""
        if isinstance(node, Number) and isinstance(node.value, int):
            return self.constant(node.value, pl.Int64)
        if not isinstance(node, Name):
            return self.numbers(node)
        series = self.number_cells(node)
        if series.dtype.is_integer() and series.dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
            return series.cast(pl.Int64)
        return series.cast(pl.Float64).fill_nan(None)

    def comparable(self, columns: list[pl.Series]) -> list[pl.Series]:
        """All as whole numbers, or all as floats."""
        whole = all(column.dtype == pl.Int64 for column in columns)
        return columns if whole else [column.cast(pl.Float64) for column in columns]


_COMPARE: dict[str, Callable[[pl.Series, pl.Series], pl.Series]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

_KINDS = {
    "number": "a number",
    "text": "text",
    "truth": "true or false",
    "cells": "text",
    "nothing": "nothing",
}
