"""Below Figure 6: the parameters prescribed for one budget, by analysis, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.figures import style
from gemstones.numbers import flops_text
from gemstones.units import Interval

if TYPE_CHECKING:
    import altair as alt

INTERVALS = "intervals"
"""Name of its data."""
REFERENCE = "Published law"
ROW = 13
"""Of one interval, in CSS pixels."""
SIZE = 55
"""Of a point, in square CSS pixels."""
SHAPES = ("circle", "square", "diamond", "triangle-up")


@dataclass(frozen=True)
class Prescription:
    """N* of one analysis at one budget."""

    series: str
    """The runs, or the published law."""
    by: str
    """Whose: an approach, a form, or a published law."""
    n_opt: float
    interval: Interval | None


def interval_rows(found: Sequence[Prescription]) -> list[dict[str, Any]]:
    """What is drawn; an analysis that prescribes nothing has no row."""
    rows = []
    for one in found:
        if np.isfinite(one.n_opt):
            low, high = one.interval or (None, None)
            rows.append({"series": one.series, "by": one.by, "n_opt": one.n_opt, "low": low, "high": high})
    return rows


def intervals_panel(
    found: Sequence[Prescription], palette: Mapping[str, str], width: int, budget: float
) -> alt.LayerChart:
    """A row for the runs, marks by who prescribes; `palette` has the colours and the order of the rows."""
    import altair as alt

    kinds = sorted(dict.fromkeys(one.by for one in found), key=lambda by: by == REFERENCE)
    fits = [kind for kind in kinds if kind != REFERENCE]
    names = sorted({one.series for one in found}, key=[*palette].index)
    values = [value for one in found for value in (one.n_opt, *(one.interval or ())) if np.isfinite(value)]
    title = f"Prescribed parameters N* at {flops_text(budget)} FLOPs"
    x = style.log_x("n_opt", title, style.padded(min(values), max(values), 0.03), "si", 10)
    y = alt.Y("series:N", sort=names, title=None, axis=alt.Axis(labelLimit=0, grid=False, ticks=False))
    offset = alt.YOffset("by:N", sort=fits, scale=alt.Scale(domain=fits, paddingOuter=0.4))
    color = alt.Color(
        "series:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None
    )
    key = alt.Legend(title=None, symbolFillColor=style.GREY, symbolStrokeColor=style.GREY)
    shape = alt.Shape("by:N", scale=alt.Scale(domain=kinds, range=list(SHAPES[: len(kinds)])), legend=key)
    tooltip = ["series:N", "by:N", "n_opt:Q", "low:Q", "high:Q"]
    every = alt.Chart(alt.NamedData(name=INTERVALS))
    published = every.transform_filter(f"datum.by == '{REFERENCE}'").encode(x, y, color, shape)
    fitted = every.transform_filter(f"datum.by != '{REFERENCE}'").encode(y, offset, color)
    bars = fitted.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6)
    layers = [
        published.mark_point(filled=True, opacity=1, size=SIZE).encode(tooltip=tooltip),
        bars.encode(alt.X("low:Q"), alt.X2("high:Q")),
        fitted.mark_point(filled=True, opacity=1, size=SIZE).encode(x, shape, tooltip=tooltip),
    ]
    return alt.LayerChart(layer=layers, width=width, height=(ROW * len(fits) + 4) * len(names))
