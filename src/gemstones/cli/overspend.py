"""`gemstones overspend RUNS`."""

from __future__ import annotations

from typing import Annotated, Any, cast

from cyclopts import Parameter

from gemstones.bounds import TOKENS
from gemstones.cli.options import Json, Reading, Runs, Verbose
from gemstones.cli.output import print_card, print_json, say_trust


def overspend(
    runs: Runs,
    /,
    *,
    tokens: Annotated[str, Parameter(help="Training tokens after which runs are compared, like 300B.")],
    resource: Annotated[str, Parameter(help="flops or device_hours.")] = "flops",
    method: Annotated[
        str,
        Parameter(
            help="interpolate (the frontier at the same loss) or nearest (its point of nearest loss, as published)."
        ),
    ] = "interpolate",
    reading: Reading = Reading(),
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """What each run spent beyond the frontier for the loss it reached (Figure 7).

    Runs are compared at their checkpoints nearest to TOKENS. Of a known data set, the selection with the most
    checkpoints is used where none is named.

    Example: gemstones overspend gemstones --tokens 300B
    """
    from gemstones.analyses.overspend.overspend import overspend as find_overspend
    from gemstones.analyses.overspend.shown import SHORT_TRUST, overspend_card, overspend_short
    from gemstones.runs.selections import dense_selection

    table = reading.load(runs)
    # A file may be a selection already, and has no other then.
    default = None if table.selection else dense_selection(table.dataset)
    selected = table.select(reading.select or default, reading.where)
    found = find_overspend(selected, TOKENS.parse(tokens), cast("Any", resource), cast("Any", method))
    if json:
        print_json(found.summary())
        return
    print_card(overspend_card(found) if verbose else overspend_short(found))
    if not verbose:
        say_trust(SHORT_TRUST, 0)
