"""The section of a study's page: the run that would teach most."""

from __future__ import annotations

from gemstones.analyses.next_run.next_runs import NextRuns
from gemstones.analyses.next_run.shown import next_heading, next_notes
from gemstones.figures.table import Table
from gemstones.page.page import Section
from gemstones.page.rows import typed_frame
from gemstones.page.table import TableBlock


def next_run_section(found: NextRuns) -> Section:
    """The run that would teach most, and others at other costs."""
    rows = [
        {
            "shape": str(one.shape),
            "params_total": one.params_total,
            "tokens": one.tokens,
            "flops": one.flops,
            "share of N*'s variance": one.variance_explained["n_opt"],
            "share of the loss's": one.variance_explained["loss"],
            "value for its cost": one.value,
        }
        for one in found.candidates
    ]
    return Section(
        "next",
        "The run that would teach most",
        (
            next_heading(found) + ".",
            "Shares of two runs do not add up: buy one, add it to the runs, and ask again (docs/next-run.md).",
        ),
        tables=(
            TableBlock(
                "candidates",
                "Candidates, by value for their cost",
                Table(typed_frame(rows, {"shape"})),
                first=("shape", "share of N*'s variance", "value for its cost"),
            ),
        ),
        notes=tuple(next_notes(found)),
    )
