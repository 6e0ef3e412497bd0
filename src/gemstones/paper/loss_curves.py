"""Figure 23 of the paper: loss curves of the main runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gemstones.figures import style
from gemstones.figures.apart import apart
from gemstones.paper.figure import PaperFigure
from gemstones.paper.shapes import WIDTH
from gemstones.runs.table import RunTable
from gemstones.words import selection_words

if TYPE_CHECKING:
    import polars as pl

SELECTION = "all-2B"
HEIGHT = 520
"""In CSS pixels: room for a label for every curve."""
LABEL_WIDTH, LABEL_HEIGHT, LEADER = 60, 12.5, 22
"""Of the labels of curves, and of the line from a curve to its label, in CSS pixels."""


def loss_curves_figure(runs: RunTable) -> PaperFigure:
    """Figure 23: validation loss over tokens of every main run of `gemstones`, coloured by total parameters."""
    style.need_altair()
    import altair as alt
    import polars as pl

    table = runs.select(SELECTION)
    shape = pl.format("{}x{}", "width", "depth").alias("shape")
    frame = table.frame.select("run", shape, "width", "depth", "params_total", "tokens", "loss").sort(
        "run", "tokens"
    )
    last = frame.group_by("run", maintain_order=True).last().sort("loss")
    tokens, losses = frame["tokens"].to_list(), frame["loss"].to_list()
    y_domain = style.padded(min(losses), max(losses), 0.03)
    x = style.log_x("tokens", "Training tokens", (min(tokens), max(tokens)), "si")
    y = style.log_y("loss", "Validation loss (nats/token)", y_domain, "plain")
    colors = style.RunColors.of(runs)
    lines = (
        alt.Chart(alt.NamedData(name="curves"))
        .mark_line(strokeWidth=1.4, opacity=0.9)
        .encode(
            x,
            y,
            detail="run:N",
            color=colors.encoding(legend=True),
            tooltip=style.tooltips("shape:N", "tokens:Q", "loss:Q"),
        )
    )
    ends = alt.Chart(alt.NamedData(name="ends"))
    leaders = ends.mark_rule(strokeWidth=1, clip=False).encode(
        y, x=alt.value(WIDTH), x2=alt.value(WIDTH + LEADER), y2="label:Q", color=colors.encoding(legend=False)
    )
    labels = ends.mark_text(align="left", dx=3, fontSize=11.5, clip=False, color=style.INK).encode(
        style.log_y("label", "Validation loss (nats/token)", y_domain, "plain"),
        x=alt.value(WIDTH + LEADER),
        text="shape:N",
    )
    title = alt.TitleParams(
        f"Loss curves of the {last.height} main runs",
        subtitle=f"{selection_words(table.dataset, table.selection)}; constant learning rate, no cooldown",
        offset=14,
    )
    layers = alt.layer(lines, leaders, labels).resolve_scale(color="independent")
    data = {"curves": frame.to_dicts(), "ends": _labelled(last, y_domain)}
    chart = style.themed(layers.properties(width=WIDTH, height=HEIGHT, title=title), data)
    best, worst = last.row(0, named=True), last.row(-1, named=True)
    caption = (
        f"Validation loss (nats per token) of the {last.height} main runs, every 2B tokens to "
        f"{max(tokens) / 1e9:.0f}B, with a constant learning rate; colour is total parameters. At the end "
        f"losses run from {best['loss']:.3f} ({best['shape']}) to {worst['loss']:.3f} ({worst['shape']})."
    )
    return PaperFigure(23, chart, frame, caption)


def _labelled(last: pl.DataFrame, y_domain: tuple[float, float]) -> list[dict[str, Any]]:
    """The last checkpoint of every run, with the loss at whose height its label stands."""
    pixels = HEIGHT / math.log(y_domain[1] / y_domain[0])
    heights = [pixels * math.log(y_domain[1] / loss) for loss in last["loss"].to_list()]
    placed = apart([0.0] * len(heights), heights, LABEL_WIDTH, LABEL_HEIGHT)
    losses = [y_domain[1] / math.exp(height / pixels) for height in placed]
    return [row | {"label": loss} for row, loss in zip(last.to_dicts(), losses, strict=True)]
