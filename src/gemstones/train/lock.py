"""A folder's work for one process at a time: an flock, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_LOCK, SUITE_LOCK = "run.lock", "suite.lock"
"""Names of the locks in a run's folder, and in a suite's."""
POLL_SECONDS = 0.02


@contextmanager
def locked(path: Path, wait_seconds: float, busy: Callable[[str], Exception]) -> Iterator[None]:
    """Hold the lock of the file at `path`, made if need be in a folder that is there; waits for it so long.

    `busy` makes the error of a lock that another process keeps from its name, "process 12 on node3". A killed
    process lets go at once: no child of it has the lock, however it was started. The file stays, as removing
    it would let two processes hold "the" lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _acquire(descriptor, path, wait_seconds, busy)
        _write(descriptor, f"{os.getpid()} {socket.gethostname()}\n")
        owner = os.getpid()
        _OPEN.add(descriptor)
        try:
            yield
        finally:
            if os.getpid() == owner:
                _OPEN.discard(descriptor)
                _write(descriptor, "")
    finally:
        with contextlib.suppress(OSError):  # closed already in a fork
            os.close(descriptor)


def holder(path: Path) -> str | None:
    """The process that holds the lock of the file at `path`, or None; neither waits nor makes the file.

    The lock is shared for an instant to find out: whoever wants it waits longer than that.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _name(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


_OPEN: set[int] = set()
"""Descriptors of the locks that this process holds: forks, which would share them, close them."""


def _let_go() -> None:
    for descriptor in _OPEN:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _OPEN.clear()


os.register_at_fork(after_in_child=_let_go)


def _acquire(descriptor: int, path: Path, wait_seconds: float, busy: Callable[[str], Exception]) -> None:
    deadline = time.monotonic() + max(wait_seconds, 2 * POLL_SECONDS)  # past a look of `holder`
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise busy(_name(descriptor)) from None
        time.sleep(POLL_SECONDS)


def _name(descriptor: int) -> str:
    """The process that wrote itself into a lock's file."""
    pid, _, host = os.pread(descriptor, 300, 0).decode(errors="replace").partition(" ")
    if not pid.isdecimal():
        return "another process"
    host = "".join(c for c in host if c.isprintable())
    return f"process {pid}" if host == socket.gethostname() else f"process {pid} on {host}"


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
