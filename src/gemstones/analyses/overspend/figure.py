"""Figure 7 of the paper: what each shape overspent for its loss, on width × depth, in FLOPs and in device hours.

Runs without shapes, or more than one of a shape, are drawn as a line of dots instead, one under the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gemstones.analyses.overspend.overspend import Overspend, Overspent
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.figures.apart import apart
from gemstones.numbers import counted
from gemstones.units import format_quantity
from gemstones.words import listed, resource_title, selection_words

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 385, 330
"""Of a panel of shapes, in CSS pixels, high enough for five depths from 11 to 16."""
LABEL_FROM, LABEL_WIDTH, LABEL_HEIGHT = 13.0, 40.0, 12.0
"""A label begins this far right of its point; the box that it takes."""
MOST_RUNS = 40
"""Drawn as dots one under the other, the largest overspends first."""
ROW_WIDTH, ROW_HEIGHT = 300, 19
"""Of a panel of dots, beside the names of runs, and of each of them."""
TICKS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Of the legend of overspends, as far as they go."""
SCHEME: Final = "yelloworangebrown"
"""One hue that darkens: told apart by lightness, and unlike the colours of runs."""
ON_FRONTIER, BEYOND_FRONTIER, OUTSIDE = (
    "On the frontier",
    "Overspent",
    "At least so much: its loss is\nabove those of the frontier",
)
_SHAPES = {ON_FRONTIER: "circle", BEYOND_FRONTIER: "circle", OUTSIDE: "triangle-up"}
_STROKES = {ON_FRONTIER: style.BLUE, BEYOND_FRONTIER: "#5B3A1E", OUTSIDE: "#5B3A1E"}
Rows = list[dict[str, Any]]
_INDEPENDENT: Any = dict.fromkeys(("shape", "stroke", "fill"), "independent")


@checked
def overspend_figure(found: Overspend | Sequence[Overspend]) -> alt.HConcatChart:
    """Figure 7, a panel for each of `found`: overspends over FLOPs and over device hours, say.

    Raises `InvalidRequest` where nothing is given, `MissingExtra` without altair.

    >>> from gemstones.analyses.overspend.overspend import overspend
    >>> chart = overspend_figure(overspend("pebbles", "6M"))  # shows itself in a notebook
    """
    style.need_altair()
    import altair as alt

    found = [found] if isinstance(found, Overspend) else found
    if not found:
        raise InvalidRequest("a figure of overspends needs one to draw: none was given")
    rows = {f"overspend-{i}": _rows(one) for i, one in enumerate(found)}
    every = [row for of in rows.values() for row in of]
    kinds = [kind for kind in _SHAPES if any(row["kind"] == kind for row in every)]
    marks = _Marks(kinds, max(0.1, *(row["value"] for row in every)))
    names = [one.shape for panel in found for one in panel.shapes]
    shaped = None not in names and all(
        len({one.shape for one in panel.shapes}) == len(panel.shapes) for panel in found
    )
    data: dict[str, Rows] = {}
    panels = []
    for i, (name, one) in enumerate(zip(rows, found, strict=True)):
        draw = _shapes_panel if shaped else _runs_panel
        panels.append(draw(data, name, rows[name], one, marks, legend=i == len(found) - 1))
    title = alt.TitleParams(_title(found), subtitle=_subtitle(found, shaped), offset=16)
    chart: alt.HConcatChart = (
        alt.hconcat(*style.kept(panels)).resolve_scale(**_INDEPENDENT).properties(title=title)
    )
    return style.themed(chart, data)


def _title(found: Sequence[Overspend]) -> str:
    tokens = dict.fromkeys(format_quantity(one.tokens_used, 4) for one in found)
    tables = dict.fromkeys(
        selection_words(one.dataset, one.selection) if one.selection else one.dataset for one in found
    )
    return f"Overspend after {listed(tokens)} tokens: {'; '.join(tables)}"


def _subtitle(found: Sequence[Overspend], shaped: bool) -> list[str]:
    if {one.method for one in found} == {"interpolate"}:
        what = "What a run used over what the frontier (lower hull of these runs) needs for the same loss, less 1"
    else:
        what = (
            "What a run used over what the frontier's point of nearest loss did, less 1, as published: "
            "negative where that point's loss is lower"
        )
    runs = counted(max(len(one.shapes) for one in found), "run")
    grey = "" if shaped else "; grey: with all of the frontier or one run of it left out"
    return [what, f"{runs}, each trained once: no interval can be given{grey}"]


