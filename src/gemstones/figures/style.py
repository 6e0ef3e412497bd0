"""One style for all figures: colours that colour-blind readers can tell apart, axes with units and plain ticks.

Ticks and their labels are computed here: on logarithmic axes Vega labels either every digit or one
value a decade, and writes 10B as 10G. Colours of series are Paul Tol's `vibrant` scheme
(https://personal.sron.nl/~pault/); runs are coloured by their size, along `viridis` short of its yellow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import msgspec

from gemstones.errors import MissingExtra
from gemstones.units import format_quantity

if TYPE_CHECKING:
    import altair as alt

    from gemstones.runs.table import RunTable

BLACK, RED, BLUE, TEAL, ORANGE, MAGENTA, GREY = (
    "#111111",
    "#CC3311",
    "#0077BB",
    "#009988",
    "#EE7733",
    "#EE3377",
    "#8A8A8A",
)
REFERENCES = {"chinchilla-epoch": BLUE, "kaplan": MAGENTA}
"""Colours of the published laws, the same in every figure."""
LINE_WIDTH, REFERENCE_WIDTH, REFERENCE_DASH = 2.2, 1.5, (6, 3, 1.5, 3)
"""Published laws are drawn over fits: thinner and in a dash of their own, so that a fit under them stays in sight."""
FORMS = {
    "N,T": TEAL,
    "w,d,T": "#808000",
    "w,d,N,T": ORANGE,
    "(w,d,T)^p": "#332288",
    "(w,d,N,T)^p": "#AA4499",
    "(N,T)^p": "#33BBEE",
}
"""Colours of fits by their form, the same in every figure and in a page's explorer, whatever they were fitted to."""
OTHER_FORMS = ("#A0522D", "#882255", GREY)
"""Of forms that have no colour of their own, in their order: unlike those that have, frontiers and published laws."""
INK, SOFT_INK, GRID = "#222222", "#666666", "#E8E8E8"
FONT = "Helvetica Neue, Arial, Liberation Sans, sans-serif"
"""vl-convert brings Liberation Sans, so that one of them is always there."""
PANEL_WIDTH, PANEL_HEIGHT = 400, 285
"""Of one panel, in CSS pixels; two fit a text width at a legible size."""

TOP = 0.03
"""Share of a vertical axis at its top that is about half of a label's height."""

LABEL_ROOM = 42
"""CSS pixels for the widest label of a vertical axis: with the same in all of them, panels stand under each other."""

