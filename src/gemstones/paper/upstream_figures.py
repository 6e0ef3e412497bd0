"""Figures 25 to 28, not in the paper: three validation sets, error over loss, accuracy over FLOPs, shaded curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gemstones.display import ends_text
from gemstones.figures import style
from gemstones.figures.style import need_altair
from gemstones.paper.drawn import drawn
from gemstones.paper.figure import PaperFigure
from gemstones.paper.upstream import SETS, Upstream
from gemstones.runs.benchmarks import TASKS
from gemstones.runs.table import RunTable

if TYPE_CHECKING:
    import altair as alt

FLOPS = "FLOPs (Appendix G)"
LOSS_OF = {"main": "loss", "fineweb-edu": "loss_fineweb_edu", "dclm": "loss_dclm"}
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
    frame = _checkpoints(found)
    for one in found.sets:
        name, column = SETS[one.name], LOSS_OF[one.name]
        data = [row | {"y": row[column], "x": row["flops"]} for row in frame]
        rows[one.name] = data
        panels.append(
            _panel(one.name, f"Losses on {name}: N* {one.n_opt / 1e9:.3g}B at 1e22 FLOPs", _x(data, FLOPS, "power"),
                   _y(data, "Validation loss (nats/token)"), line=True, legend=one is found.sets[-1])
        )  # fmt: skip
    others = ", ".join(f"{one.ratio:.2f} times on {SETS[one.name]}" for one in found.sets[1:])
    caption = (
        "Not in the paper. Loss (nats per token) over FLOPs (Appendix G) of the main runs on three validation sets, "
        f"shaded by width over depth. By (w,d,N,T)^p, N* at 1e22 FLOPs is {others} that on the runs' own set."
    )
    return _figure(25, panels, rows, caption)


def _error_over_loss(found: Upstream) -> PaperFigure:
    import altair as alt

    panels, rows = [], {}
    frame = _checkpoints(found)
    for one in found.sets:
        name, column = SETS[one.name], LOSS_OF[one.name]
        data = [row | {"y": 1 - row["accuracy"], "x": row[column]} for row in frame]
        rows[one.name] = data
        line = one.mean_task.line
        assert line is not None
        curve = f"law of {one.name}"
        rows[curve] = [
            {"x": float(x), "y": float(1 - a)} for x, a in zip(line.loss, line.accuracy, strict=True)
        ]
        x, y = _x(data, f"Loss on {name} (nats/token)", "plain"), _y(data, "Mean error of nine tasks")
        points = _panel(
            one.name,
            f"{name[:1].upper()}{name[1:]}: off by {100 * one.mean_task.root_mean_square:.2f} points (rms)",
            x,
            y,
            line=False,
            legend=one is found.sets[-1],
        )
        law = alt.Chart(alt.NamedData(name=curve)).mark_line(color=style.BLACK, strokeWidth=1.6)
        panels.append(alt.layer(points, law.encode(x=x, y=y)).properties(**PANEL, title=points.title))
    caption = (
        "Not in the paper. Mean error of nine tasks over the loss on three validation sets, with the least squares law "
        "error = epsilon - k*exp(-gamma*loss); points are checkpoints of the main runs, shaded by width over depth."
    )
    return _figure(26, panels, rows, caption)


def _accuracy_over_flops(found: Upstream) -> PaperFigure:
    frame = _checkpoints(found)
    over_flops = [row | {"y": row["accuracy"], "x": row["flops"]} for row in frame]
    mean = found.at_equal_loss[0]
    left = [
        row | {"y": 100 * float(off), "x": row["aspect_ratio"]}
        for row, off in zip(frame, mean.residuals, strict=True)
    ]
    rows = {"accuracy": over_flops, "equal loss": left}
    ends = "" if mean.interval is None else " " + ends_text(*(f"{100 * end:+.2f}" for end in mean.interval))
    panels = [
        _panel(
            "accuracy",
            "Over FLOPs",
            _x(over_flops, FLOPS, "power"),
            _y(over_flops, "Mean accuracy of nine tasks"),
            line=True,
            legend=False,
        ),
        _panel(
            "equal loss",
            "At equal loss",
            _x(left, "Width / depth", "plain"),
            _y(left, "Error beyond that of the loss (points)", log=False),
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
    table = gemstones.select("all-2B")
    ratio = table.numbers("width") / table.numbers("depth")
    base = [
        row | {"aspect_ratio": float(r)}
        for row, r in zip(
            table.frame.select("run", "tokens", "loss", "flops", "device_hours").to_dicts(),
            ratio,
            strict=True,
        )
    ]
    rows, panels = {}, []
    for name, title in (("flops", FLOPS), ("device_hours", "Device hours (as measured)")):
        rows[name] = [row | {"x": row[name], "y": row["loss"]} for row in base if row[name]]
        x = _x(rows[name], title, "power" if name == "flops" else "si")
        panels.append(
            _panel(
                name,
                f"Over {'FLOPs' if name == 'flops' else 'device hours'}",
                x,
                _y(rows[name], "Validation loss (nats/token)"),
                line=True,
                legend=name == "device_hours",
            )
        )
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


def _x(rows: Rows, title: str, labels: style.Labels) -> alt.X:
    values = [row["x"] for row in rows]
    return style.log_x("x", title, style.padded(min(values), max(values)), labels, 6)


def _y(rows: Rows, title: str, *, log: bool = True) -> alt.Y:
    import altair as alt

    values = [row["y"] for row in rows]
    if log:
        return style.log_y("y", title, style.padded(min(values), max(values)), "plain")
    return alt.Y("y:Q", title=title, scale=alt.Scale(zero=False))


def _panel(name: str, title: str, x: alt.X, y: alt.Y, *, line: bool, legend: bool) -> alt.Chart:
    import altair as alt

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
        x=x, y=y, color=color, detail="run:N", tooltip=["run:N", "aspect_ratio:Q", "x:Q", "y:Q"]
    )
    panel: alt.Chart = encoded.properties(**PANEL, title=title)
    return panel


def _figure(number: int, panels: list[Any], rows: dict[str, Rows], caption: str) -> PaperFigure:
    need_altair()
    import altair as alt

    each: Any = dict.fromkeys(("color",), "independent")
    title = alt.TitleParams(
        "Main runs of the Gemstones, every 10B tokens, shaded by width/depth"
        if number != 28
        else "Main runs of the Gemstones, every 2B tokens, shaded by width/depth",
        subtitle="Not in the paper; each shape was trained once",
    )
    chart = style.themed(
        alt.HConcatChart(hconcat=panels, spacing=34, title=title).resolve_scale(**each).resolve_legend(**each)
    )
    chart.datasets = rows
    return PaperFigure(number, chart, drawn(rows), caption)
