"""Minimising Huber's objective to rounding: Levenberg–Marquardt on the exact Hessian, with a decreasing δ.

At δ = 1e-4 the objective is nearly an L1 norm: almost every residual is on its linear branch, and a
Newton step sees the curvature of a handful of rows. So δ starts large and falls in stages
(`delta_schedule`); each stage starts where the one before ended, in the right basin and with a useful
Hessian. Everything is exact: with p_i the softmax weights of the terms, z_i = (−u_i at e_i, 1 at c_i),
g = Σ p_i z_i the gradient of log L̂, and ψ = clip(r, ±δ),

    gradient  −Σ ψ g        Hessian  Σ (1[|r| ≤ δ] + ψ)·g gᵀ − Σ ψ Σ_i p_i z_i z_iᵀ

Many problems (starts, resamples, or both) advance together as arrays; those that finish make room for the
next in the queue. Letters of axes: B problems, k terms, m = 2k + 1 parameters, n rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gemstones.laws.problem import Problem
from gemstones.shape import BoolArray, FloatArray, IntArray

BATCH = 32
"""Problems that advance together: their arrays of rows should stay in the processor's cache."""
DAMPING_LADDER = 4.0 ** np.arange(1, 7)
"""Factors on the damping that are tried where the damped Hessian is not positive definite; the least that does."""
HOPELESS_DAMPING = 1e30
MAX_ITERATIONS = 300
"""Accepted steps per stage."""
MAX_REJECTIONS = 30
"""Rejected steps in a row that end a stage: the objective cannot fall any further in floating point."""
FINAL_TOLERANCE = 1e-12
"""Relative decrease under which, twice in a row, the last stage ends; see `stage_tolerance` for the others."""
STEP_CAPS = (0.5, 3.0, 1.0)
"""Largest step in an exponent, a log coefficient and E: the quadratic model means nothing beyond."""


@dataclass(frozen=True, eq=False)
class Polished:
    """Where each problem ended."""

    theta: FloatArray
    """(B, m), centred."""
    value: FloatArray
    """(B,): Huber objective at the last δ."""
    iterations: IntArray
    """(B,): evaluations used."""


def delta_schedule(delta: float) -> tuple[float, ...]:
    """δ of each stage, ending at `delta`: in wide steps down to ten times it, then in narrow ones.

    >>> delta_schedule(1e-4)[0], delta_schedule(1e-4)[-1], len(delta_schedule(1e-4))
    (0.01, 0.0001, 8)
    """
    if math.isinf(delta):
        return (delta,)
    stages = [factor * delta for factor in (100.0, 30.0, 10.0, 6.0, 4.0, 2.5, 1.6, 1.0)]
    while stages[0] < 0.9e-2:
        stages.insert(0, min(1e-2, stages[0] * 10 / 3))
    return tuple(stages)


def stage_tolerance(delta: float) -> float:
    """Relative decrease under which, twice in a row, a stage on the way to `delta` ends.

    The smaller the last δ, the less a Newton step can mend there, and the better the stages before it have to
    be: at 1e-4 throughout, fits at δ = 1e-8 stop up to 1e-4 above the minimum.
    """
    return min(1e-4, max(1e-7, delta))


def polish(
    problem: Problem,
    starts: FloatArray,
    delta: float,
    weights: FloatArray | None = None,
    weight_index: IntArray | None = None,
) -> Polished:
    """Minimise from each of `starts` (B, m; centred).

    `weights` (R, n) are row weights; `weight_index` (B,) says which row of them each start uses (default:
    the start's own number). The result does not depend on how starts are grouped into calls, beyond
    rounding.
    """
    count, k = len(starts), problem.terms
    theta, value, iterations = np.array(starts, np.float64), np.full(count, np.inf), np.zeros(count, np.int64)
    index = np.arange(count) if weight_index is None else np.asarray(weight_index)
    task = _Task(
        problem,
        np.array(delta_schedule(delta)),
        stage_tolerance(delta),
        np.repeat(STEP_CAPS, (k, k, 1)),
        np.empty((2, min(count, BATCH), 2 * k + 1, problem.rows)),
    )
    batch = _Batch.started(task, np.zeros(0, np.int64), theta[:0], None)
    # A trial step may overflow, or divide zero by zero: its objective is then no improvement, so it is refused.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        _run(task, batch, theta, value, iterations, weights, index)
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
        if queued < count and batch.size <= BATCH // 2:
            arriving = np.arange(queued, min(count, queued + BATCH - batch.size))
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

    problem: Problem
    stages: FloatArray
    """δ by stage."""
    tolerance: float
    """Of every stage but the last."""
    caps: FloatArray
    """(m,): largest step."""
    workspace: FloatArray
    """See `derivatives`."""


