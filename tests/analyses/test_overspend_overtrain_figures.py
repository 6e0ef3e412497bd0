"""Figures 7 and 8: what they say, for whom they are drawn, and that labels keep clear of one another."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.analyses.overspend.figure import (
    LABEL_HEIGHT,
    LABEL_WIDTH,
    ON_FRONTIER,
    OUTSIDE,
    overspend_figure,
)
from gemstones.analyses.overspend.overspend import overspend
from gemstones.analyses.overtrain.figure import (
    ABOVE,
    HEIGHT,
    MODEL_GAP,
    MOST_MODELS,
    WIDEST_RATIO,
    overtrain_figure,
)
from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.errors import InvalidRequest
from gemstones.figures.apart import apart
from gemstones.figures.save import save_figure
from gemstones.laws.published import published
from gemstones.runs import RunTable, load
from gemstones.runs.industry import load_industry
from tests.report.test_figures import plain, texts


def said(chart: Any, folder: Path) -> str:
    save_figure(chart, folder / "figure")
    return plain(texts(folder / "figure.svg"))


def test_figure_7_says_what_it_shows(gemstones: RunTable, tmp_path: Path) -> None:
    table = gemstones.select("all-2B")
    chart = overspend_figure([overspend(table, 300e9, resource) for resource in ("flops", "device_hours")])
    words = said(chart, tmp_path)
    for part in (
        "Overspend after 300.1B tokens: gemstones, all-2B", "FLOPs (Appendix G)", "Device hours", "Width (channels)",
        "Depth (blocks)", "54%", "172%", "≥ 59%", "On the frontier", "no interval can be given",
    ):  # fmt: skip
        assert part in words, part
    assert words.count("On the frontier") == 1
    rows = chart.datasets["overspend-1"]
    assert len(rows) == 22
    assert {row["name"] for row in rows if row["kind"] == OUTSIDE} == {"256x23", "256x27"}
    assert sum(row["kind"] == ON_FRONTIER for row in rows) == 5
    # Of five labels one under the other, each keeps its height.
    column = [row for row in chart.datasets["overspend-1-labels"] if row["width"] == 512]
    assert [row["depth"] for row in sorted(column, key=lambda row: row["label_y"])] == [11, 12, 13, 14, 16]


def test_the_published_variant_is_named(gemstones: RunTable, tmp_path: Path) -> None:
    chart = overspend_figure([overspend(gemstones.select("all-2B"), 300e9, method="nearest")])
    words = said(chart, tmp_path)
    assert "as published" in words and "−11%" in words and "Device hours" not in words


def test_runs_without_shapes_are_drawn_one_under_the_other(gemstones: RunTable, tmp_path: Path) -> None:
    frame = gemstones.select("all-2B").frame.filter(pl.col("tokens") > 2.9e11)
    bare = load(frame.select("run", "tokens", "loss", "flops", "params_total"))
    words = said(overspend_figure([overspend(bare, 300e9)]), tmp_path)
    assert "main/256x80" in words and "54%" in words and "Width (channels)" not in words
    # Two runs of one shape would lie on one another.
    twice = pl.concat([frame, frame.with_columns(pl.col("run") + "-again")])
    table = load(twice.select("run", "width", "depth", "tokens", "loss", "device_hours"))
    words = said(overspend_figure([overspend(table, 300e9, "device_hours")]), tmp_path)
    assert "main/256x80-again" in words and "the 40 largest of 44" in words


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 120)), min_size=1, max_size=9))
def test_labels_do_not_overlap_and_keep_their_order(points: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in points], [float(b) for _, b in points]
    placed = apart(x, y, LABEL_WIDTH, LABEL_HEIGHT)
    for i, j in itertools.combinations(range(len(points)), 2):
        if abs(x[i] - x[j]) < LABEL_WIDTH:
            assert abs(placed[i] - placed[j]) > LABEL_HEIGHT - 0.5
            if y[i] < y[j]:
                assert placed[i] < placed[j]
    # Who has nobody in the way stays.
    for i in range(len(points)):
        if all(abs(x[i] - x[j]) >= LABEL_WIDTH for j in range(len(points)) if j != i):
            assert placed[i] == y[i]


@pytest.mark.published_data
def test_figure_8_says_what_it_shows(tmp_path: Path) -> None:
    refit = published("gemstones-refit-plain")
    found = [overtrain(budget, refit, name="gemstones-refit-plain") for budget in (1e20, 1e21, 1e22, 1e23)]
    industry = load_industry()
    chart = overtrain_figure(found, industry)
    words = said(chart, tmp_path)
    for part in (
        "1e20 FLOPs", "1e23 FLOPs", "Tokens over the optimal tokens", "Predicted loss (nats/token)", "4864x63",
        "70.3B tokens", "loss +2.2%", "[1.1%, 4.4%]", "N −76%", "1/16", "gemstones-refit-plain", "FLOPs by Appendix G",
        "95% intervals from 400 resamples by run", "of their own tokenizers", "0.3 decades beyond the fitted runs",
        "what lies beyond is cut", "only those with room for their names",
    ):  # fmt: skip
        assert part in words, part
    specification = chart.to_dict()
    domains = [
        layer["encoding"]["y"]["scale"]["domain"]
        for panel in specification["hconcat"]
        for layer in panel["layer"][:1]
    ]
    ratios = [high / low for low, high in domains]
    assert ratios == pytest.approx([ratios[0]] * 4)
    losses = {model.short_name: model.loss for model in industry}
    for i, (low, high) in enumerate(domains):
        models = chart.datasets[f"models-{i}"]
        assert len(models) <= MOST_MODELS
        assert all(low < row["loss"] == losses[row["name"]] < high for row in models)
        pixels = sorted(row["loss"] for row in models)
        assert all(
            b / a >= (high / low) ** (MODEL_GAP / HEIGHT * 0.999) for a, b in itertools.pairwise(pixels)
        )
    assert any(chart.datasets[f"models-{i}"] for i in range(4))


def test_figure_8_of_a_law_without_shapes_draws_or_models(tmp_path: Path) -> None:
    words = said(overtrain_figure([overtrain(1e21, published("chinchilla"), name="chinchilla")]), tmp_path)
    assert "No intervals" in words and "N = C / 6T" in words and "parameters" in words
    assert "industry" not in words and "all panels" not in words and "is cut" not in words


def test_factors_without_a_design_are_left_out() -> None:
    chart = overtrain_figure([overtrain(1e19, published("gemstones-refit-plain"))])
    assert len(chart.datasets["curve-0"]) == 16


def test_a_loss_beyond_the_panel_has_no_words_in_it() -> None:
    """They are not clipped: a law with a wild exponent made the figure as high as ten."""
    made = overtrain(1e22, "chinchilla", [1, 4])
    points = [p if p.factor == 1 else replace(p, loss=3e4, loss_increase=1e4) for p in made.points]
    wild = replace(made, points=tuple(points))
    words = {row["factor"]: row["text"] for row in overtrain_figure(wild).datasets["curve-0"]}
    assert words[1] is not None and 4 not in words  # nor a line straight up to it
    assert made.optimum.loss is not None
    above = made.optimum.loss * WIDEST_RATIO * math.exp(1.1 * ABOVE)
    points = [p if p.factor == 1 else replace(p, loss=above, loss_increase=above) for p in made.points]
    near = overtrain_figure(replace(made, points=tuple(points))).datasets["curve-0"]
    assert {row["factor"]: row["text"] for row in near}[4] is None
    assert wild.sentence is not None and "multiplies predicted loss by 1e+04 (" in wild.sentence
    assert made.sentence is not None and "raises predicted loss by " in made.sentence


def test_nothing_to_draw_is_said() -> None:
    for draw in (overspend_figure, overtrain_figure):
        with pytest.raises(InvalidRequest, match="none was given"):
            draw([])
