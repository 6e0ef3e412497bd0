"""What a study asks beyond its fits: how far choices move the answer, what laws predict, what a wrong shape costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gemstones.analyses.backtest.backtest import Backtest, backtest
from gemstones.analyses.compare.by import compare_by
from gemstones.analyses.compare.compare import compare
from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.downstream.each import each_task
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.rows import all_tasks
from gemstones.analyses.isoflop.isoflop import isoflop
from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.analyses.next_run.next_runs import NextRuns, valued
from gemstones.analyses.overspend.overspend import Overspend, overspend
from gemstones.analyses.overtrain.overtrain import Overtraining, overtrain
from gemstones.analyses.sensitivity.choices import Selected
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.errors import EdgeOfSearch, InvalidRequest, InvalidTable
from gemstones.figures.save import save_figure
from gemstones.files import make_folder
from gemstones.laws.columns import group_values
from gemstones.laws.fit import Fit
from gemstones.laws.parallel import Workers
from gemstones.laws.solver.objective import Objective
from gemstones.numbers import flops_text
from gemstones.report.steps import RESOURCES, Settings, Step
from gemstones.runs import RunTable, selections_of
from gemstones.timing.fit_step_time import fit_step_time
from gemstones.timing.step_time import StepTime
from gemstones.words import RESOURCE_WORDS

SENSITIVITY_DRAWS = 40
"""Resamples by run of every fit of the sensitivity analysis, at most."""
TASK_DRAWS = 200
"""Resamples by run of every law of a task, at most."""
SENSITIVITY_TIME, BACKTEST_TIME, COMPARE_TIME, TASKS_TIME, PRICE_TIME = 90.0, 40.0, 20.0, 20.0, 1.0
"""How long they take in terms of a fit of `N,T`."""


RECIPE, REFERENCE, RIVAL = "recipe", "main", "lr-ablation"
RIVALS = {"pebbles-2": ("cooldown", ("muon", "lr-half"))}
"""Of a known data set the selection that others are compared with, where they are not the families above."""
"""Column by which recipes are compared where none is named, and the families that are where there is no such column."""
MOST_RECIPES = 12


@dataclass(frozen=True, eq=False)
class Analyses:
    """What was found; None or empty for what these runs do not allow."""

    sensitivity: Sensitivity | None = None
    backtest: Backtest | None = None
    overspends: tuple[Overspend, ...] = ()
    """Of the first selection, by resource."""
    overtrained: tuple[Overtraining, ...] = ()
    """By budget, under the first law that plans any of them."""
    isoflop: IsoFlop | None = None
    """Where the first selection is a grid of budgets and sizes."""
    comparisons: tuple[Comparison, ...] = ()
    """Of the recipes, or families, of the runs."""
    step_time: StepTime | None = None
    """Fitted to the step times of the first selection."""
    next_run: NextRuns | None = None
    """What single further runs would teach of the best N at the largest budget, under the first law with draws."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    tasks: tuple[Downstream, ...] = ()
    """Laws of the tasks whose accuracies the runs have, their mean first."""

    def summary(self) -> dict[str, Any]:
        """Plain values; of sensitivity and backtests what their own files do not have to say again."""
        return {
            "sensitivity": None
            if self.sensitivity is None
            else _short(self.sensitivity.summary(), "studies"),
            "backtest": None if self.backtest is None else self.backtest.summary(),
            "overspend": [one.summary() for one in self.overspends],
            "overtraining": [one.summary() for one in self.overtrained],
            "isoflop": None if self.isoflop is None else self.isoflop.summary(),
            "comparisons": [one.summary() for one in self.comparisons],
            "step_time": None if self.step_time is None else self.step_time.summary(),
            "next_run": None if self.next_run is None else self.next_run.summary(),
            "tasks": [one.summary() for one in self.tasks],
        }


def _short(summary: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in names}


