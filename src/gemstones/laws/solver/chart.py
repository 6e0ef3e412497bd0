"""Coordinates for a step: those in which the valleys of a law are straight.

Around a typical row (where centred columns are 0) a term a·x^(−e) has the level a, the slope a·e and the curvature
a·e². Data tell the level of the whole law and the terms' slopes well, and all else badly: as an exponent falls, its
coefficient grows so that the slope stays, and the irreducible loss falls so that the level stays. With an outer
exponent, p and E take each other's place besides: as exp(E) falls from half of the loss to nothing, p falls so that
the slope of log L in log S stays. In exponents, log coefficients, E and p these valleys are curved, and a descent
creeps along them: 100 to 600 steps where 20 to 60 are enough in

    σᵢ = cᵢ + log |eᵢ|    in place of cᵢ: log of the term's slope; Λ = exp(E) + Σ exp(cᵢ)    in place of exp(E): level;
    and with an outer exponent instead, with L the typical loss, s = log p + log(1 − exp(E)/L),  c̃ᵢ = cᵢ − log(L −
    exp(E))/p: slope and level at a given E, and then, since Σ exp(c̃) is 1 at the right level, λ = log Σ exp(c̃ᵢ) and
    σᵢ = c̃ᵢ + log eᵢ − λ + s in place of s and c̃.

A chart is laid anew at every point. It changes the steps that are taken, never what is minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.shape import BoolArray, FloatArray, IntArray

LEAST_BENT = 0.05
"""Exponents below keep their coefficients: where a slope vanishes it has no logarithm."""
LEAST_RATIO = 0.3
"""An exponent that bends its coefficient falls to no less than so much of itself in one step."""
MOST_SHARE = 1 - 1e-6
"""exp(E) of a typical loss, at most: beyond, what is left has no logarithm."""


@dataclass(frozen=True, eq=False)
class Chart:
    """What the charts of a system have in common; numbers are those of its internal parameters."""

    coefficients: IntArray
    """(t,): own coefficients of terms."""
    exponents: IntArray
    """(t,): the one exponent of each of these terms; 0 where it has none or several."""
    bendable: BoolArray
    """(t,): whether it has one."""
    bends: tuple[tuple[IntArray, IntArray], ...]
    """Exponents, and the terms (numbered as `coefficients`) that they bend, in groups without a repeated exponent."""
    constants: IntArray
    """The constants that share the terms' level."""
    power: int | None
    """log p, if it is a parameter and all terms have own coefficients."""
    log_level: float
    """log of a typical loss."""
    fixed_share: float
    """exp(E) over a typical loss where E is no parameter."""

    untouched: BoolArray
    """(m,): parameters that are coordinates themselves."""

    def at(self, theta: FloatArray, pinned: BoolArray) -> LocalChart:
        """The chart at θ (B, m); what is `pinned` (B, m) to a bound follows nothing."""
        bent: BoolArray = self.bendable & (np.abs(theta[:, self.exponents]) > LEAST_BENT)
        levelled = ~pinned[:, self.constants]
        if self.power is None:
            return LocalChart(
                self, theta, bent & np.asarray(levelled.any(1))[:, None], levelled, np.zeros(len(theta), bool)
            )
        return LocalChart(
            self, theta, bent & ~pinned[:, self.power][:, None], levelled & False, ~pinned[:, self.power]
        )

    def log_rest(self, theta: FloatArray) -> FloatArray:
        """log(1 − exp(E)/L) of a typical loss, (B,)."""
        if not len(self.constants):
            return np.full(len(theta), np.log1p(-self.fixed_share))
        share = theta[:, self.constants[0]] * np.exp(-self.log_level)
        return np.asarray(np.log1p(-np.minimum(share, MOST_SHARE)))


