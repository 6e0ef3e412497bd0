"""Runs over local slots: a few at a time, each in a process of its own, parents before children.

Nothing is kept here: how a run stands is in its ledger, so a queue that is killed is started again, and goes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gemstones.errors import Failure, UserError
from gemstones.files import write_text
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import State
from gemstones.runs.one_line import one_line
from gemstones.train.command import PLAIN, TrainOptions, gemstones_train, train_command
from gemstones.train.disk import is_full, no_space
from gemstones.train.slot_devices import environment_of, least_used, visible_devices
from gemstones.train.stopping import STOPPED_STATUSES
from gemstones.train.suite_folder import RunTask

LOG, FAILURE = "train.log", "failure.txt"
"""In a run's folder: what its processes wrote, and why the last one failed, until it is tried again."""
POLL_SECONDS = 0.05
TICK_SECONDS = 0.5
LAST_SECONDS = 10.0
"""That a process has to save, when the queue itself fails."""
ASK_TO_STOP = signal.SIGUSR1
"""Not SIGTERM: service managers and schedulers send that to every process, and a second one would kill."""


class Interrupted(Failure):
    """Stopped by a signal, the work saved."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        self.exit_status = 128 + number  # type: ignore[misc]  # by the shells' custom

    def __reduce__(self) -> tuple[type[Interrupted], tuple[str, int]]:
        # As it was made: an exception is pickled with its message alone.
        return type(self), (str(self), self.number)


class View(Protocol):
    """Is told what happens."""

    def started(self, task: RunTask, before: Standing) -> None:
        """A process begins to train `task`, that stood so."""

    def ended(self, task: RunTask, standing: Standing) -> None:
        """A process has left `task` as it stands now."""

    def stopping(self, running: int) -> None:
        """So many processes have been asked to save and leave."""

    def tick(self, running: Sequence[RunTask], finished: int) -> None:
        """Time passes."""


@dataclass(frozen=True)
class Standing:
    """How a run stands."""

    state: State | None
    step: int = 0
    loss: float | None = None
    """Of the last evaluation, nats/token."""
    problem: str = ""
    """Why the ledger cannot be read, or the process failed."""


@dataclass(frozen=True)
class Outcome:
    """How a queue ended."""

    finished: int
    failed: dict[str, str]
    """Why, by run."""
    diverged: tuple[str, ...]
    held_back: tuple[str, ...]
    """Not trained, because a run that they branch off failed or diverged."""
    signal: int | None
    """That ended it early."""


def standing(folder: Path) -> Standing:
    """How the run in `folder` stands, by its ledger."""
    try:
        ledger = ledger_of(folder)
    except UserError as error:
        return Standing(None, problem=str(error))
    evaluations = ledger.evaluations
    return Standing(ledger.state, ledger.last_step, evaluations[-1].loss if evaluations else None)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """SIGINT, SIGTERM, SIGUSR1 and SIGHUP (unless it is ignored, as under nohup), in order, without their effect."""
    noted: list[int] = []
    wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, lambda caught, _: noted.append(caught)) for number in wanted
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_queue(
    tasks: Sequence[RunTask],
    slots: int,
    threads: int,
    view: View,
    signals: Sequence[int] = (),
    trainer: Sequence[str] | None = None,
    options: TrainOptions = PLAIN,
) -> Outcome:
    """Train `tasks`, at most `slots` at a time, each with `threads`, in their order as far as parents allow.

    A run whose process fails is tried once more if it got anywhere; if it fails again, or has diverged, it is
    left, with those that branch off it. Where there are several accelerators, each run has that which the fewest
    others use. The first of `signals` (a list that grows) makes the processes save and
    leave, the second kills them. `trainer` is the command that trains a folder. Called under `suite_locked`.
    """
    devices = visible_devices(options.device, slots)
    queue = _Queue(tasks, slots, threads, view, trainer or gemstones_train(), options, devices)
    try:
        queue.work(signals)
    finally:
        queue.end()
    return queue.outcome(signals[0] if signals else None)


@dataclass
class _Child:
    task: RunTask
    process: subprocess.Popen[bytes]
    log_start: int
    """Bytes in the log before it."""
    first_step: int
    device: str
    """The accelerator that it was given; nothing where there is no choice."""


@dataclass
class _Queue:
    tasks: Sequence[RunTask]
    slots: int
    threads: int
    view: View
    trainer: Sequence[str]
    options: TrainOptions
    devices: Sequence[str]
    standings: dict[str, Standing] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    retried: set[str] = field(default_factory=set)
    running: list[_Child] = field(default_factory=list)

    def work(self, signals: Sequence[int]) -> None:
        for task in self.tasks:
            self._look(task)
        asked, ticked = 0, 0.0
        while self.running or (not signals and self._ready()):
            if len(signals) > asked:
                if asked == 0:
                    self._ask_to_stop()
                    self.view.stopping(len(self.running))
                else:
                    self._kill()
                asked = len(signals)
            while not asked and len(self.running) < self.slots and (ready := self._ready()):
                self._start(ready[0])
            for child in [child for child in self.running if child.process.poll() is not None]:
                self._reap(child, by_us=asked > 0)
            if time.monotonic() - ticked >= TICK_SECONDS:
                self.view.tick([child.task for child in self.running], self._count("finished"))
                ticked = time.monotonic()
            if self.running:
                time.sleep(POLL_SECONDS)

    def end(self) -> None:
        """Leave no process behind, when the work was broken off by an error."""
        if not self.running:
            return
        self._ask_to_stop()
        deadline = time.monotonic() + LAST_SECONDS
        for child in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
        self._kill()
        for child in self.running:
            child.process.wait()

    def outcome(self, number: int | None) -> Outcome:
        diverged = tuple(run for run, found in self.standings.items() if found.state == "diverged")
        held_back: list[str] = []
        for task in self.tasks:
            if task.spec.parent in {*self.failed, *diverged, *held_back}:
                held_back.append(task.id)
        return Outcome(self._count("finished"), self.failed, diverged, tuple(held_back), number)

    def _ready(self) -> list[RunTask]:
        busy = {child.task.id for child in self.running}
        return [
            task
            for task in self.tasks
            if task.id not in busy and task.id not in self.failed and self._is_open(task.id)
            if not task.spec.parent or self._parent_state(task) == "finished"
        ]

    def _is_open(self, run: str) -> bool:
        return self.standings[run].state not in {"finished", "diverged"}

    def _parent_state(self, task: RunTask) -> State | None:
        parent = task.spec.parent
        if parent not in self.standings:  # left out of the queue
            self.standings[parent] = standing(task.folder.parent / parent)
        return self.standings[parent].state

    def _count(self, state: State) -> int:
        return sum(self.standings[task.id].state == state for task in self.tasks)

    def _look(self, task: RunTask) -> Standing:
        found = self.standings[task.id] = standing(task.folder)
        if found.problem:
            self.failed[task.id] = found.problem
        return found

    def _start(self, task: RunTask) -> None:
        (task.folder / FAILURE).unlink(missing_ok=True)
        device = least_used(self.devices, [child.device for child in self.running])
        with (task.folder / LOG).open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(
                train_command(self.trainer, task.folder, self.threads, self.options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": str(self.threads)} | environment_of(device),
                # A terminal's Ctrl-C is for us: we pass it on, once.
                start_new_session=True,
            )
        before = self.standings[task.id]
        self.running.append(_Child(task, process, start, before.step, device))
        self.view.started(task, before)

    def _reap(self, child: _Child, *, by_us: bool) -> None:
        self.running.remove(child)
        task, status = child.task, child.process.returncode
        found = self._look(task)
        if not (by_us or found.problem or not self._is_open(task.id)):
            if found.state == "stopped" and status in STOPPED_STATUSES:
                reason = "was stopped by a signal"
            else:
                reason = why_failed(task.folder / LOG, child.log_start, status)
            found = Standing(found.state, found.step, found.loss, reason)
            if found.step > child.first_step and task.id not in self.retried:
                self.retried.add(task.id)
            else:
                self.failed[task.id] = reason
        if task.id in self.failed:
            note_failure(task.folder, self.failed[task.id])
        self.view.ended(task, found)

    def _ask_to_stop(self) -> None:
        for child in self.running:
            child.process.send_signal(ASK_TO_STOP)

    def _kill(self) -> None:
        for child in self.running:
            # Its whole group: a layout of several processes is one.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)


def note_failure(folder: Path, reason: str) -> None:
    """Leave `reason` in the run's folder, for `suite status`; on a full disk, which that sees by itself, nothing."""
    with contextlib.suppress(Failure):
        write_text(folder / FAILURE, reason + "\n")


