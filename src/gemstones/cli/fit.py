"""`gemstones fit RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.cli.options import Json, Reading, Resampled, Runs
from gemstones.cli.output import (
    ASK_FOR_INTERVALS,
    print_json,
    print_notes,
    print_table,
    progress_bar,
)
from gemstones.files import check_writable
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.fit import Fit
from gemstones.laws.fit import fit as fit_law
from gemstones.laws.interval import level_text
from gemstones.laws.shown import fit_rows
from gemstones.laws.solver.objective import Objective


def fit(
    runs: Runs,
    /,
    *,
    law: Annotated[str, Parameter(help="Terms: N,T or w,d,T or w,d,N,T, or names of columns.")] = "N,T",
    reading: Reading = Reading(),
    objective: Annotated[str, Parameter(help="huber, squared or absolute, of log loss.")] = "huber",
    delta: Annotated[
        float, Parameter(help="Where the Huber function turns from squared to absolute, in log loss.")
    ] = 1e-4,
    params: Annotated[str, Parameter(help="What N counts: total, no_embedding or non_embedding.")] = "total",
    resampled: Resampled = Resampled(),
    output: Annotated[
        Path | None, Parameter(help="Write the fit, with its draws, as JSON for `plan --law`.")
    ] = None,
    json: Json = False,
) -> None:
    """Fit a scaling law to runs (Approach 3).

    Minimises the objective over a sum of powers plus a constant, L = Σ exp(c)·x^-e + exp(E), in log loss, to
    convergence. Intervals come from refits to resampled runs: checkpoints of one run are not independent.
    """
    if output is not None:
        check_writable(output)
    table = reading.selected(runs)
    with progress_bar("resampling", resampled.bootstrap) as progress:
        fitted = fit_law(
            table,
            law,
            objective=Objective(cast("Any", objective), delta),
            params=params_convention(params),
            force=reading.force,
            **resampled.arguments(progress),
        )
    if output is not None:
        fitted.save(output)
    if json:
        print_json(fitted.summary())
    else:
        _print(fitted, output)


def _print(fitted: Fit, output: Path | None) -> None:
    law = fitted.law
    how = f"{fitted.objective_kind}" + (
        f", delta {fitted.delta:g}" if fitted.objective_kind == "huber" else ""
    )
    print(f"{law}")
    print(
        f"{fitted.dataset} ({fitted.selection}): {fitted.rows:,} rows of {fitted.runs} runs; "
        + (f"N counts {law.params_convention} parameters; " if "N" in law.symbols else "")
        + f"objective {fitted.objective:.9g} ({how}, summed); {fitted.status}"
    )

    unit = fitted.resampling.unit if fitted.resampling else ""
    heading = (
        f"{level_text(fitted.level)} interval, {len(fitted.draws)} resamples by {unit}"
        if fitted.has_intervals
        else "interval"
    )
    print_table("", ("", "value", heading), fit_rows(fitted))
    if not fitted.draws:
        print("no intervals by run from so few runs" if fitted.runs < LEAST_RUNS else ASK_FOR_INTERVALS)
    print_notes(("flag", fitted.flags), ("assumed", fitted.assumptions))
    if output is not None:
        print(f"written to {output}")
