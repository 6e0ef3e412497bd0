"""Whether shards hold what their manifest says, read once a machine: a copy that went wrong is not trained on.

What was read is remembered in the cache folder (`gemstones.runs.fetch.cache_folder`) by path, size and time of the last
change: the hash, and the largest token id. A shard that is as it was then is not read again. Processes that start
together wait for the one that reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from gemstones.errors import GemstonesError
from gemstones.files import of_the_path, write_bytes
from gemstones.runs.fetch import cache_folder
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.manifest import SPLITS, Manifest, Shard, SplitName
from gemstones.train.corpus.sources import READERS

REMEDY = "copy it again, or build the corpus again with --force"
SEEN, LOCK = "shards.json", "shards.lock"
"""In the cache folder."""
TOKENS_AT_ONCE = 1 << 22
SAID_BYTES = 1 << 30
"""Shards of so many bytes take seconds to read: it is said."""


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a shard held when it was read, and the file then."""

    size: int
    changed_ns: int
    sha256: str
    largest: int
    """Token id."""


def verify(
    folder: Path,
    manifest: Manifest,
    splits: Sequence[SplitName] = SPLITS,
    *,
    again: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> None:
    """Hold the shards of `splits` against the manifest: their hashes, and their token ids against the vocabulary.

    Shards that this machine has read before, and that have not changed since, are not read, but with `again`.
    `say` hears of a long wait. Raises `InvalidCorpus` for the first shard that is not as the manifest says.
    """
    shards = {folder / shard.file: shard for split in splits for shard in manifest.split(split).shards}
    with _to_itself():
        known = {} if again else _read_seen()
        found = {path: content for path in shards if (content := _unchanged(path, known)) is not None}
        missing = [path for path in shards if path not in found]
        size = sum(path.stat().st_size for path in missing if path.is_file())
        if size >= SAID_BYTES:
            say(f"checking {len(missing):,} shards of {folder} ({size / 1e9:.1f} GB), once on this machine")
        with ThreadPoolExecutor(READERS) as pool:
            read = pool.map(lambda path: _content(path, manifest), missing)
            found |= dict(zip(missing, read, strict=True))
        if missing:
            _write_seen(_read_seen() | {_name(path): content for path, content in found.items()})
    for path, shard in shards.items():
        check_content(path, shard, manifest, found[path])


def check_content(path: Path, shard: Shard, manifest: Manifest, content: Content) -> None:
    """Raise `InvalidCorpus` where `content` is not that of the manifest's `shard`."""
    if content.sha256 != shard.sha256:
        raise InvalidCorpus(
            f"has SHA-256 {content.sha256}, the manifest says {shard.sha256}: {REMEDY}", file=path
        )
    if content.largest >= manifest.vocabulary:
        raise InvalidCorpus(
            f"has the token id {content.largest}, and the vocabulary has {manifest.vocabulary} ids from 0: "
            "build the corpus again with --force",
            file=path,
        )


def _content(path: Path, manifest: Manifest) -> Content:
    """Read all of a shard."""
    sha256, largest = hashlib.sha256(), 0
    number_format = np.dtype(manifest.dtype).newbyteorder("<")
    try:
        before = path.stat()
        with path.open("rb") as file:
            while piece := file.read(TOKENS_AT_ONCE * number_format.itemsize):
                sha256.update(piece)
                whole = len(piece) // number_format.itemsize * number_format.itemsize
                largest = max(largest, int(np.frombuffer(piece[:whole], number_format).max(initial=0)))
    except OSError as error:
        if not of_the_path(error):
            raise
        raise InvalidCorpus(f"cannot be read: {error.strerror}: {REMEDY}", file=path) from None
    # As it was before it was read: what changes meanwhile is read again next time.
    return Content(before.st_size, before.st_mtime_ns, sha256.hexdigest(), largest)


def _unchanged(path: Path, known: dict[str, Content]) -> Content | None:
    content = known.get(_name(path))
    if content is None:
        return None
    try:
        now = path.stat()
    except OSError:
        return None
    return content if (now.st_size, now.st_mtime_ns) == (content.size, content.changed_ns) else None


def _name(path: Path) -> str:
    return os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")


def _read_seen() -> dict[str, Content]:
    try:
        return msgspec.json.decode((cache_folder() / SEEN).read_bytes(), type=dict[str, Content])
    except (OSError, ValueError):  # none yet, none that can be had, or that of another release
        return {}


def _write_seen(known: dict[str, Content]) -> None:
    """Remember `known`, but for files that are gone; where it cannot be written, shards are read every time."""
    kept = {name: content for name, content in known.items() if Path(name).exists()}
    with contextlib.suppress(GemstonesError, OSError):
        write_bytes(cache_folder() / SEEN, msgspec.json.encode(kept))


@contextmanager
def _to_itself() -> Iterator[None]:
    """Held by one process of the machine at a time, where the cache folder can be written."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        descriptor = os.open(cache_folder() / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
