"""Splits of a run table: which rows a law is fitted to, and which it then has to predict.

    compute, size, tokens        rows (of runs) up to a cut to fit, those above it to predict: extrapolation
    leave-one-run-out            every run in turn to predict, all the others to fit
    leave-one-width-out          every width in turn
    leave-one-size-out           every size class in turn

A cut by `compute` is of FLOPs and a cut by `tokens` of tokens, row by row: a run may have checkpoints on both
sides, and is then continued. A cut by `size` is of total parameters: every run is on one side. What is fitted and
what is predicted never share a row. A split is written as its name, with cuts taken from the data, or with a cut
of one's own: `compute=1e20`, `size=500M`, or `compute=1/30` of the largest value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws.diagnostics import LEAST_RUNS
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray
from gemstones.units import format_quantity, parse_quantity

SplitKind = Literal[
    "compute", "size", "tokens", "leave-one-run-out", "leave-one-width-out", "leave-one-size-out"
]
SPLITS: tuple[SplitKind, ...] = get_args(SplitKind)
CUT_COLUMNS: dict[SplitKind, str] = {"compute": "flops", "size": "params_total", "tokens": "tokens"}
"""What a cut is a value of."""
GROUPS: dict[SplitKind, tuple[str, str]] = {
    "leave-one-run-out": ("run", "runs"),
    "leave-one-width-out": ("width", "widths"),
    "leave-one-size-out": ("params_total", "size classes"),
}
"""The column by which rows are left out together, sizes by class, and what the groups are called."""

CUTS: dict[SplitKind, tuple[float, ...]] = {"compute": (1 / 100, 1 / 30, 1 / 10, 1 / 3), "tokens": (1 / 3,)}
"""Default cuts as shares of the largest value, rounded to two digits; by size they lie between size classes."""
NEXT_CLASS, WIDEST_CLASS = 4 / 3, 2.0
"""In order of size, a class ends before a size that is more than 4/3 of the one before it or more than twice the
smallest of the class. The sizes of Gemstones fall into the five of their design (50M, 100M, 500M, 1B, 2B)."""

LEAST_TRAIN_RUNS = LEAST_RUNS
_SHARE = re.compile(r"1/([1-9]\d{0,8})")
LEAST_TEST_RUNS = 2
MOST_FOLDS = 300
"""Of one leave-one-out split: every fold is a fit of every law."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One part to fit and one to predict; both (rows,), and never true in the same row."""

    name: str
    """What is held out."""
    train: BoolArray
    test: BoolArray


@dataclass(frozen=True, eq=False)
class Split:
    """One fold for a cut; for leave-one-out as many as there are groups, whose test parts are all rows once."""

    kind: SplitKind
    cut: float | None
    """In FLOPs, total parameters or tokens; None for leave-one-out."""
    folds: tuple[Fold, ...]


@dataclass(frozen=True)
class Skipped:
    """A split that these runs do not allow."""

    kind: SplitKind
    cut: float | None
    reason: str


class Share(float):
    """A cut as a share of the largest value."""


def parse_split(text: str) -> tuple[SplitKind, float | None]:
    """Name and cut, if there is one, of a split written like `compute=1/30`, `size=500M` or `leave-one-run-out`.

    >>> parse_split("size=500M"), parse_split("leave-one-run-out")
    (('size', 500000000.0), ('leave-one-run-out', None))
    """
    name, given, cut = (part.strip() for part in text.partition("="))
    kind = next((known for known in SPLITS if known == name), None)
    if kind is None or (given and kind not in CUT_COLUMNS):
        raise InvalidRequest(
            f"split {text!r} is unknown: choose from {', '.join(SPLITS)}, or give {', '.join(CUT_COLUMNS)} a cut "
            "like compute=1e20"
        )
    if not given:
        return kind, None
    share = _SHARE.fullmatch(cut)
    return kind, Share(1 / int(share[1])) if share else parse_quantity(cut, f"cut of {kind}")


def size_classes(sizes: FloatArray) -> IntArray:
    """The size class (see `NEXT_CLASS`) of each of `sizes`, in parameters: 0 for the smallest models, 1, …

    >>> size_classes(np.array([48e6, 52e6, 67e6, 95e6, 117e6, 475e6, 543e6])).tolist()
    [0, 0, 0, 1, 1, 2, 2]
    """
    distinct, inverse = np.unique(sizes, return_inverse=True)
    number, first = 0, distinct[0]
    classes = np.zeros(len(distinct), np.int64)
    for i in range(1, len(distinct)):
        if distinct[i] > NEXT_CLASS * distinct[i - 1] or distinct[i] > WIDEST_CLASS * first:
            number, first = number + 1, distinct[i]
        classes[i] = number
    return np.asarray(classes[inverse.reshape(-1)], np.int64)


