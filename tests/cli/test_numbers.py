"""Numbers of options are read by the rules of quantities: nothing is rounded, no separator is dropped."""

from __future__ import annotations

import pytest

from gemstones.cli.app import build
from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("1e3", 1000),
        ("0.1K", 100),
        ("1,000", 1000),
        ("1_000", 1000),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_whole_numbers(text: str, value: int) -> None:
    _, bound, _ = build().parse_args(
        ["fit", "x.csv", "--bootstrap", text], exit_on_error=False, print_error=False
    )
    assert bound.arguments["resampled"].bootstrap == value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("fit pebbles --bootstrap 1_5", "--bootstrap: '1_5' is not a number: only whole numbers"),
        ("fit pebbles --bootstrap 1,5", "in groups of three; write 1.5"),
        ("fit pebbles --bootstrap 10.7", "--bootstrap: '10.7' must be a whole number"),
        ("fit pebbles --bootstrap many", "'many' is not a number: write it like 2048, 1e22, 50M or 100B"),
        ("fit pebbles --level 0,95", "--level: '0,95' is not a number: only whole numbers have thousands"),
        ("fit pebbles --level 1e999", "--level: '1e999' must be a finite number"),
        ("plan 1,5e22", "budget '1,5e22' is not a number: only whole numbers have thousands separators"),
        ("plan --device-hours 1,5e4", "device hours '1,5e4' is not a number"),
        ("study pebbles --budgets 1e15,1.5.0e16 --output x", "budget '1.5.0e16' is not a number"),
        ("design --sizes 50M,1_5M", "size '1_5M' is not a number"),
        ("fit pebbles --where 'tokens > 1,000,000'", "without commas, like 1.5, 1000000 or 1_000_000"),
    ],
)
def test_what_is_none_is_refused_with_what_was_meant(cli: Cli, arguments: str, says: str) -> None:
    import shlex

    outcome = cli(*shlex.split(arguments))
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert says in outcome.err
