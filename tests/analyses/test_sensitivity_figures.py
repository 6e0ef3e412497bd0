"""Figures and tables of a sensitivity analysis: what is drawn is what was found."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.analyses.sensitivity.choices import CHOICES, Levels
from gemstones.analyses.sensitivity.figures import shares_figure, studies_figure
from gemstones.analyses.sensitivity.files import write_sensitivity
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.analyses.sensitivity.tables import (
    level_rows,
    share_rows,
    spread_rows,
    studies_frame,
    sweep_budgets,
)
from gemstones.errors import InvalidRequest
from gemstones.figures.save import render
from gemstones.laws.fitting import fit as gs_fit
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.published import LAWS
from gemstones.paper.rainbow import BUDGETS, rainbow_curves, rainbow_figure, rainbow_sensitivities
from gemstones.paper.spaced import spaced
from gemstones.runs import RunTable


@pytest.fixture(scope="module")
def few(chinchilla: RunTable) -> Sensitivity:
    return sensitivity(Sweep.of(chinchilla), [1e22, 1e24], bootstrap=40)


@pytest.fixture(scope="module")
def rainbow(gemstones: RunTable, chinchilla: RunTable) -> tuple[Sensitivity, ...]:
    return rainbow_sensitivities(gemstones, chinchilla)


# ---------------------------------------------------------------- Figure 6

PUBLISHED_LINES = {
    ("all checkpoints", "total"): (0.457903080, -1.025860401),
    ("up to 100B tokens", "total"): (0.499380216, -2.845107696),
    ("half the learning rate", "total"): (0.513127536, -3.568844081),
    ("cooldowns", "total"): (0.596981017, -7.522191520),
    ("from 120B tokens", "total"): (0.798672483, -18.042169765),
}
"""paper.md §3: slope and intercept of log N on log FLOPs over the hull."""


def test_curves_are_the_published_ones(rainbow: tuple[Sensitivity, ...]) -> None:
    curves = {(c.series, c.approach, c.params_convention): c for c in rainbow_curves(*rainbow)}
    # Seven selections by two approaches, with and without embeddings, two of the Chinchilla data, two published.
    assert len(curves) == 7 * 2 * 2 + 2 * 2 + 2
    for (series, convention), (slope, intercept) in PUBLISHED_LINES.items():
        curve = curves[series, "hull", convention]  # type: ignore[index]
        np.testing.assert_allclose(np.log(curve.n_opt), slope * np.log(BUDGETS) + intercept, rtol=1e-7)
    law = LAWS["gemstones"]
    fitted = curves["all checkpoints", "approach3", "total"].n_opt
    expected = np.array([optimal_params_tokens(law.theta, budget)[0] for budget in BUDGETS])  # type: ignore[union-attr]
    np.testing.assert_allclose(fitted, expected, rtol=0.02)  # the published fit stopped early
    assert {c.params_convention for c in curves.values() if c.approach == "hull"} == {
        "total",
        "non_embedding",
    }
    assert {c.params_convention for c in curves.values() if c.approach == "approach3"} == {
        "total",
        "no_embedding",
    }
    kaplan = curves["Kaplan et al. 2020", None, "non_embedding"]
    assert kaplan.n_opt[-1] / kaplan.n_opt[0] == pytest.approx(1e10**0.88)


def test_the_rainbow_is_drawn(rainbow: tuple[Sensitivity, ...], gemstones: RunTable) -> None:
    figure = rainbow_figure(*rainbow).to_dict()
    names = {row["series"] for row in figure["datasets"]["labels-hull"]}
    assert names == {row["series"] for row in figure["datasets"]["curves-hull"]}
    assert "width 512 only" in names and "Chinchilla data, reduced" in names and "Kaplan et al. 2020" in names
    assert len({row["curve"] for row in figure["datasets"]["curves-approach3"]}) == 7 * 2 + 2 + 2
    # Every analysis that counts all parameters, with its interval; published laws have none.
    intervals = {(row["series"], row["by"]): row for row in figure["datasets"]["intervals"]}
    assert len(intervals) == (7 + 2) * 2 + 2
    for (_, by), row in intervals.items():
        if by == "Published law":
            assert row["low"] is None and row["high"] is None
        else:
            assert row["low"] <= row["n_opt"] <= row["high"]
    drawn = intervals["all checkpoints", "Approach 3"]
    fit = gs_fit(gemstones.select("all"), "N,T", bootstrap=100)
    ends = fit.plan(1e22).intervals["params"]
    assert (drawn["low"], drawn["high"]) == pytest.approx(ends, rel=0.02)  # resamples start elsewhere
    assert render(rainbow_figure(rainbow[0]), ("svg",))["svg"]


@given(st.lists(st.floats(-50, 550), max_size=30), st.floats(1, 40))
def test_labels_do_not_overlap_and_move_least(wanted: list[float], gap: float) -> None:
    wanted.sort()
    placed = spaced(wanted, gap, 500)
    least = min(gap, 500 / max(len(wanted) - 1, 1))
    assert all(b - a >= least - 1e-6 for a, b in itertools.pairwise(placed))
    assert all(-1e-6 <= at <= 500 + 1e-6 for at in placed)
    if all(b - a >= gap for a, b in itertools.pairwise(wanted)) and all(0 <= w <= 500 for w in wanted):
        assert placed == pytest.approx(wanted)


def test_labels_that_clash_share_the_move() -> None:
    assert spaced([100, 100, 300], 20, 500) == pytest.approx([90, 110, 300])
    assert spaced([0, 1, 499], 20, 500) == pytest.approx([0, 20, 499])
    assert spaced([], 20, 500) == []


# ---------------------------------------------------------------- all studies


@pytest.mark.long
def test_every_study_is_drawn_in_order(few: Sensitivity) -> None:
    figure = studies_figure(few, 1e22).to_dict()
    rows = figure["datasets"]["studies"]
    values = [row["value"] for row in rows]
    assert values == sorted(values) and len(values) == len(few.studies)
    assert [row["rank"] for row in rows] == [*range(1, len(rows) + 1)]
    assert [row["value"] for row in rows if row["base"]] == [few.base.prescribed.n_opt[0, 0]]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    text = json.dumps(figure)
    assert "Selection" in text and "Huber" in text
    assert "N counts" not in text  # there is one convention only
    assert "coloured by which runs and checkpoints are kept" in " ".join(figure["title"]["subtitle"])
    assert render(studies_figure(few), ("png",))["png"].startswith(b"\x89PNG")
    with pytest.raises(InvalidRequest, match="none of 1e"):
        studies_figure(few, 1e21)
    with pytest.raises(InvalidRequest, match="no study of chinchilla prescribes w_opt"):
        studies_figure(few, quantity="w_opt")


def test_shares_are_drawn(few: Sensitivity, chinchilla: RunTable) -> None:
    rows = shares_figure(few).to_dict()["datasets"]["shares-n_opt"]
    drawn = sum(row["share"] for row in rows if row["budget"] == "1e22 FLOPs")
    assert drawn == pytest.approx(1)
    assert render(shares_figure(few), ("svg",))["svg"]
    alone = Levels(approaches=("hull",))
    one = sensitivity(Sweep.of(chinchilla, alone, selections=["epoch"]), [1e22], bootstrap=0)
    assert len(one.studies) == 1 and not one.decompositions
    assert "over 1 study of" in one.sentence and "moves them most" not in one.sentence
    with pytest.raises(InvalidRequest, match="do not differ"):
        shares_figure(one)


def test_files(few: Sensitivity, tmp_path: Path) -> None:
    files = {path.name for path in write_sensitivity(few, tmp_path)}
    assert files == {path.name for path in tmp_path.iterdir()}
    frame = pl.read_parquet(tmp_path / "sensitivity.parquet")
    assert frame.equals(studies_frame(few)) and frame.height == 2 * len(few.studies)
    assert frame.columns[:7] == [*CHOICES] and frame["base"].sum() == 2
    assert (frame["n_opt_low"] <= frame["n_opt"]).all() and frame["w_opt"].null_count() == frame.height
    summary = json.loads((tmp_path / "sensitivity.json").read_text())
    assert [study["n_opt"][0] for study in summary["studies"]] == frame.filter(budget=1e22)["n_opt"].to_list()


def test_tables_for_people(few: Sensitivity) -> None:
    rows = {(row.choice, row.level): row for row in level_rows(few)}
    assert ("Law", "N,T") in rows and ("Law", "no law") not in rows
    base = rows["Selection", "epoch"]
    assert base.base and base.shift is None and base.studies == 6
    other = rows["Selection", "hoffmann-reduced"]
    assert other.interval is not None and other.shift is not None
    assert other.interval[0] <= other.shift <= other.interval[1] and other.against == ""
    assert few.headline_budget == 1e22  # 1e24 is more than ten times what the runs took
    of_level = [s.prescribed.n_opt[0, 0] for s in few.studies if s.choices.selection == "hoffmann-reduced"]
    assert (other.least, other.median, other.most) == (min(of_level), np.median(of_level), max(of_level))
    quantities, shares = share_rows(few)
    assert quantities == ["Parameters N*", "Tokens T*"] and len(shares) == 7
    assert len(spread_rows(few)) == 4


def test_budgets_are_those_of_the_runs(chinchilla: RunTable, pebbles: RunTable) -> None:
    assert sweep_budgets(Sweep.of(chinchilla)) == (1e20, 1e22, 1e24)
    assert max(sweep_budgets(Sweep.of(pebbles))) < 1e17
