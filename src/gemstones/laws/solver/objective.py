"""What a fit minimises: a function of the residuals log L − log L̂, summed over rows.

The paper (§3.2, after Hoffmann et al. 2022) uses Huber's function with δ = 1e-4, in scipy's definition:
r²/2 where |r| ≤ δ, δ·(|r| − δ/2) beyond; summed, not averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gemstones.arguments import check_fields
from gemstones.errors import InvalidRequest
from gemstones.shape import FloatArray

ObjectiveKind = Literal["huber", "squared", "absolute"]

DELTA_RANGE = (1e-8, 1e3)
ABSOLUTE_DELTA = 1e-8
"""Σ|r| is approached as Huber's function over δ, at this δ: above the minimum by at most n·δ/2."""


@dataclass(frozen=True)
class Objective:
    """What a fit minimises, of residuals r in log loss, summed over rows.

    `huber` with its δ, `squared` (Σ r²/2, Huber's limit for large δ) or `absolute` (Σ |r|).

    >>> float(Objective("huber", delta=1e-3).value(np.array([1e-4, 1e-2])))
    9.505e-06
    """

    kind: ObjectiveKind = "huber"
    delta: float = 1e-4
    """Only Huber's function has one; for the other two it is ignored."""
    above: float = 1.0
    """How much a loss above the law counts against one below: less than 1 where losses scatter upwards (badly tuned
    runs), so that the law follows the best of them."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.kind not in get_args(ObjectiveKind):
            raise InvalidRequest(
                f"objective {self.kind!r} is unknown: choose from {', '.join(get_args(ObjectiveKind))}"
            )
        if not 0 < self.above < math.inf:
            raise InvalidRequest(
                f"above {self.above:g} must be positive: how much a loss above the law counts against one below"
            )
        low, high = DELTA_RANGE
        if not low <= self.delta <= high:
            raise InvalidRequest(
                f"delta {self.delta:g} must be {low:g} to {high:g} (the paper's is 1e-4); beyond, Huber's function "
                "is that of the objectives absolute and squared"
            )

    @property
    def huber_delta(self) -> float:
        """δ of the Huber function that the solver minimises in its place."""
        match self.kind:
            case "huber":
                return self.delta
            case "squared":
                return math.inf
            case "absolute":
                return ABSOLUTE_DELTA

    def value(self, residuals: FloatArray, weights: FloatArray | None = None) -> FloatArray:
        """The objective over the last axis of `residuals`, each row counted `weights` times."""
        if self.kind == "absolute":
            rho = np.abs(residuals) * np.where(residuals > 0, self.above, 1.0)
        else:
            rho = huber(residuals, self.huber_delta, self.above)
        return np.asarray(rho.sum(-1) if weights is None else (rho * weights).sum(-1))

    def __str__(self) -> str:
        words = f"Huber's function (delta {self.delta:g})" if self.kind == "huber" else self.kind
        return words if self.above == 1.0 else f"{words}, losses above the law counted {self.above:g} times"


def huber(residuals: FloatArray, delta: float, above: float = 1.0) -> FloatArray:
    """Huber's function of each residual, r²/2 everywhere for an infinite δ; positive ones count `above` times."""
    inner = np.clip(residuals, -delta, delta)
    values: FloatArray = inner * (residuals - 0.5 * inner)
    return values if above == 1.0 else np.where(residuals > 0, above * values, values)
