"""The runs to buy: greedy by what a run teaches for its cost, then runs exchanged until nothing improves.

The search starts from its own greedy choice and from conventional designs of the same cost, so that its answer is never
worse than the best of these that the limits allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gemstones.analyses.next_run.experiment import Learned
from gemstones.shape import FloatArray, IntArray

LEAST_SHARE = 0.25
"""Of the mean cost of a run: cheaper runs count as so dear, or the budget is splintered over tiny runs."""
ROUNDS = 6
IMPROVES = 1e-3
"""An exchange must lower the mean log standard deviation by more."""
SHORTLIST = 700
"""Candidates among which runs are exchanged: those that were worth most at some step of a greedy search."""
EXCHANGED = 2
"""Starts that are improved by exchanges: the best ones."""
AFFORDABLE = 1 + 1e-9


@dataclass(frozen=True)
class Limits:
    """What may be bought."""

    spend: float
    """In the unit of the candidates' cost, in all."""
    runs: int
    """At most."""

    @property
    def floor(self) -> float:
        """What a cheaper run counts as costing."""
        return LEAST_SHARE * self.spend / self.runs


def score(variance: FloatArray) -> float:
    """What is made small: the mean log standard deviation of the wanted quantities."""
    return float(0.5 * np.log(np.diag(variance)).mean())


def after(start: Learned, runs: Sequence[int]) -> Learned:
    """After buying `runs`."""
    now = _told(start, runs)
    blocks = start.rows @ now.covariance @ start.rows.transpose(0, 2, 1) + np.eye(start.rows.shape[1])
    return replace(start, covariance=now.covariance, blocks=blocks)


def value(start: Learned, runs: Sequence[int]) -> float:
    """The score after buying `runs`."""
    return score(_told(start, runs).variance)


def _told(start: Learned, runs: Sequence[int]) -> Learned:
    """After buying `runs`, the candidates left out."""
    now = replace(start, rows=start.rows[:0], blocks=start.blocks[:0])
    for run in runs:
        now = now.told(start.rows[run])
    return now


def worth(now: Learned) -> FloatArray:
    """By how much each candidate lowers the score, (runs,)."""
    left = np.maximum(1 - now.gains() / np.diag(now.variance), 1e-12)
    return np.asarray(-0.5 * np.log(left).mean(1))


def greedy(
    start: Learned, cost: FloatArray, limits: Limits, first: Sequence[int] = ()
) -> tuple[tuple[int, ...], IntArray]:
    """Candidates in the order of buying, until money or runs are spent; and those that were worth most on the way."""
    now = after(start, first) if first else start
    chosen = list(first)
    spent = float(cost[chosen].sum())
    each = max(8, 2 * SHORTLIST // limits.runs)
    seen: set[int] = set(chosen)
    while len(chosen) < limits.runs:
        affordable = cost <= (limits.spend - spent) * AFFORDABLE
        if not affordable.any():
            break
        worths = np.where(affordable, worth(now), -np.inf)
        per_cost = worths / np.maximum(cost, limits.floor)
        for ranking in (worths, per_cost):
            seen.update(int(i) for i in np.argpartition(-ranking, min(each, len(cost) - 1))[:each])
        best = int(per_cost.argmax())
        chosen.append(best)
        spent += float(cost[best])
        now = now.bought(best)
    return tuple(chosen), np.array(sorted(seen), np.int64)


def exchanged(start: Learned, cost: FloatArray, limits: Limits, runs: Sequence[int]) -> tuple[int, ...]:
    """`runs` with runs exchanged, one at a time, for whatever lowers the score most within the limits."""
    chosen = list(runs)
    for _ in range(ROUNDS):
        now = after(start, chosen)
        best = score(now.variance)
        before = best
        for place, old in enumerate(chosen):
            without = now.returned(old)
            left = limits.spend - float(cost[[run for i, run in enumerate(chosen) if i != place]].sum())
            gain = np.where(cost <= left * AFFORDABLE, worth(without), -np.inf)
            run = int(gain.argmax())
            new = score(without.variance) - float(gain[run])
            if new < best - IMPROVES / len(chosen):
                chosen[place], best, now = run, new, without.bought(run)
        if before - best < IMPROVES:
            break
    return tuple(chosen)


def in_order(start: Learned, cost: FloatArray, limits: Limits, runs: Sequence[int]) -> tuple[int, ...]:
    """The same runs in the order in which to buy them: always the one that teaches most for its cost."""
    index = np.array(sorted(set(runs)), np.int64)
    now, costs = start.taken(index), np.maximum(cost[index], limits.floor)
    left = {i: sum(run == index[i] for run in runs) for i in range(len(index))}
    order = []
    for _ in runs:
        open_ = np.array([left[i] > 0 for i in range(len(index))])
        best = int(np.where(open_, worth(now) / costs, -np.inf).argmax())
        left[best] -= 1
        order.append(int(index[best]))
        now = now.bought(best)
    return tuple(order)


def search(
    start: Learned, cost: FloatArray, limits: Limits, starts: Sequence[Sequence[int]] = ()
) -> tuple[int, ...]:
    """The best of the greedy design and of `starts` (within the limits), improved by exchanges, in order of buying."""
    own, short = greedy(start, cost, limits)
    found = [own, *(tuple(one) for one in starts if len(one) <= limits.runs)]
    found = [one for one in found if one]
    found.sort(key=lambda one: value(start, one))
    best = found[0] if found else ()
    index = np.array(sorted({*short.tolist(), *(run for one in found for run in one)}), np.int64)
    some, costs = start.taken(index), cost[index]
    place = {int(run): i for i, run in enumerate(index)}
    for one in found[:EXCHANGED]:
        better = exchanged(some, costs, limits, [place[run] for run in one])
        better = exchanged(some, costs, limits, greedy(some, costs, limits, better)[0])
        ended = tuple(int(index[i]) for i in better)
        best = min(best, ended, key=lambda runs: value(start, runs))
    return in_order(start, cost, limits, best)
