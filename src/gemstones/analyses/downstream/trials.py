"""What each form says of checkpoints that it was not fitted to: above a cut by compute, and of runs left out in turn.

The cut holds back the fifth of the rows with the most FLOPs. A form that takes the loss is judged with the loss that a
loss law, fitted to the same part of the rows, predicts: at the time of a prediction nobody has measured it. Beside that
stands its error with the measured loss. Baselines are chance, the mean of the fitted rows, and the last value: the
fitted checkpoint of most FLOPs up to those of the row, of the same run where it has one.

Errors are root mean squares of predicted less measured accuracy, every run counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gemstones.analyses.backtest.predictor import Predictor, fit_and_predict
from gemstones.analyses.downstream.forms import CONSTANTS, Name, TaskForm, by_loss
from gemstones.analyses.downstream.rows import TaskRows
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.held_out import Resamples
from gemstones.laws.solver.objective import Objective
from gemstones.laws.trials import Held
from gemstones.shape import BoolArray, FloatArray, IntArray

SHARE_BEYOND = 0.2
"""Of the rows, those with the most FLOPs."""
LEAST_ROWS, LEAST_TESTED_RUNS = 10, 2
DRAWS = 400
BASELINES = ("chance", "mean", "last value")


@dataclass(frozen=True, eq=False)
class Splits:
    """What is held back of the rows: (rows,) each, and what the loss law fitted to the rest says of every row."""

    beyond: BoolArray | None
    cut: float | None
    """In FLOPs (tokens where these are not known)."""
    groups: tuple[BoolArray, ...]
    losses: tuple[FloatArray | None, ...]
    """(rows,) of each split, that beyond first: predicted losses; None where no law can be fitted."""
    why: str | None = None
    """Why a law could not be fitted."""

    @property
    def tests(self) -> tuple[BoolArray, ...]:
        """Those beyond first, then the groups."""
        return (*(() if self.beyond is None else (self.beyond,)), *self.groups)


@dataclass(frozen=True, eq=False)
class Tried:
    """One form, or baseline, at the splits."""

    name: str
    constants: int
    squares: FloatArray
    """(2, runs): sums over the splits, beyond the cut and left out, of the runs' mean squared errors."""
    tested: FloatArray
    """(2, runs): in how many splits."""
    residuals: tuple[tuple[FloatArray, IntArray] | None, tuple[FloatArray, IntArray] | None]
    """Predicted less measured accuracy beyond the cut and of the runs left out, with the numbers of the runs."""
    given_loss: tuple[float | None, float | None] = (None, None)
    """Errors with the measured loss, of a form that takes one."""
    reason: str | None = None

    def errors(self, weights: FloatArray | None = None) -> FloatArray:
        """(…, 2) for weights of runs (…, runs); NaN where nothing was held back."""
        counts = np.ones(self.squares.shape[1]) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt((counts @ self.squares.T) / (counts @ self.tested.T)))

    def score(self, weights: FloatArray | None = None) -> FloatArray:
        """Geometric mean of the errors that are known."""
        errors = self.errors(weights)
        known = np.isfinite(errors) & (errors > 0)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.exp(np.log(np.where(known, errors, 1.0)).sum(-1) / known.sum(-1)))


@dataclass(frozen=True)
class Candidate:
    """A form, how it did, and whether it is as good as the best."""

    form: str
    constants: int
    error_beyond: float | None
    """Of the fifth of the rows with the most FLOPs, in accuracy, by a fit to the others."""
    error_left_out: float | None
    score: float | None
    standard_error: float | None
    near: bool = False
    error_beyond_given_loss: float | None = None
    error_left_out_given_loss: float | None = None
    reason: str | None = None


def splits(rows: TaskRows, law: str | None, why: str | None = None) -> Splits:
    """What to hold back, with the losses that `law` predicts; `why` there is none."""
    order, _ = rows.flops
    codes = rows.table.run_codes
    cut = float(np.quantile(order, 1 - SHARE_BEYOND))
    beyond: BoolArray | None = order > cut
    assert beyond is not None
    fitted, tested = (len(np.unique(codes[part])) for part in (~beyond, beyond))
    if fitted < LEAST_RUNS or tested < LEAST_TESTED_RUNS or (~beyond).sum() < LEAST_ROWS:
        beyond = None
    groups = Held.of(rows.table).groups
    groups = tuple(g for g in groups if (~g).sum() >= LEAST_ROWS)
    tests = (*(() if beyond is None else (beyond,)), *groups)
    losses: list[FloatArray | None] = []
    for test in tests:
        found = None
        if law is not None:
            made = fit_and_predict(Predictor("approach3", law), rows.table, ~test, Objective(), "total")
            why = why or made.reason
            found = None if made.reason else rows.losses * np.exp(made.residuals)
        losses.append(found)
    return Splits(beyond, cut if beyond is not None else None, groups, tuple(losses), why)


