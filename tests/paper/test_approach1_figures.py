"""Figures 4 and 9 to 11 draw the published frontiers, and every quantity has a row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from gemstones.figures.approach1 import approach1_figure
from gemstones.laws.envelope import QUANTITIES, Envelope, envelope
from gemstones.paper.approach1_figures import SELECTIONS, paper_approach1
from gemstones.paper.figure import PaperFigure
from gemstones.paper.fits import EnvelopeKey, paper_envelopes
from gemstones.report.steps import METHODS, RESOURCES
from gemstones.runs import RunTable

HULLS = {4: 21, 9: 21, 10: 17, 11: 12}
BINS = {4: 506, 9: 506, 11: 172}
SLOPES = {4: -0.018391393, 9: -0.018391393, 10: -0.027333103, 11: -0.203720638}
"""Published: sizes of hulls and bins, slopes of tokens per parameter over FLOPs (shared/design/paper.md, section 3)."""


@pytest.fixture(scope="module")
def envelopes(gemstones: RunTable) -> dict[EnvelopeKey, Envelope]:
    keys = [
        EnvelopeKey(s, r, m) for s in sorted(set(SELECTIONS.values())) for r in RESOURCES for m in METHODS
    ]
    return paper_envelopes({"gemstones": gemstones}, bootstrap=40, keys=keys)


@pytest.fixture(scope="module")
def figures(gemstones: RunTable, envelopes: dict[EnvelopeKey, Envelope]) -> dict[int, PaperFigure]:
    return {number: paper_approach1(number, gemstones, envelopes) for number in SELECTIONS}


@pytest.mark.parametrize("number", HULLS)
def test_frontiers_are_the_published_ones(figures: dict[int, PaperFigure], number: int) -> None:
    data = figures[number].data
    over_flops = data.filter(layer="frontier", axis="flops")
    hull = over_flops.filter(method="hull").sort("resource")
    assert hull.height == HULLS[number]
    assert over_flops.filter(method="bins").height == BINS.get(number, over_flops.height - hull.height)
    # What is drawn is what the slope was fitted to.
    slope = np.polyfit(np.log(hull["resource"]), np.log(hull["tokens_per_param"]), 1)[0]
    assert slope == pytest.approx(SLOPES[number], abs=1e-8)
    line = data.filter(layer="tokens_per_param", axis="flops", series="Fit to the hull")
    drawn = np.polyfit(np.log(line["resource"]), np.log(line["value"]), 1)[0]
    assert drawn == pytest.approx(SLOPES[number], abs=1e-8)
    assert (line["low"] <= line["value"]).all() and (line["value"] <= line["high"]).all()


def test_every_checkpoint_is_drawn_over_both_resources(
    figures: dict[int, PaperFigure], gemstones: RunTable
) -> None:
    for number, figure in figures.items():
        runs = figure.data.filter(layer="runs")
        table = gemstones.select(SELECTIONS[number])
        counts = dict(runs.group_by("axis").len().iter_rows())
        assert counts == {"flops": table.rows, "device_hours": table.rows}
        assert set(runs.filter(axis="flops")["loss"]) == set(table.frame["loss"])


def test_rows_are_the_quantities(figures: dict[int, PaperFigure]) -> None:
    for number in (4, 10):
        figure = figures[number]
        rows = figure.chart.to_dict()["vconcat"]
        titles = [
            layer["encoding"]["y"]["title"] for row in rows for layer in row["hconcat"][0]["layer"][-1:]
        ]
        assert len(rows) == (2 if number == 4 else 4) and len(set(titles)) == len(rows)
        layers = set(figure.data["layer"]) - {"runs", "frontier"}
        assert layers == ({"tokens_per_param"} if number == 4 else set(QUANTITIES))


def test_lines_of_quantities_are_consistent(figures: dict[int, PaperFigure]) -> None:
    lines = figures[9].data.filter(axis="flops", series="Fit to the hull")
    values = {q: lines.filter(layer=q).sort("resource")["value"].to_numpy() for q in QUANTITIES}
    assert values["tokens"] / values["params"] == pytest.approx(values["tokens_per_param"])


def test_captions_have_slopes_with_intervals(figures: dict[int, PaperFigure]) -> None:
    assert "21 points of the hull over FLOPs -0.018 [-" in figures[4].caption
    assert "172 bins over FLOPs -0.521" in figures[11].caption and "95%" in figures[11].caption


def test_other_data_have_them_too(chinchilla: RunTable, pebbles: RunTable) -> None:
    epoch, small = chinchilla.select(), pebbles.select()
    for table, resources in ((epoch, RESOURCES[:1]), (small, RESOURCES)):
        made = [envelope(table, resource=r, method=m) for r in resources for m in METHODS]
        chart = approach1_figure(table, made, quantities=QUANTITIES)
        assert [len(row["hconcat"]) for row in chart.to_dict()["vconcat"]] == [len(resources)] * 4
        assert pl.DataFrame(chart.datasets["params-flops"])["value"].is_finite().all()
