"""The sensitivity of runs in one call, as a notebook wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gemstones.analyses.sensitivity.choices import Levels
from gemstones.analyses.sensitivity.sensitivity import Sensitivity
from gemstones.analyses.sensitivity.sensitivity import sensitivity as sensitivity_of_sweep
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.analyses.sensitivity.tables import sweep_budgets
from gemstones.arguments import checked
from gemstones.bounds import FLOPS
from gemstones.laws.parallel import Workers
from gemstones.runs.given import Runs, given_runs
from gemstones.seeds import Seed, seed_number


@checked
def sensitivity(
    runs: Runs,
    budgets: Sequence[float | str] | None = None,
    *,
    levels: Levels | None = None,
    selections: Sequence[str] | None = None,
    where: str | None = None,
    bootstrap: int = 100,
    seed: Seed = 0,
    workers: Workers = None,
    output: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sensitivity:
    """What `runs` prescribe for `budgets` (FLOPs) under every combination of `levels` and `selections`.

    `runs` are what `fit` takes; of a whole data set the usual selections are tried, of them the rows for which `where`
    holds. Budgets are by default from within the runs to a hundred times beyond, levels and selections the usual ones.
    `bootstrap` resamples by run give the intervals, the same for the same `seed` and any number of `workers`
    (processes). With `output`, every fit is kept in its folder `fits`, so that an analysis that was interrupted goes
    on where it was; `progress` is told how many are done. Raises `InvalidRequest` where no combination has an answer.

    >>> few = Levels(laws=("N,T",), params=("total",), flops=("6N",), deltas=(1e-4, 1e-3))
    >>> len(sensitivity("pebbles", [1e14], levels=few, selections=["all"], bootstrap=0).studies)
    4
    """
    sweep = Sweep.of(given_runs(runs), levels, selections=selections, where=where)
    wanted = sweep_budgets(sweep) if budgets is None else FLOPS.each(budgets)
    return sensitivity_of_sweep(
        sweep,
        wanted,
        bootstrap=bootstrap,
        seed=seed_number(seed),
        workers=workers,
        output=output,
        progress=progress,
    )
