"""`gemstones plan BUDGET`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.cli.options import Json, Ranges
from gemstones.cli.output import format_interval, print_json, print_notes, print_table
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAW_NAMES, REFIT, FrontierLaw, published
from gemstones.plan.plan import NEAR, Plan, default_constraints
from gemstones.plan.plan import plan as make_plan
from gemstones.units import format_quantity, parse_quantity


def plan(
    budget: Annotated[str, Parameter(help="FLOPs to spend, like 1e22.")],
    /,
    *,
    law: Annotated[
        str, Parameter(help=f"A law by name ({', '.join(LAW_NAMES)}), or a file of `gemstones fit --output`.")
    ] = REFIT,
    ranges: Ranges = Ranges(),
    near: Annotated[float, Parameter(help="Tolerance of the near-optimal set, a fraction of loss.")] = NEAR,
    near_all: Annotated[
        bool, Parameter(negative="", show_default=False, help="List every near-optimal shape.")
    ] = False,
    json: Json = False,
) -> None:
    """What to train for a budget of FLOPs.

    The shape of least predicted loss among all feasible ones (multiples of 256 to width 65,536, depths 1 to
    1,024), with its tokens, the interval of each from the law's bootstrap draws, and every shape that is
    nearly as good. Laws in N and T alone give N and T under C = 6NT, and the shapes nearest to N.
    """
    budget_flops = parse_quantity(budget, "budget")
    chosen, name = _law(law)
    bare = chosen.law if isinstance(chosen, Fit) else chosen
    made = make_plan(
        budget_flops,
        chosen,
        constraints=ranges.over(default_constraints(bare)),
        near=near,
        everything=near_all,
        name=name,
    )
    if json:
        print_json(made.summary())
    else:
        _print(made, near_all)


def _law(name: str) -> tuple[Fit | Law | FrontierLaw, str]:
    if name in LAW_NAMES:
        return published(name), name
    if name.endswith(".json") or os.path.exists(name):  # noqa: PTH110 (Path raises for names that are too long)
        return Fit.load(name), Path(name).name
    raise InvalidRequest(
        f"law {name!r} is neither a law ({', '.join(LAW_NAMES)}) nor a file written by `gemstones fit --output`"
    )


def _print(made: Plan, everything: bool) -> None:
    convention = f"{made.params_convention} parameters"
    flops = (
        "Appendix G"
        if made.flops_convention == "gemstones"
        else made.flops_convention.replace("6N", "6·N·T, N")
    )
    shape = f"shape {made.shape}, " if made.shape else ""
    print(
        f"For {format_quantity(made.budget_flops)} FLOPs ({flops}) by {made.law_name} [{made.law_form}]: {shape}"
        f"{format_quantity(made.params)} {convention}, {format_quantity(made.tokens)} tokens"
    )
    intervals = made.intervals or {}
    rows = []
    if made.shape:
        rows += [
            ("width", f"{made.shape.width}", format_interval(intervals.get("width"), "{:.0f}".format)),
            ("depth", f"{made.shape.depth}", format_interval(intervals.get("depth"), "{:.0f}".format)),
        ]
    rows += [
        (
            f"N ({convention})",
            format_quantity(made.params),
            format_interval(intervals.get("params"), format_quantity),
        ),
        (
            "T (tokens)",
            format_quantity(made.tokens),
            format_interval(intervals.get("tokens"), format_quantity),
        ),
        (
            f"T/N ({made.params_convention})",
            f"{made.tokens_per_param:.3g}",
            format_interval(intervals.get("tokens_per_param"), "{:.3g}".format),
        ),
    ]
    if made.loss is not None:
        loss = format_interval(intervals.get("loss"), "{:.4f}".format)
        rows.append(("predicted loss (nats)", f"{made.loss:.4f}", loss))
    print_table("", ("", "optimum", "interval"), rows)
    print(made.intervals_note)
    if made.relaxed:
        relaxed = made.relaxed
        print(
            f"relaxed (real-valued): width {relaxed['width']:.1f}, depth {relaxed['depth']:.1f}, "
            f"{format_quantity(relaxed['tokens'])} tokens, predicted loss {relaxed['loss']:.4f}"
        )
    print(f"shapes counted with {made.models}")
    print(f"extrapolation: {made.extrapolation.sentence()}")
    if made.nearest_shapes:
        print(f"shapes nearest to N: {', '.join(map(str, made.nearest_shapes))}")
    _print_near(made, everything)
    print_notes(("flag", made.flags), ("assumed", made.assumptions))


def _print_near(made: Plan, everything: bool) -> None:
    near = made.near_optimal
    if near is None:
        print(
            "no near-optimal set: this law predicts no loss" if made.loss is None else "no shape comes near"
        )
        return
    beyond = (
        f"; it reaches the edge of the search ({', '.join(near.truncated_by)})" if near.truncated_by else ""
    )
    print(
        f"{near.count:,} shapes lie within {near.tolerance:.2%} of the best loss: widths {near.width[0]} to "
        f"{near.width[1]}, depths {near.depth[0]} to {near.depth[1]}{beyond}"
        + ("" if everything else "; the best of those spread over the set (--near-all lists every one):")
    )
    members = near.members if everything else near.members[:10]
    print_table(
        "",
        ("shape", "tokens", "predicted loss (nats)", "over the best"),
        [(m.shape, format_quantity(m.tokens), f"{m.loss:.4f}", f"{m.loss_increase:.3%}") for m in members],
    )
