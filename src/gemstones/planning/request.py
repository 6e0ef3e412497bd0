"""What a plan is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law, Models
from gemstones.laws.new_run import new_run_note
from gemstones.laws.published import FrontierLaw
from gemstones.planning.cost import Cost, amount_text
from gemstones.planning.result import Plan
from gemstones.runs.loss_units import LossUnit
from gemstones.timing.step_time import StepTime
from gemstones.units import format_quantity

NO_DRAWS = "no interval: this law comes without bootstrap draws"


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
    alone: bool = False
    """Whether the optimum and its intervals are all that is asked for, as a curve over budgets draws them."""

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
