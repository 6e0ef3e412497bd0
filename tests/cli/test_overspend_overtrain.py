"""`gemstones overspend` and `gemstones overtrain` as users and scripts see them, and their page of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gemstones.analyses.overspend.overspend import Overspent, overspend
from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.laws.published import published
from gemstones.runs import RunTable
from tests.cli.conftest import Cli

PAGE = (Path(__file__).parents[2] / "docs" / "overspend-and-overtraining.md").read_text("utf-8")


@pytest.mark.published_data
def test_overspend(cli: Cli) -> None:
    found = cli("overspend", "gemstones", "--tokens", "300e9", "--resource", "flops", "--json").json
    assert found["selection"] == "all-2B" and found["tokens_used"] == 300_102_451_200
    assert found["frontier"][0] == "256x23" and len(found["frontier"]) == 9 and len(found["shapes"]) == 22
    first = found["shapes"][0]
    assert first["shape"] == "256x80" and first["overspend"] == pytest.approx(0.542, abs=1e-3)
    assert first["leave_one_out"][0] < first["leave_one_out"][1] and first["reason"] is None
    assert any("no interval" in note for note in found["notes"])
    nearest = cli(
        "overspend", "gemstones", "--tokens", "300B", "--resource", "device_hours", "--method", "nearest", "--json"
    ).json  # fmt: skip
    by_shape = {one["shape"]: one["overspend"] for one in nearest["shapes"]}
    assert by_shape["384x36"] == pytest.approx(2.100, abs=5e-4)
    named = cli("overspend", "gemstones", "--tokens", "100B", "--select", "lr-ablation", "--json").json
    assert named["selection"] == "lr-ablation" and len(named["shapes"]) == 20


def test_overspend_of_a_table_without_shapes(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    rows = [("a", 1e8, 3.0), ("b", 2e8, 2.9), ("c", 4e8, 2.9)]
    table.write_text("run,params_total,tokens,loss\n" + "".join(f"{r},{n},1e9,{x}\n" for r, n, x in rows))
    found = cli("overspend", table, "--tokens", "1B", "--json").json
    assert found["frontier"] == ["a", "b"] and found["resource_convention"].startswith("6N")
    first = found["shapes"][0]
    assert (first["shape"], first["run"]) == (None, "c") and first["overspend"] == pytest.approx(1.0)


def test_a_file_that_is_a_selection_already_is_taken_as_it_is(
    cli: Cli, gemstones: RunTable, tmp_path: Path
) -> None:
    gemstones.select("le100B").write_parquet(tmp_path / "le100B.parquet")
    found = cli("overspend", tmp_path / "le100B.parquet", "--tokens", "100e9", "--json").json
    assert found["selection"] == "le100B" and len(found["shapes"]) == 22


def test_overtrain(cli: Cli) -> None:
    found = cli("overtrain", "1e22", "--factors", "0.25,1,4", "--json").json
    assert found["factors"] == [0.25, 1, 4] and found["shapes"][1] == found["optimum"]["shape"]
    assert found["loss_increases"][1] == 0 and found["losses"][1] == min(found["losses"])
    assert found["tokens"][2] == pytest.approx(4 * found["tokens"][1])
    low, high = found["intervals"]["loss_increases"][2]
    assert low < found["loss_increases"][2] < high and found["params_convention"] == "total"
    assert "saves 75% of the parameters" in found["sentence"]
    published_law = cli("overtrain", "1e22", "--law", "gemstones-width-depth", "--json").json
    assert len(published_law["factors"]) == 17 and published_law["intervals"] is None
    assert published_law["shapes"][8] == "4864x66" and published_law["factors"][8] == 1
    blind = cli("overtrain", "1e22", "--law", "chinchilla", "--factors", "1,2", "--json").json
    assert blind["shapes"] == [None, None] and blind["params"][0] == pytest.approx(2 * blind["params"][1])
    gone = cli("overtrain", "1e19", "--factors", "1, 1e3", "--json").json
    assert (gone["shapes"][1], gone["losses"][1]) == (None, None) and "no shape" in gone["reasons"][1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "overspend gemstones --tokens 300B",
            ("FLOPs (Appendix G)", "300.1B tokens", "no interval", "54.2%"),
        ),
        (
            "overspend gemstones --tokens 300B --resource device_hours --method nearest",
            ("device hours", "as published", "negative", "358.4%"),
        ),
        (
            "overtrain 1e22 --factors 0.25,1,4",
            (
                "FLOPs (Appendix G)",
                "total parameters",
                "95% intervals from 400 resamples by run",
                "saves 75%",
            ),
        ),
        ("overtrain 1e22 --law chinchilla --factors 1,4", ("6·N·T, N_total", "no interval", "saves 75%")),
    ],
)
def test_people_are_told_the_conventions(cli: Cli, words: str, said: tuple[str, ...]) -> None:
    outcome = cli(*words.split())
    assert (outcome.status, outcome.err) == (0, "")
    for part in said:
        assert part in outcome.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("overspend pebbles --tokens 400B", "span "),
        ("overspend pebbles --tokens 4M --resource hours", "resource 'hours' is unknown"),
        ("overspend pebbles --tokens 4M --method far", "method 'far' is unknown"),
        ("overspend pebbles --tokens few", "tokens 'few' is not a number"),
        (
            "overspend chinchilla --tokens 10B --resource device_hours",
            "device_hours: is needed but not known",
        ),
        ("overtrain 1e22 --law kaplan", "predicts no loss"),
        ("overtrain 1e22 --law nope", "neither a law"),
        ("overtrain 1e22 --factors 1,x", "factor 'x' is not a number"),
        ("overtrain 1e30 --force", "edge of the search"),
    ],
)
def test_mistakes_are_one_line(cli: Cli, words: str, said: str) -> None:
    outcome = cli(*words.split())
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert said in outcome.err


# ---------------------------------------------------------------- documentation


def tables() -> list[list[list[str]]]:
    """The cells of every table of the page, without its head."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    return [[[c.strip() for c in line.strip("|").split(" | ")] for line in t.splitlines()[2:]] for t in found]