def analyse(
    runs: RunTable,
    chosen: Sequence[Selected],
    laws: Sequence[Fit],
    settings: Settings,
    output: Path,
    workers: Workers,
    step: Callable[[str, float], Step],
    *,
    quick: bool,
) -> Analyses:
    """Every analysis that the runs allow; `quick` leaves out the sensitivity analysis and the backtests.

    Overtraining is asked of the first of `laws` that has an answer. Fits of the sensitivity analysis are kept in
    `output`/sensitivity/fits, so that a study that is interrupted, or made again, takes them from there.
    """
    notes: list[str] = []

    def attempt(what: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (InvalidRequest, InvalidTable, EdgeOfSearch) as error:
            notes.append(f"no {what}: {error.said}")
            return None

    made, tested = None, None
    if quick:
        notes.append("no sensitivity analysis and no backtests: left out as asked (--quick)")
    else:
        share = step("sensitivity", SENSITIVITY_TIME)
        made = attempt("sensitivity analysis", lambda: _sensitivity(runs, settings, output, workers, share))
        share(1.0)
        share = step("backtests", BACKTEST_TIME)
        tested = attempt(
            "backtests",
            lambda: backtest(
                [one.fitted for one in chosen],
                objective=Objective(delta=settings.delta),
                seed=settings.seed,
                workers=workers,
                progress=share,
            ),
        )
        share(1.0)
    compared: tuple[Comparison, ...] = ()
    if not quick and (recipes := _recipes(runs, settings.by)) is not None:
        share = step("recipes compared", COMPARE_TIME)
        compared = attempt("comparison of recipes", partial(recipes, settings, workers)) or ()
        share(1.0)
    elif settings.by is not None and not quick:
        attempt("comparison of recipes", partial(group_values, settings.by, runs))
    tasks: tuple[Downstream, ...] = ()
    if not quick and all_tasks(chosen[0].fitted):
        share = step("laws of tasks", TASKS_TIME)
        tasks, said = _tasks(chosen[0].fitted, settings, workers)
        notes += said
        share(1.0)
    share = step("overspend and overtraining", PRICE_TIME)
    first = chosen[0].frontier
    tokens = common_tokens(first)
    spent = [
        attempt(f"overspend in {RESOURCE_WORDS[resource]}", partial(overspend, first, tokens, resource))
        for resource in RESOURCES
    ]
    trained: list[Overtraining] = []
    for law in laws:
        if not trained:  # the first that has an optimum at any of the budgets
            for budget in settings.budgets:
                ask = partial(overtrain, budget, law, name=law.law.name)
                made_at = attempt(f"overtraining for {flops_text(budget)} FLOPs", ask)
                trained += [] if made_at is None else [made_at]
    timed = attempt("throughput model", lambda: fit_step_time(first, bootstrap=settings.bootstrap))
    following = attempt("value of a further run", partial(_next_run, laws, chosen, settings))
    share(1.0)
    return Analyses(
        made,
        tested,
        tuple(one for one in spent if one is not None),
        tuple(trained),
        _grid(first, settings),
        compared,
        timed,
        following,
        tuple(notes),
        tasks,
    )


def _tasks(
    table: RunTable, settings: Settings, workers: Workers
) -> tuple[tuple[Downstream, ...], tuple[str, ...]]:
    """The law of every task, with what the loss law's best model for the largest budget will score."""
    draws = min(settings.bootstrap, TASK_DRAWS)
    at = [{"flops": settings.budgets[-1]}]
    return each_task(table, at, bootstrap=draws, seed=settings.seed, workers=workers)


def _grid(table: RunTable, settings: Settings) -> IsoFlop | None:
    """IsoFLOP profiles, if the runs are such a grid: most are not, and that is no fault of theirs."""
    try:
        found = isoflop(table, bootstrap=settings.bootstrap, seed=settings.seed, delta=settings.delta)
    except (InvalidRequest, InvalidTable):
        return None
    return found if found.fits else None


def _next_run(laws: Sequence[Fit], chosen: Sequence[Selected], settings: Settings) -> NextRuns | None:
    """What further runs would teach, under the first law with draws that plans; None where no law has them."""
    table = chosen[0].fitted
    usable = [law for law in laws if law.has_intervals and law.selection == table.selection]
    return valued(usable[0], table, settings.budgets[-1]) if usable else None


def _recipes(runs: RunTable, by: str | None) -> Callable[[Settings, Workers], tuple[Comparison, ...]] | None:
    """What compares the recipes of these runs; None where there are none to compare."""
    frame = runs.frame

    def asked(settings: Settings, workers: Workers) -> dict[str, Any]:
        return {
            "budgets": settings.budgets,
            "delta": settings.delta,
            "seed": settings.seed,
            "workers": workers,
        }

    column = RECIPE if by is None else by
    if by is None and not runs.selection and runs.dataset in RIVALS:
        own, others = RIVALS[runs.dataset]
        mine = runs.select(own)
        return lambda settings, workers: tuple(
            compare(mine, runs.select(other), names=(own, other), **asked(settings, workers))
            for other in others
        )
    if (
        column in frame.columns
        and not frame[column].null_count()
        and 1 < frame[column].n_unique() <= MOST_RECIPES
    ):
        return lambda settings, workers: compare_by(runs, column, **asked(settings, workers))
    if by is None and not runs.selection and {REFERENCE, RIVAL} <= {*frame["family"].drop_nulls().unique()}:
        main, other = runs.select(next(iter(selections_of(runs.dataset)))), runs.select(RIVAL)
        return lambda settings, workers: (
            compare(main, other, names=(REFERENCE, RIVAL), **asked(settings, workers)),
        )
    return None


def write_analyses(made: Analyses, runs: RunTable, output: Path) -> list[Path]:
    """What the analyses found as files in `output`: tables and figures; raises `MissingExtra` without altair."""
    from gemstones.analyses.backtest.files import backtest_files
    from gemstones.analyses.compare.figure import compare_figure
    from gemstones.analyses.isoflop.figure import isoflop_figure
    from gemstones.analyses.overspend.figure import overspend_figure
    from gemstones.analyses.overtrain.figure import overtrain_figure
    from gemstones.analyses.sensitivity.files import sensitivity_files

    files: list[Path] = []
    if made.sensitivity is not None:
        files += sensitivity_files(made.sensitivity, make_folder(output / "sensitivity"))
    if made.backtest is not None:
        files += backtest_files(made.backtest, runs, make_folder(output / "backtests"))
    figures = make_folder(output / "figures")
    if made.overspends:
        files += save_figure(overspend_figure(made.overspends), figures / "overspend")
    if made.isoflop is not None:
        files += save_figure(isoflop_figure(made.isoflop), figures / "isoflop")
    if any(at.interval is not None for one in made.comparisons for at in one.at):
        files += save_figure(compare_figure(made.comparisons), figures / "compare")
    if made.overtrained:
        files += save_figure(overtrain_figure(made.overtrained[:4]), figures / "overtraining")
    return files


def _sensitivity(
    runs: RunTable, settings: Settings, output: Path, workers: Workers, share: Step
) -> Sensitivity:
    sweep = Sweep.of(runs, selections=None if settings.select is None else (settings.select,))
    return sensitivity(
        sweep,
        settings.budgets,
        bootstrap=min(settings.bootstrap, SENSITIVITY_DRAWS),
        seed=settings.seed,
        workers=workers,
        output=output / "sensitivity",
        progress=lambda done: share(done / len(sweep.fits)),
    )


def common_tokens(table: RunTable) -> float:
    """The most tokens that every run of `table` has a checkpoint at or beyond: where all can be compared."""
    last = np.zeros(table.runs)
    np.maximum.at(last, table.run_codes, table.numbers("tokens"))
    return float(last.min())
