"""Figure 5 of the paper: the prescribed width over depth, and tokens per parameter, for a budget.

Of a law of shapes the line is the real-valued optimum and diamonds are the best feasible shapes, whose widths are
whole numbers of attention heads. How curves are drawn is in `gemstones.figures.curves`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.figures.curves import (
    BEYOND,
    FITTED,
    INDEPENDENT,
    INSIDE,
    LEGENDS,
    REFERENCE,
    Panels,
    Rows,
    cut_words,
    domain,
    fitted_rows,
    law_in_legend,
    stretched,
)
from gemstones.laws.diagnostics import doubts
from gemstones.planning.prescriptions import by_law
from gemstones.planning.result import Plan
from gemstones.shape import Shapes
from gemstones.units import Interval
from gemstones.words import flops_words, law_words

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 356, 290
"""Of a panel, in CSS pixels: two with a legend stand beside words on a page."""
MOST_BUDGETS = 11
"""Ticks on the axis of budgets: one a decade on the usual grid, and on one that begins at 1e15."""
SUBTITLE = 90
"""Characters of a line over one panel."""


def approach3_figure(
    prescriptions: Sequence[Plan], fitted_flops: Interval | None = None, title: str = "Approach 3"
) -> alt.HConcatChart:
    """Figure 5 for plans of one or more laws over a grid of budgets.

    `fitted_flops` is what the fitted runs span, shaded. The panel of width over depth is left out where no
    law knows shapes. Raises `MissingExtra` without altair.
    """
    style.need_altair()
    import altair as alt

    laws = by_law(prescriptions)
    if not laws:
        raise InvalidRequest("Approach 3 needs prescriptions to draw: none was given")
    names = {law: series_words(plans[0]) for law, plans in laws.items()}
    budgets = [p.budget_flops for p in prescriptions]
    x = budget_axis(_budget_title(prescriptions), budgets)
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
    shaded = fitted_rows(fitted_flops, budgets)
    data: dict[str, Rows] = {}
    for i, (_, rows) in enumerate(drawn):
        data |= {f"prescriptions-{i}": rows, f"{FITTED}-prescriptions-{i}": shaded}
    colors = dict(zip(names.values(), style.law_colors(names), strict=True))
    look = Panels.of(colors, [row for _, rows in drawn for row in rows], width=WIDTH, height=HEIGHT)
    charts = [
        look.panel(
            data,
            f"prescriptions-{i}",
            x,
            text,
            domain(rows),
            legends=LEGENDS if i == len(drawn) - 1 else (),
        )
        for i, (text, rows) in enumerate(drawn)
    ]
    cut = [words for _, rows in drawn for words in cut_words(rows, domain(rows))]
    said = [*_subtitle(prescriptions, bool(shaded)), *dict.fromkeys(cut)]
    subtitle = style.clauses(said, SUBTITLE * len(drawn))
    heading = alt.TitleParams(title, subtitle=subtitle, offset=14)
    return style.themed(alt.HConcatChart(hconcat=charts, resolve=INDEPENDENT, title=heading), data)


def budget_axis(title: str | None, budgets: Sequence[float], most: int = MOST_BUDGETS) -> alt.X:
    """The axis of the budgets, from the first to the last."""
    return style.log_x("budget", title, style.padded(min(budgets), max(budgets), 0.0), "power", most)


def series_words(plan: Plan) -> str:
    """A plan's law in the legend."""
    return law_in_legend(law_words(plan.law_name), plan.params_convention, doubts(plan.flags))


def where(plan: Plan) -> str:
    """The kind of line that a plan's point belongs to."""
    if plan.law_name in style.REFERENCES:
        return REFERENCE
    return INSIDE if _inside(plan) else BEYOND


def _inside(plan: Plan) -> bool:
    """Whether the plan lies within the fitted runs; by N and T where their FLOPs are not known."""
    far = plan.extrapolation
    if far.flops_decades is not None:
        return far.flops_decades == 0
    return all(ratio in (None, 1.0) for ratio in (far.params_ratio, far.tokens_ratio))


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
        said.append("lines of shapes: real-valued optimum")
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
    """Points of one law, ready to be drawn."""
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
                    "where": where(plan),
                }
            )
    return stretched(points)