Labels = Literal["power", "si", "plain"]
ChartT = TypeVar("ChartT", bound="alt.TopLevelMixin")

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class RunColors:
    """The colour of a run: a function of its total parameters, on one scale for a whole data set."""

    least: float
    most: float
    """Total parameters at the ends of the scale."""

    @classmethod
    def of(cls, table: RunTable) -> RunColors:
        """Of every run of `table`: give the whole data set, so that its selections look alike."""
        sizes = table.frame["params_total"].drop_nulls().to_list()
        if not sizes:
            table.numbers("params_total")  # says which columns there are instead
        least, most = float(min(sizes)), float(max(sizes))
        # One size still needs a scale of some length.
        return cls(least, most) if most > least else cls(least / 2, most * 2)

    def encoding(self, *, legend: bool) -> alt.Color:
        """Colour by the field `params_total`, with a legend of sizes or none."""
        import altair as alt

        values = [v for v in ticks(self.least, self.most, 5) if self.least <= v <= self.most]
        return alt.Color(
            "params_total:Q",
            scale=alt.Scale(
                type="log",
                domain=[self.least, self.most],
                scheme=alt.SchemeParams(name="viridis", extent=[0.0, 0.88]),
            ),
            legend=alt.Legend(
                title=["Runs, by total", "parameters"],
                values=values,
                labelExpr=_label_expression(values, [label(v, "si") for v in values]),
                gradientLength=75,
            )
            if legend
            else None,
        )


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values within [low, high] for a logarithmic axis, as dense as can be under `most` of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    candidates = [
        [_decimal(m, e) for e in range(first, last + 1) for m in multiples]
        for multiples in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
    ]
    # From the first decade there is: where the data begin is read off more often than a round exponent.
    least = math.ceil(math.log10(low) - 1e-9)
    candidates += [[_decimal(1, e) for e in range(least, last + 1, step)] for step in (2, 3, 5, 10)]
    inside = [[v for v in values if low <= v <= high] for values in candidates]
    best = next((values for values in inside if len(values) <= most), inside[-1])
    return best if len(best) >= 3 else _linear_ticks(low, high, most)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Equally spaced round values: what a logarithmic axis of much less than a decade can have."""
    size = math.floor(math.log10((high - low) / most))
    for step in _STEPS:
        # In units of the last digit, so that 2.6 is not 2.6000000000000001.
        first = math.ceil(low / (step * 10.0**size) - 1e-9)
        last = math.floor(high / (step * 10.0**size) + 1e-9)
        if last - first + 1 <= most:
            return [float(f"{i * step * 10.0**size:.12g}") for i in range(first, last + 1)]
    raise AssertionError("unreachable: ten times the size leaves at most one tick in ten")


def _decimal(mantissa: int, exponent: int) -> float:
    return float(f"{mantissa}e{exponent}")


def label(value: float, labels: Labels) -> str:
    """A tick's label.

    >>> label(1e21, "power"), label(3e9, "power"), label(1e10, "si"), label(1e16, "si"), label(1e-4, "si")
    ('1e21', '3e9', '10B', '1e16', '1e-4')
    >>> label(2.5, "plain"), label(2000, "plain"), label(65536, "plain")
    ('2.5', '2000', '65,536')
    """
    if labels == "power" or (labels == "si" and value < 1e-3):
        # Not 10¹⁹: the font that vl-convert brings lacks some superscripts, and without another they vanish.
        mantissa, exponent = f"{value:.12e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    if labels == "si" and value >= 1:
        return format_quantity(value)
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.6g}"


def _label_expression(values: list[float], labels: list[str]) -> str:
    """A Vega expression that looks a tick's label up; indexof compares numbers, so rounding would lose one."""
    encode = msgspec.json.encode
    return f"{encode(labels).decode()}[indexof({encode(values).decode()}, datum.value)]"


def law_colors(names: Iterable[str]) -> list[str]:
    """A colour for each law, by its name: that of its form, whatever it was fitted to.

    >>> law_colors(["N,T fitted to all", "kaplan"]) == [TEAL, MAGENTA]
    True
    """
    forms = [name.partition(" fitted to ")[0] for name in names]
    others = [form for form in dict.fromkeys(forms) if form not in REFERENCES and form not in FORMS]
    return [
        REFERENCES.get(form) or FORMS.get(form) or OTHER_FORMS[others.index(form) % len(OTHER_FORMS)]
        for form in forms
    ]


def dash(*, reference: bool) -> list[float]:
    """Of a line."""
    return list(REFERENCE_DASH) if reference else [1, 0]


def padded(low: float, high: float, share: float = 0.04) -> tuple[float, float]:
    """A domain with a margin on both sides, in the logarithm; a single value gets a factor of two."""
    margin = (high / low) ** share if high > low else 2.0
    return low / margin, high * margin


def log_x(field: str, title: str | None, domain: tuple[float, float], labels: Labels, most: int = 8) -> alt.X:
    """A logarithmic x axis over `domain`, with `most` ticks or fewer; None for no title."""
    import altair as alt

    return alt.X(f"{field}:Q", **_log_channel(title, domain, labels, 0, most))


def log_y(
    field: str,
    title: str,
    domain: tuple[float, float],
    labels: Labels,
    most: int = 9,
    room: int = LABEL_ROOM,
) -> alt.Y:
    """A logarithmic y axis over `domain`, with `most` ticks or fewer, and `room` for their labels."""
    import altair as alt

    return alt.Y(f"{field}:Q", **_log_channel(title, domain, labels, room, most))


def _log_channel(
    title: str | None, domain: tuple[float, float], labels: Labels, label_room: int, most: int
) -> dict[str, Any]:
    import altair as alt

    values = ticks(*domain, most)
    if label_room:
        # A label at the very top would stand above the frame, and push a heading up.
        inside = [v for v in values if v < domain[1] / (domain[1] / domain[0]) ** TOP]
        values = inside if len(inside) >= 3 else values
    return {
        "title": title,
        "scale": alt.Scale(type="log", domain=list(domain), nice=False),
        "axis": alt.Axis(
            values=values,
            labelExpr=_label_expression(values, [label(v, labels) for v in values]),
            minExtent=label_room,
        ),
    }


