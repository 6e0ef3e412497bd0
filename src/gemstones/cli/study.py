"""`gemstones study RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.bounds import FLOPS
from gemstones.cli.options import (
    FLAG,
    OUTPUT,
    Budgets,
    Delta,
    Json,
    Reading,
    Runs,
    Seed,
    Verbose,
    Workers,
    worker_count,
)
from gemstones.cli.output import print_json, say, share_bar
from gemstones.laws.chosen import AUTO


def study(
    runs: Runs,
    /,
    *,
    output: Annotated[
        Path, OUTPUT, Parameter(help="Folder for report.html, tables, figures and study.json.")
    ],
    reading: Reading = Reading(),
    budgets: Budgets = None,
    delta: Delta = 1e-4,
    law: Annotated[
        str,
        Parameter(
            help="The form that plans first, like (w,d,N,T)^p or a formula; auto is the one that backtests choose. "
            "N,T and w,d,T and w,d,N,T are fitted too."
        ),
    ] = AUTO,
    by: Annotated[
        str | None,
        Parameter(
            help="Column of the recipes to compare (default: recipe, or the families main and lr-ablation)."
        ),
    ] = None,
    bootstrap: Annotated[int, Parameter(help="Resamples by run of every fit.")] = 400,
    seed: Seed = 0,
    workers: Workers = None,
    quick: Annotated[
        bool,
        FLAG,
        Parameter(help="Leave out sensitivity, backtests and recipes, which take most of the time."),
    ] = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """From runs to prescriptions, and one page about them.

    Fits every law that the runs can tell apart, finds the frontiers of Approach 1, plans for the budgets with
    intervals, asks how far the answer depends on the analyst's choices, what the laws predict of runs that were held
    out and what a wrong shape costs. Writes report.html (one page, offline, with an explorer), tables (Parquet and
    Markdown), figures (PNG and SVG) and study.json. Interrupted, it takes up the sensitivity analysis where it was.

    Example: gemstones study runs.csv --output out
    """
    from gemstones.report.study import study as make_study
    from gemstones.report.summary import closing_text, summary_text

    wanted = None if budgets is None else FLOPS.listed(budgets, "budgets", "1e20,1e22")
    table = reading.load(runs)
    if reading.where is not None:
        table = table.select(reading.select, reading.where)

    with share_bar() as progress:
        made = make_study(
            table,
            output,
            select=reading.select,
            budgets=wanted,
            bootstrap=bootstrap,
            seed=seed,
            delta=delta,
            law=law,
            by=by,
            workers=worker_count(workers),
            quick=quick,
            force=reading.force,
            progress=progress,
        )
    if json:
        print_json(made.summary())
    else:
        say(summary_text(made) if verbose else closing_text(made))
