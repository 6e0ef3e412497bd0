"""`gemstones backtest RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.analyses.backtest.backtest import DRAWS, LAWS, Backtest
from gemstones.analyses.backtest.backtest import backtest as run_backtest
from gemstones.analyses.backtest.splits import SPLITS
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
from gemstones.cli.output import (
    print_json,
    print_notes,
    print_table,
    progress_bar,
    say,
    say_trust,
    say_written,
)
from gemstones.display import cautions
from gemstones.laws.solver.objective import Objective
from gemstones.lists import listed


def backtest(
    runs: Runs,
    /,
    *,
    reading: Reading = Reading(),
    law: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(help=f"Law of Approach 3, may be repeated (default: {'; '.join(LAWS)})."),
    ] = (),
    split: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help=f"{', '.join(SPLITS)}, or a cut of your own like compute=1e20, or "
            "compute=1/30 of the most; may be repeated (default: all of them)."
        ),
    ] = (),
    delta: Delta = 1e-4,
    params: Params = "total",
    draws: Annotated[int, Parameter(help="Resamples of held-out runs for the intervals.")] = DRAWS,
    seed: Seed = 0,
    level: Level = 0.95,
    workers: Workers = None,
    output: Annotated[
        Path | None, OUTPUT, Parameter(help="Folder for errors, predictions, figures and backtest.json.")
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """How well laws predict runs that they were not fitted to.

    Fits every law, and the frontiers of Approach 1, below cuts in compute, size and tokens and predicts above them;
    leaves out every run, width and size class in turn and predicts it. Errors have intervals, by held-out run, and
    laws are compared on the same rows. `--select` takes several names, with commas; a known data set has standard ones.

    Example: gemstones backtest gemstones --select le100B --law "N,T" --law "w,d,N,T"
    """
    table = reading.load(runs)
    if output is not None:
        from gemstones.analyses.backtest.files import backtest_folder

        backtest_folder(output, table, force=reading.force).check()
    names = [None] if reading.select is None else listed(reading.select, "select", "all,le100B")
    whole = reading.select is None and reading.where is None
    with progress_bar("backtesting (%)", 100) as bar:
        made = run_backtest(
            table if whole else [table.select(name, reading.where) for name in names],
            laws=law or LAWS,
            splits=split or SPLITS,
            objective=Objective(delta=delta),
            params=params_convention(params),
            draws=draws,
            seed=seed,
            level=level,
            workers=worker_count(workers),
            progress=lambda share: bar(round(100 * share)),
        )
    written = []
    if output is not None:
        from gemstones.analyses.backtest.files import write_backtest

        written = write_backtest(made, table, output, force=reading.force)
    if json:
        print_json(made.summary())
        return
    if verbose:
        _print_whole(made)
    else:
        _print_short(made)
    say_written(written)


def _print_short(made: Backtest) -> None:
    from gemstones.analyses.backtest.tables import SHORT_LEGEND, flag_lines, short_grids, trust_sentence
    from gemstones.analyses.backtest.words import errors_sentence, sentence

    say(errors_sentence(made))
    for grid in short_grids(made):
        print_table(grid.title, grid.header, grid.lines, left=(0, 1) if grid.selection == "" else (0,))
        if (found := sentence(made, grid.selection, "frontier")) is not None:
            say(found)
    say(SHORT_LEGEND)
    print_notes(("assumed", made.tables[0].assumptions))
    say_trust(trust_sentence(made), len(flag_lines(made)))


def _print_whole(made: Backtest) -> None:
    from gemstones.analyses.backtest.tables import LEGEND, flag_lines, grids, missing_lines
    from gemstones.analyses.backtest.words import conventions_sentence, sentence

    say(conventions_sentence(made))
    for grid in grids(made):
        say()
        print_table(grid.title, grid.header, grid.lines)
        if (found := sentence(made, grid.selection, grid.target)) is not None:
            say(found)
    say(f"\n{LEGEND}")
    print_notes(
        ("no error", missing_lines(made)),
        ("caution", cautions(flag_lines(made))),
        ("assumed", made.tables[0].assumptions),
    )
