"""The runs to buy: greedy by what a run teaches for its cost, then runs exchanged until nothing improves.

The search starts from its own greedy choice and from conventional designs of the same cost, so that its answer is never
worse than the best of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.analyses.next_run.experiment import Candidates, Learned, Model, Target
from gemstones.shape import FloatArray

LEAST_SHARE = 0.25
"""Of the mean cost of a run: cheaper runs count as so dear, or the budget is splintered over tiny runs."""
ROUNDS = 6
IMPROVES = 1e-4
"""An exchange must lower the summed log standard deviation by more."""


@dataclass(frozen=True)
class Limits:
    """What may be bought."""

    spend: float
    """FLOPs in all."""
    runs: int
    """At most."""


def score(variance: FloatArray) -> float:
    """What is made small: the mean log standard deviation of the wanted quantities."""
    return float(0.5 * np.log(np.diag(variance)).mean())


def learned(model: Model, candidates: Candidates, target: Target, runs: Sequence[int]) -> Learned:
    """After buying `runs`."""
    now = Learned.nothing(model, candidates, target)
    for run in runs:
        now = now.bought(run)
    return now


def greedy(
    model: Model, candidates: Candidates, target: Target, limits: Limits, start: Sequence[int] = ()
) -> tuple[int, ...]:
    """Candidates in the order in which they are bought, until money or runs are spent."""
    now = learned(model, candidates, target, start)
    chosen = list(start)
    spent = float(candidates.cost[chosen].sum())
    floor = LEAST_SHARE * limits.spend / limits.runs
    while len(chosen) < limits.runs:
        affordable = candidates.cost <= (limits.spend - spent) * (1 + 1e-9)
        if not affordable.any():
            break
        value = _worth(now) / np.maximum(candidates.cost, floor)
        best = int(np.where(affordable, value, -np.inf).argmax())
        chosen.append(best)
        spent += float(candidates.cost[best])
        now = now.bought(best)
    return tuple(chosen)


def _worth(now: Learned) -> FloatArray:
    """By how much each candidate lowers the score, (runs,)."""
    before = np.diag(now.variance)
    left = np.maximum(1 - now.gains() / before, 1e-12)
    return np.asarray(-0.5 * np.log(left).mean(1))


def exchanged(
    model: Model,
    candidates: Candidates,
    target: Target,
    limits: Limits,
    start: Sequence[int],
    progress: Callable[[int], None] | None = None,
) -> tuple[int, ...]:
    """`start` with runs exchanged, one at a time, for whatever lowers the score most at no higher cost in all."""
    chosen = list(start)
    best = score(learned(model, candidates, target, chosen).variance)
    for round_ in range(ROUNDS):
        improved = False
        for place in range(len(chosen)):
            others = [run for i, run in enumerate(chosen) if i != place]
            now = learned(model, candidates, target, others)
            left = limits.spend - float(candidates.cost[others].sum())
            worth = np.where(candidates.cost <= left * (1 + 1e-9), _worth(now), -np.inf)
            run = int(worth.argmax())
            value = score(now.variance) - float(worth[run])
            if value < best - IMPROVES:
                chosen[place], best, improved = run, value, True
        if progress is not None:
            progress(round_ + 1)
        if not improved:
            break
    return tuple(chosen)


def in_order(model: Model, candidates: Candidates, target: Target, runs: Sequence[int]) -> tuple[int, ...]:
    """The same runs in the order in which to buy them: always the one that teaches most for its cost."""
    left, order = list(runs), []
    now = Learned.nothing(model, candidates, target)
    while left:
        worth = _worth(now)
        run = max(left, key=lambda one: worth[one] / candidates.cost[one])
        left.remove(run)
        order.append(run)
        now = now.bought(run)
    return tuple(order)


def search(
    model: Model, candidates: Candidates, target: Target, limits: Limits, starts: Sequence[Sequence[int]] = ()
) -> tuple[int, ...]:
    """The best of the greedy design and of `starts` (within the limits), each after exchanges, in order of buying."""
    found = [greedy(model, candidates, target, limits)]
    found += [tuple(one) for one in starts if len(one) <= limits.runs]
    ends = [exchanged(model, candidates, target, limits, one) for one in found]
    ends += found
    values = [score(learned(model, candidates, target, one).variance) for one in ends]
    return in_order(model, candidates, target, ends[int(np.argmin(values))])
