"""Every analysis that the runs of a study allow, asked, kept and paged by the one list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemstones.analyses.analysis import Analyses, Asked, Step, asked_of_a_study
from gemstones.page.page import Section
from gemstones.runs import RunTable
from gemstones.words import listed

OWN_BACKTESTS = (
    "the error of a new run, in intervals of losses, is from backtests that are part of fitting each law"
)
"""What of backtests a quick study has."""


def analyse(asked: Asked, step: Callable[[str, float], Step], *, quick: bool) -> Analyses:
    """What the runs have an answer to; `quick` leaves out what takes most of the time."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    applying = [one for one in asked_of_a_study() if one.applies(asked)]
    if quick:
        left = listed(f"no {one.title}" for one in applying if one.slow)
        notes.append(f"{left}: left out as asked (--quick); {OWN_BACKTESTS}")
        applying = [one for one in applying if not one.slow]
    for one in applying:
        share = step(one.title, one.time)
        answer = one.ask(replace(asked, share=share))
        share(1.0)
        notes += answer.notes
        if answer.found is not None:
            found[one.key] = answer.found
    return Analyses(found, tuple(notes))


def write_analyses(analyses: Analyses, runs: RunTable, folder: Path) -> list[Path]:
    """What was found as files in `folder`: tables and figures; raises `MissingExtra` without altair."""
    return [path for one, found in analyses.each() for path in one.write(found, runs, folder)]


def analysis_sections(analyses: Analyses, runs: RunTable) -> Sequence[Section]:
    """The sections of the page that there is something for, in its order."""
    every = (one.section(found, runs) for one, found in analyses.each())
    return [section for section in every if section is not None]


def analysis_sentences(analyses: Analyses) -> list[str]:
    """What was found, a line each."""
    return [said for one, found in analyses.each() for said in one.sentences(found)]
