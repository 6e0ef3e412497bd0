"""The commands that answer questions of runs: predict, compare, isoflop; what `--json` promises, and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.analyses import planted
from tests.cli.conftest import Cli


def test_compare(cli: Cli, tmp_path: Path) -> None:
    paths = []
    for name, effect in (("a", 0.0), ("b", -0.01)):
        path = tmp_path / f"{name}.csv"
        rows = planted.suite(effect, recipe=name)
        lines = [",".join(map(str, row.values())) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
        paths.append(path)
    fast = ("--budget", "1e22", "--law", "N,T", "--bootstrap", "40", "--workers", "1")
    made = cli("compare", *paths, *fast, "--at", "N=1B,T=50B", "--json").json
    assert made.keys() >= {"at", "paired", "law"} and made["law"] == "N,T"
    assert made["at"][0].keys() >= {
        "budget", "loss", "difference", "interval", "probability_lower", "compute_multiplier",
        "compute_multiplier_interval",
    }  # fmt: skip
    assert made["at"][0]["loss"].keys() == {"A", "B"} and made["paired"].keys() >= {
        "runs",
        "difference",
        "interval",
    }
    assert made["at"][1]["point"] == {"N": 1e9, "T": 5e10}
    said = cli("compare", *paths, *fast, "--output", f"{tmp_path}/out")
    assert said.status == 0 and "B's loss is" in said.out and "compare.png" in said.out
    both = tmp_path / "both.csv"
    both.write_text(paths[0].read_text() + paths[1].read_text().partition("\n")[2])
    by = cli("compare", both, "--by", "recipe", *fast, "--json").json
    assert (by["A"], by["B"]) == ("a", "b")
    assert by["at"][0]["difference"] == pytest.approx(made["at"][0]["difference"], abs=1e-12)
    for wrong in ((paths[0],), (both, "--by", "nothing"), (*paths, "--by", "recipe", "--select-b", "x")):
        refused = cli("compare", *wrong, *fast)
        assert refused.status == 2 and refused.err.count("\n") == 1


@pytest.mark.long
def test_downstream_of_a_table_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "evals.csv"
    rows = planted.tasks(noise=0.0)
    lines = [
        f"{r['run']},{r['params_total']},{r['tokens']},{r['loss']},{1.1 * r['loss']},{100 * r['exam']}"
        for r in rows
    ]
    path.write_text("\n".join(["run,N,T,loss,c4,hs", *lines]))
    words = ("downstream", path, "--task", "hellaswag", "--law", "N,T", "--bootstrap", "0")
    columns = ("--columns", "hellaswag=hs/100,loss_c4=c4")
    made = cli(*words, *columns, "--form", "gadre", "--json").json
    assert made.keys() >= {
        "constants", "intervals", "objective", "rows", "error_beyond", "chosen", "predictions",
    }  # fmt: skip
    assert (made["chosen"], made["rows"], made["intervals"], made["predictions"]) == (
        "gadre",
        len(rows),
        None,
        [],
    )
    for name, value in planted.TASK["gadre"].items():
        assert made["constants"][name] == pytest.approx(value, rel=1e-4)
    of_c4 = cli(*words, *columns, "--form", "gadre", "--loss", "c4", "--json").json
    assert of_c4["constants"]["gamma"] == pytest.approx(1.8 / 1.1, rel=1e-4)
    said = cli(*words, *columns, "--at", "N=7B,T=400B")
    assert said.status == 0 and "chosen by backtests" in said.out and "N=7B, T=400B" in said.out
    wrong = cli("downstream", path, "--task", "hs", "--bootstrap", "0")
    assert (wrong.status, wrong.out) == (2, "") and "in percent it is --columns hs=hs/100" in wrong.err
    wrong = cli(*words, *columns, "--at", "N=7B")
    assert (wrong.status, wrong.out, wrong.err.count("\n")) == (2, "", 1)


def test_isoflop(cli: Cli, tmp_path: Path) -> None:
    path, rows = tmp_path / "grid.csv", planted.grid(3)
    lines = [f"{r['flops']},{r['params_total']},{r['tokens']},{r['loss']}" for r in rows]
    path.write_text("\n".join(["compute,n,d,val_loss", *lines]) + "\n")
    columns = ("--columns", "flops=compute,params_total=n,tokens=d,loss=val_loss")
    made = cli("isoflop", path, *columns, "--output", f"{tmp_path}/out", "--json").json
    assert len(made["budgets"]) == 7
    assert made["budgets"][0].keys() >= {"flops", "n_opt", "t_opt", "loss", "points", "status", "interval"}
    assert made["fits"].keys() == {"params", "tokens"}
    assert made["fits"]["params"].keys() >= {"slope", "intercept", "interval"}
    line, first = made["fits"]["params"], made["budgets"][0]
    assert np.exp(line["intercept"]) * first["flops"] ** line["slope"] == pytest.approx(
        first["n_opt"], rel=0.2
    )
    said = cli("isoflop", path, *columns)
    assert said.status == 0 and "N* ~ FLOPs^" in said.out
    wrong = cli("isoflop", path, *columns, "--bootstrap", "3")
    assert wrong.status == 2 and wrong.err.count("\n") == 1


def test_predict(cli: Cli) -> None:
    made = cli(
        "predict", "gemstones-refit", "--at", "N=7e9,T=1e12", "--at", "shape=1024x28,T=100B", "--json"
    ).json
    assert [one.keys() for one in made["predictions"]] == [
        {"at", "loss", "interval", "interval_of_fit", "decades_beyond", "measured"}
    ] * 2
    assert made["predictions"][0]["at"]["N"] == 7e9
    said = cli("predict", "gemstones-refit", "--at", "N=7e9,T=1e12")
    assert said.status == 0 and "interval of a new run" in said.out
    for wrong in ("N=7e9", "N=7e9,T", "N=7e9,T=1e12,T=2e12", ""):
        refused = cli("predict", "gemstones-refit", "--at", wrong)
        assert refused.status == 2 and refused.err.count("\n") == 1
    assert cli("predict", "gemstones-refit").status == 2
