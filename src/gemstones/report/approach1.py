"""Figure 4 of the paper: loss over what it costs, the frontier of least loss, and its tokens per parameter.

Row one has every run's loss over FLOPs and device hours, with the lower hull (black crosses) and the row of
least loss in each bin (red). Row two has the tokens per parameter of those points, with the lines fitted to
them, their intervals, and, where it is not far from these runs, Chinchilla's prescription by Epoch AI's refit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Envelope, Resource
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.published import LAWS
from gemstones.report import style
from gemstones.report.numbers import counted
from gemstones.report.prescriptions import comparable
from gemstones.report.words import (
    PARAMS_WORDS,
    RESOURCE_WORDS,
    law_words,
    need_altair,
    resampled_words,
    resource_title,
    selection_words,
)
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
_INDEPENDENT: Any = dict.fromkeys(("color", "shape", "size", "strokeDash"), "independent")


class _Data:
    """Rows by name: charts refer to them, so that they are stored, copied and checked once."""

    def __init__(self) -> None:
        self.named: dict[str, Rows] = {}

    def __call__(self, name: str, rows: Rows) -> alt.NamedData:
        import altair as alt

        self.named[name] = rows
        return alt.NamedData(name=name)


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
    data = _Data()
    by_resource = {r: [e for e in envelopes if e.resource == r] for r in resources}
    curves = {r: _curves(table, r) for r in resources}
    lines = {r: _lines(by_resource[r], curves[r]) for r in resources}
    # Panels of a row have one y axis, so that they can be compared.
    loss = style.padded(*_span(_all(curves), "loss"))
    ratio = style.padded(*_span([*_frontiers(envelopes), *_all(lines)], "tokens_per_param"), 0.06)
    palette = {_fit_words(e): COLORS[e.method] for e in envelopes} | {
        row["series"]: style.REFERENCES[CHINCHILLA] for row in _all(lines) if row["reference"]
    }
    losses = [
        _losses(data, curves[r], loss, by_resource[r], colors, legend=r == resources[-1]) for r in resources
    ]
    ratios = [
        _ratios(data, curves[r], lines[r], ratio, by_resource[r], palette, legend=r == resources[-1])
        for r in resources
    ]
    rows = [alt.hconcat(*panels).resolve_scale(**_INDEPENDENT) for panels in (losses, ratios)]
    chart = alt.vconcat(*rows).resolve_scale(**_INDEPENDENT)
    first = envelopes[0]
    title = alt.TitleParams(
        f"Approach 1: {selection_words(first.dataset, first.selection)}",
        subtitle=(
            f"{counted(first.rows, 'checkpoint')} of {counted(first.runs, 'run')}; {_band_words(envelopes)}"
        ),
        offset=14,
    )
    themed: alt.VConcatChart = style.themed(chart.properties(title=title))
    themed.datasets = data.named
    return themed


def _band_words(envelopes: Sequence[Envelope]) -> str:
    resampled = next((e for e in envelopes if e.draws), None)
    if resampled is None:
        return "lines without intervals"
    draws = len(resampled.draws["params"])
    return f"bands are {resampled_words(resampled.level, draws, resampled.unit)}"


def _losses(
    data: _Data,
    curves: Rows,
    loss: tuple[float, float],
    envelopes: Sequence[Envelope],
    colors: style.RunColors,
    *,
    legend: bool,
) -> alt.LayerChart:
    """Loss over one resource; `loss` is what the y axis spans."""
    import altair as alt

    resource = envelopes[0].resource
    axes = (
        _resource_axis(curves, envelopes[0]),
        style.log_y("loss", "Loss (nats/token)", loss, "plain"),
    )
    runs = alt.Chart(data(f"runs-{resource}", curves)).encode(
        *axes, detail="run:N", tooltip=["run:N", "loss:Q", "resource:Q", "params_total:Q"]
    )
    # A run of one checkpoint has no line: it is a dot.
    lines = runs.transform_filter("datum.checkpoints > 1").mark_line(strokeWidth=1.3, opacity=0.85)
    dots = runs.transform_filter("datum.checkpoints == 1").mark_circle(size=24, opacity=0.8)
    frontier = _frontier_layer(data, axes, envelopes, legend)
    panel: alt.LayerChart = (
        alt.layer(
            lines.encode(color=colors.encoding(legend=legend)),
            dots.encode(color=colors.encoding(legend=False)),
            frontier,
        )
        .resolve_scale(**_INDEPENDENT)
        .properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)
    )
    return panel


def _lines(envelopes: Sequence[Envelope], curves: Rows) -> Rows:
    """The lines fitted over one resource, as far as its runs reach; over FLOPs with Chinchilla's if it is near."""
    span = _span(curves, "resource")
    over = np.geomspace(*span, POINTS)
    lines = [row for e in envelopes for row in _line(e, over)]
    first = envelopes[0]
    if first.resource == "flops" and comparable(span):
        lines += _chinchilla(over, first.resource_convention)
    return lines


