"""Figure 24 of the paper: FLOPs per token as Appendix G counts them, over the rule of thumb 6·N, by shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.design.feasible import Constraints
from gemstones.figures import style
from gemstones.paper.figure import PaperFigure
from gemstones.paper.shapes import HEIGHT, WIDTH, trained_shapes
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, Shape, Shapes

if TYPE_CHECKING:
    import polars as pl

DEPTHS = 44
"""About so many depths of the grid are drawn, equally spaced in the logarithm."""
SCHEME: Literal["blueorange"] = "blueorange"
"""Blue where 6·N overcounts, orange where it undercounts; colour-blind safe."""


def flops_ratio(shape: Shape) -> float:
    """Appendix G's FLOPs per token over 6·N, N in total parameters.

    >>> round(flops_ratio(Shape(1024, 28)), 4)
    1.0973
    """
    return flops_per_token(shape) / flops_per_token(shape, "6N_total")


def flops_ratio_figure(runs: RunTable) -> PaperFigure:
    """Figure 24: the ratio over the grid of feasible shapes, with the shapes of the main runs on it."""
    style.need_altair()
    import altair as alt
    import polars as pl

    frame = _frame(trained_shapes(runs))
    cells, trained = frame.filter(pl.col("kind") == "grid"), frame.filter(pl.col("kind") == "trained")
    most = max(float(np.exp(np.abs(np.log(frame["ratio"].to_numpy())).max())), 1.5)
    widths, depths = cells["width_low"].to_list(), cells["depth_low"].to_list()
    x_domain = (min(widths), max(cells["width_high"].to_list()))
    y_domain = (min(depths), max(cells["depth_high"].to_list()))
    values = [v for v in (0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0) if 1 / most <= v <= most]
    # Symmetrical in the logarithm, so that the middle of the colours is 1.
    scale = alt.Scale(type="log", domain=[1 / most, most], scheme=SCHEME)
    color = alt.Color(
        "ratio:Q",
        scale=scale,
        legend=alt.Legend(
            title=["FLOPs per token", "over 6·N (total)"],
            type="gradient",
            values=values,
            format=".1f",
            gradientLength=220,
        ),
    )
    tooltip = ["shape:N", "ratio:Q", "flops_per_token:Q", "params_total:Q"]
    heat = (
        alt.Chart(alt.NamedData(name="grid"))
        .mark_rect(clip=True)
        .encode(
            style.log_x("width_low", "Width (channels)", x_domain, "plain", 9),
            style.log_y("depth_low", "Depth (blocks)", y_domain, "plain"),
            x2="width_high:Q",
            y2="depth_high:Q",
            color=color,
            tooltip=tooltip,
        )
    )
    dots = (
        alt.Chart(alt.NamedData(name="trained"))
        .mark_point(size=75, filled=True, opacity=1, stroke=style.BLACK, strokeWidth=1.3)
        .encode(
            style.log_x("width", "Width (channels)", x_domain, "plain", 9),
            style.log_y("depth", "Depth (blocks)", y_domain, "plain"),
            color=alt.Color("ratio:Q", scale=scale, legend=None),
            tooltip=tooltip,
        )
    )
    low, high = (trained.sort("ratio").row(i, named=True) for i in (0, -1))
    span = f"{low['ratio']:.2f} ({low['shape']}) to {high['ratio']:.2f} ({high['shape']})"
    title = alt.TitleParams(
        "FLOPs per token (Appendix G) over 6·N, N in total parameters",
        subtitle=[
            f"Circles: the {trained.height} trained shapes, {span}",
            "Feasible shapes of vocabulary 50,304 and context 2048; blue: 6·N counts too many, orange: too few",
        ],
        offset=14,
    )
    layers = alt.layer(heat, dots).resolve_scale(color="independent")
    # Cells overlap by a hair, or white would show between them.
    overlapping = cells.with_columns(pl.col("width_high", "depth_high") * 1.004)
    data = {"grid": overlapping.to_dicts(), "trained": trained.to_dicts()}
    chart = style.themed(layers.properties(width=WIDTH, height=HEIGHT, title=title), data)
    ratios = cells["ratio"].to_list()
    caption = (
        f"FLOPs per training token by Appendix G over 6·N with N in total parameters, over feasible shapes "
        f"(vocabulary 50,304, context 2048). For the {trained.height} trained shapes the ratio runs from {span}: "
        "6·N overcounts where the embedding, which costs nothing, is much of N, and undercounts where attention over "
        f"the context is much of the work. Over the grid it runs from {min(ratios):.2f} to {max(ratios):.2f}."
    )
    return PaperFigure(24, chart, frame, caption)


def _frame(trained: Sequence[Shape]) -> pl.DataFrame:
    """One row per cell of the grid, with its edges, and one per trained shape."""
    import polars as pl

    constraints = Constraints()
    widths = np.array(constraints.widths(), np.float64)
    depths = np.unique(np.geomspace(constraints.depth_min, constraints.depth_max, DEPTHS).round())
    w, d = (array.ravel() for array in np.meshgrid(widths, depths))
    width_edges, depth_edges = _edges(widths), _edges(depths)
    column, row = np.searchsorted(widths, w), np.searchsorted(depths, d)
    edges = {
        "width_low": width_edges[column],
        "width_high": width_edges[column + 1],
        "depth_low": depth_edges[row],
        "depth_high": depth_edges[row + 1],
    }
    cells = _counted(w, d, "grid").with_columns(**{name: pl.Series(values) for name, values in edges.items()})
    shapes = _counted(
        np.array([shape.width for shape in trained], np.float64),
        np.array([shape.depth for shape in trained], np.float64),
        "trained",
    )
    return pl.concat([cells, shapes], how="diagonal")


def _edges(values: FloatArray) -> FloatArray:
    """Between ascending `values` in the logarithm, and as far out at the ends."""
    logs = np.log(values)
    middle = (logs[1:] + logs[:-1]) / 2
    edges: FloatArray = np.exp(
        np.concatenate([[2 * logs[0] - middle[0]], middle, [2 * logs[-1] - middle[-1]]])
    )
    return edges


def _counted(widths: FloatArray, depths: FloatArray, kind: str) -> pl.DataFrame:
    import polars as pl

    shapes = Shapes.of(widths, depths)
    flops, six_n = flops_per_token(shapes), flops_per_token(shapes, "6N_total")
    return pl.DataFrame(
        {
            "kind": [kind] * len(widths),
            "shape": [f"{w:.0f}x{d:.0f}" for w, d in zip(widths, depths, strict=True)],
            "width": widths.astype(np.int64),
            "depth": depths.astype(np.int64),
            "params_total": six_n / 6,
            "flops_per_token": flops,
            "ratio": flops / six_n,
        }
    )
