"""A folder of results, replaced as a whole: an old one, a new one, or one without the files that say it is whole.

Results are written to a hidden folder within it and moved to their places at the end. Before the first of them moves,
the files that a reader opens (`closing`, like report.html and study.json) are removed, and after the last one they
follow. So whoever finds them finds everything that they belong to, whenever the process was killed.

`MANIFEST` in the folder has the SHA-256 of every file that was written to it. What is not in it, or is no longer what
it says, is somebody else's: it is neither replaced nor removed, unless that is forced. What an earlier result left
over is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gemstones.errors import InvalidPath
from gemstones.files import Wrong, check_folder, make_folder, refuse_input, trouble, write_bytes

MANIFEST = ".gemstones.json"
UNFINISHED = ".unfinished"


class Manifest(msgspec.Struct, frozen=True):
    """What was written to a folder."""

    command: str
    files: dict[str, tuple[str, ...]]
    """SHA-256 by path from the folder; of two, where an old file may not have been replaced yet."""


@dataclass(frozen=True)
class OutputFolder:
    """A folder that a command writes its results to."""

    path: Path
    command: str
    """As errors call it: `gemstones study`."""
    closing: tuple[str, ...]
    """Files that say that the others are whole, in the order in which they come last."""
    patterns: tuple[str, ...]
    """What the command may write, as patterns of paths from the folder, `closing` among them."""
    inputs: tuple[Path, ...] = ()
    """What the command reads: never replaced."""
    force: bool = False
    """Replace files of somebody else's that are in the way."""

    def check(self) -> None:
        """Refuse, before the work, what cannot be made a folder, or has somebody else's file where one is to be."""
        check_folder(self.path)
        try:
            there = {
                path
                for pattern in self.patterns
                for path in self.path.glob(pattern)
                if path.is_file() or path.is_symlink()
            }
        except Wrong as error:
            raise trouble(error, f"output {self.path} cannot be read") from None
        self._refuse(sorted(there))

    @contextlib.contextmanager
    def replacing(self) -> Iterator[Path]:
        """A folder to fill, whose files take their places at the end of the block; an error leaves all as it was.

        Raises `InvalidPath` where another process is writing to the folder, or somebody else's file is in the way.
        """
        made = not self.path.exists()
        make_folder(self.path)
        try:
            with self._locked():
                unfinished = self.path / UNFINISHED
                try:
                    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
                    yield make_folder(unfinished)
                    self._move(unfinished)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
        finally:
            if made:
                with contextlib.suppress(OSError):
                    self.path.rmdir()  # nothing came of it

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidPath(
                    f"output {self.path} is being written by another process: wait for it, or name another folder"
                ) from None
            except OSError:  # a file system without locks
                pass
            yield
        finally:
            os.close(descriptor)

    def _move(self, unfinished: Path) -> None:
        try:
            self._move_all(unfinished)
        except OSError as error:
            raise trouble(error, f"{error.filename or self.path} cannot be written") from None

    def _move_all(self, unfinished: Path) -> None:
        new = {
            path.relative_to(unfinished).as_posix(): (_sha256(path),)
            for path in sorted(unfinished.rglob("*"))
            if path.is_file()
        }
        self._refuse([self.path / name for name in new])
        old = self._written()
        leftover = {name for name in old if name not in new and self._ours(self.path / name, old)}
        # From here on whatever is interrupted is known to be ours, old or new.
        self._write_manifest(
            unfinished, {name: (*old.get(name, ()), *new.get(name, ())) for name in {*old, *new}}
        )
        for name in (*self.closing, *sorted(leftover)):
            if name in old and self._ours(self.path / name, old):
                (self.path / name).unlink()
        for name in sorted(
            new, key=lambda name: (self.closing.index(name) + 1 if name in self.closing else 0, name)
        ):
            make_folder((self.path / name).parent)
            (unfinished / name).replace(self.path / name)
        for folder in {parent for name in leftover for parent in (self.path / name).parents}:
            if folder != self.path and self.path in folder.parents:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        self._write_manifest(unfinished, new)

    def _write_manifest(self, unfinished: Path, files: Mapping[str, tuple[str, ...]]) -> None:
        content = msgspec.json.encode(Manifest(self.command, dict(sorted(files.items()))))
        # There, so that nothing is left elsewhere by a process that is killed.
        write_bytes(unfinished / MANIFEST, msgspec.json.format(content, indent=1) + b"\n")
        (unfinished / MANIFEST).replace(self.path / MANIFEST)

    def _refuse(self, paths: Sequence[Path]) -> None:
        written = self._written()
        for path in paths:
            refuse_input(path, self.inputs)
            if path.is_dir():
                raise InvalidPath(f"output {path} is a folder, where a file is to be: name another folder")
            if not self.force and (path.exists() or path.is_symlink()) and not self._ours(path, written):
                raise InvalidPath(
                    f"output {path} is not what `{self.command}` wrote there: name another folder, or --force to "
                    "replace it"
                )

    def _written(self) -> dict[str, tuple[str, ...]]:
        try:
            return msgspec.json.decode((self.path / MANIFEST).read_bytes(), type=Manifest).files
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def _ours(self, path: Path, written: Mapping[str, tuple[str, ...]]) -> bool:
        known = written.get(path.relative_to(self.path).as_posix(), ())
        try:
            return bool(known) and path.is_file() and _sha256(path) in known
        except OSError:
            return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
