"""Figures 4 and 9 to 11 of the paper: loss over what it costs, the frontier of least loss, and how its models grow.

Row one has every run's loss over FLOPs and device hours, with the lower hull (black crosses) and the row of
least loss in each bin (red). A row for each quantity follows, by default tokens per parameter alone: that of those
points, with the lines fitted to them, their intervals, and, where it is not far from these runs, Chinchilla's
prescription by Epoch AI's refit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.figures.curves import flagged_words
from gemstones.laws.envelope import QUANTITIES, Envelope, Resource
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.published import LAWS
from gemstones.numbers import counted
from gemstones.planning.prescriptions import comparable
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.loss_units import PER
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.words import (
    PARAMS_WORDS,
    RESOURCE_WORDS,
    frontier_resampled_words,
    law_words,
    resource_title,
    selection_words,
)

if TYPE_CHECKING:
    import altair as alt

FRONTIER_WORDS = {"hull": "Lower convex hull", "bins": "Least loss in each bin"}
COLORS = {"hull": style.BLACK, "bins": style.RED}
CHINCHILLA = "chinchilla-epoch"
CROSS = "M-1,-1L1,1M-1,1L1,-1"
"""An SVG path for a cross that is all stroke."""
POINTS = 80
"""On every line."""
FIGURE_4 = ("tokens_per_param",)
SUBTITLE = 90
"""Characters of a line over one panel."""
ROW_HEIGHT, TWO_ROWS_HEIGHT = 210, 215
"""Of a panel in CSS pixels, where there are more rows than Figure 4 has, and where there are as many."""
Rows = list[dict[str, Any]]
_INDEPENDENT: Any = {"scale": dict.fromkeys(("color", "shape", "size", "strokeDash"), "independent")}


class _Data:
    """Rows by name: charts refer to them, so that they are stored, copied and checked once."""

    def __init__(self) -> None:
        self.named: dict[str, Rows] = {}

    def __call__(self, name: str, rows: Rows) -> alt.NamedData:
        import altair as alt

        self.named[name] = rows
        return alt.NamedData(name=name)


@checked
def approach1_figure(
    runs: Runs,
    envelopes: Envelope | Sequence[Envelope],
    colors: style.RunColors | None = None,
    quantities: Sequence[str] = FIGURE_4,
) -> alt.VConcatChart:
    """Figure 4 for `runs` and their `envelopes` (one or two methods, over FLOPs, device hours or both).

    `runs` are what `envelope` takes. `colors` are those of the whole data set, so that a run looks the same in all of
    its figures; by default those of `runs`. `quantities` (`params`, `tokens`, `tokens_per_param`) have a row each.
    Raises `MissingExtra` without altair.

    >>> from gemstones.laws.envelope import envelope
    >>> chart = approach1_figure("pebbles", envelope("pebbles"))  # shows itself in a notebook
    """
    style.need_altair()
    import altair as alt

    envelopes = [envelopes] if isinstance(envelopes, Envelope) else envelopes
    resources = [r for r in RESOURCE_WORDS if any(e.resource == r for e in envelopes)]
    if not resources:
        raise InvalidRequest("Approach 1 needs an envelope to draw: none was given")
    if not quantities or not set(quantities) <= set(QUANTITIES):
        raise InvalidRequest(f"quantities {list(quantities)} must be some of {', '.join(QUANTITIES)}")
    table = selected_runs(runs)
    colors = colors or style.RunColors.of(table)
    data = _Data()
    by_resource = {r: [e for e in envelopes if e.resource == r] for r in resources}
    curves = {r: _curves(table, r) for r in resources}
    height = TWO_ROWS_HEIGHT if len(quantities) == 1 else ROW_HEIGHT
    # Panels of a row have one y axis, so that they can be compared.
    loss = style.padded(*_span(_all(curves), "loss"))
    rows = [
        [
            _losses(
                data,
                loss,
                _resource_axis(curves[r], by_resource[r][0], titled=len(quantities) == 1),
                curves[r],
                by_resource[r],
                colors,
                legend=r == resources[-1],
                height=height,
            )
            for r in resources
        ]
    ]
    for quantity in quantities:
        lines = {r: _lines(by_resource[r], curves[r], quantity) for r in resources}
        span = _span([*_values(envelopes, quantity), *_all(lines)], "value")
        palette = {_fit_words(e): COLORS[e.method] for e in envelopes} | {
            row["series"]: style.REFERENCES[CHINCHILLA] for row in _all(lines) if row["reference"]
        }
        rows.append(
            [
                _growth(
                    data,
                    quantity,
                    style.padded(*span, 0.06),
                    _resource_axis(curves[r], by_resource[r][0], titled=quantity == quantities[-1]),
                    lines[r],
                    by_resource[r],
                    palette,
                    # Every row has the same lines.
                    legend=r == resources[-1] and quantity == quantities[0],
                    height=height,
                )
                for r in resources
            ]
        )
    charts = [alt.HConcatChart(hconcat=style.kept(panels), resolve=_INDEPENDENT) for panels in rows]
    first = envelopes[0]
    said = [f"{counted(first.rows, 'checkpoint')} of {counted(first.runs, 'run')}", _band_words(envelopes)]
    flags = dict.fromkeys(flag for e in envelopes for flag in e.flags)
    title = alt.TitleParams(
        f"Approach 1: {selection_words(first.dataset, first.selection)}",
        subtitle=style.clauses(
            [*said, flagged_words(tuple(flags))] if flags else said, SUBTITLE * len(resources)
        ),
        offset=14,
    )
    return style.themed(
        alt.VConcatChart(vconcat=style.kept(charts), resolve=_INDEPENDENT, title=title), data.named
    )


def _band_words(envelopes: Sequence[Envelope]) -> str:
    resampled = next((e for e in envelopes if e.draws), None)
    if resampled is None:
        return "lines without intervals"
    return f"bands are {frontier_resampled_words(resampled)}"


def _losses(
    data: _Data,
    loss: tuple[float, float],
    x: alt.X,
    curves: Rows,
    envelopes: Sequence[Envelope],
    colors: style.RunColors,
    *,
    legend: bool,
    height: int,
) -> alt.LayerChart:
    """Loss over one resource; `loss` is what the y axis spans."""
    import altair as alt

    resource = envelopes[0].resource
    axes = (x, style.log_y("loss", f"Loss ({PER[envelopes[0].loss_unit]})", loss, "plain"))
    runs = alt.Chart(data(f"runs-{resource}", curves)).encode(
        *axes,
        detail=alt.Detail("run:N"),
        tooltip=style.tooltips("run:N", "loss:Q", "resource:Q", "params_total:Q"),
    )
    # A run of one checkpoint has no line: it is a dot.
    lines = runs.transform_filter("datum.checkpoints > 1").mark_line(strokeWidth=1.3, opacity=0.85)
    dots = runs.transform_filter("datum.checkpoints == 1").mark_circle(size=24, opacity=0.8)
    frontier = _frontier_layer(data, axes, envelopes, legend)
    layers = [
        lines.encode(color=colors.encoding(legend=legend)),
        dots.encode(color=colors.encoding(legend=False)),
        frontier,
    ]
    return alt.LayerChart(
        layer=style.kept(layers), resolve=_INDEPENDENT, width=style.PANEL_WIDTH, height=height
    )


def _lines(envelopes: Sequence[Envelope], curves: Rows, quantity: str) -> Rows:
    """The lines fitted over one resource, as far as its runs reach; over FLOPs with Chinchilla's if it is near."""
    span = _span(curves, "resource")
    over = np.geomspace(*span, POINTS)
    lines = [row for e in envelopes for row in _line(e, over, quantity)]
    first = envelopes[0]
    if first.resource == "flops" and comparable(span):
        lines += _chinchilla(over, first.resource_convention, quantity)
    return lines


