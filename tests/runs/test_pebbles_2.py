"""The data set `pebbles-2`: the runs that `studies/pebbles-2.toml` asks for, and what a law of them predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gemstones.analyses.compare.compare import compare
from gemstones.analyses.isoflop.isoflop import isoflop
from gemstones.design.spec import RunSpec
from gemstones.design.suite import expand, load_suite
from gemstones.laws.fitting import fit
from gemstones.runs import RunTable, build_table, load

STUDY = Path(__file__).resolve().parents[2] / "studies" / "pebbles-2.toml"


SETS = {
    "prose": "4b5e9c7605d01ec4d8800bcfcaca07fc5055efbecb417bbdb608ed981c141e81",
    "code": "797bd84aa8c8c105313449224c7a029a6f85261e30534487387c219be7347526",
    "dictionary": "85b58e05a83932b9c6309977ae284172a5acd97ede090d304a2b181e87f19279",
}
"""Fingerprints of the held-out sets beside the whole corpus's."""


@pytest.fixture(scope="module")
def pebbles() -> RunTable:
    return load("pebbles-2")


@pytest.fixture(scope="module")
def specs(pebbles: RunTable) -> tuple[RunSpec, ...]:
    (fingerprint,) = pebbles.frame["corpus_fingerprint"].unique()
    return expand(load_suite(STUDY), corpus_fingerprint=fingerprint, held_out=SETS)


def test_it_has_every_evaluation_of_the_suite_and_nothing_else(
    pebbles: RunTable, specs: tuple[RunSpec, ...]
) -> None:
    rows = [(spec.id, step) for spec in specs for step in spec.evaluation_steps]
    assert sorted(pebbles.frame.select("run", "step").rows()) == sorted(rows)
    assert pebbles.frame["state"].unique().to_list() == ["finished"]
    assert pebbles.assumptions == ()  # nothing unfinished, nothing assumed
    by_id = {spec.id: spec for spec in specs}
    for name in ("family", "width", "depth", "lr_base", "learning_rate", "cooldown", "vocabulary", "context"):
        of_run = [getattr(by_id[run], name) for run in pebbles.frame["run"]]
        assert pebbles.frame[name].to_list() == of_run, name


def test_it_is_designed_for_a_law(pebbles: RunTable) -> None:
    main = pebbles.select("all").frame
    shapes = main.select("width", "depth", "params_total").unique()
    assert shapes.height == 20 and shapes["depth"].min() == 2
    sizes = shapes["params_total"].to_numpy()
    assert sizes.max() / sizes.min() > 80
    aspects = (shapes["width"] / shapes["depth"]).to_numpy()
    for low, high in ((0.2e6, 0.3e6), (0.45e6, 0.6e6), (0.9e6, 1.3e6), (1.9e6, 2.3e6)):
        assert len(set(aspects[(sizes > low) & (sizes < high)])) >= 3, low
    cooled = pebbles.select("cooldown").frame
    assert cooled.group_by("width", "depth").len()["len"].min() >= 2  # type: ignore[operator]
    budgets = np.array([1e12, 2e12, 4e12, 8e12, 1.6e13, 3.2e13])
    flops = cooled["flops"].to_numpy()
    nearest = np.abs(np.log(flops[:, None] / budgets)).argmin(1)
    assert np.abs(np.log(flops / budgets[nearest])).max() < 0.01
    for k in (1, 2, 3):  # of five sizes or more
        logs = np.sort(np.log(cooled["params_total"].to_numpy()[nearest == k]))
        assert (np.diff(logs) > np.log(1.35)).sum() + 1 >= 5, budgets[k]
    for name in ("loss_prose", "loss_code", "loss_dictionary"):
        assert pebbles.frame[name].null_count() == 0
    assert pebbles.frame["recipe"].unique().sort().to_list() == ["gemstones", "muon"]


def test_a_cooldown_ends_below_where_it_forked(pebbles: RunTable) -> None:
    ends = pebbles.select("cooldown").frame
    at_forks = pebbles.frame.filter(family="main").with_columns(pl.col("tokens").cast(pl.Int64))
    forks = ends.join(at_forks, left_on=("run", "fork_tokens"), right_on=("run", "tokens"))
    assert forks.height >= 20  # those of which an evaluation was at the fork
    assert (forks["loss"] < forks["loss_right"]).all()


def test_cooldowns_are_taken_at_their_ends_one_cluster_a_parent(pebbles: RunTable) -> None:
    ends = pebbles.select("cooldown")
    every = pebbles.frame.filter(pl.col("family").is_in(["cooldown", "long-cooldown", "again-cooldown"]))
    assert ends.rows == every["run"].n_unique() and ends.runs == every["parent"].n_unique() == 20 + 4 + 4
    np.testing.assert_allclose(ends.numbers("tokens"), 1.2 * ends.numbers("fork_tokens"), rtol=5e-3)