@dataclass(frozen=True)
class _Marks:
    """How points look, in every panel alike."""

    kinds: list[str]
    """Those that occur."""
    most: float
    """The largest overspend."""

    def encode(self, *, legend: bool) -> dict[str, Any]:
        """Fill by overspend; shape, stroke and its width by kind."""
        import altair as alt

        kinds = self.kinds
        gradient = alt.Legend(
            title="Overspend",
            values=[tick for tick in TICKS if tick <= self.most],
            format=".0%",  # of ticks that differ by 5% at least
            gradientLength=150,
            gradientStrokeColor="#BBBBBB",
            gradientStrokeWidth=0.5,
        )
        key = alt.Legend(
            title="Runs",
            labelExpr=style.WRAPPED_LABELS,
            symbolFillColor="#F3D9A4",
            symbolSize=120,
        )

        def by_kind(values: dict[str, Any], shown: Any) -> dict[str, Any]:
            scale = alt.Scale(domain=kinds, range=[values[kind] for kind in kinds])
            return {"scale": scale, "legend": shown if legend else None}

        scheme = alt.SchemeParams(name=SCHEME, extent=[0.05, 1.0])
        # The square root: most runs overspend little, some very much.
        fill = alt.Scale(type="sqrt", domain=[0, self.most], scheme=scheme, clamp=True)
        return {
            "fill": alt.Fill("value:Q", scale=fill, legend=gradient if legend else None),
            "shape": alt.Shape("kind:N", **by_kind(_SHAPES, key)),
            "stroke": alt.Stroke("kind:N", **by_kind(_STROKES, key)),
            "strokeWidth": alt.condition(f"datum.kind == '{ON_FRONTIER}'", alt.value(2.4), alt.value(0.9)),
            "tooltip": ["run:N", "shape:N", "loss:Q", "resource:Q", "overspend:Q", "low:Q", "high:Q"],
        }


def _rows(found: Overspend) -> Rows:
    return [_row(one) for one in found.shapes]


def _row(one: Overspent) -> dict[str, Any]:
    value = one.overspend if one.overspend is not None else one.at_least
    assert value is not None
    kind = OUTSIDE if one.overspend is None else ON_FRONTIER if one.on_frontier else BEYOND_FRONTIER
    low, high = around_value(one) or (None, None)
    return {
        "run": one.run,
        "name": one.name,
        "shape": one.shape,
        "width": one.width,
        "depth": one.depth,
        "loss": one.loss,
        "resource": one.resource,
        "overspend": one.overspend,
        "value": value,
        "low": low,
        "high": high,
        "kind": kind,
        "text": {ON_FRONTIER: "", OUTSIDE: f"≥ {_percent(value)}"}.get(kind, _percent(value)),
    }


def around_value(one: Overspent) -> tuple[float, float] | None:
    """The range of an overspend with all runs of the frontier and with any one of them left out: the value is in it."""
    if one.leave_one_out is None or one.overspend is None:
        return None
    return min(one.leave_one_out[0], one.overspend), max(one.leave_one_out[1], one.overspend)


def _percent(value: float) -> str:
    """Whole percents, but of what is less than one its first digit.

    >>> _percent(0.542), _percent(0.0021), _percent(0.00002), _percent(-0.114), _percent(0.0)
    ('54%', '0.2%', '0.002%', '−11%', '0%')
    """
    digits = 0 if abs(value) >= 0.0095 or not value else math.ceil(-math.log10(abs(value)) - 2 - 1e-9)
    text = f"{abs(value):.{max(digits, 0)}%}"
    return f"−{text}" if value < 0 else text


def _percent_format(step: float) -> str:
    """How ticks that are `step` apart are written, so that they differ.

    >>> _percent_format(0.2), _percent_format(0.005), _percent_format(0.00002)
    ('.0%', '.1%', '.3%')
    """
    return f".{max(0, math.ceil(-math.log10(step) - 2 - 1e-9))}%"


def _panel_title(found: Overspend) -> Any:
    import altair as alt

    return alt.TitleParams(
        resource_title(found.resource, found.resource_convention), fontSize=14, anchor="middle", offset=8
    )


def _shapes_panel(
    data: dict[str, Rows], name: str, rows: Rows, found: Overspend, marks: _Marks, *, legend: bool
) -> alt.LayerChart:
    import altair as alt

    # Room on the right for the label of the widest.
    widths = _padded([row["width"] for row in rows], 0.06, 0.2)
    depths = _padded([row["depth"] for row in rows], 0.05, 0.05)
    axes = (
        style.log_x("width", "Width (channels)", widths, "plain", most=10),
        style.log_y("depth", "Depth (blocks)", depths, "plain", most=10),
    )
    data[name] = rows
    data[f"{name}-labels"] = _labels(rows, widths, depths)
    points = (
        alt.Chart(alt.NamedData(name=name))
        .mark_point(size=105, opacity=1)
        .encode(*axes, **marks.encode(legend=legend))
    )
    labels = alt.Chart(alt.NamedData(name=f"{name}-labels"))
    leaders = labels.mark_rule(color="#AAAAAA", strokeWidth=0.8).encode(
        *axes, alt.X2("end_x"), alt.Y2("label_y")
    )
    at_label = (
        style.log_x("label_x", "Width (channels)", widths, "plain", most=10),
        style.log_y("label_y", "Depth (blocks)", depths, "plain", most=10),
    )
    texts = [
        labels.transform_filter(f"datum.side == '{align}'")
        .mark_text(align=align, baseline="middle", fontSize=12, color=style.INK)
        .encode(*at_label, text="text:N")
        for align in ("left", "right")
    ]
    layers = alt.layer(*style.kept([leaders, points, *texts]))
    panel: alt.LayerChart = layers.resolve_scale(**_INDEPENDENT).properties(
        width=WIDTH, height=HEIGHT, title=_panel_title(found)
    )
    return panel


