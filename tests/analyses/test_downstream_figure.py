"""A task's law as a figure and as files: what is drawn is what was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gemstones as gs
from gemstones.analyses.downstream.result import Downstream
from gemstones.errors import InvalidRequest
from tests.analyses import planted
from tests.cli.conftest import Cli, cli

__all__ = ["Cli", "cli"]


@pytest.fixture(scope="module")
def made() -> Downstream:
    return gs.downstream(planted.tasks(), "exam", form="gadre", chance=0.25, bootstrap=40, law="N,T")


def test_the_law_and_its_band_are_those_that_were_planted(made: Downstream) -> None:
    data = gs.downstream_figure(made).datasets
    law = pl.DataFrame(data["law"])
    exact = 1 - planted.TASK_LAWS["gadre"](0, 0, law["loss"].to_numpy())
    assert np.abs(law["error"].to_numpy() - exact).max() < 0.004  # the noise that was planted
    assert (law["low"] <= law["error"]).all() and (law["error"] <= law["high"]).all()
    assert 0 < (law["high"] - law["low"]).max() < 0.02
    assert data["chance"] == [{"error": 0.75}]
    measured = {(row["loss"], row["exam"]) for row in planted.tasks()}
    assert {(row["loss"], row["accuracy"]) for row in data["checkpoints"]} == measured


def test_what_is_drawn_as_held_out_has_the_errors_that_are_stated(made: Downstream) -> None:
    held = pl.DataFrame(gs.downstream_figure(made).datasets["held-out"])
    off = held.with_columns(((pl.col("predicted") - pl.col("measured")) ** 2).alias("square"))
    by_run = off.group_by("kind", "run").agg(pl.col("square").mean())
    errors = dict(by_run.group_by("kind").agg(pl.col("square").mean().sqrt()).iter_rows())
    assert errors == pytest.approx(
        {"Runs left out, by the others": made.error_left_out, "Top fifth of compute, by the rest": made.error_beyond}
    )  # fmt: skip


def test_a_law_without_a_loss_has_no_line(made: Downstream) -> None:
    direct = gs.downstream(planted.tasks(form="direct"), "exam", form="direct", chance=0.25, bootstrap=0)
    data = gs.downstream_figure(direct).datasets
    assert "law" not in data and len(data["checkpoints"]) == direct.rows
    without = gs.downstream_figure(replace(made, chance=None)).datasets
    assert without["chance"] == []
    with pytest.raises(InvalidRequest, match="nothing to draw of the task exam"):
        gs.downstream_figure(replace(made, checkpoints=None))


@pytest.mark.long
def test_the_folder(cli: Cli, tmp_path: Path) -> None:
    pl.DataFrame(planted.tasks()).write_csv(tmp_path / "runs.csv")
    words = [
        "downstream",
        tmp_path / "runs.csv",
        "--task",
        "exam",
        "--form",
        "gadre",
        "--chance",
        "0.25",
        "--law",
        "N,T",
    ]
    words += ["--bootstrap", "40", "--workers", "1", "--at", "loss=2.5", "--output", tmp_path / "out"]
    told = cli(*words, "--json").json
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "downstream.json", "checkpoints.parquet", "predictions.parquet", "task.png", "task.svg",
    }  # fmt: skip
    checkpoints = pl.read_parquet(tmp_path / "out/checkpoints.parquet")
    off = checkpoints["predicted"] - checkpoints["accuracy"]
    assert (off**2).sum() == pytest.approx(told["objective"])
    (prediction,) = pl.read_parquet(tmp_path / "out/predictions.parquet").to_dicts()
    assert prediction["at"] == "loss=2.5"
    assert prediction["accuracy"] == pytest.approx(told["predictions"][0]["accuracy"])
    assert prediction["accuracy_high"] == pytest.approx(told["predictions"][0]["interval"][1])
    # Without points there are no predictions, and the folder is made anew as a whole.
    assert cli(*words[:-4], "--output", tmp_path / "out").status == 0
    assert not (tmp_path / "out/predictions.parquet").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/checkpoints.parquet").write_text("mine")
    refused = cli(*words[:-1], tmp_path / "mine")
    assert refused.status == 2 and (tmp_path / "mine/checkpoints.parquet").read_text() == "mine"
