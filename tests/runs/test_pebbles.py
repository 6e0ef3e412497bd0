"""The data set `pebbles`: the table in the package is of the runs that `studies/pebbles.toml` asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gemstones.design.spec import RunSpec
from gemstones.design.suite import expand, load_suite
from gemstones.runs import RunTable, build_table, load

STUDY = Path(__file__).resolve().parents[2] / "studies" / "pebbles.toml"


@pytest.fixture(scope="module")
def specs(pebbles: RunTable) -> tuple[RunSpec, ...]:
    (fingerprint,) = pebbles.frame["corpus_fingerprint"].unique()
    return expand(load_suite(STUDY), corpus_fingerprint=fingerprint)


def test_it_has_every_evaluation_of_the_suite_and_nothing_else(
    pebbles: RunTable, specs: tuple[RunSpec, ...]
) -> None:
    rows = [(spec.id, step) for spec in specs for step in spec.evaluation_steps]
    assert pebbles.frame.select("run", "step").rows() == rows
    assert pebbles.frame["state"].unique().to_list() == ["finished"]
    assert pebbles.assumptions == ()  # nothing unfinished, nothing assumed
    for name in ("family", "width", "depth", "lr_base", "learning_rate", "cooldown", "vocabulary", "context"):
        of_run = {spec.id: getattr(spec, name) for spec in specs}
        assert pebbles.frame[name].to_list() == [of_run[run] for run, _ in rows], name


def test_it_is_the_suite_that_was_asked_for(pebbles: RunTable) -> None:
    frame = pebbles.frame
    main = frame.filter(family="main")
    shapes = main.select("width", "depth", "params_total").unique()
    assert shapes.height >= 12 and shapes["params_total"].is_between(1e5, 6e5).all()
    logs = np.sort(np.log(shapes["params_total"].to_numpy()))
    assert (np.diff(logs) > np.log(1.2)).sum() + 1 >= 3  # sizes
    per_run = main.group_by("run").agg(pl.len(), pl.col("tokens").max())
    assert per_run["len"].min() >= 20 and per_run["tokens"].min() >= 6e6  # type: ignore[operator]
    assert per_run["tokens"].n_unique() == 1
    halved = frame.filter(family="lr-ablation")
    assert halved["run"].n_unique() >= 4 and (halved["lr_base"] == main["lr_base"][0] / 2).all()
    assert frame.filter(family="cooldown").select("width", "depth").n_unique() >= 4


def test_a_cooldown_ends_below_where_it_forked(pebbles: RunTable) -> None:
    ends = pebbles.select("cooldown").frame
    at_forks = pebbles.frame.filter(family="main").with_columns(pl.col("tokens").cast(pl.Int64))
    forks = ends.join(at_forks, left_on=("run", "fork_tokens"), right_on=("run", "tokens"))
    assert forks.height == ends.height
    assert (forks["loss"] < forks["loss_right"]).all()


def test_cooldowns_are_taken_at_their_ends_one_cluster_a_parent(pebbles: RunTable) -> None:
    ends = pebbles.select("cooldown")
    every = pebbles.frame.filter(family="cooldown")
    assert ends.rows == every["run"].n_unique() and ends.runs == every["parent"].n_unique() < ends.rows
    np.testing.assert_allclose(ends.numbers("tokens"), 1.1 * ends.numbers("fork_tokens"), rtol=5e-3)


def test_the_recipe_prints_the_losses_of_the_table(pebbles: RunTable) -> None:
    text = (STUDY.parent / "pebbles" / "README.md").read_text()
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    printed = {row[0]: row for row in cells if len(row) == 9}
    ends = pebbles.frame.filter(pl.col("tokens") == pl.col("tokens").max().over("run"))
    last = pl.col("tokens") == pl.col("tokens").max().over("family", "width", "depth")
    columns = {"main": 6, "lr-ablation": 7, "cooldown": 8}
    expected = {
        (f"{width}x{depth}", columns[family]): f"{loss:.3f}"
        for family, width, depth, loss in ends.filter(last)
        .select("family", "width", "depth", "loss")
        .iter_rows()
    }
    found = {
        (shape, at): row[at]
        for shape, row in printed.items()
        for at in columns.values()
        if row[at][:1].isdigit()
    }
    assert found == expected
    for width, depth, total in ends.select("width", "depth", "params_total").unique().iter_rows():
        assert printed[f"{width}x{depth}"][1] == f"{total:,.0f}"
    assert pebbles.frame["corpus_fingerprint"][0] in text


def test_any_collected_table_has_its_families_as_selections(pebbles: RunTable, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    build_table(pebbles.frame, dataset="mine").write_parquet(path)
    for name in ("all", "lr-ablation", "cooldown"):
        mine, known = load(str(path)).select(name), pebbles.select(name)
        assert (mine.rows, mine.runs) == (known.rows, known.runs), name
    without = build_table(pebbles.frame.drop("parent"), dataset="mine")
    assert (without.select("cooldown").rows, without.select("cooldown").runs) == (15, 15)
