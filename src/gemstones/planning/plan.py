"""`Plan`: what to train for a budget, and `plan`, which makes one from any law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import msgspec

from gemstones.accounting.parameters import ParamsConvention
from gemstones.arguments import checked
from gemstones.bounds import DEVICE_HOURS, FLOPS
from gemstones.design.feasible import Constraints
from gemstones.display import few_lines
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law, Models
from gemstones.laws.new_run import new_run_note
from gemstones.laws.published import LAW_NAMES, REFIT, FrontierLaw, given_law
from gemstones.planning.as_good import AsGood, as_good
from gemstones.planning.compared import Compared
from gemstones.planning.cost import FLOPS as FLOPS_ALONE
from gemstones.planning.cost import Cost, amount_text
from gemstones.planning.extrapolation import MOST_DECADES, Extrapolation
from gemstones.planning.near import NearOptimal
from gemstones.planning.plans import Plans
from gemstones.planning.shown import plan_html, plan_notes, plan_sentence
from gemstones.planning.sight import sight
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import FloatArray, Shape
from gemstones.timing.step_time import StepTime, gemstones_step_time
from gemstones.units import Interval, format_quantity

NEAR = 0.005
"""Default tolerance of the near-optimal set, a fraction of loss."""
WIDTH_MULTIPLE, WIDTH_MAX, DEPTH_MAX = 256, 65_536, 1024
"""Default search: multiples of 256 are even numbers of heads of size 128."""
NO_DRAWS = "no interval: this law comes without bootstrap draws"


@dataclass(frozen=True, repr=False)
class Plan:
    """A prescription for a budget, with its interval or a statement that it has none; what `plan` returns.

    FLOPs, tokens, parameters and losses are in base units, in the conventions that it names.

    >>> made = plan(1e22, "gemstones-refit")
    >>> made
    <Plan 1e22 FLOPs (Appendix G) by gemstones-refit [(w,d,N,T)^p]: 3072x50, 7.39B [6.74B, 10.6B] total parameters, ...
    """

    budget: float
    """In `resource`; pays for training, and for inference where there is any."""
    resource: Resource
    law_name: str
    law_form: str
    law_source: str
    params_convention: ParamsConvention
    """Of `params`, `tokens_per_param`, and their intervals."""
    flops_convention: str
    """`gemstones` (Appendix G) where shapes are known, 6·N·T in the law's convention of N otherwise; `given (…)` where
    the runs gave FLOPs of their own, with what was learned from them."""
    shape: Shape | None
    """None for a law that does not know shapes."""
    params: float
    params_total: float | None
    """None where the law counts otherwise and knows no shape."""
    tokens: float
    flops: float
    """Of training."""
    inference_tokens: float
    inference_flops: float
    loss: float | None
    """Predicted; None for a law of the optimum alone."""
    intervals: dict[str, Interval] | None
    """By quantity; `loss` is of a new run, with the error of the form by backtests, and `loss_of_fit` the narrower one
    of the fit, if its form is right. The others are of the fit."""
    intervals_note: str
    relaxed: dict[str, float] | None
    """Real-valued optimum: `width`, `depth`, `params_total`, `tokens`, `loss`; None for a law that does not know
    shapes."""
    near_optimal: NearOptimal | None
    nearest_shapes: tuple[Shape, ...]
    """Feasible shapes nearest to N, for a law that does not know shapes."""
    extrapolation: Extrapolation
    models: Models
    """With what shapes were counted."""
    loss_unit: LossUnit = "nats"
    """Of losses."""
    device_hours: float | None = None
    """Of training; None without a throughput model or a shape."""
    device_hours_interval: Interval | None = None
    """Of what this very plan takes, from the draws of the throughput model."""
    inference_device_hours: float | None = None
    throughput: StepTime | None = None
    """The throughput model that device hours are from."""
    compared: tuple[Compared, ...] = ()
    """What other laws would train for the same FLOPs; empty for other resources."""
    as_good: AsGood | None = None
    """What the forms that predict as well would train; None where the form was not chosen by backtests."""
    notes: tuple[str, ...] = ()
    """How shapes and hours were counted, where that needs saying."""
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def budget_flops(self) -> float:
        """The budget in FLOPs: of a plan for device hours, what training and inference come to."""
        return self.budget if self.resource == "flops" else self.flops + self.inference_flops

    @property
    def total_device_hours(self) -> float | None:
        """Of training and inference."""
        if self.device_hours is None or self.inference_device_hours is None:
            return None
        return self.device_hours + self.inference_device_hours

    @property
    def tokens_per_param(self) -> float:
        """T / N, in the law's convention of N."""
        return self.tokens / self.params

    def __repr__(self) -> str:
        return few_lines(f"Plan {plan_sentence(self)}", plan_notes(self))

    def _repr_html_(self) -> str:
        return plan_html(self)

    def summary(self) -> dict[str, Any]:
        """The plan as plain values: what `gemstones plan --json` prints."""
        return {
            "budget": self.budget,
            "resource": self.resource,
            "budget_flops": self.budget_flops,
            "law": self.law_name,
            "form": self.law_form,
            "source": self.law_source,
            "flops_convention": self.flops_convention,
            "params_convention": self.params_convention,
            "shape": None if self.shape is None else str(self.shape),
            "width": None if self.shape is None else self.shape.width,
            "depth": None if self.shape is None else self.shape.depth,
            "params": self.params,
            "params_total": self.params_total,
            "tokens": self.tokens,
            "tokens_per_param": self.tokens_per_param,
            "aspect_ratio": None if self.shape is None else self.shape.aspect_ratio,
            "loss": self.loss,
            "loss_unit": self.loss_unit,
            "flops": self.flops,
            "device_hours": self.device_hours,
            "device_hours_interval": self.device_hours_interval,
            "inference_tokens": self.inference_tokens,
            "inference_flops": self.inference_flops,
            "inference_device_hours": self.inference_device_hours,
            "intervals": None if self.intervals is None else {k: list(v) for k, v in self.intervals.items()},
            "intervals_note": self.intervals_note,
            "near_optimal": None if self.near_optimal is None else self.near_optimal.summary(),
            "relaxed": self.relaxed,
            "nearest_shapes": [str(shape) for shape in self.nearest_shapes],
            "extrapolation": self.extrapolation.summary(),
            "reach": self.extrapolation.reach,
            "compared": [other.summary() for other in self.compared],
            "as_good": None if self.as_good is None else self.as_good.summary(),
            "models": msgspec.structs.asdict(self.models),
            "throughput": None if self.throughput is None else self.throughput.summary(),
            "notes": list(self.notes),
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
        }


