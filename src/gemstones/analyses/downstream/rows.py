"""What a task's law is fitted to: accuracies, the loss beside them, chance, and how much of their spread is noise.

Noise is how far checkpoints of one run lie from the line between their neighbours (second differences), which a trend
does not enter; runs without three checkpoints have only the stated standard errors of the questions. Signal is the
spread that is left of all rows without noise. Questions are the same for every checkpoint, so a standard error over
questions is mostly common to them all, and is no measure of how well checkpoints are told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gemstones.analyses.downstream.forms import TERMS, Name, by_loss
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.columns import column_name
from gemstones.runs.dropped import Dropped
from gemstones.runs.losses import loss_named, with_loss
from gemstones.runs.one_line import listed
from gemstones.runs.schema import COLUMNS
from gemstones.runs.table import RunTable
from gemstones.runs.tasks import CHANCE, STANDARD_ERROR, chance_of, task_columns, task_name
from gemstones.shape import FloatArray

MEAN = ("mean", "average", "avg")
"""What the mean of every task of a table is called."""
LEAST_SECOND = 5
"""Second differences that noise is measured from, at least."""


@dataclass(frozen=True, eq=False)
class TaskRows:
    """Rows of a table that have the task's accuracy, and what is known of it."""

    table: RunTable
    """Its loss is the one that was asked for."""
    task: str
    tasks: tuple[str, ...]
    """Of which the accuracy is the mean."""
    loss: str
    """The column that the loss is."""
    accuracy: FloatArray
    chance: float | None
    """None where it is not known: then nothing bounds the law."""
    stated_error: float | None
    """Root mean square of the standard errors that the table states."""
    noise: float | None
    noise_is: str
    signal: float | None

    @property
    def floor(self) -> float:
        """Chance, 0 where it is not known."""
        return self.chance or 0.0

    @property
    def losses(self) -> FloatArray:
        """(rows,)"""
        return self.table.numbers("loss")

    def x(self, name: Name) -> FloatArray:
        """What a form is fitted on: (rows, 1) losses, or (rows, k) logs; `InvalidTable` where a column is not known."""
        if by_loss(name):
            return self.losses[:, None]
        return np.log(np.column_stack([self.table.numbers(column_name(s, "total")) for s in TERMS[name]]))

    @property
    def flops(self) -> tuple[FloatArray, str]:
        """What rows are ordered by, (rows,), and what that is."""
        if not self.table.frame["flops"].null_count():
            return self.table.numbers("flops"), "FLOPs"
        return self.table.numbers("tokens"), "tokens"

    @property
    def drowned(self) -> str | None:
        """Why the spread of the accuracies is no signal; None where it is one."""
        if self.noise is None or self.signal is None or self.signal > self.noise:
            return None
        return (
            f"task {self.task} shows no signal in {self.table.origin}: its accuracies spread by {self.signal:.4f} "
            f"beyond noise, and their noise is {self.noise:.4f} ({self.noise_is})"
        )


def task_rows(table: RunTable, task: str, loss: str | None, chance: float | None) -> TaskRows:
    """The rows for a task, by its name, that of a column, several with commas between, or `mean` for every task."""
    tasks = named_tasks(table, task)
    columns = [column for _, column in tasks]
    table = with_loss(table, loss)
    values = [_numbers(table, column) for column in columns]
    known = np.isfinite(np.column_stack(values)).all(1) & np.isfinite(table.numbers("loss"))
    if not known.all():
        lost = Dropped(f"without {' or '.join(columns)}", int((~known).sum()))
        if not known.any():
            raise InvalidTable("has no number in any row", file=table.origin, column=columns[0])
        table = replace(
            table, frame=table.frame.filter(known), dropped=(*table.dropped, lost),
            assumptions=(*table.assumptions, str(lost)),
        )  # fmt: skip
        values = [one[known] for one in values]
    for column, one in zip(columns, values, strict=True):
        _check_shares(table, column, one)
    accuracy = np.mean(values, 0)
    if chance is None:
        chance = chance_of([name for name, _ in tasks])
    elif not 0 <= chance < 1:
        raise InvalidRequest(
            f"chance {chance:g} must be the accuracy of guessing, from 0 to below 1, like 0.25"
        )
    stated = _stated(table, columns)
    noise, noise_is = _noise(table, accuracy, stated)
    signal = None if noise is None else float(np.sqrt(max(float(accuracy.var()) - noise**2, 0.0)))
    name = tasks[0][0] if len(tasks) == 1 else ("mean" if task.strip().lower() in MEAN else task)
    used = "loss" if loss is None else loss_named(table, loss)
    return TaskRows(
        table, name, tuple(n for n, _ in tasks), used, accuracy, chance, stated, noise, noise_is, signal
    )


