"""What runs would teach: losses of candidates and the quantity that is wanted, jointly Gaussian.

log losses are those of a law around a reference, θ ~ N(θ₀, P), plus the law's misfit, a Gaussian process over
(log N, log T), plus noise shared by a run and noise by row. The wanted quantities are linear in noiseless log losses
at a few points (`Target`). Everything is covariance: what a run lowers the variance by does not depend on what it measures.

Without the misfit the best design is thousands of tiny runs, trusted for ever (shared/design/next_run.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gemstones.shape import FloatArray, IntArray

DECADE = float(np.log(10.0))


@dataclass(frozen=True)
class Noise:
    """Standard deviations in log loss, measured on the Gemstones by backtest, and the misfit's length."""

    misfit: float = 0.004
    run: float = 0.006
    row: float = 0.002
    length: float = DECADE
    """Of the misfit, in log N and log T."""


@dataclass(frozen=True, eq=False)
class Points:
    """Where log loss is looked at."""

    jacobian: FloatArray
    """(n, m): ∂ log loss / ∂θ."""
    at: FloatArray
    """(n, 2): log N, log T."""

    def taken(self, index: IntArray) -> Points:
        """Some of them."""
        return Points(self.jacobian[index], self.at[index])

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """One after the other."""
        return cls(np.concatenate([p.jacobian for p in parts]), np.concatenate([p.at for p in parts]))


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

    def block(self, run: int) -> IntArray:
        """Numbers of its rows."""
        return np.arange(run * self.rows, (run + 1) * self.rows)


@dataclass(frozen=True, eq=False)
class Model:
    """The joint distribution."""

    prior: FloatArray
    """P (m, m)."""
    noise: Noise

    def covariance(self, a: Points, b: Points) -> FloatArray:
        """Of noiseless log losses (law and misfit) at points (n_a, n_b)."""
        squares = np.square((a.at[:, None, :] - b.at[None, :, :]) / self.noise.length).sum(-1)
        return np.asarray(
            a.jacobian @ self.prior @ b.jacobian.T + self.noise.misfit**2 * np.exp(-0.5 * squares)
        )

    def of_run(self, rows: int) -> FloatArray:
        """Noise of a run's rows, (rows, rows)."""
        return np.asarray(np.full((rows, rows), self.noise.run**2) + self.noise.row**2 * np.eye(rows))

    def variance(self, target: Target) -> FloatArray:
        """Of the wanted quantities before any run, (q, q)."""
        return np.asarray(target.weights @ self.covariance(target.points, target.points) @ target.weights.T)


@dataclass(frozen=True, eq=False)
class Learned:
    """What is left to learn of every candidate and of the target, after some runs were bought."""

    model: Model
    candidates: Candidates
    target: Target
    variance: FloatArray
    """(q, q) of the wanted quantities."""
    cross: FloatArray
    """(runs, rows, q): covariance of each candidate's rows with them."""
    blocks: FloatArray
    """(runs, rows, rows): of each candidate's rows, its own noise included."""
    whitened: FloatArray
    """(bought rows, all rows): L⁻¹·covariance of what was bought with every candidate's rows."""
    whitened_target: FloatArray
    """(bought rows, q)."""

    @classmethod
    def nothing(cls, model: Model, candidates: Candidates, target: Target) -> Learned:
        """Before any run."""
        n, r = candidates.count, candidates.rows
        cross = model.covariance(candidates.points, target.points) @ target.weights.T
        jacobian = candidates.points.jacobian.reshape(n, r, -1)
        at = candidates.points.at.reshape(n, r, 2)
        blocks = np.einsum("nim,mk,njk->nij", jacobian, model.prior, jacobian, optimize=True)
        squares = np.square((at[:, :, None, :] - at[:, None, :, :]) / model.noise.length).sum(-1)
        blocks += model.noise.misfit**2 * np.exp(-0.5 * squares) + model.of_run(r)
        none = np.zeros((0, n * r))
        q = len(target.weights)
        return cls(
            model,
            candidates,
            target,
            model.variance(target),
            cross.reshape(n, r, q),
            blocks,
            none,
            np.zeros((0, q)),
        )

    def gains(self) -> FloatArray:
        """By how much each candidate would lower the variance of each wanted quantity, (runs, q)."""
        factor = np.linalg.cholesky(self.blocks)
        half = np.linalg.solve(factor, self.cross)
        return np.asarray(np.square(half).sum(1))

    def bought(self, run: int) -> Learned:
        """After buying one more run; a candidate that was bought stays: another seed of it."""
        c, model = self.candidates, self.model
        index = c.block(run)
        own = c.points.taken(index)
        # Covariance of the new rows with all rows, given what was bought before; noise is the run's own.
        given = self.whitened[:, index]
        across = model.covariance(own, c.points) - given.T @ self.whitened
        inside = model.covariance(own, own) + model.of_run(c.rows) - given.T @ given
        factor = np.linalg.cholesky(inside)
        new = np.linalg.solve(factor, across)
        of_target = (
            model.covariance(own, self.target.points) @ self.target.weights.T - given.T @ self.whitened_target
        )
        new_target = np.linalg.solve(factor, of_target)
        by_run = new.reshape(c.rows, c.count, c.rows)
        return replace(
            self,
            variance=self.variance - new_target.T @ new_target,
            cross=self.cross - np.einsum("kni,kq->niq", by_run, new_target),
            blocks=self.blocks - np.einsum("kni,knj->nij", by_run, by_run),
            whitened=np.concatenate([self.whitened, new]),
            whitened_target=np.concatenate([self.whitened_target, new_target]),
        )
