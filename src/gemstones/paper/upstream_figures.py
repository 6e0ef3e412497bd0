"""Figures 25 to 28, not in the paper: three validation sets, error over loss, accuracy over FLOPs, shaded curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gemstones.display import ends_text
from gemstones.figures import style
from gemstones.paper.drawn import drawn
from gemstones.paper.figure import PaperFigure
from gemstones.paper.upstream import SETS, Upstream
from gemstones.runs.benchmarks import TASKS
from gemstones.runs.table import RunTable
from gemstones.words import capital

if TYPE_CHECKING:
    import altair as alt

FLOPS = "FLOPs (Appendix G)"
LOSS_OF = {"main": "loss", "fineweb-edu": "loss_fineweb_edu", "dclm": "loss_dclm"}
LOSS = "Validation loss (nats/token)"
PANEL = {"width": 300, "height": 285}
Rows = list[dict[str, Any]]


def upstream_figures(found: Upstream, gemstones: RunTable) -> dict[int, Callable[[], PaperFigure]]:
    """By number."""
    return {
        25: lambda: _three_sets(found),
        26: lambda: _error_over_loss(found),
        27: lambda: _accuracy_over_flops(found),
        28: lambda: _shaded_curves(gemstones),
    }


def _three_sets(found: Upstream) -> PaperFigure:
    panels, rows = [], {}
    for one in found.sets:
        rows[one.name] = [
            row | {"y": row[LOSS_OF[one.name]], "x": row["flops"]} for row in _checkpoints(found)
        ]
        title = f"Losses on {SETS[one.name]}: N* {one.n_opt / 1e9:.3g}B at 1e22 FLOPs"
        panels.append(_panel(rows, one.name, title, FLOPS, "power", LOSS, legend=one is found.sets[-1]))
    others = ", ".join(f"{one.ratio:.2f} times on {SETS[one.name]}" for one in found.sets[1:])
    caption = (
        "Not in the paper. Loss (nats per token) over FLOPs (Appendix G) of the main runs on three validation sets, "
        f"shaded by width over depth. By (w,d,N,T)^p, N* at 1e22 FLOPs is {others} that on the runs' own set."
    )
    return _figure(25, panels, rows, caption)


def _error_over_loss(found: Upstream) -> PaperFigure:
    import altair as alt

    panels, rows = [], {}
    for one in found.sets:
        name, column, line = SETS[one.name], LOSS_OF[one.name], one.mean_task.line
        rows[one.name] = [row | {"y": 1 - row["accuracy"], "x": row[column]} for row in _checkpoints(found)]
        assert line is not None
        curve = f"law of {one.name}"
        rows[curve] = [
            {"x": float(x), "y": float(1 - a)} for x, a in zip(line.loss, line.accuracy, strict=True)
        ]
        points = _panel(
            rows,
            one.name,
            f"{capital(name)}: off by {100 * one.mean_task.root_mean_square:.2f} points (rms)",
            f"Loss on {name} (nats/token)",
            "plain",
            "Mean error of nine tasks",
            line=False,
            legend=one is found.sets[-1],
        )
        law = alt.Chart(alt.NamedData(name=curve)).mark_line(color=style.BLACK, strokeWidth=1.6)
        over = law.encode(x=points.encoding.x, y=points.encoding.y)
        panels.append(alt.layer(points, over).properties(**PANEL, title=points.title))
    caption = (
        "Not in the paper. Mean error of nine tasks over the loss on three validation sets, with the least squares law "
        "error = epsilon - k*exp(-gamma*loss); points are checkpoints of the main runs, shaded by width over depth."
    )
    return _figure(26, panels, rows, caption)


def _accuracy_over_flops(found: Upstream) -> PaperFigure:
    frame, mean = _checkpoints(found), found.at_equal_loss[0]
    rows = {
        "accuracy": [row | {"y": row["accuracy"], "x": row["flops"]} for row in frame],
        "equal loss": [
            row | {"y": 100 * float(off), "x": row["aspect_ratio"]}
            for row, off in zip(frame, mean.residuals, strict=True)
        ],
    }
    ends = "" if mean.interval is None else " " + ends_text(*(f"{100 * end:+.2f}" for end in mean.interval))
    beyond = "Error beyond that of the loss (points)"
    panels = [
        _panel(rows, "accuracy", "Over FLOPs", FLOPS, "power", "Mean accuracy of nine tasks"),
        _panel(
            rows,
            "equal loss",
            "At equal loss",
            "Width / depth",
            "plain",
            beyond,
            log=False,
            line=False,
            legend=True,
        ),
    ]
    caption = (
        "Not in the paper. Left, mean accuracy of nine tasks over FLOPs (Appendix G). Right, the error that its loss "
        f"does not explain, over width over depth: {100 * mean.slope:+.2f}{ends} points for every doubling, interval "
        "by run."
    )
    return _figure(27, panels, rows, caption)


def _shaded_curves(gemstones: RunTable) -> PaperFigure:
    import polars as pl

    ratio = (pl.col("width") / pl.col("depth")).alias("aspect_ratio")
    columns = ("run", "tokens", "loss", "flops", "device_hours", ratio)
    base = gemstones.select("all-2B").frame.select(columns).to_dicts()
    rows = {
        name: [row | {"x": row[name], "y": row["loss"]} for row in base if row[name]]
        for name in ("flops", "device_hours")
    }
    panels = [
        _panel(rows, "flops", "Over FLOPs", FLOPS, "power", LOSS),
        _panel(
            rows, "device_hours", "Over device hours", "Device hours (as measured)", "si", LOSS, legend=True
        ),
    ]
    caption = (
        "Not in the paper. Loss curves of the main runs, every 2B tokens, over FLOPs (Appendix G) and over device "
        "hours, shaded by width over depth."
    )
    return _figure(28, panels, rows, caption)


def _checkpoints(found: Upstream) -> Rows:
    frame = found.table.frame
    kept = frame.select("run", "width", "depth", "tokens", "flops", *LOSS_OF.values(), *TASKS).to_dicts()
    return [
        {k: v for k, v in row.items() if k not in TASKS}
        | {"aspect_ratio": row["width"] / row["depth"], "accuracy": sum(row[t] for t in TASKS) / len(TASKS)}
        for row in kept
    ]


def _panel(
    rows: dict[str, Rows],
    name: str,
    title: str,
    x_title: str,
    labels: style.Labels,
    y_title: str,
    *,
    log: bool = True,
    line: bool = True,
    legend: bool = False,
) -> alt.Chart:
    """Of the rows called `name`; not `log` if the y axis is linear."""
    import altair as alt

    def span(of: str) -> tuple[float, float]:
        values = [row[of] for row in rows[name]]
        return style.padded(min(values), max(values))

    x = style.log_x("x", x_title, span("x"), labels, 6)
    y = alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False))
    if log:
        y = style.log_y("y", y_title, span("y"), "plain")
    color = alt.Color(
        "aspect_ratio:Q",
        scale=alt.Scale(type="log", scheme=alt.SchemeParams(name="viridis", extent=[0.0, 0.88])),
        legend=alt.Legend(
            title="Width / depth",
            type="gradient",
            gradientLength=150,
            values=[5, 10, 20, 50, 100, 200],
            format="d",
        )
        if legend
        else None,
    )
    chart = alt.Chart(alt.NamedData(name=name))
    marked = (
        chart.mark_line(strokeWidth=1.3, opacity=0.9) if line else chart.mark_circle(size=16, opacity=0.75)
    )
    encoded = marked.encode(
        x=x,
        y=y,
        color=color,
        detail=alt.Detail("run:N"),
        tooltip=style.tooltips("run:N", "aspect_ratio:Q", "x:Q", "y:Q"),
    )
    panel: alt.Chart = encoded.properties(**PANEL, title=title)
    return panel


def _figure(number: int, panels: list[Any], rows: dict[str, Rows], caption: str) -> PaperFigure:
    style.need_altair()
    import altair as alt

    each: Any = dict.fromkeys(("color",), "independent")
    title = alt.TitleParams(
        f"Main runs of the Gemstones, every {2 if number == 28 else 10}B tokens, shaded by width/depth",
        subtitle="Not in the paper; each shape was trained once",
    )
    chart = alt.HConcatChart(hconcat=panels, spacing=34, title=title)
    apart = chart.resolve_scale(**each).resolve_legend(**each)
    return PaperFigure(number, style.themed(apart, rows), drawn(rows), caption)