def percent(value: float) -> str:
    return f"{value:.1%}".replace("-", "−")


def test_the_pages_overspends(gemstones: RunTable) -> None:
    table = gemstones.select("all-2B")

    def cell(one: Overspent) -> str:
        if one.overspend is None:
            return f"≥ {percent(one.at_least or 0)}"
        return "frontier" if one.on_frontier else percent(one.overspend)

    columns = [
        {one.name: cell(one) for one in overspend(table, 300e9, resource, method).shapes}
        for resource in ("flops", "device_hours")
        for method in ("interpolate", "nearest")
    ]
    (written,) = [rows for rows in tables() if rows[0][0] == "256x80"]
    assert written == [[name, *(column[name] for column in columns)] for name in columns[0]]


@pytest.mark.long
def test_the_pages_costs_of_overtraining() -> None:
    (written,) = [rows for rows in tables() if rows[0][0] == "1e20"]
    assert len(written) == 5
    for budget, optimum, *cells in written:
        found = overtrain(float(budget), published("gemstones-refit"), [0.25, 4, 16])
        assert str(found.optimum.shape) == optimum
        for cell, point in zip(cells, found.points, strict=True):
            assert point.loss_increase is not None and point.increase_interval and point.params
            low, high = map(percent, point.increase_interval)
            saved = f", N −{1 - point.params / found.optimum.params:.0%}" if point.factor > 1 else ""
            assert cell == f"+{percent(point.loss_increase)} ({low} to {high}){saved}"


def keys(rows: list[list[str]]) -> list[str]:
    return [key for row in rows for key in re.findall(r"`(\w+)`", row[0])]


@pytest.mark.published_data
def test_the_pages_keys(cli: Cli) -> None:
    of_overspend, of_overtrain = (keys(rows) for rows in tables() if rows[0][0].startswith("`"))
    outcomes: list[dict[str, Any]] = [
        cli("overspend", "gemstones", "--tokens", "300e9", "--json").json,
        cli("overtrain", "1e22", "--factors", "1", "--json").json,
    ]
    assert set(of_overspend) == outcomes[0].keys() and set(of_overtrain) == outcomes[1].keys()
    (row,) = [row for rows in tables() for row in rows if row[0] == "`shapes`"]
    assert set(re.findall(r"`(\w+)`", row[1])) == outcomes[0]["shapes"][0].keys()