@dataclass(eq=False)
class _Batch:
    """The problems under way, one row each; the only mutable state of the solver."""

    identity: IntArray
    theta: FloatArray
    weights: FloatArray | None
    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    scale: FloatArray
    """Diagonal of the Gauss–Newton matrix with weights min(1, δ/|r|): the metric of the damping."""
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
            gradient=np.zeros((b, m)), hessian=np.zeros((b, m, m)), scale=np.ones((b, m)),
            damping=np.full(b, 1e-2), stage=count, small=count.copy(), accepted=count.copy(),
            rejected=count.copy(), evaluations=count.copy(), stale=np.zeros(b, bool),
        )  # fmt: skip
        if b:
            terms, total, residuals = _evaluate(task.problem, theta)
            batch.value = _huber(residuals, np.full(b, task.stages[0]), weights)
            batch._differentiate(task, np.arange(b), terms, total, residuals)
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
        last = len(task.stages) - 1
        step = self._damped_step()
        step[self.stale] = 0.0
        step /= np.maximum((np.abs(step) / task.caps).max(1), 1.0)[:, None]
        predicted = -np.vecdot(step, self.gradient + 0.5 * np.matmul(self.hessian, step[:, :, None])[:, :, 0])

        trial = self.theta + step
        delta = task.stages[self.stage]
        terms, total, residuals = _evaluate(task.problem, trial)
        value = _huber(residuals, delta, self.weights)
        self.evaluations += 1
        gain = np.where(predicted > 0, (self.value - value) / predicted, -1.0)
        fell = (value < self.value) & (gain > 1e-3) & ~self.stale
        current = fell | self.stale  # the trial point is the new point

        damping = np.where(
            gain > 0.75, self.damping * 0.3, np.where(gain < 0.25, self.damping * 3, self.damping)
        )
        damping = np.where(fell, np.maximum(damping, 1e-14), np.maximum(self.damping * 5, 1e-5))
        self.damping = np.where(self.stale, self.damping, damping)
        self.accepted += fell
        self.rejected = np.where(current, 0, self.rejected + 1)
        tolerance = np.where(self.stage == last, FINAL_TOLERANCE, task.tolerance)
        negligible = self.value - value < tolerance * value
        self.small = np.where(fell, np.where(negligible, self.small + 1, 0), self.small)
        self.theta = np.where(current[:, None], trial, self.theta)
        hopeless = ~current & ((self.rejected >= MAX_REJECTIONS) | (predicted < 1e-13 * self.value))
        self.value = np.where(current, value, self.value)

        ended = (fell & ((self.small >= 2) | (self.accepted >= MAX_ITERATIONS))) | hopeless
        finished = ended & (self.stage == last)
        self._next_stage(task, ended & ~finished, current, residuals)
        self.stale = ended & ~finished & ~current
        need = np.flatnonzero(current & ~finished)
        if need.size:
            every = len(need) == self.size
            parts = (terms, total, residuals) if every else (terms[need], total[need], residuals[need])
            self._differentiate(task, need, *parts)
        return np.asarray(finished)

    def _next_stage(
        self, task: _Task, advancing: BoolArray, current: BoolArray, residuals: FloatArray
    ) -> None:
        if not advancing.any():
            return
        self.stage = self.stage + advancing
        for counter in (self.small, self.accepted, self.rejected):
            counter[advancing] = 0
        self.damping[advancing] = np.minimum(self.damping[advancing], 1e-2)
        here = np.flatnonzero(advancing & current)
        if here.size:
            rows = None if self.weights is None else self.weights[here]
            self.value[here] = _huber(residuals[here], task.stages[self.stage[here]], rows)

    def _differentiate(
        self, task: _Task, where: IntArray, terms: FloatArray, total: FloatArray, residuals: FloatArray
    ) -> None:
        """Derivatives of the problems numbered `where`, whose evaluation is given."""
        weights = self.weights
        if weights is not None and len(where) < self.size:
            weights = weights[where]
        self.gradient[where], self.hessian[where], scale = derivatives(
            task.problem, terms, total, residuals, task.stages[self.stage[where]], weights, task.workspace
        )
        self.scale[where] = np.maximum(scale, 1e-10 * scale.max(1, keepdims=True)) + 1e-300

    def _damped_step(self) -> FloatArray:
        """−(H + λ·diag(scale))⁻¹ g, with λ raised where the matrix is not positive definite."""
        step, definite = _solve_definite(self.hessian, self.damping[:, None] * self.scale, self.gradient)
        while not definite.all():
            bad = np.flatnonzero(~definite)
            if (
                self.damping[bad].min() > HOPELESS_DAMPING
            ):  # derivatives that are not finite: the problem ends here
                step[bad] = 0.0
                break
            # Several dampings in one call: a call costs the same for one problem as for many.
            ladder = np.maximum(self.damping[bad], 1e-8) * DAMPING_LADDER[:, None]
            again = np.tile(bad, len(ladder))
            steps, definites = _solve_definite(
                self.hessian[again], ladder.reshape(-1, 1) * self.scale[again], self.gradient[again]
            )
            definites = definites.reshape(ladder.shape)
            first = np.where(definites.any(0), definites.argmax(0), len(ladder) - 1)
            chosen = first, np.arange(len(bad))
            self.damping[bad] = ladder[chosen]
            step[bad] = steps.reshape(*ladder.shape, -1)[chosen]
            definite[bad] = definites[chosen]
        return step


