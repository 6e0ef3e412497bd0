"""`gemstones plan [BUDGET] [RUNS]`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gemstones.analyses.downstream.planned import BENCHMARKS, EVERY, PlannedTask, task_of_plan
from gemstones.bounds import INFERENCE_TOKENS
from gemstones.cli.law_option import Of, law_of
from gemstones.cli.options import FLAG, Json, Ranges, Verbose, worker_count
from gemstones.cli.output import print_json, print_notes, print_table, say, say_trust
from gemstones.cli.plan_runs import RunsToPlan, budget_and_runs
from gemstones.cli.throughput_option import Throughput, step_time_of
from gemstones.display import cautions
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.published import LAW_NAMES, REFIT, FrontierLaw
from gemstones.planning.compared import OTHERS
from gemstones.planning.cost import Cost
from gemstones.planning.defaults import default_constraints, default_throughput
from gemstones.planning.flop_optimal import Beside, flop_optimal
from gemstones.planning.plan import NEAR
from gemstones.planning.plan import plan as make_plan
from gemstones.planning.result import Plan
from gemstones.planning.shown import (
    SHOWN,
    budget_text,
    flops_convention,
    member_header,
    member_rows,
    near_sentence,
    plan_rows,
    short_rows,
)
from gemstones.printable import printable
from gemstones.runs.loss_units import SHORT
from gemstones.runs.tasks import CHANCE, task_name
from gemstones.timing.step_time import gemstones_step_time
from gemstones.units import format_flops, format_quantity

PlannedRuns = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(
        help="Runs to fit a law to first: a known data set (`gemstones data list`) or files of runs, as "
        "`gemstones fit` takes them."
    ),
]
PlannedLaw = Annotated[
    str | None,
    Parameter(
        show_default=False,
        help=f"A law by name ({', '.join(LAW_NAMES)}), or a file of `gemstones fit --output` (default: {REFIT}); of "
        "RUNS a form to fit, like N,T or (w,d,N,T)^p (default: auto, the form that backtests choose).",
    ),
]


def plan(
    budget: Annotated[str | None, Parameter(help="FLOPs to spend, like 1e22.", show_default=False)] = None,
    runs: PlannedRuns = (),
    /,
    *,
    device_hours: Annotated[
        str | None, Parameter(help="Device hours to spend instead of FLOPs, like 1e5.", show_default=False)
    ] = None,
    inference_tokens: Annotated[
        str | None,
        Parameter(help="Tokens that the budget also infers, like 1e13 or 10T.", show_default=False),
    ] = None,
    throughput: Throughput = None,
    law: PlannedLaw = None,
    reading: RunsToPlan = RunsToPlan(),
    ranges: Ranges = Ranges(),
    near: Annotated[float, Parameter(help="Tolerance of the near-optimal set, a fraction of loss.")] = NEAR,
    near_all: Annotated[bool, FLAG, Parameter(help="List every near-optimal shape.")] = False,
    want: Annotated[
        str | None,
        Parameter(
            show_default=False,
            help="A task, or `task` for the mean of all: what the optimum and each near-optimal shape score on it, by "
            f"RUNS that have accuracies (default: {BENCHMARKS}).",
        ),
    ] = None,
    of: Of = (),
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What to train for a budget of FLOPs or of device hours.

    The shape of least predicted loss among all feasible ones (multiples of 256 to width 65,536, depths 1 to
    1,024), with its tokens, the interval of each from the law's bootstrap draws, and every shape that is
    nearly as good. Laws in N and T alone give N and T under C = 6NT, and the shapes nearest to N. With
    --device-hours, the plan of least loss for the FLOPs that come out stands beside it.

    Of RUNS the law is fitted first: by default the form that backtests choose, and the plan says what the forms that
    predict as well would train. With --want, what all of these shapes score on a task.

    Example: gemstones plan 1e22 --law fit.json
    """
    budget, runs = budget_and_runs(budget, runs, device_hours)
    if (budget is None) == (device_hours is None):
        raise InvalidRequest(
            "give either a budget of FLOPs, like `gemstones plan 1e22`, or one of hours, like `--device-hours 1e5`"
        )
    chosen, name = law_of(reading.law(runs, law), of)
    constraints = ranges.over(default_constraints(chosen.law if isinstance(chosen, Fit) else chosen))
    model = step_time_of(throughput) or default_throughput(chosen)
    cost = Cost(
        step_time=None if device_hours is None else model or gemstones_step_time(),
        inference_tokens=0.0 if inference_tokens in {None, "0"} else INFERENCE_TOKENS.parse(inference_tokens),
    )
    made = make_plan(
        budget or device_hours or "",
        chosen,
        cost=cost,
        throughput=model,
        constraints=constraints,
        near=near,
        everything=near_all,
        force=reading.force,
        name=name,
    )
    beside = None
    if device_hours is not None and not isinstance(chosen, FrontierLaw):
        beside = flop_optimal(made, chosen, constraints=constraints)
    scored = None if want is None else _scored(made, reading, runs, want)
    if json:
        others = {"flop_optimal": beside} | ({} if scored is None else {"task": scored})
        print_json(made.summary() | {k: None if one is None else one.summary() for k, one in others.items()})
        return
    _print(made, beside, verbose, near_all, scored)
    if scored is None or not (verbose or near_all):
        return
    if scored.members:
        print_table("", scored.header, scored.rows(None if near_all else SHOWN))
    for note in scored.notes:
        say(printable(note))


