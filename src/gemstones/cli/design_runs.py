"""`gemstones design --for`: which runs to train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemstones.analyses.next_run.design import design_runs
from gemstones.analyses.next_run.pilot import DRAWS, pilot_of
from gemstones.analyses.next_run.result import Design
from gemstones.analyses.next_run.shown import RIVALS_HEADER, design_card, design_short, rivals_rows
from gemstones.analyses.next_run.suite import suite_text
from gemstones.cli.options import Architecture, Ranges, files_of, worker_count
from gemstones.cli.output import (
    print_card,
    print_json,
    print_table,
    progress_bar,
    say,
    say_trust,
    say_written,
    share_bar,
)
from gemstones.cli.pilot_runs import PilotRuns
from gemstones.design.feasible import Constraints
from gemstones.files import check_output, write_text
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import REFIT, given_law
from gemstones.marks import is_marked
from gemstones.output_folder import OutputFolder
from gemstones.planning.defaults import default_constraints
from gemstones.printable import printable

SUITE, SUITE_FILE = ".toml", "suite.toml"


def print_design(
    asked: Mapping[str, Any],
    law: str | None,
    after: str | None,
    existing: str | None,
    reading: PilotRuns,
    ranges: Ranges,
    architecture: Architecture,
    output: Path | None,
    verbose: bool,
    json: bool,
) -> None:
    """Finds the design that is `asked` for, in the words of `design_runs`, writes its files and prints it."""
    reading.check(after, existing, law)
    folder, force = None, reading.force
    if output is not None and output.suffix != SUITE:
        from gemstones.analyses.files import analysis_folder

        folder = analysis_folder("design", output, ("runs",), texts=(SUITE_FILE,), force=force)
    elif output is not None:
        inputs = files_of([name for name in (after, existing) if name is not None])
        check_output(output, inputs=inputs, ours=_ours, what="a suite of a design", force=force)
    have = None if existing is None else reading.table(existing, architecture)
    pilot = None
    if after is not None:
        given, workers = reading.pilot(after, architecture), worker_count(None)
        with progress_bar("fit", DRAWS) as done:
            pilot = pilot_of(given, law or "N,T", workers, force=force, progress=done)
    reference = given_law(law or REFIT) if pilot is None else pilot.fit
    with share_bar() as progress:
        design = design_runs(
            **asked,
            law=REFIT if pilot is not None else law or REFIT,
            after=pilot,
            existing=have,
            constraints=_constraints(reference, ranges, architecture),
            progress=progress,
        )
    written = _write(design, output, folder)
    if json:
        print_json(design.summary())
        return
    if verbose:
        card = design_card(design)
        say(printable(card.heading))
        print_table("", card.header, card.rows, left=(1,))
        print_table("", RIVALS_HEADER, rivals_rows(design))
        for note in card.notes:
            say(printable(note))
    else:
        print_card(design_short(design), left=(1,))
        say_trust(design.assumptions[0], len(design.flags))
    say_written(written)


def _constraints(law: object, ranges: Ranges, architecture: Architecture) -> Constraints | None:
    """The law's own models, unless others were asked for."""
    bare = law.law if isinstance(law, Fit) else law
    if not isinstance(bare, Law):
        return None
    default = default_constraints(bare)
    if architecture != Architecture():
        template = architecture.template()
        default = Constraints(
            width_max=default.width_max,
            depth_min=default.depth_min,
            depth_max=default.depth_max,
            width_multiple=1,
            template=template,
        )
    return ranges.over(default)


def _ours(content: bytes) -> bool:
    return is_marked(SUITE, content)


def _write(design: Design, output: Path | None, folder: OutputFolder | None) -> list[str]:
    if output is None:
        return []
    if folder is None:
        write_text(output, suite_text(design))
        return [str(output)]
    from gemstones.analyses.files import write_analysis
    from gemstones.analyses.next_run.figure import design_figure

    figures, texts = {"runs": design_figure(design)}, {SUITE_FILE: suite_text(design)}
    return [str(path) for path in write_analysis(folder, design.summary(), figures, texts)]
