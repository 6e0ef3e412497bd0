"""Folders of runs that this program trained; and where in a folder the files of a kind are."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

from gemstones.runs.folders import RUN, SUITE
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.one_line import one_line
from gemstones.runs.parquet import fields_of

DEEPEST, MOST = 8, 100_000
"""Levels of folders, and entries in them, that are looked at: a home directory is no folder of runs."""


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; not where it cannot even be a path, which the reader of files tells."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, a null character
        return False


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Regular files in `folder` and below whose names match `pattern`, sorted, as far as is looked."""
    found, seen, base = [], 0, len(folder.parts)
    for parent, folders, names in os.walk(folder):
        seen += len(folders) + len(names)
        found += [Path(parent, name) for name in names if fnmatch(name, pattern)]
        folders.sort()
        if len(Path(parent).parts) - base >= DEEPEST:
            folders.clear()
        if seen > MOST:
            break
    return sorted(path for path in found if path.is_file())


def _open_ledgers(folder: Path) -> Opened:
    from gemstones.runs.collect import collect

    table = collect(folder).table
    return Opened(
        table.frame,
        LEDGERS.name,
        one_line(folder),
        dataset=table.dataset,
        sources=table.sources,
        fields=fields_of(table),
    )


def _has_ledgers(folder: Path) -> bool:
    try:
        return any((each / name).is_file() for each in (folder, *folder.iterdir()) for name in (SUITE, RUN))
    except OSError:
        return False


LEDGERS = Format(
    name="ledgers",
    files="a folder of runs that gemstones trained",
    command="gemstones data show out/suite",
    source="docs/ledger.md",
    detect=_has_ledgers,
    open=_open_ledgers,
)
"""Also what a folder is taken for that is of no other format: its error says what is missing."""
