"""Figure 22 of the paper: every shape that its rules allow at five sizes, and the 22 that were trained."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from gemstones.accounting.parameters import params
from gemstones.design.feasible import feasible_shapes
from gemstones.figures import style
from gemstones.numbers import counted
from gemstones.paper.figure import PaperFigure
from gemstones.runs.table import RunTable
from gemstones.shape import Shape
from gemstones.units import format_quantity
from gemstones.words import listed

if TYPE_CHECKING:
    import polars as pl

SIZES = (50e6, 100e6, 500e6, 1e9, 2e9)
"""Target sizes in total parameters (§3 "Architecture")."""
COLORS = (style.MAGENTA, style.ORANGE, style.TEAL, style.BLUE, "#6A3D9A")
"""Of the sizes: a scale of parameters would make neighbours alike."""
TOLERANCE = 0.05
STAR = "M0,-1L0.2,-0.28L0.95,-0.31L0.33,0.11L0.59,0.81L0,0.4L-0.59,0.81L-0.33,0.11L-0.95,-0.31L-0.2,-0.28Z"
"""An SVG path for a star of radius 1."""
WIDTH, HEIGHT, TALL = 640, 430, 560
"""Of a figure of one panel, in CSS pixels; tall, neighbouring depths stand apart."""


def trained_shapes(runs: RunTable) -> tuple[Shape, ...]:
    """Shapes of the main runs, by width, then depth."""
    import polars as pl

    main = runs.frame.filter(pl.col("family") == "main").select("width", "depth").unique()
    architecture = runs.architecture.like().architecture
    return tuple(sorted(Shape(width, depth, **architecture) for width, depth in main.iter_rows()))


def size_class(shape: Shape) -> float:
    """The nearest of `SIZES`, in the logarithm."""
    return min(SIZES, key=lambda size: abs(math.log(params(shape) / size)))


def shapes_figure(runs: RunTable) -> PaperFigure:
    """Figure 22: feasible shapes within ±5% of each size as circles, those of the main runs as stars."""
    style.need_altair()
    import altair as alt
    import polars as pl

    frame = _frame(trained_shapes(runs))
    widths, depths = frame["width"].to_list(), frame["depth"].to_list()
    base = alt.Chart(alt.NamedData(name="shapes")).encode(
        style.log_x("width", "Width (channels)", style.padded(min(widths), max(widths)), "plain", 9),
        style.log_y("depth", "Depth (blocks)", style.padded(min(depths), max(depths)), "plain"),
        tooltip=style.tooltips("shape:N", "params_total:Q", "size:Q", "feasible:N"),
    )
    counts = {size: frame.filter(pl.col("feasible") & (pl.col("size") == size)).height for size in SIZES}
    names = {size: f"{format_quantity(size)}: {counts[size]} feasible" for size in SIZES}
    key = alt.Legend(
        title=["Total parameters", f"(circles: ±{TOLERANCE:.0%})"],
        type="symbol",
        symbolType="circle",
        symbolOpacity=1,
        symbolStrokeWidth=0,
        values=list(SIZES),
        labelExpr=f"{_json(list(names.values()))}[indexof({_json(list(names))}, datum.value)]",
    )
    color = alt.Color("size:N", scale=alt.Scale(domain=list(SIZES), range=list(COLORS)), legend=key)
    kinds = alt.Scale(domain=["Feasible", "Trained"], range=["circle", STAR])
    mark = alt.Shape("kind:N", scale=kinds, legend=alt.Legend(title="Shapes", symbolOpacity=1))
    circles = (
        base.transform_filter("!datum.trained")
        .mark_point(size=20, filled=True, opacity=0.8)
        .encode(color=color, shape=mark)
    )
    stars = (
        base.transform_filter("datum.trained")
        .mark_point(size=95, filled=True, opacity=1, stroke=style.BLACK, strokeWidth=0.9)
        .encode(color=color, shape=mark)
    )
    outside = frame.filter(pl.col("trained") & ~pl.col("feasible"))["shape"].to_list()
    trained = frame.filter(pl.col("trained")).height
    title = alt.TitleParams(
        f"Shapes that the rules allow, and the {trained} that were trained",
        subtitle=[
            "Head size 128, an even number of query heads, 2 queries per kv head, MLP of 4 widths, vocabulary 50,304",
            f"Trained outside the ±{TOLERANCE:.0%} or the rules: {listed(outside)}",
        ],
        offset=14,
    )
    chart = alt.layer(circles, stars).properties(width=WIDTH, height=TALL, title=title)
    themed = style.themed(chart, {"shapes": frame.to_dicts()})
    caption = (
        f"Feasible shapes within ±{TOLERANCE:.0%} of {listed(map(format_quantity, SIZES))} total parameters (circles: "
        f"{listed(map(str, counts.values()))} of them) and the {trained} trained ones (stars), coloured by "
        f"size. {counted(len(outside), 'trained shape')} are outside the tolerance or, of width 384, have an "
        f"odd number of query heads: {listed(outside)}; the paper names 512x11 and 512x14."
    )
    return PaperFigure(22, themed, frame, caption)


def _json(values: list[Any]) -> str:
    return msgspec.json.encode(values).decode()


def _frame(trained: tuple[Shape, ...]) -> pl.DataFrame:
    """One row per shape, feasible or trained or both."""
    import polars as pl

    feasible = {shape: size for size in SIZES for shape in feasible_shapes(size, TOLERANCE)}
    every = sorted({*feasible, *trained})

    def row(shape: Shape) -> dict[str, Any]:
        return {
            "shape": str(shape),
            "width": shape.width,
            "depth": shape.depth,
            "params_total": float(params(shape)),
            "size": feasible.get(shape, size_class(shape)),
            "feasible": shape in feasible,
            "trained": shape in trained,
            "kind": "Trained" if shape in trained else "Feasible",
        }

    return pl.DataFrame([row(shape) for shape in every])