def try_form(rows: TaskRows, name: Name, held: Splits) -> Tried:
    """One form at every split; a `reason` where it cannot be."""
    runs = int(rows.table.run_codes.max()) + 1
    nothing = Tried(name, CONSTANTS[name], np.zeros((2, runs)), np.zeros((2, runs)), (None, None))
    try:
        x = rows.x(name)
    except (InvalidTable, InvalidRequest) as error:
        return replace(nothing, reason=error.said)
    if by_loss(name) and any(loss is None for loss in held.losses):
        return replace(nothing, reason=f"no loss law predicts the held-out losses: {held.why}")
    predicted, given = [], []
    whole: FloatArray | None = None
    for test, losses in zip(held.tests, held.losses, strict=True):
        fitted = ~test
        if fitted.sum() < 2 * CONSTANTS[name]:
            few = f"{int(fitted.sum())} rows to fit {CONSTANTS[name]} constants: too few"
            return replace(nothing, reason=few)
        form = TaskForm.of(name, x[fitted], rows.floor)
        accuracy = rows.accuracy[fitted]
        if whole is None or name != "direct(w,d,N,T)":
            theta, _ = form.fitted(accuracy)
        else:  # nine constants: from where the last part ended
            theta = form.refitted(accuracy, np.ones((1, len(accuracy))), whole)
        whole = theta
        at = x[test] if losses is None or not by_loss(name) else losses[test, None]
        predicted.append(form.accuracy(theta[:1], at)[0])
        given.append(form.accuracy(theta[:1], x[test])[0])
    tried = _tried(rows, name, CONSTANTS[name], held, predicted)
    if not by_loss(name):
        return tried
    known = _tried(rows, name, CONSTANTS[name], held, given).errors()
    beyond, left_out = (float(e) if np.isfinite(e) else None for e in known)
    return replace(tried, given_loss=(beyond, left_out))


def baselines(rows: TaskRows, held: Splits) -> list[Tried]:
    """Chance, where it is known, the mean, and the last value."""
    found = []
    order, _ = rows.flops
    codes = rows.table.run_codes
    for name in BASELINES:
        if name == "chance" and rows.chance is None:
            continue
        predicted = []
        for test in held.tests:
            fitted = np.flatnonzero(~test)
            if name == "chance":
                predicted.append(np.full(int(test.sum()), rows.floor))
            elif name == "mean":
                predicted.append(np.full(int(test.sum()), rows.accuracy[fitted].mean()))
            else:
                by_order = fitted[np.argsort(order[fitted], kind="stable")]
                last = []
                for row in np.flatnonzero(test):
                    own = by_order[codes[by_order] == codes[row]]
                    from_ = own if own.size else by_order
                    last.append(from_[max(int(np.searchsorted(order[from_], order[row], "right")) - 1, 0)])
                predicted.append(rows.accuracy[last])
        found.append(_tried(rows, name, 0, held, predicted))
    return found


def ranked(tried: Sequence[Tried]) -> list[Candidate]:
    """Forms with errors, the best first, then those without; the near are within one standard error of the best."""
    scored = sorted((t for t in tried if t.reason is None and t.tested.any()), key=lambda t: float(t.score()))
    found = []
    if scored:
        best, least = scored[0], float(scored[0].score())
        weights = Resamples(DRAWS, 0, 0.95).weights(best.squares.shape[1])
        for one in scored:
            spread = None
            if weights is not None:
                difference = one.score(weights) - best.score(weights)
                spread = float(np.std(difference[np.isfinite(difference)]))
            score = float(one.score())
            found.append(candidate(one, score, spread, score <= least + (spread or 0.0)))
    return [*found, *(candidate(t, None, None, False) for t in tried if t not in scored)]


def candidate(tried: Tried, score: float | None, spread: float | None, near: bool) -> Candidate:
    """A form's errors in plain values."""
    beyond, left_out = (float(e) if np.isfinite(e) else None for e in tried.errors())
    reason = tried.reason or (None if tried.tested.any() else "too few runs to hold any back")
    return Candidate(
        tried.name, tried.constants, beyond, left_out, score, spread, near, *tried.given_loss, reason
    )


def _tried(rows: TaskRows, name: str, constants: int, held: Splits, predicted: Sequence[FloatArray]) -> Tried:
    codes = rows.table.run_codes
    runs = int(codes.max()) + 1
    squares, tested = np.zeros((2, runs)), np.zeros((2, runs))
    off: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    of: tuple[list[IntArray], list[IntArray]] = ([], [])
    for i, (test, values) in enumerate(zip(held.tests, predicted, strict=True)):
        target = int(held.beyond is None or i > 0)
        residuals = values - rows.accuracy[test]
        count = np.bincount(codes[test], minlength=runs)
        total = np.bincount(codes[test], residuals**2, minlength=runs)
        squares[target] += np.divide(total, count, out=np.zeros(runs), where=count > 0)
        tested[target] += count > 0
        off[target].append(residuals)
        of[target].append(codes[test])
    beyond, left_out = (
        (np.concatenate(part), np.concatenate(runs_of)) if part else None
        for part, runs_of in zip(off, of, strict=True)
    )
    return Tried(name, constants, squares, tested, (beyond, left_out))
