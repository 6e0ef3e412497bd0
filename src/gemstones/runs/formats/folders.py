"""Folders: TensorBoard's event files, W&B's offline runs, and this program's own ledgers."""

from __future__ import annotations

from pathlib import Path

from gemstones.runs.formats.format import Format
from gemstones.runs.formats.opened import Opened
from gemstones.runs.one_line import one_line
from gemstones.runs.parquet import fields_of


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; not where it cannot even be a path, which the reader of files tells."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, a null character
        return False


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


LEDGERS = Format(
    name="ledgers",
    files="a folder of runs that gemstones trained",
    command="gemstones data show out/suite",
    source="docs/ledger.md",
    detect=lambda folder: True,
    open=_open_ledgers,
)