TRUST: dict[str | None, str] = {"within": "green", "near": "yellow", "far": "red", None: "yellow"}
"""Colours of how far a plan lies from the fitted runs."""
MOST_NEAREST = 5
"""Shapes nearest to N in the short answer."""


def _scored(made: Plan, reading: RunsToPlan, runs: tuple[str, ...], want: str) -> PlannedTask:
    from gemstones.runs import load

    known = want in EVERY or all(task_name(one) in CHANCE for one in want.split(","))
    if not runs and not known:  # before anything is fetched
        raise InvalidRequest(
            f"--want {want!r} is no known task: choose `task` for the mean of all, or one that {BENCHMARKS} has, like "
            f"hellaswag (`gemstones data show {BENCHMARKS}`), or give RUNS that have it"
        )
    table = reading.selected(runs) if runs else load(BENCHMARKS).select()
    draws = reading.bootstrap
    workers = worker_count(reading.workers)
    return task_of_plan(
        made, table, want, bootstrap=draws, seed=reading.seed, workers=workers, force=reading.force
    )


def _print(
    made: Plan, beside: Beside | None, verbose: bool, everything: bool, scored: PlannedTask | None
) -> None:
    included = (
        f", inference on {format_quantity(made.inference_tokens)} tokens included,"
        if made.inference_tokens
        else ""
    )
    asked = f"For {budget_text(made)}{included} by {made.law_name} [{made.law_form}]"
    if verbose:
        _print_whole(made, asked, beside, everything)
    else:
        _print_short(made, asked, beside, everything, scored)
    print_notes(("assumed", made.assumptions))


