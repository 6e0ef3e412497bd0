"""Figure 4 of the paper: loss over what it costs, the frontier of least loss, and its tokens per parameter.

Row one has every run's loss over FLOPs and device hours, with the lower hull (black crosses) and the row of
least loss in each bin (red). Row two has the tokens per parameter of those points, with the lines fitted to
them, their intervals, and Chinchilla's prescription by Epoch AI's refit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Envelope, Line
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.interval import interval
from gemstones.laws.published import LAWS
from gemstones.report import style
from gemstones.report.words import PARAMS_WORDS, RESOURCE_WORDS, law_words, need_altair, resource_title
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    import altair as alt

FRONTIER_WORDS = {"hull": "Lower convex hull", "bins": "Least loss in each bin"}
COLORS = {"hull": style.BLACK, "bins": style.RED}
CHINCHILLA = "chinchilla-epoch"
CROSS = "M-1,-1L1,1M-1,1L1,-1"
"""An SVG path for a cross that is all stroke."""
POINTS = 80
"""On every line."""
Rows = list[dict[str, Any]]


def approach1_figure(
    table: RunTable, envelopes: Sequence[Envelope], colors: style.RunColors | None = None
) -> alt.VConcatChart:
    """Figure 4 for `table` and its `envelopes` (one or two methods, over one or two resources).

    `colors` are those of the whole data set, so that a run looks the same in all of its figures; by default
    those of `table`. Raises `MissingExtra` without altair.
    """
    need_altair()
    import altair as alt

    resources = [r for r in RESOURCE_WORDS if any(e.resource == r for e in envelopes)]
    if not resources:
        raise InvalidRequest("Approach 1 needs an envelope to draw: none was given")
    colors = colors or style.RunColors.of(table)
    by_resource = [[e for e in envelopes if e.resource == r] for r in resources]
    last = len(resources) - 1
    losses = [_losses(table, group, colors, legend=i == last) for i, group in enumerate(by_resource)]
    ratios = [_ratios(table, group, legend=i == 0) for i, group in enumerate(by_resource)]
    rows = [
        alt.hconcat(*losses).resolve_scale(color="independent", shape="independent"),
        alt.hconcat(*ratios).resolve_scale(color="independent", strokeDash="independent"),
    ]
    chart = alt.vconcat(*rows).resolve_scale(
        color="independent", shape="independent", strokeDash="independent"
    )
    first = envelopes[0]
    title = alt.TitleParams(
        f"Approach 1: {first.dataset}, {first.selection}",
        subtitle=f"{first.rows:,} checkpoints of {first.runs:,} runs{_band_words(envelopes)}",
        offset=14,
    )
    return style.themed(chart.properties(title=title))


def _band_words(envelopes: Sequence[Envelope]) -> str:
    resampled = next((e for e in envelopes if e.draws), None)
    if resampled is None:
        return "; lines without intervals"
    draws = len(resampled.draws["params"])
    return f"; bands are {resampled.level:.0%} intervals from {draws} resamples by {resampled.unit}"


def _losses(
    table: RunTable, envelopes: Sequence[Envelope], colors: style.RunColors, legend: bool
) -> alt.LayerChart:
    """Loss over one resource."""
    import altair as alt

    curves = _curves(table, envelopes[0].resource)
    points = _frontiers(envelopes)
    x, y = _resource_axis(curves, envelopes[0]), style.padded(*_span(curves, "loss"))
    axes = (x, style.log_y("loss", "Validation loss (nats/token)", y, "plain"))
    color = colors.encoding()
    if not legend:
        color.legend = None
    # A run of one checkpoint has no line: it is a dot.
    runs = alt.Chart(alt.Data(values=curves)).encode(
        *axes, color=color, detail="run:N", tooltip=["run:N", "loss:Q", "resource:Q", "params_total:Q"]
    )
    lines = runs.transform_filter("datum.checkpoints > 1").mark_line(strokeWidth=1.3, opacity=0.85)
    dots = runs.transform_filter("datum.checkpoints == 1").mark_circle(size=22, opacity=0.7)
    frontier = _frontier_layer(points, axes, envelopes, legend)
    return (
        alt.layer(lines, dots, *frontier)
        .resolve_scale(color="independent")
        .properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)
    )


def _ratios(table: RunTable, envelopes: Sequence[Envelope], legend: bool) -> alt.LayerChart:
    """Tokens per parameter over one resource."""
    import altair as alt

    first = envelopes[0]
    curves, points = _curves(table, first.resource), _frontiers(envelopes)
    low, high = _span(curves, "resource")
    over = np.geomspace(low, high, POINTS)
    lines = [row for e in envelopes for row in _line(e, over)]
    if first.resource == "flops":
        lines += _chinchilla(over)
    y = style.padded(*_span([*points, *lines], "tokens_per_param"), 0.08)
    title = ["Tokens per parameter", f"({PARAMS_WORDS[first.params_convention]} parameters)"]
    axes = (_resource_axis(curves, first), style.log_y("tokens_per_param", title, y, "plain"))
    series = list(dict.fromkeys(row["series"] for row in lines))
    palette = {_fit_words(e): COLORS[e.method] for e in envelopes} | {_chinchilla_words(): style.BLUE}
    domain = [name for name in palette if name in series]
    scale = alt.Scale(domain=domain, range=[palette[name] for name in domain])
    shown = (
        alt.Legend(title="Tokens per parameter", labelExpr=style.WRAPPED_LABELS, symbolType="stroke")
        if legend
        else None
    )
    dashes = alt.Scale(
        domain=domain, range=[[7, 4] if name == _chinchilla_words() else [1, 0] for name in domain]
    )
    base = alt.Chart(alt.Data(values=lines)).encode(
        axes[0], color=alt.Color("series:N", scale=scale, legend=shown)
    )
    # Bands may be far wider than the points are: they are cut, the axis is not stretched to them.
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.16, clip=True)
        .encode(y=_same_axis(axes[1], "low"), y2="high:Q")
    )
    line = base.mark_line(strokeWidth=2.2).encode(
        axes[1], strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=shown)
    )
    frontier = _frontier_layer(points, axes, envelopes, legend=False)
    return (
        alt.layer(band, *frontier, line)
        .resolve_scale(color="independent", shape="independent")
        .properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)
    )


def _frontier_layer(
    points: Rows, axes: tuple[alt.X, alt.Y], envelopes: Sequence[Envelope], legend: bool
) -> list[alt.Chart]:
    """Bins' minimisers as small red dots, and over them the hull's points as black crosses."""
    import altair as alt

    methods = [m for m in ("hull", "bins") if any(e.method == m for e in envelopes)]
    domain = [FRONTIER_WORDS[m] for m in methods]
    color = alt.Color(
        "frontier:N",
        scale=alt.Scale(domain=domain, range=[COLORS[m] for m in methods]),
        legend=alt.Legend(title="Frontier") if legend else None,
    )
    shape = alt.Shape(
        "frontier:N",
        scale=alt.Scale(domain=domain, range=[{"hull": CROSS, "bins": "circle"}[m] for m in methods]),
        legend=alt.Legend(title="Frontier") if legend else None,
    )
    base = alt.Chart(alt.Data(values=points)).encode(*axes, color=color, shape=shape, detail="run:N")
    sizes = {"bins": 9, "hull": 34}
    return [
        base.transform_filter(f"datum.method == '{m}'").mark_point(
            size=sizes[m],
            strokeWidth=1.0 if m == "bins" else 2.0,
            opacity=0.75 if m == "bins" else 1.0,
            filled=False,
        )
        for m in ("bins", "hull")
        if m in methods
    ]


def _resource_axis(curves: Rows, envelope: Envelope) -> alt.X:
    title = resource_title(envelope.resource, envelope.resource_convention)
    labels: style.Labels = "power" if envelope.resource == "flops" else "si"
    return style.log_x("resource", title, style.padded(*_span(curves, "resource"), 0.02), labels)


def _same_axis(y: alt.Y, field: str) -> alt.Y:
    same = y.copy()
    same.shorthand = f"{field}:Q"
    return same


def _curves(table: RunTable, resource: str) -> Rows:
    """Every checkpoint with a positive resource, by run and resource."""
    runs = table.frame["run"].to_list()
    columns = [table.numbers(c).tolist() for c in (resource, "loss", "params_total")]
    rows = [
        {"run": run, "resource": used, "loss": loss, "params_total": size}
        for run, used, loss, size in zip(runs, *columns, strict=True)
        if used > 0
    ]
    rows.sort(key=lambda row: (row["run"], row["resource"]))
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["run"]] = counts.get(row["run"], 0) + 1
    return [{**row, "checkpoints": counts[row["run"]]} for row in rows]


def _frontiers(envelopes: Sequence[Envelope]) -> Rows:
    return [
        {
            "frontier": FRONTIER_WORDS[e.method],
            "method": e.method,
            "run": point["run"],
            "resource": point["resource"],
            "loss": point["loss"],
            "tokens_per_param": point["tokens"] / point["params"],
        }
        for e in envelopes
        for point in e.frontier
    ]


def _fit_words(envelope: Envelope) -> str:
    return {"hull": "Fit to the hull", "bins": "Fit to the bins"}[envelope.method]


def _line(envelope: Envelope, over: FloatArray) -> Rows:
    """The fitted line over a resource, with the interval of what the resamples' lines say there."""
    fitted = envelope.fits["tokens_per_param"].at(over)
    rows: Rows = [
        {"series": _fit_words(envelope), "resource": x, "tokens_per_param": y}
        for x, y in zip(over.tolist(), fitted.tolist(), strict=True)
    ]
    if envelope.draws:
        lines = [Line(*draw).at(over) for draw in envelope.draws["tokens_per_param"]]
        for row, at in zip(rows, np.array(lines).T, strict=True):
            row["low"], row["high"] = interval(at, envelope.level)
    return rows


def _chinchilla_words() -> str:
    return style.series_name(f"{law_words(CHINCHILLA)}: FLOPs = 6·N·T, total N", 26)


def _chinchilla(over: FloatArray) -> Rows:
    """Chinchilla's optimum under its own count of FLOPs, 6·N·T."""
    law = LAWS[CHINCHILLA]
    rows = []
    for budget in over.tolist():
        params, tokens = optimal_params_tokens(law.theta, budget)  # type: ignore[union-attr]
        rows.append(
            {"series": _chinchilla_words(), "resource": budget, "tokens_per_param": float(tokens / params)}
        )
    return rows


def _span(rows: Rows, field: str) -> tuple[float, float]:
    values = [row[field] for row in rows]
    return min(values), max(values)
