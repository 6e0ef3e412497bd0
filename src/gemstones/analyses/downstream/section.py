"""The section of a study's page: laws of tasks."""

from __future__ import annotations

from collections.abc import Sequence

from gemstones.analyses.downstream.figure import downstream_figure
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.shown import TASKS_WORDS, task_sentence
from gemstones.display import caution
from gemstones.figures.table import Table
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.words import capital


def tasks_section(made: Sequence[Downstream]) -> Section:
    """What models score: the law of every task, how well it predicts, and the best model of the largest budget."""
    rows = []
    for one in made:
        last = next(b for b in one.baselines if b.form == "last value")
        rows.append(
            {
                "task": one.task,
                "law": one.form,
                "chance": one.chance,
                "error beyond": one.error_beyond,
                "error of runs left out": one.error_left_out,
                "last value's error beyond": last.error_beyond,
                "signal": one.signal,
                "noise": one.noise,
                **{
                    name: value
                    for at in one.predictions[:1]
                    for name, value in with_ends("accuracy", at.accuracy, at.interval).items()
                },
            }
        )
    drawn = [one for one in made[:1] if one.checkpoints is not None and one.checkpoints.height]
    return Section(
        "tasks",
        "Tasks",
        (*TASKS_WORDS, *(f"{capital(task_sentence(one))}." for one in made[:1] if not drawn)),
        figures=tuple(
            _figure(one) for one in made[:1] if one.checkpoints is not None and one.checkpoints.height
        ),
        tables=(TableBlock("tasks", "Laws of tasks", Table(typed_frame(rows, {"task", "law"}))),),
        notes=tuple(dict.fromkeys(f"{one.task}: {caution(flag)}" for one in made for flag in one.flags)),
    )


def _figure(made: Downstream) -> Figure:
    return Figure(
        "task",
        f"Error of {made.task} over loss, and predicted over measured error of held-out checkpoints",
        "Left, every checkpoint, the law with its band, and the error of guessing. Right, checkpoints that the law was "
        "not fitted to, each with the loss that a loss law predicted.",
        downstream_figure(made),
        capital(task_sentence(made)),
        "tasks",
    )
