"""What runs would teach: losses of candidates and the quantity that is wanted, jointly Gaussian.

    log loss = law(θ₀) + φ(x)·z + u_run + ε,   z ~ N(0, I)

φ holds two things: how the law's log loss moves with its constants, whose prior is wide or the draws of a pilot's fit;
and the law's **misfit**, a Gaussian process over log N and log T (and log width/depth, for laws of shapes), written as
features by an incomplete Cholesky factorisation. u is noise shared by a run, ε by row. A wanted quantity is a weighted
sum of noiseless log losses at a few points (`Target`), so that it is linear in z too. What a run lowers its variance by
does not depend on what it measures. Without the misfit the best design is thousands of tiny runs, trusted for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gemstones.analyses.compare.optima import jacobian
from gemstones.laws.law import Law
from gemstones.shape import FloatArray, IntArray

DECADE = float(np.log(10.0))
LEFT_OVER = 1e-3
"""Share of the misfit's variance that its features may miss at a point."""
MOST_PIVOTS = 160
MOST_DIRECTIONS = 24
"""Of the draws of a pilot: combinations of constants, at most; a law has about ten constants."""
CHUNK = 4_000
NO_CONSTANT = 0.05
"""Share of every loss below which an irreducible loss is as good as none."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations in log loss, as measured on the Gemstones, and the length of the misfit."""

    misfit: float = 0.004
    run: float = 0.006
    row: float = 0.002
    length: float = DECADE
    """Of the misfit: in log N, log T and log width/depth."""

    def of_run(self, rows: int) -> FloatArray:
        """Covariance of the noise of a run's rows, (rows, rows)."""
        return np.asarray(np.full((rows, rows), self.run**2) + self.row**2 * np.eye(rows))

    def times(self, factor: float) -> Noise:
        """Of so many times the noise by run and by row; the misfit is the law's."""
        return replace(self, run=self.run * factor, row=self.row * factor)


@dataclass(frozen=True, eq=False)
class Points:
    """Where log loss is looked at."""

    columns: FloatArray
    """(n, k): logs of the law's columns."""
    at: FloatArray
    """(n, 2): log N and log T; (n, 3) with log width/depth, for laws of shapes."""

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """One after the other."""
        return cls(np.concatenate([p.columns for p in parts]), np.concatenate([p.at for p in parts]))


@dataclass(frozen=True, eq=False)
class Target:
    """Wanted quantities, each a weighted sum of log losses at points."""

    points: Points
    weights: FloatArray
    """(q, n)."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Runs that could be bought, each a block of as many rows (checkpoints)."""

    points: Points
    """Of all rows, run after run."""
    rows: int
    """Of each run."""
    cost: FloatArray
    """(runs,)."""

    @property
    def count(self) -> int:
        """How many runs."""
        return len(self.cost)


