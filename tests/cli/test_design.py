"""`gemstones design --for` and `gemstones next`: what `--json` promises, files, tables, and wrong input."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import pytest

from tests.analyses import planted
from tests.cli.conftest import Cli

FAST = ("--law", "chinchilla", "--runs", "5")
"""A design in a second or two."""


def pilot(folder: Path) -> Path:
    path = folder / "pilot.csv"
    rows = planted.grid(2, sizes=3)
    lines = [f"r{i},{r['params_total']},{r['tokens']},{r['flops']},{r['loss']}" for i, r in enumerate(rows)]
    path.write_text("\n".join(["run,params_total,tokens,flops,loss", *lines]) + "\n")
    return path


def test_the_contract_of_a_design(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("torch")  # a suite without --throughput is timed here
    suite = tmp_path / "suite.toml"
    made = cli("design", "--for", "1e21", "--spend", "1e19", *FAST, "--output", suite, "--json").json
    assert made.keys() >= {"want", "budget", "spend", "runs", "conventional", "assumptions"}
    assert (made["want"], made["budget"], made["spend"]) == ("n_opt", 1e21, 1e19)
    assert 1 <= len(made["runs"]) <= 5
    for run in made["runs"]:
        assert run.keys() >= {
            "shape",
            "params_total",
            "tokens",
            "flops",
            "cumulative_flops",
            "interval_factor",
        }
        count = cli("count", run["shape"], "--json").json
        assert run["params_total"] == count["params"]["total"]
        assert run["flops"] == pytest.approx(6 * run["params_total"] * run["tokens"])
    for one in made["conventional"]:
        assert one.keys() == {"name", "runs", "flops", "interval_factor"}
    assert {"equal tokens", "20 tokens per parameter", "isoFLOP grid"} <= {
        x["name"] for x in made["conventional"]
    }
    assert tomllib.loads(suite.read_text())["training"]["batch_sequences"] >= 1
    planned = cli("suite", "plan", suite, "--json").json
    assert len(planned["runs"]) == len(made["runs"])
    assert sorted(run["shape"] for run in planned["runs"]) == sorted(run["shape"] for run in made["runs"])


def test_a_design_is_told_with_its_rivals_and_what_more_would_buy(cli: Cli, tmp_path: Path) -> None:
    said = cli("design", "--for", "1e21", "--spend", "1e19", *FAST)
    assert said.status == 0
    for words in (
        "95% interval",
        "isoFLOP grid",
        "interval by spend",
        "either way on the best N",
    ):
        assert words in said.out
    assert "the rest: --verbose" in said.out and "assumes: " not in said.out
    whole = cli("design", "--for", "1e21", "--spend", "1e19", *FAST, "--verbose").out
    assert "at the same cost" in whole and "assumes: each run gives" in whole
    other = tmp_path / "other.toml"
    other.write_text("[models]\n")
    refused = cli("design", "--for", "1e21", "--spend", "1e19", *FAST, "--output", other)
    assert refused.status == 2 and "--force" in refused.err and other.read_text() == "[models]\n"
    away = cli(
        "design", "--for", "1e21", "--spend", "1e19", *FAST, "--output", tmp_path / "no" / "suite.toml"
    )
    assert (away.status, away.out, away.err.count("\n")) == (2, "", 1) and "does not exist" in away.err


def test_a_design_that_says_nothing_is_said_to(cli: Cli) -> None:
    said = cli(
        "design", "--for", "1e35", "--spend", "1e19", "--law", "chinchilla", "--runs", "2", "--seeds", "2"
    )
    assert (
        "1 run with 2 seeds each for" in said.out and "tells nothing of the best N at 1e35 FLOPs" in said.out
    )
    assert "interval of unknown" not in said.out
    sure = cli(
        "design",
        "--for",
        "1e22",
        "--spend",
        "1e19",
        "--law",
        "chinchilla",
        "--runs",
        "1",
        "--level",
        1 - 1e-16,
    )
    assert sure.status == 0


def test_a_folder_has_the_figure_too(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    folder = tmp_path / "design"
    said = cli("design", "--for", "1e21", "--spend", "1e19", *FAST, "--output", folder)
    assert said.status == 0 and {path.name for path in folder.iterdir()} >= {
        "design.json", "runs.png", "runs.svg", "suite.toml",
    }  # fmt: skip
    assert json.loads((folder / "design.json").read_text())["analysis"] == "gemstones design"
    again = cli("design", "--for", "1e21", "--spend", "1e18", *FAST, "--output", folder)
    assert again.status == 0  # its own files are replaced


def test_small_models_and_a_pilot(cli: Cli, tmp_path: Path) -> None:
    small = ("--head-size", "16", "--vocabulary", "4096", "--max-width", "512")
    made = cli("design", "--for", "1e17", "--spend", "1e15", *FAST, *small, "--json").json
    assert all(int(run["shape"].split("x")[0]) % 32 == 0 for run in made["runs"])
    after = cli(
        "design", "--for", "1e21", "--spend", "1e19", "--after", pilot(tmp_path), "--runs", "4", "--json"
    ).json
    assert any("draws of the pilot's fit" in one for one in after["assumptions"])
    assert after["interval_factor_before"] < 2 < made["interval_factor_before"]
    assert max(int(run["shape"].split("x")[0]) for run in after["runs"]) > 640
    narrow = cli(
        "design", "--for", "1e21", "--spend", "1e19", "--after", pilot(tmp_path), "--runs", "4", "--max-width", 640,
        "--json",
    ).json  # fmt: skip
    assert max(int(run["shape"].split("x")[0]) for run in narrow["runs"]) <= 640


def own_columns(folder: Path, file: Path) -> tuple[Path, tuple[str, ...]]:
    """The same runs in a file whose columns have other names, and the options that name them."""
    path = folder / f"own-{file.name}"
    lines = file.read_text().splitlines()
    path.write_text("\n".join(["name,my_n,my_t,my_c,val", *lines[1:]]) + "\n")
    return path, ("--columns", "run=name,params_total=my_n,tokens=my_t,flops=my_c,loss=val")


def test_intervals_have_the_level_that_is_asked_for(cli: Cli) -> None:
    asked = ("design", "--for", "1e21", "--spend", "1e19", "--law", "chinchilla", "--runs", "2")
    usual, narrow = cli(*asked, "--json").json, cli(*asked, "--level", "0.6827", "--json").json
    assert (usual["level"], usual["interval"]) == (0.95, "95%, either way")
    assert (narrow["level"], narrow["interval"]) == (0.6827, "68.27%, either way")
    for one in ("interval_factor", "interval_factor_before"):
        assert math.log(usual[one]) == pytest.approx(1.96 * math.log(narrow[one]), rel=1e-3)
    for rows in ("conventional", "curve", "runs"):
        for wide, tight in zip(usual[rows], narrow[rows], strict=True):
            ratio = math.log(wide["interval_factor"]) / math.log(tight["interval_factor"])
            assert ratio == pytest.approx(1.96, rel=1e-3)
    assert "leave an 80% interval of" in cli(*asked, "--level", "0.8").out


@pytest.mark.long
def test_pilots_and_existing_runs_are_read_as_any_runs(cli: Cli, tmp_path: Path) -> None:
    runs = pilot(tmp_path)
    own, columns = own_columns(tmp_path, runs)
    asked = ("design", "--for", "1e21", "--spend", "1e19", "--runs", "2", "--json")
    for option in ("--after", "--existing"):
        law = ("--law", "N,T" if option == "--after" else "chinchilla")
        plain = cli(*asked, *law, option, runs).json
        named = cli(*asked, *law, option, own, *columns).json
        assert plain["runs"] == named["runs"]
        fewer = cli(*asked, *law, option, own, *columns, "--where", "my_n < 3e9").json
        assert fewer["interval_factor_before"] > named["interval_factor_before"]
    both = cli(*asked, "--after", own, "--existing", own, *columns).json
    assert both["runs"] == cli(*asked, "--after", runs).json["runs"]  # its own runs are no others


def test_what_reads_runs_needs_runs(cli: Cli, tmp_path: Path) -> None:
    runs = pilot(tmp_path)
    fit = tmp_path / "fit.json"
    options = ("--law", "N,T", "--bootstrap", "60", "--workers", "1")
    assert cli("fit", runs, *options, "--output", fit).status == 0
    asked = ("design", "--for", "1e21", "--spend", "1e19", "--runs", "3")
    for words, says in (
        (
            (*asked, "--after", fit, "--law", "w,d,T"),
            f"--law w,d,T is fitted to RUNS, and --after {fit} is a fit",
        ),
        ((*asked, "--law", "chinchilla", "--where", "N > 1"), "--where is of RUNS, and there are none"),
        (
            (*asked, "--after", fit, "--loss-unit", "bits"),
            f"--loss-unit is of RUNS, and --after {fit} is a fit",
        ),
        (("design", "--sizes", "50M", "--select", "all"), "--select is of designs of runs"),
        ((*asked, "--existing", own_columns(tmp_path, runs)[0]), "--columns loss=ITS_NAME"),
    ):
        refused = cli(*words)
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1), refused
        assert says in refused.err


@pytest.mark.long
def test_models_of_files_are_those_of_the_options(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "shapes.csv"
    lines = [
        f"r{i},{w},{d},{t:.0f},{2 + (1e9 / (w * w * d * 12)) ** 0.2 + (1e10 / t) ** 0.3}"
        for i, (w, d, t) in enumerate(
            (w, d, t) for w, d in ((128, 4), (256, 6), (512, 8), (1024, 12)) for t in (1e9, 3e9, 9e9)
        )
    ]
    path.write_text("\n".join(["run,width,depth,tokens,loss", *lines]) + "\n")
    small = ("--vocabulary", "4096", "--head-size", "64", "--context", "512")
    made = cli(
        "design", "--for", "1e20", "--spend", "1e18", "--runs", "3", "--after", path, *small, "--json"
    ).json
    count = cli("count", made["runs"][0]["shape"], *small, "--json").json
    assert made["runs"][0]["params_total"] == count["params"]["total"]


@pytest.mark.parametrize(("words", "says"), [
    ("--for 1e22", "give either a spend in FLOPs or device hours"),
    ("--for 1e22 --spend 1e20 --sizes 50M", "both are given"),
    ("", "neither is given"),
    ("--sizes 50M --spend 1e20", "--spend is of designs of runs"),
    ("--sizes 50M --want loss", "--want is of designs of runs"),
    ("--for 1e22 --spend 1e20 --throughput none.json", "is of --device-hours"),
    ("--for 1e16 --device-hours 3 --after pebbles", "name them with --throughput"),
    ("--for 1e16 --spend 1e14 --after pebbles --law chinchilla", "law chinchilla is fitted already"),
    ("--for x --spend 1e20", "budget 'x' is not a number"),
    ("--for 1e22 --spend nan", "spend"),
    ("--for 1e22 --spend 1e20 --want fame", "choose from n_opt, shape, loss, compare"),
    ("--for 1e22 --spend 1e20 --law kaplan", "predicts no loss"),
    ("--for 1e22 --spend 1e20 --law none.json", "none.json"),
    ("--for 1e22 --spend 1e3", "spend more"),
    ("--for 1e22 --spend 1e20 --runs 0", "runs 0 must be 1 to 200"),
    ("--for 1e22 --spend 1e20 --largest 1", "largest"),
    ("--for 1e22 --spend 1e20 --level 1.5", "level 1.5 must lie between 0 and 1"),
    ("--for 1e22 --spend 1e20 --after none.csv", "none.csv"),
    ("--for 1e22 --spend 1e20 --law chinchilla --want shape", "sees no shapes"),
])  # fmt: skip
def test_wrong_designs_are_refused_in_a_line(cli: Cli, words: str, says: str) -> None:
    refused = cli("design", *words.split())
    assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1), refused
    assert says in refused.err


@pytest.mark.long
def test_device_hours_of_models_of_ones_own(cli: Cli) -> None:
    asked = ("design", "--for", "1e16", "--device-hours", "3", "--runs", "2", "--after", "pebbles", "--json")
    made = cli(*asked, "--throughput", "pebbles").json
    assert made["spend_unit"] == "device_hours" and 0 < made["runs"][-1]["cumulative_cost"] <= 3 * (1 + 1e-6)


@pytest.mark.long
def test_next(cli: Cli, tmp_path: Path) -> None:
    runs = pilot(tmp_path)
    fast = ("--for", "1e22", "--bootstrap", "60", "--workers", "1")
    made = cli("next", runs, *fast, "--json").json
    for one in made["candidates"]:
        assert one.keys() >= {"shape", "tokens", "flops", "variance_explained"}
        assert one["variance_explained"].keys() == {"n_opt", "loss"}
        assert all(0 <= share <= 1 for share in one["variance_explained"].values())
    said = cli("next", runs, *fast)
    assert said.status == 0 and "would teach most" in said.out and "95% intervals now" in said.out
    file = tmp_path / "candidates.csv"
    file.write_text("shape,tokens\n1024x16,10B\n")
    own = cli("next", runs, *fast, "--candidates", file, "--json").json
    assert [(x["shape"], x["tokens"]) for x in own["candidates"]] == [("1024x16", 1e10)]
    tight = cli("next", runs, *fast, "--candidates", file, "--level", "0.6827", "--json").json
    assert (own["level"], tight["level"]) == (0.95, 0.6827)
    for name, factor in own["interval_factors"].items():
        assert math.log(factor) == pytest.approx(1.96 * math.log(tight["interval_factors"][name]), rel=1e-3)
    assert "80% intervals now" in cli("next", runs, *fast, "--candidates", file, "--level", "0.8").out
    fit = tmp_path / "fit.json"
    assert (
        cli("fit", runs, "--law", "N,T", "--bootstrap", "60", "--workers", "1", "--output", fit).status == 0
    )
    assert cli("next", fit, "--for", "1e22", "--candidates", file).status == 0
    for word in (("--columns", "loss=x"), ("--law", "N,T,w"), ("--bootstrap", "70"), ("--where", "N > 1")):
        refused = cli("next", fit, "--for", "1e22", *word)
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1), refused
        assert f"{word[0]} is of RUNS, and {fit} is a fit" in refused.err
    for wrong in (
        ("--candidates", "none.csv"),
        ("--law", "T"),
        ("--bootstrap", "0"),
        ("--level", "2"),
        ("--law", "chinchilla"),
    ):
        refused = cli("next", runs, "--for", "1e22", "--workers", "1", *wrong)
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1), refused


def test_a_study_has_the_run_that_would_teach_most_as_a_section(tmp_path: Path) -> None:
    pytest.importorskip("altair")
    import gemstones as gs
    from gemstones.analyses.analysis import Analyses
    from gemstones.report.analyses import write_analyses

    rows = [row | {"run": f"r{i}"} for i, row in enumerate(planted.grid(2, sizes=3))]
    table = gs.load(rows)
    found = gs.next_runs(gs.fit(table, "N,T", bootstrap=60, backtests=False), 1e22)
    analyses = Analyses({"next_run": found})
    (section,) = write_analyses(analyses, table, tmp_path, lambda: None)[0].sections
    assert section.name == "next" and str(found.best.shape) in section.words[0]
    assert section.tables[0].table.frame.height == len(found.candidates)
    assert analyses.summary()["next_run"]["candidates"][0]["shape"] == str(found.best.shape)
