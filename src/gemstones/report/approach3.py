"""Figure 5 of the paper: the prescribed width over depth, and tokens per parameter, for a budget.

Lines of fits are solid where the budget lies within the FLOPs of the runs that they were fitted to and dashed
beyond; bands are intervals from the resamples, lighter beyond. Of a law of shapes the line is the real-valued
optimum and dots are the best feasible shapes, whose widths are whole numbers of attention heads. Published laws
that every figure compares with are drawn alike throughout, over the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest
from gemstones.laws.law import Interval
from gemstones.plan.plan import Plan
from gemstones.report import style
from gemstones.report.prescriptions import by_law
from gemstones.report.words import PARAMS_WORDS, flops_words, law_words, need_altair
from gemstones.shape import Shapes

if TYPE_CHECKING:
    import altair as alt

INSIDE, BEYOND, REFERENCE = "Fit, within its runs", "Fit, beyond them", "Published law"
_DASHES: dict[str, list[float]] = {
    INSIDE: style.dash(reference=False),
    BEYOND: [5, 4],
    REFERENCE: style.dash(reference=True),
}
MOST_BUDGETS = 11
"""Ticks on the axis of budgets: one a decade on the usual grid, and on one that begins at 1e15."""
SUBTITLE = 90
"""Characters of a line over one panel."""
FITTED = "fitted"
"""Name of the data of the fitted range."""
Rows = list[dict[str, Any]]
_INDEPENDENT: Any = dict.fromkeys(("color", "strokeDash"), "independent")


def approach3_figure(
    prescriptions: Sequence[Plan], fitted_flops: Interval | None = None, title: str = "Approach 3"
) -> alt.HConcatChart:
    """Figure 5 for plans of one or more laws over a grid of budgets.

    `fitted_flops` is what the fitted runs span, shaded. The panel of width over depth is left out where no
    law knows shapes. Raises `MissingExtra` without altair.
    """
    need_altair()
    import altair as alt

    laws = by_law(prescriptions)
    if not laws:
        raise InvalidRequest("Approach 3 needs prescriptions to draw: none was given")
    names = {law: series_words(plans[0]) for law, plans in laws.items()}
    budgets = [p.budget_flops for p in prescriptions]
    x = style.log_x(
        "budget",
        _budget_title(prescriptions),
        style.padded(min(budgets), max(budgets), 0.0),
        "power",
        MOST_BUDGETS,
    )
    panels = [
        ("Width / depth", "aspect_ratio", _aspect_ratio),
        ("Tokens per parameter (N as in the legend)", "tokens_per_param", _tokens_per_param),
    ]
    # The first law is drawn last, over the others.
    drawn = [
        (text, [row for law in reversed(laws) for row in _rows(names[law], laws[law], quantity, value)])
        for text, quantity, value in panels
    ]
    drawn = [(text, rows) for text, rows in drawn if rows]
    shaded = [] if fitted_flops is None else _fitted_rows(fitted_flops, budgets)
    data = {f"prescriptions-{i}": rows for i, (_, rows) in enumerate(drawn)} | {FITTED: shaded}
    scale = alt.Scale(domain=list(names.values()), range=style.law_colors(names))
    occurring = {row["where"] for _, rows in drawn for row in rows}
    dashes = {where: dash for where, dash in _DASHES.items() if where in occurring}
    charts = [
        _panel(text, f"prescriptions-{i}", rows, x, scale, dashes, bool(shaded), legend=i == len(drawn) - 1)
        for i, (text, rows) in enumerate(drawn)
    ]
    subtitle = style.clauses(_subtitle(prescriptions, bool(shaded)), SUBTITLE * len(drawn))
    heading = alt.TitleParams(title, subtitle=subtitle, offset=14)
    chart = alt.hconcat(*charts).resolve_scale(**_INDEPENDENT).properties(title=heading)
    themed: alt.HConcatChart = style.themed(chart)
    themed.datasets = data
    return themed


def series_words(plan: Plan) -> str:
    """A law in the legend, with its convention of N: `Kaplan et al. 2020 (non-embedding N)`."""
    law, convention = law_words(plan.law_name), f"({PARAMS_WORDS[plan.params_convention]} N)"
    return f"{law} {convention}" if len(law) + len(convention) < 34 else f"{law}\n{convention}"


def _budget_title(plans: Sequence[Plan]) -> str:
    conventions = dict.fromkeys("Appendix G" if p.shape is not None else "6·N·T" for p in plans)
    if len(conventions) == 2:
        return "FLOPs budget (Appendix G for shapes, else 6·N·T)"
    return f"FLOPs budget ({flops_words(plans[0].flops_convention) if len(plans) == 1 else next(iter(conventions))})"


def _subtitle(plans: Sequence[Plan], shaded: bool) -> list[str]:
    note = next((p.intervals_note for p in plans if p.intervals is not None), None)
    # Of the note only how the draws were made: the rest of it differs from budget to budget.
    said = ["Lines without intervals" if note is None else f"Bands: {note.partition(';')[0]}"]
    if shaded:
        said.append("shaded: FLOPs of the fitted runs")
    if any(plan.relaxed is not None for plan in plans):
        said.append("lines of shapes: real-valued optimum, dots: best feasible shape")
    if len({len(of_law) for of_law in by_law(plans).values()}) > 1:
        said.append("no line where the best shape lies on the edge of the search")
    return said


@dataclass(frozen=True)
class _Drawn:
    """What is drawn of a plan: the line, and a dot where the line is of real-valued shapes."""

    line: float
    dot: float | None = None


def _aspect_ratio(plan: Plan) -> _Drawn | None:
    if plan.shape is None:
        return None
    if plan.relaxed is None:
        return _Drawn(plan.shape.aspect_ratio)
    return _Drawn(plan.relaxed["width"] / plan.relaxed["depth"], plan.shape.aspect_ratio)


def _tokens_per_param(plan: Plan) -> _Drawn:
    if plan.shape is None or plan.relaxed is None:
        return _Drawn(plan.tokens_per_param)
    real = Shapes.of(plan.relaxed["width"], plan.relaxed["depth"], plan.shape)
    counted = float(params(real, plan.params_convention))
    return _Drawn(plan.relaxed["tokens"] / counted, plan.tokens_per_param)


def _rows(series: str, plans: Sequence[Plan], quantity: str, value: Callable[[Plan], _Drawn | None]) -> Rows:
    """Points of one law, in stretches within and beyond the fitted runs that share the point between them."""
    points: Rows = []
    for plan in plans:
        at = value(plan)
        if at is not None:
            low, high = (plan.intervals or {}).get(quantity, (None, None))
            points.append(
                {
                    "series": series,
                    "budget": plan.budget_flops,
                    "value": at.line,
                    "feasible": at.dot,
                    "low": low,
                    "high": high,
                    "where": _where(plan),
                }
            )
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


def _where(plan: Plan) -> str:
    if plan.law_name in style.REFERENCES:
        return REFERENCE
    return INSIDE if _inside(plan) else BEYOND


def _inside(plan: Plan) -> bool:
    """Whether the plan lies within the fitted runs; by N and T where their FLOPs are not known."""
    far = plan.extrapolation
    if far.flops_decades is not None:
        return far.flops_decades == 0
    return all(ratio in (None, 1.0) for ratio in (far.params_ratio, far.tokens_ratio))


def _panel(
    text: str,
    name: str,
    rows: Rows,
    x: alt.X,
    laws: alt.Scale,
    dashes: dict[str, list[float]],
    fitted: bool,
    *,
    legend: bool,
) -> alt.LayerChart:
    import altair as alt

    # Bands may reach far beyond the lines: they are cut at ten times their range.
    values = [at for row in rows for at in (row["value"], row["feasible"]) if at is not None]
    ends = [end for row in rows for end in (row["low"], row["high"]) if end is not None and end > 0]
    low = max(min([*values, *ends]), min(values) / 10)
    high = min(max([*values, *ends]), max(values) * 10)
    domain = style.padded(low, high, 0.05)

    def color(key: alt.Legend | None) -> alt.Color:
        return alt.Color("series:N", scale=laws, legend=key)

    def dash(key: alt.Legend | None) -> alt.StrokeDash:
        scale = alt.Scale(domain=list(dashes), range=list(dashes.values()))
        return alt.StrokeDash("where:N", scale=scale, legend=key)

    def y(field: str) -> alt.Y:
        return style.log_y(field, text, domain, "si")

    of_laws = alt.Legend(title="Law", labelExpr=style.WRAPPED_LABELS, symbolType="stroke", symbolSize=260)
    of_lines = alt.Legend(title="Line", symbolType="stroke", symbolSize=420)
    base = alt.Chart(alt.NamedData(name=name)).encode(x, detail=["series:N", "stretch:N"])
    bands = [
        base.transform_filter(f"isValid(datum.low) && datum.where == '{where}'")
        .mark_area(opacity=opacity, clip=True)
        .encode(y("low").stack(None), alt.Y2("high"), color=color(None))
        for where, opacity in ((BEYOND, 0.1), (INSIDE, 0.22))
    ]
    dots = (
        base.transform_filter("isValid(datum.feasible)")
        .mark_circle(size=14, opacity=1)
        .encode(y("feasible"), color=color(None))
    )
    tooltip = ["series:N", "budget:Q", "value:Q", "feasible:Q", "low:Q", "high:Q"]
    lines = base.encode(y("value"), tooltip=tooltip)
    fits = (
        lines.transform_filter(f"datum.where != '{REFERENCE}'")
        .mark_line(strokeWidth=style.LINE_WIDTH)
        .encode(color=color(of_laws if legend else None), strokeDash=dash(of_lines if legend else None))
    )
    references = (
        lines.transform_filter(f"datum.where == '{REFERENCE}'")
        .mark_line(strokeWidth=style.REFERENCE_WIDTH)
        .encode(color=color(None), strokeDash=dash(None))
    )
    shade = _fitted_range(x) if fitted else []
    panel: alt.LayerChart = (
        alt.layer(*shade, *bands, dots, fits, references)
        .resolve_scale(**_INDEPENDENT)
        .properties(width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT + 25)
    )
    return panel


def _fitted_range(x: alt.X) -> list[alt.Chart]:
    """The FLOPs of the fitted runs, shaded and named; rows of `FITTED` have where."""
    import altair as alt

    where = alt.Chart(alt.NamedData(name=FITTED))
    words = where.mark_text(
        text="fitted runs", baseline="top", dy=6, fontSize=12, color=style.SOFT_INK, fontStyle="italic"
    )
    return [
        where.mark_rect(color="#F1EEDF").encode(x, x2="end"),
        words.encode(alt.X("middle:Q"), y=alt.value(0)),
    ]


def _fitted_rows(fitted: Interval, budgets: Sequence[float]) -> Rows:
    """Where the fitted range lies on the axis of the budgets; none where it lies beside it."""
    low, high = max(fitted[0], min(budgets)), min(fitted[1], max(budgets))
    return [{"budget": low, "end": high, "middle": (low * high) ** 0.5}] if low < high else []
