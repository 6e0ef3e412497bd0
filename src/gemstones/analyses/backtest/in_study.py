"""Backtests as a study asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.backtest.backtest import LAWS, Backtest, backtest
from gemstones.analyses.backtest.files import BACKTEST_FILES, backtest_files
from gemstones.analyses.backtest.section import backtest_section
from gemstones.analyses.backtest.words import sentence
from gemstones.files import make_folder
from gemstones.laws.solver.objective import Objective
from gemstones.runs.table import RunTable


def _ask(asked: Asked) -> Answer[Backtest]:
    """Of the usual laws, and of the one that answers."""
    return attempt(
        ANALYSIS.title,
        lambda: backtest(
            [one.fitted for one in asked.chosen],
            laws=_laws(asked),
            objective=Objective(delta=asked.settings.delta),
            seed=asked.settings.seed,
            workers=asked.workers,
            progress=asked.share,
        ),
    )


def _laws(asked: Asked) -> list[str]:
    """The usual ones, and the sum that answers."""
    answering = [made.law.form for made in asked.laws[:1] if made.law.formula is None]
    return list(dict.fromkeys((*LAWS, *answering)))


def _files(made: Backtest, runs: RunTable, folder: Path) -> list[Path]:
    return backtest_files(made, runs, make_folder(folder / "backtests"))


def _sentences(made: Backtest) -> Iterator[str]:
    for table in made.tables:
        said = sentence(made, table.selection, "all")
        yield from () if said is None else (f"backtests, {table.selection}: {said}",)


ANALYSIS = Analysis(
    key="backtest",
    title="backtests",
    time=55.0,
    ask=_ask,
    section=backtest_section,
    sentences=_sentences,
    files=_files,
    patterns=tuple(f"backtests/{pattern}" for pattern in BACKTEST_FILES),
    slow=True,
)
