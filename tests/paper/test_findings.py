"""Titles of figures are findings, computed: other numbers give other titles, and what was the title stands below."""

from __future__ import annotations

import altair as alt
import polars as pl
import pytest

from gemstones.figures import style
from gemstones.paper.figure import PaperFigure
from gemstones.paper.findings import few_starts, last_losses, miscounted, shapes, sizes, titled


def figure(title: object) -> PaperFigure:
    chart = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point().encode(x="x:Q")
    return PaperFigure(
        6, style.themed(chart if title is None else chart.properties(title=title)), pl.DataFrame(), "c"
    )


def test_a_finding_is_the_title_and_the_old_one_stands_below() -> None:
    old = alt.TitleParams("What is drawn", subtitle=["how", "and how"])
    made = titled(figure(old), "Something grows to the power 0.5")
    title = made.chart.to_dict()["title"]
    assert title["text"] == ["Something grows to the power 0.5"] and made.finding.endswith("0.5")
    assert title["subtitle"] == ["What is drawn", "how", "and how"]
    long = titled(figure("one line"), "words " * 40).chart.to_dict()["title"]
    assert len(long["text"]) > 1 and max(map(len, long["text"])) <= 100 and long["subtitle"] == ["one line"]
    # One that is a finding already is kept.
    assert titled(figure(old), "").finding == "What is drawn"
    assert titled(figure(None), "x 2").chart.to_dict()["title"]["subtitle"] == []


def frame(size: float, low: float | None) -> pl.DataFrame:
    def row(series: str, quantity: str, budget: float, where: str) -> dict[str, object]:
        return {
            "layer": "curve", "series": series, "quantity": quantity, "budget_flops": budget, "where": where,
            "value": size, "low": low, "high": None if low is None else 2 * size,
        }  # fmt: skip

    return pl.DataFrame(
        [
            row("w,d,N,T fitted to all (total N)\nflagged", "params", 1e22, "Fit, beyond them"),
            row("w,d,N,T fitted to all (total N)", "params", 1e21, "Fit, beyond them"),
            row("w,d,N,T fitted to all (total N)", "tokens", 1e22, "Fit, beyond them"),
            row("Kaplan", "params", 1e22, "Published law"),
        ],
        infer_schema_length=None,
    )


@pytest.mark.parametrize(
    ("size", "low", "said"),
    [(2e10, 1e10, "20B [10B, 40B] parameters by w,d,N,T"), (3e9, None, "3B parameters by w,d,N,T")],
)
def test_sizes_are_those_that_are_drawn_at_one_budget(size: float, low: float | None, said: str) -> None:
    assert sizes(frame(size, low)) == f"Prescribed for 1e22 FLOPs: {said}"


def test_titles_follow_what_is_drawn() -> None:
    starts = pl.DataFrame(
        [
            {"starts": n, "solver": solver, "low": 0.25, "high": 0.25 + spread / n}
            for n in (1, 10, 200)
            for solver, spread in (("lbfgs", 5.0), ("gemstones", 1.0))
        ]
    )
    assert "From 10 starts" in few_starts(starts)
    assert "up to 0.50 by L-BFGS-B" in few_starts(starts) and "0.10 by this project's" in few_starts(starts)
    drawn = pl.DataFrame(
        {"trained": [True, True, False], "feasible": [True, False, True], "size": [1e8, 1e8, 1e9]}
    )
    assert shapes(drawn) == "The rules allow 2 shapes at 2 sizes; of the 2 trained 1 are outside them"
    curves = pl.DataFrame(
        {"run": ["a", "a", "b"], "shape": ["1x1", "1x1", "2x2"], "tokens": [1, 2, 1], "loss": [4.0, 3.0, 3.5]}
    )
    assert "from 3.000 (1x1) to 3.500 (2x2)" in last_losses(curves)
    ratios = pl.DataFrame(
        {"kind": ["trained", "trained", "grid"], "shape": ["1x1", "2x2", "3x3"], "ratio": [1.5, 0.5, 9.0]}
    )
    assert "0.50 (2x2) to 1.50 (1x1)" in miscounted(ratios)
