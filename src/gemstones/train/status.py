"""How far the runs of a suite are: read from their ledgers and locks, disturbing nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gemstones.accounting.flops import flops_per_token
from gemstones.errors import UserError
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Diverged, Evaluation, Event, Ledger, Saved, Step
from gemstones.runs.one_line import one_line
from gemstones.train.disk import is_full, no_space
from gemstones.train.lock import RUN_LOCK, holder
from gemstones.train.progress import pace_of
from gemstones.train.queue import FAILURE
from gemstones.train.suite_folder import RunTask, tasks_of

RunState = Literal["waiting", "ready", "running", "stopped", "finished", "diverged", "failed", "blocked"]
"""`waiting`: for its parent. `stopped`: has begun, and can be gone on with. `failed`: its last process did, or its
ledger cannot be read; it is tried again. `blocked`: its parent diverged."""
SuiteState = Literal["ready", "running", "stopped", "failed", "finished"]
"""`finished`: nothing is left to train, though runs may have diverged."""
RECENT = 300
"""Records of a ledger that tell its pace."""


@dataclass(frozen=True)
class RunStatus:
    """Where a run is."""

    id: str
    family: str
    shape: str
    parent: str
    learning_rate: float
    """After warm-up."""
    state: RunState
    step: int
    """Done, from the start of training: a parent's up to the fork included."""
    steps: int
    tokens: int
    """After `step`."""
    train_loss: float | None
    """Of the last step, nats/token."""
    loss: float | None
    """Of the last evaluation, nats/token."""
    rollbacks: int
    sessions: int
    seconds: float
    """Spent on steps, evaluations and saves, those done twice included."""
    remaining_seconds: float | None
    """To the end, at the run's own pace, or else at that of the suite's other runs in FLOPs; None if nothing ran."""
    reason: str = ""
    """Why it failed or diverged."""


@dataclass(frozen=True)
class SuiteStatus:
    """Where a suite is."""

    runs: tuple[RunStatus, ...]

    @property
    def finished(self) -> int:
        """Number of runs that are finished."""
        return self.count("finished")

    @property
    def state(self) -> SuiteState:
        """Of the suite as a whole."""
        if self.count("running"):
            return "running"
        if self.count("failed"):
            return "failed"
        if self.count("finished", "diverged", "blocked") == len(self.runs):
            return "finished"
        return "stopped" if any(run.sessions for run in self.runs) else "ready"

    @property
    def seconds(self) -> float:
        """Spent in all runs."""
        return sum(run.seconds for run in self.runs)

    @property
    def remaining_seconds(self) -> float | None:
        """To the end of all runs, one after the other."""
        left = [run.remaining_seconds for run in self.runs]
        return None if None in left else sum(seconds for seconds in left if seconds is not None)

    def count(self, *states: RunState) -> int:
        """Number of runs in one of `states`."""
        return sum(run.state in states for run in self.runs)


def suite_status(folder: Path) -> SuiteStatus:
    """The status of the suite in `folder`; `InvalidRequest` for a folder that is none."""
    return status_of(tasks_of(folder))


def status_of(tasks: Sequence[RunTask]) -> SuiteStatus:
    """The status of `tasks`, parents before children."""
    states: dict[str, RunState] = {}
    runs: list[RunStatus] = []
    seconds = flops = 0.0
    for task in tasks:
        # Before the ledger and after: a run that ends, or begins, between the two looks is not a stopped one.
        at_work = holder(task.folder / RUN_LOCK) is not None
        ledger, problem = _ledger(task.folder)
        parent = task.spec.parent
        if parent and parent not in states:
            states[parent] = (
                "finished" if _ledger(task.folder.parent / parent)[0].state == "finished" else "ready"
            )
        state, reason = _state(task, ledger, problem, states.get(parent, "finished"), at_work=at_work)
        states[task.id] = state
        runs.append(_run_status(task, ledger, state, reason))
        flops += _flops_per_step(task) * sum(isinstance(event, Step) for event in ledger.events)
        seconds += runs[-1].seconds
    if flops and seconds:
        per_flop = seconds / flops
        runs = [
            run
            if run.remaining_seconds is not None
            else replace(run, remaining_seconds=(run.steps - run.step) * _flops_per_step(task) * per_flop)
            for run, task in zip(runs, tasks, strict=True)
        ]
    return SuiteStatus(tuple(runs))


def _run_status(task: RunTask, ledger: Ledger, state: RunState, reason: str) -> RunStatus:
    spec = task.spec
    step = max(ledger.last_step, spec.fork_step)
    pace = pace_of(ledger.events[-RECENT:]).seconds_per_step
    over = state in {"finished", "diverged", "blocked"}
    return RunStatus(
        id=task.id,
        family=spec.family,
        shape=str(spec.shape),
        parent=spec.parent,
        learning_rate=spec.learning_rate,
        state=state,
        step=step,
        steps=spec.steps,
        tokens=step * spec.batch_tokens,
        train_loss=ledger.steps[-1].loss if ledger.steps else None,
        loss=ledger.evaluations[-1].loss if ledger.evaluations else None,
        rollbacks=len(ledger.rollbacks),
        sessions=len(ledger.starts),
        seconds=_seconds(ledger.events),
        remaining_seconds=0.0 if over else None if pace is None else (spec.steps - step) * pace,
        reason=reason,
    )


def _state(
    task: RunTask, ledger: Ledger, problem: str, parent: RunState, *, at_work: bool
) -> tuple[RunState, str]:
    """The state, and why, if it is a bad one."""
    state: RunState = "ready" if parent == "finished" else "waiting"
    reason = ""
    if problem:
        state, reason = "failed", problem
    elif ledger.state == "finished":
        state = "finished"
    elif ledger.state == "diverged":
        state, reason = "diverged", next(e.reason for e in reversed(ledger.events) if isinstance(e, Diverged))
    elif at_work or holder(task.folder / RUN_LOCK) is not None:
        state = "running"
    elif (failure := _failure(task.folder)) is not None:
        state, reason = "failed", failure
    elif ledger.state == "begun" and is_full(task.folder):
        state, reason = "failed", no_space(task.folder)
    elif ledger.state is not None:
        state = "stopped"
    elif parent in {"diverged", "blocked"}:
        state, reason = "blocked", f"its parent {task.spec.parent} is {parent}"
    return state, reason


def _ledger(folder: Path) -> tuple[Ledger, str]:
    """The ledger, empty if it cannot be read, and why."""
    try:
        return ledger_of(folder), ""
    except UserError as error:
        return Ledger(), str(error)


def _failure(folder: Path) -> str | None:
    try:
        return one_line((folder / FAILURE).read_text("utf-8", errors="replace"), 400)
    except OSError:
        return None


def _seconds(events: Iterable[Event]) -> float:
    return sum(event.seconds for event in events if isinstance(event, Step | Evaluation | Saved))


def _flops_per_step(task: RunTask) -> float:
    return flops_per_token(task.spec.shape, "matmul") * task.spec.batch_tokens
