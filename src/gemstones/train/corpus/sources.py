"""Paths → the files below them, each once, in an order that depends on their names only.

The key of a list of files is their content in that order: a corpus built from the same key is the same,
wherever the files are and whatever their times.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gemstones.files import unreadable
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.documents import kind_of
from gemstones.train.corpus.errors import ChangedWhileReadError, InvalidCorpus

MOST_NAMED = 100
"""Files of which something was skipped, in a manifest: the largest."""
READERS = 4
"""Threads that hash: enough to hide the latency of small files."""


@dataclass(frozen=True)
class SourceFile:
    """One file to read documents from."""

    path: Path
    size: int
    sha256: str

    @property
    def key(self) -> str:
        """What its documents depend on beside the options."""
        return f"{kind_of(self.path.name)} {self.size} {self.sha256}"


@dataclass(frozen=True)
class Sources:
    """All files, by the path that was given; `irregular` counts what is neither file nor folder."""

    given: tuple[tuple[str, tuple[SourceFile, ...]], ...]
    irregular: int
    irregular_paths: tuple[str, ...] = ()
    """Of the first of these."""

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """In the order of the corpus."""
        return tuple(file for _, files in self.given for file in files)

    @property
    def key(self) -> str:
        """SHA-256 of the content in order."""
        return hash_lines(file.key for file in self.files)


def find_sources(
    paths: Sequence[Path], *, exclude: Path, progress: Callable[[float], None] | None = None
) -> Sources:
    """Files at or below `paths`, but for those below `exclude`, with their hashes.

    Folders are walked in the order of the names. Symbolic links are followed; whatever was reached before,
    by any way, is left out, so there are no loops and no file comes twice.
    Raises `InvalidCorpus` for a path that does not exist or cannot be read, and where there is no file,
    `ChangedWhileReadError` for a file that grows.
    """
    if not paths:
        raise InvalidCorpus("no text was given: name files or folders")
    walk = _Walk({os.path.realpath(exclude)})
    found = [(os.fsencode(path).decode("utf-8", "replace"), list(walk.files(path))) for path in paths]
    everything = [entry for _, entries in found for entry in entries]
    if not everything:
        raise InvalidCorpus("holds no file", file=", ".join(str(path) for path in paths))
    done, total = 0, sum(size for _, size in everything) or 1
    hashed = []
    with ThreadPoolExecutor(READERS) as pool:
        for (path, size), sha256 in zip(
            everything, pool.map(sha256_of, (p for p, _ in everything)), strict=True
        ):
            if path.stat().st_size != size:
                raise ChangedWhileReadError(path)
            hashed.append(SourceFile(path, size, sha256))
            done += size
            if progress is not None:
                progress(min(1.0, done / total))
    files = iter(hashed)
    return Sources(
        tuple((path, tuple(next(files) for _ in entries)) for path, entries in found),
        walk.irregular,
        tuple(walk.named),
    )


class _Walk:
    """A walk that remembers where it has been."""

    def __init__(self, seen: set[str]) -> None:
        self.seen, self.irregular = seen, 0
        self.named: list[str] = []

    def files(self, path: Path) -> Iterator[tuple[Path, int]]:
        try:
            mode = path.stat()
        except FileNotFoundError:
            raise InvalidCorpus("does not exist: name files or folders of text", file=path) from None
        except OSError as error:
            raise unreadable(error, InvalidCorpus, file=path) from None
        if not (stat.S_ISREG(mode.st_mode) or stat.S_ISDIR(mode.st_mode)):
            raise InvalidCorpus("is neither a file nor a folder", file=path)
        # A stack, not recursion: folders may be nested deeper than Python's frames.
        todo = [path]
        while todo:
            yield from self._visit(todo.pop(), todo)

    def _visit(self, path: Path, todo: list[Path]) -> Iterator[tuple[Path, int]]:
        real = os.path.realpath(path)
        if real in self.seen:
            return
        self.seen.add(real)
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                # Sorted by bytes: the same order on every machine and in every locale.
                todo += sorted(path.iterdir(), key=os.fsencode, reverse=True)
            elif stat.S_ISREG(status.st_mode):
                yield path, status.st_size
            else:
                self._pass_over(path)
        except (FileNotFoundError, NotADirectoryError):
            self._pass_over(path)  # a link to nowhere
        except OSError as error:
            if path.is_symlink():  # a link to itself
                self._pass_over(path)
                return
            raise InvalidCorpus(f"cannot be read: {error.strerror}", file=path) from None

    def _pass_over(self, path: Path) -> None:
        self.irregular += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(one_line(path, 300))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; raises `InvalidCorpus` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(error, InvalidCorpus, file=path) from None


def check_unchanged(file: SourceFile) -> None:
    """Raise `ChangedWhileReadError` where `file` is not what it was when it was hashed."""
    try:
        same = file.path.stat().st_size == file.size and sha256_of(file.path) == file.sha256
    except (OSError, InvalidCorpus):
        same = False
    if not same:
        raise ChangedWhileReadError(file.path)


def hash_lines(lines: Iterator[str]) -> str:
    """SHA-256 of text, line by line."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
