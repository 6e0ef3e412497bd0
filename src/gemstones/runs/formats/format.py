"""The value that describes a format: its name, who has such files, how it is told from others, how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from gemstones.runs.formats.opened import Opened

T = TypeVar("T")


@dataclass(frozen=True)
class Format(Generic[T]):
    """One format, in one module of this package: of files (`T` is `Content`) or of folders (`T` is `Path`)."""

    name: str
    """As `--format` takes it."""
    files: str
    """The answer to "which file do you have?"."""
    command: str
    """A command that reads it, for the documentation."""
    source: str
    """Public place where the shape of these files can be seen."""
    detect: Callable[[T], bool]
    """Whether it is of this format: by what it holds first, then by its name."""
    open: Callable[[T], Opened]
