"""Forms of a task's law: accuracy from loss in two steps, or directly from size and tokens.

- `gadre` (Gadre et al. 2024, arXiv 2403.08540, Equation 5): error = ε − k·exp(−γ·L).
- `bhagia` (Bhagia et al. 2024, arXiv 2412.04403, Equation 3): accuracy = a / (1 + exp(−k·(L − L0))) + b, with k < 0.
- `direct(N,T)`, `direct(w,d,N,T)`, in a single step: accuracy = c + (1 − c)·exp(−(E + Σ A/x^a)), with c the accuracy of
  guessing: minus the log of the accuracy above chance is a sum of powers, as a loss is.

All are fitted by least squares of accuracy, in which a checkpoint that scores below chance by noise counts as any
other, and no form predicts less than chance. θ below is what the solver moves: logs of what is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from gemstones.analyses.downstream.least_squares import Model, minimise
from gemstones.shape import FloatArray

Name = Literal["gadre", "bhagia", "direct(N,T)", "direct(w,d,N,T)"]
NAMES: tuple[Name, ...] = ("gadre", "bhagia", "direct(N,T)", "direct(w,d,N,T)")
CONSTANTS: dict[Name, int] = {"gadre": 3, "bhagia": 4, "direct(N,T)": 5, "direct(w,d,N,T)": 9}
"""How many each fits."""
TERMS: dict[Name, tuple[str, ...]] = {"direct(N,T)": ("N", "T"), "direct(w,d,N,T)": ("w", "d", "N", "T")}
EXPONENTS = (0.0, 4.0)
KEPT = 3
"""Minima of all rows that a resample starts from."""


def by_loss(name: Name) -> bool:
    """Whether a form takes the loss: the second of two steps."""
    return name not in TERMS


@dataclass(frozen=True, eq=False)
class TaskForm:
    """A form at the rows of one table: values and derivatives there, bounds and starts."""

    name: Name
    x: FloatArray
    """(n, 1) losses, or (n, k) logs of the columns."""
    centre: FloatArray
    """(k,): what `x` is taken from."""
    scale: float
    """Span of the losses, 1 for logs."""
    chance: float
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, name: Name, x: FloatArray, chance: float) -> TaskForm:
        """At losses (n, 1) or logs of columns (n, k), none predicted below `chance`."""
        centre = x.mean(0)
        scale = float(np.ptp(x)) if by_loss(name) else 1.0
        k = x.shape[1]
        if name == "gadre":
            low, high = [chance, -30.0, np.log(0.01 / scale)], [1.0, 5.0, np.log(300 / scale)]
        elif name == "bhagia":
            low = [chance, chance, np.log(0.1 / scale), -20.0 * scale]
            high = [1.0, 1.0, np.log(300 / scale), 3.0 * scale]
        else:
            low, high = [-25.0] * k + [EXPONENTS[0]] * k + [-25.0], [6.0] * k + [EXPONENTS[1]] * k + [3.0]
        return cls(name, x, centre, scale, chance, np.array(low), np.array(high))

    def model(self, x: FloatArray | None = None) -> Model:
        """The form as the solver takes it, at `x` (n, k), by default the rows."""
        at = (self.x if x is None else x) - self.centre
        evaluate = {"gadre": _gadre, "bhagia": _bhagia}.get(self.name, _direct)
        return lambda theta: evaluate(theta, at, self.chance)

    def accuracy(self, theta: FloatArray, x: FloatArray) -> FloatArray:
        """Predicted accuracy, (B, n), at `x` (n, k) by θ (B, m): at most 1."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.clip(self.model(x)(theta)[0], self.chance, 1.0))

    def aligned(self, theta: FloatArray, x: FloatArray) -> FloatArray:
        """Predicted accuracy, (B,), of each θ (B, m) at an `x` of its own (B, k)."""
        return np.concatenate([self.accuracy(theta[i : i + 1], x[i : i + 1])[0] for i in range(len(theta))])

    def fitted(
        self, accuracy: FloatArray, weights: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """The distinct minima, the least first: θ (P, m) and sums of squares (P,)."""
        counts = np.ones_like(accuracy) if weights is None else weights
        start = self._starts(accuracy, counts)
        theta, value = minimise(
            self.model(),
            accuracy,
            np.broadcast_to(counts, (len(start), len(accuracy))),
            start,
            self.low,
            self.high,
        )
        order = np.argsort(value, kind="stable")
        kept: list[int] = []
        for i in order:
            apart = all(abs(value[i] - value[j]) > 1e-9 * value[j] for j in kept)
            if apart and len(kept) < KEPT and np.isfinite(value[i]):
                kept.append(int(i))
        return theta[kept], value[kept]

    def refitted(self, accuracy: FloatArray, weights: FloatArray, starts: FloatArray) -> FloatArray:
        """θ (R, m) under each of `weights` (R, n), the best from each of `starts` (P, m)."""
        many, points = len(weights), len(starts)
        theta, value = minimise(
            self.model(),
            accuracy,
            np.repeat(weights, points, 0),
            np.tile(starts, (many, 1)),
            self.low,
            self.high,
        )
        best = value.reshape(many, points).argmin(1)
        return np.asarray(theta.reshape(many, points, -1)[np.arange(many), best])

    def constants(self, theta: FloatArray) -> dict[str, FloatArray]:
        """The constants by name, (B,) each, of θ (B, m)."""
        if self.name == "gadre":
            gamma = np.exp(theta[:, 2])
            with np.errstate(over="ignore"):
                k = np.exp(theta[:, 1] + gamma * self.centre[0])
            return {"k": k, "gamma": gamma, "epsilon": 1 - theta[:, 0]}
        if self.name == "bhagia":
            return {
                "a": theta[:, 1] - theta[:, 0],
                "k": -np.exp(theta[:, 2]),
                "L0": theta[:, 3] + self.centre[0],
                "b": theta[:, 0],
            }
        k = len(self.centre)
        found = {}
        for i, symbol in enumerate(TERMS[self.name]):
            found[f"A_{symbol}"] = np.exp(theta[:, i] + theta[:, k + i] * self.centre[i])
            found[f"a_{symbol}"] = theta[:, k + i]
        return {**found, "E": np.exp(theta[:, -1])}

    def bounds_reached(self, theta: FloatArray) -> tuple[str, ...]:
        """What the best θ (m,) says that is a bound and not a measurement."""
        said = []
        at_low, at_high = theta <= self.low + 1e-9, theta >= self.high - 1e-9
        if self.name in ("gadre", "bhagia") and at_low[0] and self.chance:
            said.append(
                "at_chance: without the bound the law would level off below chance, as checkpoints that score below it "
                "do; its floor is chance"
            )
        if self.name == "bhagia" and at_high[1]:
            said.append("no_ceiling: these rows show no ceiling below an accuracy of 1, where it is held")
        if self.name == "bhagia" and at_low[3]:
            said.append(
                "no_midpoint: these rows lie on one limb of the sigmoid, whose midpoint they do not determine"
            )
        if self.name in TERMS:
            k = len(self.centre)
            none = [
                s
                for i, s in enumerate(TERMS[self.name])
                if theta[i] <= self.low[0] + 1 or theta[k + i] <= EXPONENTS[0] + 1e-9
            ]
            if none:
                said.append(f"no_effect: accuracy does not depend on {' and '.join(none)} in this fit")
        return tuple(said)

    def _starts(self, accuracy: FloatArray, weights: FloatArray) -> FloatArray:
        at = self.x - self.centre
        if self.name == "gadre":
            curves = [
                (np.log(g / self.scale), np.exp(-g / self.scale * at[:, 0]))
                for g in np.geomspace(0.05, 50, 12)
            ]
            lines = [(_line(curve, accuracy, weights), g) for g, curve in curves]
            return np.array([[a, np.log(max(b, 1e-6)), g] for (a, b), g in lines])
        if self.name == "bhagia":
            starts, off = [], []
            grid = product(np.geomspace(1, 40, 6) / self.scale, np.linspace(at.min(), at.max(), 7))
            for steep, middle in grid:
                s = 1 / (1 + np.exp(steep * (at[:, 0] - middle)))
                a, b = _line(s, accuracy, weights)
                floor, top = np.clip([a, a + b], self.chance, 1.0)
                starts.append([floor, top, np.log(steep), middle])
                off.append((weights * (floor + (top - floor) * s - accuracy) ** 2).sum())
            return np.array(starts)[np.argsort(off)[:12]]
        k = at.shape[1]
        above = np.clip((accuracy - self.chance) / (1 - self.chance), 0.01, 0.99)
        typical = float(np.median(-np.log(above)))
        exponents = product((0.1, 0.3, 0.6) if k == 2 else (0.1, 0.4), repeat=k)
        return np.array(
            [[np.log(typical / (k + 1))] * k + [*e, np.log(typical / (k + 1))] for e in exponents]
        )


def _line(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Intercept and slope of the weighted line."""
    total = weights.sum()
    mean_x, mean_y = (weights @ x) / total, (weights @ y) / total
    spread = weights @ (x - mean_x) ** 2
    slope = (weights @ ((x - mean_x) * (y - mean_y))) / spread if spread > 0 else 0.0
    return float(mean_y - slope * mean_x), float(slope)


def _gadre(theta: FloatArray, at: FloatArray, chance: float) -> tuple[FloatArray, FloatArray]:
    floor, log_k, log_gamma = (theta[:, i : i + 1] for i in range(3))
    power = np.exp(log_gamma) * at[:, 0]
    gain = np.exp(log_k - power)
    return floor + gain, np.stack([np.ones_like(gain), gain, -power * gain], -1)


def _bhagia(theta: FloatArray, at: FloatArray, chance: float) -> tuple[FloatArray, FloatArray]:
    floor, top, log_steep, middle = (theta[:, i : i + 1] for i in range(4))
    steep = np.exp(log_steep)
    away = at[:, 0] - middle
    s = 1 / (1 + np.exp(np.clip(steep * away, -700, 700)))
    slope = (top - floor) * s * (1 - s)
    return floor + (top - floor) * s, np.stack([1 - s, s, -slope * steep * away, slope * steep], -1)


def _direct(theta: FloatArray, at: FloatArray, chance: float) -> tuple[FloatArray, FloatArray]:
    k = at.shape[1]
    terms = np.exp(theta[:, None, :k] - theta[:, None, k : 2 * k] * at)
    constant = np.exp(theta[:, -1:])
    above = (1 - chance) * np.exp(-(constant + terms.sum(2)))
    slopes = above[:, :, None] * np.concatenate(
        [-terms, terms * at, np.broadcast_to(-constant[:, :, None], (*above.shape, 1))], 2
    )
    return chance + above, slopes
