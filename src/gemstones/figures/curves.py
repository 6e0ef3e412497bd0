"""What laws prescribe over budgets, as curves: how a panel of them is drawn, in every figure that has one.

Lines are solid where the budget lies within the FLOPs of the runs that a law was fitted to and dashed beyond; bands
are intervals, lighter beyond. Published laws are drawn alike throughout, over the fits. Diamonds are shapes that can
be built, circles are models that were.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.accounting.parameters import ParamsConvention
from gemstones.figures import style
from gemstones.units import Interval
from gemstones.words import PARAMS_WORDS

if TYPE_CHECKING:
    import altair as alt

INSIDE, BEYOND, REFERENCE = "Fit, within its runs", "Fit, beyond them", "Published law"
_DASHES: dict[str, list[float]] = {
    INSIDE: style.dash(reference=False),
    BEYOND: [5, 4],
    REFERENCE: style.dash(reference=True),
}
FEASIBLE, MODELS = "Best feasible shape", "Industry model"
_MARKS = {FEASIBLE: "diamond", MODELS: "circle"}
"""Of points, by what the legend calls them."""
MODEL_COLOR = "#6F6F6F"
FARTHEST = 10.0
"""Bands may reach far beyond the lines: they are cut at this many times the range of the lines."""
FITTED = "fitted"
"""Prefix of the names of the data of fitted ranges."""
LEGEND = 34
"""Characters of a line of the legend."""
TOGETHER = "\u00a0"
"""Between words that stand on one line."""
Rows = list[dict[str, Any]]
INDEPENDENT: Any = {"scale": dict.fromkeys(("color", "strokeDash", "shape"), "independent")}
"""Of the panels' scales: each has its own."""
LEGENDS = ("Law", "Line", "Point")
"""Legends that a panel can have beside it, in this order."""


def law_in_legend(words: str, convention: ParamsConvention | None, flags: Sequence[str] = ()) -> str:
    """A law as a legend has it, with its convention of N unless that is None, and below what it is flagged for.

    >>> print(law_in_legend("Kaplan et al. 2020", "non_embedding"))
    Kaplan et al. 2020
    (non-embedding N)
    """
    words = words.replace("δ ", "δ" + TOGETHER)
    if convention is not None:
        words += " " + f"({PARAMS_WORDS[convention]} N)".replace(" ", TOGETHER)
    lines = [*style.wrapped(words, LEGEND), *(style.wrapped(flagged_words(flags), LEGEND) if flags else ())]
    return "\n".join(lines).replace(TOGETHER, " ")


def flagged_words(flags: Sequence[str]) -> str:
    """What a fit is flagged for, as its legend says it; empty where it is not.

    >>> flagged_words(("term_at_zero: the irreducible loss is …", "too_few_runs: …"))
    'flagged: term at zero, too few runs'
    """
    codes = dict.fromkeys(flag.partition(":")[0].replace("_", " ") for flag in flags)
    return f"flagged: {', '.join(codes)}" if codes else ""


def stretched(points: Rows) -> Rows:
    """Points of one law by budget, in stretches within and beyond the fitted runs that share the point between them.

    A point has `series`, `budget`, `value`, `low`, `high`, `feasible` (of a shape that can be built) and `where`.
    """
    rows: Rows = []
    stretch = 0
    for i, point in enumerate(points):
        if i and point["where"] != points[i - 1]["where"]:
            # The stretch beyond goes up to the last point within.
            if point["where"] == BEYOND:
                stretch += 1
                rows.append({**points[i - 1], "where": BEYOND, "stretch": stretch})
            else:
                rows.append({**point, "where": BEYOND, "stretch": stretch})
                stretch += 1
        rows.append({**point, "stretch": stretch})
    return rows


def fitted_rows(fitted: Interval | None, budgets: Sequence[float]) -> Rows:
    """Where a fitted range lies on the axis of the budgets; none where it lies beside it."""
    if fitted is None:
        return []
    low, high = max(fitted[0], min(budgets)), min(fitted[1], max(budgets))
    return [{"budget": low, "end": high, "middle": (low * high) ** 0.5}] if low < high else []


