"""What is prescribed, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from gemstones.accounting.parameters import ParamsConvention
from gemstones.display import few_lines
from gemstones.laws.envelope import Resource
from gemstones.laws.law import Models
from gemstones.planning.as_good import AsGood
from gemstones.planning.compared import Compared
from gemstones.planning.extrapolation import Extrapolation
from gemstones.planning.near import NearOptimal
from gemstones.planning.shown import plan_html, plan_notes, plan_sentence
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import Shape
from gemstones.timing.step_time import StepTime
from gemstones.units import Interval


@dataclass(frozen=True, repr=False)
class Plan:
    """A prescription for a budget, with its interval or a statement that it has none; what `plan` returns.

    FLOPs, tokens, parameters and losses are in base units, in the conventions that it names.

    >>> from gemstones import plan
    >>> plan(1e22, "gemstones-refit")
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
