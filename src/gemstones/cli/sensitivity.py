"""`gemstones sensitivity RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gemstones.bounds import DELTA, FLOPS
from gemstones.cli.options import (
    FLAG,
    OUTPUT,
    Budgets,
    Json,
    Reading,
    Runs,
    Seed,
    Verbose,
    Workers,
    worker_count,
)
from gemstones.cli.output import print_json, print_notes, print_table, progress_bar, say, say_trust
from gemstones.display import cautions, columns, interval_text
from gemstones.laws.interval import level_text
from gemstones.lists import listed
from gemstones.printable import printable
from gemstones.units import format_quantity


def sensitivity(
    runs: Runs,
    /,
    *,
    reading: Reading = Reading(),
    budgets: Budgets = None,
    approach: Annotated[
        str | None, Parameter(help="Of approach3,hull,bins (default: all). The first is the base study's.")
    ] = None,
    law: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help="A form, like N,T or (N,T)^p or a formula; may be repeated (default: w,d,N,T and N,T and w,d,T, and "
            "the first two with an exponent around the sum)."
        ),
    ] = (),
    params: Annotated[
        str | None, Parameter(help="Of total,no_embedding,non_embedding: what N counts (default: all).")
    ] = None,
    flops: Annotated[
        str | None,
        Parameter(
            help="Of gemstones,6N,matmul,given: what FLOPs count, 6N in the study's own N, given as the runs have them "
            "(default: all)."
        ),
    ] = None,
    delta: Annotated[str | None, Parameter(help="δ of the Huber loss, like 1e-4,1e-3 (the default).")] = None,
    loss: Annotated[
        str | None,
        Parameter(
            help="Sets, or columns, of the loss, like main,dclm (default: every loss of the table: `loss`, columns "
            "loss_NAME, or the sets of an evaluation). The first is the base study's."
        ),
    ] = None,
    bootstrap: Annotated[int, Parameter(help="Resamples by run of every fit.")] = 100,
    seed: Seed = 0,
    workers: Workers = None,
    output: Annotated[
        Path | None,
        OUTPUT,
        Parameter(
            help="Folder for every study as a table, figures, and finished fits, from which it goes on."
        ),
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What the same runs prescribe under every combination of an analyst's choices.

    Refits under every selection (--select takes several, like all,le100B), approach, law, convention of N and of FLOPs,
    δ of the Huber loss, and loss (validation set) where the table has several, and says how far the prescriptions are
    apart, which choice moves them most, and how each shifts the base study's.

    Example: gemstones sensitivity gemstones --budgets 1e21,1e22 --output out
    """
    from gemstones.analyses.sensitivity.choices import Levels
    from gemstones.analyses.sensitivity.files import sensitivity_folder, write_sensitivity
    from gemstones.analyses.sensitivity.sensitivity import sensitivity as find_sensitivity
    from gemstones.analyses.sensitivity.sweep import Sweep
    from gemstones.analyses.sensitivity.tables import sweep_budgets

    given: dict[str, Any] = {
        "approaches": _listed(approach, "approach", "approach3,hull"),
        "laws": law,
        "params": _listed(params, "params", "total,non_embedding"),
        "flops": _listed(flops, "flops", "gemstones,6N"),
        "losses": _listed(loss, "loss", "main,dclm"),
        "deltas": () if delta is None else DELTA.listed(delta, "delta", "1e-4,1e-3"),
    }
    levels = Levels(**{name: values for name, values in given.items() if values})
    wanted = None if budgets is None else FLOPS.listed(budgets, "budgets", "1e20,1e22")
    table = reading.load(runs)
    if output is not None:
        sensitivity_folder(output, table, force=reading.force).check()
    sweep = Sweep.of(
        table, levels, selections=_listed(reading.select, "select", "all,le100B") or None, where=reading.where
    )
    with progress_bar("fits", len(sweep.fits)) as progress:
        made = find_sensitivity(
            sweep,
            wanted or sweep_budgets(sweep),
            bootstrap=bootstrap,
            seed=seed,
            workers=worker_count(workers),
            output=output,
            progress=progress,
        )
    files = [] if output is None else write_sensitivity(made, output, table, force=reading.force)
    if json:
        print_json(made.summary())
        return
    if verbose:
        _print_whole(made)
    else:
        _print_short(made)
    if files:
        say(f"written to {printable(files[0].parent)}: {', '.join(path.name for path in files)}")
    if verbose:
        say(made.sentence)


