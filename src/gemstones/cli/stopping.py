"""Signals that end a command: one line, exit status 128 and the signal's number, no process and no file left behind.

Ctrl-C, SIGTERM and SIGHUP raise `Stopped`, so that what is half-written is removed on the way out. Commands that train
take note of these signals themselves, to save first; a second one ends them too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
"""And what is said of each."""
PATIENCE_SECONDS = 5.0
"""For which a command may take to leave; after them it is ended where it is."""


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.message = SIGNALS[signal.Signals(number)]
        self.exit_status = 128 + number


@contextlib.contextmanager
def stoppable(say: Callable[[str], None]) -> Iterator[None]:
    """Within the block, signals raise `Stopped`, and worker processes end with it.

    A signal that the caller ignores (nohup, a job in the background of a script) stays ignored. If the block does not
    leave in time, `say` is called and the process ends at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=_give_up, args=(number, say), daemon=True).start()
        raise Stopped(number)

    usual = (signal.SIG_DFL, signal.default_int_handler)
    before: dict[int, Any] = {
        number: signal.signal(number, stop) for number in SIGNALS if signal.getsignal(number) in usual
    }
    try:
        yield
    except KeyboardInterrupt:
        warnings.simplefilter("ignore")  # joblib's, that tasks were cancelled, when it is left behind
        end_workers()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_workers() -> None:
    """Kill the worker processes of this one; where /proc does not name them, they end with the pipes to this one."""
    for pid in _children():
        # Not the tracker of joblib's shared memory: it removes what the others leave, and then itself.
        if b"resource_tracker" not in _command(pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    found: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _give_up(number: int, say: Callable[[str], None]) -> None:
    time.sleep(PATIENCE_SECONDS)
    end_workers()
    stopped = Stopped(number)
    say(stopped.message)
    os._exit(stopped.exit_status)
