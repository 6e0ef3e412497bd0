"""`gemstones.fit(x)` is `gemstones fit x`: whatever the runs are given as, the same rows and the same answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gemstones as gs
from tests.cli.conftest import Cli

Runs = Any
WAYS: dict[str, Callable[[gs.RunTable, Path], Runs]] = {
    "name": lambda table, path: "pebbles",
    "table": lambda table, path: table,
    "selection": lambda table, path: table.select("all"),
    "text of a path": lambda table, path: str(path),
    "path": lambda table, path: path,
    "polars": lambda table, path: table.frame,
    "pandas": lambda table, path: table.frame.to_pandas(),
    "pyarrow": lambda table, path: table.frame.to_arrow(),
    "dicts": lambda table, path: table.frame.to_dicts(),
}


@pytest.fixture(params=WAYS)
def pebbles_given(request: pytest.FixtureRequest, pebbles: gs.RunTable, tmp_path: Path) -> Runs:
    path = tmp_path / "mine.parquet"
    pebbles.write_parquet(path)
    return WAYS[request.param](pebbles, path)


def test_every_way_of_giving_runs_is_fitted_alike(cli: Cli, pebbles_given: Runs) -> None:
    printed = cli("fit", "pebbles", "--law", "w,d,T", "--json").json
    made = gs.fit(pebbles_given, ["w", "d", "T"])
    assert (made.rows, made.runs, made.selection) == (390, 13, "all")  # of 675 rows, in three families
    assert dict(zip(made.law.terms, made.law.exponents, strict=True)) == printed["exponents"]
    assert (made.objective, made.fingerprint) == (printed["objective"], printed["fingerprint"])


def test_gemstones_is_fitted_as_on_the_command_line(cli: Cli, gemstones: gs.RunTable) -> None:
    printed = cli("fit", "gemstones", "--json").json
    for runs in (gemstones, "gemstones"):
        made = gs.fit(runs)
        assert (made.rows, made.law.exponents[1]) == (770, pytest.approx(0.590, abs=5e-4))
        assert made.summary() == printed
    assert "gemstones, all" in repr(made)
    assert gs.fit(gemstones.select("le100B")).rows == 220


def test_a_selection_that_was_made_stays(pebbles: gs.RunTable) -> None:
    made = gs.fit(pebbles.select("lr-ablation"), ("w", "d", "T"))
    assert (made.selection, made.rows) == ("lr-ablation", 270)
    narrowed = gs.fit(pebbles.select(where="tokens > 2e6"), "w,d,T")
    assert narrowed.selection == "all where tokens > 2e6"


@pytest.mark.long
def test_every_analysis_takes_runs_alike(cli: Cli, tmp_path: Path) -> None:
    envelope = gs.envelope("pebbles")
    assert envelope.summary() == cli("envelope", "pebbles", "--json").json
    assert "pebbles, all" in repr(envelope)
    overspend = gs.overspend("pebbles", "4M")
    assert overspend.summary() == cli("overspend", "pebbles", "--tokens", "4M", "--json").json
    assert "pebbles (all)" in repr(overspend)
    backtest = gs.backtest("pebbles", laws=["w,d,T", ["N", "T"]], splits=["compute"], draws=40)
    laws = ("--law", "w,d,T", "--law", "N,T", "--split", "compute", "--draws", "40")
    assert json.loads(json.dumps(backtest.summary())) == cli("backtest", "pebbles", *laws, "--json").json
    assert "pebbles (all)" in repr(backtest)
    assert gs.backtest("pebbles", laws="N,T", splits=["compute"], draws=40).scores
    step_time = gs.fit_step_time("pebbles")
    assert step_time.selection == "all"
    levels = gs.Levels(laws=(["N", "T"], "w,d,T"), deltas=(1e-3,))
    assert levels.laws == ("N,T", "w,d,T")
    swept = gs.sensitivity("pebbles", [1e14], levels=levels, bootstrap=0)
    assert {study.choices.selection for study in swept.studies} == {"all", "lr-ablation", "cooldown"}
    figure = gs.approach1_figure("pebbles", envelope)
    assert figure.to_dict()


def test_a_plan_takes_the_name_of_a_law_and_the_file_of_a_fit(tmp_path: Path) -> None:
    assert gs.plan("1e22", "chinchilla") == gs.plan(1e22, gs.published("chinchilla"))
    made = gs.fit("pebbles", "N,T")
    made.save(tmp_path / "mine.json")
    assert gs.plan(1e15, tmp_path / "mine.json") == gs.plan(1e15, made)
    assert gs.overtrain(1e15, str(tmp_path / "mine.json")).summary() == gs.overtrain(1e15, made).summary()
    with pytest.raises(
        gs.UserError, match=r"^law 'gemini' is neither a law \(gemstones-refit, gemstones-refit-plain, "
    ):
        gs.plan(1e22, "gemini")


def test_selections_of_two_tables_are_still_several() -> None:
    every = gs.load("pebbles")
    made = gs.backtest(
        [every.select("all"), every.select("lr-ablation")], laws=["N,T"], splits=["size"], draws=40
    )
    assert [table.selection for table in made.tables] == ["all", "lr-ablation"]


def test_a_table_has_no_other_options() -> None:
    with pytest.raises(
        gs.UserError, match=r"^vocabulary cannot be set for the data set pebbles: they describe"
    ):
        gs.load(gs.load("pebbles"), vocabulary=10)
    frame = gs.load("pebbles").frame
    assert isinstance(frame, pl.DataFrame) and gs.load(frame).dataset == "frame"
