"""A regression on the difference of log losses along the derivatives of one pooled law, all priors at once.

With J the derivatives of log loss in the constants of the pooled law, the difference of two recipes is

    y = W·J·δ + W·g(log N, log T) + u_run + ε,

W the weight of the difference in a row: 1 for the difference of a pair, ∓1/2 for an unpaired row of A or B, whose
common part J·c has a flat prior. δ ~ N(0, τ²·diag s²) on one of a few structures (which constants differ), g a Gaussian
process of one decade, u noise by run, ε noise by row. Given structure, τ, κ and σ_u everything is Gaussian; a *cell* is
one such combination, its weight the marginal likelihood. The posterior is the mixture over cells.

Scales: s makes a constant's effect 1% of loss (root mean square over the rows) for coefficients and E, and 0.5% (spread
over the rows) for exponents. Nothing is spiked at "no difference" and no smaller τ is tried: in a prototype both
covered too rarely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.shape import FloatArray, IntArray

TAUS = (0.5, 1.0, 2.0, 4.0)
MISFITS = (0.0005, 0.001, 0.002, 0.004)
"""κ, standard deviation of the smooth misfit g, in log loss."""
COMMON_MISFIT = 0.004
"""Of unpaired rows: what the pooled law misses of both recipes alike."""
RUN_NOISE = (0.0005, 0.001, 0.002, 0.004, 0.01)
"""σ_u for the difference of a pair."""
UNPAIRED_RUN_NOISE = (0.001, 0.002, 0.005, 0.01, 0.02)
DECADE = float(np.log(10.0))
FLAT = 1e3
"""Prior scale of the common part of unpaired rows, in units of s: as good as flat."""
LEAST_WEIGHT = 1e-4
"""Cells with less are left out."""


@dataclass(frozen=True, eq=False)
class Difference:
    """What is regressed: one row for each pair of checkpoints, or for each checkpoint of either recipe."""

    y: FloatArray
    """(n,): log loss of B less that of A; of unpaired rows, log loss less the pooled law's."""
    jacobian: FloatArray
    """(n, m)."""
    weight: FloatArray
    """(n,): of the difference in the row, 1, or ∓1/2."""
    at: FloatArray
    """(n, 2): log N, log T."""
    runs: IntArray
    """(n,): which rows share a run's noise."""
    row_noise: float | None
    """σ_ε; None where no run has checkpoints enough to tell it: it is then taken to be as large as σ_u."""
    scales: FloatArray
    """(m,): s; 0 for a constant that moves nothing."""
    structures: tuple[tuple[int, ...], ...]
    """Sets of constants that may differ together."""
    inflated: FloatArray | None = None
    """(n,): factors on the noise by run of runs that lie far off; None for 1."""

    @property
    def paired(self) -> bool:
        """Whether rows are differences of pairs."""
        return bool((self.weight == 1).all())