def _ratios(
    data: _Data,
    curves: Rows,
    lines: Rows,
    ratio: tuple[float, float],
    envelopes: Sequence[Envelope],
    palette: dict[str, str],
    *,
    legend: bool,
) -> alt.LayerChart:
    """Tokens per parameter over one resource; `ratio` is what the y axis spans, `palette` the series' colours."""
    import altair as alt

    first = envelopes[0]
    title = f"Tokens per parameter ({PARAMS_WORDS[first.params_convention]} parameters)"
    axes = (_resource_axis(curves, first), style.log_y("tokens_per_param", title, ratio, "si"))

    names = list(palette)
    color = alt.Scale(domain=names, range=list(palette.values()))
    fits = {_fit_words(e) for e in envelopes}
    dash = alt.Scale(domain=names, range=[style.dash(reference=n not in fits) for n in names])
    key = alt.Legend(title="Lines", labelExpr=style.WRAPPED_LABELS, symbolType="stroke", symbolSize=260)
    shown = key if legend else None
    base = alt.Chart(data(f"lines-{first.resource}", lines))
    # Bands may be far wider than the points are: they are cut, the axis is not stretched to them.
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.16, clip=True)
        .encode(
            axes[0],
            style.log_y("low", title, ratio, "si").stack(None),
            alt.Y2("high"),
            color=alt.Color("series:N", scale=color, legend=None),
        )
    )
    width = alt.condition("datum.reference", alt.value(style.REFERENCE_WIDTH), alt.value(style.LINE_WIDTH))
    line = base.mark_line().encode(
        *axes,
        strokeWidth=width,
        color=alt.Color("series:N", scale=color, legend=shown),
        strokeDash=alt.StrokeDash("series:N", scale=dash, legend=shown),
    )
    panel: alt.LayerChart = (
        alt.layer(band, _frontier_layer(data, axes, envelopes, legend=False), line)
        .resolve_scale(**_INDEPENDENT)
        .properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)
    )
    return panel


def _frontier_layer(
    data: _Data, axes: tuple[alt.X, alt.Y], envelopes: Sequence[Envelope], legend: bool
) -> alt.Chart:
    """Bins' minimisers as small dots that runs can be seen through, and over them the hull's points as crosses."""
    import altair as alt

    methods = [m for m in ("hull", "bins") if any(e.method == m for e in envelopes)]
    key = alt.Legend(title="Frontier", symbolSize=90, symbolOpacity=1) if legend else None

    def by_method(marks: dict[str, Any]) -> dict[str, Any]:
        scale = alt.Scale(domain=[FRONTIER_WORDS[m] for m in methods], range=[marks[m] for m in methods])
        return {"scale": scale, "legend": key}

    unexplained = {"legend": None}
    points = sorted(_frontiers(envelopes), key=lambda row: methods.index(row["method"]), reverse=True)
    layer: alt.Chart = (
        alt.Chart(data(f"frontier-{envelopes[0].resource}", points))
        .mark_point(filled=False)
        .encode(
            *axes,
            color=alt.Color("frontier:N", **by_method(COLORS)),
            shape=alt.Shape("frontier:N", **by_method({"hull": CROSS, "bins": "circle"})),
            size=alt.Size("frontier:N", **(by_method({"hull": 40, "bins": 2}) | unexplained)),
            strokeWidth=alt.StrokeWidth(
                "frontier:N", **(by_method({"hull": 1.8, "bins": 1.5}) | unexplained)
            ),
            opacity=alt.Opacity("frontier:N", **(by_method({"hull": 1.0, "bins": 0.55}) | unexplained)),
            tooltip=["run:N", "loss:Q", "resource:Q", "tokens_per_param:Q"],
        )
    )
    return layer


def _resource_axis(curves: Rows, envelope: Envelope) -> alt.X:
    title = resource_title(envelope.resource, envelope.resource_convention)
    labels: style.Labels = "power" if envelope.resource == "flops" else "si"
    return style.log_x("resource", title, style.padded(*_span(curves, "resource"), 0.02), labels)


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
        {"series": _fit_words(envelope), "reference": False, "resource": x, "tokens_per_param": y}
        for x, y in zip(over.tolist(), fitted.tolist(), strict=True)
    ]
    for row in rows:
        if (interval := envelope.interval_at("tokens_per_param", row["resource"])) is not None:
            row["low"], row["high"] = interval
    return rows


def _chinchilla(over: FloatArray, flops_convention: str) -> Rows:
    """Chinchilla's optimum under its own count of FLOPs, which is named where the axis has another."""
    law = LAWS[CHINCHILLA]
    counting = "its FLOPs are 6·N·T, total N"
    if flops_convention == "gemstones":
        counting += ", not Appendix G"
    series = style.series_name(f"{law_words(CHINCHILLA)} ({counting})", 26)
    rows = []
    for budget in over.tolist():
        params, tokens = optimal_params_tokens(law.theta, budget)  # type: ignore[union-attr]
        rows.append(
            {
                "series": series,
                "reference": True,
                "resource": budget,
                "tokens_per_param": float(tokens / params),
            }
        )
    return rows


def _all(rows: dict[Resource, Rows]) -> Rows:
    return [row for of in rows.values() for row in of]


def _span(rows: Rows, field: str) -> tuple[float, float]:
    values = [row[field] for row in rows]
    return min(values), max(values)