def _evaluate(problem: Problem, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Terms (B, k, n), predicted loss (B, n) and residuals (B, n)."""
    terms, constant = problem.parts(theta)
    total = terms.sum(1)
    total += constant[:, None]
    return terms, total, problem.log_loss - np.log(total)


def _huber(residuals: FloatArray, delta: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Σ w·Huber_δ(r), (B,), with a δ for each problem."""
    psi = np.clip(residuals, -delta[:, None], delta[:, None])
    inner = psi if weights is None else psi * weights
    return np.asarray(np.vecdot(inner, residuals) - 0.5 * np.vecdot(inner, psi))


def derivatives(
    problem: Problem,
    terms: FloatArray,
    total: FloatArray,
    residuals: FloatArray,
    delta: FloatArray,
    weights: FloatArray | None,
    workspace: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradient (B, m), exact Hessian (B, m, m) and the damping's metric (B, m) of the objective.

    `workspace`, (2, ≥B, m, n), is overwritten; without one, fresh memory is used. Reusing it matters:
    arrays of this size are otherwise mapped and faulted in anew at every step, which takes twice as long
    as the arithmetic.
    """
    b, k, n = terms.shape
    if workspace is None:
        workspace = np.empty((2, b, 2 * k + 1, n))
    bound = delta[:, None]
    psi = np.clip(residuals, -bound, bound)
    with np.errstate(divide="ignore"):
        robust = (
            np.minimum(1.0, bound / np.abs(residuals)) if math.isfinite(delta.max()) else np.ones_like(psi)
        )
    curvature = (np.abs(residuals) <= bound) + psi
    if weights is not None:
        psi, curvature, robust = psi * weights, curvature * weights, robust * weights

    log_gradient, weighted = workspace[:, :b]
    share = log_gradient[:, k : 2 * k]
    np.divide(terms, total[:, None], out=share)
    np.multiply(share, -problem.u, out=log_gradient[:, :k])
    np.subtract(1.0, share.sum(1), out=log_gradient[:, 2 * k])  # the constant has the rest

    gradient = -np.matmul(log_gradient, psi[:, :, None])[:, :, 0]
    np.multiply(log_gradient, curvature[:, None], out=weighted)
    hessian = np.matmul(weighted, log_gradient.transpose(0, 2, 1))
    np.multiply(log_gradient, log_gradient, out=weighted)
    scale = np.matmul(weighted, robust[:, :, None])[:, :, 0]

    # −Σ ψ p z zᵀ: moments of u under ψ·p, term by term.
    exponent, coefficient = np.arange(k), np.arange(k, 2 * k)
    pull = np.multiply(share, psi[:, None], out=weighted[:, :k])
    first = np.multiply(pull, problem.u, out=weighted[:, k : 2 * k])
    hessian[:, coefficient, coefficient] -= pull.sum(2)
    hessian[:, exponent, coefficient] += first.sum(2)
    hessian[:, coefficient, exponent] += first.sum(2)
    hessian[:, exponent, exponent] -= np.vecdot(first, problem.u)
    hessian[:, 2 * k, 2 * k] += gradient[:, 2 * k]
    return gradient, hessian, scale


def _solve_definite(
    matrix: FloatArray, diagonal: FloatArray, gradient: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """s = −(A + diag)⁻¹ g for each problem, by LDLᵀ vectorised over problems, and whether A + diag ≻ 0.

    numpy's stacked Cholesky raises if any of the matrices fails; here each says so for itself.
    """
    m = gradient.shape[1]
    # A copy in any case: for a single problem the transpose alone would be a view of the Hessian.
    a = np.array(matrix.transpose(1, 2, 0), order="C", copy=True)
    rhs = np.array(-gradient.T, order="C", copy=True)
    ij = np.arange(m)
    threshold = 1e-13 * (np.abs(a[ij, ij]) + diagonal.T)
    a[ij, ij] += diagonal.T
    definite = np.ones(a.shape[2], bool)
    for j in range(m):
        poor = ~(a[j, j] > threshold[j])
        definite &= ~poor
        a[j, j] = np.where(poor, 1.0, a[j, j])
        lower = a[j + 1 :, j] / a[j, j]
        a[j + 1 :, j + 1 :] -= lower[:, None] * a[None, j + 1 :, j]
        rhs[j + 1 :] -= lower * rhs[j]
        a[j + 1 :, j] = lower
    for j in range(m - 1, -1, -1):
        rhs[j] = rhs[j] / a[j, j] - (a[j + 1 :, j] * rhs[j + 1 :]).sum(0)
    return rhs.T, definite & np.isfinite(rhs).all(0)
