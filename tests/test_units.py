"""Quantities read exactly as their decimals say, or refused in one line; written so that they can be read."""

from __future__ import annotations

import math
import re
import sys
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemstones.errors import InvalidQuantity
from gemstones.laws.parse_form import parse_form
from gemstones.units import (
    SUFFIXES,
    format_flops,
    format_number,
    format_quantity,
    parse_count,
    parse_quantity,
)

POSITIVE = st.floats(1e-290, 1e290)
NEARLY_QUANTITIES = st.text("0123456789_,.+-eEkKMmBbGTPZY \n٣∞", max_size=12)


def refusal(text: str | float, what: str = "quantity") -> str:
    with pytest.raises(InvalidQuantity) as caught:
        parse_quantity(text, what)
    assert caught.value.exit_status == 2
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100B", 100_000_000_000),
        ("100G", 100_000_000_000),
        ("0.3B", 300_000_000),
        (".5k", 500),
        ("50M", 50_000_000),
        (" 2.5 t ", 2_500_000_000_000),
        ("6P", 6e15),
        ("1E", 1e18),
        ("3z", 3e21),
        ("1Y", 1e24),
        ("1e22", 1e22),
        ("1E22", 1e22),
        ("1e3K", 1_000_000),
        ("1.5e-3M", 1500),
        ("2_048", 2048),
        ("543,482,880", 543_482_880),
        ("1,000,000", 1_000_000),
        ("3_200", 3200),
        ("12,500K", 12_500_000),
        ("+7", 7),
        (2048, 2048),
        (0.25, 0.25),
    ],
)
def test_golden(text: str | float, value: float) -> None:
    assert parse_quantity(text) == value


@given(
    whole=st.integers(0, 10**20),
    decimals=st.text("0123456789", max_size=12),
    exponent=st.none() | st.integers(-200, 200),
    suffix=st.sampled_from(sorted(SUFFIXES)),
)
def test_the_value_is_the_nearest_number_to_the_decimal(
    whole: int, decimals: str, exponent: int | None, suffix: str
) -> None:
    mantissa = f"{whole}.{decimals}" if decimals else str(whole)
    exact = Fraction(mantissa) * Fraction(10) ** ((exponent or 0) + SUFFIXES[suffix])
    text = mantissa + ("" if exponent is None else f"e{exponent}") + suffix
    if not exact:
        assert refusal(text) == f"quantity {text!r} must be positive and finite"
        return
    assert parse_quantity(text) == float(exact)
    assert parse_quantity(text.lower()) == float(exact)


@given(NEARLY_QUANTITIES | st.text())
@example("1e" + "9" * 5000)
@example("9" * 5000)
@example("1e-400")
@example("0\nB_")
def test_any_text_is_a_positive_number_or_one_line(text: str) -> None:
    try:
        value = parse_quantity(text)
    except InvalidQuantity:
        assert refusal(text, "tokens").startswith("tokens ")
    else:
        assert math.isfinite(value)
        assert value > 0


@given(st.floats() | st.integers())
@example(10**400)
@example(1.7e308)
def test_a_number_is_itself_or_refused(number: float) -> None:
    if 0 < number <= sys.float_info.max:
        assert parse_quantity(number) == float(number)
    else:
        refusal(number)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("many", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("1.2.3", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("1,000_000", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("5 MB", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("100\nB\n?", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("nan", "is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("-3B", "must be positive and finite"),
        ("0", "must be positive and finite"),
        ("1e999", "must be positive and finite"),
    ],
)
def test_refusals_say_the_value_and_the_rule(text: str, rule: str) -> None:
    assert refusal(text, "budget") == f"budget {text!r} {rule}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,5e22", "1.5e22"),
        ("1,5", "1.5"),
        ("0,500", "0.500"),
        ("3,4061", "3.4061"),
        ("1_5", "15"),
        ("1,234.5", "1234.5"),
        ("1.234,5", "1234.5"),
        ("1,000e3", "1.000e3"),
        ("1,00,000", "100000"),
        ("1_5e22", "15e22"),
    ],
)
def test_separators_elsewhere_are_refused_with_the_number_that_was_meant(text: str, meant: str) -> None:
    rule = "is not a number: only whole numbers have thousands separators, in groups of three"
    assert refusal(text, "budget") == f"budget {text!r} {rule}; write {meant}"
    assert parse_quantity(meant) > 0


def test_counts_are_whole() -> None:
    assert parse_count("2.048K") == 2048
    assert type(parse_count("2.048K")) is int
    with pytest.raises(InvalidQuantity, match=r"^depth '2\.5' must be a whole number$"):
        parse_count("2.5", "depth")
    with pytest.raises(InvalidQuantity, match=r"^depth '0' must be positive and finite$"):
        parse_count("0", "depth")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (543_482_880, 3, "543M"),
        (543_482_880, 2, "540M"),
        (543_482_880, 5, "543.48M"),
        (350.1e9, 3, "350B"),
        (999.9999e6, 3, "1B"),
        (999.4e6, 3, "999M"),
        (2048, 3, "2.05K"),
        (100, 2, "100"),
        (1, 3, "1"),
        (12e12, 3, "12T"),
        (999e12, 3, "999T"),
        (1e15, 3, "1e15"),
        (1e22, 3, "1e22"),
        (0.0123, 3, "0.0123"),
        (0, 3, "0"),
        (-5e6, 3, "-5M"),
        (math.inf, 3, "inf"),
        (math.nan, 3, "nan"),
    ],
)
def test_written(value: float, digits: int, text: str) -> None:
    assert format_quantity(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e12, "1e12"), (1e22, "1e22"), (4.637e22, "4.64e22"), (9.999e9, "1e10"), (2e6, "2e6"), (640, "640")],
)
def test_flops_are_powers(value: float, text: str) -> None:
    assert format_flops(value) == text and parse_quantity(text) == float(f"{value:.2e}")


@given(POSITIVE | st.floats(1, 1e15), st.integers(1, 12))
def test_what_is_written_reads_as_the_value_rounded(value: float, digits: int) -> None:
    text = format_quantity(value, digits)
    assert parse_quantity(text) == float(f"{value:.{digits - 1}e}")
    assert format_quantity(parse_quantity(text), digits) == text


@given(st.floats(1, 999e12), st.integers(3, 8))
def test_a_suffix_leaves_one_to_three_digits_before_the_point(value: float, digits: int) -> None:
    match = re.fullmatch(r"(\d+)(\.\d*[1-9])?[KMBT]?", format_quantity(value, digits))
    assert match
    assert 1 <= int(match[1]) <= 999


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_short_and_read_back(value: float) -> None:
    text = format_number(value)
    assert float(text) == value and "e+" not in text and not re.search(r"e-?0\d", text)
    assert float(format_number(value, 17)) == value


def test_formulas_have_readable_numbers() -> None:
    for number, text in (
        ("1e+09", "1e9"),
        ("1000000000", "1e9"),
        ("2.5e-7", "2.5e-7"),
        ("123456789", "123456789"),
    ):
        form = parse_form(f"E + A/(N/{number})^a + B/T^b")
        assert f"(N/{text})" in form.text
        assert parse_form(form.text).text == form.text