def _labels(rows: Rows, widths: tuple[float, float], depths: tuple[float, float]) -> Rows:
    """Where the labels go: right of their points, but left where another point is in the way; none over another."""
    every = [
        (WIDTH * _share(row["width"], widths), HEIGHT * (1 - _share(row["depth"], depths))) for row in rows
    ]
    labelled = [(row, *at) for row, at in zip(rows, every, strict=True) if row["text"]]

    def taken(x: float, y: float, side: int) -> bool:
        reach = LABEL_FROM + LABEL_WIDTH
        return any(0 < side * (a - x) < reach and abs(b - y) < LABEL_HEIGHT for a, b in every)

    sides = [-1 if taken(x, y, 1) and not taken(x, y, -1) and x > LABEL_WIDTH else 1 for _, x, y in labelled]
    begins = [x + side * LABEL_FROM for (_, x, _), side in zip(labelled, sides, strict=True)]
    boxes = [x if side > 0 else x - LABEL_WIDTH for x, side in zip(begins, sides, strict=True)]
    dodged = apart(boxes, [y for _, _, y in labelled], LABEL_WIDTH, LABEL_HEIGHT)
    return [
        {
            **row,
            "side": "left" if side > 0 else "right",  # on which side of itself a text is aligned
            "label_x": _at(x / WIDTH, widths),
            "label_y": _at(1 - y / HEIGHT, depths),
            "end_x": _at((x - 2 * side) / WIDTH, widths),
        }
        for (row, _, _), side, x, y in zip(labelled, sides, begins, dodged, strict=True)
    ]


def _runs_panel(
    data: dict[str, Rows], name: str, rows: Rows, found: Overspend, marks: _Marks, *, legend: bool
) -> alt.LayerChart:
    """Dots one under the other, with what leaving one run of the frontier out makes of each."""
    import altair as alt

    shown = rows[:MOST_RUNS]
    data[name] = shown
    title = _panel_title(found)
    if len(rows) > len(shown):
        title.subtitle = f"the {len(shown)} largest of {len(rows)}"
    base = alt.Chart(alt.NamedData(name=name))
    y = alt.Y("run:N", sort=[row["run"] for row in shown], title=None, axis=alt.Axis(labelLimit=190))
    ends = [end for row in shown for end in (row["value"], row["low"], row["high"]) if end is not None]
    # Room on the right for the label of the largest.
    span = max(ends) - min(0.0, *ends) or 0.1
    x_axis = alt.Axis(format=_percent_format(span / 10), tickCount=6)
    scale = alt.Scale(domain=[min(0.0, *ends) - 0.03 * span, max(ends) + 0.14 * span], nice=False)
    x = alt.X("value:Q", title="Overspend", axis=x_axis, scale=scale)
    ranges = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, color="#BBBBBB")
        .encode(alt.X("low:Q", title="Overspend", axis=x_axis, scale=scale), alt.X2("high"), y)
    )
    dots = base.mark_point(size=90, opacity=1).encode(x, y, **marks.encode(legend=legend))
    texts = base.mark_text(align="left", dx=9, fontSize=12, color=style.INK).encode(x, y, text="text:N")
    layers = alt.layer(*style.kept([ranges, dots, texts]))
    panel: alt.LayerChart = layers.resolve_scale(**_INDEPENDENT).properties(
        width=ROW_WIDTH, height=ROW_HEIGHT * len(shown), title=title
    )
    return panel


def _padded(values: list[float], before: float, after: float) -> tuple[float, float]:
    """A logarithmic domain with shares of it left free at its ends."""
    low, high = min(values), max(values)
    span = math.log(high / low) or math.log(2)
    return low * math.exp(-before * span), high * math.exp(after * span)


def _share(value: float, domain: tuple[float, float]) -> float:
    """Where a value lies on a logarithmic axis, from 0 to 1."""
    return math.log(value / domain[0]) / math.log(domain[1] / domain[0])


def _at(share: float, domain: tuple[float, float]) -> float:
    """The value there."""
    return domain[0] * math.exp(share * math.log(domain[1] / domain[0]))
