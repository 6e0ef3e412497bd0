"""`gemstones design --for`: which runs to train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemstones.analyses.next_run.design import RUNS, design_runs
from gemstones.analyses.next_run.pilot import pilot_of
from gemstones.analyses.next_run.result import Design
from gemstones.analyses.next_run.shown import (
    design_header,
    design_heading,
    design_notes,
    design_rows,
    rivals_header,
    rivals_rows,
)
from gemstones.analyses.next_run.suite import suite_text
from gemstones.cli.options import Architecture, Ranges
from gemstones.cli.output import print_json, print_table, say, share_bar
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.files import write_text
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import REFIT, given_law
from gemstones.output_folder import OutputFolder
from gemstones.planning.defaults import default_constraints
from gemstones.printable import printable

SUITE, SUITE_FILE = ".toml", "suite.toml"


@dataclass(frozen=True)
class Asked:
    """What was asked for, as it was written."""

    budget: str
    spend: str | None
    device_hours: str | None
    want: str
    law: str | None
    after: str | None
    existing: str | None
    runs: int | None
    largest: str | None
    annealed: bool
    seeds: int


def print_design(
    asked: Asked, ranges: Ranges, architecture: Architecture, output: Path | None, force: bool, json: bool
) -> None:
    """Finds the design, writes its files and prints it."""
    folder = None
    if output is not None and output.suffix != SUITE:
        from gemstones.analyses.files import analysis_folder

        folder = analysis_folder("design", output, ("runs",), texts=(SUITE_FILE,), force=force)
        folder.check()
    elif output is not None and output.exists() and not force and not _ours(output):
        raise InvalidRequest(
            f"{output} exists and is no suite of a design: name another file, or give --force"
        )
    pilot = pilot_of(asked.after, asked.law or "N,T")
    reference = given_law(asked.law or REFIT) if pilot is None else pilot.fit
    with share_bar() as progress:
        design = design_runs(
            asked.budget,
            asked.spend,
            want=asked.want,
            law=REFIT if pilot is not None else asked.law or REFIT,
            after=pilot,
            have=asked.existing,
            runs=RUNS if asked.runs is None else asked.runs,
            largest=asked.largest,
            annealed=asked.annealed,
            seeds=asked.seeds,
            device_hours=asked.device_hours,
            constraints=_constraints(reference, ranges, architecture),
            progress=progress,
        )
    written = _write(design, output, folder)
    if json:
        print_json(design.summary())
        return
    say(printable(design_heading(design)))
    print_table("", design_header(design), design_rows(design), left=(1,))
    print_table("", rivals_header(), rivals_rows(design))
    for note in [*design_notes(design), *(f"written: {path}" for path in written)]:
        say(printable(note))


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


def _ours(path: Path) -> bool:
    return path.is_file() and "gemstones design --for" in path.read_bytes()[:400].decode("utf-8", "replace")


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