def all_tasks(table: RunTable) -> dict[str, str]:
    """Task → column, of every task that a table has by its columns' names."""
    own = [c for c in table.frame.columns if c not in COLUMNS and not c.startswith("loss")]
    return {
        task: column for task, column in task_columns(own).items() if table.frame[column].dtype.is_numeric()
    }


def named_tasks(table: RunTable, task: str) -> list[tuple[str, str]]:
    """Name and column of each task that is meant; `InvalidRequest` for one that the table has not."""
    every = all_tasks(table)
    if task.strip().lower() in MEAN and task not in table.frame.columns:
        if not every:
            raise InvalidRequest(_no_tasks(table))
        return list(every.items())
    found = []
    for written in (part.strip() for part in task.split(",")):
        name = task_name(written)
        numeric = written in table.frame.columns and table.frame[written].dtype.is_numeric()
        column = written if numeric and written not in COLUMNS else every.get(name)
        if column is None:
            has = f"it has {listed(every, 20)}" if every else _no_tasks(table)
            raise InvalidRequest(
                f"task {written!r} is no column of {table.origin}: {has}; --task takes one of these, the name of a "
                "column, several with commas between, or mean"
            )
        found.append((name if name in CHANCE else written, column))
    if len({column for _, column in found}) < len(found):
        raise InvalidRequest(f"task {task!r} names one column twice: leave one out")
    return found


def _no_tasks(table: RunTable) -> str:
    return (
        f"no column of {table.origin} is known as a task: name its column, like --task my_exam, or call it by a known "
        "name, like --columns hellaswag=eval_hs/100"
    )


def _numbers(table: RunTable, column: str) -> FloatArray:
    """A column as floats, NaN where it is missing."""
    import polars as pl

    values: FloatArray = table.frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values


def _check_shares(table: RunTable, column: str, values: FloatArray) -> None:
    bad = np.flatnonzero((values < 0) | (values > 1))
    if not bad.size:
        return
    percent = values.min() >= 0 and 1 < values.max() <= 100
    remedy = (
        f"in percent it is --columns {task_name(column)}={column}/100"
        if percent
        else "it must be a share of 1"
    )
    raise InvalidTable(
        f"{values[bad[0]]:g} is no accuracy between 0 and 1: {remedy}",
        file=table.origin,
        row=int(bad[0]) + 1,
        column=column,
    )


def _stated(table: RunTable, columns: Sequence[str]) -> float | None:
    """Of the mean over tasks, whose questions are others'."""
    names = [f"{column}{STANDARD_ERROR}" for column in columns]
    if any(name not in table.frame.columns or not table.frame[name].dtype.is_numeric() for name in names):
        return None
    squares = [_numbers(table, name) ** 2 for name in names]
    total = np.nanmean(np.sum(squares, 0)) if np.isfinite(squares).any() else np.nan
    return float(np.sqrt(total) / len(columns)) if np.isfinite(total) else None


def _noise(table: RunTable, accuracy: FloatArray, stated: float | None) -> tuple[float | None, str]:
    codes = table.run_codes
    order = np.lexsort((table.numbers("tokens"), codes))
    run, y = codes[order], accuracy[order]
    inside = (run[2:] == run[1:-1]) & (run[1:-1] == run[:-2])
    bends = (y[2:] - 2 * y[1:-1] + y[:-2])[inside]
    if len(bends) >= LEAST_SECOND:
        return float(np.sqrt(np.mean(bends**2) / 6)), "from checkpoint to checkpoint"
    if stated is not None:
        return stated, "the stated standard error: runs have fewer than three checkpoints"
    return None, "not known: runs have fewer than three checkpoints and no standard errors are stated"
