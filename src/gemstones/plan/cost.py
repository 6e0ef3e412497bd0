"""What a shape costs: the resource that a budget is of, per token of training and for the inference after it.

A budget B buys T = (B - inference) / per_token tokens for a shape, in closed form, whatever the resource. FLOPs are
counted by any convention; device hours come from a throughput model (`gemstones.laws.step_time`). Inference is
the forward pass over `inference_tokens` (Sardana et al. 2024, *Beyond Chinchilla-Optimal*); in device hours it is taken
at the rate of training, in FLOPs per second, as nothing here measures another.
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
from gemstones.arguments import check_fields
from gemstones.bounds import INFERENCE_TOKENS
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource
from gemstones.laws.step_time import StepTime
from gemstones.shape import FloatArray, Shapes
from gemstones.units import format_flops, format_quantity


@dataclass(frozen=True)
class Cost:
    """How a budget is spent."""

    flops_convention: FlopsConvention = "gemstones"
    step_time: StepTime | None = None
    """Given, the budget is of device hours."""
    inference_tokens: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.flops_convention not in FLOPS_CONVENTIONS:
            raise InvalidRequest(
                f"FLOP convention {self.flops_convention!r} is unknown: choose from {', '.join(FLOPS_CONVENTIONS)}"
            )
        if self.inference_tokens != 0:
            INFERENCE_TOKENS.parse(self.inference_tokens)

    @property
    def resource(self) -> Resource:
        """What the budget is of."""
        return "flops" if self.step_time is None else "device_hours"

    def per_token(self, shapes: Shapes) -> FloatArray:
        """To train on one token."""
        if self.step_time is None:
            return flops_per_token(shapes, self.flops_convention)
        return self.step_time.device_hours_per_token(shapes)

    def inference(self, shapes: Shapes) -> FloatArray:
        """For the inference of all its tokens."""
        if not self.inference_tokens:
            return np.zeros_like(shapes.width * shapes.depth)
        forward = inference_flops_per_token(shapes, self.flops_convention)
        if self.step_time is not None:
            forward = self.per_token(shapes) * forward / flops_per_token(shapes, self.flops_convention)
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
