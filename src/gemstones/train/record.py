"""Writing the ledger: a line at a time, each in one write to the end of the file."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gemstones.runs.ledger import Event, line_of


class Recorder:
    """The open ledger of the process that trains the run; a line that a crash cut is removed first."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        content = path.read_bytes()
        os.ftruncate(self._descriptor, content.rfind(b"\n") + 1)

    def write(self, event: Event) -> None:
        """Append `event`."""
        line = memoryview(line_of(event))
        while line:  # a full disk may take a part of it: the rest raises
            line = line[os.write(self._descriptor, line) :]

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        os.fsync(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
