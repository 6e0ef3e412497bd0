"""A folder of results, replaced as a whole: an old one, a new one, or one without the files that say it is whole.

Results are written to a hidden folder within it and moved to their places at the end. Before the first of them moves,
the files that a reader opens (`closing`, like report.html and study.json) are removed, and after the last one they
follow. So whoever finds them finds everything that they belong to, whenever the process was killed.

What has no mark of ours (`gemstones.marks`) is somebody else's: it is neither replaced nor removed, unless that is
forced. What an earlier result left over is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gemstones.errors import InvalidPath
from gemstones.files import check_folder, make_folder, refuse_input, trouble, write_bytes
from gemstones.marks import is_marked, marked

UNFINISHED = ".unfinished"


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
            self._refuse(self._there())
        except OSError as error:
            raise trouble(error, f"output {self.path} cannot be read") from None

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
        new = {path.relative_to(unfinished).as_posix() for path in unfinished.rglob("*") if path.is_file()}
        for name in new:
            content = (unfinished / name).read_bytes()
            if (mark := marked(Path(name).suffix, content)) != content:
                write_bytes(unfinished / name, mark)
        self._refuse([self.path / name for name in sorted(new)])
        leftover = [path for path in self._there() if path.relative_to(self.path).as_posix() not in new]
        for path in (*(self.path / name for name in reversed(self.closing)), *leftover):
            if path.is_file() and _ours(path):
                path.unlink()
        for name in sorted(new - {*self.closing}) + [name for name in self.closing if name in new]:
            make_folder((self.path / name).parent)
            (unfinished / name).replace(self.path / name)
        for folder in {parent for path in leftover for parent in path.parents if self.path in parent.parents}:
            with contextlib.suppress(OSError):  # others' files may be in it
                folder.rmdir()

    def _there(self) -> list[Path]:
        """What is where results of the command may be."""
        return sorted({path for pattern in self.patterns for path in self.path.glob(pattern)})

    def _refuse(self, paths: Sequence[Path]) -> None:
        for path in paths:
            refuse_input(path, self.inputs)
            if path.is_dir():
                raise InvalidPath(f"output {path} is a folder, where a file is to be: name another folder")
            if not self.force and (path.exists() or path.is_symlink()) and not _ours(path):
                raise InvalidPath(
                    f"output {path} is not what `{self.command}` wrote there: name another folder, or --force to "
                    "replace it"
                )


def _ours(path: Path) -> bool:
    return path.is_file() and is_marked(path.suffix, path.read_bytes())
