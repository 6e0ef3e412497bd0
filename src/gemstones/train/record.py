"""Writing the ledger: a line at a time, each in one write to the end of the file."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gemstones.errors import Failure
from gemstones.runs.ledger import Event, line_of


class Recorder:
    """The open ledger of the process that trains the run; a line that a crash cut is removed first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        content = path.read_bytes()
        os.ftruncate(self._descriptor, content.rfind(b"\n") + 1)

    def write(self, event: Event) -> None:
        """Append `event`; raises `Failure` where the machine does not take it, and leaves no part of it."""
        whole = line_of(event)
        line = memoryview(whole)
        try:
            while line:  # a full disk may take a part of it: the rest raises
                line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            written = len(whole) - len(line)
            if written:
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise self._failed(error) from None

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> Failure:
        return Failure(
            f"{self._path} cannot be written: {error.strerror}: make room, and the same command goes on"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
