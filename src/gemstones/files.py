"""Writing files whole or not at all: under a temporary name in the same folder, then renamed.

What goes wrong with a file is either the user's mistake, a path that is not what it was taken for (`InvalidPath`, exit
status 2), or the machine's: a full disk, a quota, a broken device, too many open files (`Failure`, exit status 1).
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from gemstones.errors import Failure, GemstonesError, InvalidPath

OF_THE_PATH = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EACCES,
        errno.EPERM,
        errno.EEXIST,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EINVAL,
    }
)
"""Error numbers that say something of the path that was given; all others are the machine's."""


Wrong = (OSError, ValueError, RuntimeError)
"""What the file system raises; `ValueError` for a null character in a path, `RuntimeError` for a link to itself."""


def trouble(error: Exception, what: str) -> GemstonesError:
    """The error to raise for one of `Wrong`, met when something was done to a path: `what` failed, and why.

    >>> trouble(OSError(errno.ENOSPC, "No space left on device"), "fit.json cannot be written")
    Failure('fit.json cannot be written: No space left on device')
    """
    if not isinstance(error, OSError):
        return InvalidPath(f"{what}: {error}")
    kind = InvalidPath if of_the_path(error) else Failure
    return kind(f"{what}: {error.strerror or error}")


def of_the_path(error: OSError) -> bool:
    """Whether `error` says something of the path that was given, or of what it holds, and nothing of the machine."""
    return error.errno is None or error.errno in OF_THE_PATH


def unreadable(error: OSError, refusal: Callable[..., GemstonesError], file: Path | str) -> Exception:
    """The refusal of a file that cannot be read; `error` itself where it says nothing of the path."""
    return refusal(f"cannot be read: {error.strerror}", file=file) if of_the_path(error) else error


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file, as `Path.read_bytes`; `OSError` also for what may never end.

    A pipe without a writer is not waited for, and a device is not read: /dev/zero would fill the memory.
    """
    # Opening a pipe would already wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            rule = "it is a pipe or a device: write what it gives to a file, and name that"
            raise OSError(errno.EINVAL, rule, str(path))
        return file.read()


def check_writable(path: Path) -> None:
    """Refuse a path that cannot be written, before the work whose result it is to hold."""
    try:
        target = path.resolve()
        if target.is_dir():
            raise InvalidPath(f"output {path} is a folder: name a file in it")
        if not target.parent.is_dir():
            raise InvalidPath(f"output {path}: the folder {target.parent} does not exist")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InvalidPath(f"output {path}: no permission to write there")
        if not target.exists():
            _probe(target.parent)
    except Wrong as error:
        if isinstance(error, InvalidPath):
            raise
        raise trouble(error, f"output {path} cannot be written") from None


def _probe(folder: Path) -> None:
    """Raise what a file in `folder` will: nobody may write in /proc, and root is told so by trying alone."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def check_output(
    path: Path,
    *,
    inputs: Iterable[Path] = (),
    ours: Callable[[bytes], bool] = lambda content: False,
    what: str = "such a file",
    force: bool = False,
) -> None:
    """Refuse, before the work, a file that cannot be written, that is read, or that holds something else.

    A file that is there is replaced if it is empty, if its content is `ours` (`what` an error calls that), or with
    `force`; what is read, `inputs`, never.
    """
    check_writable(path)
    refuse_input(path, inputs)
    try:
        if force or not path.is_file() or path.stat().st_size == 0 or ours(path.read_bytes()):
            return
    except OSError as error:
        raise trouble(error, f"output {path} cannot be read") from None
    raise InvalidPath(
        f"output {path} is there and is not {what}: name another file, or --force to replace it"
    )


def refuse_input(output: Path, inputs: Iterable[Path]) -> None:
    """Raise `InvalidPath` where `output` is one of the files that are read, by whatever name."""
    for read in inputs:
        try:
            same = output.exists() and output.samefile(read)
        except Wrong:
            same = False
        if same:
            raise InvalidPath(f"output {output} is what is read, {read}: name another file")


def check_folder(output: Path) -> None:
    """Refuse what is no folder and cannot become one; nothing is made before there is a result."""
    try:
        existing = next(p for p in (output, *output.absolute().parents) if p.exists())
        reason = "" if existing.is_dir() else f"{existing} is a file: name a folder"
        if not reason and not os.access(existing, os.W_OK):
            reason = f"no permission to write in {existing}"
        if not reason:
            _probe(existing)
    except Wrong as error:
        raise trouble(error, f"output {output} cannot be made a folder") from None
    if reason:
        raise InvalidPath(f"output {output} cannot be made a folder: {reason}")


def make_folder(folder: Path) -> Path:
    """`folder`, made with its parents if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except Wrong as error:
        raise trouble(error, f"output {folder} cannot be made a folder") from None
    return folder


def write_bytes(path: Path, content: bytes) -> None:
    """`content` as `path`; an interruption leaves what was there before.

    A link is followed, and what is no regular file (a device, a pipe) is written to, not replaced. Raises
    `InvalidPath` where the path is wrong, and `Failure` where the machine fails.
    """
    temporary = None
    try:
        target = path.resolve()
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(content)
            return
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a full disk or a quota may be noticed no earlier
        # Temporary files are private to their owner; a result is as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except Wrong as error:
        raise trouble(error, f"{path} cannot be written") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, for UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """As `write_bytes`, for plain values as JSON."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")
