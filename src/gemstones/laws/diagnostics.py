"""What a fit must say about itself: flags, and the one request that is refused.

A flag is a sentence that starts with its code, e.g. `term_at_zero: …`; a doubtful fit is a value that says
so all the way into the report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import ParamsConvention, params
from gemstones.errors import InvalidRequest
from gemstones.laws.form import column_name
from gemstones.laws.law import Law, Models
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, Shapes

STATIONARY = 1e-6
"""Relative gradient under which a fit counts as converged."""
ZERO_SHARE = 1e-3
"""A term that is nowhere a larger share of the predicted loss is at zero."""
EXPONENT_RANGE = (0.02, 2.0)
"""Exponents outside are out of range: the standard grid of starts ends at 2, and a power of 0.02 falls
by less than 5% over a decade."""
FEW_RUNS = 6
"""Under so many runs, intervals by run are rough (benchmarks/coverage.md has how often they cover)."""
LEAST_RUNS = 4
"""Under so many runs there are none at all."""
COUNT_TOLERANCE = 0.005
"""Relative difference from which a table's counts are not those of its shapes."""
COLLINEAR = 1e-4
"""Smallest eigenvalue of the correlation of the log columns under which they are the same column twice."""


def collinear_columns(terms: Sequence[str], table: RunTable, columns: FloatArray) -> str | None:
    """Why the runs cannot separate the terms, or None.

    A column that does not vary cannot be told from the constant; depth that is a function of width cannot
    be told from width (every width was trained at one depth); columns that are powers of each other are
    one column twice.
    """
    logs = np.log(columns)
    names = [column_name(term, "total") if term != "N" else "parameters" for term in terms]
    for name, values in zip(names, logs.T, strict=True):
        if np.ptp(values) < 1e-9:
            return (
                f"{name} is the same in every row ({math.exp(values[0]):g}), so its term is a second constant"
            )
    if {"w", "d"} <= set(terms):
        width, depth = columns[:, terms.index("w")], columns[:, terms.index("d")]
        shapes = np.unique(np.column_stack([width, depth]), axis=0)
        if len(shapes) == len(np.unique(width)):
            return f"depth is a function of width in these {len(shapes)} shapes, so their terms cannot be separated"
    if len(terms) > 1:
        smallest = np.linalg.eigvalsh(np.corrcoef(logs.T))[0]
        if smallest < COLLINEAR:
            return (
                f"{', '.join(names)} are powers of each other (smallest eigenvalue of the correlation of their "
                f"logs {max(smallest, 0.0):.1g}), so their terms cannot be separated"
            )
    return None


def check_separable(terms: Sequence[str], table: RunTable, columns: FloatArray, force: bool) -> list[str]:
    """The flag of collinear columns if `force`d, an `InvalidRequest` otherwise."""
    reason = collinear_columns(terms, table, columns)
    if reason is None:
        return []
    if not force:
        simpler = "N,T" if "w" in terms or "d" in terms else "fewer terms"
        raise InvalidRequest(
            f"law {','.join(terms)} on {table.dataset}: {reason}: fit {simpler}, add runs that differ, or --force"
        )
    return [f"collinear_columns: {reason}"]


def law_flags(law: Law, columns: FloatArray) -> list[str]:
    """Terms at zero and exponents out of range."""
    flags = []
    parts = np.exp(np.array(law.log_coefficients) - np.array(law.exponents) * np.log(columns))
    constant = np.full((len(columns), 1), law.irreducible_loss)
    share = np.hstack([parts, constant])
    share /= share.sum(1, keepdims=True)
    for name, largest in zip([*law.terms, "E"], share.max(0), strict=True):
        if largest < ZERO_SHARE:
            what = "the irreducible loss" if name == "E" else f"the term in {name}"
            flags.append(f"term_at_zero: {what} is at most {largest:.1g} of the predicted loss")
    low, high = EXPONENT_RANGE
    for term, exponent, largest in zip(law.terms, law.exponents, share.max(0), strict=False):
        if largest >= ZERO_SHARE and not low <= exponent <= high:
            flags.append(
                f"exponent_out_of_range: {term} has exponent {exponent:.3g}, outside {low:g} to {high:g}"
            )
    return flags


def convergence_flags(stationarity: float) -> list[str]:
    """A fit that did not come to rest."""
    if stationarity < STATIONARY:
        return []
    return [
        f"not_converged: the relative gradient is {stationarity:.1g}, not below {STATIONARY:g}: these runs may not "
        "determine every term"
    ]


def row_flags(parameters: int, rows: int) -> list[str]:
    """Too few rows for the law."""
    if rows >= 2 * parameters:
        return []
    return [
        f"too_few_rows: {rows} rows for a law of {parameters} parameters; it needs at least {2 * parameters}"
    ]


def run_flags(runs: int) -> list[str]:
    """Too few runs for intervals by run."""
    if runs >= FEW_RUNS:
        return []
    what = f"intervals by run from {runs} runs are rough"
    if runs < LEAST_RUNS:
        what = f"{runs} runs give no intervals by run"
    return [f"too_few_runs: {what}; {FEW_RUNS} or more are needed for good ones"]


def count_flags(table: RunTable, models: Models, convention: ParamsConvention) -> list[str]:
    """Parameters or FLOPs of the table that are not those of its shapes.

    A plan counts shapes by closed form: where the table counted otherwise, the two do not match.
    """
    frame = table.frame
    if frame["width"].null_count() or frame["depth"].null_count():
        return []
    shapes = Shapes.of(table.numbers("width"), table.numbers("depth"), models.template())
    flags = []
    for column, closed_form in (
        (f"params_{convention}", params(shapes, convention)),
        ("flops_per_token", flops_per_token(shapes)),
    ):
        if frame[column].null_count() == 0:
            off = float(np.abs(table.numbers(column) / closed_form - 1).max())
            if off > COUNT_TOLERANCE:
                flags.append(
                    f"counts_differ: {column} of the table is up to {off:.1%} off the closed form of its shapes, "
                    "by which plans count"
                )
    return flags


def draw_flags(terms: Sequence[str], draws: FloatArray) -> list[str]:
    """Exponents that leave their range in a tenth of the resamples or more."""
    low, high = EXPONENT_RANGE
    exponents = draws[:, : len(terms)]
    outside = ((exponents < low) | (exponents > high)).mean(0)
    return [
        f"unstable_exponent: {term} leaves {low:g} to {high:g} in {share:.0%} of the resamples"
        for term, share in zip(terms, outside, strict=True)
        if share >= 0.1
    ]
