"""The bytes of a file, and as what they can be looked at: text, JSON.

What is no regular file is refused (a pipe may never end), except standard input, `-`, up to a stated bound.
"""

from __future__ import annotations

import hashlib
import stat
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gemstones.errors import InvalidTable
from gemstones.runs.formats.text import decoded
from gemstones.runs.one_line import one_line
from gemstones.runs.table import Source

LARGEST = 4 << 30
"""Bytes of standard input, or of decompressed content, that are taken."""


@dataclass(frozen=True, eq=False)
class Content:
    """The whole of a file, decompressed."""

    data: bytes
    file: str
    """What errors call it."""
    name: str
    """Its name without folders, and without the suffix of a compression."""
    source: Source

    @cached_property
    def text(self) -> str:
        """As text, line ends as they are; `InvalidTable` where it is none."""
        return decoded(self.data, self.file)

    @property
    def suffix(self) -> str:
        """Lower case, with its point."""
        return Path(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """Name without suffix, fit for one line."""
        return one_line(Path(self.name).stem)


def read_content(path: str | Path) -> Content:
    """The content of a regular file, or of standard input for `-`. Raises `InvalidTable`."""
    file = one_line(path)
    data = _standard_input() if str(path) == "-" else _regular(Path(path), file)
    name = "stdin" if str(path) == "-" else Path(path).name
    return Content(data, file, name, Source(one_line(name), str(path), hashlib.sha256(data).hexdigest()))


def _regular(path: Path, file: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidTable("is no regular file: save what it gives to a file first", file=file)
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidTable(
            "does not exist: give the path of a file, or the name of a data set", file=file
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, InvalidTable):
            raise
        raise InvalidTable(
            f"cannot be read: {one_line(getattr(error, 'strerror', error))}", file=file
        ) from None


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InvalidTable(
            f"gives more than {LARGEST >> 30} GiB: save what is needed of it to a file", file="-"
        )
    return data
