"""IsoFLOP profiles as a study asks for them: where its first selection is a grid of budgets and sizes."""

from __future__ import annotations

from collections.abc import Iterator

from gemstones.analyses.analysis import Analysis, Answer, Asked
from gemstones.analyses.isoflop.figure import isoflop_figure
from gemstones.analyses.isoflop.isoflop import isoflop
from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.analyses.isoflop.section import isoflop_section
from gemstones.analyses.isoflop.shown import isoflop_lines
from gemstones.errors import InvalidRequest, InvalidTable


def _ask(asked: Asked) -> Answer[IsoFlop]:
    """Most runs are no such grid, and that is no fault of theirs: nothing is said of it."""
    settings = asked.settings
    try:
        found = isoflop(
            asked.first.frontier, bootstrap=settings.bootstrap, seed=settings.seed, delta=settings.delta
        )
    except (InvalidRequest, InvalidTable):
        return Answer()
    return Answer(found if found.fits else None)


def _sentences(made: IsoFlop) -> Iterator[str]:
    yield from (f"isoFLOP profiles: {said}" for said in isoflop_lines(made)[:1])


ANALYSIS = Analysis(
    key="isoflop",
    title="isoFLOP profiles",
    time=0.5,
    ask=_ask,
    section=lambda made, runs: isoflop_section(made),
    sentences=_sentences,
    figure="isoflop",
    draw=isoflop_figure,
)
