"""The solver: screen for basins, polish the best starting points, take the best minimum.

A law with groups or interactions starts from the simpler law without them, which has a screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.derivatives import evaluate
from gemstones.laws.solver.merge import merged
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.polish import delta_schedule, polish, stage_tolerance
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.quality import Quality, quality
from gemstones.laws.solver.screen import KEPT, Screen
from gemstones.laws.solver.simpler import expanded, simpler
from gemstones.laws.solver.steep import steep
from gemstones.laws.solver.system import System
from gemstones.laws.solver.thin import Thinned, after_thinning
from gemstones.shape import FloatArray, IntArray

STARTS = 16
"""Starting points that are polished. Of 200 planted tables (benchmarks/robustness.md) two, of four terms and p, ended
above their best from 8, by 6% and 3%, and neither from 16; few go on after the first stage, so the time hardly
differs."""
MOST_ON_ALL = 3
"""Minima on some of many rows from which one on all is sought."""
SAME = 1e-3
"""Starts whose predictions differ by less, root mean square in units of δ, are in one basin: one of them goes on."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The best minimum found, with what can be said about it."""

    problem: Problem
    system: System
    theta: FloatArray
    """(m,): of the law."""
    value: float
    """The objective there."""
    optima: FloatArray
    """(starts, m of the system), internal: where starts ended, best first; starting points for resamples."""
    quality: Quality


def solve(problem: Problem, objective: Objective, starts: int = STARTS) -> Solution:
    """Minimise `objective` over the parameters of the law."""
    system = compiled(problem)
    theta, _ = _minima(system, objective, starts)
    best = theta[0]
    physical = system.physical(best[None])[0]
    return Solution(
        problem=problem,
        system=system,
        theta=physical,
        value=float(objective.value(evaluate(system, best[None]).residuals[0], system.weights)),
        optima=theta,
        quality=quality(system, best, objective.huber_delta, above=objective.above),
    )


def _minima(system: System, objective: Objective, starts: int) -> tuple[FloatArray, FloatArray]:
    """Where starts end, internal θ (·, m), and the objectives there, best first."""
    delta, above = objective.huber_delta, objective.above
    plain = simpler(system.problem)
    if plain is None:
        screened = Screen(system, delta, above).best(keep=max(KEPT, starts))
        first = np.concatenate([screened.diverse(starts), steep(system, screened.theta[:1])[0]])
    else:
        below = compiled(plain)
        theta, _ = _minima(below, objective, starts)
        first = system.centred(expanded(system.problem, below.physical(theta[:starts])))
    theta, value = descended(system, first, delta, above)
    restarts, _ = merged(system, theta[:1])
    if len(restarts):
        again, lower = descended(system, restarts, delta, above)
        theta, value = np.concatenate([theta, again]), np.concatenate([value, lower])
        order = np.argsort(value, kind="stable")
        theta, value = theta[order], value[order]
    return theta, value


def descended(
    system: System, starts: FloatArray, delta: float, above: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Minima from `starts` (B, m), best first."""
    stages = delta_schedule(delta)
    if (thinned := Thinned.of(system)) is not None:
        starts, _ = descended(thinned.system, starts, delta, above)
        starts = starts[distinct(thinned.system, starts, np.arange(len(starts)), SAME * stages[0])][
            :MOST_ON_ALL
        ]
        stages = after_thinning(delta)
    elif len(starts) > 1 and len(stages) > 1:
        starts, _ = refined(system, starts, delta, None, np.zeros(len(starts), np.int64), above)
        stages = stages[1:]
    ended = polish(system, starts, delta, above=above, schedule=stages)
    order = np.argsort(ended.value, kind="stable")
    return ended.theta[order], ended.value[order]


def refined(
    system: System,
    starts: FloatArray,
    delta: float,
    weights: FloatArray | None,
    index: IntArray,
    above: float,
) -> tuple[FloatArray, IntArray]:
    """`starts` (B, m) after the first stage, those that came to the same basin as one; and the problem of each.

    `index` (B,) is the problem that each start is of: the row of `weights` (R, n).
    """
    stages = delta_schedule(delta)
    rough = polish(
        system,
        starts,
        delta,
        weights,
        None if weights is None else index,
        above=above,
        schedule=stages[:1],
        tolerance=stage_tolerance(delta),
    )
    kept: list[int] = []
    order = np.argsort(rough.value, kind="stable")
    for problem in np.unique(index):
        mine = order[index[order] == problem]
        kept += distinct(system, rough.theta, mine, SAME * stages[0])
    return rough.theta[kept], index[kept]


def distinct(system: System, theta: FloatArray, candidates: IntArray, distance: float) -> list[int]:
    """Those of the `candidates`, numbers of θ (B, m) in order of merit, that predict differently from better ones."""
    kept: list[int] = []
    with np.errstate(all="ignore"):
        residuals = evaluate(system, theta[candidates]).residuals
    for i in range(len(candidates)):
        if all(np.sqrt(((residuals[i] - residuals[j]) ** 2).mean()) > distance for j in kept):
            kept.append(i)
    return [int(candidates[i]) for i in kept]
