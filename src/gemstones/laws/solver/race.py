"""The end of a descent for those starts alone that may still win it.

The last digits cost the most: at a small δ, and where runs hardly tell the constants apart, nine of ten evaluations are
of the last stage, each start's on its way from 1e-4 above its minimum to rounding. So starts of one problem go to
within a stage's tolerance together, and from there the best of each go on.
"""

from __future__ import annotations

import numpy as np

from gemstones.laws.solver.polish import Polished, polish, stage_tolerance
from gemstones.laws.solver.solve import SAME, distinct
from gemstones.laws.solver.system import System
from gemstones.shape import FloatArray, IntArray

CONTENDERS = 4
"""Starts of one problem that go on, at most. With 4 none of 64 resamples of two tables of the Gemstones by
`(w,d,N,T)^p` ends above the best of all starts, with 2 one of each 32 does, by 4e-3."""
MARGIN = 0.02
"""How far above the best of its problem a start may be to go on, relative."""


def raced(
    system: System,
    starts: FloatArray,
    delta: float,
    weights: FloatArray,
    index: IntArray,
    *,
    above: float,
    schedule: tuple[float, ...],
) -> Polished:
    """As `gemstones.laws.solver.polish.polish`, of several `starts` (B, m) for each problem: minima of the best.

    `index` (B,) is the problem that each start is of, the row of `weights` (R, n). Those that cannot win end where they
    were seen to lose.
    """
    rough = polish(
        system,
        starts,
        delta,
        weights,
        index,
        above=above,
        schedule=schedule,
        tolerance=stage_tolerance(delta),
    )
    on = _contenders(system, rough, index, delta)
    ended = polish(system, rough.theta[on], delta, weights, index[on], above=above, schedule=schedule[-1:])
    theta, value, iterations = rough.theta.copy(), rough.value.copy(), rough.iterations.copy()
    theta[on], value[on] = ended.theta, ended.value
    iterations[on] += ended.iterations
    return Polished(theta, value, iterations)


def _contenders(system: System, rough: Polished, problem: IntArray, delta: float) -> IntArray:
    """Numbers of the starts that go on."""
    order = np.lexsort((rough.value, problem))
    firsts = np.unique(problem[order], return_index=True)[1]
    kept: list[int] = []
    for mine in np.split(order, firsts[1:]):
        near = mine[~(rough.value[mine] > rough.value[mine[0]] * (1 + MARGIN))]
        kept += distinct(system, rough.theta, near, SAME * delta)[:CONTENDERS]
    return np.array(kept, np.int64)
