import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "backtests.md").read_text("utf-8")


@pytest.mark.published_data
def test_contract(cli: Cli) -> None:
    made = cli(
        "backtest", "gemstones", "--select", "le100B,cooldown", "--law", "N,T", "--law", "w,d,T",
        "--split", "compute=4.3e20", "--split", "tokens", "--draws", "50", "--workers", "1", "--json",
    ).json  # fmt: skip
    assert made.keys() >= {
        "rows",
        "comparison",
        "conventions",
        "skipped",
        "notes",
        "delta",
        "params_convention",
    }
    assert [s["selection"] for s in made["selections"]] == ["le100B", "cooldown"]
    for row in made["rows"]:
        assert row.keys() >= {
            "selection", "approach", "law", "split", "cut", "target", "error", "interval", "bias", "train_rows",
            "test_rows", "train_runs", "test_runs", "flags", "reason",
        }  # fmt: skip
        assert row["approach"] in {"approach3", "hull", "bins"} and row["target"] in {"all", "frontier"}
        assert (row["error"] is None) == (row["reason"] is not None)
        if row["interval"] is not None:
            assert row["interval"][0] <= row["error"] <= row["interval"][1]
    assert {(row["selection"], row["split"], row["cut"]) for row in made["rows"]} == {
        ("le100B", "compute", 4.3e20), ("le100B", "tokens", 3.3e10),
        ("cooldown", "compute", 4.3e20), ("cooldown", "tokens", 3.7e10),
    }  # fmt: skip
    documented = re.findall(r"^\| `(\w+)` \|", PAGE[PAGE.index("Each of `rows`") :], re.MULTILINE)
    assert documented == list(made["rows"][0])
    assert made["comparison"][0].keys() >= {"best_law", "law", "difference", "interval", "worse"}


@pytest.mark.published_data
def test_people_are_told(cli: Cli, tmp_path: Path) -> None:
    words = (
        "backtest",
        "gemstones",
        "--select",
        "le100B",
        "--law",
        "N,T",
        "--split",
        "size",
        "--draws",
        "40",
    )
    short = cli(*words, "--workers", "1").out
    assert "gemstones (le100B): error of every held-out row, of 6 runs" in short and "N > 700M" in short
    assert "95% intervals from 40 resamples of held-out runs; N counts total parameters; FLOPs" in short
    assert "[too_few_held_out]" not in short and short.rstrip().endswith(" and the rest: --verbose")
    outcome = cli(*words, "--workers", "1", "--verbose")
    assert (outcome.status, outcome.err) == (0, "")
    for part in (
        "95% intervals from 40 resamples of held-out runs",
        "Huber's function (delta 0.0001); N counts total parameters; FLOPs: Appendix G",
        "gemstones (le100B): error of every held-out row",
        "N > 700M",
        "no error: le100B, N > 80M: 3 runs to fit",
    ):
        assert part in outcome.out


def test_mistakes(cli: Cli, tmp_path: Path) -> None:
    for words, said in (
        (("--split", "depth"), "split 'depth' is unknown: choose from compute, size"),
        (("--select", "all,nothing"), "selection 'nothing' is unknown"),
        (
            ("--split", "compute=1e30"),
            "nothing to backtest in all: compute: 0 runs",
        ),
        (("--output", str(tmp_path / "file")), "is a file: name a folder"),
    ):
        (tmp_path / "file").write_text("")
        outcome = cli("backtest", "pebbles", *words)
        assert (outcome.status, outcome.out) == (2, "")
        assert said in outcome.err and outcome.err.count("\n") == 1
