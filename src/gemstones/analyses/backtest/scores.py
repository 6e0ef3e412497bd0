"""Scores: the error of one predictor on one target of one split, and predictors compared on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gemstones.analyses.backtest.predictor import Approach, Predicted, Predictor
from gemstones.analyses.backtest.shown import score_line
from gemstones.analyses.backtest.splits import Split, SplitKind
from gemstones.laws.diagnostics import FEW_RUNS, LEAST_RUNS
from gemstones.laws.held_out import HeldOut, Resamples
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray
from gemstones.units import Interval

Target = Literal["all", "frontier"]


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """One predictor on one target of one split."""

    selection: str
    approach: Approach
    law: str
    split: SplitKind
    cut: float | None
    target: Target
    train_rows: int | None
    test_rows: int
    train_runs: int | None
    test_runs: int
    folds: int
    flags: tuple[str, ...] = ()
    reason: str | None = None
    """Why there is no error."""
    error: float | None = None
    interval: Interval | None = None
    bias: float | None = None
    bias_interval: Interval | None = None
    row_error: float | None = None
    """As `error`, every row counted once."""
    row_bias: float | None = None
    train_error: float | None = None
    rows: IntArray | None = None
    """Numbers of the held-out rows in the selection's table, (test_rows,)."""
    residuals: FloatArray | None = None
    """log L̂ − log L of them."""
    fitted: IntArray | None = None
    """Numbers of the rows that the law was fitted to, (train_rows,); of a cut only."""
    fitted_residuals: FloatArray | None = None
    """log L̂ − log L of them."""

    def __repr__(self) -> str:
        return score_line(self)

    def summary(self) -> dict[str, Any]:
        """As plain values, without rows and residuals."""
        return {name: getattr(self, name) for name in _FIELDS} | {"flags": list(self.flags)}


_FIELDS = (
    "selection", "approach", "law", "split", "cut", "target", "error", "interval", "bias", "bias_interval",
    "row_error", "row_bias",
    "train_error", "train_rows", "test_rows", "train_runs", "test_runs", "folds", "flags", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """By how much the error of one predictor exceeds the least on the same rows."""

    selection: str
    split: SplitKind
    cut: float | None
    target: Target
    approach: Approach
    law: str
    best_approach: Approach
    best_law: str
    difference: float
    interval: Interval | None
    """Paired; None where there are too few runs or folds."""
    worse: bool | None
    """Whether the interval lies above 0; False where the two cannot be told apart, None without an interval."""


def score(
    table: RunTable,
    predictor: Predictor,
    split: Split,
    target: Target,
    targeted: BoolArray,
    folds: Mapping[int, Predicted],
    resamples: Resamples,
) -> tuple[Score, HeldOut | None]:
    """The score of `predictor` on the held-out rows that are `targeted` (rows,), and what it is made of.

    `folds` has the predictions by number of fold, for every fold that holds a targeted row. Without a fit of every
    such fold there is no error: it would not be of the rows that other predictors are scored on.
    """
    codes = table.run_codes
    tests = {f: np.flatnonzero(fold.test & targeted) for f, fold in enumerate(split.folds)}
    tests = {f: rows for f, rows in tests.items() if len(rows)}
    fits = {f: folds[f] for f in tests}
    held = np.concatenate([np.zeros(0, np.int64), *tests.values()])
    smallest = min((fitted.rows for fitted in fits.values()), key=len, default=None)
    about: dict[str, Any] = {
        "selection": table.selection,
        "approach": predictor.approach,
        "law": predictor.law,
        "split": split.kind,
        "cut": split.cut,
        "target": target,
        "train_rows": None if smallest is None else len(smallest),
        "train_runs": None if smallest is None else len(np.unique(codes[smallest])),
        "test_rows": len(held),
        "test_runs": len(np.unique(codes[held])),
        "folds": len(fits),
    }
    if not fits:
        return Score(**about, reason="no point of the frontier of all rows lies above the cut"), None
    refused = {f: fitted.reason for f, fitted in fits.items() if fitted.reason is not None}
    if refused:
        first, reason = next(iter(refused.items()))
        if split.cut is None:
            reason = f"{len(refused)} of {len(fits)} folds have no fit; {split.folds[first].name}: {reason}"
        return Score(**about, reason=reason), None

    runs = codes[held]
    fold = np.concatenate([np.full(len(rows), f) for f, rows in tests.items()])
    residuals = np.concatenate([fits[f].residuals[rows] for f, rows in tests.items()])
    of_held = HeldOut.of(residuals, runs, runs if split.cut is not None else fold)
    trained = [
        HeldOut.of(fitted.residuals[fitted.rows], codes[fitted.rows], codes[fitted.rows]).error
        for fitted in fits.values()
    ]
    called = "held-out runs" if split.cut is not None else "folds"
    whole = next(iter(fits.values())) if split.cut is not None else None
    scored = Score(
        **about,
        flags=(
            *_fold_flags([fitted.flags for fitted in fits.values()]),
            *_cluster_flags(of_held.clusters, called),
        ),
        error=of_held.error,
        interval=resamples.error_interval(of_held),
        bias=of_held.bias,
        bias_interval=resamples.bias_interval(of_held),
        row_error=float(np.sqrt(np.mean(residuals**2))),
        row_bias=float(residuals.mean()),
        train_error=float(np.sqrt(np.mean(np.square(trained)))),
        rows=held,
        residuals=residuals,
        fitted=None if whole is None else whole.rows,
        fitted_residuals=None if whole is None else whole.residuals[whole.rows],
    )
    return scored, of_held


def compare(of_target: Sequence[tuple[Score, HeldOut | None]], resamples: Resamples) -> list[Comparison]:
    """Every predictor of one target that has an error, against the one with the least."""
    scored = [(row, held) for row, held in of_target if held is not None]
    if not scored:
        return []
    best, least = min(scored, key=lambda pair: pair[1].error)
    compared = []
    for row, held in scored:
        if row is not best:
            ends = resamples.difference_interval(held, least)
            compared.append(
                Comparison(
                    row.selection,
                    row.split,
                    row.cut,
                    row.target,
                    row.approach,
                    row.law,
                    best.approach,
                    best.law,
                    held.error - least.error,
                    ends,
                    None if ends is None else ends[0] > 0,
                )
            )
    return compared


def _fold_flags(flags: Sequence[tuple[str, ...]]) -> list[str]:
    """The flags of one fit as they are; of several by code, with how many fits have it."""
    if len(flags) == 1:
        return list(flags[0])
    by_code: dict[str, list[str]] = {}
    for of_fit in flags:
        for code, said in {flag.partition(":")[0]: flag.partition(": ")[2] for flag in of_fit}.items():
            by_code.setdefault(code, []).append(said)
    return [f"{code}: in {len(said)} of {len(flags)} folds, as {said[0]}" for code, said in by_code.items()]


def _cluster_flags(clusters: int, what: str) -> list[str]:
    if clusters >= FEW_RUNS:
        return []
    how = "give no interval" if clusters < LEAST_RUNS else "give a rough interval"
    return [f"too_few_held_out: {clusters} {what} {how}; {FEW_RUNS} or more are needed for a good one"]