@dataclass(frozen=True, eq=False)
class Cell:
    """One combination of priors, conditioned on the rows."""

    structure: tuple[int, ...]
    tau: float
    kappa: float
    noise: float
    """σ_u."""
    log_weight: float
    factor: tuple[FloatArray, bool]
    """Cholesky factor of the covariance of y."""
    alpha: FloatArray
    """Covariance⁻¹·y."""

    def predict(
        self, rows: Difference, jacobian: FloatArray, at: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the difference at points, (p,), from J (p, m) there and (log N, log T) (p, 2)."""
        own, cross, solved = self._conditioned(rows, jacobian, at)
        prior = self.tau**2 * np.square(own).sum(1) + self.kappa**2
        return cross @ self.alpha, np.maximum(prior - np.einsum("pn,np->p", cross, solved), 0.0)

    def joint(self, rows: Difference, jacobian: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same with the whole covariance, (p, p)."""
        own, cross, solved = self._conditioned(rows, jacobian, at)
        return cross @ self.alpha, self.tau**2 * own @ own.T + self.kappa**2 * _kernel(
            at, at
        ) - cross @ solved

    def _conditioned(
        self, rows: Difference, jacobian: FloatArray, at: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """J·s of the structure (p, q), the covariance with the rows (p, n), and covariance⁻¹ times that (n, p)."""
        from scipy.linalg import cho_solve

        index = list(self.structure)
        own = jacobian[:, index] * rows.scales[index]
        of_rows = rows.weight[:, None] * rows.jacobian[:, index] * rows.scales[index]
        cross = self.tau**2 * own @ of_rows.T + self.kappa**2 * _kernel(at, rows.at) * rows.weight
        return own, cross, cho_solve(self.factor, cross.T)


def _kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    squares = np.square((a[:, None, :] - b[None, :, :]) / DECADE).sum(-1)
    return np.asarray(np.exp(-0.5 * squares))


def cells(rows: Difference) -> list[Cell]:
    """Every combination of priors with its weight, the heaviest first; those of no weight are left out."""
    from scipy.linalg import cho_factor, cho_solve

    smooth = _kernel(rows.at, rows.at)
    misfit = smooth * np.outer(rows.weight, rows.weight)
    size = np.ones(len(rows.y)) if rows.inflated is None else rows.inflated
    same = (rows.runs[:, None] == rows.runs[None, :]) * np.outer(size, size)
    base = np.diag(np.full(len(rows.y), (rows.row_noise or 0.0) ** 2 + 1e-12))
    of_rows = np.eye(len(rows.y)) if rows.row_noise is None else 0.0
    if not rows.paired:
        common = rows.jacobian * rows.scales * FLAT
        base += common @ common.T + COMMON_MISFIT**2 * smooth
    found = []
    for kappa in MISFITS:
        for noise in RUN_NOISE if rows.paired else UNPAIRED_RUN_NOISE:
            without = base + kappa**2 * misfit + noise**2 * (same + of_rows)
            factor = cho_factor(without, lower=True)
            solved_y = cho_solve(factor, rows.y)
            log_determinant = 2 * np.log(np.diag(factor[0])).sum()
            quadratic = float(rows.y @ solved_y)
            for structure in rows.structures:
                index = list(structure)
                own = rows.weight[:, None] * rows.jacobian[:, index] * rows.scales[index]
                solved = cho_solve(factor, own)
                inner, right = own.T @ solved, own.T @ solved_y
                for tau in TAUS:
                    small = np.eye(len(index)) + tau**2 * inner
                    value = log_determinant + np.linalg.slogdet(small)[1]
                    value += quadratic - tau**2 * right @ np.linalg.solve(small, right)
                    found.append((-0.5 * value, structure, tau, kappa, noise, without, own))
    heaviest = max(one[0] for one in found)
    total = float(np.logaddexp.reduce([one[0] for one in found]))
    kept = []
    for value, structure, tau, kappa, noise, without, own in sorted(found, key=lambda one: -one[0]):
        if value < heaviest + np.log(LEAST_WEIGHT):
            break
        factor = cho_factor(without + tau**2 * own @ own.T, lower=True)
        kept.append(
            Cell(structure, tau, kappa, noise, float(value - total), factor, cho_solve(factor, rows.y))
        )
    return kept


def sample(
    rows: Difference, found: Sequence[Cell], jacobian: FloatArray, at: FloatArray, draws: int, seed: int
) -> tuple[FloatArray, IntArray]:
    """Draws of the difference in log loss, (draws,), and which of the points (p, m), (p, 2) each is at.

    The points are one target under the draws of the pooled law: its optimum is drawn too.
    """
    rng = np.random.default_rng(seed)
    weights = np.exp([one.log_weight for one in found])
    counts = rng.multinomial(draws, weights / weights.sum())
    values, points = [], []
    for cell, count in zip(found, counts, strict=True):
        if count:
            mean, variance = cell.predict(rows, jacobian, at)
            chosen = rng.integers(0, len(at), count)
            values.append(mean[chosen] + np.sqrt(variance[chosen]) * rng.standard_normal(count))
            points.append(chosen)
    return np.concatenate(values), np.concatenate(points)


def scales_of(jacobian: FloatArray, kinds: Sequence[str]) -> FloatArray:
    """s (m,): a change of a constant by which log loss moves by 1% (coefficients, E) or is spread by 0.5% (others)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        level = 0.01 / np.sqrt(np.square(jacobian).mean(0))
        spread = 0.005 / jacobian.std(0)
    scales = np.where([kind in {"coefficient", "constant"} for kind in kinds], level, spread)
    moves = np.sqrt(np.square(jacobian).mean(0)) > 1e-6
    return np.where(moves & np.isfinite(scales), scales, 0.0)


def structures_of(kinds: Sequence[str], scales: FloatArray) -> tuple[tuple[int, ...], ...]:
    """Sets of constants that may differ: each coefficient and E alone, all of these, and everything."""
    moving = [i for i in range(len(kinds)) if scales[i] > 0]
    levels = [i for i in moving if kinds[i] in {"coefficient", "constant"}]
    sets = [*((i,) for i in levels), tuple(levels), tuple(moving)]
    return tuple(dict.fromkeys(one for one in sets if one))
