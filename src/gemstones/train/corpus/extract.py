"""Files → text as it will be encoded: once, so that what is counted, split and encoded is one and the same.

A task is some consecutive files. It leaves `text-N.bin`, its documents' UTF-8 one after the other, and then,
as the record that the first is whole, `text-N.index`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import msgspec
from msgspec import Meta

from gemstones.errors import Failure
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.documents import BinaryFileError, Reading, documents_of
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.json_text import BadLines
from gemstones.train.corpus.sources import SourceFile, check_unchanged

TASK_BYTES = 4 << 20
TASK_FILES = 512


class SkippedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of which something was left out, and why."""

    path: str
    bytes: Annotated[int, Meta(ge=0)]
    """Of the file as it lies there; of some lines, their share of it."""
    why: str


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The documents of a task: hashes of 32 bytes each, and lengths in bytes; and what was skipped."""

    hashes: bytes
    lengths: list[int]
    binary: int
    empty: int
    bad_lines: int = 0
    skipped: list[SkippedFile] = []
    as_text: list[str] = []
    """Files of JSON that were taken for plain text."""


@dataclass(frozen=True)
class ExtractTask:
    """Read `files`, leave them as number `number` in `folder`."""

    folder: Path
    number: int
    files: tuple[SourceFile, ...]
    field: str
    bad_lines: BadLines = "refuse"

    @property
    def size(self) -> int:
        """How much there is to do, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def is_done(self) -> bool:
        """Whether its record is there."""
        return index_path(self.folder, self.number).exists()


def extract_tasks(
    folder: Path, files: Sequence[SourceFile], field: str, bad_lines: BadLines = "refuse"
) -> list[ExtractTask]:
    """All tasks, depending on the files only. A file is never divided: a larger one is a task of its own."""
    groups: list[list[SourceFile]] = []
    size = TASK_BYTES
    for file in files:
        if size >= TASK_BYTES or len(groups[-1]) >= TASK_FILES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    return [ExtractTask(folder, i, tuple(group), field, bad_lines) for i, group in enumerate(groups)]


def text_path(folder: Path, number: int) -> Path:
    """The documents of a task."""
    return folder / f"text-{number:06d}.bin"


def index_path(folder: Path, number: int) -> Path:
    """The record that they are whole."""
    return folder / f"text-{number:06d}.index"


def read_index(folder: Path, number: int) -> Index:
    """Of a task that is done."""
    return msgspec.msgpack.decode(index_path(folder, number).read_bytes(), type=Index)


def extract(task: ExtractTask) -> None:
    """Do one task. Raises `ChangedWhileRead` for a file that is no longer as it was when the build began."""
    hashes, lengths, binary, empty, bad_lines = bytearray(), [], 0, 0, 0
    skipped: list[SkippedFile] = []
    as_text: list[str] = []
    with whole_file(text_path(task.folder, task.number)) as output:
        for file in task.files:
            reading, name = Reading(task.field, task.bad_lines), one_line(file.path, 300)
            try:
                for text in documents_of(file.path, reading):
                    if not text.strip():
                        empty += 1
                        continue
                    content = text.encode("utf-8", "replace")
                    output.write(content)
                    hashes += hashlib.sha256(content).digest()
                    lengths.append(len(content))
            except BinaryFileError as error:
                binary += 1
                skipped.append(SkippedFile(name, file.size, str(error)))
            except InvalidCorpus:
                check_unchanged(file)  # a half of a line is what a file that grows ends with
                raise
            except MemoryError:
                raise Failure(
                    f"{file.path} does not fit into memory: call again with fewer --workers, or divide it"
                ) from None
            check_unchanged(file)
            if reading.skipped_lines:
                bad_lines += reading.skipped_lines
                size = file.size * reading.skipped_bytes // reading.read_bytes
                skipped.append(SkippedFile(name, size, f"{reading.skipped_lines:,} bad lines"))
            if reading.as_text:
                as_text.append(name)
    index = Index(bytes(hashes), lengths, binary, empty, bad_lines, skipped, as_text)
    write_whole(index_path(task.folder, task.number), msgspec.msgpack.encode(index))


def write_whole(path: Path, content: bytes) -> None:
    """`content` as `path`, whole or not at all."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears as `path` when it is whole, and not at all if anything goes wrong."""
    file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    try:
        with file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        Path(file.name).chmod(0o666 & ~umask)
        Path(file.name).replace(path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
