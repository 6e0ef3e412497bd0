"""The error of predictions of held-out rows, its interval, and the paired difference of two predictors' errors.

With r = log L̂ − log L of every held-out row, and every run counted once however many of its rows are held out,

    error = √( mean over runs of the mean of r² over the run's rows ),    bias = mean over runs of the mean of r.

Runs count once because checkpoints of one run go wrong together: thirty of them are not thirty pieces of evidence,
and above a cut by compute most rows belong to the few largest runs. Draws resample clusters with replacement: the
runs of a cut, the folds of leave-one-out, whose rows share a fit. Two predictors of the same rows are resampled
alike, so that what is hard for both cancels in their difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.interval import interval
from gemstones.laws.solver.resample import CHUNK, draw_weights
from gemstones.shape import FloatArray, IntArray
from gemstones.units import Interval


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Sums over the runs of each cluster; predictors of the same rows have the same clusters in the same order."""

    squares: FloatArray
    """(clusters,): of the runs' mean squared residuals."""
    signed: FloatArray
    """(clusters,): of the runs' mean residuals."""
    runs: FloatArray
    """(clusters,): how many runs."""

    @classmethod
    def of(cls, residuals: FloatArray, runs: IntArray, clusters: IntArray) -> HeldOut:
        """From log L̂ − log L of every row, and the numbers of its run and its cluster; all (rows,), not empty."""
        pairs, pair = np.unique(np.column_stack([clusters, runs]), axis=0, return_inverse=True)
        pair = pair.reshape(-1)
        cluster = np.unique(pairs[:, 0], return_inverse=True)[1].reshape(-1)
        rows = np.bincount(pair)
        squares, signed, runs_of = (
            np.bincount(cluster, np.bincount(pair, values) / rows).astype(np.float64)
            for values in (residuals**2, residuals, np.ones_like(residuals))
        )
        return cls(squares, signed, runs_of)

    @property
    def clusters(self) -> int:
        """How many there are to resample."""
        return len(self.runs)

    @property
    def error(self) -> float:
        """Root mean square of log L̂ − log L over runs."""
        return float(np.sqrt(self.squares.sum() / self.runs.sum()))

    @property
    def bias(self) -> float:
        """Mean of log L̂ − log L over runs: positive where losses were predicted too high."""
        return float(self.signed.sum() / self.runs.sum())

    def error_draws(self, weights: FloatArray) -> FloatArray:
        """`error` of every resample of clusters, for `weights` (draws, clusters)."""
        return np.asarray(np.sqrt(weights @ self.squares / (weights @ self.runs)))

    def bias_draws(self, weights: FloatArray) -> FloatArray:
        """`bias` of every resample of clusters, for `weights` (draws, clusters)."""
        return np.asarray(weights @ self.signed / (weights @ self.runs))


@dataclass(frozen=True)
class Resamples:
    """How clusters are resampled: for every predictor of the same rows alike."""

    draws: int
    seed: int
    level: float

    def weights(self, clusters: int) -> FloatArray | None:
        """How often each cluster counts in each resample, (draws, clusters); None where that gives no interval."""
        if clusters < LEAST_RUNS or self.draws == 0:
            return None
        chunks = range(-(-self.draws // CHUNK))
        weights = [draw_weights(np.arange(clusters), "run", self.seed, chunk) for chunk in chunks]
        return np.concatenate(weights)[: self.draws]

    def error_interval(self, held: HeldOut) -> Interval | None:
        """Of the error."""
        weights = self.weights(held.clusters)
        return None if weights is None else interval(held.error_draws(weights), held.error, level=self.level)

    def bias_interval(self, held: HeldOut) -> Interval | None:
        """Of the bias."""
        weights = self.weights(held.clusters)
        return None if weights is None else interval(held.bias_draws(weights), held.bias, level=self.level)

    def difference_interval(self, one: HeldOut, other: HeldOut) -> Interval | None:
        """Of the error of `one` less that of `other`, both of the same rows: paired."""
        weights = self.weights(one.clusters)
        if weights is None:
            return None
        draws = one.error_draws(weights) - other.error_draws(weights)
        return interval(draws, one.error - other.error, level=self.level)
