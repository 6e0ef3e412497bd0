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
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gemstones.arguments import shown
from gemstones.errors import InvalidRequest
from gemstones.laws.interval import DEFAULT_LEVEL, MOST_DRAWS, check_draws
from gemstones.laws.merge import merged
from gemstones.laws.objective import huber
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.polish import BATCH, polish
from gemstones.laws.problem import Problem
from gemstones.laws.screen import diverse, screen
from gemstones.shape import FloatArray

Unit = Literal["run", "row"]

MOST_SEEDS = 2**63 - 1
"""What JSON files of fits can hold."""
CHUNK = 64
"""Resamples that are drawn, and solved, together."""
OWN_STARTS = {1: 0, 2: 0, 3: 2}
"""Starts from the resample's own screen, by number of terms; more terms have more optima."""
MANY_OWN_STARTS = 4
POOL_STARTS = 2
"""Starts from the full data's optima and screen, ranked by the resample's own objective, where the
resample has no screen of its own."""
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
    problem: Problem,
    optima: FloatArray,
    delta: float,
    run_codes: NDArray[np.int64],
    draws: int,
    *,
    unit: Unit = "run",
    seed: int = 0,
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """θ (draws, m; of the law) refitted to `draws` resamples; `optima` (centred) are those of the full data."""
    candidates, _ = screen(problem, delta)
    pool = np.concatenate([optima, candidates])
    chunks = range(-(-draws // CHUNK))

    def one(chunk: int) -> FloatArray:
        weights = draw_weights(run_codes, unit, seed, chunk)[: draws - chunk * CHUNK]
        theta, _ = refit(problem, weights, delta, pool, len(optima))
        return theta

    parts = run_chunks(
        one, chunks, workers, None if progress is None else lambda n: progress(min(draws, n * CHUNK))
    )
    return problem.physical(np.concatenate(parts)) if parts else np.zeros((0, 2 * problem.terms + 1))


def refit(
    problem: Problem, weights: FloatArray, delta: float, pool: FloatArray, optima: int
) -> tuple[FloatArray, FloatArray]:
    """Minimise under each of `weights` (R, n).

    `pool` (P, m) are points to start from, the first `optima` of them minima of the full data. Returns
    centred θ (R, m) and objectives (R,).
    """
    count = len(weights)
    scores = _scores(problem, pool, delta, weights)
    own = OWN_STARTS.get(problem.terms, MANY_OWN_STARTS)
    starts, index = [], []
    for r in range(count):
        if own:
            first = pool[[scores[:optima, r].argmin()]]
            candidates, _ = screen(problem, delta, weights[r])
            chosen = np.concatenate([first, diverse(candidates, own)])
        else:
            chosen = pool[np.argsort(scores[:, r], kind="stable")[:POOL_STARTS]]
        starts.append(chosen)
        index.append(np.full(len(chosen), r))
    best, value = np.zeros((count, pool.shape[1])), np.full(count, np.inf)
    for round_ in range(MAX_ROUNDS):
        which = np.concatenate(index)
        polished = polish(problem, np.concatenate(starts), delta, weights, which)
        for r, theta, reached in zip(which, polished.theta, polished.value, strict=True):
            if reached < value[r]:
                best[r], value[r] = theta, reached
        scores = _scores(problem, polished.theta, delta, weights)
        lowest = scores.argmin(0)
        improvable = np.flatnonzero(scores[lowest, np.arange(count)] < value * (1 - 1e-9))
        starts, index = [polished.theta[lowest[improvable]]], [improvable]
        if round_ == 0:
            joined, worth_a_try = merged(problem, best)
            starts.append(joined[worth_a_try])
            index.append(np.flatnonzero(worth_a_try))
        if not sum(map(len, index)):
            break
    return best, value


def _scores(problem: Problem, theta: FloatArray, delta: float, weights: FloatArray) -> FloatArray:
    """Objective of every θ (P, m) under every weighting (R, n): (P, R)."""
    blocks = [theta[i : i + BATCH] for i in range(0, len(theta), BATCH)]
    return np.concatenate([huber(problem.residuals(block), delta) @ weights.T for block in blocks])