def domain(rows: Rows, models: Rows | None = None) -> tuple[float, float]:
    """What the axis of the values spans: every line, dot and model, and as much of the bands as is near."""
    lines = [at for row in rows for at in (row["value"], row["feasible"]) if at is not None]
    lines += [row["value"] for row in models or ()]
    ends = [end for row in rows for end in (row["low"], row["high"]) if end is not None and end > 0]
    low = max(min([*lines, *ends]), min(lines) / FARTHEST)
    high = min(max([*lines, *ends]), max(lines) * FARTHEST)
    return style.padded(low, high, 0.05)


def cut_words(rows: Rows, spanned: tuple[float, float]) -> list[str]:
    """That bands are cut, where an axis that spans so much leaves some of them out."""
    ends = [end for row in rows for end in (row["low"], row["high"]) if end is not None]
    cut = any(not spanned[0] <= end <= spanned[1] for end in ends)
    return [f"bands are cut at {FARTHEST:g} times the range of the lines"] if cut else []


@dataclass(frozen=True, eq=False)
class Panels:
    """What the panels of one figure have in common."""

    colors: Mapping[str, str]
    """Of the series, in the order of the legend."""
    lines: Sequence[str]
    """Kinds of line that occur in it, of `INSIDE`, `BEYOND`, `REFERENCE`."""
    width: int = style.PANEL_WIDTH
    height: int = style.PANEL_HEIGHT + 25

    @classmethod
    def of(cls, colors: Mapping[str, str], rows: Rows, **size: int) -> Panels:
        """For `rows` of all panels."""
        occurring = {row["where"] for row in rows}
        return cls(colors, [line for line in _DASHES if line in occurring], **size)

    def panel(
        self,
        data: dict[str, Rows],
        name: str,
        x: alt.X,
        y_title: str,
        y_domain: tuple[float, float],
        *,
        labels: style.Labels = "si",
        room: int = style.LABEL_ROOM,
        legends: Collection[str] = (),
        heading: str = "",
    ) -> alt.LayerChart:
        """The panel of the rows `data[name]`, with the fitted range and the models that are there beside them.

        `data[FITTED-name]` is of `fitted_rows`; rows of `data[models-name]` have name, budget and value, and where
        there is room for it a label. `labels` and `room` are those of the y axis; `legends` are those of `LEGENDS`
        that stand beside it.
        """
        import altair as alt

        def y(field: str) -> alt.Y:
            return style.log_y(field, y_title, y_domain, labels, room=room)

        base = alt.Chart(alt.NamedData(name=name)).encode(
            x, detail=[alt.Detail("series:N"), alt.Detail("stretch:N")]
        )
        bands = [
            base.transform_filter(f"isValid(datum.low) && datum.where == '{where}'")
            .mark_area(opacity=opacity, clip=True)
            .encode(y("low").stack(None), alt.Y2("high"), color=self._color(None))
            for where, opacity in ((BEYOND, 0.1), (INSIDE, 0.22))
        ]
        tooltip = style.tooltips("series:N", "budget:Q", "value:Q", "feasible:Q", "low:Q", "high:Q")
        lines = base.encode(y("value"), tooltip=tooltip)
        law, line, point = LEGENDS
        keys = {
            law: alt.Legend(title=law, labelExpr=style.WRAPPED_LABELS, symbolType="stroke", symbolSize=260),
            line: alt.Legend(title=line, symbolType="stroke", symbolSize=420),
            # Marks of several colours share it.
            point: alt.Legend(title=point, symbolSize=60, symbolStrokeColor=MODEL_COLOR),
        }
        shown = {name: key for name, key in keys.items() if name in legends}
        fits = (
            lines.transform_filter(f"datum.where != '{REFERENCE}'")
            .mark_line(strokeWidth=style.LINE_WIDTH, clip=True)
            .encode(color=self._color(shown.get(law)), strokeDash=self._dash(shown.get(line)))
        )
        references = (
            lines.transform_filter(f"datum.where == '{REFERENCE}'")
            .mark_line(strokeWidth=style.REFERENCE_WIDTH, clip=True)
            .encode(color=self._color(None), strokeDash=self._dash(None))
        )
        layers = [*bands, fits, references]
        if data.get(f"{FITTED}-{name}"):
            layers = [*_fitted_range(f"{FITTED}-{name}", x), *layers]
        with_models = bool(data.get(f"models-{name}"))
        marks = [FEASIBLE] * any(row["feasible"] is not None for row in data[name]) + [MODELS] * with_models
        if FEASIBLE in marks:
            # One layer has the legend of both.
            key = None if with_models else shown.get(point)
            layers += _feasible(base, y("feasible"), self._color(None), _shape(marks, key))
        if with_models:
            # Last, so that its legend is; circles do not hide what is under them.
            layers += _models(f"models-{name}", x, y("value"), _shape(marks, shown.get(point)))
        return alt.LayerChart(
            layer=style.kept(layers),
            resolve=INDEPENDENT,
            width=self.width,
            height=self.height,
            title=alt.TitleParams(heading, frame="group", offset=12) if heading else alt.Undefined,
        )

    def _color(self, key: alt.Legend | None) -> alt.Color:
        import altair as alt

        scale = alt.Scale(domain=list(self.colors), range=list(self.colors.values()))
        return alt.Color("series:N", scale=scale, legend=key)

    def _dash(self, key: alt.Legend | None) -> alt.StrokeDash:
        import altair as alt

        scale = alt.Scale(domain=list(self.lines), range=[_DASHES[line] for line in self.lines])
        return alt.StrokeDash("where:N", scale=scale, legend=key)


