"""What operators and functions compute: of constants when the text is read, of columns later.

Every number is a float. What has no finite value (1/0, ln(0), 10^400) is refused for constants, and is no value
(null) in the row of a column.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from gemstones.lazy import pl
from gemstones.units import read_number

OPERATORS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "negative": operator.neg,
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "//": lambda over, under: math.floor(over / under),
        "%": operator.mod,
        "^": math.pow,
        "ln": math.log,
        "log": math.log,
        "log2": math.log2,
        "log10": math.log10,
        "exp": math.exp,
        "sqrt": math.sqrt,
        "abs": abs,
        "min": min,
        "max": max,
    }
)
"""Operators and functions of floats. `%` has the sign of its divisor, `//` rounds down, `log` is natural."""

FUNCTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        **dict.fromkeys(("ln", "log", "log2", "log10", "exp", "sqrt", "abs", "size"), (1, 1)),
        **dict.fromkeys(("min", "max"), (2, 100)),
    }
)
"""Functions, and the least and the most arguments of each. `size` alone takes a text."""


def of_constants(name: str, values: list[float]) -> float | None:
    """The value of an operator or function of `OPERATORS`; None where there is no finite one."""
    try:
        value = float(OPERATORS[name](*map(float, values)))
    except (ArithmeticError, ValueError):  # 1/0, ln(0), (-8)^0.5
        return None
    return value if math.isfinite(value) else None


def of_series(name: str, operands: list[pl.Series]) -> pl.Series:
    """As `of_constants` for columns of Float64, row by row; null where an operand is, or there is no value."""
    first, value = operands[0], operands[0]
    if name == "negative":
        value = -first
    elif name in ("min", "max"):
        for other in operands[1:]:
            nearer = value < other if name == "min" else value > other
            # A comparison with null is null: neither branch is taken.
            value = pl.select(pl.when(nearer).then(value).when(~nearer).then(other)).to_series()
    elif name in ("ln", "log", "log2", "log10"):
        value = first.log({"log2": 2.0, "log10": 10.0}.get(name, math.e))
    elif name in ("exp", "sqrt", "abs"):
        value = getattr(first, name)()
    elif name in ("//", "%"):
        value = (first / operands[1]).floor() if name == "//" else first % operands[1]
    elif name == "^":
        value = first ** operands[1]
    else:
        value = OPERATORS[name](first, operands[1])
    return finite(value)


def finite(series: pl.Series) -> pl.Series:
    """A column of Float64, null where it is not finite."""
    return series if series.is_finite().all(ignore_nulls=True) else series.set(~series.is_finite(), None)


_SIZE = re.compile(
    r"(?<![A-Za-z0-9])(?<![0-9]\.)([0-9]+(?:\.[0-9]+)?)([KMBGT])(?![A-Za-z0-9])", re.IGNORECASE
)


def sizes(text: str) -> list[float]:
    """The different quantities with suffix in a text, by where they stand: 20e6 in `ladder-20M`.

    >>> sizes("ladder-20M"), sizes("gpt2/1.5B_seed3"), sizes("20M-of-10B"), sizes("lr3e-4")
    ([20000000.0], [1500000000.0], [20000000.0, 10000000000.0], [])
    """
    found = (read_number(match[1] + match[2]) for match in _SIZE.finditer(text))
    return list(dict.fromkeys(size for size in found if size))
