"""Designs of runs as a figure: which models on how many tokens, of which shape, and the interval after each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gemstones.analyses.next_run.result import Design
from gemstones.analyses.next_run.shown import design_heading, factor_text
from gemstones.arguments import checked
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.units import format_flops, format_quantity
from gemstones.words import flops_words

if TYPE_CHECKING:
    import altair as alt

Rows = list[dict[str, Any]]
LARGEST_INTERVAL = 30.0
"""Factors above are not drawn: with few runs nothing is known."""


@checked
def design_figure(design: Design) -> alt.HConcatChart:
    """The runs of a `design` on N × T (tokens) and on width × depth, coloured by the order of buying.

    Beside them the interval as they are bought, with the conventional designs at the same cost. Raises `MissingExtra`
    without altair.

    >>> from gemstones.analyses.next_run.design import design_runs
    >>> design_figure(design_runs(1e22, 2e20))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    rows = _rows(design)
    panels = [
        _scatter(rows, ("params", "Total parameters N"), ("tokens", "Tokens T"), ("si", "si")),
        _scatter(rows, ("width", "Width"), ("depth", "Depth"), ("plain", "plain")),
        _interval(design, rows),
    ]
    rival = design.best_conventional
    beside = (
        ""
        if rival is None
        else f"; the best conventional design at this cost: {factor_text(rival.interval_factor)} ({rival.name})"
    )
    title = alt.TitleParams(
        design_heading(design),
        subtitle=style.clauses([f"linear around law {design.law.form}{beside}"], 180),
        offset=14,
    )
    apart: Any = {"scale": {"color": "independent", "shape": "independent", "size": "independent"}}
    chart = alt.HConcatChart(hconcat=panels, title=title, spacing=36, resolve=apart)
    return style.themed(chart)


def _rows(design: Design) -> Rows:
    return [
        {
            "order": i + 1,
            "shape": str(run.shape),
            "width": run.shape.width,
            "depth": run.shape.depth,
            "params": run.params_total,
            "tokens": run.tokens,
            "flops": run.flops,
            "flops_text": format_flops(run.flops),
            "tokens_text": format_quantity(run.tokens),
            "spent": run.cumulative_flops,
            "factor": run.interval_factor,
        }
        for i, run in enumerate(design.runs)
    ]


def _color(rows: Rows, *, legend: bool) -> alt.Color:
    import altair as alt

    return alt.Color(
        "order:Q",
        scale=alt.Scale(
            scheme=alt.SchemeParams(name="viridis", extent=[0.0, 0.88]), domain=[1, max(2, len(rows))]
        ),
        legend=alt.Legend(title="Order of buying", format="d") if legend else None,
    )


def _scatter(rows: Rows, x: tuple[str, str], y: tuple[str, str], labels: tuple[Any, Any]) -> alt.LayerChart:
    import altair as alt

    def domain(name: str) -> tuple[float, float]:
        values = [row[name] for row in rows]
        return style.padded(min(values), max(values), 0.06)

    marks = (
        alt.Chart(alt.InlineData(rows))
        .mark_circle(opacity=0.85, stroke="white", strokeWidth=0.6)
        .encode(
            style.log_x(x[0], x[1], domain(x[0]), labels[0], 6),
            style.log_y(y[0], y[1], domain(y[0]), labels[1]),
            _color(rows, legend=x[0] == "width"),
            size=alt.Size("flops:Q", scale=alt.Scale(type="log", range=[30, 260]), legend=None),
            tooltip=["order:Q", "shape:N", "tokens_text:N", "flops_text:N"],
        )
    )
    return alt.LayerChart(layer=[marks], width=style.PANEL_WIDTH * 0.72, height=style.PANEL_HEIGHT)


def _interval(design: Design, rows: Rows) -> alt.LayerChart:
    import altair as alt

    known = [row for row in rows if row["factor"] <= LARGEST_INTERVAL] or rows[-1:]
    rivals = [
        {"spent": one.flops, "factor": one.interval_factor, "name": one.name}
        for one in design.conventional
        if one.interval_factor <= LARGEST_INTERVAL
    ]
    points = [*known, *rivals]
    spans = [
        style.padded(min(r[k] for r in points), max(r[k] for r in points), 0.05) for k in ("spent", "factor")
    ]
    x = style.log_x("spent", f"FLOPs so far ({flops_words(design.flops_convention)})", spans[0], "power", 5)
    y = style.log_y("factor", f"{level_text(design.level)} interval, factor either way", spans[1], "plain")
    layers = [
        alt.Chart(alt.InlineData(known))
        .mark_line(point=True, color=style.BLACK, strokeWidth=1.6)
        .encode(x, y, tooltip=["order:Q", "shape:N", "factor:Q"]),
        alt.Chart(alt.InlineData(rivals))
        .mark_point(size=90, filled=True, opacity=1)
        .encode(
            x,
            y,
            color=alt.Color("name:N", legend=alt.Legend(title="At the same cost")),
            shape=alt.Shape("name:N", legend=alt.Legend(title="At the same cost")),
            tooltip=["name:N", "factor:Q"],
        ),
    ]
    return alt.LayerChart(layer=layers, width=style.PANEL_WIDTH * 0.8, height=style.PANEL_HEIGHT)
