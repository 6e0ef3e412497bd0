"""Figure 23: every checkpoint of every main run, and a label for each that stands alone."""

from __future__ import annotations

import itertools
import math

import polars as pl

from gemstones.figures.save import render
from gemstones.paper.loss_curves import HEIGHT, LABEL_HEIGHT, loss_curves_figure
from gemstones.runs import RunTable


def test_every_checkpoint_is_drawn_and_every_curve_named(gemstones: RunTable) -> None:
    figure = loss_curves_figure(gemstones)
    assert figure.number == 23 and figure.data.height == 3850
    per_run = figure.data.group_by("run").agg(pl.len(), (pl.col("tokens").diff().drop_nulls() >= 0).all())
    assert per_run.height == 22 and per_run["len"].unique().to_list() == [175] and per_run["tokens"].all()
    assert figure.data["tokens"].max() == 175 * 477 * 2048 * 2048
    svg = render(figure.chart, ("svg",))["svg"].decode()
    for shape in figure.data["shape"].unique():
        assert svg.count(f">{shape}</text>") == 1
    assert "Training tokens" in svg and "Validation loss (nats/token)" in svg
    assert "2.495 (1536x50) to 3.375 (256x23)" in figure.caption


def test_labels_do_not_overlap_and_keep_the_order_of_their_curves(gemstones: RunTable) -> None:
    chart = loss_curves_figure(gemstones).chart.to_dict()
    low, high = chart["layer"][0]["encoding"]["y"]["scale"]["domain"]
    pixels = HEIGHT / math.log(high / low)
    rows = sorted(chart["datasets"]["ends"], key=lambda row: row["loss"])
    assert len(rows) == 22
    places = [pixels * math.log(row["label"]) for row in rows]
    gaps = [after - before for before, after in itertools.pairwise(places)]
    assert min(gaps) >= LABEL_HEIGHT - 1.5  # pushed apart to within a pixel or so
    assert max(abs(pixels * math.log(row["label"] / row["loss"])) for row in rows) < 60
    assert all(low < row["label"] < high for row in rows)
