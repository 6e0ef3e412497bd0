"""IsoFLOP profiles as a figure: the bowls of all budgets with their runs, and N* over FLOPs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.arguments import checked
from gemstones.display import with_interval
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.runs.loss_units import PER
from gemstones.units import format_flops
from gemstones.words import PARAMS_WORDS, resource_title, selection_words

if TYPE_CHECKING:
    import altair as alt

BUDGETS = 10
"""As many budgets have a legend; of more it is a scale."""
BAND_POINTS = 40
WIDTH, HEIGHT = 322, 285
"""Of a panel, in CSS pixels: two with their legends stand beside words on a page."""
LAW = "N,T"
"""Whose optima stand beside the minima."""
Rows = list[dict[str, Any]]
PARABOLAS, OF_LAW = "Minimum of the parabola", "Optimum of the law"


@checked
def isoflop_figure(made: IsoFlop) -> alt.HConcatChart:
    """Losses over N by budget with their parabolas, and the minima over FLOPs with the line through them.

    `made` is what `isoflop` returned; the minima of the law fitted to the same runs are diamonds. Raises `MissingExtra`
    without altair.

    >>> from gemstones.analyses.isoflop.isoflop import isoflop
    >>> isoflop_figure(isoflop("sweep.csv"))  # doctest: +SKIP
    """
    style.need_altair()
    import altair as alt

    panels = [_bowls(made), _growth(made)]
    apart: Any = {"scale": {"color": "independent", "shape": "independent"}}
    return style.themed(alt.HConcatChart(hconcat=panels, title=_title(made), spacing=40, resolve=apart))


def _title(made: IsoFlop) -> alt.TitleParams:
    import altair as alt

    found = sum(one.status == "minimum" for one in made.budgets)
    if "params" in made.fits:
        exponent = with_interval(made.fits["params"].slope, made.interval("params"), "{:.3f}".format)
        said = f"N* grows as FLOPs to the power {exponent}"
    else:
        said = "too few budgets show a best size for a line"
    parts = [
        f"{found} of {len(made.budgets)} budgets have a minimum",
        f"{made.rows:,} losses of {made.runs:,} runs",
        f"{level_text(made.level)} intervals from {made.asked} draws by run"
        if made.has_intervals
        else "no intervals",
    ]
    return alt.TitleParams(
        f"IsoFLOP profiles of {selection_words(made.dataset, made.selection)}: {said}",
        subtitle=style.clauses(parts, 2 * 90),
        offset=14,
    )


def _span(values: Iterable[float]) -> tuple[float, float]:
    known = [v for v in values if math.isfinite(v) and v > 0]
    return min(known), max(known)


def _bowls(made: IsoFlop) -> alt.LayerChart:
    import altair as alt

    points: Rows = []
    curves: Rows = []
    minima: Rows = []
    for one in made.budgets:
        budget = {"budget": one.flops, "budget_text": format_flops(one.flops)}
        points += [
            budget | {"params": float(n), "loss": float(x)}
            for n, x in zip(one.params, one.losses, strict=True)
        ]
        if one.curve is not None:
            curves += [
                budget | {"params": float(n), "loss": float(x)} for n, x in zip(*one.curve, strict=True)
            ]
        if one.n_opt is not None:
            minima.append(budget | {"params": one.n_opt, "loss": one.loss, "of": PARABOLAS})
    span = style.padded(*_span(row["params"] for row in points))
    losses = style.padded(*_span(row["loss"] for row in (*points, *minima)))
    x = style.log_x("params", f"Parameters N ({PARAMS_WORDS[made.params_convention]})", span, "si", 6)
    y = style.log_y("loss", f"Loss ({PER[made.loss_unit]})", losses, "plain")
    names = [format_flops(one.flops) for one in made.budgets]
    color = alt.Color(
        "budget:Q",
        scale=alt.Scale(type="log", scheme=alt.SchemeParams(name="viridis", extent=[0.0, 0.88])),
        legend=None,
    )
    if len(names) <= BUDGETS:
        color = alt.Color(
            "budget_text:N",
            sort=names[::-1],
            scale=alt.Scale(domain=names[::-1], range=_shades(len(names))[::-1]),
            legend=alt.Legend(title="Budget, FLOPs", symbolType="circle"),
        )
    tooltip = ["budget_text:N", "params:Q", "loss:Q"]
    layers = [
        alt.Chart(alt.InlineData(curves)).mark_line(strokeWidth=1.6).encode(x, y, color, detail="budget:N"),
        alt.Chart(alt.InlineData(points))
        .mark_circle(size=42, opacity=0.9)
        .encode(x, y, color, tooltip=tooltip),
        alt.Chart(alt.InlineData(minima))
        .mark_point(shape="cross", size=110, filled=True, color=style.BLACK, stroke="white", strokeWidth=0.8)
        .encode(x, y, tooltip=tooltip),
    ]
    return alt.LayerChart(layer=layers, width=WIDTH, height=HEIGHT)


def _shades(count: int) -> list[str]:
    """Colours along the style's scale, dark to light."""
    stops = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98]], float)
    at = np.linspace(0, 3, count)
    rgb = np.stack([np.interp(at, range(4), stops[:, i]) for i in range(3)], axis=1)
    return ["#" + "".join(f"{round(v):02x}" for v in row) for row in rgb]


