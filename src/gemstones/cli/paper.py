"""`gemstones paper`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.cli.options import OUTPUT, Json, Replace, Seed, Workers, worker_count
from gemstones.cli.output import print_json, say, share_bar
from gemstones.printable import printable


def paper(
    *,
    output: Annotated[
        Path,
        OUTPUT,
        Parameter(help="Folder for paper.html, paper.md, forms.md, claims.parquet and figures/."),
    ],
    bootstrap: Annotated[int, Parameter(help="Resamples by run of every fit and frontier.")] = 100,
    seed: Seed = 0,
    workers: Workers = None,
    force: Replace = False,
    json: Json = False,
) -> None:
    """Every figure and claim of the paper, made again from its published runs.

    Refits everything from the raw run tables, draws Figures 2 to 24 (PNG, SVG, PDF, and their data as Parquet), and
    writes paper.md: its headline claims, each beside its figure, then claim by claim the paper's number, ours, its
    interval, and where they differ and why; counts of rows are checks apart. paper.html is the same as a page with the
    pictures in it. And forms.md: what the paper's conclusions become under the form that predicts runs that were left
    out, (w,d,N,T)^p.

    Example: gemstones paper --output out/paper
    """
    from gemstones.numbers import counted
    from gemstones.paper.claim import check_counts, counts
    from gemstones.paper.headlines import headlines
    from gemstones.paper.reproduce import reproduce

    with share_bar() as progress:
        made = reproduce(
            output,
            bootstrap=bootstrap,
            seed=seed,
            workers=worker_count(workers),
            force=force,
            progress=progress,
        )
    if json:
        print_json(made.summary())
        return
    for headline in headlines(made.chapters):
        say(f"{headline.outcome:>13}: {headline.said.says}")
    for verdict, number in counts(made.chapters).items():
        count, noun = counted(number, "claim").split()
        say(f"{count:>5} {noun}: {verdict}")
    checks = check_counts(made.chapters)
    say(
        f"{checks['reproduced']:>5} of {counted(sum(checks.values()), 'check')} of counts and closed forms agree"
    )
    say(
        f"{len(made.captions)} figures, {printable(output / 'paper.html')} and "
        f"{printable(output / 'paper.md')}: every claim, and where we differ and why"
    )
    say(f"{printable(output / 'forms.md')}: what the conclusions become under the form that predicts")
