"""Resampling: refit the law to resampled runs, so that every number that follows has an interval.

Checkpoints of one run are not independent (a run that is lucky at 10B tokens is lucky at 12B), so whole
runs are drawn with replacement (cluster bootstrap, Davison & Hinkley 1997, §3.8) unless rows are asked
for. A resample is the same problem with row weights.

With several terms a resample by run has several optima, and a refit that stops in the wrong one
understates the spread. So each resample starts from the best optimum of the full data and from its own
screen (`OWN_STARTS`), and then from every better point that any other resample of its chunk found: scoring
all points on all resamples is one matrix product.

Resamples come in fixed chunks, each with its own random stream: the draws depend on the seed alone, not on
the number of workers, and a longer series begins with the shorter one's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gemstones.arguments import shown
from gemstones.errors import InvalidRequest
from gemstones.laws.interval import DEFAULT_LEVEL, MOST_DRAWS, check_draws
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.solver.derivatives import evaluate
from gemstones.laws.solver.merge import merged
from gemstones.laws.solver.objective import Objective, huber
from gemstones.laws.solver.polish import Polished, block_size, delta_schedule
from gemstones.laws.solver.problem import EXPONENTS, RESAMPLED_EXPONENT
from gemstones.laws.solver.race import raced
from gemstones.laws.solver.screen import KEPT, Screen
from gemstones.laws.solver.simpler import simpler
from gemstones.laws.solver.solve import Solution, refined
from gemstones.laws.solver.steep import steep
from gemstones.laws.solver.system import System
from gemstones.laws.solver.thin import Thinned, after_thinning
from gemstones.shape import FloatArray, IntArray

Unit = Literal["run", "row"]

MOST_SEEDS = 2**63 - 1
"""What JSON files of fits can hold."""
CHUNK = 64
"""Resamples that are drawn, and solved, together."""
WARM_DELTA = 5e-4
"""δ at which a start from another resample's optimum, or the full data's, begins."""
OWN_STARTS = {1: 2, 2: 0}
"""Starts from the resample's own screen, by number of exponents (and p): `N,T` needs none."""
MANY_OWN_STARTS = 4
"""Of laws with more, beside those with a steep term. Of 64 resamples of `w,d,N,T`, and of `(w,d,N,T)^p`, on the
Gemstones two reach as much; of 800 on planted tables (benchmarks/robustness.md) three end above the best with
four, eight did with two."""
MOST_OWN_STARTS = 100
MAX_ROUNDS = 8
"""Rounds of trying what the other resamples found; one or two are usual."""


def check_resampling(
    draws: int, unit: str, seed: int, level: float = DEFAULT_LEVEL, what: str = "bootstrap"
) -> None:
    """Refuse what is no number of resamples, too few of them for intervals at `level`, no unit or no seed."""
    if not 0 <= draws <= MOST_DRAWS:
        raise InvalidRequest(
            f"{what} {shown(draws)} must be a number of resamples up to {MOST_DRAWS:,}, or 0 for none"
        )
    check_draws(draws, level, what)
    if unit not in get_args(Unit):
        raise InvalidRequest(f"resampling unit {unit!r} is unknown: choose from {', '.join(get_args(Unit))}")
    if not 0 <= seed <= MOST_SEEDS:
        raise InvalidRequest(f"seed {shown(seed)} must be 0 to {MOST_SEEDS}")


def draw_weights(run_codes: NDArray[np.int64], unit: Unit, seed: int, chunk: int) -> FloatArray:
    """How often each row is counted in each resample of a chunk, (CHUNK, rows)."""
    check_resampling(0, unit, seed)
    rng = np.random.default_rng([seed, chunk])
    codes = run_codes if unit == "run" else np.arange(len(run_codes))
    clusters = int(codes.max()) + 1
    drawn = rng.integers(0, clusters, (CHUNK, clusters))
    counts = np.zeros((CHUNK, clusters))
    np.add.at(counts, (np.arange(CHUNK)[:, None], drawn), 1.0)
    return counts[:, codes]


