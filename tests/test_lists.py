"""Lists of options: a comma that may be part of a number is refused, with both ways to write what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.lists import listed, listed_numbers
from tests.cli.conftest import Cli, cli  # noqa: F401


@pytest.mark.parametrize(
    ("text", "counted", "meant"),
    [
        ("1,5e22", True, "1.5e22"),
        ("1,5e22", False, "1.5e22"),
        ("7,5B", True, "7.5B"),
        ("1e20,1,5e22", True, "1.5e22"),
        ("1,5e21,2,5e22", True, "1.5e21"),
        ("7,5 b", True, "7.5 b"),
        ("1,5", True, "1.5"),
        ("0,25", False, "0.25"),
        ("1,05", False, "1.05"),
        ("-1,5e3", False, "-1.5e3"),
        ("1,0e-4", False, "1.0e-4"),
        ("1,000,000", True, "1000000"),
        ("1,234,567", True, "1234567"),
        ("50M,100,000", True, "100000"),
        ("1,000", False, "1000"),
    ],
)
def test_what_may_be_one_number_is_refused(text: str, counted: bool, meant: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"may be one number or a list: write {meant}, or "):
        listed_numbers(text, "budgets", "1e20,1e22", counted=counted)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("1e20,1e22", True), ("50M,100M,2B", True), ("5M,1e9", True), ("1, 5e22", True), ("1, 234, 567", True),
        ("0.25,1,4", False), ("1,4", False), ("1,5", False), ("64,128,256", False), ("1e-4,1e-3", False),
        ("1024,2048", True), ("1e20", True), (".5,1", False), ("1,1.5", False), ("2,0.5", False), ("1000,1e4", True),
    ],
)  # fmt: skip
def test_what_is_a_list_is_one(text: str, counted: bool) -> None:
    items = listed_numbers(text, "budgets", "1e20,1e22", counted=counted)
    assert items == tuple(text.replace(" ", "").split(","))


@given(st.floats(1, 999), st.integers(3, 30))
def test_every_decimal_comma_of_a_budget_is_refused(mantissa: float, power: int) -> None:
    text = f"{mantissa:.4f}e{power}".replace(".", ",")
    with pytest.raises(InvalidRequest, match="may be one number or a list"):
        listed_numbers(text, "budgets", "1e20,1e22", counted=True)


def test_empty_items_and_semicolons() -> None:
    for text in ("", " ", ",", " , "):
        with pytest.raises(InvalidRequest, match="names nothing: write it like lr,batch"):
            listed(text, "optimum", "lr,batch")
    for text in ("lr,", ",lr", "lr,,batch"):
        with pytest.raises(InvalidRequest, match="a comma with nothing beside it"):
            listed(text, "optimum", "lr,batch")
    with pytest.raises(InvalidRequest, match="separate numbers with commas"):
        listed_numbers("1,5e20;1,5e22", "budgets", "1e20,1e22")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study pebbles --output none --budgets 7,5e22", "budgets '7,5e22': '7,5e22' may be one number or a list: wr"),
        ("sensitivity pebbles --budgets 7,5e14", "write 7.5e14, or '7, 5e14'"),
        ("sensitivity pebbles --delta 1,5e-4", "write 1.5e-4"),
        ("sensitivity pebbles --delta 0,001", "write 0.001"),
        ("sensitivity pebbles --approach ,", "approach ',' names nothing"),
        ("overtrain 1e22 --factors 0,25", "write 0.25"),
        ("overtrain 1e22 --factors 1,5e1", "write 1.5e1"),
        ("design --sizes 1,5B", "write 1.5B"),
        ("design --sizes 1,234,567", "write 1234567"),
        ("design --sizes 50M;1B", "separate numbers with commas"),
        ("fit pebbles --optimum w --at N=1,5B", "decimals with a point, N=1.5B"),
        ("fit pebbles --fix E=1,69", "with a decimal point"),
        ("fit pebbles --bound a=0,1..0,6", "with decimal points"),
        ("fit pebbles --fix E=1_5", "with a decimal point"),
        ("backtest pebbles --split compute=1,5e14", "write 1.5e14"),
        ("backtest pebbles --select all,", "a comma with nothing beside it"),
        ("throughput pebbles --features flops_matmul,", "a comma with nothing beside it"),
    ],
)  # fmt: skip
def test_every_list_of_every_command(cli: Cli, words: str, said: str) -> None:  # noqa: F811
    outcome = cli(*words.split())
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    assert said in outcome.err
