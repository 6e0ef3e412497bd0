"""Predicted accuracies at points: both steps with their draws, and the error that backtests showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones.analyses.compare.optima import optima
from gemstones.analyses.downstream.forms import TERMS, TaskForm, by_loss
from gemstones.analyses.downstream.result import TaskPrediction
from gemstones.analyses.downstream.rows import TaskRows
from gemstones.analyses.predict.predict import columns_of_point
from gemstones.analyses.predict.shown import at_text
from gemstones.bounds import FLOPS
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import quantities
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit as fit_law
from gemstones.laws.interval import interval
from gemstones.laws.law import Law
from gemstones.laws.new_run import decades_beyond
from gemstones.laws.parallel import Workers
from gemstones.planning.extrapolation import MOST_DECADES
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.units import Interval

BUDGETS = ("flops", "budget", "C")
"""What a point may call a budget."""

RESAMPLE_STARTS = 0
"""Of the loss law's refits beside the optima of the others. More takes seven times as long, for a spread of predicted
losses at 1e22 FLOPs of .0119 instead of .0113 ((w,d,N,T)^p on the Gemstones, 128 resamples)."""


@dataclass(frozen=True)
class LossLaw:
    """The first step: a form and its fit without draws; neither where the rows can carry none, and why."""

    text: str | None
    fit: Fit | None
    why: str = ""

    def with_draws(
        self, table: RunTable, *, bootstrap: int, seed: int, level: float, workers: Workers
    ) -> LossLaw:
        """The same, refitted to as many resamples by run; itself where it has them."""
        if self.text is None or self.fit is None or len(self.fit.drawn) == bootstrap:
            return self
        made = fit_law(
            table, self.text, bootstrap=bootstrap, seed=seed, level=level, workers=workers, backtests=False,
            resample_starts=RESAMPLE_STARTS,
        )  # fmt: skip
        return LossLaw(self.text, made)


@dataclass(frozen=True, eq=False)
class _Point:
    at: dict[str, float | str]
    loss: FloatArray | None
    """(1 + draws,): of the estimate and of every draw of the loss law; one alone that was given."""
    logs: dict[str, float]
    """Logs of columns by symbol, that a form in a single step takes."""
    decades: float | None


def predictions(
    asked: Sequence[Mapping[str, Any]],
    rows: TaskRows,
    form: TaskForm,
    theta: FloatArray,
    first: LossLaw,
    errors: tuple[float | None, float | None],
    *,
    bootstrap: int,
    seed: int,
    level: float,
    workers: Workers,
    force: bool,
) -> tuple[tuple[TaskPrediction, ...], Fit | None]:
    """One for each point, by θ (1 + draws, m) of the task's law, the estimate first; and the loss law's fit.

    `errors` are those of held-out accuracies, of runs left out and beyond the cut.
    """
    chained = by_loss(form.name) and any("loss" not in point for point in asked)
    if chained and bootstrap:
        first = first.with_draws(rows.table, bootstrap=bootstrap, seed=seed, level=level, workers=workers)
    fitted = first.fit
    made = []
    for point in asked:
        one = _point(point, rows, form, fitted, first)
        if not force and one.decades is not None and one.decades > MOST_DECADES:
            raise InvalidRequest(
                f"{at_text(one.at)} is {one.decades:.1f} decades of FLOPs from the fitted runs: beyond "
                f"{MOST_DECADES:g} nothing supports a prediction; ask nearer by, or insist with --force"
            )
        made.append(_predicted(one, rows, form, theta, errors, level))
    return tuple(made), fitted if chained else None


def _point(
    point: Mapping[str, Any], rows: TaskRows, form: TaskForm, fitted: Fit | None, first: LossLaw
) -> _Point:
    if "loss" in point:
        if len(point) > 1 or not by_loss(form.name):
            why = (
                f"{form.name} takes no loss"
                if not by_loss(form.name)
                else "a loss alone says all that the law needs"
            )
            raise InvalidRequest(f"point {_text(point)}: {why}; write it like N=7B,T=1T or loss=2.2")
        given = float(quantities(point["loss"], "loss"))
        if not (np.isfinite(given) and given > 0):
            raise InvalidRequest(f"loss {given:g} must be positive and finite")
        return _Point({"loss": given}, np.array([given]), {}, None)
    budget = next((name for name in BUDGETS if name in point), None)
    if fitted is None:
        if by_loss(form.name) or budget is not None:
            raise InvalidRequest(
                f"point {_text(point)}: no loss law can be fitted to {rows.table.origin} ({first.why}); give the loss "
                "itself, like loss=2.2"
            )
        return _bare(point, rows, form)
    law = fitted.law
    if budget is not None:
        if len(point) > 1:
            raise InvalidRequest(f"point {_text(point)}: a budget of FLOPs says all, like flops=1e22")
        shown, columns, flops = _best(law, FLOPS.parse(point[budget]))
    else:
        shown, columns, _, _, flops = columns_of_point(law, point)
    logs = dict(zip(law.symbols, columns, strict=True))
    beyond = decades_beyond(law, flops)
    loss = None
    if by_loss(form.name):
        thetas = np.vstack([law.theta[None], fitted.theta_draws])
        with np.errstate(over="ignore"):
            at_point = [np.full(1, value) for value in columns]
            loss = np.exp(np.asarray(law.log_loss(at_point, thetas))).reshape(len(thetas))
    return _Point(shown, loss, logs, None if beyond is None else float(beyond))


def _best(law: Law, budget: float) -> tuple[dict[str, float | str], list[float], float]:
    """What the loss law trains for a budget: as it is shown, logs of its columns, and the FLOPs."""
    found = optima(law, law.theta[None], [budget])[0]
    if not np.isfinite(found.log_loss[0]):
        raise InvalidRequest(
            f"law {law.form} has no optimum for {budget:g} FLOPs: name another with --law, or a model"
        )
    logs = dict(zip(law.symbols, found.log_columns[0].tolist(), strict=True))
    shown: dict[str, float | str] = {"flops": budget}
    if {"w", "d"} <= logs.keys():
        shown["shape"] = f"{np.exp(logs['w']):.0f}x{np.exp(logs['d']):.0f}"
    else:
        shown["N"] = float(np.exp(found.log_params[0]))
    shown["T"] = float(np.exp(found.log_tokens[0]))
    return shown, [logs[s] for s in law.symbols], budget


def _bare(point: Mapping[str, Any], rows: TaskRows, form: TaskForm) -> _Point:
    """A point that has the form's columns by their symbols, where there is no loss law to count them with."""
    missing = [s for s in TERMS[form.name] if s not in point]
    if missing:
        raise InvalidRequest(f"point {_text(point)}: {form.name} needs {', '.join(missing)} too")
    values = {s: float(quantities(point[s], s)) for s in TERMS[form.name]}
    if any(not (np.isfinite(v) and v > 0) for v in values.values()):
        raise InvalidRequest(f"point {_text(point)}: values must be positive and finite")
    return _Point({**values}, None, {s: float(np.log(v)) for s, v in values.items()}, None)


