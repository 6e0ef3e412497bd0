"""How far a law is off for runs that it was not fitted to: what the interval of a new run adds to the spread of draws.

Resampling runs says how well the runs determine the law if its form is right, and nothing of the error of the form: on
public tables such 95% intervals held a quarter of the losses of the largest runs (benchmarks/coverage.md). So the law
is refitted to parts of its own rows, and its errors |log(predicted / measured)| for the others are kept by distance:

- 0 decades: runs left out, a fifth of them at a time;
- farther: fitted up to a share of the largest FLOPs (`CUTS`), the rows above by how far they lie above the cut.

The error at a distance is the quantile, at the level of the fit's intervals, of those of that distance, every run
counted once; no smaller than nearer by, and beyond the farthest backtest that of the farthest. It goes with the spread
of the draws as independent errors do: each end lies √(reach of the draws² + error²) from the estimate, in log loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import InvalidRequest
from gemstones.laws.dual import value_of
from gemstones.laws.form import Codes, Form
from gemstones.laws.interval import level_text
from gemstones.laws.law import Law
from gemstones.laws.parallel import Workers, run_chunks
from gemstones.laws.pose import pose
from gemstones.laws.separable import check_separable
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.solve import solve
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray, Shapes
from gemstones.units import Interval

CUTS = (1 / 2, 1 / 3, 1 / 10, 1 / 30, 1 / 100)
"""Up to which share of the largest FLOPs the law is refitted."""
EDGES = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Decades beyond a cut, up to each of which errors are taken together."""
FOLDS = 5
"""Parts into which runs are left out for the error within the fitted FLOPs."""
LEAST_RUNS_FITTED = 3
LEAST_ROWS, LEAST_RUNS_BEYOND = 5, 2
"""Held-out rows, and runs, of a distance that has an error of its own."""


class NewRunError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The error of a law for new runs up to some distance beyond its rows, from backtests made inside them."""

    decades: float
    """log10 of FLOPs over the largest that was fitted, at most; 0 within the fitted FLOPs."""
    error: float
    """Quantile of |log(predicted / measured)| at the level of the fit's intervals."""
    rows: int
    """Held-out rows that it is of."""
    runs: int


@dataclass(frozen=True, eq=False)
class Rows:
    """What a law is fitted to, and how."""

    form: Form
    table: RunTable
    columns: FloatArray
    """(rows, k), in the order of the form's columns."""
    groups: Codes
    weights: FloatArray | None
    """(rows,), of how often each counts."""
    objective: Objective
    starts: int

    def errors(self, part: BoolArray) -> FloatArray | None:
        """log L̂ − log L of every row, of the law refitted to those of `part` (rows,); None where they are too few."""
        form, own = self.form, replace(self.table, frame=self.table.frame.filter(part))
        groups = {group: codes[part] for group, codes in self.groups.items()}
        seen = all(len(np.unique(groups[name])) == len(levels) for name, levels in form.levels)
        if part.sum() < 2 * len(form.entries) or own.runs < LEAST_RUNS_FITTED or not seen:
            return None
        try:
            check_separable(form, own, self.columns[part], groups, False)
        except InvalidRequest:
            return None
        loss, logs = self.table.numbers("loss"), [*np.log(self.columns).T]
        weights = None if self.weights is None else self.weights[part]
        problem = pose(form, [x[part] for x in logs], loss[part], groups, weights)
        theta = solve(problem, self.objective, self.starts).theta[: len(form.entries)]
        with np.errstate(over="ignore"):
            errors = value_of(form.log_loss(theta, logs, self.groups)) - np.log(loss)
        return errors if np.isfinite(errors).all() else None


def new_run_errors(
    rows: Rows, flops: FloatArray | None, level: float, workers: Workers = None
) -> tuple[NewRunError, ...]:
    """Errors by distance, the nearest first; empty where the runs are too few for a backtest.

    `flops` (rows,) are those that distances are of; None where they are not known, which leaves runs left out.
    """
    codes = rows.table.run_codes
    folds = min(FOLDS, int(codes.max()) + 1)
    fold = (np.random.default_rng(0).permutation(int(codes.max()) + 1) % folds)[codes]
    parts = [fold != k for k in range(folds)]
    beyond = [np.where(part, np.nan, 0.0) for part in parts]
    if flops is not None:
        for share in CUTS:
            part = flops <= share * flops.max()
            parts.append(part)
            beyond.append(np.where(part, np.nan, np.log10(flops / (share * flops.max()))))
    errors = run_chunks(rows.errors, parts, workers)
    known = [(e, d) for e, d in zip(errors, beyond, strict=True) if e is not None]
    if not known:
        return ()
    off, distance = (np.concatenate(x) for x in zip(*known, strict=True))
    runs = np.tile(codes, len(known))
    found: list[NewRunError] = []
    nearer = -np.inf
    for edge in (0.0, *EDGES):
        here = (distance > nearer) & (distance <= edge)
        nearer = edge
        count = len(np.unique(runs[here]))
        if here.sum() >= LEAST_ROWS and count >= LEAST_RUNS_BEYOND:
            least = found[-1].error if found else 0.0
            error = max(least, quantile_by_run(np.abs(off[here]), runs[here], level))
            found.append(NewRunError(edge, error, int(here.sum()), count))
    return tuple(found)


