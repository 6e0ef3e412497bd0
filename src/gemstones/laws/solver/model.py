"""The objective of many problems to second order, in the coordinates of a step, and the damped step that it leads to.

A model is laid once where a problem stands, and every step that is tried from there with more damping uses it again.
Letters of axes: B problems, m parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.solver.chart import LEAST_RATIO, LocalChart, diagonal
from gemstones.laws.solver.system import System
from gemstones.shape import BoolArray, FloatArray

LIFTED = 1.5
"""Damping where the scaled Hessian is not positive definite, in units of its smallest eigenvalue."""


def at_bounds(system: System, theta: FloatArray) -> BoolArray:
    """Which parameters of θ (B, m) are at a bound."""
    return (theta <= system.lower) | (theta >= system.upper)


def within(system: System, theta: FloatArray) -> FloatArray:
    """θ (B, m) with what is outside of its bounds at them."""
    return np.minimum(np.maximum(theta, system.lower), system.upper)


@dataclass(frozen=True, eq=False)
class Model:
    """Objectives near θ, in the coordinates of the chart there, or in the parameters where a system has no chart."""

    theta: FloatArray
    """(B, m)"""
    pinned: BoolArray
    """(B, m): parameters that are, or go, to a bound."""
    chart: LocalChart | None
    gradient: FloatArray
    """(B, m)"""
    hessian: FloatArray
    """(B, m, m)"""
    scale: FloatArray
    """(B, m): what damping counts in, the diagonal of the metric."""

    @classmethod
    def laid(
        cls,
        system: System,
        theta: FloatArray,
        pinned: BoolArray,
        gradient: FloatArray,
        hessian: FloatArray,
        metric: FloatArray,
    ) -> Model:
        """At θ (B, m), from gradient (B, m), Hessian and metric (B, m, m) in its parameters."""
        if system.chart is None:
            return cls(
                theta, pinned, None, gradient, hessian, _floored(np.diagonal(metric, axis1=1, axis2=2))
            )
        chart = system.chart.at(theta, pinned)
        gradient, hessian, scale = chart.pulled(gradient, hessian, metric)
        return cls(theta, pinned, chart, gradient, hessian, _floored(scale))

    def stepped(
        self, system: System, aside: FloatArray | None, damping: FloatArray, still: BoolArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Where a damped step leads, (B, m), bounds aside; the decrease that the model expects, and the damping, (B,).

        Parameters with a displacement `aside` (B, m) take it, and the others' step is the best along with it. Problems
        that are to stand `still` (B,) take no step.
        """
        theta, gradient, hessian = self.theta, self.gradient, self.hessian
        fixed = self.pinned & (
            ((theta <= system.lower) & (gradient > 0)) | ((theta >= system.upper) & (gradient < 0))
        )
        if aside is not None:
            fixed |= aside != 0
        if fixed.any():
            along = gradient if aside is None else gradient + np.matmul(hessian, aside[:, :, None])[:, :, 0]
            free_gradient = np.where(fixed, 0.0, along)
            free_hessian = np.where(fixed[:, :, None] | fixed[:, None, :], 0.0, hessian)
            step, damping = _damped_step(free_gradient, free_hessian, self.scale, damping)
        else:
            step, damping = _damped_step(gradient, hessian, self.scale, damping)
        if aside is not None:
            step += aside
        step[still] = 0.0
        step /= np.maximum((np.abs(step) / system.caps).max(1), 1.0)[:, None]
        predicted = -np.vecdot(step, gradient + 0.5 * np.matmul(hessian, step[:, :, None])[:, :, 0])
        if self.chart is None:
            return theta + step, predicted, damping
        coordinates, e = self.chart.coordinates(theta) + step, self.chart.of.exponents
        exponents, moved = theta[:, e], coordinates[:, e]
        too_far = self.chart.bent & (moved / np.where(self.chart.bent, exponents, 1.0) < LEAST_RATIO)
        if too_far.any():
            coordinates[:, e] = np.where(too_far, LEAST_RATIO * exponents, moved)
        return self.chart.parameters(coordinates), predicted, damping


def _floored(scale: FloatArray) -> FloatArray:
    """No parameter is damped by nothing."""
    return np.asarray(np.maximum(scale, 1e-10 * scale.max(1, keepdims=True)) + 1e-300)


def _damped_step(
    gradient: FloatArray, hessian: FloatArray, scale: FloatArray, damping: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """−(H + λ·diag(scale))⁻¹ g, and λ, raised where the matrix is not positive definite."""
    root = np.sqrt(scale)
    scaled = hessian / (root[:, :, None] * root[:, None, :])
    right = gradient / root
    damped = scaled.copy()
    diagonal(damped)[:] += damping[:, None]
    try:
        np.linalg.cholesky(damped)  # refuses all if one of them is not positive definite
        step = np.linalg.solve(damped, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        finite = np.isfinite(scaled).all((1, 2))
        values, vectors = np.linalg.eigh(np.where(finite[:, None, None], scaled, 0.0))
        damping = np.maximum(damping, -LIFTED * values[:, 0])
        along = np.matmul(right[:, None], vectors)[:, 0] / np.maximum(values + damping[:, None], 1e-300)
        step = np.matmul(vectors, along[:, :, None])[:, :, 0]
        step[~finite] = 0.0
    return -step / root, damping
