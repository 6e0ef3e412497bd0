"""What a plan scores on a task: its optimum, and every near-optimal shape that is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemstones.analyses.downstream.downstream import DRAWS, downstream
from gemstones.analyses.downstream.result import Downstream, TaskPrediction
from gemstones.analyses.downstream.rows import MEAN
from gemstones.display import Row, cautions, interval_text, labelled
from gemstones.laws.interval import level_text
from gemstones.laws.parallel import Workers
from gemstones.planning.result import Plan
from gemstones.runs.given import Runs
from gemstones.units import format_quantity

EVERY = ("task", "tasks", *MEAN)
"""Of what is wanted: the mean of every task that the runs have."""
BENCHMARKS = "gemstones-benchmarks"
"""The runs whose tasks are meant where none are named."""


@dataclass(frozen=True, eq=False)
class PlannedTask:
    """Predicted accuracies of a plan."""

    law: Downstream
    optimum: TaskPrediction
    members: tuple[TaskPrediction, ...]
    """Of the near-optimal shapes, in the plan's order."""

    @property
    def sentence(self) -> str:
        """What the optimum scores, and whether the task tells the near-optimal shapes apart."""
        best, ends = self.optimum, self.optimum.interval
        said = f"predicted accuracy on {self.law.about} of {best.at.get('shape', 'the optimum')}: {best.accuracy:.4f}"
        if ends is not None:
            said += (
                f", {level_text(self.law.level)} interval of a new run {interval_text(ends, '{:.4f}'.format)}"
            )
        if not self.members:
            return said
        low, high = (f(one.accuracy for one in self.members) for f in (min, max))
        said += f"; the near-optimal shapes that are listed score {low:.4f} to {high:.4f}"
        if ends is not None:
            reach = (ends[1] - ends[0]) / 2
            said += (
                ": less apart than a new run is uncertain by, so the task does not choose between them"
                if high - low < reach
                else f": more apart than the {reach:.4f} that a new run is uncertain by"
            )
        return said

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "task": self.law.task,
            "tasks": list(self.law.tasks),
            "chosen": self.law.form,
            "constants": self.law.constants,
            "error_beyond": self.law.error_beyond,
            "error_left_out": self.law.error_left_out,
            "dataset": self.law.dataset,
            "optimum": self.optimum.summary(),
            "members": [one.summary() for one in self.members],
            "sentence": self.sentence,
            "flags": list(self.law.flags),
        }

    @property
    def header(self) -> Row:
        """Of the rows below."""
        level = level_text(self.law.level)
        return ("shape", "tokens", "accuracy", f"{level} of a new run", f"{level} of the fit")

    def rows(self, most: int | None = None) -> list[Row]:
        """A row for each near-optimal shape, of the first `most`."""
        return [
            (
                str(one.at["shape"]),
                format_quantity(float(one.at["T"])),
                f"{one.accuracy:.4f}",
                interval_text(one.interval, "{:.4f}".format),
                interval_text(one.interval_of_fit, "{:.4f}".format),
            )
            for one in self.members[:most]
        ]

    @property
    def notes(self) -> list[str]:
        """The sentence, the law that it is by, and its flags."""
        return [
            self.sentence,
            f"by the law of {self.law.task} on {self.law.dataset}: {self.law.reason}",
            *labelled(("caution about the task", cautions(self.law.flags))),
        ]


def task_of_plan(
    made: Plan,
    runs: Runs,
    want: str,
    *,
    bootstrap: int = DRAWS,
    seed: int = 0,
    workers: Workers = None,
    force: bool = False,
) -> PlannedTask:
    """What `made` and its listed near-optimal shapes score on the task `want` of `runs`, or on all (`task`).

    Both steps are fitted to `runs`. Raises as `downstream` does.
    """
    best: dict[str, Any] = (
        {"N": made.params_total or made.params, "T": made.tokens}
        if made.shape is None
        else {"shape": str(made.shape), "T": made.tokens}
    )
    near = () if made.near_optimal is None else made.near_optimal.members
    points = [best, *({"shape": one.shape, "T": one.tokens} for one in near)]
    law = downstream(
        runs,
        "mean" if want in EVERY else want,
        at=points,
        bootstrap=bootstrap,
        seed=seed,
        workers=workers,
        force=force,
    )
    return PlannedTask(law, law.predictions[0], law.predictions[1:])
