"""The bytes of a file, decompressed, and as what they can be looked at: text, JSON.

What is no regular file is refused, for a pipe or a device may never end; standard input, `-`, is read up to the
same bound as files are.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gemstones.errors import Failure, InvalidTable
from gemstones.files import of_the_path
from gemstones.runs.formats.compression import decompressed
from gemstones.runs.formats.delimited import Delimited, header_of, parse_delimited
from gemstones.runs.formats.json_text import parse_json
from gemstones.runs.formats.text import decoded
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.provenance import Source

LARGEST = 4 << 30
"""Bytes of a file, or of standard input, that are read."""
STANDARD_INPUT = "-"
_FIRST_LINE = 1 << 22
"""Characters at most of a first line that is looked at to tell a format."""
COMPRESSED_SUFFIXES = (".gz", ".zst")


@dataclass(frozen=True, eq=False)
class Content:
    """The whole of a file, decompressed."""

    data: bytes
    file: str
    """What errors call it."""
    path: Path
    """Where it is, the suffix of a compression taken off."""
    source: Source

    @cached_property
    def text(self) -> str:
        """As text, line ends as they are; `InvalidTable` where it is none."""
        return decoded(self.data, self.file)

    @cached_property
    def is_text(self) -> bool:
        """Whether it can be read as text."""
        try:
            return bool(self.text) or not self.data
        except InvalidTable:
            return False

    @cached_property
    def table(self) -> Delimited:
        """As a table of text with separators; `InvalidTable` where it is none."""
        return parse_delimited(self.text, self.file)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it has as a table of text, none where it is no table."""
        if not self.is_text or self.text.lstrip()[:1] in ("{", "["):
            return ()
        return tuple(header_of(self.text))

    def require(self, *names: str) -> None:
        """Refuse a table of text without one of these columns: it was taken for a format that it is not of."""
        for name in names:
            if name not in self.table.frame.columns:
                raise InvalidTable(
                    f"is missing, which files of this format have; found are {listed(self.table.frame.columns)}",
                    file=self.file,
                    column=name,
                )

    @cached_property
    def json(self) -> Any:
        """As one JSON value; `InvalidTable` where it is none."""
        return parse_json(self.text, self.file)

    @cached_property
    def first_object(self) -> Mapping[str, Any]:
        """The first line as a JSON object, empty where it is none."""
        line = self.text.lstrip()[:_FIRST_LINE].partition("\n")[0] if self.is_text else ""
        if not line.startswith("{"):
            return {}
        try:
            value = parse_json(line, self.file)
        except InvalidTable:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def suffix(self) -> str:
        """Lower case, with its point."""
        return self.path.suffix.lower()

    @property
    def name(self) -> str:
        """The file's name without folders, fit for one line."""
        return one_line(self.path.name)

    @property
    def stem(self) -> str:
        """Name without suffix, fit for one line."""
        return one_line(self.path.stem)


def read_content(path: str | Path) -> Content:
    """The content of a regular file, or of standard input for `-`.

    Raises `InvalidTable` for a path that cannot be read, `Failure` where the machine fails.
    """
    file = one_line(path)
    if str(path) == STANDARD_INPUT:
        data, named = _bounded(sys.stdin.buffer, file), Path("stdin")
    else:
        data, named = _regular(Path(path), file), Path(path)
    if named.suffix.lower() in COMPRESSED_SUFFIXES:
        named = named.with_suffix("")
    source = Source(one_line(Path(path).name), str(path), hashlib.sha256(data).hexdigest())
    return Content(decompressed(data, file), file, named, source)


def _regular(path: Path, file: str) -> bytes:
    try:
        # A pipe without a writer would block already in open().
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise InvalidTable(
                    "is a pipe or a device, not a file: write what it gives to a file, or hand it to standard "
                    "input and give - as the path",
                    file=file,
                )
            return _bounded(opened, file)
    except FileNotFoundError:
        raise InvalidTable(
            "does not exist: give the path of a file, or the name of a data set", file=file
        ) from None
    except OSError as error:
        if not of_the_path(error):
            raise Failure(f"{file} cannot be read: {one_line(error.strerror)}") from None
        raise InvalidTable(f"cannot be read: {one_line(error.strerror)}", file=file) from None
    except InvalidTable:
        raise
    except ValueError:
        raise InvalidTable("cannot be read: its path has a null character", file=file) from None


def _bounded(opened: Any, file: str) -> bytes:
    data: bytes = opened.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InvalidTable(
            f"is larger than {LARGEST >> 30} GiB: keep the columns and rows that are needed", file=file
        )
    return data