@dataclass(frozen=True, eq=False)
class LocalChart:
    """Charts at B points; they differ in what follows what."""

    of: Chart
    theta: FloatArray
    bent: BoolArray
    """(B, t): terms whose coefficient follows their exponent."""
    levelled: BoolArray
    """(B, constants): constants that follow the coefficients."""
    powered: BoolArray
    """(B,): whether p, E and the coefficients follow each other."""

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Parameters (B, m) → coordinates (B, m)."""
        of, out = self.of, theta.copy()
        c = of.coefficients
        if of.power is not None:
            log_rest = of.log_rest(theta)
            slope = theta[:, of.power] + log_rest
            height = (of.log_level + log_rest) * np.exp(-theta[:, of.power])
            relative = theta[:, c] - height[:, None]
            total = log_sum(relative)
            out[:, c] = np.where(self.powered[:, None], relative + (slope - total)[:, None], out[:, c])
            out[:, of.power] = np.where(self.powered, total, out[:, of.power])
        elif len(of.constants):
            out[:, of.constants] += np.where(self.levelled, np.exp(theta[:, c]).sum(1)[:, None], 0.0)
        out[:, c] += self._log_exponents(theta)
        return out

    def parameters(self, coordinates: FloatArray) -> FloatArray:
        """The inverse of `coordinates`."""
        of, out = self.of, coordinates.copy()
        c = of.coefficients
        out[:, c] -= self._log_exponents(out)
        if of.power is not None:
            log_rest = of.log_rest(out)
            slope = log_sum(out[:, c])
            log_power = slope - log_rest
            height = (of.log_level + log_rest) * np.exp(-log_power)
            shift = coordinates[:, of.power] - slope + height
            out[:, c] += np.where(self.powered, shift, 0.0)[:, None]
            out[:, of.power] = np.where(self.powered, log_power, out[:, of.power])
        elif len(of.constants):
            out[:, of.constants] -= np.where(self.levelled, np.exp(out[:, c]).sum(1)[:, None], 0.0)
        return out

    def _log_exponents(self, theta: FloatArray) -> FloatArray:
        return np.asarray(np.log(np.abs(np.where(self.bent, theta[:, self.of.exponents], 1.0))))

    def pulled(
        self, gradient: FloatArray, hessian: FloatArray, metric: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Gradient (B, m), Hessian (B, m, m) and the diagonal (B, m) of the metric, in the coordinates."""
        jacobian, curvature = (self._levels if self.of.power is None else self._powers)(gradient)
        transposed = jacobian.transpose(0, 2, 1)
        hessian = np.matmul(transposed, np.matmul(hessian, jacobian))
        hessian += curvature
        gradient = np.matmul(gradient[:, None], jacobian)[:, 0]
        # Last, v = σ − log e: a column for e takes part in one for v.
        of = self.of
        inverse = np.where(self.bent, 1 / np.where(self.bent, self.theta[:, of.exponents], 1.0), 0.0)
        c = of.coefficients
        for e, of_e in of.bends:
            slope = inverse[:, of_e]
            jacobian[:, :, e] -= jacobian[:, :, c[of_e]] * slope[:, None]
            hessian[:, :, e] -= hessian[:, :, c[of_e]] * slope[:, None]
            hessian[:, e] -= hessian[:, c[of_e]] * slope[:, :, None]
            hessian[:, e, e] += gradient[:, c[of_e]] * slope**2
            gradient[:, e] -= gradient[:, c[of_e]] * slope
        return gradient, hessian, (jacobian * np.matmul(metric, jacobian)).sum(1)

    def _levels(self, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Jacobian and curvature of Λ in place of exp(E)."""
        of = self.of
        c, g = of.coefficients, of.constants
        jacobian = self._identity()
        curvature = np.zeros_like(jacobian)
        if len(g):
            heights = np.where(self.levelled[:, :, None], np.exp(self.theta[:, None, c]), 0.0)
            jacobian[:, g[:, None], c] = -heights
            curvature[:, c, c] = -np.matmul(gradient[:, None, g], heights)[:, 0]
        return jacobian, curvature

    def _powers(self, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Jacobian and curvature of c = v − s + λ + h, log p = s − log(1 − ε), with s = log Σ exp(v) and
        h = log(L − exp(E))·exp(log(1 − ε) − s), ε = exp(E)/L."""
        of, theta, on = self.of, self.theta, self.powered
        c, p, g = of.coefficients, of.power, of.constants
        log_rest = of.log_rest(theta)
        inverse = np.exp(-theta[:, p])
        unit = np.exp(-of.log_level - log_rest)  # ∂log p/∂exp(E)
        height = (of.log_level + log_rest) * inverse
        by_constant = -unit * (inverse + height)  # ∂h/∂exp(E); ∂h/∂s is −h
        relative = theta[:, c] - height[:, None]
        share = np.exp(relative - log_sum(relative)[:, None])
        share[~on] = 0.0
        jacobian = self._identity()
        jacobian[:, c[:, None], c] -= ((1 + height)[:, None] * share)[:, None, :]
        jacobian[:, c, p] = on[:, None]
        jacobian[:, p, c] = share
        jacobian[:, p, p] = ~on
        level = np.where(on, gradient[:, c].sum(1), 0.0)
        power = np.where(on, gradient[:, p], 0.0)
        bend = power - level * (1 + height)
        curvature = np.zeros_like(jacobian)
        curvature[:, c[:, None], c] = ((level * height - bend)[:, None] * share)[:, :, None] * share[
            :, None, :
        ]
        curvature[:, c, c] += bend[:, None] * share
        if len(g):
            jacobian[:, c, g] = np.where(on, by_constant, 0.0)[:, None]
            jacobian[:, p, g] = np.where(on, unit, 0.0)[:, None]
            crossed = -(level * by_constant)[:, None] * share
            curvature[:, c, g] = crossed
            curvature[:, g, c] = crossed
            curvature[:, g, g] = (unit**2 * (level * inverse + power))[:, None]
        return jacobian, curvature

    def _identity(self) -> FloatArray:
        b, m = self.theta.shape
        out = np.zeros((b, m, m))
        np.einsum("bii->bi", out)[:] = 1.0
        return out


def log_sum(values: FloatArray) -> FloatArray:
    """log Σ exp over the last axis."""
    most = values.max(-1)
    return np.asarray(most + np.log(np.exp(values - most[..., None]).sum(-1)))
