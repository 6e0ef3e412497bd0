"""A file as it is read: gzip, Zstandard, bzip2 and xz undone on the way, told by their first bytes and not by names.

Nothing is unpacked into memory as a whole. Text shrinks some 3 to 10 times, repetitive text more: what grows more than
a hundredfold, and is large, is a mistake or an attack, and is refused. A document by itself must fit into memory: one
that would take more than a sixteenth of it is refused too, before it is read to its end.

Sources: RFC 1952 (gzip), RFC 8878 (Zstandard).
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import resource
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gemstones.files import of_the_path
from gemstones.runs.formats.compression import GROWTH, GZIP, SMALL, ZSTANDARD, zstandard
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.errors import InvalidCorpus

SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz")
"""Of names of packed files."""
PIECE = 1 << 20
"""Bytes read at a time."""
HEAD = 1 << 16
"""Bytes by which a file is recognised."""
SHARE_OF_MEMORY = 16
"""Copies of a document that may be in memory while it is read, split and encoded."""
LEAST_LIMIT = 64 << 20


def document_limit() -> int:
    """Bytes that a document may have: a sixteenth of the memory that this process may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    limits += [limit for limit in soft if limit != resource.RLIM_INFINITY]
    with contextlib.suppress(OSError, ValueError):  # no such group, or no limit
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(LEAST_LIMIT, min(limits) // SHARE_OF_MEMORY)


class Unpacked:
    """Bytes of a file, unpacked; reads are bounded."""

    def __init__(self, file: IO[bytes], path: Path, most: int | None) -> None:
        self._file, self._path, self._most = file, path, most
        self._read = 0
        self.packed = most is not None
        self.limit = document_limit()

    def head(self) -> bytes:
        """The first bytes; what is read next begins with them again."""
        content = self._file.read(HEAD)
        self._file.seek(0)
        return content

    def whole(self) -> bytes:
        """Everything, as one document."""
        pieces, size = [], 0
        while piece := self._file.read(PIECE):
            pieces.append(piece)
            size += self._counted(len(piece))
            if size > self.limit:
                raise self._too_large()
        return b"".join(pieces)

    def lines(self) -> Iterator[bytes]:
        """Line by line, each with its end."""
        while line := self._file.readline(PIECE):
            self._counted(len(line))
            if len(line) == PIECE and not line.endswith(b"\n"):
                line += self._rest_of_line()
            yield line

    def _rest_of_line(self) -> bytes:
        pieces, size = [], PIECE
        while piece := self._file.readline(PIECE):
            pieces.append(piece)
            size += self._counted(len(piece))
            if size > self.limit:
                raise self._too_large()
            if piece.endswith(b"\n"):
                break
        return b"".join(pieces)

    def _counted(self, size: int) -> int:
        self._read += size
        if self._most is not None and self._read > self._most:
            raise InvalidCorpus(
                f"grows to more than {self._most >> 20} MiB when it is unpacked, from "
                f"{self._path.stat().st_size:,} bytes: unpack it first if that is meant, or leave it out",
                file=self._path,
            )
        return size

    def _too_large(self) -> InvalidCorpus:
        return InvalidCorpus(
            f"has a document of more than {self.limit >> 20} MiB, a sixteenth of the memory there is: divide it into "
            "several, as files or as lines of JSON",
            file=self._path,
        )


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """The file at `path`, open. Raises `InvalidCorpus` where it cannot be read, or not to its end."""
    kind = ""
    broken: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
    try:
        with path.open("rb") as raw:
            magic = raw.read(6)
            raw.seek(0)
            for start, name, opener in PACKED:
                if magic.startswith(start):
                    kind = name
                    if name == "Zstandard":
                        broken = (*broken, zstandard().ZstdError)
                    with opener(raw) as file:
                        most = max(SMALL, GROWTH * os.fstat(raw.fileno()).st_size)
                        yield Unpacked(file, path, most)
                    return
            yield Unpacked(raw, path, None)
    except broken as error:
        raise InvalidCorpus(
            f"is not a whole {kind} file: {one_line(error)}: copy it again", file=path
        ) from None
    except OSError as error:
        if kind == "bzip2" and error.errno is None:
            raise InvalidCorpus(
                f"is not a whole {kind} file: {one_line(error)}: copy it again", file=path
            ) from None
        if not of_the_path(error):
            raise
        raise InvalidCorpus(f"cannot be read: {error.strerror or one_line(error)}", file=path) from None


def _zstandard(raw: IO[bytes]) -> Any:
    zstd = zstandard()
    # Windows of up to 2 GiB, as `zstd --long=31` writes them.
    return io.BufferedReader(
        zstd.ZstdFile(raw, options={zstd.DecompressionParameter.window_log_max: 31}), PIECE
    )


PACKED: tuple[tuple[bytes, str, Callable[[IO[bytes]], Any]], ...] = (
    (GZIP, "gzip", gzip.open),
    (ZSTANDARD, "Zstandard", _zstandard),
    (b"BZh", "bzip2", bz2.open),
    (b"\xfd7zXZ\x00", "xz", lzma.open),
)
"""First bytes, name, and how it is opened."""