def splits_of(table: RunTable, wanted: Sequence[str] = SPLITS) -> tuple[list[Split], list[Skipped]]:
    """The splits of `table` that are `wanted` (written as for `parse_split`), and those that it does not allow.

    A split is skipped where a column is not known in every row, where a fold has fewer than
    `LEAST_TRAIN_RUNS` runs to fit or a cut fewer than `LEAST_TEST_RUNS` to predict, and where leave-one-out would
    take more than `MOST_FOLDS` fits of each law.
    """
    asked = list(dict.fromkeys(parse_split(text) for text in wanted))
    made = [
        split
        for kind, cut in asked
        for split in (_by_cut(table, kind, cut) if kind in CUT_COLUMNS else _left_out(table, kind))
    ]
    # A cut that was asked for may also be one of those by default.
    different = {(split.kind, split.cut): split for split in made}.values()
    return (
        [split for split in different if isinstance(split, Split)],
        [split for split in different if isinstance(split, Skipped)],
    )


def _by_cut(table: RunTable, kind: SplitKind, asked: float | None) -> Iterator[Split | Skipped]:
    column, codes = CUT_COLUMNS[kind], table.run_codes
    if table.frame[column].null_count():
        yield Skipped(kind, asked, f"{column} is not known in every row")
        return
    values = table.numbers(column)
    if asked is not None:
        cuts = [asked * float(values.max()) if isinstance(asked, Share) else asked]
    elif kind == "size":
        cuts = _between_classes(values)
    else:
        cuts = list(dict.fromkeys(float(f"{share * values.max():.2g}") for share in CUTS[kind]))
    if not cuts:
        yield Skipped(kind, None, "all models are of one size class")
    for cut in cuts:
        test = values > cut
        trained, tested = (len(np.unique(codes[part])) for part in (~test, test))
        if trained < LEAST_TRAIN_RUNS:
            yield Skipped(kind, cut, f"{_runs(trained)} to fit; at least {LEAST_TRAIN_RUNS} are needed")
        elif tested < LEAST_TEST_RUNS:
            yield Skipped(kind, cut, f"{_runs(tested)} to predict; at least {LEAST_TEST_RUNS} are needed")
        else:
            yield Split(kind, cut, (Fold(f"{column} > {format_quantity(cut)}", ~test, test),))


def _between_classes(sizes: FloatArray) -> list[float]:
    """A round number between every two neighbouring size classes, ascending."""
    classes = size_classes(sizes)
    ends = [(sizes[classes == c].max(), sizes[classes == c + 1].min()) for c in range(int(classes.max()))]
    rounded = (
        [float(f"{np.sqrt(below * above):.{digits}g}") for digits in range(1, 18)] for below, above in ends
    )
    return [
        next((cut for cut in cuts if below <= cut < above), float(below))
        for cuts, (below, above) in zip(rounded, ends, strict=True)
    ]


def _left_out(table: RunTable, kind: SplitKind) -> Iterator[Split | Skipped]:
    (column, called), codes = GROUPS[kind], table.run_codes
    if table.frame[column].null_count():
        yield Skipped(kind, None, f"{column} is not known in every row")
        return
    groups, names = _groups(table, kind)
    if not 2 <= len(names) <= MOST_FOLDS:
        allowed = "2 are needed" if len(names) < 2 else f"{MOST_FOLDS} are the most"
        yield Skipped(kind, None, f"{called} to leave out: {len(names):,}; {allowed}")
        return
    tests = [groups == group for group in range(len(names))]
    fewest = min(len(np.unique(codes[~test])) for test in tests)
    if fewest < LEAST_TRAIN_RUNS:
        yield Skipped(kind, None, f"{_runs(fewest)} left to fit; at least {LEAST_TRAIN_RUNS} are needed")
        return
    yield Split(kind, None, tuple(Fold(name, ~test, test) for name, test in zip(names, tests, strict=True)))


def _groups(table: RunTable, kind: SplitKind) -> tuple[IntArray, list[str]]:
    """Group of each row, (rows,), and the groups' names."""
    if kind == "leave-one-run-out":
        return table.run_codes, list(dict.fromkeys(table.frame["run"].to_list()))
    if kind == "leave-one-width-out":
        widths, group = np.unique(table.numbers("width"), return_inverse=True)
        return np.asarray(group.reshape(-1), np.int64), [f"width {width:.0f}" for width in widths]
    sizes = table.numbers("params_total")
    classes = size_classes(sizes)
    spans = [(sizes[classes == c].min(), sizes[classes == c].max()) for c in range(int(classes.max()) + 1)]
    return classes, [
        "–".join(dict.fromkeys(format_quantity(float(end)) for end in span)) + " parameters" for span in spans
    ]


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
