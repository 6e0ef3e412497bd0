"""`Plan`: what to train for a budget, and `plan`, which makes one from any law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack, overload

import msgspec

from gemstones.arguments import checked
from gemstones.bounds import DEVICE_HOURS, FLOPS
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAW_NAMES, REFIT, FrontierLaw, given_law
from gemstones.planning.as_good import as_good
from gemstones.planning.cost import FLOPS as FLOPS_ALONE
from gemstones.planning.cost import Cost, amount_text
from gemstones.planning.defaults import default_constraints
from gemstones.planning.extrapolation import MOST_DECADES, Extrapolation
from gemstones.planning.plans import Plans
from gemstones.planning.request import Request
from gemstones.planning.result import Plan
from gemstones.planning.sight import sight
from gemstones.shape import FloatArray
from gemstones.timing.step_time import StepTime

NEAR = 0.005
"""Default tolerance of the near-optimal set, a fraction of loss."""


class PlanOptions(TypedDict, total=False):
    """The arguments of `plan` beside budget (FLOPs, or what `cost` counts) and law; each may be left out.

    >>> options: PlanOptions = {"near": 0.002}
    >>> print(plan(1e22, **options).shape)
    3072x50
    """

    cost: Cost
    throughput: StepTime | None
    constraints: Constraints | None
    near: float
    everything: bool
    of: Mapping[str, str] | None
    force: bool
    name: str | None


@overload
def plan(  # type: ignore[overload-overlap]
    budget: float | str, law: Fit | Law | FrontierLaw | str | Path = REFIT, **options: Unpack[PlanOptions]
) -> Plan: ...
@overload
def plan(
    budget: Sequence[float | str] | FloatArray,
    law: Fit | Law | FrontierLaw | str | Path = REFIT,
    **options: Unpack[PlanOptions],
) -> Plans: ...
@checked
def plan(
    budget: float | str | Sequence[float | str] | FloatArray,
    law: Fit | Law | FrontierLaw | str | Path = REFIT,
    *,
    cost: Cost = FLOPS_ALONE,
    throughput: StepTime | None = None,
    constraints: Constraints | None = None,
    near: float = NEAR,
    everything: bool = False,
    of: Mapping[str, str] | None = None,
    force: bool = False,
    name: str | None = None,
) -> Plan | Plans:
    """What to train for `budget`, of FLOPs or of what `cost` says, under a `law` or a fit, or the name or file of one.

    Several budgets give `Plans`, in their order. The law is by default ours, gemstones-refit. A law of shapes gives
    the exact optimum over all feasible shapes of `constraints`, FLOPs counted by Appendix G; one in N and T gives
    Hoffmann's closed form under 6·N·T and the feasible shapes nearest to N and, for device hours, the best of the
    shapes of ordinary aspect ratio. Where the fitted runs gave FLOPs of their own, both count with what was learned
    from them, unless `cost` says otherwise. `throughput` adds the device hours of a plan for FLOPs. `near` is the
    tolerance of the near-optimal set (a fraction of loss), all of whose members are listed with `everything`. Of a law
    whose constants differ by a column, `of` says which value is meant, like `{"recipe": "muon"}`; `name` is what the
    law is called. Raises `EdgeOfSearch` if the optimum lies on the edge of the search, and `InvalidRequest` if
    inference alone takes more than the budget, or if the plan lies more than 4 decades of FLOPs from the fitted runs,
    unless `force` is True.

    >>> from gemstones.timing.step_time import gemstones_step_time
    >>> print(plan(1e5, "gemstones-refit", cost=Cost(step_time=gemstones_step_time())).shape)  # device hours
    5120x36
    >>> [str(one.shape) for one in plan([1e20, 1e21])]
    ['1280x19', '2048x30']
    """
    if name is None and isinstance(law, str) and law in LAW_NAMES:
        name = law
    if not isinstance(budget, float | int | str):
        if not len(budget):
            raise InvalidRequest("budget [] is empty: give one budget or a list of them, like [1e20, 1e22]")
        law = given_law(law)
        of_each: PlanOptions = {
            "cost": cost, "throughput": throughput, "constraints": constraints, "near": near,
            "everything": everything, "of": of, "force": force, "name": name,
        }  # fmt: skip
        return Plans([plan(one, law, **of_each) for one in budget])
    if not 0 <= near < 1:
        raise InvalidRequest(f"near {near} must be a fraction of loss from 0 to below 1, like 0.005")
    request = _request(
        budget,
        of_groups(given_law(law), of),
        cost,
        throughput,
        constraints,
        name,
        near=near,
        everything=everything,
    )
    found = _found(request, force)
    if request.fit is None or request.fit.chosen is None:
        return found
    chosen = request.fit.chosen

    def other(law: Law) -> Plan:
        return _found(
            _request(budget, law, request.cost, None, request.constraints, None, alone=True), force=True
        )

    return replace(
        found, as_good=as_good(found, chosen.near_laws, len(chosen.candidates), chosen.reason, other)
    )


def curve_point(budget: float, law: Fit | Law | FrontierLaw, name: str | None = None) -> Plan:
    """The plan for so many FLOPs as a curve over budgets draws it: the optimum and its intervals, without what is near
    it, beside it or as good. Raises as `plan` does."""
    return _found(_request(budget, law, FLOPS_ALONE, None, None, name, alone=True), force=False)


def _request(
    budget: float | str,
    law: Fit | Law | FrontierLaw,
    cost: Cost,
    throughput: StepTime | None,
    constraints: Constraints | None,
    name: str | None,
    *,
    near: float = NEAR,
    everything: bool = False,
    alone: bool = False,
) -> Request:
    bare = law.law if isinstance(law, Fit) else law
    cost = cost.of_law(bare)
    return Request(
        (FLOPS if cost.resource == "flops" else DEVICE_HOURS).parse(budget),
        cost,
        cost.step_time or throughput,
        bare,
        law if isinstance(law, Fit) else None,
        name or bare.name,
        constraints or default_constraints(bare),
        near,
        everything,
        alone,
    )


def _found(request: Request, force: bool) -> Plan:
    from gemstones.planning.by_params import plan_frontier, plan_params
    from gemstones.planning.by_shape import plan_shape

    law = request.law
    if not force and request.cost.resource == "flops":  # before the search ends on its edge
        _check_reach(request, Extrapolation.of(law.fitted, flops=request.budget, params=None, tokens=None))
    if isinstance(law, FrontierLaw):
        found = plan_frontier(request, law)
    elif sight(law) == "size" and request.cost.resource == "flops":
        found = plan_params(request, law)
    else:
        found = plan_shape(request, law)
    if not force:
        _check_reach(request, found.extrapolation)
    return found


def _check_reach(request: Request, extrapolation: Extrapolation) -> None:
    if extrapolation.too_far:
        raise InvalidRequest(
            f"{amount_text(request.budget, request.cost.resource)} is {extrapolation.sentence()}: beyond "
            f"{MOST_DECADES:g} decades no law has been tested; choose a budget nearer to the runs, or ask for it all "
            "the same with --force"
        )


def of_groups(law: Fit | Law | FrontierLaw, of: Mapping[str, str] | None) -> Fit | Law | FrontierLaw:
    """The law, or the fit with its draws, of one value of each column between which its constants differ."""
    if not of:
        return law
    bare = law.law if isinstance(law, Fit) else law
    groups = () if isinstance(bare, FrontierLaw) else bare.parsed_form.groups
    for column in of:
        if column not in groups:
            differs = f"it differs by {', '.join(groups)}" if groups else "its constants differ by no column"
            raise InvalidRequest(f"law {bare.form} has no group {column}: {differs}")
    assert isinstance(bare, Law)
    one, index = bare.of_group(**of)
    if not isinstance(law, Fit):
        return one
    draws = tuple(tuple(float(x) for x in draw) for draw in law.theta_draws[:, index])
    return msgspec.structs.replace(law, law=one, drawn=draws)