def test_selections(pebbles: RunTable) -> None:
    for name, runs, sizes in (("fitted", 25, (0, 1.5e6)), ("held-back", 3, (1.5e6, 1e9))):
        made = pebbles.select(name)
        assert made.runs == runs and ((made.numbers("params_total") - sizes[0]) > 0).all()
        assert (made.numbers("params_total") < sizes[1]).all()
    assert pebbles.select("fitted").rows + pebbles.select("held-back").rows == pebbles.select("cooldown").rows
    assert {pebbles.select(name).runs for name in ("muon", "seed")} == {6} and pebbles.select(
        "lr-half"
    ).runs == 5


def test_the_recipe_prints_the_losses_of_the_table(pebbles: RunTable) -> None:
    text = (STUDY.parent / "pebbles" / "second.md").read_text()
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    printed = {row[0]: row[1:] for row in cells if len(row) == 9 and row[0][:1].isdigit()}
    ends = pebbles.select("cooldown").frame
    budgets = [1e12, 2e12, 4e12, 8e12, 1.6e13, 3.2e13]
    assert printed.keys() == {f"{w}x{d}" for w, d in ends.select("width", "depth").iter_rows()}
    for width, depth, total, flops, loss in ends.select(
        "width", "depth", "params_total", "flops", "loss"
    ).iter_rows():
        row = printed[f"{width}x{depth}"]
        column = int(np.argmin(np.abs(np.log(np.array(budgets) / flops))))
        assert row[0] == f"{total:,.0f}" and f"{loss:.3f}" in row[2 + column].split(", "), (
            width,
            depth,
            flops,
        )
    assert pebbles.frame["corpus_fingerprint"][0][:16] in text


def test_any_collected_table_has_its_families_as_selections(pebbles: RunTable, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    of_two = pebbles.frame.filter(pl.col("family").is_in(["main", "cooldown"]))
    pebbles = build_table(of_two, dataset="pebbles-2")
    build_table(of_two, dataset="mine").write_parquet(path)
    for name in ("all", "cooldown"):
        mine, known = load(str(path)).select(name), pebbles.select(name)
        assert (mine.rows, mine.runs) == (known.rows, known.runs), name
    without = build_table(pebbles.frame.drop("parent"), dataset="mine")
    assert (
        without.select("cooldown").rows == without.select("cooldown").runs == pebbles.select("cooldown").rows
    )


@pytest.mark.parametrize(("law", "within"), [("N,T", 0.015), ("w,d,N,T", 0.02), ("(N,T)^p", 0.015)])
def test_the_three_largest_are_predicted_by_laws_that_never_saw_them(
    pebbles: RunTable, law: str, within: float
) -> None:
    held_back = pebbles.select("held-back")
    fitted = fit(pebbles.select("fitted"), law)
    errors = np.log(fitted.law.losses(held_back) / held_back.numbers("loss"))
    assert np.sqrt(np.mean(errors**2)) < within
    assert (
        held_back.numbers("params_total").min() > 1.6 * pebbles.select("fitted").numbers("params_total").max()
    )


def test_the_smallest_shapes_determine_the_exponent_of_n(pebbles: RunTable) -> None:
    """With the two of less than 0.04M parameters its interval spans a factor of 2, without them one of about 3."""
    ends = pebbles.select("cooldown")
    spans = []
    for table in (ends, ends.select(where="params_total > 40000")):
        made = fit(table, "N,T", bootstrap=200)
        assert made.intervals is not None
        low, high = made.intervals["exponents"]["N"]
        spans.append(high / low)
    assert spans[0] < 2.2 < 2.5 < spans[1]


@pytest.mark.long
@pytest.mark.parametrize("law", ["N,T", "(N,T)^p"])
def test_exponents_are_known_to_a_factor_of_2(pebbles: RunTable, law: str) -> None:
    made = fit(pebbles.select("cooldown"), law, bootstrap=1000)
    assert made.intervals is not None
    for name, (low, high) in made.intervals["exponents"].items():
        assert high < 2 * low, name


def test_three_approaches_agree_on_the_best_size(pebbles: RunTable) -> None:
    """As a power of the FLOPs, each within the others' intervals."""
    cooled = pebbles.select("cooldown")
    made = isoflop(cooled, bootstrap=100)
    slopes = [(one.fits["params"].slope, one.intervals["params"]) for one in made.approaches]
    assert len(slopes) == 3
    for slope, _ in slopes:
        assert all(of is not None and of[0] < slope < of[1] for _, of in slopes)


def test_recipes_with_two_checkpoints_a_run_are_compared(pebbles: RunTable) -> None:
    """Within a run nothing tells the noise of a row: taken for none, it made Muon 36% better at 2e12 FLOPs."""
    usual = pebbles.select("cooldown")
    for other, low, high in (("muon", -0.05, -0.01), ("lr-half", 0.0, 0.03), ("seed", -0.01, 0.01)):
        made = compare(usual, pebbles.select(other), budgets=[2e12], law="N,T", bootstrap=40)
        assert made.measured is not None and made.measured.fitted is not None
        assert made.measured.fitted == pytest.approx(made.measured.difference, abs=0.01), other
        assert low < made.at[0].difference < high, other
    assert made.at[0].decided is False  # of two seeds neither is better
