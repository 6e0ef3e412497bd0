"""`gemstones plan BUDGET RUNS` and `--law auto`: the form is chosen, and the forms as good are part of the answer."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import gemstones as gs
from tests import stones
from tests.cli.conftest import Cli


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a planted law of shapes."""
    return stones.write(tmp_path_factory.mktemp("auto") / "stones.csv")


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """N, T and losses of a law in both with an exponent around the sum."""
    path = tmp_path_factory.mktemp("auto") / "sizes.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["run", "params_total", "tokens", "loss"])
        for run, size in enumerate((1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9)):
            for tokens in (1e9, 3e9, 1e10, 3e10, 1e11):
                inner = 400 / size**0.34 + 2000 / tokens**0.36
                wobble = 1 + 1e-3 * ((run * 7 + int(tokens / 1e9) * 3) % 5 - 2)
                out.writerow([f"r{run}", size, tokens, f"{(1.2 + (30 * inner) ** 0.3) * wobble:.6f}"])
    return path


def test_fit_auto(cli: Cli, sizes: Path, tmp_path: Path) -> None:
    made = cli("fit", sizes, "--law", "auto", "--output", tmp_path / "fit.json", "--json").json
    chosen = made["chosen"]
    assert chosen["law"] == made["law"] == "(N,T)^p" and "above the fitted compute" in chosen["reason"]
    named = {candidate["law"]: candidate for candidate in chosen["candidates"]}
    assert {"N,T", "(N,T)^p", "(w,d,F,T)^p", "(params_no_embedding,T)^p"} <= {*named}
    assert named["(N,T)^p"]["error_beyond"] < named["N,T"]["error_beyond"]
    assert named["(N,T)^p"]["error_left_out"] < named["N,T"]["error_left_out"]
    assert named["w,d,T"]["error_beyond"] is None and "width" in named["w,d,T"]["reason"]
    planned = cli("plan", "1e21", "--law", tmp_path / "fit.json", "--json").json
    as_good = planned["as_good"]
    assert {form["law"] for form in as_good["forms"]} == {*chosen["near"]}
    low, high = as_good["params_total"]
    assert low <= planned["params_total"] <= high
    out = cli("fit", sizes, "--law", "auto").out
    assert "chosen by backtests: (N,T)^p predicts held-out rows to" in out and "(N,T)^p (taken)" not in out
    assert "(N,T)^p (taken)" in cli("fit", sizes, "--law", "auto", "--verbose").out


@pytest.mark.long
def test_plan_of_runs(cli: Cli, sizes: Path, table: Path) -> None:
    made = cli("plan", "1e21", sizes, "--bootstrap", "40", "--json").json
    assert made["form"] == "(N,T)^p" and made["as_good"]["tried"] == 20
    assert made["intervals"]["params"][0] < made["params"] < made["intervals"]["params"][1]
    named = cli("plan", "1e21", sizes, "--law", "N,T", "--bootstrap", "0", "--json").json
    assert named["form"] == "N,T" and named["as_good"] is None
    hours = cli("plan", table, "--device-hours", "1e4", "--law", "w,d,T", "--bootstrap", "0", "--json").json
    assert hours["resource"] == "device_hours" and hours["form"] == "w,d,T"
    out = cli("plan", "1e21", sizes, "--bootstrap", "0", "--verbose").out
    assert "form chosen by backtests: (N,T)^p predicts held-out rows to" in out


def test_plan_of_runs_refused(cli: Cli, sizes: Path) -> None:
    said = cli("plan", "1e21", "--select", "all").err
    assert said.startswith("gemstones: --select is of RUNS, and there are none") and said.count("\n") == 1
    said = cli("plan", "1e21", sizes, "--law", "chinchilla").err
    assert said.startswith("gemstones: law chinchilla is fitted already") and said.count("\n") == 1
    said = cli("fit", sizes, "--law", "auto", "--fix", "E=1.7").err
    assert said == "gemstones: law auto has no constants to fix or bound before it is chosen: name a law\n"


@pytest.mark.long
def test_one_answer(sizes: Path, cli: Cli) -> None:
    """Python and the command say the same, and a notebook shows it."""
    made = gs.fit(sizes, "auto")
    summary = cli("fit", sizes, "--law", "auto", "--json").json
    assert made.chosen is not None and made.chosen.reason == summary["chosen"]["reason"]
    assert gs.Fit.from_json(made.to_json()) == made
    planned = made.plan("1e21")
    assert planned.as_good is not None and "form chosen by backtests" in repr(planned)
    assert "chosen by backtests" in made._repr_html_() and "form chosen by backtests" in planned._repr_html_()
    assert "chosen by backtests" in repr(made)


@pytest.mark.long
@pytest.mark.published_data
def test_what_near_optimal_shapes_score(cli: Cli) -> None:
    made = cli("plan", "1e21", "--want", "hellaswag", "--bootstrap", "0", "--json")
    assert made.status == 2  # it is of RUNS
    made = cli("plan", "1e21", "--want", "hellaswag", "--json").json
    task, near = made["task"], made["near_optimal"]["members"]
    assert [one["at"]["shape"] for one in task["members"]] == [one["shape"] for one in near]
    assert task["optimum"]["at"]["shape"] == made["shape"]
    for one in (task["optimum"], *task["members"]):
        assert one["interval"][0] <= one["interval_of_fit"][0] <= one["accuracy"] <= one["interval"][1]
        assert 0.5 < one["accuracy"] < 0.75