def why_failed(log: Path, start: int, status: int) -> str:
    """The last line that a process wrote to `log` after byte `start`, or else how it ended, with `status`."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - (1 << 16)))
        lines = file.read().decode(errors="replace").split("\n")
    written = [line for line in (one_line(line, 400) for line in lines) if line]
    if status > 0 and is_full(log.parent) and not (written and "cannot be" in written[-1]):
        return no_space(log.parent)  # what it had to say may not have found room either
    if status < 0:
        known = -status in set(signal.Signals)
        hint = ": out of memory, perhaps" if -status == signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-status).name if known else f'signal {-status}'}{hint}"
    return written[-1].removeprefix("gemstones: ") if written else f"ended with exit status {status}"


def raise_failures(outcome: Outcome, total: int) -> None:
    """The error, if any, that a queue of `total` runs ends in: `Interrupted`, or `Failure` with every reason."""
    done = f"{outcome.finished} of {total} runs finished"
    if outcome.signal is not None and outcome.finished < total:
        raise Interrupted(f"interrupted: {done}; the same command goes on", outcome.signal)
    if outcome.failed:
        reasons = "; ".join(f"{run}: {reason}" for run, reason in outcome.failed.items())
        raise Failure(f"{done}, {len(outcome.failed)} failed: {reasons}")
