"""What other laws would train for a budget, and what training that costs in loss under this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS, REFIT, REFIT_PLAIN, refit
from gemstones.planning.cost import FLOPS
from gemstones.planning.defaults import default_constraints
from gemstones.planning.optimum import on_edge, shape_optima, size_optima
from gemstones.planning.surface import Surface
from gemstones.shape import FloatArray, Shapes
from gemstones.units import format_quantity

OTHERS = ("chinchilla-epoch",)
"""The laws that every plan for FLOPs stands beside: Hoffmann et al.'s runs with the constants that fit them."""
OTHER_FORM = {REFIT: REFIT_PLAIN, REFIT_PLAIN: REFIT}
"""The same runs in another form."""
WORDS = {
    "chinchilla-epoch": "Chinchilla (Epoch's constants)",
    REFIT: "the form that backtests choose (gemstones-refit)",
    REFIT_PLAIN: "the form without an exponent around the sum (gemstones-refit-plain)",
}
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
    """The plans of the other form of the law of that `name` and of `OTHERS`; `increase` takes total parameters.

    A law whose optimum lies on the edge of the search is left out.
    """
    form = OTHER_FORM.get(name)
    found = []
    for other in (*(() if form is None else (form,)), *OTHERS):
        law = refit(other).law if other in OTHER_FORM else LAWS[other]
        assert isinstance(law, Law)
        if other != name and (optimum := _optimum(law, budget_flops)) is not None:
            found.append(Compared(other, *optimum, increase(optimum[0])))
    return tuple(found)


def _optimum(law: Law, budget_flops: float) -> tuple[float, float] | None:
    """Total parameters and tokens of the best model under a law, which counts FLOPs as its plans do."""
    if set(law.symbols) == {"N", "T"}:
        counted, tokens = (float(x[0]) for x in size_optima(law, law.theta[None], budget_flops))
        return counted, tokens
    constraints = default_constraints(law)
    surface = Surface.searched(law, constraints, FLOPS)
    at = shape_optima(surface, law.theta[None], [budget_flops])[0, 0]
    if on_edge(at, surface):
        return None
    shape = Shapes.of(surface.widths[at[0]], surface.depths[at[1]], constraints.template)
    return float(params(shape)), float(FLOPS.tokens(shape, budget_flops))


def increase_on_grid(params_total: FloatArray, loss: FloatArray, target: float) -> float | None:
    """Least loss of the shapes of about `target` total parameters over the least of all, less 1."""
    same = np.abs(np.log(params_total / target)) <= np.log1p(SAME_SIZE)
    least = float(np.where(same, loss, np.inf).min())
    return least / float(loss.min()) - 1 if np.isfinite(least) else None
