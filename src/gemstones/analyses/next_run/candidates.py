"""Runs that could be bought, and the conventional designs that they are compared with.

A candidate is a model and the tokens that it is trained to; it gives every checkpoint on its way (or, annealed, its end
alone, for a tenth more), so a longer run teaches what a shorter one does, and more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gemstones.analyses.compare.optima import jacobian
from gemstones.analyses.next_run.experiment import Candidates, Points
from gemstones.analyses.next_run.wanted import columns_at
from gemstones.design.feasible import Constraints
from gemstones.laws.law import Law
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.shape import FloatArray, IntArray

CHECKPOINTS = 6
"""Of each run, by a factor of two in tokens, the last at its end."""
ANNEALED_COST = 1.1
"""A cooldown trains a tenth more."""
LEAST_RATIO, MOST_RATIO = 1.0, 400.0
"""Tokens per parameter of candidates: down to 1, for a bound of ten costs 10 to 20% of the width of the interval."""
SMALLEST = 1e-5
"""Of the largest run's FLOPs: cheaper candidates are none."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Models with the tokens that they are trained to."""

    z: FloatArray
    """(runs, q): log N, or log width and log depth."""
    log_flops: FloatArray
    """(runs,): of training to the end."""

    @property
    def count(self) -> int:
        """How many."""
        return len(self.log_flops)

    def taken(self, index: IntArray) -> Runs:
        """Some of them."""
        return Runs(self.z[index], self.log_flops[index])

    def joined(self, other: Runs) -> Runs:
        """These, then the others."""
        return Runs(np.concatenate([self.z, other.z]), np.concatenate([self.log_flops, other.log_flops]))


def as_candidates(law: Law, runs: Runs, *, annealed: bool = False) -> Candidates:
    """Their checkpoints as rows, and what each costs."""
    rows = 1 if annealed else CHECKPOINTS
    before = np.log(2.0) * np.arange(rows - 1, -1, -1)
    z = np.repeat(runs.z, rows, axis=0)
    columns, where = columns_at(law, z, (runs.log_flops[:, None] - before).ravel())
    cost = np.exp(runs.log_flops) * (ANNEALED_COST if annealed else 1.0)
    return Candidates(Points(jacobian(law, columns), where), rows, cost)


def ordinary(constraints: Constraints) -> FloatArray:
    """Log width and log depth of the feasible shapes of ordinary aspect ratio, (models, 2)."""
    width, depth = (x.ravel() for x in np.broadcast_arrays(*constraints.grid()))
    ratio = width / depth
    kept = (ratio >= ASPECT_RATIOS[0]) & (ratio <= ASPECT_RATIOS[1])
    return np.stack([np.log(width[kept]), np.log(depth[kept])], axis=1)


def grid(law: Law, z: FloatArray, largest: float, steps: int) -> Runs:
    """Every model at `steps` numbers of tokens: runs that cost `largest` FLOPs at most, neither tiny nor absurd."""
    where = columns_at(law, z, 0.0)[1]
    log_n, log_per_token = where[:, 0], -where[:, 1]
    low = np.maximum(log_per_token + log_n + np.log(LEAST_RATIO), np.log(SMALLEST * largest))
    high = np.minimum(log_per_token + log_n + np.log(MOST_RATIO), np.log(largest))
    usable = np.flatnonzero(high > low)
    at = np.linspace(0, 1, steps)
    flops = low[usable, None] + (high - low)[usable, None] * at
    return Runs(np.repeat(z[usable], steps, axis=0), flops.ravel())


def conventional(law: Law, z: FloatArray, spend: float, optimum: float) -> dict[str, Runs]:
    """Designs that people use, scaled to cost `spend`, of the models `z`, by name.

    `optimum` is the pooled log N* per log FLOPs line's value: N ≈ √(C/120), T = 20·N, centres isoFLOP grids.
    """
    where = columns_at(law, z, 0.0)[1]
    log_n, log_per_token = where[:, 0], -where[:, 1]

    def nearest(targets: FloatArray) -> IntArray:
        return np.asarray(np.abs(log_n[None] - targets[:, None]).argmin(1), np.int64)

    def scaled(build: Callable[[float], Runs]) -> Runs | None:
        low, high = 1e-8, 1.0
        for _ in range(60):
            middle = np.sqrt(low * high)
            cost = float(np.exp(build(middle * spend).log_flops).sum())
            low, high = (middle, high) if cost <= spend else (low, middle)
        made = build(low * spend)
        return made if 0.3 * spend < float(np.exp(made.log_flops).sum()) <= spend * 1.0001 else None

    def sizes(largest: float, count: int, reach: float) -> FloatArray:
        top = 0.5 * np.log(largest / 120)
        return np.linspace(top - np.log(reach), top, count)

    def equal_tokens(largest: float) -> Runs:
        index = nearest(sizes(largest, 8, 30))
        tokens = np.log(20.0) + log_n[index].max()
        return Runs(z[index], log_per_token[index] + tokens)

    def ladder(largest: float) -> Runs:
        index = nearest(sizes(largest, 8, 30))
        return Runs(z[index], log_per_token[index] + np.log(20.0) + log_n[index])

    def isoflop(largest: float) -> Runs:
        parts = []
        for budget in np.geomspace(largest / 100, largest, 5):
            centre = 0.5 * np.log(budget / 120) + optimum
            index = nearest(centre + np.linspace(-np.log(4), np.log(4), 7))
            parts.append(Runs(z[index], np.full(7, np.log(budget))))
        found = parts[0]
        for part in parts[1:]:
            found = found.joined(part)
        return found

    built = {"equal tokens": equal_tokens, "20 tokens per parameter": ladder, "isoFLOP grid": isoflop}
    made = {name: scaled(build) for name, build in built.items()}
    return {name: runs for name, runs in made.items() if runs is not None}
