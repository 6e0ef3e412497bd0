"""Figure 5 of the paper: the prescribed width over depth, and tokens per parameter, for a budget.

Lines are solid where the budget lies within the FLOPs of the runs that a law was fitted to and dashed
beyond; bands are intervals from the resamples, grey beyond. Lines of shapes are a little bumpy: widths are
whole numbers of attention heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidRequest
from gemstones.laws.law import Interval
from gemstones.plan.plan import Plan
from gemstones.report import style
from gemstones.report.prescriptions import by_law
from gemstones.report.words import PARAMS_WORDS, flops_words, law_words, need_altair

if TYPE_CHECKING:
    import altair as alt

INSIDE, BEYOND = "Within the fitted runs", "Beyond them"
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
        "budget", _budget_title(prescriptions), style.padded(min(budgets), max(budgets), 0.0), "power"
    )
    panels = [
        ("Width / depth", "aspect_ratio", _aspect_ratio),
        ("Tokens per parameter (N as in the legend)", "tokens_per_param", lambda p: p.tokens_per_param),
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
    charts = [
        _panel(text, f"prescriptions-{i}", rows, x, scale, bool(shaded), i == len(drawn) - 1)
        for i, (text, rows) in enumerate(drawn)
    ]
    heading = alt.TitleParams(title, subtitle=_subtitle(prescriptions), offset=14)
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


def _subtitle(plans: Sequence[Plan]) -> str:
    note = next((p.intervals_note for p in plans if p.intervals is not None), None)
    # Of the note only how the draws were made: the rest of it differs from budget to budget.
    bands = "Lines without intervals" if note is None else f"Bands are {note.partition(';')[0]}"
    counts = {len(of_law) for of_law in by_law(plans).values()}
    gaps = "; no line where the best shape lies on the edge of the search" if len(counts) > 1 else ""
    return bands + gaps


def _aspect_ratio(plan: Plan) -> float | None:
    return None if plan.shape is None else plan.shape.aspect_ratio


def _rows(series: str, plans: Sequence[Plan], quantity: str, value: Callable[[Plan], float | None]) -> Rows:
    """Points of one law, in stretches within and beyond the fitted runs that share the point between them."""
    points: Rows = []
    for plan in plans:
        at = value(plan)
        if at is not None:
            low, high = (plan.intervals or {}).get(quantity, (None, None))
            where = INSIDE if _inside(plan) else BEYOND
            points.append(
                {
                    "series": series,
                    "budget": plan.budget_flops,
                    "value": at,
                    "low": low,
                    "high": high,
                    "where": where,
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


def _inside(plan: Plan) -> bool:
    """Whether the plan lies within the fitted runs; by N and T where their FLOPs are not known."""
    far = plan.extrapolation
    if far.flops_decades is not None:
        return far.flops_decades == 0
    return all(ratio in (None, 1.0) for ratio in (far.params_ratio, far.tokens_ratio))


def _panel(
    text: str, name: str, rows: Rows, x: alt.X, laws: alt.Scale, fitted: bool, legend: bool
) -> alt.LayerChart:
    import altair as alt

    # Bands may reach far beyond the lines: they are cut at ten times their range.
    values = [row["value"] for row in rows]
    ends = [end for row in rows for end in (row["low"], row["high"]) if end is not None and end > 0]
    low = max(min([*values, *ends]), min(values) / 10)
    high = min(max([*values, *ends]), max(values) * 10)
    domain = style.padded(low, high, 0.05)
    key = alt.Legend(title="Law", labelExpr=style.WRAPPED_LABELS, symbolType="stroke", symbolSize=260)
    color = alt.Color("series:N", scale=laws, legend=key if legend else None)
    unexplained = alt.Color("series:N", scale=laws, legend=None)
    dash = alt.StrokeDash(
        "where:N",
        scale=alt.Scale(domain=[INSIDE, BEYOND], range=[[1, 0], [5, 4]]),
        legend=alt.Legend(title="Budget", symbolType="stroke", symbolSize=260) if legend else None,
    )
    base = alt.Chart(alt.NamedData(name=name)).encode(x, detail="stretch:N")
    band = base.transform_filter("isValid(datum.low)").encode(
        style.log_y("low", text, domain, "si").stack(None), alt.Y2("high")
    )
    within = band.transform_filter(f"datum.where == '{INSIDE}'").mark_area(opacity=0.2, clip=True)
    beyond = band.transform_filter(f"datum.where == '{BEYOND}'").mark_area(
        opacity=0.16, clip=True, color=style.GREY
    )
    line = base.mark_line(strokeWidth=2.2).encode(
        style.log_y("value", text, domain, "si"),
        color=color,
        strokeDash=dash,
        tooltip=["series:N", "budget:Q", "value:Q", "low:Q", "high:Q"],
    )
    shade = _fitted_range(x) if fitted else []
    panel: alt.LayerChart = (
        alt.layer(
            *shade, beyond.encode(detail=["series:N", "stretch:N"]), within.encode(color=unexplained), line
        )
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
