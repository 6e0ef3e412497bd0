"""`gemstones isoflop RUNS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.accounting.parameters import params_convention
from gemstones.analyses.isoflop.isoflop import DRAWS
from gemstones.analyses.isoflop.isoflop import isoflop as find_minima
from gemstones.analyses.isoflop.shown import isoflop_answer, isoflop_card
from gemstones.cli.options import OUTPUT, Json, Level, Params, Reading, Runs, Seed, Verbose
from gemstones.cli.output import print_card, print_json, print_notes, rest_text, say, say_written
from gemstones.printable import printable


def isoflop(
    runs: Runs,
    /,
    *,
    reading: Reading = Reading(),
    budget: Annotated[
        str | None,
        Parameter(
            help="Column that names each run's budget (default: one called budget or the like, else clusters of FLOPs)."
        ),
    ] = None,
    params: Params = "total",
    law: Annotated[
        str, Parameter(help="Law of N and T to fit to the same runs and show beside; none for none.")
    ] = "N,T",
    bootstrap: Annotated[int, Parameter(help="Draws by run for intervals; 0 for none.")] = DRAWS,
    seed: Seed = 0,
    level: Level = 0.95,
    output: Annotated[
        Path | None, OUTPUT, Parameter(help="Folder for isoflop.json and the figure (bowls.png, bowls.svg).")
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """The best size of each budget by isoFLOP profiles, and how it grows (Approach 2).

    A parabola in log N goes through the losses of each budget's runs; its minimum, if it lies inside the sizes that
    were trained, gives N*, T* and the loss there, and lines through these over FLOPs the exponents. The minima of a
    law fitted to the same runs stand beside, with the bias that parabolas would have if it were true.

    Example: gemstones isoflop sweep.csv --columns flops=budget --output out/isoflop
    """
    table = reading.selected(runs)
    folder = None
    if output is not None:
        from gemstones.analyses.files import analysis_folder

        folder = analysis_folder("isoflop", output, ("bowls",), (table,), force=reading.force)
    made = find_minima(
        table,
        budget=budget,
        params=params_convention(params),
        law=None if law == "none" else law,
        bootstrap=bootstrap,
        seed=seed,
        level=level,
    )
    written: list[Path] = []
    if folder is not None:
        from gemstones.analyses.files import write_analysis
        from gemstones.analyses.isoflop.figure import isoflop_figure

        written = write_analysis(folder, made.summary(), {"bowls": isoflop_figure(made)})
    if json:
        print_json(made.summary())
        return
    card = isoflop_card(made)
    print_card(card if verbose else card._replace(notes=isoflop_answer(made)))
    if not verbose:
        print_notes(("assumed", made.assumptions))
        say(f"{printable(made.budgets_are)}; {rest_text(len(made.flags))}")
    say_written(written)