def _shape(marks: Sequence[str], key: alt.Legend | None) -> alt.Shape:
    """The shape of points by their `kind`, of all `marks` in a panel."""
    import altair as alt

    scale = alt.Scale(domain=list(marks), range=[_MARKS[one] for one in marks])
    return alt.Shape("kind:N", scale=scale, legend=key)


def _feasible(base: alt.Chart, y: alt.Y, color: alt.Color, shape: alt.Shape) -> list[alt.Chart]:
    """Diamonds with a white inside, so that they are seen on their line."""
    feasible = (
        base.transform_filter("isValid(datum.feasible)")
        .transform_calculate(kind=f"'{FEASIBLE}'")
        .encode(y, tooltip=style.tooltips("series:N", "budget:Q", "feasible:Q"))
    )
    # The inside is of its own: marks with a fill and a stroke have no stroke in a legend.
    inside = feasible.mark_point(shape=_MARKS[FEASIBLE], filled=True, size=26, opacity=1, color="white")
    outline = feasible.mark_point(filled=False, size=26, strokeWidth=1.3, opacity=1)
    return [inside, outline.encode(color=color, shape=shape)]


def _models(name: str, x: alt.X, y: alt.Y, shape: alt.Shape) -> list[alt.Chart]:
    """Open circles, some of them labelled; the names of all are in the tooltip."""
    import altair as alt

    models = alt.Chart(alt.NamedData(name=name)).encode(x, y)
    circles = (
        models.transform_calculate(kind=f"'{MODELS}'")
        .mark_point(filled=False, size=34, strokeWidth=1.4, color=MODEL_COLOR, opacity=0.9)
        .encode(shape=shape, tooltip=style.tooltips("name:N", "budget:Q", "value:Q"))
    )
    labels = (
        models.transform_filter("isValid(datum.label)")
        .mark_text(align="left", baseline="middle", dx=7, fontSize=12, color=style.SOFT_INK)
        .encode(alt.Text("label:N"))
    )
    return [circles, labels]


def _fitted_range(name: str, x: alt.X) -> list[alt.Chart]:
    """The FLOPs of the fitted runs, shaded and named."""
    import altair as alt

    where = alt.Chart(alt.NamedData(name=name))
    words = where.mark_text(
        text="fitted runs", baseline="top", dy=6, fontSize=12, color=style.SOFT_INK, fontStyle="italic"
    )
    return [
        where.mark_rect(color="#F1EEDF").encode(x, alt.X2("end")),
        words.encode(alt.X("middle:Q"), y=alt.value(0)),
    ]
