"""Approach 3: fit a law to runs (paper §3.2), with intervals by resampling, and say how far to trust it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.arguments import checked, shown
from gemstones.errors import InvalidRequest
from gemstones.laws.chosen import AUTO
from gemstones.laws.columns import column_name, columns_used, group_codes, group_levels, table_columns
from gemstones.laws.diagnostics import (
    LEAST_RUNS,
    alive_constants,
    convergence_flags,
    count_flags,
    draw_flags,
    few_draws_flags,
    law_flags,
    row_flags,
    run_flags,
    shares,
    undetermined_flags,
)
from gemstones.laws.fit import Fit, Resampling
from gemstones.laws.flops_model import learned_flops
from gemstones.laws.form import Form
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.laws.law import FittedRange, Law, Models
from gemstones.laws.mixed import mixed_flags
from gemstones.laws.new_run import (
    NewRunError,
    Rows,
    new_run_errors,
    row_flops,
)
from gemstones.laws.parallel import Workers, check_workers
from gemstones.laws.parse_form import law_text, parse_form, with_constants
from gemstones.laws.pose import pose
from gemstones.laws.rows import best_of as best_of_rows
from gemstones.laws.rows import weighted_rows
from gemstones.laws.separable import check_separable
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.resample import MOST_OWN_STARTS, Unit, check_resampling, resample
from gemstones.laws.solver.solve import STARTS, solve
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import FloatArray
from gemstones.units import Interval

MOST_STARTS = 10_000
"""Starting points that a fit is polished from."""


@checked
def fit(
    runs: Runs,
    law: str | Sequence[str] | Form = "N,T",
    *,
    objective: Objective | None = None,
    params: ParamsConvention = "total",
    bootstrap: int = 0,
    unit: Unit = "run",
    seed: Seed = 0,
    level: float = DEFAULT_LEVEL,
    workers: Workers = None,
    starts: int = STARTS,
    resample_starts: int | None = None,
    fix: dict[str, float] | None = None,
    bounds: dict[str, tuple[float, float]] | None = None,
    weights: str | None = None,
    best_of: Sequence[str] = (),
    force: bool = False,
    backtests: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Fit:
    """Fit `law` to `runs`: a list of columns (`N,T`, `(w,d,N,T)^p`), a formula, or the name of a form (docs/laws.md).

    `auto` is the form that backtests choose (`gemstones.laws.choose`): the fit says which in `chosen`, and why. `runs`
    are a known data set by name, a path, a frame (polars, pandas, Arrow), a list of dicts or a `RunTable`; of them the
    default selection is fitted, unless `.select(...)` was called. `objective` is by default Huber's of log loss, and N
    is counted as `params` says. `bootstrap` resamples of `unit` (whole runs, or rows) give the intervals at `level`, a
    probability; the same `seed` gives the same draws for any number of `workers` (processes; None for one, or for
    those of a `joblib.parallel_config`), and `progress` is told how many are done. `starts` is from how many points
    the fit is polished, `resample_starts` from how many of its own each resample is, beside the optima of the others
    (by default 0 to 4, enough in 797 of 800 on planted tables; 30 takes ten times as long). `fix` gives constants a
    value and `bounds` a range; `weights` is a column of how often each row counts; `best_of` names columns, like
    ("lr", "batch"), of which only the row of least loss is kept for each size and tokens. With `bootstrap` the law is
    also refitted to parts of the runs, about ten times, for the interval of a new run's loss (`new_run_error`), unless
    `backtests` is False. Raises `InvalidRequest` where the runs cannot separate the law's terms, unless `force` is
    True, and `InvalidTable` where a column is missing.

    >>> made = fit("pebbles", "N,T", bootstrap=40)
    >>> made.exponents, made.intervals["exponents"]["T"]
    ({'N': 0.513, 'T': 0.233}, (0.184, 0.315))
    """
    objective = objective or Objective()
    convention = params_convention(params)
    seed = seed_number(seed)
    check_resampling(bootstrap, unit, seed, level)
    check_workers(workers)
    _check_starts(starts, resample_starts)
    table = selected_runs(runs)
    if law == AUTO:
        if fix or bounds:
            raise InvalidRequest("law auto has no constants to fix or bound before it is chosen: name a law")
        return _fit_chosen(
            table,
            best_of,
            {"objective": objective, "params": convention, "weights": weights, "workers": workers},
            {
                "bootstrap": bootstrap, "unit": unit, "seed": seed, "level": level, "starts": starts,
                "resample_starts": resample_starts, "backtests": backtests, "progress": progress,
            },
        )  # fmt: skip
    form = with_constants(
        law if isinstance(law, Form) else parse_form(law_text(law), convention), fix, bounds
    )
    assumptions = list(table.assumptions)
    if best_of:
        apart = [column_name(c, convention) for c in (*form.columns, *form.groups)]
        table, sentence = best_of_rows(best_of, table, apart)
        assumptions.append(sentence)
    counts = None
    if weights is not None:
        table, counts = weighted_rows(weights, table)
    columns, loss = table_columns(form.columns, table, convention), table.numbers("loss")
    form = msgspec.structs.replace(form, levels=tuple((g, group_levels(g, table)) for g in form.groups))
    group_of_rows = {group: group_codes(group, levels, table) for group, levels in form.levels}
    others = (*form.columns, *form.groups, *best_of, *([] if weights is None else [weights]))
    used_columns = columns_used(others, table, convention)
    flags = [
        *table.warnings,
        *mixed_flags(table, form.groups),
        *check_separable(form, table, columns, group_of_rows, force),
    ]
    codes = table.run_codes
    clusters = int(codes.max()) + 1

    problem = pose(form, [*np.log(columns).T], loss, group_of_rows, counts)
    with threadpool_limits(1):  # arrays this small are slower with more, and rounded differently
        solution = solve(problem, objective, starts)
    theta = solution.theta[: len(form.entries)]
    flops = learned_flops(table, form.columns, convention)
    fitted = Law.of_theta(
        form,
        theta,
        params_convention=convention,
        name="fit",
        source=f"{table.dataset}, {table.selection}",
        fitted=fitted_range(table, form.columns, convention, given=flops is not None),
        models=Models.of(table.architecture.like()),
        loss_unit=table.loss_unit,
        flops=flops,
    )
    unsettled = convergence_flags(solution.quality.stationarity)
    share = shares(form, theta, [*np.log(columns).T], group_of_rows)
    flags += unsettled + law_flags(form, theta, share)
    flags += undetermined_flags(
        form, problem, solution.quality, solution.theta, alive_constants(form, share), clusters
    )
    flags += row_flags(len(theta), table.rows) + run_flags(clusters)
    if {"w", "d"} & set(form.columns):
        flags += count_flags(table, fitted.models, convention)
    draws: FloatArray = np.zeros((0, len(theta)))
    if bootstrap and (unit == "row" or clusters >= LEAST_RUNS):
        draws = resample(
            solution, objective, codes, bootstrap, unit=unit, seed=seed, starts=resample_starts, workers=workers,
            progress=progress,
        )[:, : len(theta)]  # fmt: skip
        flags += draw_flags(form, draws) + few_draws_flags(len(draws))
    errors: tuple[NewRunError, ...] = ()
    if len(draws) and backtests:
        rows = Rows(form, table, columns, group_of_rows, counts, objective, starts)
        used = row_flops(table, form.columns, convention, given=flops is not None)
        errors = new_run_errors(rows, used, level, workers)
    return Fit(
        law=fitted,
        objective_kind=objective.kind,
        delta=objective.delta,
        objective=solution.value,
        dataset=table.dataset,
        selection=table.selection,
        fingerprint=table.fingerprint_with(used_columns),
        rows=table.rows,
        runs=clusters,
        status="not_converged" if unsettled else "converged",
        stationarity=solution.quality.stationarity,
        conditioning=solution.quality.conditioning,
        flags=tuple(flags),
        assumptions=tuple(assumptions),
        models_assumed=table.architecture.assumptions(params=True, flops=True),
        resampling=Resampling(unit, seed) if len(draws) else None,
        drawn=tuple(tuple(float(x) for x in draw) for draw in draws),
        level=level,
        above=objective.above,
        weights=weights or "",
        best_of=tuple(best_of),
        new_run_error=errors,
    ).of_table(table)


def _check_starts(starts: int, resample_starts: int | None) -> None:
    if not 1 <= starts <= MOST_STARTS:
        raise InvalidRequest(f"starts {shown(starts)} must be 1 to {MOST_STARTS:,}")
    if resample_starts is not None and not 0 <= resample_starts <= MOST_OWN_STARTS:
        raise InvalidRequest(f"resample_starts {shown(resample_starts)} must be 0 to {MOST_OWN_STARTS}")


def _fit_chosen(table: RunTable, best_of: Sequence[str], how: dict[str, Any], drawn: dict[str, Any]) -> Fit:
    """The fit of the form that backtests choose, with the others that predict as well fitted beside it."""
    from gemstones.laws.choose import choose

    said: tuple[str, ...] = ()
    if best_of:
        table, sentence = best_of_rows(best_of, table, [column_name("N", how["params"])])
        said = (sentence,)
    choice = choose(table, **how)
    made = fit(table, choice.law, **how, **drawn)
    others = tuple(fit(table, law, **how).law for law in choice.near)
    named = tuple(msgspec.structs.replace(law, name=law.form) for law in others)
    return msgspec.structs.replace(
        made,
        chosen=msgspec.structs.replace(choice, near_laws=named),
        assumptions=(*made.assumptions, *said),
        best_of=tuple(best_of),
    ).of_table(table)


def fitted_range(
    table: RunTable, symbols: Sequence[str], convention: ParamsConvention, *, given: bool = False
) -> FittedRange:
    """What the rows span; None for a column that is not known in every row.

    FLOPs are counted as plans of the law are: 6·N·T for a law in N and T alone, unless they are `given` by the runs; as
    the table has them else.
    """

    def span(column: str) -> Interval | None:
        series = table.frame[column]
        if series.null_count():
            return None
        values = table.numbers(column)
        return float(values.min()), float(values.max())

    used = row_flops(table, symbols, convention, given)
    return FittedRange(
        flops=None if used is None else (float(used.min()), float(used.max())),
        params=span(f"params_{convention}"),
        tokens=span("tokens"),
        width=span("width"),
        depth=span("depth"),
    )
