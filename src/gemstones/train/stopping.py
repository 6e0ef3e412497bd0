"""When to end a session early: signals, a budget of time, or a parent that is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

REASONS = ("", "SIGTERM", "SIGUSR1", "SIGINT", "the time budget")
"""By code: the largest of all ranks' codes is everybody's."""
SIGNALS = {signal.SIGTERM: 1, signal.SIGUSR1: 2, signal.SIGINT: 3}
BUDGET = 4
BUDGET_STATUS = 75
"""Exit status of a session that its budget ended: EX_TEMPFAIL of sysexits.h, "try again later"."""
STOPPED_STATUSES = frozenset({BUDGET_STATUS, *(128 + number for number in SIGNALS), 0})
"""Exit statuses of sessions that were asked to stop, and saved; 0 is that of older releases."""
WATCH_SECONDS = 0.1
ORPHANED = 113
"""Exit status of a process whose parent is gone; nobody is there to read it."""


def exit_status(reason: str) -> int:
    """Exit status of a session that ended early for `reason`, one of `REASONS`.

    >>> exit_status("SIGTERM"), exit_status("the time budget")
    (143, 75)
    """
    return BUDGET_STATUS if reason == REASONS[BUDGET] else 128 + signal.Signals[reason]


class StoppedError(BaseException):
    """A session is to end before it has begun to train.

    No `Exception`: it is raised inside PyTorch's compiler too (`Stopping.at_once`), which catches those.
    """

    def __init__(self, code: int) -> None:
        super().__init__(REASONS[code])
        self.code = code


class Stopping:
    """Asked after every step whether to save and leave."""

    def __init__(self, budget_seconds: float | None = None) -> None:
        self._code = 0
        self._at_once = False
        self._deadline = None if budget_seconds is None else time.monotonic() + budget_seconds

    @property
    def signalled(self) -> int:
        """A place in `REASONS`, of the signal that came last."""
        return self._code

    def code(self, next_seconds: float = 0.0) -> int:
        """A place in `REASONS`; `next_seconds` is what is to come, and a save after it, may take of the budget."""
        if self._code:
            return self._code
        if self._deadline is not None and time.monotonic() + next_seconds >= self._deadline:
            return BUDGET
        return 0

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is done within may be left at any point: a signal raises `StoppedError` there and then."""
        self._at_once = True
        try:
            if self._code:
                raise StoppedError(self._code)
            yield
        finally:
            self._at_once = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take note of signals; a second one of the same kind has its usual effect."""

        def note(number: int, frame: FrameType | None) -> None:
            self._code = SIGNALS[signal.Signals(number)]
            signal.signal(number, before[number])
            if self._at_once:
                self._at_once = False
                raise StoppedError(self._code)

        before: dict[int, Any] = {int(number): signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def leave_with(process: int) -> None:
    """End this process, at once and without a word, when `process`, which it works for, is gone.

    A queue that is killed cannot stop its runs: they would go on, and write where its successor writes.
    """
    child = os.getppid() == process  # under torchrun, a grandchild

    def there() -> bool:
        if child:
            return os.getppid() == process
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def watch() -> None:
        while there():
            time.sleep(WATCH_SECONDS)
        os._exit(ORPHANED)

    threading.Thread(target=watch, daemon=True, name="leave-with").start()
