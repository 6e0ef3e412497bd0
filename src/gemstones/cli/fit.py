"""`gemstones fit RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.cli.options import (
    FLAG,
    OUTPUT,
    Delta,
    Json,
    Params,
    Reading,
    Resampled,
    Runs,
    Verbose,
    files_of,
)
from gemstones.cli.output import ASK_FOR_INTERVALS, print_json, print_notes, print_table, progress_bar, say
from gemstones.cli.values import values_by_column
from gemstones.display import cautions
from gemstones.files import check_output
from gemstones.laws.chosen import CANDIDATE_HEADER, candidate_rows
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.laws.fit import Fit, is_fit
from gemstones.laws.fitting import fit as fit_law
from gemstones.laws.interval import level_text
from gemstones.laws.literature import NAMED
from gemstones.laws.optimum import Optimum
from gemstones.laws.parse_form import parse_bound, parse_fixed
from gemstones.laws.shown import fit_rows
from gemstones.laws.solver.objective import Objective
from gemstones.lists import listed
from gemstones.printable import printable


def fit(
    runs: Runs,
    /,
    *,
    law: Annotated[
        str,
        Parameter(
            help="Columns like N,T or (w,d,N,T)^p, a formula like 'E + A/N^a + B/T^b', or a form by name: "
            f"{', '.join(NAMED)} (docs/laws.md); or auto: the form that backtests choose (docs/choosing-a-law.md)."
        ),
    ] = "N,T",
    reading: Reading = Reading(),
    fix: Annotated[
        tuple[str, ...], FLAG, Parameter(help="Give a constant a value, like E=1.69; may be repeated.")
    ] = (),
    bound: Annotated[
        tuple[str, ...], FLAG, Parameter(help="Bound a constant, like a=0.1..0.6; may be repeated.")
    ] = (),
    weights: Annotated[str | None, Parameter(help="Column of how often each row counts.")] = None,
    best_of: Annotated[
        str | None,
        Parameter(
            help="Columns, like lr,batch, of which only the least loss of each size and tokens is kept."
        ),
    ] = None,
    objective: Annotated[str, Parameter(help="huber, squared or absolute, of log loss.")] = "huber",
    delta: Delta = 1e-4,
    weight_above: Annotated[
        float,
        Parameter(
            help="How much a loss above the law counts against one below: under 1, the law follows the best."
        ),
    ] = 1.0,
    optimum: Annotated[
        str | None, Parameter(help="Columns, like lr,batch, whose values of least loss are wanted; see --at.")
    ] = None,
    at: Annotated[str | None, Parameter(help="The other columns for --optimum, like N=1B,T=100B.")] = None,
    params: Params = "total",
    resampled: Resampled = Resampled(),
    resample_starts: Annotated[
        int | None,
        Parameter(help="Starting points of each resample's own; by default 0 to 2, enough for 97 in 100."),
    ] = None,
    output: Annotated[
        Path | None, OUTPUT, Parameter(help="Write the fit, with its draws, as JSON for `plan --law`.")
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Fit a scaling law to runs (Approach 3).

    Minimises the objective, in log loss and to convergence, over the constants of a law: a sum of powers plus a
    constant, L = Σ exp(c)·x^-e + exp(E), or any formula of such terms. Intervals come from refits to resampled runs:
    checkpoints of one run are not independent.

    Example: gemstones fit runs.csv --law w,d,N,T --bootstrap 1000 --output fit.json
    """
    if output is not None:
        check_output(output, inputs=files_of(runs), ours=is_fit, what="a fit", force=reading.force)
    table = reading.selected(runs)
    with progress_bar("resampling", resampled.bootstrap) as progress:
        fitted = fit_law(
            table,
            law,
            objective=Objective(cast("Any", objective), delta, weight_above),
            params=params_convention(params),
            fix=dict(parse_fixed(text) for text in fix),
            bounds=dict(parse_bound(text) for text in bound),
            weights=weights,
            best_of=_names(best_of, "--best-of"),
            force=reading.force,
            resample_starts=resample_starts,
            **resampled.arguments(progress),
        )
    best = (
        None
        if optimum is None
        else fitted.optimum(*_names(optimum, "--optimum"), **values_by_column(at, "--at"))
    )
    if output is not None:
        fitted.save(output)
    if json:
        print_json(fitted.summary() | ({} if best is None else {"optimum": best.summary()}))
    else:
        _print(fitted, best, output, law, verbose)


def _names(text: str | None, option: str) -> tuple[str, ...]:
    """Columns in a list."""
    return () if text is None else listed(text, option, "lr,batch")


def _print(fitted: Fit, best: Optimum | None, output: Path | None, written: str, verbose: bool) -> None:
    law = fitted.law
    how = f"{fitted.objective_kind}" + (
        f", delta {fitted.delta:g}" if fitted.objective_kind == "huber" else ""
    )
    if fitted.above != 1:
        how += f", losses above the law counted {fitted.above:g} times"
    if fitted.weights:
        how += f", rows weighted by {fitted.weights}"
    say(f"{law}")
    if (named := NAMED.get(written.strip())) is not None:
        say(f"{written.strip()}: {named.source}; {named.means}")
    say(
        f"{fitted.dataset} ({fitted.selection}): {fitted.rows:,} rows of {fitted.runs} runs; "
        + (f"N counts {law.params_convention} parameters; " if "N" in law.symbols else "")
        + f"objective {fitted.objective:.9g} ({how}, summed); {fitted.status}"
    )

    unit = fitted.resampling.unit if fitted.resampling else ""
    heading = (
        f"{level_text(fitted.level)} interval, {len(fitted.drawn)} resamples by {unit}"
        if fitted.has_intervals
        else "interval"
    )
    print_table("", ("", "value", heading), fit_rows(fitted))
    if fitted.chosen is not None:
        if verbose:
            print_table(
                "forms by their errors of held-out rows", CANDIDATE_HEADER, candidate_rows(fitted.chosen)
            )
        for note in fitted.chosen.notes:
            say(note)
    if not fitted.drawn:
        say("no intervals by run from so few runs" if fitted.runs < LEAST_RUNS else ASK_FOR_INTERVALS)
    if best is not None:
        say(best.sentence())
    print_notes(("caution", cautions(fitted.flags)), ("assumed", fitted.assumptions))
    if output is not None:
        say(f"written to {printable(output)}")
    if fitted.chosen is not None and not verbose:
        say(f"errors of each of {len(fitted.chosen.candidates)} forms: --verbose")
