"""The sensitivity analysis as a study asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemstones.analyses.analysis import Analysis, Answer, Asked, attempt
from gemstones.analyses.sensitivity.choices import Levels
from gemstones.analyses.sensitivity.files import SENSITIVITY_FILES, sensitivity_files
from gemstones.analyses.sensitivity.section import sensitivity_section
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.files import make_folder
from gemstones.runs.losses import losses_of
from gemstones.runs.one_line import listed
from gemstones.runs.table import RunTable

DRAWS = 40
"""Resamples by run of every fit, at most."""


def _ask(asked: Asked) -> Answer[Sensitivity]:
    """Of the first loss alone: every other one would take as long again."""
    loss, *others = losses_of(asked.first.fitted)
    answer = attempt(ANALYSIS.title, lambda: _swept(asked, loss))
    if not others:
        return answer
    left = f"{ANALYSIS.title}: of {loss} alone, not of {listed(others)}: `gemstones sensitivity` tries all (--loss)"
    return replace(answer, notes=(*answer.notes, left))


def _swept(asked: Asked, loss: str) -> Sensitivity:
    """Fits are kept in the study's folder, so that one that is interrupted, or made again, takes them from there."""
    settings = asked.settings
    sweep = Sweep.of(
        asked.runs,
        Levels(losses=(loss,)),
        selections=None if settings.select is None else (settings.select,),
    )
    return sensitivity(
        sweep,
        settings.budgets,
        bootstrap=min(settings.bootstrap, DRAWS),
        seed=settings.seed,
        workers=asked.workers,
        output=asked.output / "sensitivity",
        progress=lambda done: asked.share(done / len(sweep.fits)),
    )


def _summary(made: Sensitivity) -> dict[str, Any]:
    """Without every study, which its own files have."""
    return {name: value for name, value in made.summary().items() if name != "studies"}


def _files(made: Sensitivity, runs: RunTable, folder: Path) -> list[Path]:
    return sensitivity_files(made, make_folder(folder / "sensitivity"))


def _sentences(made: Sensitivity) -> Iterator[str]:
    yield f"choices: {made.sentence}"


ANALYSIS = Analysis(
    key="sensitivity",
    title="sensitivity analysis",
    time=90.0,
    ask=_ask,
    summary=_summary,
    section=lambda made, runs: sensitivity_section(made),
    sentences=_sentences,
    files=_files,
    patterns=tuple(f"sensitivity/{pattern}" for pattern in SENSITIVITY_FILES),
    slow=True,
)
