"""Every analysis that the runs of a study allow, asked, kept and paged by the one list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gemstones.analyses.analysis import Analyses, Asked, Step, asked_of_a_study
from gemstones.laws.parallel import Workers, run_beside
from gemstones.page.page import Section
from gemstones.runs import RunTable
from gemstones.words import listed

Own = TypeVar("Own")

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


@dataclass(frozen=True, eq=False)
class Written:
    """What was found, as files and for the page."""

    files: tuple[Path, ...]
    sections: tuple[Section, ...]
    """Of the page, those that there is something for, in its order."""


def write_analyses(
    analyses: Analyses, runs: RunTable, folder: Path, own: Callable[[], Own], workers: Workers = 1
) -> tuple[Written, Own]:
    """What was found as files in `folder`, tables and figures, and the sections of the page; and what `own` returns.

    Drawing takes long: it is done by several processes of this machine if `workers` are, and `own` in this one
    meanwhile. Raises `MissingExtra` without altair.
    """

    def write(key: str) -> tuple[list[Path], Section | None]:
        one, found = next((one, found) for one, found in analyses.each() if one.key == key)
        return one.write(found, runs, folder), one.section(found, runs)

    keys = [one.key for one, _ in analyses.each()]
    here = workers if isinstance(workers, int) else 1  # a cluster has other disks
    written, mine = run_beside(write, keys, own, here)
    files = [path for paths, _ in written for path in paths]
    return Written(tuple(files), tuple(section for _, section in written if section is not None)), mine


def analysis_sentences(analyses: Analyses) -> list[str]:
    """What was found, a line each."""
    return [said for one, found in analyses.each() for said in one.sentences(found)]
