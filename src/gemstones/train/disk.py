"""Room on the disk: what a suite will need of it, and what is there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gemstones.design.cost import RunCost, SuiteCost, bytes_at_once, run_cost
from gemstones.errors import Failure
from gemstones.runs.folders import CHECKPOINTS, ledger_of
from gemstones.train.suite_folder import RunTask
from gemstones.units import format_bytes

FULL_BYTES = 1 << 16
"""With less than this free, a line of a ledger or of a log may not find room."""


@dataclass(frozen=True)
class Room:
    """Of the disk that `folder` is on, or will be."""

    folder: Path
    bytes_needed: int
    """At once: checkpoints that are kept for good, those of runs under way, and ledgers; less what is there already."""
    bytes_free: int

    @property
    def problem(self) -> str:
        """What is wrong, or nothing."""
        if self.bytes_needed <= self.bytes_free:
            return ""
        return (
            f"checkpoints and ledgers will take {format_bytes(self.bytes_needed)} more in {self.folder}, where "
            f"{format_bytes(self.bytes_free)} are free"
        )


def room_for(folder: Path, cost: SuiteCost, slots: int = 1, bytes_there: int = 0) -> Room:
    """The room in `folder`, which may not be there yet, for runs of `cost`, `slots` of them at a time."""
    return Room(folder, max(0, bytes_at_once(cost.runs, slots) - bytes_there), free_bytes(folder))


def check_room(folder: Path, tasks: Sequence[RunTask], slots: int) -> None:
    """Raise `Failure` where the `tasks` that are left to do will not find room."""
    left: list[RunCost] = []
    there = 0
    for task in tasks:
        if ledger_of(task.folder).state not in {"finished", "diverged"}:
            left.append(run_cost(task.spec, 1.0))
            there += sum(
                file.stat().st_size for file in (task.folder / CHECKPOINTS).rglob("*") if file.is_file()
            )
    room = room_for(folder, SuiteCost(tuple(left), ()), slots, there)
    if room.problem:
        raise Failure(
            f"{room.problem}: make room, name another --output, or train a part of the runs with --only"
        )


def free_bytes(path: Path) -> int:
    """Bytes that may still be written at `path`, or where it will be."""
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def is_full(folder: Path) -> bool:
    """Whether next to nothing can be written in `folder`."""
    try:
        return free_bytes(folder) < FULL_BYTES
    except OSError:
        return False


def no_space(folder: Path) -> str:
    """What is said of a folder that is full."""
    return f"no space is left on the disk of {folder}: make room, and the same command goes on"
