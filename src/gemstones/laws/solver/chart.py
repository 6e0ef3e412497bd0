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
from functools import cached_property

import numpy as np

from gemstones.shape import BoolArray, FloatArray, IntArray

LEAST_BENT = 0.05
"""Exponents below keep their coefficients: where a slope vanishes it has no logarithm."""
LEAST_RATIO = 0.3
"""An exponent that bends its coefficient falls to no less than so much of itself in one step."""
MOST_SHARE = 1 - 1e-6
"""exp(E) of a typical loss, at most: beyond, what is left has no logarithm."""


Places = slice | IntArray
"""Numbers of parameters: a slice where they follow each other, for a view is cheaper than a copy."""


@dataclass(frozen=True, eq=False)
class Chart:
    """What the charts of a system have in common; numbers are those of its internal parameters."""

    terms: int
    """t: terms with own coefficients, which are the first parameters."""
    exponents: IntArray
    """(t,): the one exponent of each of these terms; 0 where it has none or several."""
    bendable: BoolArray
    """(t,): whether it has one."""
    bends: tuple[tuple[Places, Places], ...]
    """Exponents, and the terms that they bend, in groups without a repeated exponent."""
    constants: slice
    """The constants that share the terms' level."""
    power: int | None
    """log p, if it is a parameter and all terms have own coefficients."""
    log_level: float
    """log of a typical loss."""
    fixed_share: float
    """exp(E) over a typical loss where E is no parameter."""

    @property
    def coefficients(self) -> slice:
        """The terms' own coefficients."""
        return slice(0, self.terms)

    @property
    def has_constants(self) -> bool:
        """Whether any constant shares the terms' level."""
        return bool(self.constants.stop > self.constants.start)

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
        if not self.has_constants:
            return np.full(len(theta), np.log1p(-self.fixed_share))
        share = theta[:, self.constants.start] * np.exp(-self.log_level)
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
        elif of.has_constants:
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
        elif of.has_constants:
            out[:, of.constants] -= np.where(self.levelled, np.exp(out[:, c]).sum(1)[:, None], 0.0)
        return out

    def _log_exponents(self, theta: FloatArray) -> FloatArray:
        return np.asarray(np.log(np.abs(np.where(self.bent, theta[:, self.of.exponents], 1.0))))

    def pulled(
        self, gradient: FloatArray, hessian: FloatArray, metric: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Gradient (B, m), Hessian (B, m, m) and the diagonal (B, m) of the metric, in the coordinates."""
        powered = self.of.power is not None
        jacobian = self._power_jacobian() if powered else self._level_jacobian()
        hessian = np.matmul(jacobian.transpose(0, 2, 1), np.matmul(hessian, jacobian))
        (self._curve_powers if powered else self._curve_levels)(hessian, gradient)
        gradient = np.matmul(gradient[:, None], jacobian)[:, 0]
        # Last, v = σ − log e: a column for e takes part in one for v.
        of = self.of
        inverse = np.where(self.bent, 1 / np.where(self.bent, self.theta[:, of.exponents], 1.0), 0.0)
        for e, c in of.bends:
            slope = inverse[:, c]
            jacobian[:, :, e] -= jacobian[:, :, c] * slope[:, None]
            hessian[:, :, e] -= hessian[:, :, c] * slope[:, None]
            hessian[:, e] -= hessian[:, c] * slope[:, :, None]
            diagonal(hessian)[:, e] += gradient[:, c] * slope**2
            gradient[:, e] -= gradient[:, c] * slope
        return gradient, hessian, (jacobian * np.matmul(metric, jacobian)).sum(1)

    def _identity(self) -> FloatArray:
        b, m = self.theta.shape
        out = np.empty((b, m, m))
        out[:] = np.eye(m)
        return out

    @cached_property
    def _heights(self) -> FloatArray:
        """exp(c) of each constant that follows, (B, constants, t)."""
        heights = np.exp(self.theta[:, None, self.of.coefficients])
        return np.where(self.levelled[:, :, None], heights, 0.0)

    def _level_jacobian(self) -> FloatArray:
        """Of Λ in place of exp(E)."""
        jacobian = self._identity()
        if self.of.has_constants:
            jacobian[:, self.of.constants, self.of.coefficients] = -self._heights
        return jacobian

    def _curve_levels(self, hessian: FloatArray, gradient: FloatArray) -> None:
        """What the curvature of Λ adds to a Hessian."""
        c, g = self.of.coefficients, self.of.constants
        if self.of.has_constants:
            diagonal(hessian)[:, c] -= np.matmul(gradient[:, None, g], self._heights)[:, 0]

    @cached_property
    def _powers(self) -> _Powers:
        of, theta = self.of, self.theta
        assert of.power is not None
        log_rest = of.log_rest(theta)
        inverse = np.exp(-theta[:, of.power])
        unit = np.exp(-of.log_level - log_rest)
        height = (of.log_level + log_rest) * inverse
        relative = theta[:, of.coefficients] - height[:, None]
        share = np.exp(relative - log_sum(relative)[:, None])
        share[~self.powered] = 0.0
        return _Powers(inverse, unit, height, -unit * (inverse + height), share)

    def _power_jacobian(self) -> FloatArray:
        """Of c = v − s + λ + h, log p = s − log(1 − ε), with s = log Σ exp(v) and h = log(L − exp(E))·exp(log(1 − ε)
        − s), ε = exp(E)/L."""
        of, on, at = self.of, self.powered, self._powers
        c, p, g = of.coefficients, of.power, of.constants
        jacobian = self._identity()
        jacobian[:, c, c] -= ((1 + at.height)[:, None] * at.share)[:, None, :]
        jacobian[:, c, p] = on[:, None]
        jacobian[:, p, c] = at.share
        jacobian[:, p, p] = ~on
        if of.has_constants:
            jacobian[:, c, g] = np.where(on, at.by_constant, 0.0)[:, None, None]
            jacobian[:, p, g] = np.where(on, at.unit, 0.0)[:, None]
        return jacobian

    def _curve_powers(self, hessian: FloatArray, gradient: FloatArray) -> None:
        """What the curvature of these coordinates adds to a Hessian."""
        of, at = self.of, self._powers
        c, p, g = of.coefficients, of.power, of.constants
        level = np.where(self.powered, gradient[:, c].sum(1), 0.0)
        power = np.where(self.powered, gradient[:, p], 0.0)
        bend = power - level * (1 + at.height)
        of_shares = (level * at.height - bend)[:, None] * at.share
        hessian[:, c, c] += of_shares[:, :, None] * at.share[:, None, :]
        diagonal(hessian)[:, c] += bend[:, None] * at.share
        if of.has_constants:
            crossed = -(level * at.by_constant)[:, None] * at.share
            hessian[:, c, g] += crossed[:, :, None]
            hessian[:, g, c] += crossed[:, None]
            hessian[:, g, g] += (at.unit**2 * (level * at.inverse + power))[:, None, None]


@dataclass(frozen=True, eq=False)
class _Powers:
    """What the coordinates of a law with an outer exponent are made of, at B points; zero where it follows nothing."""

    inverse: FloatArray
    """(B,): 1/p."""
    unit: FloatArray
    """(B,): ∂log p/∂exp(E)."""
    height: FloatArray
    """(B,): h; ∂h/∂s is −h."""
    by_constant: FloatArray
    """(B,): ∂h/∂exp(E)."""
    share: FloatArray
    """(B, t): of each term in exp(λ)."""


def diagonal(matrices: FloatArray) -> FloatArray:
    """A view (B, m) of the diagonals of (B, m, m), which are contiguous."""
    b, m, _ = matrices.shape
    return matrices.reshape(b, m * m)[:, :: m + 1]


def log_sum(values: FloatArray) -> FloatArray:
    """log Σ exp over the last axis."""
    most = values.max(-1)
    return np.asarray(most + np.log(np.exp(values - most[..., None]).sum(-1)))
