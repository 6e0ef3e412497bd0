"""The solver: screen for basins, polish the best starting points, take the best minimum.

Measured on the published cases, one polished start reached the best known objective in all of them; eight
cost little more and guard against data that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.merge import merged
from gemstones.laws.objective import Objective
from gemstones.laws.polish import derivatives, polish
from gemstones.laws.problem import Problem
from gemstones.laws.screen import KEPT, diverse, screen
from gemstones.shape import FloatArray

STARTS = 8
"""Starting points that are polished."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The best minimum found, with what can be said about it."""

    theta: FloatArray
    """(m,): exponents, log coefficients, E, of the law (not centred)."""
    value: float
    """The objective there."""
    optima: FloatArray
    """(starts, m), centred: where every start ended, best first; starting points for resamples."""
    stationarity: float
    """Largest gradient component over Σ δ-clipped |residuals|, exponents in units of their column's
    spread: 0 at a minimum, of the order of 1 for a law that explains nothing."""
    conditioning: float
    """Smallest eigenvalue of the Hessian scaled to a unit Gauss–Newton diagonal; flat below about 1e-3."""


def solve(problem: Problem, objective: Objective, starts: int = STARTS) -> Solution:
    """Minimise `objective` over the parameters of the law."""
    delta = objective.huber_delta
    candidates, _ = screen(problem, delta, keep=max(KEPT, starts))
    first = polish(problem, diverse(candidates, starts), delta)
    joined, worth_a_try = merged(problem, first.theta[[first.value.argmin()]])
    again = polish(problem, joined[worth_a_try], delta)
    theta, value = np.concatenate([first.theta, again.theta]), np.concatenate([first.value, again.value])
    order = np.argsort(value, kind="stable")
    best = theta[order[0]]
    stationarity, conditioning = _quality(problem, best, delta)
    return Solution(
        theta=problem.physical(best),
        value=float(objective.value(problem.residuals(best[None])[0])),
        optima=theta[order],
        stationarity=stationarity,
        conditioning=conditioning,
    )


def _quality(problem: Problem, theta: FloatArray, delta: float) -> tuple[float, float]:
    terms, constant = problem.parts(theta[None])
    total = terms.sum(1) + constant[:, None]
    residuals = problem.log_loss - np.log(total)
    gradient, hessian, scale = derivatives(problem, terms, total, residuals, np.array([delta]), None)
    influence = np.abs(np.clip(residuals[0], -delta, delta)).sum()
    spread = np.concatenate([problem.u.std(1), np.ones(problem.terms + 1)])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.abs(gradient[0]) / (np.where(spread > 0, spread, 1.0) * influence)
    stationarity = float(relative.max()) if influence > 0 else 0.0
    # A column that does not vary, or a term at zero, has no scale: its direction is exactly flat.
    root = np.sqrt(np.maximum(scale[0], 1e-300))
    eigenvalues = np.linalg.eigvalsh(hessian[0] / np.outer(root, root))
    return stationarity, float(eigenvalues[0])
