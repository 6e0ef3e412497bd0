"""What other laws would train for a budget, and what training that costs in loss under this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones.laws.law import Law
from gemstones.laws.published import LAWS
from gemstones.planning.optimum import size_optima
from gemstones.shape import FloatArray
from gemstones.units import format_quantity

OTHERS = ("chinchilla-epoch",)
"""The laws that every plan for FLOPs stands beside: Hoffmann et al.'s runs with the constants that fit them."""
WORDS = {"chinchilla-epoch": "Chinchilla (Epoch's constants)"}
SAME_SIZE = 0.05
"""Shapes whose total parameters are within this fraction of another law's N are of its size."""


@dataclass(frozen=True)
class Compared:
    """What another law would train for the same FLOPs."""

    law: str
    params_total: float
    tokens: float
    """As the other law counts FLOPs."""
    loss_increase: float | None
    """Of the best model of that size for the budget under this law, over the loss of the plan, as a fraction; None
    where no shape of the search is of that size."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))

    @property
    def sentence(self) -> str:
        """For people."""
        cost = (
            "no shape of the search has that size"
            if self.loss_increase is None
            else f"{self.loss_increase:+.2%} loss under this law"
        )
        return (
            f"{WORDS.get(self.law, self.law)} would train {format_quantity(self.params_total)} total parameters on "
            f"{format_quantity(self.tokens)} tokens: {cost}"
        )


def compared(
    name: str, budget_flops: float, increase: Callable[[float], float | None]
) -> tuple[Compared, ...]:
    """The plans of `OTHERS` but for the law of that `name`; `increase` takes total parameters."""
    found = []
    for other in OTHERS:
        law = LAWS[other]
        assert isinstance(law, Law)
        if other != name:
            counted, tokens = (float(x[0]) for x in size_optima(law, law.theta[None], budget_flops))
            found.append(Compared(other, counted, tokens, increase(counted)))
    return tuple(found)


def increase_on_grid(params_total: FloatArray, loss: FloatArray, target: float) -> float | None:
    """Least loss of the shapes of about `target` total parameters over the least of all, less 1."""
    same = np.abs(np.log(params_total / target)) <= np.log1p(SAME_SIZE)
    least = float(np.where(same, loss, np.inf).min())
    return least / float(loss.min()) - 1 if np.isfinite(least) else None
