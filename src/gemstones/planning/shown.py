"""Plans and what follows from them as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gemstones.display import Row, html_table, interval_text, labelled
from gemstones.laws.envelope import OF_FRONTIER
from gemstones.laws.interval import NO_DRAWS, level_text
from gemstones.planning.cost import amount_text
from gemstones.runs.loss_units import SHORT, LossUnit
from gemstones.units import format_flops, format_quantity

if TYPE_CHECKING:
    from gemstones.laws.law import Interval
    from gemstones.planning.near import NearOptimal
    from gemstones.planning.overspend import Overspend
    from gemstones.planning.overtrain import Overtrained, Overtraining
    from gemstones.planning.plan import Plan
    from gemstones.planning.sensitivity import Sensitivity

OF_NEW_RUN, OF_FIT = "of a new run", "of the fit, if its form is right"
"""What intervals of a predicted loss are of."""
AGREED = 0.9
"""Share of the draws in which a member is near-optimal, for it to be one whatever the draw."""
SHOWN = 10
"""Members of a near-optimal set that are listed unless all are asked for."""


def member_header(loss_unit: LossUnit) -> Row:
    """Of the members of a near-optimal set."""
    return "shape", "tokens", f"predicted loss ({SHORT[loss_unit]})", "over the best", "near-optimal in"


def flops_convention(convention: str, each: str = "6·N·T") -> str:
    """A convention of FLOPs, for people; `each` is what N decides: all of them, or those of a token.

    >>> flops_convention("gemstones"), flops_convention("6N_total")
    ('Appendix G', '6·N·T, N_total')
    """
    if convention.startswith("given"):
        return convention
    return "Appendix G" if convention == "gemstones" else convention.replace("6N", f"{each}, N")


def budget_text(plan: Plan) -> str:
    """`1e22 FLOPs (Appendix G)`, `100K device hours`."""
    convention = f" ({flops_convention(plan.flops_convention)})" if plan.resource == "flops" else ""
    return amount_text(plan.budget, plan.resource) + convention


def plan_rows(plan: Plan) -> list[Row]:
    """Every quantity of a plan, with its interval or a dash."""
    intervals, counted = plan.intervals or {}, f"{plan.params_convention} parameters"
    training, inference = (flops_convention(plan.flops_convention, x) for x in ("6·N·T", "2·N a token"))

    def quantity(name: str, value: float, ends: Interval | None = None) -> Row:
        return name, format_quantity(value), interval_text(ends, format_quantity)

    def flops(name: str, value: float, ends: Interval | None = None) -> Row:
        return name, format_flops(value), interval_text(ends, format_flops)

    rows: list[Row] = []
    if plan.shape is not None:
        rows += [
            (name, f"{value}", interval_text(intervals.get(name), "{:.0f}".format))
            for name, value in (("width", plan.shape.width), ("depth", plan.shape.depth))
        ]
    rows += [
        quantity(f"N ({counted})", plan.params, intervals.get("params")),
        quantity("T (tokens)", plan.tokens, intervals.get("tokens")),
        (
            f"T/N ({plan.params_convention})",
            f"{plan.tokens_per_param:.3g}",
            interval_text(intervals.get("tokens_per_param"), "{:.3g}".format),
        ),
    ]
    if plan.loss is not None:
        rows += loss_rows(plan, intervals)
    if plan.resource != "flops" or plan.inference_tokens:
        rows.append(flops(f"training FLOPs ({training})", plan.flops, intervals.get("flops")))
    if plan.inference_tokens:
        rows.append(flops(f"inference FLOPs ({inference})", plan.inference_flops))
    if plan.device_hours is not None:
        rows.append(quantity("training device hours", plan.device_hours, plan.device_hours_interval))
    if plan.inference_tokens and plan.inference_device_hours is not None:
        rows.append(quantity("inference device hours", plan.inference_device_hours))
    return rows


def loss_rows(plan: Plan, intervals: Mapping[str, Interval]) -> list[Row]:
    """The predicted loss with its interval of a new run, and beside it the one of the fit, which promises less."""
    named, value = f"predicted loss ({SHORT[plan.loss_unit]})", f"{plan.loss:.4f}"
    of_new_run, of_fit = (
        None if (ends := intervals.get(name)) is None else interval_text(ends, "{:.4f}".format)
        for name in ("loss", "loss_of_fit")
    )
    if of_fit is None:
        return [(named, value, of_new_run or "-")]
    return [
        (f"{named}, of a new run", value, of_new_run or "-"),
        (f"the same, {OF_FIT}", value, of_fit),
    ]


def plan_sentence(plan: Plan) -> str:
    """The plan in a line, with the intervals of N, T and loss."""
    intervals = plan.intervals or {}

    def amount(name: str, value: float) -> str:
        ends = intervals.get(name)
        return format_quantity(value) + ("" if ends is None else f" {interval_text(ends, format_quantity)}")

    loss = ""
    if plan.loss is not None:
        loss = f", loss {plan.loss:.4f} {SHORT[plan.loss_unit]}"
        for name, words in (("loss", OF_NEW_RUN), ("loss_of_fit", OF_FIT)):
            if name in intervals:
                loss += f" {interval_text(intervals[name], '{:.4f}'.format)} {words}"
                break
    return (
        f"{budget_text(plan)} by {plan.law_name} [{plan.law_form}]: {f'{plan.shape}, ' if plan.shape else ''}"
        f"{amount('params', plan.params)} {plan.params_convention} parameters, "
        f"{amount('tokens', plan.tokens)} tokens{loss}"
    )


def plan_notes(plan: Plan) -> list[str]:
    """What must be read with a plan: how its intervals were made, how flat and how far away the optimum is."""
    shapes = ", ".join(map(str, plan.nearest_shapes[:SHOWN]))
    measured = () if plan.throughput is None else plan.throughput.flags
    return [
        plan.intervals_note,
        *plan.notes,
        near_sentence(plan.near_optimal, plan.loss),
        *([f"shapes nearest to N: {shapes}"] if shapes else []),
        f"extrapolation: {plan.extrapolation.sentence()}",
        *(other.sentence for other in plan.compared),
        *([] if plan.as_good is None else plan.as_good.notes),
        *labelled(("flag", plan.flags), ("flag of the step times", measured)),
    ]


def plan_html(plan: Plan) -> str:
    """A plan in a notebook."""
    included = (
        f", inference on {format_quantity(plan.inference_tokens)} tokens included"
        if plan.inference_tokens
        else ""
    )
    return html_table(
        f"Plan for {budget_text(plan)}{included}, by {plan.law_name} [{plan.law_form}]"
        + (f": shape {plan.shape}" if plan.shape else ""),
        ("", "optimum", "interval"),
        plan_rows(plan),
        (
            f"law: {plan.law_source}",
            *plan_notes(plan),
            f"shapes counted with {plan.models}",
            *labelled(("assumed", plan.assumptions)),
        ),
    )


def plans_header(plans: Sequence[Plan]) -> Row:
    """Of several plans, whose losses have one unit."""
    unit = plans[0].loss_unit if plans else "nats"
    return (
        "budget",
        "law",
        "shape",
        "N",
        "T (tokens)",
        f"predicted loss ({SHORT[unit]})",
        f"interval {OF_NEW_RUN}",
    )


def plans_rows(plans: Sequence[Plan]) -> list[Row]:
    """One row for each of several plans."""
    return [
        (
            budget_text(plan),
            plan.law_name,
            str(plan.shape or "-"),
            f"{format_quantity(plan.params)} ({plan.params_convention})",
            format_quantity(plan.tokens),
            "-" if plan.loss is None else f"{plan.loss:.4f}",
            interval_text((plan.intervals or {}).get("loss"), "{:.4f}".format),
        )
        for plan in plans
    ]


def near_sentence(near: NearOptimal | None, loss: float | None = None) -> str:
    """How many shapes are about as good, and what they span; `loss` is that of the plan."""
    if near is None:
        return "no near-optimal set: this law predicts no loss" if loss is None else "no shape comes near"
    beyond = (
        f"; it reaches the edge of the search ({', '.join(near.truncated_by)})" if near.truncated_by else ""
    )
    return (
        f"{near.count:,} shapes lie within {near.tolerance:.2%} of the best loss: widths {near.width[0]} to "
        f"{near.width[1]}, depths {near.depth[0]} to {near.depth[1]}{beyond}{_agreed(near)}"
    )


def _agreed(near: NearOptimal) -> str:
    """How many of the members that are listed nearly all draws of the law agree on; nothing without draws."""
    shares = [member.share for member in near.members if member.share is not None]
    if not shares:
        return ""
    agreed = sum(share >= AGREED for share in shares)
    return f"; of {len(shares)} spread over them {agreed} are so in {AGREED:.0%} of the law's draws or more"


def member_rows(near: NearOptimal, most: int | None = SHOWN) -> list[Row]:
    """Its members, those that most draws agree on first; `most` of them at most."""
    return [
        (
            m.shape,
            format_quantity(m.tokens),
            f"{m.loss:.4f}",
            f"{m.loss_increase:.3%}",
            "-" if m.share is None else f"{m.share:.0%} of draws",
        )
        for m in near.members[:most]
    ]


def near_html(near: NearOptimal) -> str:
    """A near-optimal set in a notebook."""
    return html_table(
        near_sentence(near),
        member_header(near.loss_unit),
        member_rows(near),
        (
            f"{min(SHOWN, len(near.members))} of {len(near.members)} spread over the set: first those that most draws "
            "agree on, then the least loss",
        ),
    )


def overspend_unit(found: Overspend) -> str:
    """What was spent, with its convention."""
    if found.resource == "device_hours":
        return "device hours"
    return f"FLOPs ({flops_convention(found.resource_convention)})"


def overspend_header(found: Overspend) -> Row:
    """Of the rows below."""
    return "run", f"loss ({SHORT[found.loss_unit]})", overspend_unit(found), "overspend", "leave one out"


def overspend_rows(found: Overspend) -> list[Row]:
    """Every run, the largest overspend first."""
    return [
        (
            one.name,
            f"{one.loss:.4f}",
            f"{one.resource:.4g}",
            "-" if one.overspend is None else "frontier" if one.on_frontier else f"{one.overspend:.1%}",
            "-" if one.on_frontier else interval_text(one.leave_one_out, "{:.1%}".format),
        )
        for one in found.shapes
    ]


def overspend_heading(found: Overspend) -> str:
    """What was compared."""
    selection = f" ({found.selection})" if found.selection else ""
    return (
        f"{found.dataset}{selection}: {len(found.shapes)} runs after {format_quantity(found.tokens_used, 4)} "
        f"tokens, method {found.method}; frontier over {overspend_unit(found)}: "
        f"{', '.join(one.name for one in found.frontier)}"
    )


def overspend_notes(found: Overspend) -> list[str]:
    """What must be read with it."""
    return labelled(
        ("no overspend", [f"{one.name}: {one.reason}" for one in found.shapes if one.reason]),
        ("note", found.notes),
        ("assumed", found.assumptions),
    )


def overtrain_header(found: Overtraining) -> Row:
    """Of the rows below."""
    interval = "interval" if found.level is None else f"{level_text(found.level)} interval"
    of_loss = f"{interval} {OF_NEW_RUN}"
    return (
        "T over optimal",
        "shape",
        f"N ({found.params_convention})",
        "T (tokens)",
        "T/N",
        f"predicted loss ({SHORT[found.optimum.loss_unit]})",
        of_loss,
        "increase",
        interval,
    )


def overtrain_rows(found: Overtraining) -> list[Row]:
    """Every factor, in the order asked for."""
    return [_overtrained(point) for point in found.points]


def _overtrained(point: Overtrained) -> Row:
    written = (f"{point.factor:.4g}", str(point.shape or "-"))
    if point.params is None:
        return (*written, "-", format_quantity(point.tokens), "-", "-", "-", "-", "-")
    return (
        *written,
        format_quantity(point.params),
        format_quantity(point.tokens),
        f"{point.tokens / point.params:.3g}",
        f"{point.loss:.4f}",
        interval_text(point.loss_interval, "{:.4f}".format),
        f"{point.loss_increase:.2%}",
        interval_text(point.increase_interval, "{:.2%}".format),
    )


def overtrain_heading(found: Overtraining) -> str:
    """The budget and its optimum."""
    best = found.optimum
    return (
        f"For {budget_text(best)} by {best.law_name} [{best.law_form}]: the optimum is "
        + (f"{best.shape}, " if best.shape else "")
        + f"{format_quantity(best.params)} {found.params_convention} parameters, "
        f"{format_quantity(best.tokens)} tokens"
    )


def overtrain_notes(found: Overtraining) -> list[str]:
    """What it comes to in words, and what must be read with it."""
    best = found.optimum
    return [
        *([] if found.sentence is None else [f"in words: {found.sentence}"]),
        f"extrapolation at the optimum: {best.extrapolation.sentence()}",
        *labelled(
            ("no design", [f"factor {p.factor:.3g}: {p.reason}" for p in found.points if p.reason]),
            ("note", found.notes),
            ("flag", best.flags),
            ("assumed", best.assumptions),
        ),
    ]


def sensitivity_heading(found: Sensitivity) -> str:
    """What was tried."""
    return f"Sensitivity of {found.dataset}: {len(found.studies):,} studies from {found.distinct_fits:,} distinct fits"


def sensitivity_html(found: Sensitivity) -> str:
    """The shares of the choices in the variance of log N* at the headline budget, in a notebook."""
    budget = found.headline_budget
    shares = [s for s in found.decompositions if s.quantity == "n_opt" and s.budget == budget]
    return html_table(
        sensitivity_heading(found),
        ("choice", f"share of the variance of log N* at {format_flops(budget)} FLOPs", "interval"),
        [
            (
                share.choice.replace("_", " "),
                f"{share.share:.1%}",
                interval_text(share.interval, "{:.0%}".format),
            )
            for share in shares
        ],
        sensitivity_notes(found),
    )


def sensitivity_notes(found: Sensitivity) -> list[str]:
    """All of it in a sentence, the base study, how intervals were made, and what was refused or assumed."""
    resampled = f"{level_text(found.level)} intervals from {found.bootstrap} resamples by run, the same in every study"
    if found.frontiers_found:
        resampled += f"; those of Approach 1 are {OF_FRONTIER}"
    base = ", ".join(f"{value}" for value in found.base.choices.summary().values() if value is not None)
    return [
        found.sentence,
        resampled if found.bootstrap else NO_DRAWS,
        f"base study: {base}; N counts, and FLOPs are counted, as each study's conventions say",
        *labelled(
            ("flag", found.flags),
            ("refused", [f"{one.combinations:,} combinations: {one.reason}" for one in found.refused]),
            ("assumed", found.assumptions),
        ),
    ]