def _predicted(
    one: _Point,
    rows: TaskRows,
    form: TaskForm,
    theta: FloatArray,
    errors: tuple[float | None, float | None],
    level: float,
) -> TaskPrediction:
    if by_loss(form.name):
        assert one.loss is not None
        count = len(theta) if len(one.loss) == 1 else min(len(theta), len(one.loss))
        x = np.broadcast_to(one.loss[:count] if len(one.loss) > 1 else one.loss, (count,))[:, None]
    else:
        missing = [s for s in TERMS[form.name] if s not in one.logs]
        if missing:
            raise InvalidRequest(
                f"{form.name} needs {', '.join(missing)}: give a loss law of them, like --law '(w,d,N,T)^p', or --form "
                "gadre"
            )
        count = len(theta)
        x = np.tile([one.logs[s] for s in TERMS[form.name]], (count, 1))
    drawn = form.aligned(theta[:count], x)
    accuracy = float(drawn[0])
    of_fit = interval(drawn[1:][np.isfinite(drawn[1:])], accuracy, level=level)
    loss = None if one.loss is None else float(one.loss[0])
    beyond = one.decades is not None and one.decades > 0
    if one.decades is None and loss is not None:
        beyond = loss < rows.losses.min()
    new = None
    known = [e for e in errors if e is not None]
    if of_fit is not None and known:
        off = max(known) if beyond else errors[0] if errors[0] is not None else max(known)
        new = _widened(of_fit, accuracy, off)
    return TaskPrediction(one.at, loss, accuracy, new, of_fit, one.decades)


def _widened(ends: Interval, accuracy: float, error: float) -> Interval:
    """Both ends moved out by an independent error, within 0 and 1."""
    low, high = (float(np.hypot(end - accuracy, error)) for end in ends)
    return max(0.0, accuracy - low), min(1.0, accuracy + high)


def _text(point: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in point.items())
