"""Laws of tasks as a study asks for them: where its runs have accuracies."""

from __future__ import annotations

from collections.abc import Iterator

from gemstones.analyses.analysis import Analysis, Answer, Asked
from gemstones.analyses.downstream.each import each_task
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.rows import all_tasks
from gemstones.analyses.downstream.section import tasks_section
from gemstones.analyses.downstream.shown import task_sentence

DRAWS = 200
"""Resamples by run of every law, at most."""


def _ask(asked: Asked) -> Answer[tuple[Downstream, ...]]:
    """The law of every task, with what the loss law's best model for the largest budget will score."""
    settings = asked.settings
    found, notes = each_task(
        asked.first.fitted,
        [{"flops": settings.budgets[-1]}],
        bootstrap=min(settings.bootstrap, DRAWS),
        seed=settings.seed,
        workers=asked.workers,
    )
    return Answer(found or None, notes)


def _sentences(made: tuple[Downstream, ...]) -> Iterator[str]:
    yield from (f"tasks: {task_sentence(task)}" for task in made[:1])


ANALYSIS = Analysis(
    key="tasks",
    title="laws of tasks",
    time=20.0,
    ask=_ask,
    section=lambda made, runs: tasks_section(made),
    sentences=_sentences,
    applies=lambda asked: bool(all_tasks(asked.first.fitted)),
    slow=True,
    nothing=(),
)
