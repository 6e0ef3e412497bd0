"""Options that are numbers: read like quantities, `1e3`, `10K`, `1,000`, and refused where they are none.

Python's own `int` reads `1_5` as 15, and cyclopts rounds `10.7` to 11.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from cyclopts import CoercionError, Parameter, Token, convert

from gemstones.units import read_number, remedy


def _value(type_: Any, text: str) -> Any:
    check_text(text)
    if type_ not in (int, float):
        return convert(type_, [text])
    value = read_number(text)
    if value is None:
        raise CoercionError(msg=f"{text!r} is not a number: {remedy(text)}")
    if not math.isfinite(value) or (type_ is int and value != int(value)):
        raise CoercionError(msg=f"{text!r} must be a {'whole' if type_ is int else 'finite'} number")
    if type_ is int and re.fullmatch("[+-]?[0-9]+", text):
        return int(text)  # a float does not hold every seed
    return type_(value)


def check_text(text: str) -> None:
    """Refuse what is nothing, and what no path and no name can hold."""
    if not text.strip():
        raise CoercionError(msg=f"{text!r} is empty: give a value, or leave the option out")
    if "\0" in text:
        raise CoercionError(msg=f"{text!r} holds a null character: leave it out")


def _converted(type_: Any, tokens: Sequence[Token]) -> Any:
    return convert(type_, tokens, converter=_value)


NUMBERS = Parameter(converter=_converted)
"""Parameter of the application, from which every option inherits how it is read."""
