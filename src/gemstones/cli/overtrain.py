"""`gemstones overtrain BUDGET`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gemstones.analyses.overtrain.shown import OTHER_COLUMNS, SHORT_COLUMNS, overtrain_answer, overtrain_card
from gemstones.bounds import FACTOR, FLOPS
from gemstones.cli.law_option import Force, LawName, Of, law_of
from gemstones.cli.options import Json, Ranges, Verbose
from gemstones.cli.output import print_card, print_json, print_notes, print_table, say, say_trust
from gemstones.display import columns
from gemstones.laws.fit import Fit
from gemstones.laws.published import REFIT
from gemstones.planning.defaults import default_constraints


def overtrain(
    budget: Annotated[str, Parameter(help="FLOPs to spend, like 1e22.")],
    /,
    *,
    law: LawName = REFIT,
    factors: Annotated[
        str | None,
        Parameter(
            help="Tokens over the optimal tokens, like 0.25,1,4 (default: 1/16 to 16 by powers of √2)."
        ),
    ] = None,
    ranges: Ranges = Ranges(),
    of: Of = (),
    force: Force = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What it costs to train on more tokens, or fewer, than is optimal for a budget (Figure 8).

    For each factor, the shape of least predicted loss on that many times the optimal tokens within the budget, its
    loss over that of the optimum, and the parameters it has left.

    Example: gemstones overtrain 1e22 --factors 1,2,4,8
    """
    from gemstones.analyses.overtrain.overtrain import overtrain as find_overtraining

    chosen, name = law_of(law, of)
    found = find_overtraining(
        FLOPS.parse(budget),
        chosen,
        None if factors is None else FACTOR.listed(factors, "factors", "0.25,1,4"),
        constraints=ranges.over(default_constraints(chosen.law if isinstance(chosen, Fit) else chosen)),
        force=force,
        name=name,
    )
    if json:
        print_json(found.summary())
        return
    card = overtrain_card(found)
    if verbose:
        print_card(card._replace(header=(), notes=()))
        for kept in (SHORT_COLUMNS, OTHER_COLUMNS):
            print_table("", *columns(kept, card.header, card.rows), left=())
        for note in card.notes:
            say(note)
        return
    say(card.heading)
    rows = card.rows if factors is not None else card.rows[::2]  # of the default the powers of 2
    print_table("", *columns(SHORT_COLUMNS, card.header, rows), left=())
    for note in (*overtrain_answer(found), *found.notes[:1]):
        say(note)
    print_notes(("assumed", found.optimum.assumptions))
    say_trust(f"the optimum is {found.optimum.extrapolation.sentence()}", len(found.optimum.flags))
