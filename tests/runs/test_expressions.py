"""Expressions: what they compute against Python's own evaluation of the same tree, and what is refused in a line."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest, UserError
from gemstones.runs.expressions import parse_condition, parse_expression
from gemstones.runs.expressions.functions import FUNCTIONS
from gemstones.runs.mapping import parse_columns

FRAME = pl.DataFrame(
    {
        "run": ["ladder-20M", "ladder-1.5B", None, "x-20M/y_20M"],
        "_step": [1000, 2000, 3000, 0],
        "tokens": [100e9, 300e9, None, math.nan],
        "width": pl.Series([512, 1024, 2048, None], dtype=pl.Int32),
        "eval/loss": [3.0, math.nan, 2.5, math.inf],
        "val-loss": [1.0, 2.0, 3.0, 4.0],
        "val": [5, 6, 7, 8],
        "loss": [1, 1, 1, 1],
        "cells": ["1", "N/A", "3.5", ""],
        "logged": ["true", "False", "", "TRUE"],
        "ok": [True, False, None, True],
        "kind": pl.Series(["a", "b", "a", None], dtype=pl.Categorical),
        "it's, (odd)": [1, 2, 3, 4],
        "2B": [9, 9, 9, 9],
        "seed": [2**53, 2**53 + 1, -(2**62), 7],
        "lists": [[1], [2], [3], [4]],
        "none": pl.Series([None] * 4, dtype=pl.Null),
        "day": pl.Series(["2024-01-01", "2024-01-02", "2024-02-01", None]).str.to_date(),
    }
)
NAMES = FRAME.columns


def value(text: str) -> list[Any]:
    return parse_expression(text, NAMES).evaluate(FRAME).to_list()


def truth(text: str) -> list[bool | None]:
    return parse_condition(text, NAMES).evaluate(FRAME).to_list()


def refusal(act: Callable[[str], object], text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        act(text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.isprintable()
    return message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_step*524288", [524288e3, 2 * 524288e3, 3 * 524288e3, 0]),
        ("_step * 0.5M + 2_000", [500_002_000, 1_000_002_000, 1_500_002_000, 2000]),
        ("1e22", [1e22] * 4),
        ("200B", [200e9] * 4),
        ("val-loss", [1, 2, 3, 4]),
        ("val - loss", [4, 5, 6, 7]),
        ("val -loss", [4, 5, 6, 7]),
        ("val-loss*2", [2, 4, 6, 8]),
        ("2*val-loss", [2, 4, 6, 8]),
        ("eval/loss*1e9", [3e9, None, 2.5e9, None]),
        ('"eval/loss"', [3, math.nan, 2.5, math.inf]),
        ("`val-loss`^2", [1, 4, 9, 16]),
        ("it's, (odd)", [1, 2, 3, 4]),
        ('"it\'s, (odd)" + 1', [2, 3, 4, 5]),
        ("2B", [9] * 4),  # the whole text is a column
        ("2B*1", [2e9] * 4),  # in an expression it is a number
        ('"2B"*1', [9] * 4),
        ("-val^2", [-25, -36, -49, -64]),
        ("2^-1 * val", [2.5, 3, 3.5, 4]),
        ("val**2", [25, 36, 49, 64]),
        ("2^3^2 + 0*val", [512] * 4),
        ("val − loss × 2", [3, 4, 5, 6]),
        ("val // 2 + val % 2", [3, 3, 4, 4]),
        ("-val % 3", [1, 0, 2, 1]),
        ("ln(exp(val))", pytest.approx([5, 6, 7, 8])),
        ("log(val) - LN(val)", [0] * 4),
        ("log2(2^val) + log10(1e3)", pytest.approx([8, 9, 10, 11])),
        ("sqrt(val^2) + abs(-val)", [10, 12, 14, 16]),
        ("min(val, 6, width)", [5, 6, 6, None]),
        ("max(val, 6)", [6, 6, 7, 8]),
        ("1/_step", [1e-3, 5e-4, 1 / 3000, None]),
        ("ln(_step)", pytest.approx([math.log(1000), math.log(2000), math.log(3000), None])),
        ("10^_step", [None, None, None, 1]),
        ("sqrt(-val)", [None] * 4),
        ("tokens + 1", [100e9 + 1, 300e9 + 1, None, None]),
        ("size(run)", [20e6, 1.5e9, None, 20e6]),
        ("2*size('d12_45M')", [90e6] * 4),
        ("cells*2", [2, None, 7, None]),
        ("cells", ["1", "N/A", "3.5", ""]),
        ("'main'", ["main"] * 4),
        ("'it''s'", ["it's"] * 4),
        ("none + 1", [None] * 4),
        ("kind", ["a", "b", "a", None]),
        ("((val))", [5, 6, 7, 8]),
        ("+val", [5, 6, 7, 8]),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert value(text) == pytest.approx(expected, nan_ok=True) if "eval" in text else value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tokens > 200B", "ft??"),
        ("tokens > 200 B", None),
        ("NOT tokens > 200B", "tf??"),
        ("width >= 512 AND width < 2K", "ttf?"),
        ("width = 512 or width == 1024", "ttf?"),
        ("width = 512 | val = 6 & loss = 1", "ttf?"),
        ("width != 512", "ftt?"),
        ("width <> 512", "ftt?"),
        ("width IN (512, 2*1024)", "tft?"),
        ("width not in (512, 2048)", "ftf?"),
        ("val IN (loss, 6)", "ftff"),
        ("width BETWEEN 512 AND 1024 AND val > 5", "ftf?"),
        ("width NOT BETWEEN 513 AND 1024", "tft?"),
        ("width IS NULL", "ffft"),
        ("width IS NOT NULL", "tttf"),
        ("eval/loss IS NAN", "ftff"),
        ("eval/loss IS NULL", "ftff"),
        ("eval/loss*2 IS NULL", "ftft"),
        ("eval/loss IS NOT NAN AND eval/loss < 1e300", "tftf"),
        ("eval/loss > 2", "t?tt"),
        ("eval/loss != 3", "f?tt"),
        ("run LIKE 'ladder-%'", "tt?f"),
        ("run like 'LADDER%'", "ff?f"),
        ("run ILIKE 'LADDER%'", "tt?f"),
        ("run NOT LIKE '%20M'", "ft?f"),
        ("run LIKE 'ladder-__M'", "tf?f"),
        ("run LIKE 'ladder.%'", "ff?f"),
        ("run = 'ladder-20M'", "tf?f"),
        ("run IN ('ladder-20M', 'x')", "tf?f"),
        ("run < 'm'", "tt?f"),
        ("size(run) < 1B", "tf?t"),
        ("kind = 'a'", "tft?"),
        ("kind IN ('b')", "ftf?"),
        ("cells > 2", "f?t?"),
        ("cells = '1'", "tfff"),
        ("cells < val", "t?t?"),
        ("cells IS NULL", "ftft"),
        ("cells in (1, 3.5)", "t?t?"),
        ("ok", "tf?t"),
        ("NOT ok", "ft?f"),
        ("ok = TRUE and TRUE", "tf?t"),
        ("ok = FALSE", "ft?f"),
        ("logged", "tf?t"),
        ("logged = true", "tf?t"),
        ("false", "ffff"),
        ("ok AND tokens > 1e300", "ff??"),
        ("ok OR tokens > 1", "tt?t"),
        ("seed = 9007199254740993", "ftff"),
        ("seed = 9007199254740992", "tfff"),
        ("seed IN (9007199254740993, 7)", "ftft"),
        ("none > 1", "????"),
        ("none = 'a' OR val = 5", "t???"),
        ("day >= '2024-01-02'", "ftt?"),
        ("val % 2 = 0", "ftft"),
        ("_step*524288 > 1B", "fttf"),
        ("(val > 5 AND NOT (val = 7))", "ftft"),
        ("val-loss = 1 AND val - loss = 4", "tfff"),
    ],
)
def test_truths(text: str, expected: str | None) -> None:
    if expected is None:
        refusal(truth, text)
        return
    assert ["?" if known is None else "ft"[known] for known in truth(text)] == [*expected]


@pytest.mark.parametrize(
    ("text", "character", "says"),
    [
        ("tokens > 200B foo", 15, "'foo': one condition ends before it: join conditions with AND or OR"),
        ("tokens 3", 8, "'3': one value ends before it: write an operator between them"),
        ("loss >", 7, "the end: a value is missing"),
        ("loss > > 3", 8, "'>': a column, a number or a text in single quotes is expected"),
        ("", 1, "the end: it is empty: write one like width >= 512 AND tokens > 1e10"),
        ("tokns > 3", 1, "'tokns': there is no column tokns (did you mean tokens?)"),
        ("eval/los > 3", 1, "did you mean eval/loss?"),
        ('run = "main"', 7, "text is written in single quotes"),
        ("run = main", 7, "text is written in single quotes, like 'main'"),
        ("foo(val) > 1", 1, "there is no function foo; functions are ln, log, log2"),
        ("read_csv('/etc/passwd') > 1", 1, "there is no function read_csv; functions are ln"),
        ("val(3) > 1", 4, "there is no function val"),
        ("min(val) > 1", 1, "min takes two values or more, and 1 are given"),
        ("ln(val, 2) > 1", 1, "ln takes one value, and 2 are given"),
        ("val / 0 > 1", 7, "division by 0 has no value"),
        ("val % (1-1) > 1", 7, "division by 0 has no value"),
        ("ln(0) > val", 1, "this has no finite value"),
        ("10^400 > val", 3, "this has no finite value"),
        ("val < 1e400", 7, "beyond the numbers that a float holds"),
        ("val < 1e-400", 7, "beyond the numbers that a float holds"),
        ("val < 1e308K", 7, "beyond the numbers that a float holds"),
        ("2val > 1", 1, "write it like 2048, 1e22, 50M or 200B, and a product like 2*val"),
        ("val > 1,5", 8, "',': one condition ends before it: write numbers with a point and without commas"),
        (
            "val > 1,000,000",
            8,
            "write numbers with a point and without commas, like 1.5, 1000000 or 1_000_000",
        ),
        ("val > 1_5", 7, "this is no number"),
        ("1 < val < 7", 9, "comparisons do not chain: write a < b AND b < c"),
        ("val = NULL", 7, "NULL is no value: write IS NULL"),
        ("val = nan", 7, "write IS NAN"),
        ("val IS 3", 8, "after IS comes NULL"),
        ("val IN ()", 8, "the list has no values"),
        ("val IN 3", 8, "IN takes a list"),
        ("val BETWEEN 3", 14, "BETWEEN takes two values"),
        ("run LIKE val", 10, "LIKE takes a text in single quotes"),
        ("val NOT 3", 5, "NOT stands before a condition"),
        ("(val > 1", 9, "the parenthesis at character 1 is not closed"),
        ("val > 1)", 8, "no parenthesis is open here"),
        ("run = 'a", 7, "the quote is not closed"),
        ("val > 1 AND val", 13, "neither true nor false"),
        ("val > 1 AND 3", 13, "AND joins conditions, and this is none"),
        ("NOT val + 1", 9, "NOT joins conditions, and this is none"),
        ("1 + (val > 1) > 2", 3, "+ takes values, and beside it is a condition"),
        ("val", 1, "neither true nor false"),
        ("val + 1", 5, "this is no condition"),
        ("SELECT 1", 1, "this is no expression over columns"),
        ("val > (SELECT 1)", 8, "this is no expression over columns"),
        ("val > 1; DROP TABLE runs", 8, "one condition ends before it"),
        ("run > 3", 1, "'ladder-20M' is not a number"),
        ("run = 3", 1, "'ladder-20M' is not a number"),
        ("run IN ('a', 3)", 1, "'ladder-20M' is not a number"),
        ("width = '512'", 7, "a number is compared with text: write numbers without quotes"),
        ("width LIKE '5%'", 1, "text is expected here"),
        ("'a' = 3", 5, "text is compared with a number"),
        ("'a' + 1 > 3", 1, "+ takes numbers"),
        ("ok > TRUE", 4, "true and false have no order"),
        ("ok = 1", 4, "true or false is compared with a number"),
        ("lists = 1", 1, "the column holds List(Int64)"),
        ("size(val) > 1", 6, "text is expected"),
        ("size('a') > val", 6, "it holds 0 quantities with a suffix, and has to hold one"),
        ("size('1M-2M') > val", 6, "it holds 2 quantities"),
        ("$x > 1", 1, "names that begin with a sign are written in double quotes"),
        ("eval.loss > 1", 1, "did you mean eval/loss?"),
        ("val.loss > 1", 4, "write an operator, or a name with such characters in double quotes"),
        ("(" * 2000 + "val" + ")" * 2000, 81, "nested more than 80 deep"),
        ("-" * 2000 + "val > 1", 81, "nested more than 80 deep"),
        ("NOT " * 2000 + "ok", 321, "nested more than 80 deep"),
        ("val" + "^val" * 2000 + " > 1", 321, "nested more than 80 deep"),
        ("val" + "+val" * 2000 + " > 1", 404, "more than 100 operations in a row"),
        ("val = 1" + " " * 100_000, None, "has 100,007 characters: at most 100,000 are read"),
    ],
    ids=lambda text: str(text)[:40],
)
def test_refusals_point_at_the_character_and_say_the_remedy(
    text: str, character: int | None, says: str
) -> None:
    message = refusal(truth, text)
    assert message.startswith("condition ")
    assert says in message
    assert character is None or f": character {character}, " in message


def test_an_expression_is_no_condition() -> None:
    assert "this is a condition" in refusal(value, "val > 1")
    assert "this is a condition" in refusal(value, "TRUE")
    assert "holds true and false, no numbers" in refusal(value, "ok*2")
    assert "write one like _step*524288" in refusal(value, "")


def test_sizes_of_runs_that_have_none_or_two() -> None:
    for cell, says in {"seed 3": "no quantity", "20M of 10B": "several different quantities"}.items():
        frame = pl.DataFrame({"run": ["a-1M", cell]})
        with pytest.raises(InvalidRequest, match=f"'{cell}' in row 2 holds {says} with a suffix"):
            parse_expression("size(run)", frame.columns).evaluate(frame)


def test_long_conditions() -> None:
    assert truth(" OR ".join(f"val = {i}" for i in range(3000)))[0] is True
    assert truth(f"val IN ({','.join(map(str, range(6, 9000)))})") == [False, True, True, True]


def test_names_are_those_used_in_order() -> None:
    assert parse_expression('max(val-loss, "val") + val * _step', NAMES).names == ("val-loss", "val", "_step")
    assert parse_condition("run = 'val' AND width IN (val, 3)", NAMES).names == ("run", "width", "val")


def test_text_with_commas() -> None:
    """A comma in a cell may be decimal or of thousands: read only where one cell settles it."""
    frame = pl.DataFrame(
        {"loss": ["3,406", "1.003,2"], "tokens": ["1,000,000", "2,000"], "odd": ["3,406", "2"]}
    )
    read = parse_expression("loss*1", frame.columns).evaluate
    assert read(frame, decimal_comma=True).to_list() == [3.406, 1003.2]
    for name in ("loss", "odd"):
        with pytest.raises(
            InvalidRequest, match=f"'3,406' in row 1 of {name} may be a number with a decimal comma"
        ):
            parse_expression(f"{name}*1", frame.columns).evaluate(frame)
    assert parse_expression("tokens*1", frame.columns).evaluate(frame).to_list() == [1e6, 2e3]


def test_empty_and_one_row_frames() -> None:
    for rows in (0, 1):
        frame = FRAME.head(rows)
        for text in ("val IN (5, 6)", "run LIKE '%M' OR 2 > val", "size(run) > 1", "TRUE", "cells > 2"):
            assert len(parse_condition(text, NAMES).evaluate(frame)) == rows
        for text in ("3", "'a'", "min(val, 2)", "val^0.5", "cells*2"):
            assert len(parse_expression(text, NAMES).evaluate(frame)) == rows


# ---------------------------------------------------------------- against Python


@dataclass(frozen=True)
class Written:
    """A text, and what it has to give in a row; None is no value, or unknown."""

    text: str
    of: Callable[[dict[str, Any]], Any]


def finite(act: Callable[..., float], *values: float | None) -> float | None:
    if any(value is None or not math.isfinite(value) for value in values):
        return None
    try:
        result = float(act(*values))
    except (ArithmeticError, ValueError):
        return None
    return result if math.isfinite(result) else None


def written_number(number: float) -> Written:
    return Written(repr(number), lambda row: number)


def operation(sign: str, act: Callable[..., float]) -> Callable[[Written, Written], Written]:
    return lambda a, b: Written(
        f"({a.text}) {sign} ({b.text})", lambda row: finite(act, a.of(row), b.of(row))
    )


def function(name: str, act: Callable[..., float]) -> Callable[[Written], Written]:
    return lambda a: Written(f"{name}({a.text})", lambda row: finite(act, a.of(row)))


COLUMNS = ("a", "a-b", "b", "b/c", "c")
NUMBERS = st.integers(0, 10**6) | st.floats(0, 1e12).filter(lambda x: x == 0 or x > 1e-12)
LEAVES = st.one_of(
    NUMBERS.map(written_number),
    st.sampled_from(COLUMNS).map(lambda name: Written(name, lambda row: row[name])),
    st.sampled_from(COLUMNS).map(lambda name: Written(f'"{name}"', lambda row: row[name])),
)
TWO = [
    operation("+", lambda a, b: a + b),
    operation("-", lambda a, b: a - b),
    operation("*", lambda a, b: a * b),
    operation("/", lambda a, b: a / b),
    operation("^", math.pow),
    operation("**", math.pow),
]
ONE = [
    function("ln", math.log),
    function("log", math.log),
    function("log2", math.log2),
    function("log10", math.log10),
    function("exp", math.exp),
    function("sqrt", math.sqrt),
    function("abs", abs),
    function("-", lambda a: -a),
    lambda a: Written(f"min({a.text}, 3)", lambda row: finite(min, a.of(row), 3.0)),
    lambda a: Written(f"max(b, {a.text})", lambda row: finite(max, row["b"], a.of(row))),
]
ARITHMETIC = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(TWO), inner, inner).map(lambda made: made[0](made[1], made[2])),
        st.tuples(st.sampled_from(ONE), inner).map(lambda made: made[0](made[1])),
    ),
    max_leaves=8,
)


def compared(sign: str, act: Callable[[float, float], bool]) -> Callable[[Written, Written], Written]:
    def of(a: Written, b: Written) -> Callable[[dict[str, Any]], bool | None]:
        def known(row: dict[str, Any]) -> bool | None:
            x, y = a.of(row), b.of(row)
            missing = x is None or y is None or math.isnan(x) or math.isnan(y)
            return None if missing else act(x, y)

        return known

    return lambda a, b: Written(f"{a.text} {sign} {b.text}", of(a, b))


def both(x: bool | None, y: bool | None) -> bool | None:
    return False if x is False or y is False else None if x is None or y is None else True


def negated(x: bool | None) -> bool | None:
    return None if x is None else not x


CONDITIONS = st.recursive(
    st.tuples(
        st.sampled_from(
            [
                compared("<", lambda a, b: a < b),
                compared(">=", lambda a, b: a >= b),
                compared("=", lambda a, b: a == b),
                compared("!=", lambda a, b: a != b),
            ]
        ),
        LEAVES,
        LEAVES,
    ).map(lambda made: made[0](made[1], made[2]))
    | st.sampled_from(COLUMNS).map(
        lambda name: Written(
            f"{name} IS NOT NULL", lambda row: row[name] is not None and not math.isnan(row[name])
        )
    )
    | st.tuples(LEAVES, NUMBERS, NUMBERS).map(
        lambda made: Written(
            f"{made[0].text} BETWEEN {made[1]!r} AND {made[2]!r}",
            lambda row: both(
                compared("", lambda a, b: a >= b)(made[0], written_number(made[1])).of(row),
                compared("", lambda a, b: a <= b)(made[0], written_number(made[2])).of(row),
            ),
        )
    ),
    lambda inner: st.one_of(
        inner.map(lambda a: Written(f"NOT ({a.text})", lambda row: negated(a.of(row)))),
        st.tuples(inner, inner).map(
            lambda two: Written(
                f"({two[0].text}) AND ({two[1].text})", lambda row: both(two[0].of(row), two[1].of(row))
            )
        ),
        st.tuples(inner, inner).map(
            lambda two: Written(
                f"({two[0].text}) or ({two[1].text})",
                lambda row: negated(both(negated(two[0].of(row)), negated(two[1].of(row)))),
            )
        ),
    ),
    max_leaves=6,
)
CELLS = st.none() | st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float) | st.just(math.nan)
ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, CELLS)), min_size=1, max_size=4)


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.Float64), orient="row")


@settings(max_examples=300, deadline=None)
@given(ARITHMETIC, ROWS)
def test_arithmetic_is_that_of_python(written: Written, rows: list[dict[str, Any]]) -> None:
    """Constants that have no value are refused; a column alone is as it is, with its NaN."""
    try:
        expression = parse_expression(written.text, COLUMNS)
    except UserError as error:
        assert any(says in str(error) for says in ("no finite value", "division by 0", "a float holds"))
        return
    found = expression.evaluate(frame_of(rows)).to_list()
    expected = [written.of(row) for row in rows]
    assert [x is None for x in found] == [x is None for x in expected]
    assert [x for x in found if x is not None] == pytest.approx(
        [x for x in expected if x is not None], rel=1e-12, nan_ok=True
    )


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, ROWS)
def test_conditions_are_those_of_python(written: Written, rows: list[dict[str, Any]]) -> None:
    found = parse_condition(written.text, COLUMNS).evaluate(frame_of(rows)).to_list()
    assert found == [written.of(row) for row in rows]


PIECES = st.sampled_from(
    [
        *NAMES,
        *[
            "AND",
            "OR",
            "not",
            "IN",
            "between",
            "is",
            "null",
            "nan",
            "like",
            "ilike",
            "true",
            "ln",
            "size",
            "min",
            "max",
            "exp",
            "select",
        ],
        *[
            "(",
            ")",
            ",",
            "+",
            "-",
            "*",
            "/",
            "//",
            "%",
            "^",
            "**",
            "=",
            "==",
            "!=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "&",
            "|",
            "'",
            '"',
            "`",
            ".",
            ";",
            "é",
            "−",
            "×",
            "👍",
            "--",
            "/*",
        ],
        *["1", "0", "2.5", "1e9", "200B", "3_200", "1,000", "'a%'", "'20M'", '"val"'],
        "\x00",
        "\n",
    ]
)
NEARLY = st.lists(PIECES | st.text(max_size=3), max_size=14).flatmap(
    lambda pieces: st.sampled_from(["", " "]).map(lambda between: between.join(pieces))
)


@settings(max_examples=1500, deadline=None)
@given(NEARLY | st.text(), st.sampled_from([parse_condition, parse_expression]))
@example("size(run) in (1, '2')", parse_condition)
@example("run like '" + "_" * 1000 + "'", parse_condition)
@example("run like '" + "%a" * 500 + "'", parse_condition)
@example("none in (none, 1)", parse_condition)
@example("none in ('a', 'b')", parse_condition)
@example("seed in (9007199254740993)", parse_condition)
@example("ok in (true, ok)", parse_condition)
@pytest.mark.long
def test_any_text_is_an_expression_or_one_line(text: str, parse: Callable[..., Any]) -> None:
    try:
        series = parse(text, NAMES).evaluate(FRAME)
    except UserError as error:
        assert str(error).isprintable()
        return
    assert len(series) == FRAME.height
    assert parse is parse_expression or series.dtype == pl.Boolean


def test_the_documentation() -> None:
    """Its conditions and columns are read, and what it shows is what is said."""
    page = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text("utf-8")
    names = ("_step", "eval/loss", "run", "ppl", "total_gflops", "tokens", "family", "width", "loss")
    commands = [shlex.split(line) for line in re.findall(r"^\$ (gemstones .*)$", page, re.MULTILINE)]
    assert len(commands) == 4
    for words in commands:
        if "--columns" in words:
            for text in parse_columns(words[words.index("--columns") + 1]).values():
                assert parse_expression(text, names).names
    wheres = [words[words.index("--where") + 1] for words in commands if "--where" in words]
    for text in wheres[:-1]:
        assert parse_condition(text, names).names
    with pytest.raises(InvalidRequest) as caught:
        parse_condition(wheres[-1], names)
    assert f"gemstones: {caught.value}" in page.splitlines()
    functions = re.search(r"^\| functions \| (.*) \|$", page, re.MULTILINE)
    assert functions
    assert {*re.findall(r"\b([a-z]+[0-9]*)[`(]", functions[1]), "size"} == {*FUNCTIONS}