@dataclass(frozen=True, eq=False)
class Model:
    """The joint distribution before any run: features of points, (n, D), such that cov = φ·φᵀ."""

    law: Law
    spread: FloatArray
    """(m, r): a square root of the prior covariance of θ; with draws, (draws, r): how they are combined."""
    draws: FloatArray | None
    """(draws, m): θ of a pilot's fit, or None."""
    noise: Noise
    pivots: FloatArray
    """(p, 2 or 3): points whose losses carry the misfit."""
    factor: FloatArray
    """(p, p): of the correlations of the pivots."""

    @classmethod
    def wide(cls, law: Law, scales: FloatArray, noise: Noise, points: Points) -> Model:
        """Independent constants of standard deviations `scales` (m,); `points` (n) are all that will be looked at."""
        pivots, factor = _pivots(points.at, noise.length)
        return cls(law, np.diag(scales), None, noise, pivots, factor)

    @classmethod
    def of_draws(cls, law: Law, draws: FloatArray, noise: Noise, points: Points) -> Model:
        """The spread of log losses under the draws of a fit (draws, m), however they depend on the constants."""
        pivots, factor = _pivots(points.at, noise.length)
        some = points.columns[:: max(1, len(points.columns) // 400)]
        losses = _losses(law, draws, some)
        usable = np.isfinite(losses).all(1)
        draws, losses = draws[usable], losses[usable]
        centred = (losses - losses.mean(0)) / np.sqrt(max(len(draws) - 1, 1))
        left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
        kept = min(int((sizes > 1e-4 * sizes[0]).sum()), MOST_DIRECTIONS)
        return cls(law, left[:, :kept], draws, noise, pivots, factor)

    def features(self, points: Points, *, law: bool = True, misfit: bool = True) -> FloatArray:
        """φ (n, D) at points; without `law` or `misfit` those columns are 0."""
        if self.draws is None:
            own = derivatives(self.law, points.columns) @ self.spread
        else:
            parts = []
            for start in range(0, len(points.columns), CHUNK):
                losses = _losses(self.law, self.draws, points.columns[start : start + CHUNK])
                scaled = (losses - losses.mean(0)) / np.sqrt(max(len(losses) - 1, 1))
                parts.append(scaled.T @ self.spread)
            own = np.concatenate(parts)
        across = _correlations(points.at, self.pivots, self.noise.length)
        smooth = self.noise.misfit * np.linalg.solve(self.factor, across.T).T
        return np.concatenate([own * law, smooth * misfit], axis=1)

    def wanted(self, target: Target) -> FloatArray:
        """(D, q): the wanted quantities in terms of z."""
        return np.asarray((target.weights @ self.features(target.points)).T)


@dataclass(frozen=True, eq=False)
class Learned:
    """What is left to learn of the wanted quantities and of every candidate, after some runs."""

    rows: FloatArray
    """(runs, rows, D): features of each candidate's rows, so scaled that their noise is the identity."""
    wanted: FloatArray
    """(D, q)."""
    covariance: FloatArray
    """(D, D) of z."""
    blocks: FloatArray
    """(runs, rows, rows): covariance of each candidate's scaled rows, its own noise included."""

    @classmethod
    def nothing(cls, model: Model, candidates: Candidates, target: Target) -> Learned:
        """Before any run."""
        scaled = scaled_rows(model.features(candidates.points), model.noise.of_run(candidates.rows))
        blocks = scaled @ scaled.transpose(0, 2, 1) + np.eye(candidates.rows)
        return cls(scaled, model.wanted(target), np.eye(scaled.shape[-1]), blocks)

    @property
    def variance(self) -> FloatArray:
        """(q, q) of the wanted quantities."""
        return np.asarray(self.wanted.T @ self.covariance @ self.wanted)

    def gains(self) -> FloatArray:
        """By how much each candidate would lower the variance of each wanted quantity, (runs, q)."""
        half = np.linalg.solve(np.linalg.cholesky(self.blocks), self.rows @ (self.covariance @ self.wanted))
        return np.asarray(np.square(half).sum(1))

    def bought(self, run: int) -> Learned:
        """After buying a candidate; it stays one: another seed of it."""
        return self.told(self.rows[run])

    def returned(self, run: int) -> Learned:
        """Without a candidate that was bought."""
        return self.told(self.rows[run], -1.0)

    def told(self, rows: FloatArray, sign: float = 1.0) -> Learned:
        """After rows (r, D), scaled to unit noise, were measured; with −1 as if they had not been."""
        across = self.covariance @ rows.T
        inside = np.eye(len(rows)) + sign * (rows @ across)
        half = np.linalg.solve(np.linalg.cholesky(inside), across.T).T
        of_rows = self.rows @ half
        return replace(
            self,
            covariance=self.covariance - sign * (half @ half.T),
            blocks=self.blocks - sign * (of_rows @ of_rows.transpose(0, 2, 1)),
        )

    def taken(self, runs: IntArray) -> Learned:
        """With these candidates alone."""
        return replace(self, rows=self.rows[runs], blocks=self.blocks[runs])


def derivatives(law: Law, columns: FloatArray) -> FloatArray:
    """∂ log loss / ∂θ at columns (n, k): (n, m), where an irreducible loss near 0 counts as half of the least loss.

    A law fitted with no irreducible loss would otherwise be sure that there is none.
    """
    found = jacobian(law, columns)
    log_loss = law.log_loss([*columns.T])
    for i, entry in enumerate(law.parsed_form.entries):
        if entry.kind == "constant" and np.abs(found[:, i]).max() < NO_CONSTANT:
            found[:, i] = 0.5 * np.exp(log_loss.min() - log_loss)
    return found


def scaled_rows(features: FloatArray, noise: FloatArray) -> FloatArray:
    """(runs, rows, D) from the features of all rows (runs·rows, D), so scaled that `noise` (rows, rows) is identity."""
    inverse = np.linalg.inv(np.linalg.cholesky(noise))
    return np.asarray(inverse @ features.reshape(-1, len(noise), features.shape[1]))


def _losses(law: Law, draws: FloatArray, columns: FloatArray) -> FloatArray:
    """log loss (draws, n)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(law.log_loss([*columns.T], draws))


def _correlations(a: FloatArray, b: FloatArray, length: float) -> FloatArray:
    squares = sum(np.square((a[:, i, None] - b[None, :, i]) / length) for i in range(a.shape[1]))
    return np.asarray(np.exp(-0.5 * squares))


def _pivots(at: FloatArray, length: float) -> tuple[FloatArray, FloatArray]:
    """Points that carry the misfit everywhere, by an incomplete Cholesky factorisation, and their factor (p, p)."""
    at = np.unique(at.round(2), axis=0)
    left = np.ones(len(at))
    columns = np.zeros((0, len(at)))
    chosen: list[int] = []
    while left.max() > LEFT_OVER and len(chosen) < MOST_PIVOTS:
        pivot = int(left.argmax())
        column = _correlations(at[pivot : pivot + 1], at, length)[0] - columns[:, pivot] @ columns
        column /= np.sqrt(left[pivot])
        columns = np.concatenate([columns, column[None]])
        left = left - column**2
        chosen.append(pivot)
    pivots = at[chosen]
    inside = _correlations(pivots, pivots, length) + 1e-9 * np.eye(len(pivots))
    return pivots, np.asarray(np.linalg.cholesky(inside), np.float64)
