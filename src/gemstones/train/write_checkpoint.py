"""Writing a checkpoint: under another name, with the marker last, renamed when all of it is on the disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_saver import save as save_shards

from gemstones.errors import Failure
from gemstones.runs.checksum import with_checksum
from gemstones.runs.folders import CHECKPOINTS
from gemstones.runs.one_line import one_line
from gemstones.train.checkpoint import (
    COMPLETE,
    UNFINISHED,
    Complete,
    File,
    be_quiet,
    crc32_of,
    delete,
    name_of,
)
from gemstones.train.ranks import Ranks

_OF_THE_SYSTEM = re.compile(r"(?:^|: )([^:()]+) \(os error \d+\)")
"""How Rust's libraries tell of an error of the system."""

T = TypeVar("T")


def save(
    run_folder: Path,
    state: dict[str, Tensor],
    ranks: Ranks,
    *,
    run: str,
    step: int,
    skipped_batches: int,
) -> Complete:
    """Save the state after `step`, of which nothing may change meanwhile; every rank calls it.

    When it returns, the checkpoint is complete. Raises `Failure` on every rank where one cannot write (a full disk, a
    quota): nothing of it is left then.
    """
    final = run_folder / CHECKPOINTS / name_of(step)
    filling = final.parent / f"{UNFINISHED}saving-{final.name}"
    try:
        ranks.by_first(lambda: _written_or_failed(lambda: _make_anew(filling), final))
        files = _fill(filling, state, ranks, final)
        complete = Complete(run=run, step=step, skipped_batches=skipped_batches, files=files)
        ranks.by_first(lambda: _written_or_failed(lambda: _finish(filling, final, complete), final))
    except BaseException:
        if ranks.first:
            shutil.rmtree(filling, ignore_errors=True)
        raise
    return complete


def _make_anew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _fill(filling: Path, state: dict[str, Tensor], ranks: Ranks, final: Path) -> tuple[File, ...]:
    """Write every rank's shard; the files of all, by name."""

    def write() -> None:
        be_quiet()
        save_shards(
            state,
            storage_writer=HuggingFaceStorageWriter(str(filling), save_distributed=True),
            process_group=ranks.group,
            no_dist=ranks.mesh is None,
        )

    def put_on_disk() -> list[File] | Failure:
        try:
            mine = sorted(filling.iterdir())[ranks.rank :: ranks.count]
            return _written_or_failed(lambda: [_written(path) for path in mine], final)
        except Failure as error:
            return error

    _written_or_failed(write, final)  # the library tells all ranks of one that failed
    ranks.barrier()
    files: list[File] = []
    for share in ranks.gathered(put_on_disk()):
        if isinstance(share, Failure):
            raise share
        files += share
    return tuple(sorted(files, key=lambda file: file.name))


def _finish(filling: Path, final: Path, complete: Complete) -> None:
    """The marker, and the name."""
    with (filling / COMPLETE).open("wb") as marker:
        marker.write(with_checksum(msgspec.json.encode(complete)))
        marker.flush()
        os.fsync(marker.fileno())
    _sync(filling)
    if final.exists():
        delete(final)
    filling.rename(final)
    _sync(final.parent)


def _written_or_failed(write: Callable[[], T], final: Path) -> T:
    """What `write` returns; `Failure`, in a line, where the machine did not take it."""
    try:
        return write()
    except (OSError, CheckpointException) as error:
        why = _reason(error)
        if not why:
            raise
        raise Failure(f"{final} cannot be saved: {why}: make room, and the same command goes on") from None


def _reason(error: BaseException) -> str:
    """What the operating system said, in whatever it was wrapped; nothing if it is no such error."""
    seen: list[BaseException] = [error]
    for known in seen:
        if isinstance(known, OSError):
            return known.strerror or one_line(known)
        if isinstance(known, CheckpointException):
            seen += [wrapped[0] for wrapped in known.failures.values()]
        if found := _OF_THE_SYSTEM.search(str(known) if not isinstance(known, CheckpointException) else ""):
            return found[1]  # of a library in another language
        seen += [more for more in (known.__cause__, known.__context__) if more and more not in seen]
    return ""


def _written(path: Path) -> File:
    """The file, once it is on the disk."""
    _sync(path)
    return File(path.name, path.stat().st_size, crc32_of(path))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
