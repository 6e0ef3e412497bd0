"""Relaxed optima over a grid of budgets, of a fit and of each of its draws: the lines of Figures 5 and 12 to 21.

Widths and depths are real numbers, and heads need not be whole; only that there is one is kept of the rules for them
(paper, Appendix D.2). The optimum is the best point of a coarse grid and then Newton's method in log width and log
depth, for all budgets and draws together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints
from gemstones.laws.columns import SHAPE_COLUMNS, shape_terms
from gemstones.laws.dual import value_of
from gemstones.laws.fit import Fit
from gemstones.laws.interval import interval
from gemstones.laws.law import Law
from gemstones.planning.defaults import default_constraints
from gemstones.planning.sight import STEEPEST
from gemstones.planning.surface import Surface
from gemstones.shape import BoolArray, FloatArray, Shape, Shapes
from gemstones.units import Interval

WIDEST, DEEPEST = 2.0**20, 2.0**16
"""Of the search for real-valued shapes; at 1e26 FLOPs the fits of the paper ask for widths of 1e5."""
CELL = 0.2
"""Step of the coarse grid, in log width and log depth."""
STENCIL = 1e-3
"""Step of the differences, in both: the loss is smooth there, and known to sixteen digits."""
STEPS = 30
"""Of Newton's method at most; six are usual."""
SETTLED = 1e-8
"""Steps that end it."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """Real-valued optima: in rows the budgets, in columns the fit and then its draws."""

    budgets: tuple[float, ...]
    """FLOPs by Appendix G."""
    quantities: dict[str, FloatArray]
    """`width`, `depth`, `aspect_ratio`, `params` (in the law's convention, as it was fitted), `tokens`,
    `tokens_per_param`."""
    at_edge: BoolArray
    """Where the optimum lies on an edge of the search, so that it may lie beyond."""
    level: float

    def interval(self, quantity: str, row: int) -> Interval | None:
        """At one budget; None without draws."""
        estimate, draws = self.quantities[quantity][row, 0], self.quantities[quantity][row, 1:]
        return interval(draws, float(estimate), level=self.level) if draws.size else None


def relaxed_optima(fit: Fit, budgets: Sequence[float]) -> Relaxed:
    """The optimum of a law of shapes for every budget, and that of every draw.

    Raises `InvalidRequest` for a law that a shape and tokens do not determine.
    """
    template = default_constraints(fit.law).template
    low = np.log([template.head_size, 1.0])
    high = np.log([WIDEST, DEEPEST])
    thetas = np.vstack([fit.law.theta, fit.theta_draws])
    start = _coarse(fit.law, thetas, budgets, low, high, template)
    # One problem per pair of budget and θ, those of a budget together.
    theta = np.tile(thetas, (len(budgets), 1))
    spent = np.repeat(np.array(budgets, np.float64), len(thetas))
    position = _newton(fit.law, theta, np.log(spent), start, low, high, template)
    outside = (position <= low[:, None]) | (position >= high[:, None])
    shapes = _shapes(position, template)
    counted, tokens = params(shapes, fit.law.params_convention), spent / flops_per_token(shapes)
    quantities = {
        "width": shapes.width,
        "depth": shapes.depth,
        "aspect_ratio": shapes.aspect_ratio,
        "params": counted,
        "tokens": tokens,
        "tokens_per_param": tokens / counted,
    }
    by_budget = (len(budgets), len(thetas))
    return Relaxed(
        budgets=tuple(budgets),
        quantities={name: x.reshape(by_budget) for name, x in quantities.items()},
        at_edge=np.asarray(outside.any(0)).reshape(by_budget),
        level=fit.level,
    )


def _shapes(position: FloatArray, template: Shape) -> Shapes:
    """The shapes at log widths and log depths (2, …)."""
    log_width, log_depth = position
    return Shapes.of(np.exp(log_width), np.exp(log_depth), template)


def _coarse(
    law: Law, thetas: FloatArray, budgets: Sequence[float], low: FloatArray, high: FloatArray, template: Shape
) -> FloatArray:
    """Log width and log depth of the best shape of a coarse grid, (2, budgets · θ)."""
    axes = [np.linspace(a, b, int((b - a) / CELL) + 2) for a, b in zip(low, high, strict=True)]
    widths, depths = (np.exp(axis) for axis in axes)
    surface = Surface.of(law, widths, depths, Constraints(template=template))
    i, j = np.concatenate([surface.least(thetas, budget) for budget in budgets]).T
    return np.stack([axes[0][i], axes[1][j]])


def _newton(
    law: Law,
    theta: FloatArray,
    log_budget: FloatArray,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
    template: Shape,
) -> FloatArray:
    """Minima of the loss near `start` (2, n), for θ (n, m) and budgets (n,), all at once.

    Derivatives are central differences. A step that does not lower the loss is tried again a quarter as long.
    """
    position = start.copy()
    reach = np.full(position.shape[1], CELL)
    offsets = STENCIL * np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)], np.float64)
    for _ in range(STEPS):
        stencil = position[:, None, :] + offsets.T[:, :, None]  # (2, 9, n)
        f = _loss(law, theta, log_budget, stencil, template).reshape(3, 3, -1)
        step = np.clip(_newton_step(f), -reach, reach)
        tried = np.clip(position + step, low[:, None], high[:, None])
        lower = _loss(law, theta, log_budget, tried[:, None, :], template)[0] < f[1, 1]
        moved = np.abs(tried - position).max(0)
        position = np.where(lower, tried, position)
        reach = np.where(lower, reach, np.minimum(reach, moved) / 4)
        if np.minimum(reach, moved).max() < SETTLED:
            break
    return position


def _newton_step(f: FloatArray) -> FloatArray:
    """Newton's step (2, n) from losses on a 3 x 3 stencil (3, 3, n); downhill where the loss is not convex."""
    gradient = np.stack([f[2, 1] - f[0, 1], f[1, 2] - f[1, 0]]) / (2 * STENCIL)
    mixed = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / 4
    rows = [[f[2, 1] - 2 * f[1, 1] + f[0, 1], mixed], [mixed, f[1, 2] - 2 * f[1, 1] + f[1, 0]]]
    curvature, axes = np.linalg.eigh(np.moveaxis(np.array(rows), 2, 0) / STENCIL**2)
    along = np.einsum("nij,in->nj", axes, gradient)
    step: FloatArray = -np.einsum("nij,nj->in", axes, along / np.maximum(np.abs(curvature), 1e-9))
    return step


def _loss(
    law: Law, theta: FloatArray, log_budget: FloatArray, position: FloatArray, template: Shape
) -> FloatArray:
    """Loss (s, n) at log widths and log depths (2, s, n), for θ (n, m) and budgets (n,)."""
    shapes, form = _shapes(position, template), law.parsed_form
    names = iter(shape_terms(law.symbols, law.params_convention))
    logs = [
        log_budget - np.log(flops_per_token(shapes))
        if symbol == "T"
        else np.log(SHAPE_COLUMNS[next(names)](shapes))
        for symbol in law.symbols
    ]
    by_theta = [np.broadcast_to(x, position.shape[1:]).T for x in logs]
    log_loss = form.outside(theta, form.log_sum(theta, by_theta, aligned=True))
    return np.exp(np.minimum(value_of(log_loss), STEEPEST)).T
