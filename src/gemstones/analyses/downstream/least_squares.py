"""Weighted least squares within bounds, many problems of one model at once: Levenberg–Marquardt on Gauss–Newton.

A parameter at a bound that the gradient pushes against is held there for the step. Letters of axes: B problems
(starts, resamples, or both), n rows, m parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gemstones.shape import BoolArray, FloatArray

Model = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""θ (B, m) → values (B, n) and their derivatives (B, n, m)."""

MAX_ITERATIONS = 300
TOLERANCE = 1e-13
"""Relative decrease under which, three times in a row, a problem ends."""
MOST_DAMPING = 1e10
BATCH = 4_000_000
"""Numbers in the derivatives of a batch, about."""


def minimise(
    model: Model,
    target: FloatArray,
    weights: FloatArray,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """θ (B, m) and Σ w·(value − target)² (B,), from `start` (B, m) within `low` and `high` (m,).

    `target` is (n,), `weights` (B, n).
    """
    size = max(1, BATCH // (len(target) * start.shape[1]))
    parts = [
        _minimised(model, target, weights[i : i + size], start[i : i + size], low, high)
        for i in range(0, len(start), size)
    ]
    return np.concatenate([theta for theta, _ in parts]), np.concatenate([value for _, value in parts])


def _minimised(
    model: Model,
    target: FloatArray,
    weights: FloatArray,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    theta = np.clip(start, low, high)
    damping = np.full(len(theta), 1e-3)
    quiet = np.zeros(len(theta), np.int64)
    value, gradient, hessian = _quadratic(model, target, weights, theta)
    active = np.arange(len(theta))
    for _ in range(MAX_ITERATIONS):
        if not active.size:
            break
        step = _step(theta[active], gradient[active], hessian[active], damping[active], low, high)
        tried = np.clip(theta[active] + step, low, high)
        new, new_gradient, new_hessian = _quadratic(model, target, weights[active], tried)
        better = new <= value[active]
        fallen = np.where(better, value[active] - new, np.inf)
        small = fallen <= TOLERANCE * value[active]
        quiet[active] = np.where(small, quiet[active] + 1, np.where(better, 0, quiet[active]))
        at = active[better]
        theta[at], value[at], gradient[at], hessian[at] = (
            part[better] for part in (tried, new, new_gradient, new_hessian)
        )
        damping[active] = np.where(better, np.maximum(damping[active] / 4, 1e-12), damping[active] * 6)
        active = active[(quiet[active] < 3) & (damping[active] < MOST_DAMPING)]
    return theta, value


def _quadratic(
    model: Model, target: FloatArray, weights: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    with np.errstate(over="ignore", invalid="ignore"):
        values, slopes = model(theta)
        off = values - target
        weighted = slopes * weights[:, :, None]
        value = np.where(np.isfinite(off).all(1), (weights * off**2).sum(1), np.inf)
        return (
            value,
            np.asarray((weighted.transpose(0, 2, 1) @ off[:, :, None])[:, :, 0]),
            weighted.transpose(0, 2, 1) @ slopes,
        )


def _step(
    theta: FloatArray,
    gradient: FloatArray,
    hessian: FloatArray,
    damping: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> FloatArray:
    held: BoolArray = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
    diagonal = np.einsum("bii->bi", hessian)
    scale = np.maximum(diagonal, 1e-12 * diagonal.max(1, keepdims=True) + 1e-300)
    damped = hessian + np.einsum("bi,ij->bij", damping[:, None] * scale, np.eye(theta.shape[1]))
    damped = np.where(held[:, :, None] | held[:, None, :], 0.0, damped)
    damped += np.einsum("bi,ij->bij", np.where(held, 1.0, 0.0), np.eye(theta.shape[1]))
    right = np.where(held, 0.0, -gradient)
    # Scaled to a unit diagonal: parameters differ by orders of magnitude.
    root = np.sqrt(np.einsum("bii->bi", damped))
    scaled = damped / (root[:, :, None] * root[:, None, :])
    ok = np.isfinite(scaled).all((1, 2)) & np.isfinite(right).all(1)
    scaled = np.where(ok[:, None, None], scaled, np.eye(theta.shape[1]))
    return np.asarray(
        np.where(ok[:, None], np.linalg.solve(scaled, (right / root)[:, :, None])[:, :, 0] / root, 0.0)
    )
