"""Minimising Huber's objective to rounding: Levenberg–Marquardt on the exact Hessian, with a decreasing δ.

At δ = 1e-4 the objective is nearly an L1 norm: almost every residual is on its linear branch, and a Newton step sees
the curvature of a handful of rows. So δ starts large and falls in stages (`delta_schedule`); each stage starts where
the one before ended, in the right basin and with a useful Hessian.

Many problems (starts, resamples, or both) advance together as arrays; those that finish make room for the next in the
queue. Letters of axes: B problems, m parameters, n rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gemstones.laws.solver.derivatives import Evaluation, Workspace, derivatives, evaluate, huber_sum, metric
from gemstones.laws.solver.model import Model, at_bounds, within
from gemstones.laws.solver.system import System
from gemstones.shape import BoolArray, FloatArray, IntArray

BATCH = 128
"""Problems that advance together, at most."""
BATCH_ROWS = 524_288
"""Rows of all problems of a batch together, at most: their weights are in memory."""
BLOCK_ROWS = 32_768
"""Rows of all problems that are evaluated together, about: their arrays should stay in the processor's cache. A batch
goes through its rows block by block, and takes its steps as a whole: those cost the same for 3 problems as for 32,
and hardly more for 64."""
METRIC_LASTS = 5
"""Evaluations for which the damping's metric is kept: it costs as much as a Hessian and changes little."""
NOUGHT = 1e-18
"""Nearer to its lower bound a parameter is at it."""
MAX_ITERATIONS = 300
"""Accepted steps per stage."""
MAX_REJECTIONS = 30
"""Rejected steps in a row that end a stage: the objective cannot fall any further in floating point."""
FINAL_TOLERANCE = 1e-12
"""Relative decrease under which, twice in a row, the last stage ends; see `stage_tolerance` for the others."""


@dataclass(frozen=True, eq=False)
class Polished:
    """Where each problem ended."""

    theta: FloatArray
    """(B, m), internal."""
    value: FloatArray
    """(B,): objective at the last δ."""
    iterations: IntArray
    """(B,): evaluations used."""


def delta_schedule(delta: float, first: float = 1e-2) -> tuple[float, ...]:
    """δ of each stage, from about `first` to `delta`: in wide steps down to ten times it, then in narrow ones.

    >>> delta_schedule(1e-4)[0], delta_schedule(1e-4)[-1], len(delta_schedule(1e-4))
    (0.01, 0.0001, 8)
    """
    if math.isinf(delta):
        return (delta,)
    stages = [factor * delta for factor in (100.0, 30.0, 10.0, 6.0, 4.0, 2.5, 1.6, 1.0)]
    while stages[0] < 0.9 * first:
        stages.insert(0, min(first, stages[0] * 10 / 3))
    return tuple(stage for stage in stages if stage <= 1.1 * first) or (delta,)


def stage_tolerance(delta: float) -> float:
    """Relative decrease under which, twice in a row, a stage on the way to `delta` ends.

    The smaller the last δ, the less a Newton step can mend there, and the better the stages before it have to
    be: at 1e-4 throughout, fits at δ = 1e-8 stop up to 1e-4 above the minimum.
    """
    return min(1e-4, max(1e-7, delta))


