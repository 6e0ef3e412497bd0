"""`gemstones predict LAW`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gemstones.analyses.predict.predict import predict as make_predictions
from gemstones.analyses.predict.shown import OF_THE_FIT, predict_answer, predict_card
from gemstones.cli.law_option import LawName, Of, law_of
from gemstones.cli.options import FLAG, Json, Reading, Verbose
from gemstones.cli.output import print_card, print_json, print_notes, print_table, say
from gemstones.cli.values import values_by_column
from gemstones.display import columns
from gemstones.numbers import counted

SHOWN = 40
"""Rows in the terminal; --json has all."""


def predict(
    law: LawName,
    /,
    *,
    at: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(help="A point, like N=7e9,T=1e12, or of a shape, shape=4096x32,T=1e12; may be repeated."),
    ] = (),
    runs: Annotated[
        tuple[str, ...],
        FLAG,
        Parameter(
            help="A data set or file of runs: every row is predicted beside its measured loss; may be repeated."
        ),
    ] = (),
    reading: Reading = Reading(),
    of: Of = (),
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What the loss will be, with the interval of a new run and that of the fit.

    The interval of a new run includes how far the form of the law was off for runs that it was not fitted to, by
    backtests at that distance; the interval of the fit is narrower and holds only if the form is right.

    Example: gemstones predict gemstones-refit --at shape=4096x32,T=1T --at shape=2048x24,T=1T
    """
    chosen, name = law_of(law, of)
    made = make_predictions(
        chosen,
        [values_by_column(text, "--at") for text in at],
        runs=reading.selected(runs) if runs else None,
        force=reading.force,
        name=name,
    )
    if json:
        print_json(made.summary())
        return
    card = predict_card(made)
    header, rows, notes = card.header, card.rows[:SHOWN], card.notes
    if not verbose:
        kept = [i for i in range(len(header)) if i != OF_THE_FIT]
        header, rows = columns(kept, header, rows)
        notes = predict_answer(made)
    if len(card.rows) > SHOWN:
        notes = [f"the first {SHOWN} of {len(card.rows):,} rows; --json has all", *notes]
    if not verbose:
        print_card(card._replace(header=header, rows=rows, notes=notes))
    else:
        say(card.heading)
        for kept in ([i for i in range(len(header)) if i != OF_THE_FIT], [0, OF_THE_FIT]):
            print_table("", *columns(kept, header, rows))
        for note in notes:
            say(note)
        return
    print_notes(("assumed", made.assumptions))
    if made.flags:
        say(f"{counted(len(made.flags), 'caution')} and the interval of the fit: --verbose")
