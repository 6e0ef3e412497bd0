"""`gemstones next RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.analyses.next_run.next_runs import next_runs, valued
from gemstones.analyses.next_run.pilot import DRAWS
from gemstones.analyses.next_run.shown import next_card, next_short
from gemstones.bounds import FLOPS
from gemstones.cli.law_option import form_of
from gemstones.cli.options import Json, Level, Params, Reading, Runs, Seed, Verbose, Workers, worker_count
from gemstones.cli.output import print_card, print_json, progress_bar, say_trust
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import is_fit
from gemstones.laws.fitting import fit

LAW = "N,T"


def next(  # noqa: A001 (the command is called so)
    runs: Runs,
    /,
    *,
    budget: Annotated[
        str, Parameter(name="--for", help="FLOPs of the model that is to be planned, like 1e22.")
    ],
    candidates: Annotated[
        str,
        Parameter(
            help="A CSV file with columns shape and tokens, like 1024x28,20B; or auto, feasible shapes at several "
            "costs."
        ),
    ] = "auto",
    reading: Reading = Reading(),
    law: Annotated[str, Parameter(help="Form of the law that is fitted to the runs.")] = LAW,
    params: Params = "total",
    bootstrap: Annotated[int, Parameter(help="Resamples by run, whose spread is what is not known.")] = DRAWS,
    seed: Seed = 0,
    level: Level = 0.95,
    workers: Workers = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Which single run would teach most: the share of what is unknown of the best N, and of the loss there, that each
    candidate would explain, with its cost.

    A law is fitted to RUNS (or RUNS is a file of `gemstones fit --bootstrap 200 --output`); its resamples by run, and
    noise and misfit estimated from the runs, say what is not known. The first candidate explains most per FLOP.
    Shares of two candidates do not add up: buy one, add it to the runs, and ask again.

    Example: gemstones next runs.parquet --for 1e22

    Example: gemstones next fit.json --for 1e22 --candidates candidates.csv
    """
    if len(runs) == 1 and (path := Path(runs[0])).is_file() and is_fit(path.read_bytes()):
        fitting = {
            "--law": law != LAW,
            "--params": params != "total",
            "--bootstrap": bootstrap != DRAWS,
            "--seed": seed,
        }
        if stray := [str(reading.given)] * (reading.given is not None) + [
            o for o, given in fitting.items() if given
        ]:
            raise InvalidRequest(
                f"{stray[0]} is of RUNS, and {path} is a fit, which is read as it is: leave it out, or name the runs"
            )
        found = next_runs(str(path), budget, candidates, level=level)
    else:
        form = form_of(law)
        amount, table = FLOPS.parse(budget), reading.selected(runs)
        with progress_bar("fit", bootstrap) as progress:
            fitted = fit(
                table,
                form,
                params=params_convention(params),
                bootstrap=bootstrap,
                seed=seed,
                workers=worker_count(workers),
                backtests=False,
                force=reading.force,
                progress=progress,
            )
        found = valued(fitted, table, amount, candidates, level=level)
    if json:
        print_json(found.summary())
        return
    print_card(next_card(found) if verbose else next_short(found))
    if not verbose:
        say_trust(found.assumptions[0], len(found.flags))