def batch_size(system: System) -> int:
    """Problems that advance together."""
    return max(1, min(BATCH, BATCH_ROWS // max(system.rows, 1)))


def block_size(system: System) -> int:
    """Problems that are evaluated together."""
    return max(1, min(BATCH, BLOCK_ROWS // max(system.rows, 1)))


def polish(
    system: System,
    starts: FloatArray,
    delta: float,
    weights: FloatArray | None = None,
    weight_index: IntArray | None = None,
    *,
    above: float = 1.0,
    schedule: tuple[float, ...] | None = None,
    tolerance: float = FINAL_TOLERANCE,
) -> Polished:
    """Minimise from each of `starts` (B, m; internal).

    `weights` (R, n) are row weights (the system's own are not applied in their place); `weight_index` (B,) says which
    row of them each start uses (default: the start's own number). Positive residuals count `above` times. `schedule`
    is the δ of each stage, and `tolerance` the relative decrease under which the last one ends. The result does not
    depend on how starts are grouped into calls, beyond rounding.
    """
    count = len(starts)
    theta = within(system, np.array(starts, np.float64))
    value, iterations = np.full(count, np.inf), np.zeros(count, np.int64)
    index = np.arange(count) if weight_index is None else np.asarray(weight_index)
    stages = delta_schedule(delta) if schedule is None else schedule
    size = min(count, batch_size(system))
    if weights is None and system.weights is not None:
        weights, index = system.weights[None], np.zeros(count, np.int64)
    task = _Task(
        system,
        np.array(stages),
        np.array([*[stage_tolerance(delta)] * (len(stages) - 1), tolerance]),
        above,
        Workspace(system, max(min(size, block_size(system)), 1)),
        size,
        block_size(system),
    )
    batch = _Batch.started(task, np.zeros(0, np.int64), theta[:0], None)
    # A trial step may overflow, or divide zero by zero: its objective is then no improvement, so it is refused.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        _run(task, batch, theta, value, iterations, weights, index)
    # What falls by a factor in every step comes near a bound at 0 and never there.
    theta = np.where(np.abs(theta - system.lower) < NOUGHT, system.lower, theta)
    return Polished(theta, value, iterations)


def _run(
    task: _Task,
    batch: _Batch,
    theta: FloatArray,
    value: FloatArray,
    iterations: IntArray,
    weights: FloatArray | None,
    index: IntArray,
) -> None:
    """Advance every problem to its end; `theta` holds the starts and takes the ends."""
    queued, count = 0, len(theta)
    while queued < count or batch.size:
        if queued < count and batch.size <= task.size // 2:
            arriving = np.arange(queued, min(count, queued + task.size - batch.size))
            queued += len(arriving)
            rows = None if weights is None else weights[index[arriving]]
            batch = batch.joined(_Batch.started(task, arriving, theta[arriving], rows))
        finished = batch.advance(task)
        if finished.any():
            done = batch.identity[finished]
            theta[done], value[done] = batch.theta[finished], batch.value[finished]
            iterations[done] = batch.evaluations[finished]
            batch = batch.taken(~finished)


@dataclass(frozen=True, eq=False)
class _Task:
    """What stays the same from the first step to the last."""

    system: System
    stages: FloatArray
    """δ by stage."""
    tolerances: FloatArray
    """By stage."""
    above: float
    workspace: Workspace
    """Of a block."""
    size: int
    """Of a batch."""
    block: int

    def blocks(self, count: int) -> list[slice]:
        """Consecutive problems of `count` that are evaluated together."""
        return [slice(i, min(i + self.block, count)) for i in range(0, count, self.block)]


@dataclass(eq=False)
class _Batch:
    """The problems under way, one row each; the only mutable state of the solver."""

    identity: IntArray
    theta: FloatArray
    weights: FloatArray | None
    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    metric: FloatArray
    """See `metric`; its diagonal scales the damping."""
    slope: FloatArray
    """(B, m): gradient of the model (`Model`)."""
    curvature: FloatArray
    """(B, m, m): its Hessian."""
    scale: FloatArray
    """(B, m): what its damping counts in."""
    renewed: IntArray
    """Evaluations when it was computed last."""
    damping: FloatArray
    stage: IntArray
    small: IntArray
    """Steps in a row that decreased the objective too little."""
    accepted: IntArray
    rejected: IntArray
    """Rejected steps in a row."""
    evaluations: IntArray
    stale: BoolArray
    """Whether value and derivatives are those of another δ: the next step is then no step."""

    @property
    def size(self) -> int:
        return len(self.identity)

    @classmethod
    def started(
        cls, task: _Task, identity: IntArray, theta: FloatArray, weights: FloatArray | None
    ) -> _Batch:
        b, m = theta.shape
        count = np.zeros(b, np.int64)
        batch = cls(
            identity=identity, theta=theta, weights=weights, value=np.full(b, np.inf),
            gradient=np.zeros((b, m)), hessian=np.zeros((b, m, m)),
            metric=np.zeros((b, m, m)), slope=np.zeros((b, m)), curvature=np.zeros((b, m, m)),
            scale=np.zeros((b, m)), renewed=np.full(b, -METRIC_LASTS),
            damping=np.full(b, 1e-2), stage=count, small=count.copy(), accepted=count.copy(),
            rejected=count.copy(), evaluations=count.copy(), stale=np.zeros(b, bool),
        )  # fmt: skip
        for block in task.blocks(b):
            at = evaluate(task.system, theta[block], task.workspace)
            rows = None if weights is None else weights[block]
            batch.value[block] = huber_sum(at.residuals, task.stages[batch.stage[block]], rows, task.above)
            batch._differentiate(task, np.arange(b)[block], at, rows)
        return batch

    def taken(self, which: BoolArray) -> _Batch:
        """Those of `which` (a mask), in order."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        kept: dict[str, Any] = {name: None if x is None else x[which] for name, x in values.items()}
        return _Batch(**kept)

    def joined(self, other: _Batch) -> _Batch:
        """These, then those of `other`."""
        if not self.size:
            return other
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        both: dict[str, Any] = {
            k: None if a is None else np.concatenate([a, b]) for k, (a, b) in pairs.items()
        }
        return _Batch(**both)

    def advance(self, task: _Task) -> BoolArray:
        """One step of every problem; returns the mask of those that have finished."""
        trial, predicted = self._trial(task)
        self.evaluations += 1
        return np.concatenate(
            [self._judge(task, block, trial[block], predicted[block]) for block in task.blocks(self.size)]
        )

    def _judge(self, task: _Task, block: slice, trial: FloatArray, predicted: FloatArray) -> BoolArray:
        """Take or refuse the steps of some problems, with the derivatives at the new points; which have finished."""
        at = evaluate(task.system, trial, task.workspace)
        stage, stale, before = self.stage[block], self.stale[block], self.value[block]
        weights = None if self.weights is None else self.weights[block]
        value = huber_sum(at.residuals, task.stages[stage], weights, task.above)
        gain = np.where(predicted > 0, (before - value) / predicted, -1.0)
        fell = (value < before) & (gain > 1e-3) & ~stale
        current = fell | stale  # the trial point is the new point

        old = self.damping[block]
        damping = np.where(gain > 0.75, old * 0.3, np.where(gain < 0.25, old * 3, old))
        damping = np.where(fell, np.maximum(damping, 1e-14), np.maximum(old * 5, 1e-5))
        self.damping[block] = np.where(stale, old, damping)
        self.accepted[block] += fell
        self.rejected[block] = np.where(current, 0, self.rejected[block] + 1)
        negligible = before - value < task.tolerances[stage] * value
        self.small[block] = np.where(fell, np.where(negligible, self.small[block] + 1, 0), self.small[block])
        self.theta[block] = np.where(current[:, None], trial, self.theta[block])
        exhausted = np.abs(predicted) < 1e-13 * before
        hopeless = ~current & ((self.rejected[block] >= MAX_REJECTIONS) | exhausted)
        self.value[block] = np.where(current, value, before)

        ended = (fell & ((self.small[block] >= 2) | (self.accepted[block] >= MAX_ITERATIONS))) | hopeless
        finished: BoolArray = ended & (stage == len(task.stages) - 1)
        first = block.start
        self._next_stage(task, first, ended & ~finished, current, at)
        self.stale[block] = ended & ~finished & ~current
        need = np.flatnonzero(current & ~finished)
        if need.size and len(need) < len(trial):
            rows = None if weights is None else weights[need]
            self._differentiate(task, first + need, at.taken(need), rows)
        elif need.size:
            self._differentiate(task, first + need, at, weights)
        return finished

    def _next_stage(
        self, task: _Task, first: int, advancing: BoolArray, current: BoolArray, at: Evaluation
    ) -> None:
        """Masks are of the block that begins with problem `first`, which `at` is of."""
        if not advancing.any():
            return
        on = first + np.flatnonzero(advancing)
        self.stage[on] += 1
        for counter in (self.small, self.accepted, self.rejected):
            counter[on] = 0
        self.damping[on] = np.minimum(self.damping[on], 1e-2)
        here = np.flatnonzero(advancing & current)
        if here.size:
            rows = None if self.weights is None else self.weights[first + here]
            delta = task.stages[self.stage[first + here]]
            self.value[first + here] = huber_sum(at.residuals[here], delta, rows, task.above)

    def _differentiate(
        self, task: _Task, where: IntArray, at: Evaluation, weights: FloatArray | None
    ) -> None:
        """Derivatives of the problems numbered `where`, whose evaluation and weights are given."""
        delta = task.stages[self.stage[where]]
        theta = self.theta[where]
        self.gradient[where], self.hessian[where] = derivatives(
            task.system, theta, at, delta, weights, task.above, task.workspace
        )
        old = self.evaluations[where] >= self.renewed[where] + METRIC_LASTS
        if old.any():
            gradients = task.workspace.gradients[: len(where)]
            if not old.all():
                at, delta, gradients = at.taken(np.flatnonzero(old)), delta[old], gradients[old]
                weights = None if weights is None else weights[old]
            self.metric[where[old]] = metric(task.system, at, delta, weights, gradients, task.above)
            self.renewed[where[old]] = self.evaluations[where[old]]
        model = self._laid(task.system, where, at_bounds(task.system, theta))
        self.slope[where], self.curvature[where], self.scale[where] = (
            model.gradient,
            model.hessian,
            model.scale,
        )

    def _laid(self, system: System, which: IntArray, pinned: BoolArray) -> Model:
        """The model of the problems `which`."""
        return Model.laid(
            system, self.theta[which], pinned, self.gradient[which], self.hessian[which], self.metric[which]
        )

    def _trial(self, task: _Task) -> tuple[FloatArray, FloatArray]:
        """Where a damped step leads, within the bounds, and the decrease that the quadratic model expects."""
        system, theta = task.system, self.theta
        pinned = at_bounds(system, theta)
        chart = None if system.chart is None else system.chart.at(theta, pinned)
        model = Model(theta, pinned, chart, self.slope, self.curvature, self.scale)
        trial, predicted, self.damping = model.stepped(system, None, self.damping, self.stale)
        outside = (trial < system.lower) | (trial > system.upper)
        if not outside.any():
            return trial, predicted
        # Where a step leaves the bounds, what leaves goes to its bound and the others' step is the best along with it.
        again = np.flatnonzero(outside.any(1) & ~self.stale)
        if again.size:
            leaving = outside[again]
            aside = np.where(leaving, within(system, trial[again]) - theta[again], 0.0)
            model = self._laid(system, again, pinned[again] | leaving)
            trial[again], predicted[again], self.damping[again] = model.stepped(
                system, aside, self.damping[again], self.stale[again]
            )
        return within(system, trial), predicted
