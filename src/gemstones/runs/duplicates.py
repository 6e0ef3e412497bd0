"""Two losses of one run at the same tokens: logged twice after a resume, evaluated twice, or two runs of one name.

equal rows                      are one row, said
runs whose names are invented   each row is a run, said
the trace of a resume           the later row, said
anything else                   refused, unless `--duplicates last` or `first`
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.runs.cells import RowNumbers
from gemstones.runs.dropped import Dropped
from gemstones.runs.identity import Named, row_runs
from gemstones.runs.one_line import one_line
from gemstones.runs.schema import SCHEMA
from gemstones.shape import BoolArray, IntArray

Duplicates = Literal["last", "first", "refuse"]

RESUMED = 0.1
"""Losses of a resumed run differ by less from those of its first way (of the log)."""


def duplicates_rule(text: str | None) -> Duplicates | None:
    """`text` as a rule, or `InvalidRequest`."""
    if text is not None and text not in get_args(Duplicates):
        raise InvalidRequest(
            f"duplicates {one_line(text)!r} is unknown: choose from {', '.join(get_args(Duplicates))}"
        )
    return cast("Duplicates | None", text)


@dataclass(frozen=True, eq=False)
class Resolved:
    """A frame in which every run has one row at one number of tokens."""

    named: Named
    rows: RowNumbers
    dropped: tuple[Dropped, ...] = ()
    said: tuple[str, ...] = ()


def resolve(named: Named, rows: RowNumbers, rule: Duplicates | None, file: str) -> Resolved:
    """The rows that are left of `named`; `InvalidTable` where which ones should be is for the caller to say."""
    frame = named.frame
    key = _codes(frame, ["run", "tokens"])
    if len(np.unique(key)) == len(key):
        return Resolved(named, rows)
    dropped, said = [], []
    again = _not_first(_codes(frame, [column.name for column in SCHEMA]))
    if again.any():
        first = int(np.flatnonzero(again)[0])
        dropped.append(Dropped("the same as an earlier row", int(again.sum())))
        said.append(
            f"{_rows(int(again.sum()))} equal to earlier ones merged with them, row {rows[first]} first"
        )
        frame, rows, key = frame.filter(~again), rows[~again], key[~again]
        named = replace(named, frame=frame)
    doubled = _not_first(key)
    if not doubled.any():
        return Resolved(named, rows, tuple(dropped), tuple(said))
    second = int(np.flatnonzero(doubled)[0])
    first = int(np.flatnonzero(key == key[second])[0])
    run, tokens = one_line(frame["run"][second], 60), frame["tokens"][second]
    if named.invented:
        why = f"for {run} has two losses at {tokens:,.17g} tokens (rows {rows[first]} and {rows[second]})"
        return Resolved(row_runs(frame, why), rows, tuple(dropped), tuple(said))
    where = f"run {run!r} has {tokens:.17g} tokens in row {rows[first]} already"
    others = len(np.unique(key[doubled])) - 1
    also = f", and so {others} more times" if others else ""
    if rule == "refuse" or (rule is None and not _resumed(frame, key)):
        raise InvalidTable(
            f"{where}{also}: keep the later rows with --duplicates last, the earlier with --duplicates first, or "
            "give every run a name of its own",
            file=file,
            row=int(rows[second]),
            column="tokens",
        )
    keeps_first = rule == "first"
    lost = doubled if keeps_first else _not_first(key[::-1])[::-1]
    kept, other = ("earlier", "later") if keeps_first else ("later", "earlier")
    why = "as after a resume" if rule is None else f"--duplicates {rule}"
    choice = "--duplicates first or refuse changes that" if rule is None else why
    dropped.append(Dropped(f"{other} of two rows of a run at the same tokens", int(lost.sum())))
    said.append(
        f"row {rows[second]}, {where}{also}{', ' + why if rule is None else ''}: the {kept} rows are kept "
        + (f"(--duplicates last; {choice})" if rule is None else f"({choice})")
    )
    return Resolved(replace(named, frame=frame.filter(~lost)), rows[~lost], tuple(dropped), tuple(said))


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _codes(frame: pl.DataFrame, columns: list[str]) -> IntArray:
    """A number for every row, the same where all of `columns` are."""
    numbers: IntArray = frame.select(pl.struct(columns).rank("dense")).to_series().cast(pl.Int64).to_numpy()
    return numbers


def _not_first(codes: IntArray) -> BoolArray:
    """Rows whose number an earlier one has."""
    again = np.ones(len(codes), np.bool_)
    again[np.unique(codes, return_index=True)[1]] = False
    return again


def _resumed(frame: pl.DataFrame, key: IntArray) -> bool:
    """Whether every run with two rows at the same tokens goes back on its way once or more, and then past it.

    A run that begins again at its first tokens may be another run of the name, and one whose losses differ may be of
    other data: neither is a resume.
    """
    runs = _codes(frame, ["run"])
    tokens, loss = frame["tokens"].to_numpy(), frame["loss"].to_numpy()
    doubled = np.isin(key, key[_not_first(key)])
    of = np.isin(runs, np.unique(runs[doubled]))
    order = np.argsort(runs[of], kind="stable")  # runs together, each in the order of the file
    run, at, values, code = (x[of][order] for x in (runs, tokens, loss, key))
    begins = np.diff(run, prepend=run[0] - 1) != 0
    number = np.cumsum(begins) - 1
    back = (np.diff(at, prepend=at[0]) <= 0) & ~begins
    start = at[begins][number]
    most = np.zeros(len(np.unique(number)))
    np.maximum.at(most, number, at)
    last = at[np.r_[np.flatnonzero(begins)[1:] - 1, len(at) - 1]]
    if (at[back] <= start[back]).any() or (last < most).any():
        return False
    by_key = np.lexsort((np.arange(len(code)), code))
    same = np.diff(code[by_key]) == 0
    apart = np.abs(np.diff(np.log(values[by_key])))[same]
    return bool((apart < RESUMED).all())
