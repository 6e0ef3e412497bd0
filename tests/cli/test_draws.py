"""Intervals need at least 40 resamples, and as many as their level asks for: in every command, and from Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

import gemstones as gs
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.runs import RunTable
from gemstones.timing.step_time import gemstones_step_time
from tests.cli.conftest import Cli

TABLE = [
    {"run": f"{n:g}", "params_total": n, "tokens": t, "loss": 1.8 + 400 / n**0.34 + 410 / t**0.28}
    for n in (1e7, 3e7, 1e8, 3e8, 1e9, 3e9)
    for t in (1e9, 4e9, 16e9)
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("draws") / "runs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in TABLE))
    return file


@pytest.fixture(scope="module")
def runs(table: Path) -> RunTable:
    return gs.load(table)


@pytest.mark.parametrize(
    "words",
    [
        "fit {runs}",
        "envelope {runs}",
        "throughput pebbles",
        "sensitivity {runs}",
        "study {runs} --output {out}",
        "paper --output {out}",
        "backtest {runs} --draws",
    ],
    ids=lambda words: words.split()[0],
)
def test_39_are_refused_by_every_command(cli: Cli, table: Path, tmp_path: Path, words: str) -> None:
    command = words.format(runs=table, out=tmp_path / "out").split()
    option = [] if command[-1] == "--draws" else ["--bootstrap"]
    outcome = cli(*command, *option, 39)
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "39 is too few for intervals at level 0.95: give at least 40" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["fit", "envelope"])
def test_the_level_asks_for_more(cli: Cli, table: Path, command: str) -> None:
    outcome = cli(command, table, "--bootstrap", 100, "--level", 0.999)
    assert outcome.status == 2 and "give at least 2,000" in outcome.err
    outcome = cli(command, table, "--bootstrap", 100, "--level", 0.9999999)
    assert outcome.status == 2 and "level 0.9999999 is too high" in outcome.err
    made = cli(command, table, "--bootstrap", 100, "--level", 0.98)
    assert made.status == 0 and "98% interval" in made.out


@pytest.mark.parametrize(
    "make",
    [
        lambda runs, n: gs.fit(runs, bootstrap=n),
        lambda runs, n: gs.envelope(runs, bootstrap=n),
        lambda runs, n: gs.backtest(runs, draws=n),
        lambda runs, n: gs.sensitivity(runs, [1e20], bootstrap=n),
        lambda runs, n: gs.study(runs, Path("none"), bootstrap=n),
        lambda runs, n: gs.fit_step_time(gs.load("pebbles").select(), bootstrap=n),
        lambda runs, n: gs.reproduce(Path("none"), bootstrap=n),
    ],
    ids=["fit", "envelope", "backtest", "sensitivity", "study", "fit_step_time", "reproduce"],
)
@pytest.mark.parametrize("number", [1, 39, -1, 10**9])
def test_python_refuses_them_too(make: Callable[[Any, int], Any], runs: RunTable, number: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{number} (is too few|must be a number of resamples)"):
        make(runs, number)
    assert not Path("none").exists()


def test_few_are_flagged(runs: RunTable) -> None:
    for made in (gs.fit(runs, bootstrap=40), gs.envelope(runs, bootstrap=40)):
        assert [flag for flag in made.flags if flag.startswith("few_draws: the ends of intervals from 40")]
    for made in (gs.fit(runs, bootstrap=200), gs.fit(runs), gs.envelope(runs, bootstrap=200)):
        assert not [flag for flag in made.flags if "few_draws" in flag]


def test_a_file_with_few_draws_gives_no_interval(cli: Cli, runs: RunTable, tmp_path: Path) -> None:
    whole, few = gs.fit(runs, bootstrap=40), tmp_path / "few.json"
    msgspec.structs.replace(whole, drawn=whole.drawn[:39]).save(few)
    strict = tmp_path / "strict.json"
    msgspec.structs.replace(whole, level=0.99).save(strict)
    for file, said in (
        (few, "39 resamples by run are too few for 95%"),
        (strict, "40 resamples by run are too few for 99%"),
    ):
        assert Fit.load(file).intervals is None
        planned = cli("plan", "1e20", "--law", file, "--json").json
        assert planned["intervals"] is None and said in planned["intervals_note"]
        assert said in cli("plan", "1e20", "--law", file).out
        trained = cli("overtrain", "1e20", "--law", file, "--json").json
        assert trained["level"] is None and trained["intervals"] is None
        assert any(said in note for note in trained["notes"])
    whole.save(tmp_path / "enough.json")
    assert cli("plan", "1e20", "--law", tmp_path / "enough.json", "--json").json["intervals"] is not None
    model = gemstones_step_time()
    assert msgspec.structs.replace(model, draws=model.draws[:39]).peak_interval is None


def test_resamples_that_are_left_out_do_not_count(runs: RunTable) -> None:
    """Resamples whose frontier has no line are left out; of 40 drawn, fewer are no interval."""
    losses = {1e7: 3.0, 3e7: 2.5, 1e8: 3.5, 3e8: 3.6}
    two = [{"run": f"{n:g}", "params_total": n, "tokens": 1e9, "loss": loss} for n, loss in losses.items()]
    table = gs.load(pl.DataFrame(two))
    made = gs.envelope(table, bootstrap=40)
    assert len(made.draws["params"]) < 40 and made.intervals is None
    assert "are too few for 95% intervals" in repr(made)
