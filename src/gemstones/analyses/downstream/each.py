"""The laws of every task that a table has, and of their mean: what tasks of the same rows share is made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemstones.analyses.downstream.downstream import AUTO, Steps, law_of_task, shared_steps
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.rows import all_tasks, task_rows
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.laws.parallel import Workers
from gemstones.runs.table import RunTable


def each_task(
    table: RunTable,
    at: Sequence[Mapping[str, Any]],
    *,
    bootstrap: int,
    seed: int,
    level: float = DEFAULT_LEVEL,
    workers: Workers = None,
) -> tuple[tuple[Downstream, ...], tuple[str, ...]]:
    """Of every task by its column's name, their mean first, with predictions `at` points; and why others have none."""
    names = list(all_tasks(table))
    found: list[Downstream] = []
    notes: list[str] = []
    steps: Steps | None = None
    """Of the tasks that every row has."""
    how: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed, "level": level, "workers": workers}
    for name in (["mean"] if len(names) > 1 else []) + names:
        try:
            rows = task_rows(table, name, None, None)
            whole = rows.table.rows == table.rows
            if whole and steps is None:
                steps = shared_steps(rows, None, **how)
            shared = steps if whole else None
            found.append(law_of_task(rows, AUTO, at, law=None, force=False, steps=shared, **how))
        except (InvalidRequest, InvalidTable) as error:
            notes.append(f"no law of the task {name}: {error.said}")
    return tuple(found), tuple(notes)