def resample(
    solution: Solution,
    objective: Objective,
    run_codes: NDArray[np.int64],
    draws: int,
    *,
    unit: Unit = "run",
    seed: int = 0,
    starts: int | None = None,
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """θ (draws, m; of the law) refitted to `draws` resamples of the rows that `solution` is of.

    `starts` is how many points of its own screen each begins from, by default `OWN_STARTS` and `MANY_OWN_STARTS`.
    """
    system = solution.system
    again = Refits(solution, objective, starts)
    chunks = range(-(-draws // CHUNK))

    def one(chunk: int) -> FloatArray:
        weights = draw_weights(run_codes, unit, seed, chunk)[: draws - chunk * CHUNK]
        return again.of(weights)[0]

    parts = run_chunks(
        one, chunks, workers, None if progress is None else lambda n: progress(min(draws, n * CHUNK))
    )
    return system.physical(np.concatenate(parts)) if parts else np.zeros((0, len(solution.theta)))


class Refits:
    """Refits of one solution's law to resamples of its rows."""

    def __init__(self, solution: Solution, objective: Objective, starts: int | None = None) -> None:
        self.system, self.optima = _resampled(solution.system, solution.optima[0]), solution.optima
        self.delta, self.above = objective.huber_delta, objective.above
        self.thinned = Thinned.of(self.system)
        self.screen = None
        if simpler(solution.problem) is None:
            axes = len(self.system.kind("exponent")) + len(self.system.kind("inner")) + self.system.outer
            self.own = OWN_STARTS.get(axes, MANY_OWN_STARTS) if starts is None else starts
            if self.own:
                self.screen = Screen(self.system, self.delta, self.above)

    def of(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Minima under each of `weights` (R, n): internal θ (R, m) and objectives (R,)."""
        system, count = self.system, len(weights)
        if system.weights is not None:
            weights = weights * system.weights
        best, value = np.zeros((count, system.parameters)), np.full(count, np.inf)
        optima = _scores(system, self.optima, weights, self.delta, self.above)
        starts, index = [self.optima[optima.argmin(0)]], [np.arange(count)]
        if self.screen is not None:
            own, of, best_of = [], [], []
            for r, screened in enumerate(self.screen.best_of_each(weights, keep=max(KEPT, self.own))):
                own.append(screened.diverse(self.own))
                of.append(np.full(len(own[-1]), r))
                best_of.append(screened.theta[0])
            steepened, of_steep = steep(system, np.array(best_of), weights)
            own.append(steepened)
            of.append(of_steep)
            looked_at, counts = system, weights
            if self.thinned is not None:
                looked_at, counts = self.thinned.system, weights[:, self.thinned.rows]
            theta, which = refined(
                looked_at, np.concatenate(own), self.delta, counts, np.concatenate(of), self.above
            )
            starts.append(theta)
            index.append(which)
        found: list[FloatArray] = []
        for round_ in range(MAX_ROUNDS):
            which = np.concatenate(index)
            polished = self._polished(np.concatenate(starts), weights, which)
            order = np.lexsort((polished.value, which))
            first = order[np.unique(which[order], return_index=True)[1]]
            better = first[polished.value[first] < value[which[first]]]
            best[which[better]], value[which[better]] = polished.theta[better], polished.value[better]
            found = [polished.theta[first]]
            scores = _scores(system, found[0], weights, self.delta, self.above)
            lowest = scores.argmin(0)
            improvable = np.flatnonzero(scores[lowest, np.arange(count)] < value * (1 - 1e-9))
            starts, index = [found[0][lowest[improvable]]], [improvable]
            if round_ == 0:
                restarts, of_restarts = merged(system, best)
                starts.append(restarts)
                index.append(of_restarts)
            if not sum(map(len, index)):
                break
        return best, value

    def _polished(self, starts: FloatArray, weights: FloatArray, index: IntArray) -> Polished:
        """Minima from starts that are near: other optima, or refined ones."""
        schedule = delta_schedule(self.delta, WARM_DELTA)
        if self.thinned is not None:
            starts = self.thinned.polished(
                starts, self.delta, weights, index, above=self.above, schedule=schedule
            ).theta
            schedule = after_thinning(self.delta)
        return raced(self.system, starts, self.delta, weights, index, above=self.above, schedule=schedule)


def _resampled(system: System, best: FloatArray) -> System:
    """The system with the default bounds of exponents that resamples have, given the estimate (m,)."""
    upper, exponents = system.upper.copy(), system.kind("exponent")
    usual = exponents[upper[exponents] == EXPONENTS[1]]
    upper[usual] = np.clip(2 * best[usual], RESAMPLED_EXPONENT, upper[usual])
    return replace(system, upper=upper)


def _scores(system: System, theta: FloatArray, weights: FloatArray, delta: float, above: float) -> FloatArray:
    """Objective of every θ (P, m) under every weighting (R, n): (P, R)."""
    blocks = np.array_split(theta, -(-len(theta) // block_size(system)))
    with np.errstate(all="ignore"):
        return np.concatenate(
            [huber(evaluate(system, block).residuals, delta, above) @ weights.T for block in blocks]
        )