def quantile_by_run(values: FloatArray, runs: IntArray, level: float) -> float:
    """The least of `values` (rows,) that a share `level` does not exceed, every run counted once."""
    order = np.argsort(values, kind="stable")
    weights = (1.0 / np.bincount(runs)[runs])[order]
    reached = np.cumsum(weights) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-12)), len(values) - 1)])


def error_at(errors: Sequence[NewRunError], decades: FloatArray | float | None) -> FloatArray:
    """The error that distance, in decades beyond the fitted FLOPs, has: (…). Where it is not known, the farthest's."""
    if decades is None:
        return np.asarray(errors[-1].error)
    at = np.searchsorted([one.decades for one in errors], np.asarray(decades, np.float64))
    return np.array([one.error for one in errors])[np.minimum(at, len(errors) - 1)]


def widened(ends: Interval, estimate: float, error: float) -> Interval:
    """The interval of a new run, from that of the fit around its `estimate` of a loss, and the law's `error`.

    >>> widened((2.0, 2.0), 2.0, 0.0), [round(x, 4) for x in widened((1.96, 2.04), 2.0, 0.02)]
    ((2.0, 2.0), [1.9439, 2.0571])
    """
    with np.errstate(divide="ignore", over="ignore"):
        low, high = (float(np.hypot(np.log(end / estimate), error)) for end in ends)
    return float(estimate * np.exp(-low)), float(estimate * np.exp(high))


def law_flops(law: Law, values: dict[str, FloatArray]) -> FloatArray | None:
    """FLOPs of training at columns by symbol, as `law.fitted.flops` counts them; None where they do not follow."""
    if "flops" in law.columns:
        return values[law.symbols[law.columns.index("flops")]]
    tokens = values.get("T")
    if tokens is None:
        return None
    if law.flops is not None and law.flops.kind == "params":
        return law.flops.of_params(values["N"]) * tokens if "N" in values else None
    if set(values) == {"N", "T"} and law.flops is None:
        return 6.0 * values["N"] * tokens
    if {"w", "d"} <= set(values):
        shapes = Shapes.of(values["w"], values["d"], law.models.template())
        return (flops_per_token(shapes) if law.flops is None else law.flops.per_token(shapes)) * tokens
    return None


def decades_beyond(law: Law, flops: FloatArray | float | None) -> FloatArray | None:
    """log10 of FLOPs over the largest fitted, below the smallest of that over FLOPs, 0 within; None: not known."""
    if flops is None or law.fitted.flops is None:
        return None
    low, high = np.log10(law.fitted.flops)
    at = np.log10(np.asarray(flops, np.float64))
    return np.asarray(np.maximum(0.0, np.maximum(at - high, low - at)))


def row_flops(
    table: RunTable, symbols: Sequence[str], convention: ParamsConvention, given: bool
) -> FloatArray | None:
    """FLOPs of every row as plans of a law in `symbols` count them; None where they are not known in every row.

    6·N·T for a law in N and T alone, unless they are `given` by the runs; as the table has them else.
    """
    if set(symbols) == {"N", "T"} and not given:
        return 6.0 * table.numbers(f"params_{convention}") * table.numbers("tokens")
    return None if table.frame["flops"].null_count() else table.numbers("flops")


def new_run_note(errors: Sequence[NewRunError], level: float, decades: float | None) -> str:
    """What the interval of a new run is, at some decades beyond the fitted FLOPs, for people."""
    if not errors:
        return (
            "the interval of the loss is of the fit, if its form is right; there is none of a new run: this fit has no "
            "backtests of its own, or too few runs for them"
        )
    farthest = errors[-1].decades
    reach = "within the fitted FLOPs" if farthest == 0 else f"up to {farthest:g} decades beyond"
    error = float(error_at(errors, decades))
    note = (
        f"the {level_text(level)} interval of the loss is of a new run: it includes the error of the form, "
        f"{error:.2%} by backtests inside the fitted runs, {reach}"
    )
    if decades is not None and decades > farthest:
        note += f"; {decades:.1f} decades beyond, as here, nothing was tested"
    return note