def wrapped(text: str, longest: int = 30) -> list[str]:
    """`text` in lines of at most `longest` characters, broken at spaces; an interval stays with its number.

    >>> wrapped("N* grows as FLOPs to the power 0.5 [0.45, 0.6] here", 36)
    ['N* grows as FLOPs to the power', '0.5 [0.45, 0.6] here']
    """
    lines = [""]
    for word in re.split(r" (?!\[|[^\[\]]*\])", text):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > longest:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def clauses(parts: Iterable[str], longest: int) -> list[str]:
    """`parts` joined by semicolons, in lines that are broken between parts only."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}; {part}" if lines[-1] else part
        if lines[-1] and len(joined) > longest:
            lines[-1] += ";"
            lines.append(part)
        else:
            lines[-1] = joined
    return lines


WRAPPED_LABELS = "split(datum.label, '\\n')"
"""Label expression of a legend whose series are called by `series_name`."""


def series_name(text: str, longest: int = 30) -> str:
    """A series' name for a legend, in lines."""
    return "\n".join(wrapped(text, longest))


@contextmanager
def unchecked() -> Iterator[None]:
    """Charts made within are not held against altair's schema part by part: tests hold each, and it takes a tenth of
    the time."""
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):
        yield


def tooltips(*fields: str) -> list[alt.Tooltip]:
    """Of these fields; altair takes plain strings too, but long to find out what they are."""
    import altair as alt

    return [alt.Tooltip(field) for field in fields]


def kept(parts: Sequence[ChartT]) -> list[ChartT]:
    """`parts`, for a chart that is made of them: they, and what is in them, are not copied any more.

    altair copies the parts of a chart in depth whenever one is put into another, copied or written, and every part of a
    part again: with panels of ten layers that was more work than everything else in a figure. A copy of the whole
    shares these parts with it: build another rather than change them in place.
    """
    for part in parts:
        object.__setattr__(part, "__deepcopy__", _Itself(part))
        for name in ("layer", "hconcat", "vconcat"):
            kept(cast("Any", part)._kwds.get(name, ()))
    return list(parts)


@dataclass(frozen=True, eq=False, repr=False)
class _Itself:
    """What copies something by giving it as it is; altair asks an object for its own way of being copied."""

    what: object

    def __call__(self, memo: object) -> object:
        return self.what


def themed(chart: ChartT, data: Mapping[str, list[dict[str, Any]]] | None = None) -> ChartT:
    """`chart`, to be shown or saved as it is, in this style, with `data` by name; nothing is registered globally."""
    need_altair()
    import altair as alt

    config = alt.Config(
        font=FONT,
        background="white",
        padding=14,
        view=alt.ViewConfig(stroke="#BBBBBB", strokeWidth=1),
        axis=alt.AxisConfig(
            labelFontSize=13,
            titleFontSize=13.5,
            titleFontWeight="normal",
            titlePadding=9,
            labelColor=INK,
            titleColor=INK,
            gridColor=GRID,
            domainColor="#BBBBBB",
            tickColor="#BBBBBB",
            labelOverlap=True,
            labelFlush=False,
            labelPadding=4,
        ),
        legend=alt.LegendConfig(
            labelFontSize=12.5,
            titleFontSize=13,
            titleFontWeight="bold",
            labelColor=INK,
            titleColor=INK,
            labelLimit=0,
            titleLimit=0,
            rowPadding=7,
            symbolSize=110,
            symbolStrokeWidth=2,
            offset=24,
        ),
        title=alt.TitleConfig(
            fontSize=14,
            anchor="start",
            color=INK,
            fontWeight="bold",
            subtitleFontSize=12.5,
            subtitleColor=SOFT_INK,
        ),
        concat=alt.CompositionConfig(spacing=26),
    )
    for name in ("layer", "hconcat", "vconcat"):
        kept(cast("Any", chart)._kwds.get(name, ()))
    # Not by `configure_…`, each of which copies the whole chart; charts of every kind have both.
    copy = cast("Any", chart).copy(deep=False)
    copy.config = config
    if data is not None:
        copy.datasets = data
    return cast("ChartT", copy)


def need_altair() -> None:
    """Raise `MissingExtra` unless figures can be drawn and saved; loads nothing yet."""
    if find_spec("altair") is None or find_spec("vl_convert") is None:
        raise MissingExtra("report", "drawing figures")
