"""IsoFLOP profiles as a study asks for them: where its first selection is a grid of budgets and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gemstones.analyses.analysis import Analysis, Answer, Asked
from gemstones.analyses.isoflop.figure import isoflop_figure
from gemstones.analyses.isoflop.isoflop import isoflop
from gemstones.analyses.isoflop.result import IsoFlop
from gemstones.analyses.isoflop.section import isoflop_section
from gemstones.analyses.isoflop.shown import isoflop_lines
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.figures.save import save_figure
from gemstones.files import make_folder
from gemstones.runs.table import RunTable


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


def _files(made: IsoFlop, runs: RunTable, folder: Path) -> list[Path]:
    return [*save_figure(isoflop_figure(made), make_folder(folder / "figures") / "isoflop")]


def _sentences(made: IsoFlop) -> Iterator[str]:
    yield from (f"isoFLOP profiles: {said}" for said in isoflop_lines(made)[:1])


ANALYSIS = Analysis(
    key="isoflop",
    title="isoFLOP profiles",
    time=0.5,
    ask=_ask,
    summary=IsoFlop.summary,
    section=lambda made, runs: isoflop_section(made),
    sentences=_sentences,
    files=_files,
    patterns=("figures/isoflop.png", "figures/isoflop.svg"),
)
