"""What can be said about a minimum: whether it is one, and what the data leave undetermined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.solver.derivatives import Workspace, derivatives, evaluate, metric
from gemstones.laws.solver.system import System
from gemstones.shape import BoolArray, FloatArray

LEAST_RESIDUAL = 1e-8
"""Residuals below count as so large: a perfect fit is at rest, whatever rounding leaves of its gradient."""


@dataclass(frozen=True, eq=False)
class Quality:
    """Of one θ; arrays are (m,), of the problem's parameters."""

    stationarity: float
    """Largest gradient component over Σ δ-clipped |residuals|, exponents in units of their column's spread: 0 at a
    minimum, of the order of 1 for a law that explains nothing."""
    conditioning: float
    """Smallest eigenvalue of the Hessian scaled to a unit Gauss–Newton diagonal."""
    direction: FloatArray
    """Its eigenvector, each parameter in units of its own scale; 0 for fixed parameters and those at a bound."""
    at_bound: BoolArray
    """Parameters that a bound keeps from a lower objective, or that have no effect at it (exp(E) = 0)."""


def quality(
    system: System,
    theta: FloatArray,
    delta: float,
    weights: FloatArray | None = None,
    above: float = 1.0,
) -> Quality:
    """Of internal θ (m,)."""
    weights = system.weights if weights is None else weights
    at = evaluate(system, theta[None])
    workspace, deltas = Workspace(system, 1), np.array([delta])
    rows = None if weights is None else weights[None]
    gradient, hessian = (x[0] for x in derivatives(system, theta[None], at, deltas, rows, above, workspace))
    scale = np.diagonal(metric(system, at, deltas, rows, workspace.gradients, above)[0])
    bound = ((theta <= system.lower) & (gradient >= 0)) | ((theta >= system.upper) & (gradient <= 0))
    size = np.maximum(np.abs(np.clip(at.residuals[0], -delta, delta)), min(LEAST_RESIDUAL, delta))
    influence = float(size.sum() if weights is None else weights @ size)
    units = np.where(system.spread > 1e-9, system.spread, 1.0)  # an exponent of what is not linear has none
    units[system.linear : system.linear + system.constants] = np.exp(-float(system.log_loss.mean()))
    relative = np.where(bound, 0.0, np.abs(gradient) / (units * max(influence, 1e-300)))

    free = np.flatnonzero(~bound)
    direction, smallest = np.zeros(system.parameters), np.inf
    if free.size:
        # A column that does not vary, or a term at zero, has no scale: its direction is exactly flat.
        root = np.sqrt(np.maximum(scale[free], 1e-300))
        values, vectors = np.linalg.eigh(hessian[np.ix_(free, free)] / np.outer(root, root))
        smallest, direction[free] = float(values[0]), vectors[:, 0]
    outward = np.zeros(system.problem.parameters)
    outward[system.order] = direction
    at_bound = np.zeros(system.problem.parameters, bool)
    at_bound[system.order] = bound
    return Quality(float(relative.max(initial=0.0)), smallest, outward, at_bound)