def _growth(
    data: _Data,
    quantity: str,
    span: tuple[float, float],
    x: alt.X,
    lines: Rows,
    envelopes: Sequence[Envelope],
    palette: dict[str, str],
    *,
    legend: bool,
    height: int,
) -> alt.LayerChart:
    """A quantity over one resource; `span` is what the y axis spans, `palette` the series' colours."""
    import altair as alt

    first = envelopes[0]
    counted = PARAMS_WORDS[first.params_convention]
    # A low panel has no room for more.
    ratio_of = counted if height < TWO_ROWS_HEIGHT else f"{counted} parameters"
    title = {
        "params": f"Parameters ({counted})",
        "tokens": "Tokens",
        "tokens_per_param": f"Tokens per parameter ({ratio_of})",
    }[quantity]
    axes = (x, style.log_y("value", title, span, "si"))

    names = list(palette)
    color = alt.Scale(domain=names, range=list(palette.values()))
    fits = {_fit_words(e) for e in envelopes}
    dash = alt.Scale(domain=names, range=[style.dash(reference=n not in fits) for n in names])
    key = alt.Legend(title="Lines", labelExpr=style.WRAPPED_LABELS, symbolType="stroke", symbolSize=260)
    shown = key if legend else None
    base = alt.Chart(data(f"{quantity}-{first.resource}", lines))
    # Bands may be far wider than the points are: they are cut, the axis is not stretched to them.
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.16, clip=True)
        .encode(
            axes[0],
            style.log_y("low", title, span, "si").stack(None),
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
    points = (axes[0], style.log_y(quantity, title, span, "si"))
    layers = [band, _frontier_layer(data, points, envelopes, legend=False), line]
    return alt.LayerChart(
        layer=style.kept(layers), resolve=_INDEPENDENT, width=style.PANEL_WIDTH, height=height
    )


def _frontier_layer(
    data: _Data, axes: tuple[alt.X, alt.Y], envelopes: Sequence[Envelope], legend: bool
) -> alt.Chart:
    """Bins' minimisers as small dots that runs can be seen through, and over them the hull's points as crosses."""
    import altair as alt

    methods = [m for m in ("hull", "bins") if any(e.method == m for e in envelopes)]
    key = alt.Legend(title="Frontier", symbolSize=90, symbolOpacity=1) if legend else None

    def by_method(marks: dict[str, Any]) -> dict[str, Any]:
        # Ordinal, also for sizes: of one method alone another scale would take its size for a range, and draw nothing.
        words, values = [FRONTIER_WORDS[m] for m in methods], [marks[m] for m in methods]
        scale = alt.Scale(type="ordinal", domain=words, range=values)
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
            size=alt.Size("frontier:N", **(by_method({"hull": 40, "bins": 3}) | unexplained)),
            strokeWidth=alt.StrokeWidth(
                "frontier:N", **(by_method({"hull": 1.8, "bins": 1.0}) | unexplained)
            ),
            opacity=alt.Opacity("frontier:N", **(by_method({"hull": 1.0, "bins": 0.4}) | unexplained)),
            tooltip=style.tooltips("run:N", "loss:Q", "resource:Q", "tokens_per_param:Q"),
        )
    )
    return layer


