"""`Dropped`: rows of a file that are not in its table, counted by reason. Nothing vanishes silently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Dropped:
    """So many rows were left out, for this reason."""

    reason: str
    """A short phrase: `no loss`, `--where tokens > 200B`, `logged again later`."""
    rows: int

    def __str__(self) -> str:
        return f"{self.rows:,} {'row' if self.rows == 1 else 'rows'} left out: {self.reason}"


def merged(dropped: Iterable[Dropped]) -> tuple[Dropped, ...]:
    """Counts of one reason added up, reasons in order of first appearance, without empty ones."""
    counts: dict[str, int] = {}
    for one in dropped:
        counts[one.reason] = counts.get(one.reason, 0) + one.rows
    return tuple(Dropped(reason, rows) for reason, rows in counts.items() if rows)
