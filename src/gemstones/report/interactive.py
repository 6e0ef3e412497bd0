"""Analyses and figures of several steps in one call, as a notebook wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gemstones.arguments import checked
from gemstones.bounds import FLOPS
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.parallel import Workers
from gemstones.laws.published import given_law
from gemstones.planning.choices import Levels
from gemstones.planning.sensitivity import Sensitivity
from gemstones.planning.sensitivity import sensitivity as sensitivity_of_sweep
from gemstones.planning.sweep import Sweep
from gemstones.report.approach3 import approach3_figure as figure_of_plans
from gemstones.report.prescriptions import AnyLaw, grid, prescriptions, references
from gemstones.report.sensitivity import sweep_budgets
from gemstones.runs.given import Runs, given_runs
from gemstones.seeds import Seed, seed_number

if TYPE_CHECKING:
    import altair as alt


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


@checked
def approach3_figure(
    laws: AnyLaw | str | Sequence[AnyLaw | str] | Mapping[str, AnyLaw],
    budgets: Sequence[float | str] | None = None,
    *,
    compare: bool = True,
    title: str = "Approach 3",
) -> alt.HConcatChart:
    """Figure 5 for one of `laws` or several, or for laws by the names that the legend is to have.

    `budgets` (FLOPs) are by default a grid from the runs of the first law to a thousand times beyond; `compare` adds
    published laws, where their runs are of such budgets; `title` stands above. Raises `InvalidRequest` where no law
    has a plan, or two have one name, and `MissingExtra` without altair.

    >>> chart = approach3_figure("chinchilla", [1e20, 1e22])  # shows itself in a notebook
    >>> chart.save("figure.html")  # doctest: +SKIP
    """
    named = {k: given_law(v) for k, v in laws.items()} if isinstance(laws, Mapping) else _by_name(laws)
    first = next(iter(named.values()), None)
    if first is None:
        raise InvalidRequest("Approach 3 needs a law to draw: none was given")
    fitted = (first.law if isinstance(first, Fit) else first).fitted.flops
    wanted = grid(fitted) if budgets is None else FLOPS.each(budgets)
    if not wanted:
        raise InvalidRequest("Approach 3 needs a budget to draw a law at: none was given")
    plans, missing = prescriptions(named | references(fitted) if compare else named, wanted)
    if not any(plan.law_name in named for plan in plans):
        raise InvalidRequest(f"no law has a plan to draw: {missing[0]}")
    return figure_of_plans(plans, fitted, title)


def _by_name(laws: AnyLaw | str | Sequence[AnyLaw | str]) -> dict[str, AnyLaw]:
    several = [laws] if isinstance(laws, AnyLaw | str) else laws
    every = [given_law(law) for law in several]
    names = [_name(law) for law in every]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequest(
            f"two laws are called {twice!r}: give names, as {{'mine': law, 'theirs': other}}"
        )
    return dict(zip(names, every, strict=True))


def _name(law: AnyLaw) -> str:
    return f"{law.law.form} fitted to {law.selection}" if isinstance(law, Fit) else law.name
