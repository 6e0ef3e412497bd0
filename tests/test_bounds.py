"""Requests that make no sense, or would take for ever, are refused: from Python and on the command line."""

from __future__ import annotations

import time

import pytest

import gemstones as gs
from gemstones.bounds import FACTOR, FLOPS, MOST
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidQuantity, InvalidRequest
from gemstones.laws.solver.resample import check_resampling
from tests.cli.conftest import Cli, cli  # noqa: F401


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan 1e60", "budget 1e60 is out of all bounds: it must be 6 to 1e+40 FLOPs"),
        ("plan 1e-5", "budget 1e-5 is out of all bounds"),
        ("plan --device-hours 1e30", "device hours 1e30 is out of all bounds"),
        ("plan 1e22 --inference-tokens 1e60", "inference tokens 1e60 is out of all bounds"),
        ("plan 1e22 --inference-tokens 1e-5", "inference tokens 1e-5 is out of all bounds: it must be 1 to 1e+25"),
        ("overtrain 1e60", "budget 1e60"),
        ("overtrain 1e22 --factors 1e-30,4", "factor 1e-30 is out of all bounds: it must be 1e-06 to 1e+06 times"),
        ("overtrain 1e22 --factors 1e30", "factor 1e30"),
        ("overspend pebbles --tokens 1e-5", "tokens 1e-5 is out of all bounds: it must be 1 to 1e+25 tokens"),
        ("design --sizes 1e60", "size 1e60 is out of all bounds"),
        ("study pebbles --output none --budgets 1e60", "budget 1e60"),
        ("sensitivity pebbles --budgets 1e60", "budget 1e60"),
        ("sensitivity pebbles --budgets " + ",".join(["1e20"] * (MOST + 1)), "501 values of budget are too"),
        ("study pebbles --output none --budgets " + ",".join(["1e20"] * 9999), "9,999 values of budget are too many"),
        ("overtrain 1e22 --factors " + ",".join(["2"] * 9999), "9,999 values of factor are too many"),
        ("design --sizes " + ",".join(["1M"] * 9999), "9,999 values of size are too many"),
        ("plan 1e22 --max-width 2147483647", "8,589,933,568 shapes, more than the 10,000,000 that are searched: na"),
        ("plan 1e22 --max-width 2147483648", "width 2147483648 is larger than any model's: it must be at most"),
        ("plan 1e22 --max-depth 2147483647", "narrow the ranges"),
        ("plan 1e22 --law chinchilla --max-width 2147483647", "narrow the ranges"),
        ("overtrain 1e22 --max-width 2147483647", "narrow the ranges"),
        ("design --sizes 1T --max-width 2147483647 --head-size 1 --queries-per-kv 1", "narrow the ranges"),
        ("design --sizes 1T --max-width 2147483647 --no-even-heads", "narrow the ranges"),
        ("fit pebbles --bootstrap 1000000000", "bootstrap 1000000000 must be a number of resamples up to 1,000,000"),
        ("fit pebbles --seed 9223372036854775808", "seed 9223372036854775808 must be 0 to 92233"),
        ("envelope pebbles --bootstrap 1000001", "up to 1,000,000"),
        ("throughput pebbles --seed -1", "seed -1"),
        ("backtest pebbles --draws 1000000000", "draws 1000000000 must be a number of resamples up to 1,000,000"),
    ],
    ids=lambda words: words[:60],
)  # fmt: skip
def test_refused_at_once(cli: Cli, words: str, said: str) -> None:  # noqa: F811
    begun = time.process_time()
    outcome = cli(*words.split())
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    assert said in outcome.err
    assert time.process_time() - begun < 5


def test_python_is_refused_too() -> None:
    law = gs.published("gemstones-refit")
    for ask in (
        lambda: gs.plan(1e60, law),
        lambda: gs.overtrain(1e60, law),
        lambda: gs.overtrain(1e22, law, [1e-30]),
        lambda: gs.Cost(inference_tokens=1e-5),
        lambda: gs.Cost(inference_tokens=-1),
    ):
        with pytest.raises(InvalidQuantity, match=r"out of all bounds|must be positive"):
            ask()
    with pytest.raises(InvalidRequest, match="values of factor are too many"):
        gs.overtrain(1e22, law, [2.0] * (MOST + 1))
    with pytest.raises(InvalidRequest, match="seed"):
        check_resampling(0, "run", 2**63)
    check_resampling(0, "run", 2**63 - 1)


def test_bounds_hold_what_people_train() -> None:
    assert FLOPS.each([6, "1e12", 1e40]) == [6.0, 1e12, 1e40]
    assert FACTOR.each(["0.25", 16]) == [0.25, 16.0]


def test_widths_are_counted_before_they_are_listed() -> None:
    begun = time.process_time()
    for wide in (2**31 - 1, 10**7):
        with pytest.raises(InvalidRequest, match="narrow the ranges, or let widths be larger multiples"):
            Constraints(width_max=wide, depth_max=2000, even_heads=False).grid()
    assert time.process_time() - begun < 1
    assert Constraints(width_max=1024, even_heads=False).widths() == [256, 384, 512, 768, 1024]
    assert Constraints(width_max=1024, even_heads=False, width_multiple=96).widths() == [384, 768]
    assert Constraints(width_min=385, width_max=1024, even_heads=False).widths() == [512, 768, 1024]
