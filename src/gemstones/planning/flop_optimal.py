"""Beside a plan for device hours, the plan of least loss for as many FLOPs: a better model, for more hours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gemstones.accounting.flops import FLOPS_CONVENTIONS
from gemstones.design.feasible import Constraints
from gemstones.errors import EdgeOfSearch
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.planning.cost import Cost, flops_of_params
from gemstones.planning.plan import plan
from gemstones.planning.result import Plan
from gemstones.planning.sight import sight
from gemstones.units import format_quantity

SHOWN = (
    "shape", "width", "depth", "params", "params_convention", "params_total", "tokens", "tokens_per_param",
    "aspect_ratio", "loss", "flops_convention", "budget_flops", "flops", "inference_flops", "device_hours",
    "device_hours_interval", "inference_device_hours",
)  # fmt: skip
"""Of the summary of a plan, what is shown of the one beside."""


@dataclass(frozen=True)
class Beside:
    """A plan for device hours, and the plan for the FLOPs that it spends."""

    time_optimal: Plan
    flop_optimal: Plan | None
    note: str = ""
    """Why there is none."""

    @property
    def device_hours_ratio(self) -> float | None:
        """Device hours of the second over those of the first, inference included; None where it knows no shape."""
        other = None if self.flop_optimal is None else self.flop_optimal.total_device_hours
        return None if other is None else other / self.time_optimal.budget

    @property
    def loss_change(self) -> float | None:
        """Loss of the second over that of the first, less 1."""
        if self.flop_optimal is None or self.flop_optimal.loss is None or self.time_optimal.loss is None:
            return None
        return self.flop_optimal.loss / self.time_optimal.loss - 1

    @property
    def sentence(self) -> str:
        """What the second is, in words, or why there is none."""
        other = self.flop_optimal
        if other is None:
            return f"no plan for the same FLOPs beside it: {self.note}"
        shape = "" if other.shape is None else f"{other.shape}, "
        said = (
            f"best for as many FLOPs: {shape}N {format_quantity(other.params)} ({other.params_convention}), "
            f"{format_quantity(other.tokens)} tokens"
        )
        if self.device_hours_ratio is not None and self.loss_change is not None:
            said += (
                f"; {self.device_hours_ratio:.3g} times the device hours, for {self.loss_change:+.3%} loss"
            )
        return f"{said}; {self.note}" if self.note else said

    def summary(self) -> dict[str, Any]:
        """The second as plain values."""
        if self.flop_optimal is None:
            return {"shape": None, "note": self.note}
        made = self.flop_optimal.summary()
        return {
            **{key: made[key] for key in SHOWN},
            "device_hours_ratio": self.device_hours_ratio,
            "loss_change": self.loss_change,
            "note": self.note,
        }


def flop_optimal(made: Plan, law: Fit | Law, *, constraints: Constraints | None = None) -> Beside:
    """`made`, a plan for device hours, beside the plan for the FLOPs that it spends on training and inference.

    A law in N and T counts them as 6·N·T and 2·N, or as its runs did, and its plan for FLOPs has no shape and so no
    hours.
    """
    bare = law.law if isinstance(law, Fit) else law
    cost = Cost(inference_tokens=made.inference_tokens)
    if made.flops_convention in FLOPS_CONVENTIONS:
        cost = replace(cost, flops_convention=made.flops_convention)
    budget, note = made.budget_flops, ""
    if sight(bare) == "size":
        cost = Cost(inference_tokens=made.inference_tokens)
        flops = flops_of_params(cost.of_law(bare).flops, bare.params_convention)
        assert flops is not None
        budget = float(flops.of_params(made.params)) / 3.0 * (3.0 * made.tokens + made.inference_tokens)
        as_what = "6·N·T" if bare.flops is None else f"{bare.flops.function} a token"
        note = f"a law in N and T counts FLOPs as {as_what} and knows no shape for them, so no device hours"
    try:
        other = plan(
            budget,
            law,
            cost=cost,
            throughput=made.throughput,
            constraints=constraints,
            force=True,
            name=made.law_name,
        )
    except EdgeOfSearch as error:
        return Beside(made, None, error.said)
    return Beside(made, other, note)
