"""What `plan` and `throughput` refuse of device hours and inference, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan", ("either", "--device-hours")),
        ("plan 1e22 --device-hours 1e5", ("either", "--device-hours")),
        ("plan --device-hours 0", ("device hours '0' must be positive",)),
        ("plan --device-hours soon", ("device hours 'soon' is not a number",)),
        ("plan 1e22 --inference-tokens many", ("inference tokens 'many' is not a number",)),
        ("plan 1e20 --inference-tokens 1e13", ("inference on 10T tokens alone", "--inference-tokens")),
        ("plan --device-hours 100 --inference-tokens 1e13", ("100 device hours", "--min-width")),
        ("plan --device-hours 1e5 --law kaplan", ("law kaplan", "cannot weigh device hours", "--law")),
        ("plan 1e22 --inference-tokens 1T --law kaplan", ("cannot weigh inference",)),
        ("plan --device-hours 1e12", ("device hours lies on the edge of the search", "--max-width")),
        ("plan --device-hours 1e5 --throughput chinchilla", ("step times are not known", "seconds_per_step")),
        ("plan --device-hours 1e5 --throughput lumi", ("'lumi' is unknown",)),
        ("plan --device-hours 1e5 --throughput lumi.json", ("lumi.json cannot be read",)),
        ("throughput chinchilla", ("step times are not known",)),
        ("throughput pebbles --features weights", ("'weights'", "flops_matmul")),
        ("throughput pebbles --where width=128", ("1 shape(s)", "3 or more")),
        ("throughput pebbles --bootstrap -3", ("bootstrap -3",)),
        ("throughput pebbles --output nowhere/time.json", ("nowhere", "does not exist")),
    ],
)
def test_refused_in_one_line(cli: Cli, words: str, said: tuple[str, ...]) -> None:
    for json in ((), ("--json",)):
        outcome = cli(*words.split(), *json)
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err.count("\n") == 1 and outcome.err.startswith("gemstones: ")
        for part in said:
            assert part in outcome.err


def test_a_fit_is_no_throughput_model_and_neither_is_a_broken_file(cli: Cli, tmp_path: Path) -> None:
    fitted, time = tmp_path / "fit.json", tmp_path / "time.json"
    assert cli("fit", "pebbles", "--law", "N,T", "--output", fitted).status == 0
    assert cli("throughput", "pebbles", "--bootstrap", "0", "--output", time).status == 0
    for file, command in (
        (fitted, ("plan", "--device-hours", "1e4", "--throughput")),
        (time, ("plan", "1e22", "--law")),
    ):
        outcome = cli(*command, file)
        assert outcome.status == 2 and outcome.err.count("\n") == 1 and f"{file.name} is not a" in outcome.err
    time.write_text(time.read_text()[:500])
    assert cli("plan", "--device-hours", "1e4", "--throughput", time).status == 2


def test_the_plan_beside_may_be_beyond_the_search(cli: Cli) -> None:
    words = ("plan", "--device-hours", "1e5", "--max-depth", "64", "--law", "gemstones-refit-plain")
    assert "no plan for the same FLOPs beside it" in cli(*words).out
    beside = cli(*words, "--json").json["flop_optimal"]
    assert beside["shape"] is None and "depth 64" in beside["note"]
