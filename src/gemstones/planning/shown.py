"""Plans and what follows from them as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gemstones.display import Row, cautions, html_table, interval_text, labelled
from gemstones.planning.cost import amount_text
from gemstones.runs.loss_units import SHORT, LossUnit
from gemstones.units import format_flops, format_quantity

if TYPE_CHECKING:
    from gemstones.planning.near import NearOptimal
    from gemstones.planning.result import Plan
    from gemstones.units import Interval

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

    def quantity(name: str, value: float, ends: Interval | None = None) -> Row:
        return name, format_quantity(value), interval_text(ends, format_quantity)

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
    rows += _flops_rows(plan, "-")
    if plan.device_hours is not None:
        rows.append(quantity("training device hours", plan.device_hours, plan.device_hours_interval))
    if plan.inference_tokens and plan.inference_device_hours is not None:
        rows.append(quantity("inference device hours", plan.inference_device_hours))
    return rows


def _flops_rows(plan: Plan, none: str) -> list[Row]:
    """Of a plan for device hours, or with inference: the FLOPs that it comes to; `none` stands for no interval."""
    training, inference = (flops_convention(plan.flops_convention, x) for x in ("6·N·T", "2·N a token"))
    ends = (plan.intervals or {}).get("flops")
    of_training = none if ends is None else interval_text(ends, format_flops)
    rows: list[Row] = []
    if plan.resource != "flops" or plan.inference_tokens:
        rows.append((f"training FLOPs ({training})", format_flops(plan.flops), of_training))
    if plan.inference_tokens:
        rows.append((f"inference FLOPs ({inference})", format_flops(plan.inference_flops), none))
    return rows


def short_rows(plan: Plan) -> list[Row]:
    """The answer alone: each quantity once, with its interval; that of the loss is of a new run where there is one."""
    intervals = plan.intervals or {}

    def interval(name: str, write: Callable[[float], str]) -> str:
        return interval_text(intervals[name], write) if name in intervals else ""

    rows: list[Row] = []
    if plan.shape is not None:
        sizes = (
            f"{name} {interval(name, '{:.0f}'.format)}" for name in ("width", "depth") if name in intervals
        )
        rows.append(("shape", str(plan.shape), ", ".join(sizes)))
    ratio = f"T/N {plan.tokens_per_param:.3g} {interval('tokens_per_param', '{:.3g}'.format)}".strip()
    tokens = interval("tokens", format_quantity)
    rows += [
        (
            f"N ({plan.params_convention})",
            format_quantity(plan.params),
            interval("params", format_quantity),
        ),
        ("T (tokens)", format_quantity(plan.tokens), f"{tokens}; {ratio}" if tokens else ratio),
    ]
    if plan.loss is not None:
        of_new_run = interval("loss", "{:.4f}".format)
        of_fit = interval("loss_of_fit", "{:.4f}".format)
        said = f"{of_new_run} {OF_NEW_RUN}" if of_new_run else f"{of_fit} {OF_FIT}" if of_fit else ""
        rows.append((f"loss ({SHORT[plan.loss_unit]})", f"{plan.loss:.4f}", said))
    else:
        rows.append(("loss", "-", "this law predicts no loss"))
    rows += _flops_rows(plan, "")
    if plan.device_hours is not None:
        ends = plan.device_hours_interval
        said = "" if ends is None else interval_text(ends, format_quantity)
        by = "" if plan.throughput is None else f"by the step times of {plan.throughput.dataset}"
        rows.append(("device hours", format_quantity(plan.device_hours), f"{said} {by}".strip()))
    if plan.inference_tokens and plan.inference_device_hours is not None:
        rows.append(("  of inference", format_quantity(plan.inference_device_hours), ""))
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
    return f"{budget_text(plan)} by {plan.law_name} [{plan.law_form}]: {plan_answer(plan)}"


def plan_answer(plan: Plan) -> str:
    """What a plan is to train, and its loss: `3072x50, 7.39B [6.74B, 10.6B] total parameters, 214B tokens, …`."""
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
    shape = f"{plan.shape}, " if plan.shape else ""
    return (
        f"{shape}{amount('params', plan.params)} {plan.params_convention} parameters, "
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
        *labelled(("caution", cautions(plan.flags)), ("caution about the step times", cautions(measured))),
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
        f"; it reaches the edge of the search ({edges_text(near.truncated_by)})" if near.truncated_by else ""
    )
    shapes = "1 shape lies" if near.count == 1 else f"{near.count:,} shapes lie"
    spans = ", ".join(near_spans(near))
    return f"{shapes} within {near.tolerance:.2%} of the best loss: {spans}{beyond}{_agreed(near)}"


def edges_text(edges: Iterable[str]) -> str:
    """Edges of a search over shapes, for people.

    >>> edges_text(["width_min", "depth_max"])
    'least width, greatest depth'
    """
    named = (edge.split("_") for edge in edges)
    return ", ".join(f"{'least' if end == 'min' else 'greatest'} {size}" for size, end in named)


def near_spans(near: NearOptimal) -> tuple[str, str]:
    """Which widths and depths a near-optimal set has: `widths 1536 to 5376`, `depth 3`."""
    width, depth = (
        f"{name} {least}" if least == most else f"{name}s {least} to {most}"
        for name, (least, most) in (("width", near.width), ("depth", near.depth))
    )
    return width, depth


def _agreed(near: NearOptimal) -> str:
    """How many of the members that are listed nearly all draws of the law agree on; nothing without draws."""
    shares = [member.share for member in near.members if member.share is not None]
    if not shares:
        return ""
    agreed = sum(share >= AGREED for share in shares)
    return f"; {agreed} of the {len(shares)} that are kept stay so in {AGREED:.0%} or more of the law's resamples"


def member_rows(near: NearOptimal, most: int | None = SHOWN) -> list[Row]:
    """Its members, those that most draws agree on first; `most` of them at most."""
    return [
        (
            m.shape,
            format_quantity(m.tokens),
            f"{m.loss:.4f}",
            f"{m.loss_increase:.3%}",
            "-" if m.share is None else f"{m.share:.0%} of resamples",
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
            f"{min(SHOWN, len(near.members))} of the {len(near.members)} that are kept, evenly from the set: first "
            "those that are near-optimal in most resamples, then the least loss",
        ),
    )
