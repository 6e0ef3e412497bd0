"""The folder of a corpus while it is made: what was asked for, what is done of it, and who is at it.

`.work/request.json` says what the finished parts beside it belong to. It is written before any of them and
removed before any of them, so parts of one request are never taken for those of another.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gemstones.errors import InvalidRequest
from gemstones.files import trouble
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.extract import write_whole
from gemstones.train.corpus.manifest import MANIFEST, SPLITS, Manifest, read_manifest
from gemstones.train.corpus.options import Options
from gemstones.train.corpus.tokenizer import TOKENIZER

WORK = ".work"
_REQUEST = "request.json"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides a corpus: the text, the given tokenizer (None: train one), the options."""

    sources_key: str
    tokenizer_sha256: str | None
    options: Options
    format: int = 1

    def differences(self, other: Request) -> str:
        """In words, what is not the same."""
        parts = []
        if self.sources_key != other.sources_key:
            parts.append("text")
        if self.tokenizer_sha256 != other.tokenizer_sha256:
            parts.append("tokenizer")
        for name in Options.__struct_fields__:
            mine, theirs = getattr(self.options, name), getattr(other.options, name)
            if mine != theirs:
                parts.append(f"{name} {theirs} (now {mine})")
        return ", ".join(parts) or "format"


def request_of(manifest: Manifest) -> Request:
    """What a finished corpus was made from."""
    sha256 = None if manifest.tokenizer.trained else manifest.tokenizer.sha256
    return Request(manifest.sources_key, sha256, manifest.options, manifest.format)


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """`output` to ourselves, made if need be; an empty folder that we made is removed when nothing came of it.

    The lock is on the folder itself and ends with the process that holds it: no file is left behind.
    Raises `InvalidRequest` where another process has it, or where it cannot be a folder of ours.
    """
    if output.exists() and not output.is_dir():
        raise InvalidRequest(f"output {output} is a file: name a folder")
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY)
    except OSError as error:
        raise trouble(error, f"output {output} cannot be made") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidRequest(f"{output} is being built by another process: wait for it") from None
        _refuse_foreign(output)
        yield
    finally:
        if not any(output.iterdir()):
            output.rmdir()
        os.close(descriptor)


def is_finished(output: Path, request: Request, *, force: bool) -> bool:
    """Whether `output` is the corpus of `request`.

    Raises `InvalidRequest` where it is another one and `force` is not given, `InvalidCorpus` where its
    manifest cannot be read.
    """
    if not (output / MANIFEST).exists() or force:
        return False
    try:
        existing = request_of(read_manifest(output))
    except InvalidCorpus as error:
        raise InvalidCorpus(f"{error}; --force replaces it") from None
    if existing == request or _unfinished(output) == request:
        return existing == request
    raise InvalidRequest(
        f"{output} holds a corpus of other {request.differences(existing)}: name another folder, or --force "
        "to replace it"
    )


def take_up(output: Path, request: Request, *, force: bool) -> Path:
    """The work folder for `request`, with what an interrupted build of it has finished; nothing else is left.

    Raises `InvalidRequest` where it has parts of another request and `force` is not given.
    """
    work, unfinished = output / WORK, _unfinished(output)
    if unfinished != request:
        if unfinished is not None and not force:
            raise InvalidRequest(
                f"{output} holds an unfinished build of other {request.differences(unfinished)}: finish that, "
                "or --force to discard it"
            )
        discard(output)
        work.mkdir()
        write_whole(work / _REQUEST, msgspec.json.encode(request))
    # Only now, so that the folder is never without a sign of being ours. The manifest goes first: a folder
    # with one is whole.
    (output / MANIFEST).unlink(missing_ok=True)
    for name in SPLITS:
        for shard in output.glob(f"{name}-*.bin"):
            shard.unlink()
    (output / TOKENIZER).unlink(missing_ok=True)
    return work


def discard(output: Path) -> None:
    """Remove what is unfinished."""
    work = output / WORK
    if work.exists():
        (work / _REQUEST).unlink(missing_ok=True)
        shutil.rmtree(work)


def _unfinished(output: Path) -> Request | None:
    try:
        return msgspec.json.decode((output / WORK / _REQUEST).read_bytes(), type=Request)
    except (FileNotFoundError, msgspec.DecodeError):  # none, or of another release
        return None


def _refuse_foreign(output: Path) -> None:
    if (output / MANIFEST).exists() or (output / WORK).exists():
        return
    if any(output.iterdir()):
        raise InvalidRequest(f"output {output} has files and is not a corpus: name a new or an empty folder")
