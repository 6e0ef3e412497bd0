"""A table in a page: what people read, and behind it every column and digit for the download."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gemstones.figures.table import Table, title_of
from gemstones.numbers import interval_text, quantity_of, quantity_text
from gemstones.planning.shown import edges_text

MOST_ROWS = 50
"""Shown; the download has all."""
FLAGGED = "†"
"""Beside every estimate of a fit with a caution."""


NOTHING = ("", "–")
"""What a cell without a value reads; a column of nothing else is not said."""
WORDS = {
    "flops": "FLOPs",
    "device_hours": "device hours",
    "params": "parameters",
    "tokens_per_param": "tokens per parameter",
    "hull": "lower hull",
    "approach3": "Approach 3",
    "leave-one-run-out": "a run left out",
    "leave-one-width-out": "a width left out",
    "leave-one-size-out": "a size class left out",
}
"""What people read for a value of text."""


MANY_ROWS = 24
"""More than 34 rem, the height of the box, holds of the lowest rows."""


@dataclass(frozen=True, eq=False)
class TableBlock:
    """A table with its name: `name`.csv is the download."""

    name: str
    title: str
    table: Table
    own_units: dict[str, str] | None = None
    """Those of a study's tables unless given."""
    first: tuple[str, ...] = ()
    """Columns that people want first."""
    open: bool = False
    """Whether it is unfolded from the start."""

    @property
    def units(self) -> dict[str, str]:
        """Of its columns."""
        return self.table.units if self.own_units is None else self.own_units


@dataclass(frozen=True)
class Column:
    """The head of a column; `position` is that of its values in the download."""

    title: str
    unit: str
    numeric: bool
    position: int


@dataclass(frozen=True)
class Cell:
    """A value as people read it, its interval below it, and whether a caution applies to it."""

    text: str
    interval: str = ""
    flagged: bool = False


@dataclass(frozen=True)
class Shown:
    """A table as the template writes it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    more: int
    """Rows that only the download has."""
    count: int
    """Of all rows."""
    open: bool = False

    @property
    def many(self) -> bool:
        """Whether the rows certainly fill the box that they scroll in, whatever they hold."""
        return len(self.rows) >= MANY_ROWS


def shown(block: TableBlock) -> Shown:
    """`block` for people: hidden columns left out, `x_low` and `x_high` below x, few digits."""
    frame = block.table.frame
    every = frame.columns
    names = block.table.shown
    alike = _alike(block, names)
    names = [n for n in block.first if n in names] + [n for n in names if n not in block.first]
    names = [n for n in names if n not in alike]
    columns = tuple(
        Column(title_of(n), block.units.get(n, ""), frame[n].dtype.is_numeric(), every.index(n))
        for n in names
    )
    rows = tuple(tuple(_cell(n, row) for n in names) for row in frame.head(MOST_ROWS).iter_rows(named=True))
    notes = list(block.table.notes)
    if said := [f"{title} {text}" for title, text in alike.values() if text not in NOTHING]:
        notes.insert(0, f"in all rows: {', '.join(said)}")
    if any(cell.flagged for row in rows for cell in row):
        notes.insert(0, f"{FLAGGED} from a fit with a caution: see Fits")
    return Shown(
        block.name,
        block.title,
        columns,
        rows,
        tuple(notes),
        max(0, frame.height - MOST_ROWS),
        frame.height,
        block.open,
    )


def _alike(block: TableBlock, names: list[str]) -> dict[str, tuple[str, str]]:
    """Columns that say the same in every row, which is said once below: their titles and their text."""
    frame = block.table.frame
    if frame.height < 3:
        return {}
    same = [
        n
        for n in names
        if n not in block.first and f"{n}_low" not in frame.columns and frame[n].n_unique() == 1
    ]
    row = frame.row(0, named=True)
    found = {n: (title_of(n), _cell(n, row).text) for n in same}
    return found if len(found) < len(names) else {}


def download(block: TableBlock) -> dict[str, Any]:
    """Every column and row, for the download; what is no finite number is null."""
    frame = block.table.frame
    return {
        "columns": frame.columns,
        "rows": [[_plain(value) for value in row] for row in frame.iter_rows()],
    }


def folded(data: dict[str, Any]) -> dict[str, Any]:
    """A download with every text once: `texts` are those of a column by its position, and cells of it point to them."""
    texts: dict[int, list[str]] = {}
    rows = [list(row) for row in data["rows"]]
    for at in range(len(data["columns"])):
        if any(isinstance(row[at], str) for row in rows):
            known = {
                text: i for i, text in enumerate(dict.fromkeys(r[at] for r in rows if r[at] is not None))
            }
            texts[at] = [*known]
            for row in rows:
                row[at] = None if row[at] is None else known[row[at]]
    return {"columns": data["columns"], "rows": rows, "texts": texts}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(name: str, row: dict[str, Any]) -> Cell:
    value = row[name]
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Cell("–")
    if name == "cut_by_search_at" and value:
        return Cell(edges_text(value.split(", ")))
    if not isinstance(value, float):
        return Cell(f"{value:,}" if isinstance(value, int) else WORDS.get(value, str(value)))
    if f"{name}_low" not in row:
        return Cell(quantity_text(quantity_of(name, row), value))
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    known = low is not None and high is not None
    interval = interval_text((low, high), name) if known else ""
    return Cell(quantity_text(name, value), interval, bool(row.get("flags")))
