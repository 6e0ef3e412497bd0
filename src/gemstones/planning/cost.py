"""What a shape costs: the resource that a budget is of, per token of training and for the inference after it.

A budget B buys T = (B - inference) / per_token tokens for a shape, in closed form, whatever the resource. FLOPs are
counted by any convention, or as the runs of the law gave them (`gemstones.laws.flops_model`): who counts FLOPs for a
plan asks here. Device hours come from a throughput model (`gemstones.timing.step_time`). Inference is the forward pass
over `inference_tokens` (Sardana et al. 2024, *Beyond Chinchilla-Optimal*); in device hours it is taken at the rate of
training, in FLOPs per second, as nothing here measures another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gemstones.accounting.flops import (
    FLOPS_CONVENTIONS,
    FlopsConvention,
    flops_per_token,
    inference_flops_per_token,
)
from gemstones.accounting.parameters import ParamsConvention
from gemstones.arguments import check_fields
from gemstones.bounds import INFERENCE_TOKENS
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource
from gemstones.laws.flops_model import FlopsModel
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw
from gemstones.shape import FloatArray, Shapes
from gemstones.timing.step_time import StepTime
from gemstones.units import format_flops, format_quantity

Flops = FlopsConvention | FlopsModel
"""What FLOPs are: a convention, or what was learned from runs."""


def training_flops(shapes: Shapes, flops: Flops) -> FloatArray:
    """To train on one token."""
    return flops.per_token(shapes) if isinstance(flops, FlopsModel) else flops_per_token(shapes, flops)


def forward_flops(shapes: Shapes, flops: Flops) -> FloatArray:
    """To read or write one token with the trained model."""
    if isinstance(flops, FlopsModel):
        return flops.inference_per_token(shapes)
    return inference_flops_per_token(shapes, flops)


def flops_of_params(flops: Flops, convention: ParamsConvention) -> FlopsModel | None:
    """FLOPs as a function of N of a convention, for laws that see no shape; None where they are not.

    Inference takes a third of training: 2·N of 6·N.
    """
    if isinstance(flops, FlopsModel):
        return flops if flops.kind == "params" and flops.params_convention == convention else None
    # Appendix G is the default, which a law in N and T cannot count by.
    six_n = flops in ("gemstones", f"6N_{convention}")
    return FlopsModel("params", (6.0, 1.0), 0.0, convention) if six_n else None


def flops_name(flops: Flops) -> str:
    """What the convention is called in outputs."""
    return flops.convention if isinstance(flops, FlopsModel) else flops


@dataclass(frozen=True)
class Cost:
    """How a budget is spent: on training alone, or on inference too; in FLOPs, or in device hours of a `step_time`.

    >>> from gemstones.timing.step_time import gemstones_step_time
    >>> Cost(inference_tokens=1e13).resource, Cost(step_time=gemstones_step_time()).resource
    ('flops', 'device_hours')
    """

    flops_convention: FlopsConvention = "gemstones"
    step_time: StepTime | None = None
    """Given, the budget is of device hours."""
    inference_tokens: float = 0.0
    learned: FlopsModel | None = None
    """Given, FLOPs are counted by it; `plan` takes that of the law, unless another convention was asked for."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.flops_convention not in FLOPS_CONVENTIONS:
            raise InvalidRequest(
                f"FLOP convention {self.flops_convention!r} is unknown: choose from {', '.join(FLOPS_CONVENTIONS)}"
            )
        if self.inference_tokens != 0:
            INFERENCE_TOKENS.parse(self.inference_tokens)

    @property
    def flops(self) -> Flops:
        """How FLOPs are counted."""
        return self.flops_convention if self.learned is None else self.learned

    def of_law(self, law: Law | FrontierLaw) -> Cost:
        """The cost with FLOPs as the runs of `law` gave them, where they did and nothing else was asked for."""
        if not isinstance(law, Law) or law.flops is None or self.learned is not None:
            return self
        return self if self.flops_convention != "gemstones" else replace(self, learned=law.flops)

    @property
    def resource(self) -> Resource:
        """What the budget is of."""
        return "flops" if self.step_time is None else "device_hours"

    def per_token(self, shapes: Shapes) -> FloatArray:
        """To train on one token."""
        if self.step_time is None:
            return training_flops(shapes, self.flops)
        return self.step_time.device_hours_per_token(shapes)

    def inference(self, shapes: Shapes) -> FloatArray:
        """For the inference of all its tokens."""
        if not self.inference_tokens:
            return np.zeros_like(shapes.width * shapes.depth)
        forward = forward_flops(shapes, self.flops)
        if self.step_time is not None:
            forward = self.per_token(shapes) * forward / training_flops(shapes, self.flops)
        return self.inference_tokens * forward

    def tokens(self, shapes: Shapes, budget: float) -> FloatArray:
        """What the budget buys; 0 where inference takes all of it."""
        return np.asarray(np.maximum(budget - self.inference(shapes), 0.0) / self.per_token(shapes))

    def of_draw(self, position: int) -> Cost:
        """The cost under one resample of the throughput model; itself where there are none."""
        if self.step_time is None or not self.step_time.draws:
            return self
        draw = self.step_time.draws[position % len(self.step_time.draws)]
        return replace(self, step_time=StepTime(self.step_time.features, draw))


FLOPS = Cost()
"""FLOPs of training alone, by Appendix G."""


def amount_text(amount: float, resource: Resource) -> str:
    """So much of a resource, for people.

    >>> amount_text(1e22, "flops"), amount_text(1e5, "device_hours")
    ('1e22 FLOPs', '100K device hours')
    """
    return (
        f"{format_flops(amount)} FLOPs" if resource == "flops" else f"{format_quantity(amount)} device hours"
    )