def _resource_axis(curves: Rows, envelope: Envelope, *, titled: bool) -> alt.X:
    """The axis of a resource; of many rows only the last one's has a title."""
    title = resource_title(envelope.resource, envelope.resource_convention)
    if envelope.resource == "device_hours":
        title += " (as measured)"
    labels: style.Labels = "power" if envelope.resource == "flops" else "si"
    return style.log_x(
        "resource", title if titled else None, style.padded(*_span(curves, "resource"), 0.02), labels
    )


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
            "params": point["params"],
            "tokens": point["tokens"],
            "tokens_per_param": point["tokens"] / point["params"],
        }
        for e in envelopes
        for point in e.frontier
    ]


def _values(envelopes: Sequence[Envelope], quantity: str) -> Rows:
    return [{"value": row[quantity]} for row in _frontiers(envelopes)]


def _fit_words(envelope: Envelope) -> str:
    return {"hull": "Fit to the hull", "bins": "Fit to the bins"}[envelope.method]


def _line(envelope: Envelope, over: FloatArray, quantity: str) -> Rows:
    """The fitted line over a resource, with the interval of what the resamples' lines say there."""
    fitted = envelope.fits[quantity].at(over)
    rows: Rows = [
        {"series": _fit_words(envelope), "reference": False, "resource": x, "value": y}
        for x, y in zip(over.tolist(), fitted.tolist(), strict=True)
    ]
    for row in rows:
        if (interval := envelope.interval_at(quantity, row["resource"])) is not None:
            row["low"], row["high"] = interval
    return rows


def _chinchilla(over: FloatArray, flops_convention: str, quantity: str) -> Rows:
    """Chinchilla's optimum under its own count of FLOPs, which is named where the axis has another."""
    law = LAWS[CHINCHILLA]
    counting = "its FLOPs are 6·N·T, total N"
    if flops_convention == "gemstones":
        counting += ", not Appendix G"
    series = style.series_name(f"{law_words(CHINCHILLA)} ({counting})", 26)
    rows = []
    for budget in over.tolist():
        params, tokens = optimal_params_tokens(law.theta, budget)  # type: ignore[union-attr]
        value = {"params": params, "tokens": tokens, "tokens_per_param": tokens / params}[quantity]
        rows.append({"series": series, "reference": True, "resource": budget, "value": float(value)})
    return rows


def _all(rows: dict[Resource, Rows]) -> Rows:
    return [row for of in rows.values() for row in of]


def _span(rows: Rows, field: str) -> tuple[float, float]:
    values = [row[field] for row in rows]
    return min(values), max(values)
