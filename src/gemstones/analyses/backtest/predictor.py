"""A predictor of losses: an approach with a law, fitted to a part of the rows of a table.

Approach 3 fits its law to every row of the part (`laws/fitting.py`). Approach 1 takes the frontier of the part, by hull
or bins (`laws/envelope.py`), and fits L(C) = exp(c)·C^(−e) + exp(E) to its points with the same objective: it knows the
loss of the frontier only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.columns import table_columns
from gemstones.laws.diagnostics import row_flags
from gemstones.laws.envelope import BINS, bin_points, hull_points
from gemstones.laws.fitting import fit
from gemstones.laws.parse_form import parse_form
from gemstones.laws.separable import collinear_columns
from gemstones.laws.solver.objective import Objective
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray

Approach = Literal["approach3", "hull", "bins"]

FRONTIER_APPROACHES: tuple[Approach, ...] = ("hull", "bins")
FRONTIER_LAW = "flops"
"""Approach 1's: its only term is the column."""
UNRELATED_FLAGS = ("too_few_runs", "counts_differ")
"""Of fits: about their intervals and about plans, neither of which predicts a held-out row."""


@dataclass(frozen=True)
class Predictor:
    """An approach and the law that it fits."""

    approach: Approach
    law: str
    """Its form, like `w,d,N,T` or a formula."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a predictor that was fitted to some rows says of every row of the table."""

    rows: IntArray
    """Numbers of the rows that it was fitted to."""
    residuals: FloatArray
    """log L̂ − log L of every row, (rows of the table,); of no meaning where there is a `reason`."""
    flags: tuple[str, ...] = ()
    """Of the fit."""
    reason: str | None = None
    """Why there is no fit."""


def frontier_rows(table: RunTable, part: BoolArray | None = None) -> BoolArray:
    """Which rows are points of the lower hull, in log FLOPs and log loss, of the rows of `part` (all by default)."""
    rows = np.arange(table.rows) if part is None else np.flatnonzero(part)
    log_flops, log_loss = np.log(table.numbers("flops")[rows]), np.log(table.numbers("loss")[rows])
    on_frontier = np.zeros(table.rows, np.bool_)
    on_frontier[rows[hull_points(log_flops, log_loss)]] = True
    return on_frontier


def predictors_of(
    table: RunTable, laws: Sequence[str], convention: ParamsConvention
) -> tuple[list[Predictor], list[str]]:
    """Approach 3 with each of `laws` and Approach 1 by hull and bins, and notes on those of unknown columns."""
    predictors = []
    refused: dict[str, list[str]] = {}
    for predictor in (
        *(Predictor("approach3", law) for law in laws),
        *(Predictor(approach, FRONTIER_LAW) for approach in FRONTIER_APPROACHES),
    ):
        try:
            table_columns(parse_form(predictor.law, convention).columns, table, convention)
        except InvalidTable as error:
            name = (
                predictor.law if predictor.approach == "approach3" else f"Approach 1 by {predictor.approach}"
            )
            refused.setdefault(error.said, []).append(name)
        else:
            predictors.append(predictor)
    return predictors, [f"{'; '.join(names)} left out: {reason}" for reason, names in refused.items()]


def fit_and_predict(
    predictor: Predictor,
    table: RunTable,
    part: BoolArray,
    objective: Objective,
    convention: ParamsConvention,
) -> Predicted:
    """Fit to the rows of `part` (rows,) and predict every row.

    Too few rows, terms that they cannot separate, and predictions that are not finite are a `reason`, not an error.
    """
    form = parse_form(predictor.law, convention)
    columns = table_columns(form.columns, table, convention)
    rows = _fitted_rows(predictor, table, part)
    unpredicted = np.full(table.rows, np.nan)
    if too_few := row_flags(len(form.entries), len(rows)):
        return Predicted(rows, unpredicted, reason=too_few[0].partition(": ")[2])
    if (inseparable := collinear_columns(form.columns, table, columns[rows])) is not None:
        return Predicted(rows, unpredicted, reason=inseparable)
    part_only = replace(table, frame=table.frame[rows])
    try:
        fitted = fit(part_only, predictor.law, objective=objective, params=convention)
        with np.errstate(over="ignore"):
            predicted = fitted.law.losses(table)
    # A formula's constants that it cannot tell apart, an unseen group.
    except (InvalidRequest, InvalidTable) as error:
        return Predicted(rows, unpredicted, reason=error.said)
    if not np.isfinite(predicted).all():
        return Predicted(
            rows, unpredicted, reason=f"no finite loss is predicted for every row by {fitted.law}"
        )
    flags = tuple(flag for flag in fitted.flags if flag.partition(":")[0] not in UNRELATED_FLAGS)
    return Predicted(rows, np.log(predicted) - np.log(table.numbers("loss")), flags)


def _fitted_rows(predictor: Predictor, table: RunTable, part: BoolArray) -> IntArray:
    if predictor.approach == "hull":
        return np.flatnonzero(frontier_rows(table, part))
    rows = np.flatnonzero(part)
    if predictor.approach == "bins":
        return rows[bin_points(table.numbers("flops")[rows], np.log(table.numbers("loss")[rows]), BINS)]
    return rows
