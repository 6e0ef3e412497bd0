"""How tables and text write numbers, intervals and counts: each quantity in one way everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gemstones.display import ends_text
from gemstones.units import Interval, format_flops, format_number, format_quantity

ZERO = 1e-6
"""Constants and losses are of the order of one; what is smaller than this is a term at zero."""
MOST_DIGITS = 7
"""Written of an interval's ends at most, so that they differ."""
_WHOLE = {"width", "depth"}
_FLOPS = {"budget", "flops"}
_SETTINGS = {"delta", "tolerance"}
_LOSSES = {"loss", "irreducible_loss"}
_CONSTANTS = ("exponent_", "log_coefficient_", "log_irreducible")
_OF_ORDER_ONE = {"exponent", "slope", "intercept", "optimal_params_exponent", "optimal_tokens_exponent"}


def number_text(value: float, digits: int = 3) -> str:
    """A number to three digits, a large one with its SI suffix.

    >>> number_text(0.59), number_text(2.4), number_text(1536.0), number_text(22.8e9), number_text(3e-15)
    ('0.590', '2.40', '1536', '22.8B', '3e-15')
    """
    size = abs(float(f"{value:.{digits - 1}e}"))  # rounded first: 0.9999 is 1.00
    if value == 0 or size >= 1e4:
        return format_quantity(value, digits)
    if size < 1e-3:
        return format_number(value, digits)
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"


def flops_text(value: float) -> str:
    """FLOPs, as `gemstones.units.format_flops` writes them.

    >>> flops_text(1e22), flops_text(3.417e18)
    ('1e22', '3.42e18')
    """
    return format_flops(value)


def quantity_text(name: str, value: float, digits: int = 3) -> str:
    """A value of what `name` names: widths are whole, losses have four decimals, terms at zero are 0.

    >>> quantity_text("width", 20992.0), quantity_text("loss", 2.5532), quantity_text("irreducible_loss", 1e-12)
    ('20992', '2.5532', '0')
    """
    if name in _WHOLE:
        return f"{value:.0f}"
    if name in _FLOPS:
        return flops_text(value)
    if name in _SETTINGS:
        return f"{value:g}"
    fixed = name in _LOSSES or name.startswith(_CONSTANTS)
    if (fixed or name in _OF_ORDER_ONE) and abs(value) < ZERO:
        return "0"
    # A law is rebuilt from its constants: three digits of a log coefficient of 12 would be 5% of its term.
    return f"{value:.4f}" if fixed and abs(value) < 1e4 else number_text(value, digits)


def quantity_of(name: str, row: Mapping[str, object]) -> str:
    """What a column of that name holds in this row: the cut of a split in compute is of FLOPs.

    >>> quantity_of("cut", {"split": "compute"}), quantity_of("cut", {"split": "tokens"})
    ('flops', 'cut')
    """
    return "flops" if name == "cut" and row.get("split") == "compute" else name


def interval_text(ends: Interval, name: str = "") -> str:
    """`[low, high]`, to enough digits that the ends differ.

    >>> interval_text((20.4, 22.2)), interval_text((-0.1, 0.2)), interval_text((1.0001, 1.0002))
    ('[20.4, 22.2]', '[-0.100, 0.200]', '[1.0001, 1.0002]')
    """
    digits = _digits(ends, name)
    return ends_text(*(quantity_text(name, end, digits) for end in ends))


def estimate_text(name: str, value: float, ends: Interval | None) -> str:
    """A value with its interval, to the same digits.

    >>> estimate_text("loss", 2.5532, (2.5491, 2.5553))
    '2.5532 [2.5491, 2.5553]'
    """
    if ends is None:
        return quantity_text(name, value)
    return f"{quantity_text(name, value, _digits(ends, name))} {interval_text(ends, name)}"


def _digits(ends: Interval, name: str) -> int:
    def differ(digits: int) -> bool:
        return quantity_text(name, ends[0], digits) != quantity_text(name, ends[1], digits)

    return next((digits for digits in range(3, MOST_DIGITS + 1) if differ(digits)), 3)


def counted(count: int, noun: str) -> str:
    """A count of things, with their noun in the number it needs.

    >>> counted(1, "shape"), counted(1096, "shape")
    ('1 shape', '1,096 shapes')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
