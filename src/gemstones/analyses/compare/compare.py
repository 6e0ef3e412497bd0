"""Two recipes compared: the difference of their losses at scale, how sure it is, and the compute it is worth.

One law is fitted to the runs of both recipes together. Where they differ, and by how much, is a regression of the
difference of log losses on the derivatives of that law (`gemstones.analyses.compare.regression`), with noise by run and
a smooth misfit, so that neither the form of the law nor a lucky run decides. At a budget the optimum is drawn too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gemstones import bounds
from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.analyses.compare.decisive import would_decide
from gemstones.analyses.compare.optima import jacobian, multipliers, optima
from gemstones.analyses.compare.pairs import LEAST_PAIRS, LEAST_RUNS, Pairs, pairs_of
from gemstones.analyses.compare.regression import Cell, Difference, cells, sample
from gemstones.analyses.compare.result import At, Comparison, Measured
from gemstones.analyses.compare.rows import rows_of
from gemstones.analyses.predict.predict import columns_of_point
from gemstones.analyses.predict.shown import at_text
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.laws.choose import choose
from gemstones.laws.columns import table_columns
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit as fit_law
from gemstones.laws.interval import DEFAULT_LEVEL, check_level, needed_draws
from gemstones.laws.parallel import Workers
from gemstones.laws.solver.objective import Objective
from gemstones.planning.extrapolation import MOST_DECADES, Extrapolation
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import FloatArray
from gemstones.units import Interval

DRAWS = 200
"""Resamples of the pooled law."""
SAMPLES = 4000
LARGEST = 6
"""Pairs whose measured difference stands beside."""
CHOSEN, RESAMPLED, REGRESSED = 0.3, 0.93, 0.98
"""Which share of its time is over when the form is chosen, its resamples are made, and the difference is known."""
LAWS = ("N,T", "(N,T)^p")
"""Between which backtests choose the pooled law where none is named."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """What was learned of a difference."""

    rows: Difference
    cells: tuple[Cell, ...]
    fit: Fit
    theta: FloatArray
    """(1 + draws, m) of the pooled law."""


@checked
def compare(
    a: Runs,
    b: Runs,
    *,
    budgets: Sequence[float | str] | float | str = (),
    at: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    names: tuple[str, str] | None = None,
    law: str | None = None,
    params: ParamsConvention = "total",
    delta: float = 1e-4,
    bootstrap: int = DRAWS,
    seed: Seed = 0,
    level: float = DEFAULT_LEVEL,
    workers: Workers = None,
    force: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Comparison:
    """Is recipe `b` better than `a` at `budgets` (FLOPs) and points `at`, and how surely?

    `a` and `b` are runs as `fit` takes them, and `names` what they are called. Runs of the same size and shape are
    paired at the same tokens, which is nearly everything where there are any; else at least six runs of each recipe
    are needed. `law` is the form that is fitted to both together, by default `N,T` or `(N,T)^p`, whichever backtests
    prefer, with a Huber of `delta` and N counted as `params` says. At a budget each recipe has the pooled law's best
    size. Points are written as `predict` takes them. Without budgets or points, the largest FLOPs of the runs and ten
    times as many. `bootstrap` resamples give intervals at `level`, a probability; the same `seed` gives the same for
    any number of `workers` (processes). `progress` is told what is being done and which share of everything is. Raises
    `InvalidRequest` for recipes of different units of loss, and for budgets more than 4 decades from the runs, unless
    `force` is True.

    >>> found = compare(load("pebbles").select("all"), load("pebbles").select("lr-ablation"))  # doctest: +SKIP
    """
    seed = seed_number(seed)
    check_level(level)
    convention = params_convention(params)
    tables = selected_runs(a), selected_runs(b)
    if tables[0].loss_unit != tables[1].loss_unit:
        raise InvalidRequest(
            f"losses of A are in {tables[0].loss_unit} and of B in {tables[1].loss_unit}: read both with the same "
            "--loss-unit"
        )
    names = names or _names(tables)
    pairs = pairs_of(*tables, convention)
    paired = pairs.count >= LEAST_PAIRS or (pairs.count > 0 and min(t.runs for t in tables) < LEAST_RUNS)
    pooled = _pooled(tables, pairs if paired else None, convention)
    tell = progress or (lambda what, done: None)
    draws, begun = max(bootstrap, needed_draws(level)), 0.0 if law else CHOSEN
    chosen = law or _chosen(
        pooled, delta, convention, workers, lambda done: tell("backtests of the forms", CHOSEN * done)
    )
    fitted = fit_law(
        pooled,
        chosen,
        objective=Objective(delta=delta),
        params=convention,
        bootstrap=draws,
        seed=seed,
        level=level,
        workers=workers,
        backtests=False,
        force=force,
        progress=lambda done: tell(f"resamples of {chosen}", begun + (RESAMPLED - begun) * done / draws),
    )
    tell("regression of the difference", RESAMPLED)
    reason = ""
    if paired and pairs.count < LEAST_PAIRS:
        reason = f"{pairs.count} pairs of runs are too few for a probability: {LEAST_PAIRS} are needed"
    elif not paired and min(t.runs for t in tables) < LEAST_RUNS:
        reason = (
            f"no pairs, and {tables[0].runs} and {tables[1].runs} runs are too few for a probability: {LEAST_RUNS} of "
            f"each recipe, or {LEAST_PAIRS} pairs of the same size, are needed"
        )
    theta = np.vstack([fitted.law.theta, fitted.theta_draws])
    rows = rows_of(fitted, tables, pairs if paired else None, convention)
    posterior = Posterior(rows, tuple(cells(rows)), fitted, theta)
    asked = [budgets] if isinstance(budgets, float | str | int) else list(budgets)
    points = [at] if isinstance(at, Mapping) else list(at)
    wanted = bounds.FLOPS.each(asked)
    largest = None if fitted.law.fitted.flops is None else fitted.law.fitted.flops[1]
    if not wanted and not points:
        if largest is None:
            raise InvalidRequest(
                "FLOPs of the runs are not known: name budgets, like --budget 1e21, or points"
            )
        wanted = [largest, 10 * largest]
    found = [_at_budget(posterior, budget, reason, level, seed, force) for budget in wanted]
    found += [_at_point(posterior, point, reason, level, seed, force) for point in points]
    tell("the other form of the law", REGRESSED)
    measured = _measured(posterior, tables, pairs, level) if paired and pairs.count else None
    flags = dict.fromkeys([*tables[0].warnings, *tables[1].warnings, *fitted.flags])
    return Comparison(
        names=names,
        at=tuple(found),
        measured=measured,
        pairs=pairs.count if paired else 0,
        runs=(tables[0].runs, tables[1].runs),
        fit=fitted,
        reason=reason,
        level=level,
        seed=seed,
        loss_unit=fitted.law.loss_unit,
        flags=(*flags, *_form_flags(posterior, tables, pairs if paired else None, found, seed, law, delta)),
        assumptions=tuple(dict.fromkeys([*tables[0].assumptions, *tables[1].assumptions])),
    )


# ---------------------------------------------------------------- the pooled law


def _names(tables: tuple[RunTable, RunTable]) -> tuple[str, str]:
    first, second = (f"{t.dataset} ({t.selection})" if t.selection else t.dataset for t in tables)
    return (first, second) if first != second else (f"A: {first}", f"B: {second}")


def _pooled(tables: tuple[RunTable, RunTable], pairs: Pairs | None, convention: ParamsConvention) -> RunTable:
    """Both tables as one; the two runs of a pair are one run, resampled together."""
    import polars as pl

    frames = []
    of_pair: tuple[dict[int, int], dict[int, int]] = ({}, {})
    if pairs is not None:
        for rows, where, table in zip((pairs.a, pairs.b), of_pair, tables, strict=True):
            codes = table.run_codes
            where.update({int(codes[row]): int(run) for row, run in zip(rows, pairs.runs, strict=True)})
    columns = [c for c in tables[0].frame.columns if c in tables[1].frame.columns]
    for name, table, where in zip("AB", tables, of_pair, strict=True):
        runs = [
            f"pair {where[int(code)]}" if int(code) in where else f"{name} {int(code)}"
            for code in table.run_codes
        ]
        frames.append(table.frame.select(columns).with_columns(pl.Series("run", runs)))
    frame = pl.concat(frames, how="vertical_relaxed")
    return replace(tables[0], frame=frame, selection=f"{tables[0].selection} + {tables[1].selection}")


def _chosen(
    pooled: RunTable,
    delta: float,
    convention: ParamsConvention,
    workers: Workers,
    progress: Callable[[float], None],
) -> str:
    objective = Objective(delta=delta)
    try:
        return choose(
            pooled, LAWS, objective=objective, params=convention, workers=workers, progress=progress
        ).law
    except InvalidRequest:
        return LAWS[0]


# ---------------------------------------------------------------- what was asked


def _at_budget(posterior: Posterior, budget: float, reason: str, level: float, seed: int, force: bool) -> At:
    fitted, theta = posterior.fit, posterior.theta
    there = optima(fitted.law, theta, [budget])[0]
    usable = np.flatnonzero(np.isfinite(there.log_loss))
    if not len(usable) or usable[0] != 0:
        raise InvalidRequest(
            f"the pooled law {fitted.law.form} has no best size for {budget:g} FLOPs: its loss does not fall with N or "
            "T; compare at points instead, like --at N=1B,T=20B, or name another --law"
        )
    extrapolation = Extrapolation.of(
        fitted.law.fitted,
        flops=budget,
        params=float(np.exp(there.log_params[0])),
        tokens=float(np.exp(there.log_tokens[0])),
    )
    _check_reach(f"{budget:g} FLOPs", extrapolation, force)
    centre = float(there.log_loss[0])
    if reason:
        return _without(budget, None, extrapolation)
    draws = usable[1:] if len(usable) > 1 else usable
    slopes = jacobian(fitted.law, there.log_columns[draws])
    where = np.stack([there.log_params[draws], there.log_tokens[draws]], axis=1)
    values, points = sample(posterior.rows, posterior.cells, slopes, where, SAMPLES, seed)
    worth = multipliers(fitted.law, theta, budget, draws[points], values, there.log_loss)
    ends = _ends(worth, level)
    multiplier = float(np.quantile(worth, 0.5, method="inverted_cdf"))
    made = _made(budget, None, centre, values, level, multiplier, ends, extrapolation)
    places = np.stack([there.log_params, there.log_tokens], axis=1)
    kept = [0, *usable[1:]]
    here = (there.log_columns[kept], places[kept])
    return _with_decisive(made, posterior, here, theta[usable[1:]], level, budget)


def _at_point(
    posterior: Posterior, point: Mapping[str, Any], reason: str, level: float, seed: int, force: bool
) -> At:
    fitted = posterior.fit
    law = fitted.law
    shown, logs, size, tokens, flops = columns_of_point(law, point)
    extrapolation = Extrapolation.of(law.fitted, flops=flops, params=size, tokens=tokens)
    _check_reach(at_text(shown), extrapolation, force)
    centre = float(law.log_loss([np.asarray(x) for x in logs]))
    if reason:
        return _without(None, shown, extrapolation)
    where = np.log(np.array([[size, tokens]]))
    slopes = jacobian(fitted.law, np.array([logs]))
    values, _ = sample(posterior.rows, posterior.cells, slopes, where, SAMPLES, seed)
    made = _made(None, shown, centre, values, level, None, None, extrapolation)
    here = (np.array([logs]), where)
    return _with_decisive(made, posterior, here, posterior.theta[:0], level, flops or 6 * size * tokens)


def _with_decisive(
    made: At,
    posterior: Posterior,
    here: tuple[FloatArray, FloatArray],
    theta: FloatArray,
    level: float,
    flops: float,
) -> At:
    """With the further pair of runs, up to the asked FLOPs each, that would decide what is not decided."""
    if made.interval is None or made.decided:
        return made
    low, high = np.log1p(made.interval)
    law, ends = posterior.fit.law, (float(low), float(high))
    found = would_decide(law, posterior.rows, posterior.cells, here, theta, ends, level, flops)
    return replace(made, decisive=found)


def _check_reach(what: str, extrapolation: Extrapolation, force: bool) -> None:
    if extrapolation.too_far and not force:
        raise InvalidRequest(
            f"{what} is {extrapolation.sentence()}: beyond {MOST_DECADES:g} decades nothing supports a comparison; ask "
            "nearer by, or insist with --force"
        )


def _made(
    budget: float | None,
    point: dict[str, float | str] | None,
    centre: float,
    values: FloatArray,
    level: float,
    multiplier: float | None,
    ends: Interval | None,
    extrapolation: Extrapolation,
) -> At:
    middle = float(np.median(values))
    low, high = _ends(np.expm1(values), level)
    return At(
        budget,
        point,
        (float(np.exp(centre - middle / 2)), float(np.exp(centre + middle / 2))),
        float(np.expm1(middle)),
        (low, high),
        float((values < 0).mean()),
        multiplier,
        ends,
        extrapolation,
    )


def _without(budget: float | None, point: dict[str, float | str] | None, extrapolation: Extrapolation) -> At:
    unknown = float("nan")  # the pooled loss is of neither recipe
    return At(budget, point, (unknown, unknown), unknown, None, None, None, None, extrapolation)


def _ends(values: FloatArray, level: float) -> Interval:
    """Quantiles of draws that may be infinite: each end is one of the draws."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def _measured(
    posterior: Posterior, tables: tuple[RunTable, RunTable], pairs: Pairs, level: float
) -> Measured:
    """The pairs of checkpoints of the most N·T, wherever in their runs; the interval is by run."""
    from scipy.special import stdtrit

    tokens, size = tables[0].numbers("tokens")[pairs.a], tables[0].numbers("params_total")[pairs.a]
    losses = np.log(tables[1].numbers("loss")[pairs.b] / tables[0].numbers("loss")[pairs.a])
    last = np.argsort(-(tokens * size), kind="stable")[:LARGEST]
    mean, ends = float(losses[last].mean()), None
    of_runs = np.array([losses[last][pairs.runs[last] == run].mean() for run in np.unique(pairs.runs[last])])
    if len(of_runs) > 1:
        t = float(stdtrit(len(of_runs) - 1, (1 + level) / 2))
        reach = t * float(of_runs.std(ddof=1)) / np.sqrt(len(of_runs))
        ends = (float(np.expm1(mean - reach)), float(np.expm1(mean + reach)))
    law = posterior.fit.law
    columns = np.log(table_columns(law.symbols, tables[0], law.params_convention))[pairs.a[last]]
    where = np.log(
        np.stack([tables[0].numbers(f"params_{law.params_convention}")[pairs.a[last]], tokens[last]], axis=1)
    )
    found = posterior.cells
    weights = np.exp([cell.log_weight for cell in found])
    slopes = jacobian(posterior.fit.law, columns)
    means = np.stack([cell.predict(posterior.rows, slopes, where)[0].mean() for cell in found])
    return Measured(
        len(of_runs), len(last), float(np.expm1(mean)), ends, float(np.expm1(means @ weights / weights.sum()))
    )


