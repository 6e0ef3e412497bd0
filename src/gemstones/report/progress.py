"""How far a study is, by what its steps usually take."""

from __future__ import annotations

from collections.abc import Callable

from gemstones.analyses.analysis import Step, asked_of_a_study
from gemstones.report.steps import METHODS, RESOURCES, TIMES
from gemstones.runs import RunTable

FIGURE_TIME, PLAN_TIME = 60.0, 1.0
"""How long they take in terms of a fit of `N,T`."""


class StudyProgress:
    """What is being done, and which share of everything is done."""

    def __init__(self, progress: Callable[[str, float], None] | None, selections: int, quick: bool) -> None:
        each = sum(TIMES.values()) + len(RESOURCES) * len(METHODS) + PLAN_TIME + FIGURE_TIME
        rest = sum(one.time for one in asked_of_a_study() if not (quick and one.slow))
        self._progress, self._total, self._done = progress, selections * each + rest, 0.0

    def step(self, what: str, time: float) -> Step:
        """Begin a step; the function that is given back is told which share of it is done, 1 at its end."""
        begun = self._done
        self._done += time
        self._tell(what, begun)
        return lambda share: self._tell(what, begun + share * time)

    def of(self, what: str, table: RunTable, times: dict[str, float] | None = None) -> Callable[[str], Step]:
        """Begin a step by the name of what is made of `table`."""
        return lambda name: self.step(f"{what} {name}, {table.selection}", (times or {}).get(name, 1.0))

    def finish(self) -> None:
        """Everything is done."""
        self._tell("done", self._total)

    def _tell(self, what: str, done: float) -> None:
        if self._progress is not None:
            self._progress(what, min(done / self._total, 1.0 if what == "done" else 0.999))
