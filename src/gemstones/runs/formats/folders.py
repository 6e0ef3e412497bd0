"""Folders of runs that this program trained; and where in a folder the files of a kind are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from gemstones.errors import GemstonesError, InvalidTable
from gemstones.files import trouble
from gemstones.runs.folders import RUN, SUITE
from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.one_line import one_line
from gemstones.runs.parquet import fields_of

DEEPEST, MOST, LOOKED_AT = 8, 1_000_000, 20_000
"""Levels of folders, entries in them, and entries that are looked at to tell what a folder is."""


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; not where it cannot even be a path, which the reader of files tells."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, a null character
        return False


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Regular files in `folder` and below whose names match `pattern`, sorted.

    Raises `InvalidTable` for more than a folder of runs can have.
    """
    found = list(_walked(folder, pattern, most=MOST))
    if None in found:
        raise InvalidTable(
            f"has more than {MOST:,} files and folders: give a folder nearer to the runs",
            file=one_line(folder),
        )
    return sorted(path for path in found if path is not None)


def has_file(folder: Path, pattern: str) -> bool:
    """Whether there is one, as far as a quick look tells."""
    return next(_walked(folder, pattern, most=LOOKED_AT), None) is not None


def _walked(folder: Path, pattern: str, most: int) -> Iterator[Path | None]:
    """Files that match, and `None` where more than `most` entries were met."""
    seen, base = 0, len(folder.parts)
    for parent, folders, names in os.walk(folder):
        seen += len(folders) + len(names)
        for name in names:
            if fnmatch(name, pattern) and Path(parent, name).is_file():
                yield Path(parent, name)
        folders.sort()
        if len(Path(parent).parts) - base >= DEEPEST:
            folders.clear()
        if seen > most:
            yield None
            return


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


def unknown_folder(folder: Path) -> GemstonesError:
    """The error for a folder of no known format, with what to give instead."""
    try:
        files = sorted(path.suffix for path in folder.iterdir() if path.is_file() and path.suffix)
    except OSError as error:
        return trouble(error, f"{one_line(folder)} cannot be read")
    usual = max(files, key=files.count) if files else ""
    remedy = f"give its files, like '{one_line(folder)}/*{one_line(usual)}'" if usual else "give a file"
    return InvalidTable(
        f"is a folder without {SUITE}, {RUN}, or runs' folders, event files of TensorBoard, or offline runs of W&B: "
        f"{remedy}",
        file=one_line(folder),
    )


LEDGERS = Format(
    name="ledgers",
    files="a folder of runs that gemstones trained",
    command="gemstones data show out/suite",
    source="ledger.md",
    detect=_has_ledgers,
    open=_open_ledgers,
)