@dataclass(frozen=True)
class Request:
    """What a plan is asked for, as the kinds of plans take it."""

    budget: float
    cost: Cost
    throughput: StepTime | None
    """For the device hours of a plan."""
    law: Law | FrontierLaw
    fit: Fit | None
    """Where the law comes from one, possibly with draws."""
    name: str
    constraints: Constraints
    near: float
    everything: bool

    def plan(self, **found: Any) -> Plan:
        """The plan with what was `found`, and what the request says of itself."""
        unit: LossUnit = self.law.loss_unit if isinstance(self.law, Law) else "nats"
        if found.get("near_optimal") is not None:
            found["near_optimal"] = replace(found["near_optimal"], loss_unit=unit)
        if self.fit is not None and found.get("intervals"):
            found |= self._of_new_run(self.fit, **found)
        return Plan(
            budget=self.budget,
            resource=self.cost.resource,
            law_name=self.name,
            law_form=self.law.form,
            law_source=self.law.source,
            params_convention=self.law.params_convention,
            inference_tokens=self.cost.inference_tokens,
            models=Models.of(self.constraints.template),
            loss_unit=unit,
            flags=() if self.fit is None else self.fit.flags,
            assumptions=() if self.fit is None else self.fit.plan_assumptions,
            **found,
        )

    def _of_new_run(self, fit: Fit, **found: Any) -> dict[str, Any]:
        """Intervals with that of a new run's loss, the one of the fit under its own name; and the note on the two."""
        intervals, beyond = dict(found["intervals"]), found["extrapolation"].distance
        if (of_fit := intervals.pop("loss", None)) is None:
            return {}
        of_new_run = fit.new_run_interval(of_fit, found["loss"], beyond)
        if of_new_run is not None:
            intervals["loss"] = of_new_run
        note = new_run_note(fit.new_run_error, fit.level, beyond)
        return {
            "intervals": {**intervals, "loss_of_fit": of_fit},
            "notes": (note, *found.get("notes", ())),
        }

    def unaffordable(self) -> InvalidRequest:
        """No shape of the search is cheap enough to infer with."""
        return InvalidRequest(
            f"inference on {format_quantity(self.cost.inference_tokens)} tokens alone takes more than "
            f"{amount_text(self.budget, self.cost.resource)} for every shape searched: raise the budget, lower "
            "--inference-tokens, or allow smaller shapes (--min-width, --min-depth)"
        )


def no_intervals(fit: Fit | None) -> str:
    """Why a plan has none."""
    return NO_DRAWS if fit is None or not fit.drawn else fit.interval_note


def default_constraints(law: Law | FrontierLaw) -> Constraints:
    """The default search, with the models that the law was fitted to.

    Widths are multiples of 256 for heads of size 128; for other heads, of two of them.
    """
    template = law.models.template() if isinstance(law, Law) else Shape(256, 1)
    multiple = WIDTH_MULTIPLE if template.head_size == 128 else 1
    return Constraints(
        width_max=WIDTH_MAX, depth_min=1, depth_max=DEPTH_MAX, width_multiple=multiple, template=template
    )


def default_throughput(law: Fit | Law | FrontierLaw) -> StepTime | None:
    """The throughput model that ships, for a law whose models are stated to be those that it was measured on."""
    bare = law.law if isinstance(law, Fit) else law
    assumed = isinstance(law, Fit) and law.models_assumed
    shipped = gemstones_step_time()
    return shipped if isinstance(bare, Law) and bare.models == shipped.models and not assumed else None


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
    from gemstones.planning.by_params import plan_frontier, plan_params
    from gemstones.planning.by_shape import plan_shape

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
    law = of_groups(given_law(law), of)
    bare = law.law if isinstance(law, Fit) else law
    cost = cost.of_law(bare)
    request = Request(
        (FLOPS if cost.resource == "flops" else DEVICE_HOURS).parse(budget),
        cost,
        cost.step_time or throughput,
        bare,
        law if isinstance(law, Fit) else None,
        name or bare.name,
        constraints or default_constraints(bare),
        near,
        everything,
    )
    if not force and cost.resource == "flops":  # before the search ends on its edge
        _check_reach(request, Extrapolation.of(bare.fitted, flops=request.budget, params=None, tokens=None))
    if isinstance(bare, FrontierLaw):
        found = plan_frontier(request, bare)
    elif sight(bare) == "size" and cost.resource == "flops":
        found = plan_params(request, bare)
    else:
        found = plan_shape(request, bare)
    if not force:
        _check_reach(request, found.extrapolation)
    if request.fit is None or request.fit.chosen is None:
        return found
    chosen = request.fit.chosen

    def other(law: Law) -> Plan:
        return plan(budget, law, cost=cost, constraints=request.constraints, near=0.0, force=True)

    return replace(
        found, as_good=as_good(found, chosen.near_laws, len(chosen.candidates), chosen.reason, other)
    )


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
