"""`gemstones downstream RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.analyses.downstream.downstream import ASKED, AUTO, DRAWS
from gemstones.analyses.downstream.downstream import downstream as fit_task
from gemstones.analyses.downstream.shown import (
    TRIED_HEADER,
    downstream_card,
    downstream_short,
    downstream_trust,
    predicted_header,
    predicted_rows,
    tried_rows,
)
from gemstones.cli.options import (
    FLAG,
    OUTPUT,
    Json,
    Level,
    Reading,
    Runs,
    Seed,
    Verbose,
    Workers,
    worker_count,
)
from gemstones.cli.output import print_card, print_json, print_table, say, say_trust, say_written
from gemstones.cli.values import values_by_column
from gemstones.printable import printable


def downstream(
    runs: Runs,
    /,
    *,
    task: Annotated[
        str,
        Parameter(
            help="A task, or its column of accuracies; several with commas between, or mean for all: their mean."
        ),
    ] = "mean",
    form: Annotated[str, Parameter(help=f"Form of the law: {', '.join(ASKED)}.")] = AUTO,
    loss: Annotated[
        str | None,
        Parameter(
            help="Set, or column, of the loss, like dclm (default: the table's own).", show_default=False
        ),
    ] = None,
    at: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help="A point to predict, like N=7B,T=1T, shape=4096x32,T=1T, flops=1e22 or loss=2.2; may be repeated."
        ),
    ] = (),
    law: Annotated[
        str | None,
        Parameter(
            help="Form of the loss law of the first step (default: (w,d,N,T)^p, or (N,T)^p without shapes).",
            show_default=False,
        ),
    ] = None,
    chance: Annotated[
        float | None,
        Parameter(help="Accuracy of guessing, like 0.25, where it is not known.", show_default=False),
    ] = None,
    reading: Reading = Reading(),
    bootstrap: Annotated[int, Parameter(help="Resamples by run for intervals; 0 for none.")] = DRAWS,
    seed: Seed = 0,
    level: Level = 0.95,
    workers: Workers = None,
    output: Annotated[
        Path | None,
        OUTPUT,
        Parameter(
            help="Folder for downstream.json, checkpoints.parquet, predictions.parquet, and the figure (task.png, "
            "task.svg)."
        ),
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What a model will score on a task: accuracy from loss, or from size and tokens.

    The law of a task is error = epsilon - k*exp(-gamma*loss) (gadre), a sigmoid of the loss (bhagia), or a sum of
    powers of size and tokens (direct); backtests choose, and what chance, the mean and the last value would have
    predicted stands beside. Predictions chain it with a loss law, with the uncertainty of both steps.

    Example: gemstones downstream gemstones-benchmarks --task hellaswag --at flops=1e22
    """
    table = reading.selected(runs)
    folder = None
    if output is not None:
        from gemstones.analyses.downstream.files import downstream_folder

        folder = downstream_folder(output, table, force=reading.force)
    made = fit_task(
        table,
        task,
        form=form,
        loss=loss,
        at=[values_by_column(text, "--at") for text in at],
        law=law,
        chance=chance,
        bootstrap=bootstrap,
        seed=seed,
        level=level,
        workers=worker_count(workers),
        force=reading.force,
    )
    written: list[Path] = []
    if folder is not None:
        from gemstones.analyses.downstream.files import write_downstream

        written = write_downstream(made, folder)
    if json:
        print_json(made.summary())
        return
    if not verbose:
        print_card(downstream_short(made))
        say_trust(downstream_trust(made), len(made.flags))
        say_written(written)
        return
    card = downstream_card(made)
    say(printable(card.heading))
    print_table("", card.header, card.rows)
    print_table("", TRIED_HEADER, tried_rows(made), left=(0, 4))
    if made.predictions:
        print_table("", predicted_header(made), predicted_rows(made))
    for note in card.notes:
        say(printable(note))
    say_written(written)
