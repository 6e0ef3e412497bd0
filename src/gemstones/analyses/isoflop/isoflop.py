"""IsoFLOP profiles, Approach 2 of Hoffmann et al. (2022, §3.2): the best size of each budget, and how it grows.

The runs of a budget differ in size; a parabola in log N through their log losses has its minimum at N*, and the
tokens of that size are T*. Lines through log N* and log T* over log FLOPs give the exponents. A budget whose minimum
lies outside the sizes that were trained has no N*, and the reason.

A parabola is not a law: where the bowl is steeper on one side than on the other its minimum is off (arXiv 2603.22339).
So a law is fitted to the same rows, and its own minima, and what the parabolas would make of its losses at the same
sizes, stand beside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.analyses.isoflop.approaches import by_frontier, by_law
from gemstones.analyses.isoflop.bowl import Bowl, Status
from gemstones.analyses.isoflop.budgets import budget_of_rows
from gemstones.analyses.isoflop.result import Budget, IsoFlop
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.envelope import Line
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit as fit_law
from gemstones.laws.flops_model import SIX_N
from gemstones.laws.interval import DEFAULT_LEVEL, interval
from gemstones.laws.mixed import mixed_flags
from gemstones.laws.new_run import row_flops
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.resample import check_resampling
from gemstones.planning.optimum import size_optima
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import FloatArray, IntArray

DRAWS = 1000
LEAST_BUDGETS = 2
"""A line needs two; one through exactly two has no residual."""


@checked
def isoflop(
    runs: Runs,
    *,
    budget: str | None = None,
    params: ParamsConvention = "total",
    law: str | None = "N,T",
    delta: float = 1e-4,
    bootstrap: int = DRAWS,
    seed: Seed = 0,
    level: float = DEFAULT_LEVEL,
) -> IsoFlop:
    """N*, T* and loss of every budget by a parabola in log N (Approach 2), and their power laws in FLOPs.

    `runs` are what `fit` takes; `budget` is the column that names each run's budget, by default one with such a name
    (`budget`, `flops_budget`, …), else budgets are clusters of the runs' FLOPs. N is counted as `params` says, tokens
    are those of N* along the budget. `bootstrap` draws by run give intervals at `level`, the same for the same `seed`;
    `law`, None for none, is fitted to the same rows with a Huber of `delta`. Raises `InvalidRequest` where the rows are
    no such grid.

    >>> pairs = [(n, c / 6 / n) for c in (1e18, 1e19, 1e20) for n in 0.3 * c**0.47 * np.geomspace(0.2, 5, 7)]
    >>> losses = [1.7 + 400 / n**0.34 + 410 / t**0.28 for n, t in pairs]
    >>> grid = [{"params_total": n, "tokens": t, "loss": loss} for (n, t), loss in zip(pairs, losses, strict=True)]
    >>> isoflop(grid, bootstrap=0).fits["params"].slope
    0.452
    """
    seed = seed_number(seed)
    check_resampling(bootstrap, "run", seed, level)
    convention = params_convention(params)
    table = selected_runs(runs)
    flops, said = _flops(table, convention)
    sizes, tokens = table.numbers(f"params_{convention}"), table.numbers("tokens")
    log_n, log_t, log_loss = np.log(sizes), np.log(tokens), np.log(table.numbers("loss"))
    number, budgets_are = budget_of_rows(table, flops, budget)
    rows_of = [np.flatnonzero(number == i) for i in range(int(number.max()) + 1)]
    bowls = [Bowl.of(rows, log_n[rows], log_t[rows]) for rows in rows_of]
    if sum(bowl is not None for bowl in bowls) < LEAST_BUDGETS:
        raise InvalidRequest(
            f"{table.origin} is no isoFLOP grid: {sum(b is not None for b in bowls)} of {len(bowls)} budgets have "
            f"runs of four sizes or more, and two are needed ({budgets_are}); name a column of budgets with "
            "--budget, or choose the runs with --where"
        )
    log_c = np.array([np.log(flops[rows]).mean() for rows in rows_of])
    statuses: list[Status] = [
        "few_points" if bowl is None else bowl.status(log_loss[bowl.rows]) for bowl in bowls
    ]
    found = [status == "minimum" for status in statuses]
    at = _minima(bowls, log_loss[None])[:, 0]
    drawn = _draws(bowls, log_loss, table.run_codes, bootstrap, seed)
    fitted, law_ns, of_law, said_of_law = _beside(
        table, law, delta, convention, log_c, flops, bootstrap, seed, level
    )
    law_n = law_ns[0]
    beside = [by_frontier(table, convention, bootstrap, seed, level)]
    bias, biases = None, np.full(len(bowls), np.nan)
    if fitted is not None and of_law is not None:
        biases = _minima(bowls, of_law[None])[0, 0] - law_n
        known = np.isfinite(law_n) & found
        if known.sum() >= LEAST_BUDGETS:
            law_t = np.array(
                [b.log_tokens(np.asarray(n)) if b else np.nan for b, n in zip(bowls, law_n, strict=True)]
            )
            law_fits = {
                "params": _line(log_c[known], law_n[known]),
                "tokens": _line(log_c[known], law_t[known]),
            }
            beside += [by_law(fitted.law.form, law_fits, log_c[known], law_ns[1:, known], level)]
            both = known & np.isfinite(biases)
            if both.sum() >= LEAST_BUDGETS:
                bias = _line(log_c[both], biases[both]).slope
    lines = {}
    if sum(found) >= LEAST_BUDGETS:
        lines = {name: _line(log_c[found], at[i][found]) for i, name in enumerate(("params", "tokens"))}
    draws = {
        name: _line_draws(log_c, drawn[i][:, found], found) for i, name in enumerate(("params", "tokens"))
    }

    def of_budget(i: int) -> Budget:
        rows, bowl, names = rows_of[i], bowls[i], ("n_opt", "t_opt", "loss")
        values, ends, curve = {}, {}, None
        if found[i]:
            values = dict(zip(names, np.exp(at[:, i]).tolist(), strict=True))
            for name, draws in zip(names, drawn[:, :, i], strict=True):
                ends[name] = interval(np.exp(draws[np.isfinite(draws)]), values[name], level=level)
        if bowl is not None:
            over = np.linspace(bowl.log_params.min(), bowl.log_params.max(), 60)
            curve = np.exp(over), np.exp(bowl.curve(log_loss[rows], over))
        return Budget(
            float(np.exp(log_c[i])),
            len(rows),
            statuses[i],
            sizes[rows],
            np.exp(log_loss[rows]),
            **values,
            intervals={name: x for name, x in ends.items() if x is not None},
            law_n_opt=float(np.exp(law_n[i])) if np.isfinite(law_n[i]) else None,
            bias=float(np.expm1(biases[i])) if np.isfinite(biases[i]) else None,
            curve=curve,
        )

    flags = [*table.warnings, *mixed_flags(table), *_flags(statuses, lines, drawn, found, bootstrap)]
    return IsoFlop(
        dataset=table.dataset,
        selection=table.selection,
        rows=table.rows,
        runs=table.runs,
        params_convention=convention,
        flops_convention=said,
        budgets_are=budgets_are,
        loss_unit=table.loss_unit,
        budgets=tuple(map(of_budget, range(len(bowls)))),
        fits=lines,
        draws=draws if lines and bootstrap else {},
        level=level,
        seed=seed,
        asked=bootstrap,
        law=fitted,
        beside=tuple(one for one in beside if one is not None),
        bias=bias,
        flags=(*flags, *said_of_law),
        assumptions=tuple(table.assumptions),
    )  # fmt: skip


def _flops(table: RunTable, convention: ParamsConvention) -> tuple[FloatArray, str]:
    if table.frame["flops"].null_count():
        return 6.0 * table.numbers(f"params_{convention}") * table.numbers("tokens"), f"6N_{convention}"
    return table.numbers("flops"), table.flops_convention


def _minima(bowls: Sequence[Bowl | None], log_loss: FloatArray) -> FloatArray:
    """log N*, log T* and log loss of every budget, (3, draws, budgets), from log losses (draws, rows).

    NaN where there is no minimum inside the sizes."""
    out = np.full((3, len(log_loss), len(bowls)), np.nan)
    for i, bowl in enumerate(bowls):
        if bowl is not None:
            log_n, least, _, inside = bowl.minima(log_loss[:, bowl.rows])
            for k, values in enumerate((log_n, bowl.log_tokens(log_n), least)):
                out[k, :, i] = np.where(inside, values, np.nan)
    return out


def _draws(
    bowls: Sequence[Bowl | None], log_loss: FloatArray, runs: IntArray, draws: int, seed: int
) -> FloatArray:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, int(runs.max()) + 1))[:, runs]
    drawn = np.broadcast_to(log_loss, (draws, len(log_loss))).copy()
    for bowl in bowls:
        if bowl is not None:
            drawn[:, bowl.rows] = bowl.resampled(log_loss[bowl.rows], signs[:, bowl.rows])
    return _minima(bowls, drawn)


def _line(x: FloatArray, y: FloatArray) -> Line:
    slope, intercept = np.polyfit(x - x.mean(), y, 1)
    return Line(float(slope), float(intercept - slope * x.mean()))


def _line_draws(log_c: FloatArray, drawn: FloatArray, found: Sequence[bool]) -> FloatArray:
    """(slope, intercept) of draws (draws, budgets that have a minimum); those in which two or more have one."""
    x = log_c[np.array(found)]
    lines = [
        _line(x[ok], row[ok])
        for row in drawn
        if (ok := np.isfinite(row)).sum() >= max(LEAST_BUDGETS, len(x) - 1)
    ]
    return np.array([(line.slope, line.intercept) for line in lines]).reshape(-1, 2)


def _beside(
    table: RunTable,
    law: str | None,
    delta: float,
    convention: ParamsConvention,
    log_c: FloatArray,
    flops: FloatArray,
    draws: int,
    seed: int,
    level: float,
) -> tuple[Fit | None, FloatArray, FloatArray | None, tuple[str, ...]]:
    """The law fitted to the rows, its log N* (1 + draws, budgets), its log losses at rows, and why there is none."""
    none = np.full((1, len(log_c)), np.nan)
    if law is None:
        return None, none, None, ()
    try:
        fitted = fit_law(
            table,
            law,
            objective=Objective(delta=delta),
            params=convention,
            bootstrap=draws,
            seed=seed,
            level=level,
            workers=1,
            backtests=False,
        )
        if set(fitted.law.symbols) != {"N", "T"}:
            raise InvalidRequest(f"law {fitted.law.form} is not of N and T alone")
    except (InvalidRequest, InvalidTable) as error:
        return None, none, None, (f"no_law: no law beside the parabolas: {error.said}",)
    model = fitted.law.flops or SIX_N
    counted = row_flops(table, ("N", "T"), convention, given=False)
    assert counted is not None
    # Budgets in the law's own FLOPs: those of its rows, by what they are over the table's on average.
    ratio = float(np.log(flops / counted).mean()) if fitted.law.flops is None else 0.0
    theta = np.vstack([fitted.law.theta, fitted.theta_draws])
    sizes = [size_optima(fitted.law, theta, float(np.exp(c - ratio)), flops=model)[0] for c in log_c]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_n = np.log(np.stack(sizes, axis=1))
    return fitted, log_n, np.log(fitted.law.losses(table)), ()


def _flags(
    statuses: Sequence[Status], lines: dict[str, Line], drawn: FloatArray, found: Sequence[bool], draws: int
) -> tuple[str, ...]:
    flags = []
    if (without := len(found) - sum(found)) and lines:
        flags.append(
            f"budgets_without_minimum: {without} of {len(found)} budgets show no minimum inside their sizes and "
            "are not in the lines"
        )
    if not lines:
        flags.append(
            f"no_lines: {sum(found)} of {len(found)} budgets show a minimum, and a line needs two: train smaller or "
            "larger models at the others"
        )
    elif sum(found) == LEAST_BUDGETS:
        flags.append(
            "two_budgets: a line through two budgets has no residual that would show whether it is one"
        )
    if lines and draws:
        lost = 1 - np.isfinite(drawn[0][:, list(found)]).all(1).mean()
        if lost > 0.02:
            flags.append(
                f"draws_without_minimum: in {lost:.0%} of the draws a budget has no minimum inside its sizes: its "
                "interval may be too narrow"
            )
    return tuple(flags)
