"""RUNS of `gemstones plan`: the law is fitted to them first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.cli.law_option import form_of
from gemstones.cli.options import FLAG, Reading, Workers, worker_count
from gemstones.cli.output import progress_bar
from gemstones.errors import InvalidRequest, UserError
from gemstones.laws.chosen import AUTO
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit as fit_law
from gemstones.laws.published import REFIT
from gemstones.laws.solver.objective import Objective
from gemstones.units import parse_quantity

PLANNED_DRAWS = 100
"""Resamples of a law that is fitted for a plan."""


@Parameter(name="*")
@dataclass(frozen=True)
class RunsToPlan(Reading):
    """How to read RUNS, and how to fit a law to them."""

    force: Annotated[
        bool,
        FLAG,
        Parameter(
            help="Plan even more than 4 decades of FLOPs from the fitted runs; take RUNS that are refused as "
            "implausible or inseparable, flagged."
        ),
    ] = False
    params: Annotated[
        str, Parameter(help="Of RUNS: what N counts, total, no_embedding or non_embedding.")
    ] = "total"
    delta: Annotated[
        float,
        Parameter(help="Of RUNS: where the Huber function turns from squared to absolute, in log loss."),
    ] = 1e-4
    bootstrap: Annotated[int, Parameter(help="Of RUNS: resamples by run for intervals; 0 for none.")] = (
        PLANNED_DRAWS
    )
    seed: Annotated[int, Parameter(help="Of RUNS: seed of the resampling.")] = 0
    workers: Workers = None

    def law(self, runs: tuple[str, ...], law: str | None) -> Fit | str:
        """The law that was fitted to RUNS; without RUNS the name or file of one."""
        if runs:
            return self.fit(runs, law)
        if self.given is not None:
            raise InvalidRequest(
                f"{self.given} is of RUNS, and there are none: name them after the budget, like `gemstones plan 1e22 "
                f"gemstones {self.given} …`"
            )
        return law or REFIT

    def fit(self, runs: tuple[str, ...], law: str | None) -> Fit:
        """The law that is asked for, by default the form that backtests choose, fitted to RUNS."""
        form = form_of(law or AUTO)
        table = self.selected(runs)
        with progress_bar("resampling", self.bootstrap) as progress:
            return fit_law(
                table,
                form,
                objective=Objective(delta=self.delta),
                params=params_convention(self.params),
                bootstrap=self.bootstrap,
                seed=self.seed,
                workers=worker_count(self.workers),
                force=self.force,
                progress=progress,
            )


def budget_and_runs(
    budget: str | None, runs: tuple[str, ...], device_hours: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """With a budget of device hours what stands first is a file of RUNS, unless it is a number."""
    if budget is None or device_hours is None:
        return budget, runs
    try:
        parse_quantity(budget, "budget")
    except UserError:
        return None, (budget, *runs)
    return budget, runs
