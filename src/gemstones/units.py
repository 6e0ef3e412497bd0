"""Quantities as people write them: `100B`, `1e22`, `2048`, `50M`; always base units inside.

Suffixes are decimal: K 10^3, M 10^6, B or G 10^9, T 10^12, P 10^15, E 10^18, Z 10^21, Y 10^24.
"""

from __future__ import annotations

import math
import re

from gemstones.errors import InvalidQuantity

Interval = tuple[float, float]
"""Lower and upper end."""

SUFFIXES = {"": 0, "K": 3, "M": 6, "B": 9, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21, "Y": 24}
"""Powers of ten by suffix."""

_SUFFIX = f"[{''.join(SUFFIXES)}{''.join(SUFFIXES).lower()}]?"
_GROUPED = r"[1-9][0-9]{0,2}(?P<separator>[,_])[0-9]{3}(?:(?P=separator)[0-9]{3})*"
_PLAIN = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?"
_QUANTITY = re.compile(rf"\s*([+-]?(?:{_GROUPED}|{_PLAIN}))\s*({_SUFFIX})\s*")


def parse_quantity(text: str | float, what: str = "quantity") -> float:
    """The positive, finite number that `text` denotes; `what` names it in the error.

    Thousands are separated by `,` or `_` in whole numbers only, and in groups of three: `1,5e22` is refused.

    >>> parse_quantity("100B"), parse_quantity("1e22"), parse_quantity("2_048"), parse_quantity("1,000,000")
    (100000000000.0, 1e+22, 2048.0, 1000000.0)
    """
    if isinstance(text, str):
        number = read_number(text)
        if number is None:
            raise InvalidQuantity(f"{what} {text!r} is not a number: {remedy(text)}")
        value = number
    else:
        try:
            value = float(text)
        except OverflowError:  # an int beyond every float
            value = math.inf
    if not (math.isfinite(value) and value > 0):
        raise InvalidQuantity(f"{what} {text!r} must be positive and finite")
    return value


def read_number(text: str) -> float | None:
    """The number that `text` writes, of either sign, infinite where no float is as large; None where it is none.

    >>> read_number("-2.5K"), read_number("1,5"), read_number("1e999")
    (-2500.0, None, inf)
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    digits = match[1].replace("_", "").replace(",", "")
    # One conversion of the whole decimal: float("0.3") * 1e9 would not be 3e8 exactly.
    mantissa, _, exponent = digits.lower().partition("e")
    return float(f"{mantissa}e{int(exponent or 0) + SUFFIXES[match[3].upper()]}")


def remedy(text: str) -> str:
    """How to write what was meant by a text that is no quantity.

    >>> remedy("1,5e22")
    'only whole numbers have thousands separators, in groups of three; write 1.5e22'
    """
    separated = text.strip()
    if ("," in separated) != ("_" in separated) and len(separated) <= 40:
        # 1,5e22 has the decimal comma of half the world, 1.234,5 its thousands as well; 1,234.5 ours.
        comma_last = separated.rfind(",") > separated.rfind(".")
        decimal = separated.replace(".", "").replace(",", ".") if comma_last else separated.replace(",", "")
        for meant in (decimal, separated.replace(",", "")):
            plain = "".join(
                meant.replace("_", "").split()
            )  # on one line, whatever lay between digits and suffix
            if read_number(plain) is not None:
                return f"only whole numbers have thousands separators, in groups of three; write {plain}"
    return "write it like 2048, 1e22, 50M or 100B"


def parse_count(text: str | float, what: str = "count") -> int:
    """As `parse_quantity`, for a whole number."""
    value = parse_quantity(text, what)
    if value != int(value):
        raise InvalidQuantity(f"{what} {text!r} must be a whole number")
    return int(value)


def format_quantity(value: float, digits: int = 3) -> str:
    """`value` with an SI suffix (B for 10^9, up to T), or a power of ten beyond; for people, never for machines.

    >>> format_quantity(543_482_880), format_quantity(1e16), format_quantity(350.1e9)
    ('543M', '1e16', '350B')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    # Round first: 999.9999e6 is 1B, not 1000M.
    value = float(f"{value:.{digits - 1}e}")
    if abs(value) >= 1e15:
        return format_flops(value, digits)
    if abs(value) < 1:
        return f"{value:.{digits}g}"
    for suffix in ("T", "B", "M", "K", ""):
        scaled = value / 10 ** SUFFIXES[suffix]
        if abs(scaled) >= 1:
            # 'g' would write 100 as 1e+02 for two digits: fixed point, with as many decimals as are left.
            decimals = max(0, digits - 1 - math.floor(math.log10(abs(scaled))))
            fixed = f"{scaled:.{decimals}f}"
            return (fixed.rstrip("0").rstrip(".") if "." in fixed else fixed) + suffix
    raise AssertionError("unreachable: abs(value) >= 1")


def format_bytes(count: float, digits: int = 3) -> str:
    """Bytes with a decimal prefix, G for 10^9: B is the byte; for people.

    >>> format_bytes(1_086_965_760), format_bytes(512), format_bytes(4.1e12)
    ('1.09GB', '512B', '4.1TB')
    """
    return format_quantity(count, digits).replace("B", "G") + "B"


def format_flops(value: float, digits: int = 3) -> str:
    """FLOPs of training as the field writes them: as powers of ten, never with a suffix; for people.

    >>> format_flops(1e22), format_flops(3.417e18), format_flops(1e12)
    ('1e22', '3.42e18', '1e12')
    """
    return format_number(value, digits)


def format_number(value: float, digits: int | None = None) -> str:
    """A number to so many digits, powers of ten as they are read: 1e9, not 1e+09; without `digits` the number itself.

    >>> format_number(1e9), format_number(1.25e-7), format_number(0.1), format_number(97_983.4, 4)
    ('1e9', '1.25e-7', '0.1', '9.798e4')
    """
    text = f"{value:.{digits or 6}g}"
    if digits is None and float(text) != value:
        text = repr(value).removesuffix(".0")
    return re.sub(r"e\+?(-?)0*(?=\d)", r"e\1", text)