def _print_short(
    made: Plan, asked: str, beside: Beside | None, everything: bool, scored: PlannedTask | None
) -> None:
    """The answer, how far to trust it and what others would train: a dozen lines of 80 columns."""
    say(f"{asked}:")
    rows = short_rows(made)
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for name, value, interval in rows:
        say(f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {interval}".rstrip())
    if made.nearest_shapes:
        say(f"  shapes nearest to N: {', '.join(map(str, made.nearest_shapes[:MOST_NEAREST]))}")
    # How large the loss is has the form's error in its interval; which shape is best has not.
    best = "shape, N and T" if made.shape else "N and T"
    of_form = f"; of {best} if the form is right" if "loss" in (made.intervals or {}) else ""
    say(made.intervals_note.partition("; ")[0] + of_form)
    if beside is not None:
        say(beside.sentence)
    if everything:
        _print_near(made, True, everything)
    forms = () if made.as_good is None else made.as_good.notes
    for note in forms[-1:]:
        say(note)
    for other in made.compared:
        if other.law in OTHERS:
            say(other.sentence)
    if scored is not None and not everything:
        say(printable(f"{scored.sentence}; by the law of {scored.law.task} on {scored.law.dataset}"))
    count = len(made.flags) + (0 if made.throughput is None else len(made.throughput.flags))
    count += 0 if scored is None else len(scored.law.flags)
    colour = TRUST[made.extrapolation.reach]
    say_trust(made.extrapolation.sentence(), count, "yellow" if count and colour == "green" else colour)


def _print_whole(made: Plan, asked: str, beside: Beside | None, everything: bool) -> None:
    """All that is known of the answer."""
    shape = f"shape {made.shape}, " if made.shape else ""
    say(
        f"{asked}: {shape}{format_quantity(made.params)} {made.params_convention} parameters, "
        f"{format_quantity(made.tokens)} tokens"
    )
    print_table("", ("", "optimum", "interval"), plan_rows(made))
    for note in (made.intervals_note, *made.notes):
        say(note)
    if beside is not None:
        _print_beside(beside)
    _print_ground(made)
    say(f"extrapolation: {made.extrapolation.sentence()}", TRUST[made.extrapolation.reach])
    for note in (*(other.sentence for other in made.compared), *(made.as_good.notes if made.as_good else ())):
        say(note)
    if made.nearest_shapes:
        say(f"shapes nearest to N: {', '.join(map(str, made.nearest_shapes))}")
    _print_near(made, True, everything)
    measured = () if made.throughput is None else made.throughput.flags
    print_notes(("caution", cautions(made.flags)), ("caution about the step times", cautions(measured)))


def _print_ground(made: Plan) -> None:
    """What the answer rests on."""
    if made.relaxed:
        relaxed = made.relaxed
        say(
            f"relaxed (real-valued): width {relaxed['width']:.1f}, depth {relaxed['depth']:.1f}, "
            f"{format_quantity(relaxed['tokens'])} tokens, predicted loss {relaxed['loss']:.4f}"
        )
    say(f"shapes counted with {made.models}")


def _print_beside(beside: Beside) -> None:
    made, other = beside.time_optimal, beside.flop_optimal
    if other is None:
        say(f"no plan for the same FLOPs beside it: {beside.note}")
        return
    rows = [
        ("shape", *(str(one.shape or "-") for one in (made, other))),
        (f"N ({made.params_convention})", *(format_quantity(one.params) for one in (made, other))),
        ("T (tokens)", *(format_quantity(one.tokens) for one in (made, other))),
        (f"T/N ({made.params_convention})", *(f"{one.tokens_per_param:.3g}" for one in (made, other))),
        (
            f"predicted loss ({SHORT[made.loss_unit]})",
            *("-" if one.loss is None else f"{one.loss:.4f}" for one in (made, other)),
        ),
        (
            "FLOPs",
            *(
                f"{format_flops(one.budget_flops)} ({flops_convention(one.flops_convention)})"
                for one in (made, other)
            ),
        ),
        (
            "device hours",
            *(
                "-" if one.total_device_hours is None else format_quantity(one.total_device_hours)
                for one in (made, other)
            ),
        ),
    ]
    print_table("", ("", "best for the device hours", "best for as many FLOPs"), rows)
    if beside.device_hours_ratio is not None and beside.loss_change is not None:
        say(
            f"the shape that is best for the FLOPs takes {beside.device_hours_ratio:.3g} times the device hours, for "
            f"{beside.loss_change:+.3%} loss"
        )
    if beside.note:
        say(beside.note)


def _print_near(made: Plan, listed: bool, everything: bool) -> None:
    near = made.near_optimal
    if near is None or not listed:
        say(near_sentence(near, made.loss))
        return
    spread = "" if everything else "; first those that do so most often (--near-all lists every one):"
    say(near_sentence(near, made.loss) + spread)
    print_table("", member_header(made.loss_unit), member_rows(near, None if everything else SHOWN))
