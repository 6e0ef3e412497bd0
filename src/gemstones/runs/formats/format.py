"""The value that describes a format: its name, who has such files, how it is told from others, how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gemstones.runs.formats.content import Content

if TYPE_CHECKING:
    from gemstones.runs.formats.opened import Opened


@dataclass(frozen=True)
class Format:
    """One format of files, in one module of this package."""

    name: str
    """As `--format` takes it."""
    files: str
    """The answer to "which file do you have?"."""
    command: str
    """A command that reads it, for the documentation."""
    source: str
    """Public place where the shape of these files can be seen."""
    detect: Callable[[Content], bool]
    """Whether the content is of this format: by what it says, not by its suffix."""
    open: Callable[[Content], Opened]
