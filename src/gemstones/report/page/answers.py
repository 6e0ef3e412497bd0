"""What a study answers at one budget: the plan that a page begins with, and how the answer differs from law to law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemstones.laws.diagnostics import doubts
from gemstones.planning.plan import Plan
from gemstones.report import style
from gemstones.report.numbers import flops_text, interval_text, number_text, quantity_text
from gemstones.report.page.page import Figure, Headline, Stat
from gemstones.report.prescriptions import by_law
from gemstones.report.study import Study
from gemstones.report.words import PARAMS_WORDS, law_words, need_altair
from gemstones.runs.loss_units import WORDS

if TYPE_CHECKING:
    import altair as alt

ROW_HEIGHT = 30
"""CSS pixels of a law in the figure."""


def first_plan(study: Study) -> Plan | None:
    """The plan that a page begins with: by the most trusted fit that plans at all, for the budget nearest to the end of
    the runs.
    """
    ours = {fit.law.name for fit in study.fits}
    plans = next((plans for name, plans in by_law(study.plans).items() if name in ours), [])
    budgets = study.settings.budgets
    wanted = budgets[min(1, len(budgets) - 1)] if budgets else 0.0
    return min(plans, key=lambda plan: (abs(plan.budget_flops - wanted), plan.budget_flops), default=None)


def same_budget(study: Study, plan: Plan) -> list[Plan]:
    """Plans of all laws for the budget of `plan`, which comes first."""
    return [plan, *(p for p in study.plans if p.budget_flops == plan.budget_flops and p is not plan)]


def headline(study: Study) -> Headline | None:
    """The first plan in a few numbers."""
    plan = first_plan(study)
    if plan is None:
        return None
    stats = []
    if plan.shape is not None:
        ends = plan.intervals or {}
        sizes = [interval_text(ends[name], name) for name in ("width", "depth") if name in ends]
        shape = f"{plan.shape.width} × {plan.shape.depth}"
        stats.append(Stat("width × depth", shape, " × ".join(sizes), bool(doubts(plan.flags))))
    new_run = " (of a new run)" if "loss" in (plan.intervals or {}) else ""
    for name, label, value in (
        ("params", f"parameters ({PARAMS_WORDS[plan.params_convention]})", plan.params),
        ("tokens", "tokens", plan.tokens),
        ("tokens_per_param", "tokens per parameter", plan.tokens_per_param),
        ("loss", f"predicted loss, {WORDS[plan.loss_unit]}{new_run}", plan.loss),
    ):
        if value is not None:
            found = (plan.intervals or {}).get(name)
            ends_text = "" if found is None else interval_text(found, name)
            stats.append(Stat(label, quantity_text(name, value), ends_text, bool(doubts(plan.flags))))
    return Headline(
        f"{flops_text(plan.budget_flops)} FLOPs are best spent on",
        tuple(stats),
        tuple(f"{law_words(plan.law_name)}: {flag}" for flag in plan.flags),
    )


def answers_figure(study: Study) -> Figure | None:
    """Parameters that every law prescribes for the budget of the first plan, with their intervals."""
    plan = first_plan(study)
    if plan is None or len(plans := same_budget(study, plan)) < 2:
        return None
    budget = flops_text(plan.budget_flops)
    cautions = " † from a fit with a caution." if any(doubts(p.flags) for p in plans) else ""
    return Figure(
        "answers",
        f"Parameters prescribed for {budget} FLOPs by each law, with intervals",
        f"What the answer depends on: parameters for {budget} FLOPs by each law, with the interval where it has one. "
        f"Parameters are counted as named.{cautions}",
        _chart(plans),
    )


def _chart(plans: Sequence[Plan]) -> alt.TopLevelMixin:
    need_altair()
    import altair as alt

    rows = [_row(plan) for plan in plans]
    values = [x for row in rows for x in (row["params"], row["low"], row["high"]) if x is not None]
    x = style.log_x("params", "Parameters, N", style.padded(min(values), max(values), 0.06), "si", 7)
    y = alt.Y(
        "law:N",
        sort=None,
        title=None,
        axis=alt.Axis(labelLimit=0, labelFontSize=13, domain=False, ticks=False, grid=False, labelPadding=10),
    )
    ours = alt.condition("datum.ours", alt.value(style.BLUE), alt.value(style.GREY))
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y)
    ends = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(alt.X("low:Q", scale=x["scale"], axis=x["axis"], title=x["title"]), x2="high:Q", color=ours)
    )
    dots = base.mark_circle(size=80, opacity=1).encode(x, color=ours)
    words = base.mark_text(dy=-11, fontSize=12, color=style.INK).encode(x, text="words:N")
    chart = alt.layer(ends, dots, words).properties(
        width=560, height=ROW_HEIGHT * len(rows) + 14, view=alt.ViewConfig(stroke=None)
    )
    return style.themed(chart)


def _row(plan: Plan) -> dict[str, Any]:
    low, high = (plan.intervals or {}).get("params", (None, None))
    name = f"{law_words(plan.law_name)} ({PARAMS_WORDS[plan.params_convention]})"
    return {
        "law": name + (" †" if doubts(plan.flags) else ""),
        "params": plan.params,
        "low": low,
        "high": high,
        "words": number_text(plan.params),
        "ours": plan.intervals is not None,
    }