def _form_flags(
    posterior: Posterior,
    tables: tuple[RunTable, RunTable],
    pairs: Pairs | None,
    found: Sequence[At],
    seed: int,
    law: str | None,
    delta: float,
) -> tuple[str, ...]:
    """Whether the other form of the pooled law says the other sign."""
    fitted = posterior.fit
    if law is not None or fitted.law.form not in LAWS or not any(one.interval for one in found):
        return ()
    other = next(text for text in LAWS if text != fitted.law.form)
    pooled = _pooled(tables, pairs, fitted.law.params_convention)
    try:
        beside = fit_law(pooled, other, objective=Objective(delta=delta), params=fitted.law.params_convention)
        rows = rows_of(beside, tables, pairs, fitted.law.params_convention)
        again = Posterior(rows, tuple(cells(rows)), beside, beside.law.theta[None])
        changed = [
            one.budget
            for one in found
            if one.budget is not None
            and np.sign(_at_budget(again, one.budget, "", 0.95, seed, True).difference)
            != np.sign(one.difference)
        ]
    except InvalidRequest:
        return ()
    if not changed:
        return ()
    which = ", ".join(f"{budget:.3g}" for budget in changed)
    return (
        f"sign_depends_on_form: with the pooled law {other} the other recipe is the better one at {which} FLOPs",
    )
