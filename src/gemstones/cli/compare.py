"""`gemstones compare A B`, or `compare RUNS --by COLUMN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gemstones import bounds
from gemstones.accounting.parameters import params_convention
from gemstones.analyses.compare.by import compare_by, ranks
from gemstones.analyses.compare.compare import DRAWS, LAWS
from gemstones.analyses.compare.compare import compare as compare_recipes
from gemstones.analyses.compare.shown import compare_answer, compare_card, reach_text, where_text
from gemstones.cli.options import (
    FLAG,
    OUTPUT,
    Delta,
    Json,
    Level,
    Params,
    Reading,
    Runs,
    Seed,
    Verbose,
    Workers,
    worker_count,
)
from gemstones.cli.output import print_card, print_json, print_notes, say, say_trust, share_bar
from gemstones.cli.values import values_by_column
from gemstones.errors import InvalidRequest
from gemstones.printable import printable
from gemstones.runs.table import RunTable


def compare(
    runs: Runs,
    /,
    *,
    reading: Reading = Reading(),
    by: Annotated[
        str | None, Parameter(help="Column that names the recipe of every row, where both are in one table.")
    ] = None,
    reference: Annotated[
        str | None, Parameter(help="The recipe that the others are compared with (default: the first).")
    ] = None,
    select_b: Annotated[
        str | None,
        Parameter(help="Named selection of B, where A and B are selections of one data set or differ."),
    ] = None,
    budget: Annotated[
        str | None,
        Parameter(
            help="FLOPs at which to compare, like 1e21,1e22 (default: the largest of the runs, and ten times as many)."
        ),
    ] = None,
    at: Annotated[tuple[str, ...], FLAG, Parameter(help="A point, like N=7e9,T=1e12; may be repeated.")] = (),
    law: Annotated[
        str | None,
        Parameter(
            help=f"Form of the law fitted to both together (default: {' or '.join(LAWS)}, whichever backtests prefer)."
        ),
    ] = None,
    params: Params = "total",
    delta: Delta = 1e-4,
    bootstrap: Annotated[int, Parameter(help="Resamples by run of the pooled law.")] = DRAWS,
    seed: Seed = 0,
    level: Level = 0.95,
    workers: Workers = None,
    output: Annotated[
        Path | None,
        OUTPUT,
        Parameter(help="Folder for compare.json and the figure (compare.png, compare.svg)."),
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Is recipe B better than A at scale, and how surely?

    Takes two tables, or one with --by a column of recipes. Runs of equal size and shape are paired. One law is fitted
    to all runs, and the difference of log losses is regressed along its derivatives, with a smooth misfit and noise by
    run: the interval of the difference, the probability that B's loss is lower, and the compute that B is worth.

    Example: gemstones compare gemstones --select le100B --select-b lr-ablation --budget 1e22
    """
    options: dict[str, Any] = {
        "budgets": [] if budget is None else bounds.FLOPS.listed(budget, "budget", "1e21,1e22"),
        "at": [values_by_column(text, "--at") for text in at],
        "law": law,
        "params": params_convention(params),
        "delta": delta,
        "bootstrap": bootstrap,
        "seed": seed,
        "level": level,
        "workers": worker_count(workers),
        "force": reading.force,
    }
    tables = _tables(runs, reading, by, select_b)
    folder = None
    if output is not None:
        from gemstones.analyses.files import analysis_folder

        folder = analysis_folder("compare", output, ("compare",), tables, force=reading.force)
    with share_bar() as progress:
        if by is not None:
            made = compare_by(tables[0], by, reference=reference, progress=progress, **options)
        else:
            made = (compare_recipes(*tables, progress=progress, **options),)
    chances = ranks(made) if len(made) > 1 else []
    summary = made[0].summary()
    if len(made) > 1:
        summary |= {"comparisons": [one.summary() for one in made], "best": chances}
    written: list[str] = []
    if folder is not None:
        from gemstones.analyses.compare.figure import compare_figure
        from gemstones.analyses.files import write_analysis

        written = [str(p) for p in write_analysis(folder, summary, {"compare": compare_figure(made)})]
    if json:
        print_json(summary)
        return
    for one in made:
        card = compare_card(one)
        print_card(card if verbose else card._replace(header=(), notes=compare_answer(one)))
        if not verbose:
            print_notes(("assumed", one.assumptions))
            say_trust(reach_text(one), len(one.flags))
    for place, best in zip(made[0].at, chances, strict=False):
        order = sorted(best.items(), key=lambda pair: -pair[1])
        said = ", ".join(f"{name} {chance:.0%}" for name, chance in order)
        say(printable(f"probability of the lowest loss at {where_text(place)}: {said}"))
    for path in written:
        say(printable(f"written: {path}"))


def _tables(
    runs: tuple[str, ...], reading: Reading, by: str | None, select_b: str | None
) -> tuple[RunTable, ...]:
    if by is not None:
        if select_b is not None:
            raise InvalidRequest("--select-b is of two tables: with --by there is one")
        return (reading.selected(runs),)
    if len(runs) == 1 and select_b is not None:
        table = reading.load(runs)
        return table.select(reading.select, reading.where), table.select(select_b, reading.where)
    if len(runs) != 2:
        raise InvalidRequest(
            f"{len(runs)} tables are given: name two, like `gemstones compare a.csv b.csv`, or one with --by COLUMN"
        )
    if select_b is None:
        return reading.selected(runs[:1]), reading.selected(runs[1:])
    return reading.selected(runs[:1]), reading.load(runs[1:]).select(select_b, reading.where)