PAIR = 2
"""Quantities of a table of shares: with their intervals more are too wide."""


def _listed(text: str | None, option: str, like: str) -> tuple[str, ...]:
    """What an option lists; nothing where it was not given."""
    return () if text is None else listed(text, option, like)


def _print_short(made: Any) -> None:
    from gemstones.analyses.sensitivity.shown import sensitivity_heading, sensitivity_notes
    from gemstones.analyses.sensitivity.tables import SHORT_HEADER, short_rows
    from gemstones.numbers import counted, flops_text

    say(f"{sensitivity_heading(made)}; N, FLOPs: as each study counts them")
    if rows := short_rows(made):
        print_table(f"for {flops_text(made.headline_budget)} FLOPs", SHORT_HEADER, rows)
    say(made.sentence)
    print_notes(("assumed", made.assumptions))
    refused = sum(one.combinations for one in made.refused)
    also = f"; {counted(refused, 'combination')} refused" if refused else ""
    say_trust(f"{sensitivity_notes(made)[1]}{also}", len(made.flags))


def _print_whole(made: Any) -> None:
    from gemstones.analyses.sensitivity.tables import level_rows, share_rows, spread_rows
    from gemstones.numbers import counted, flops_text

    say(
        f"{made.dataset}: {len(made.studies):,} studies from {made.distinct_fits:,} distinct fits "
        f"({made.laws_fitted:,} of laws, {made.frontiers_found:,} frontiers); "
        f"N counts what each study counts, FLOPs as each study counts them"
    )
    budget = f"{flops_text(made.headline_budget)} FLOPs"
    interval = f"{level_text(made.level)} interval"
    rows = level_rows(made)
    print_table(
        f"N* by choice for {budget}",
        ("choice", "level", "studies", "median", "least", "most"),
        [
            (
                row.choice,
                row.level,
                f"{row.studies:,}",
                *("-" if n is None else format_quantity(n) for n in (row.median, row.least, row.most)),
            )
            for row in rows
        ],
        left=(0, 1),
    )
    print_table(
        f"N* for {budget} of the study that differs from the base in one choice alone",
        ("choice", "level", "over the base's", interval, "share without"),
        [
            (
                row.choice,
                row.level,
                "base" if row.base else "-" if row.shift is None else f"{row.shift:.3g}",
                interval_text(row.interval, "{:.3g}".format),
                "-" if row.share_without is None else f"{row.share_without:.0%}",
            )
            for row in rows
        ],
        left=(0, 1),
    )
    say("share without: the choice's share of the variance, below, if the studies of this level are left out")
    for row in rows:
        if row.against:
            say(f"{row.choice} {row.level} is held against the base study with {row.against}")
    quantities, shares = share_rows(made)
    title = f"share of the variance of the log over all studies for {budget}, with its {interval}"
    for at in range(0, len(quantities), PAIR):
        kept = (0, *range(at + 1, min(at + PAIR, len(quantities)) + 1))
        print_table(title if at == 0 else "", *columns(kept, ("choice", *quantities), shares))
    header = ("", "FLOPs", "studies", "least", "10%", "median", "90%", "most", "most / least", "of one")
    print_table("spread of the studies", header, spread_rows(made))
    say(
        "10%, 90%: a tenth of the studies prescribe less, or more; of one: upper over lower end of the interval of a "
        "single study, the median of all"
    )
    for one in made.refused:
        levels = "; ".join(f"{name} {', '.join(map(str, of))}" for name, of in one.choices.items())
        say(f"refused ({counted(one.combinations, 'combination')}; {levels or 'all'}): {one.reason}")
    print_notes(("caution", cautions(made.flags)), ("assumed", made.assumptions))
