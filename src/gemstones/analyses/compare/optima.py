"""The optimum of the pooled law for budgets, under its estimate and all of its draws, and the loss there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.laws import dual
from gemstones.laws.columns import SHAPE_COLUMNS
from gemstones.laws.flops_model import SIX_N
from gemstones.laws.law import Law
from gemstones.planning.cost import FLOPS
from gemstones.planning.defaults import default_constraints
from gemstones.planning.optimum import shape_optima, size_optima
from gemstones.planning.sight import TOKENS, sight
from gemstones.planning.surface import Surface
from gemstones.shape import FloatArray, IntArray, Shapes

REACH, STEPS = 4.0, 65
"""Decades of compute multipliers either way, and how many budgets they are read off."""
REACH_OF_SHAPES, STEPS_OF_SHAPES = 2.0, 17
"""The same of laws of shapes, whose optimum is a search."""


@dataclass(frozen=True, eq=False)
class Optima:
    """At one budget, for θ (1 + draws, m): the estimate first."""

    log_columns: FloatArray
    """(1 + draws, k): logs of the law's columns at the optimum."""
    log_params: FloatArray
    log_tokens: FloatArray
    log_loss: FloatArray
    """All (1 + draws,); NaN where a draw has no optimum."""


def optima(law: Law, theta: FloatArray, budgets: Sequence[float]) -> list[Optima]:
    """One for each budget; raises `InvalidRequest` for a law that has none."""
    if sight(law) == "size":
        found = []
        for budget in budgets:
            counted, tokens = size_optima(law, theta, budget, flops=law.flops or SIX_N)
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = {"N": np.log(counted), TOKENS: np.log(tokens)}
            columns = np.stack([logs[s] for s in law.symbols], axis=-1)
            found.append(Optima(columns, logs["N"], logs[TOKENS], log_losses(law, theta, columns)))
        return found
    constraints = default_constraints(law)
    cost = FLOPS.of_law(law)
    surface = Surface.searched(law, constraints, cost)
    at = shape_optima(surface, theta, budgets)
    found = []
    for i, budget in enumerate(budgets):
        shapes = Shapes.of(surface.widths[at[:, i, 0]], surface.depths[at[:, i, 1]], constraints.template)
        log_tokens = np.log(budget / cost.per_token(shapes))
        columns = shape_columns(law, shapes, log_tokens)
        log_params = np.log(SHAPE_COLUMNS[f"params_{law.params_convention}"](shapes))
        found.append(Optima(columns, log_params, log_tokens, log_losses(law, theta, columns)))
    return found


def shape_columns(law: Law, shapes: Shapes, log_tokens: FloatArray) -> FloatArray:
    """Logs of the law's columns (…, k) of shapes trained on so many tokens."""
    logs = [log_tokens if c == "tokens" else np.log(SHAPE_COLUMNS[c](shapes)) for c in law.columns]
    return np.stack(logs, axis=-1)


def log_losses(law: Law, theta: FloatArray, log_columns: FloatArray) -> FloatArray:
    """log loss of each θ (D, m) at columns of its own (D, k): (D,)."""
    form = law.parsed_form
    columns = [log_columns[:, i : i + 1] for i in range(log_columns.shape[1])]
    with np.errstate(over="ignore", invalid="ignore"):
        total = form.log_sum(theta, columns, aligned=True)
        return np.asarray(dual.value_of(form.outside(theta, total)))[:, 0]


def multipliers(
    law: Law, theta: FloatArray, budget: float, at: IntArray, differences: FloatArray, draws: FloatArray
) -> FloatArray:
    """Compute multipliers m with L*(m·C) = L*(C)·e^D, for D (n,), each under the draw of θ numbered `at` (n,).

    `draws` (1 + draws,) are log losses at the optimum for the budget C itself. Infinite where no amount of compute
    reaches the loss, or more than `REACH` decades do.
    """
    shapes = sight(law) != "size"
    reach, steps = (REACH_OF_SHAPES, STEPS_OF_SHAPES) if shapes else (REACH, STEPS)
    decades = np.linspace(-reach, reach, steps)
    curve = np.stack([one.log_loss for one in optima(law, theta, [budget * 10**x for x in decades])])
    target = draws[at] + differences
    found = np.empty(len(target))
    for i, (draw, wanted) in enumerate(zip(at, target, strict=True)):
        losses = curve[:, draw]
        known = np.isfinite(losses)
        # Losses fall with compute: read the other way round they rise.
        falling = np.minimum.accumulate(losses[known])
        if not known.any() or wanted < falling[-1]:
            found[i] = np.inf if known.any() else np.nan
        else:
            found[i] = 10 ** np.interp(-wanted, -falling, decades[known])
    return found


def jacobian(law: Law, log_columns: FloatArray) -> FloatArray:
    """∂ log loss / ∂θ of the estimate at columns (n, k): (n, m), by central differences."""
    step = 1e-6
    theta = law.theta
    shifts = step * np.eye(len(theta))
    columns = [*log_columns.T]
    up, down = (law.log_loss(columns, theta + sign * shifts) for sign in (1.0, -1.0))
    return np.asarray((up - down).T / (2 * step))
