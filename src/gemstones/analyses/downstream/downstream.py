"""The law of a task's accuracy, chosen by backtests, and chained with a loss law to predict a model before it exists.

In two steps, a loss law predicts the loss of a model and the law of the task its accuracy from that loss; in a single
step accuracy follows from size and tokens. Which of them predicts held-out runs better is a matter of the task and the
runs, so backtests choose. Both steps are refitted to the same resamples of runs: the interval of a prediction holds the
uncertainty of both, and what they have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from gemstones.analyses.downstream.drawn import checkpoints_of, line_of
from gemstones.analyses.downstream.forms import CONSTANTS, NAMES, TERMS, Name, TaskForm, by_loss
from gemstones.analyses.downstream.points import LossLaw, predictions
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.rows import TaskRows, task_rows
from gemstones.analyses.downstream.trials import (
    Candidate,
    Splits,
    Tried,
    baselines,
    candidate,
    ranked,
    splits,
    try_form,
)
from gemstones.analyses.predict.shown import at_text
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.diagnostics import LEAST_RUNS, run_flags
from gemstones.laws.fitting import fit as fit_law
from gemstones.laws.interval import DEFAULT_LEVEL, interval, known
from gemstones.laws.new_run import quantile_by_run
from gemstones.laws.parallel import Workers
from gemstones.laws.solver.resample import CHUNK, check_resampling, draw_weights
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import FloatArray

DRAWS = 200
LAWS = ("(w,d,N,T)^p", "(N,T)^p", "N,T")
"""Of the first step: the first that the runs can carry."""
AUTO, DIRECT = "auto", "direct"
WEAK = 2.0
"""Signal over noise below which a task is flagged."""
ASKED: dict[str, tuple[Name, ...]] = {
    AUTO: NAMES,
    DIRECT: tuple(TERMS),
    **{name: (name,) for name in get_args(Name)},
}
"""What can be asked for → the forms among which backtests choose."""


@checked
def downstream(
    runs: Runs,
    task: str = "mean",
    *,
    form: str = AUTO,
    loss: str | None = None,
    at: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    law: str | None = None,
    chance: float | None = None,
    bootstrap: int = DRAWS,
    seed: Seed = 0,
    level: float = DEFAULT_LEVEL,
    workers: Workers = None,
    force: bool = False,
) -> Downstream:
    """The law of a `task`'s accuracy (a share of 1), with intervals by run, and its predictions `at` points.

    `runs` are what `fit` takes, with a column of accuracies for the task: `task` is its name, that of a known task,
    several with commas between, whose mean is meant, or `mean` for all that the table has. `form` is `gadre` (error
    from loss), `bhagia` (accuracy from loss, a sigmoid), `direct` (accuracy from N and T, or w, d, N and T, in a
    single step), or `auto`, the simplest of those that predict held-out runs best. `loss` names the set, or column,
    of the loss (by default the table's own). A point is {"N": "7B", "T": "1T"}, {"shape": "4096x32", "T": "1T"},
    {"flops": 1e22} for what the loss law would train, or {"loss": 2.2}. `law` is the form of the loss law, by
    default `(w,d,N,T)^p`, or `(N,T)^p` without shapes. `chance` is the accuracy of guessing where it is not known
    of the task. `bootstrap` resamples by run give intervals at `level`, a probability, the same for the same `seed`
    and any number of `workers` (processes). Raises `InvalidRequest` for a task whose accuracies are noise, and
    beyond 4 decades of FLOPs from the runs, unless `force` is True.

    >>> losses = [4.0 - 0.04 * i for i in range(60)]
    >>> table = [{"run": f"{i % 6}", "N": 1e8 * (1 + i % 6), "T": 1e9 * (1 + i), "loss": x, "exam": 0.3 + 10 * 6**-x}
    ...          for i, x in enumerate(losses)]
    >>> made = downstream(table, "exam", form="gadre", chance=0.25, bootstrap=0)
    >>> made.constants["k"], made.constants["epsilon"]
    (10.0, 0.7)
    """
    seed = seed_number(seed)
    check_resampling(bootstrap, "run", seed, level)
    if form not in ASKED:
        raise InvalidRequest(f"form {form!r} is unknown: choose from {', '.join(ASKED)}")
    rows = task_rows(selected_runs(runs), task, loss, chance)
    asked = [at] if isinstance(at, Mapping) else list(at)
    return law_of_task(
        rows, form, asked, law=law, bootstrap=bootstrap, seed=seed, level=level, workers=workers, force=force
    )


@dataclass(frozen=True, eq=False)
class Steps:
    """What tasks of the same rows and losses share: the first step, and what it says of held-out rows."""

    first: LossLaw
    held: Splits


def shared_steps(
    rows: TaskRows, law: str | None, *, bootstrap: int, seed: int, level: float, workers: Workers
) -> Steps:
    """The first step with its draws, and the losses that it predicts for rows held back."""
    first = loss_law(rows.table, law)
    if first.text is not None and bootstrap:
        first = first.with_draws(rows.table, bootstrap=bootstrap, seed=seed, level=level, workers=workers)
    return Steps(first, splits(rows, first.text, first.why))


def law_of_task(
    rows: TaskRows,
    form: str,
    asked: Sequence[Mapping[str, Any]],
    *,
    law: str | None,
    bootstrap: int,
    seed: int,
    level: float,
    workers: Workers,
    force: bool,
    steps: Steps | None = None,
) -> Downstream:
    """See `downstream`; `steps` are those of the same rows and losses, where they are known already."""
    flags = [*rows.table.warnings, *_signal_flags(rows, force)]
    first = loss_law(rows.table, law) if steps is None else steps.first
    names = [name for name in ASKED[form] if _possible(rows, name, form)]
    needs_loss = any(map(by_loss, names))
    held = splits(rows, first.text if needs_loss else None, first.why) if steps is None else steps.held
    tried = {name: try_form(rows, name, held) for name in names}
    base = baselines(rows, held)
    candidates = ranked([*tried.values()])
    taken, reason = _chosen(rows, form, names, candidates, base, force)
    flags += _against_baselines(tried[taken], base)
    fitted = TaskForm.of(taken, rows.x(taken), rows.floor)
    minima, objective = fitted.fitted(rows.accuracy)
    flags += fitted.bounds_reached(minima[0])
    codes = rows.table.run_codes
    flags += run_flags(rows.table.runs)
    drawn = np.zeros((0, minima.shape[1]))
    if bootstrap and rows.table.runs >= LEAST_RUNS:
        drawn = _draws(fitted, rows.accuracy, codes, minima, bootstrap, seed)
    constants = {name: float(x[0]) for name, x in fitted.constants(minima[:1]).items()}
    intervals = None
    if len(drawn):
        of_draws = fitted.constants(drawn)
        intervals = known({n: interval(of_draws[n], value, level=level) for n, value in constants.items()})
    errors = (_quantile(tried[taken], 1, level), _quantile(tried[taken], 0, level))
    thetas = np.vstack([minima[:1], drawn])
    predicted, fit_of_loss = predictions(
        asked, rows, fitted, thetas, first, errors,
        bootstrap=bootstrap if len(drawn) else 0, seed=seed, level=level, workers=workers, force=force,
    )  # fmt: skip
    full = [at_text(one.at) for one in predicted if one.accuracy >= 1]
    if full:
        flags.append(
            f"full_marks: at {'; '.join(full)} the law passes an accuracy of 1: it has no ceiling there, and says "
            "nothing of how a task is solved in full"
        )
    return Downstream(
        dataset=rows.table.dataset,
        selection=rows.table.selection,
        rows=rows.table.rows,
        runs=rows.table.runs,
        task=rows.task,
        tasks=rows.tasks,
        chance=rows.chance,
        loss_column=rows.loss,
        loss_unit=rows.table.loss_unit,
        form=taken,
        constants=constants,
        intervals=intervals or None,
        objective=float(objective[0]),
        signal=rows.signal,
        noise=rows.noise,
        noise_is=rows.noise_is,
        stated_error=rows.stated_error,
        candidates=tuple(candidates),
        baselines=tuple(candidate(one, None, None, False) for one in base),
        reason=reason,
        cut=held.cut,
        loss_law=first.text,
        loss_fit=fit_of_loss,
        predictions=predicted,
        level=level,
        seed=seed,
        asked=bootstrap,
        new_run_error=errors,
        line=line_of(fitted, thetas, rows.losses, level) if by_loss(taken) else None,
        checkpoints=checkpoints_of(rows, fitted.accuracy(minima[:1], rows.x(taken))[0], tried[taken], held),
        flags=tuple(dict.fromkeys(flags)),
        assumptions=tuple(rows.table.assumptions),
    )


def _signal_flags(rows: TaskRows, force: bool) -> list[str]:
    if (why := rows.drowned) is not None:
        if not force:
            raise InvalidRequest(
                f"{why}; take a task with more questions or larger models, or insist with --force"
            )
        return [f"no_signal: {why}"]
    flags = []
    if rows.signal is not None and rows.noise and rows.signal < WEAK * rows.noise:
        flags.append(
            f"weak_signal: the accuracies spread by {rows.signal / rows.noise:.1f} times their noise"
        )
    if rows.signal is not None and rows.stated_error is not None and rows.signal < rows.stated_error:
        flags.append(
            "below_stated_error: the accuracies spread less than the standard error over questions: two checkpoints "
            "differ more surely than that, for they answer the same questions, but their level is uncertain by it"
        )
    return flags


def loss_law(table: RunTable, law: str | None) -> LossLaw:
    """The first step's form: what was asked for, or the first that the rows can carry."""
    if law is not None:
        made = fit_law(table, law)
        return LossLaw(made.law.form if law == "auto" else law, made)
    why = ""
    for text in LAWS:
        try:
            return LossLaw(text, fit_law(table, text))
        except (InvalidRequest, InvalidTable) as error:
            why = error.said
    return LossLaw(None, None, why)


def _possible(rows: TaskRows, name: Name, asked: str) -> bool:
    """Whether the rows have the form's columns; raises where it was asked for by name."""
    try:
        rows.x(name)
    except (InvalidTable, InvalidRequest):
        if asked == name or (asked == DIRECT and name == "direct(N,T)"):
            raise
        return False
    if rows.table.rows < 2 * CONSTANTS[name]:
        if asked == name or CONSTANTS[name] == min(CONSTANTS[n] for n in ASKED[asked]):
            raise InvalidRequest(
                f"{rows.table.origin} has {rows.table.rows} rows with the task: {2 * CONSTANTS[name]} are needed for "
                f"the {CONSTANTS[name]} constants of {name}"
            )
        return False
    return True


def _chosen(
    rows: TaskRows,
    form: str,
    names: Sequence[Name],
    candidates: Sequence[Candidate],
    base: Sequence[Tried],
    force: bool,
) -> tuple[Name, str]:
    """The simplest form within one standard error of the best, and why."""
    scored = [c for c in candidates if c.score is not None]
    if not scored:
        why = next((c.reason for c in candidates if c.reason), "too few runs to hold any back")
        if len(names) > 1:
            raise InvalidRequest(
                f"no form can be chosen for {rows.table.origin}: {why}; name one with --form gadre"
            )
        return names[0], f"{names[0]} as asked; not backtested: {why}"
    near = [c for c in scored if c.near]
    taken = min(near, key=lambda c: (c.constants, names.index(_name(c.form))))
    best = scored[0]
    mean = next(b for b in base if b.name == "mean")
    own = next((b for b in (taken.error_left_out, taken.error_beyond) if b is not None), None)
    left_out, beyond = float(mean.errors()[1]), float(mean.errors()[0])
    worse = own is not None and own >= (left_out if taken.error_left_out is not None else beyond)
    if worse and not force and form in (AUTO, DIRECT):
        raise InvalidRequest(
            f"task {rows.task} shows no signal in {rows.table.origin}: no form predicts held-out runs better than the "
            "mean of the others does; take a task with more questions or larger models, or insist with --force"
        )
    said = _errors(taken)
    if len(names) == 1:
        return names[0], f"{names[0]} as asked: {said}"
    reason = f"{taken.form} chosen by backtests: {said}"
    others = [c for c in scored if c.form != taken.form]
    if taken.form != best.form:
        reason += f"; within one standard error of the best, {best.form} ({_errors(best)}), and with fewer constants"
    elif others:
        reason += f"; the next best, {others[0].form}: {_errors(others[0])}"
    return _name(taken.form), reason


def _name(form: str) -> Name:
    return next(name for name in NAMES if name == form)


def _errors(one: Candidate) -> str:
    parts = (
        (one.error_beyond, "for the top fifth of compute"),
        (one.error_left_out, "for runs left out"),
    )
    said = [f"{100 * error:.2f} points {what}" for error, what in parts if error is not None]
    return "off by " + ", ".join(said)


def _against_baselines(taken: Tried, base: Sequence[Tried]) -> list[str]:
    """A flag for each kind of held-out rows where the law does no better than knowing less."""
    flags = []
    for i, what in enumerate(("the top fifth of compute", "runs left out")):
        error = taken.errors()[i]
        better = [b.name for b in base if np.isfinite(error) and b.errors()[i] <= error]
        if better:
            flags.append(f"no_better: {' and '.join(better)} predicts {what} as well as this law or better")
    return flags


def _draws(
    form: TaskForm, accuracy: FloatArray, codes: Any, starts: FloatArray, draws: int, seed: int
) -> FloatArray:
    """θ (draws, m) of the same resamples that a loss law is refitted to."""
    parts = [
        form.refitted(accuracy, draw_weights(codes, "run", seed, chunk)[: draws - chunk * CHUNK], starts)
        for chunk in range(-(-draws // CHUNK))
    ]
    return np.concatenate(parts)


def _quantile(tried: Tried, which: int, level: float) -> float | None:
    held = tried.residuals[which]
    if held is None or tried.reason is not None:
        return None
    off, runs = held
    return quantile_by_run(np.abs(off), np.unique(runs, return_inverse=True)[1], level)