def _growth(made: IsoFlop) -> alt.LayerChart:
    import altair as alt

    minima: Rows = []
    for one in made.budgets:
        if one.n_opt is not None:
            low, high = one.intervals.get("n_opt", (one.n_opt, one.n_opt))
            minima.append({"flops": one.flops, "n": one.n_opt, "low": low, "high": high, "of": PARABOLAS})
        if one.law_n_opt is not None:
            minima.append({"flops": one.flops, "n": one.law_n_opt, "low": None, "high": None, "of": OF_LAW})
    flops = style.padded(*_span(one.flops for one in made.budgets), 0.08)
    over = np.geomspace(*flops, BAND_POINTS)
    line: Rows = []
    if "params" in made.fits:
        centre = made.fits["params"].at(over)
        tail = (1 - made.level) / 2
        draws = made.draws.get("params", np.zeros((0, 2)))
        band = None
        if made.has_intervals:
            band = np.quantile(np.exp(draws[:, 1:] + draws[:, :1] * np.log(over)), [tail, 1 - tail], axis=0)
        line = [
            {
                "flops": float(c),
                "n": float(n),
                "low": None if band is None else float(min(band[0][i], n)),
                "high": None if band is None else float(max(band[1][i], n)),
            }
            for i, (c, n) in enumerate(zip(over, centre, strict=True))
        ]
    span = style.padded(
        *_span(
            v for row in (*minima, *line) for v in (row["n"], row["low"] or row["n"], row["high"] or row["n"])
        )
    )
    x = style.log_x("flops", resource_title("flops", made.flops_convention or "given"), flops, "power", 6)
    y = style.log_y("n", f"Best N ({PARAMS_WORDS[made.params_convention]})", span, "si")
    names = [name for name in (PARABOLAS, OF_LAW) if any(row["of"] == name for row in minima)]
    colors = [style.BLACK if name == PARABOLAS else style.FORMS[LAW] for name in names]
    layers = []
    if line:
        data = alt.Chart(alt.InlineData(line))
        if made.has_intervals:
            layers.append(
                data.mark_area(color=style.BLACK, opacity=0.12).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"))
            )
        layers.append(data.mark_line(color=style.BLACK, strokeWidth=style.REFERENCE_WIDTH).encode(x, y))
    marks = alt.Chart(alt.InlineData(minima))
    layers += [
        marks.mark_rule(color=style.BLACK, strokeWidth=1.2)
        .transform_filter("isValid(datum.low)")
        .encode(x, alt.Y("low:Q"), alt.Y2("high:Q")),
        marks.mark_point(size=80, filled=True, opacity=1).encode(
            x,
            y,
            color=alt.Color(
                "of:N", scale=alt.Scale(domain=names, range=colors), legend=alt.Legend(title=None)
            ),
            shape=alt.Shape(
                "of:N",
                scale=alt.Scale(
                    domain=names, range=["cross" if n == PARABOLAS else "diamond" for n in names]
                ),
                legend=alt.Legend(title=None),
            ),
            tooltip=["of:N", "flops:Q", "n:Q"],
        ),
    ]
    return alt.LayerChart(layer=layers, width=WIDTH, height=HEIGHT)
