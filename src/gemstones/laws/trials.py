"""What a form says of rows that it was not fitted to: above two cuts by compute, and of runs left out in turn.

A form is fitted once to every row, once to the rows up to each cut, and again without each group of runs, from where
the fit to every row ended. Errors are root mean squares of log L̂ − log L over the rows of a run, and of several runs
their geometric mean: the error for a typical run, which one run that goes astray, or is itself astray, does not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from gemstones.accounting.parameters import ParamsConvention
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.columns import group_codes, group_levels, table_columns
from gemstones.laws.diagnostics import LEAST_RUNS, row_flags
from gemstones.laws.form import Form
from gemstones.laws.pose import pose
from gemstones.laws.separable import check_separable
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.polish import delta_schedule, polish
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.resample import WARM_DELTA
from gemstones.laws.solver.solve import Solution, solve
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray

CUTS = (1 / 30, 1 / 10, 1 / 3, 1 / 2)
"""Of the largest FLOPs: rows up to these are fitted; the first two that leave enough on both sides."""
MOST_CUTS = 2
LEAST_ROWS = 20
"""Up to a cut: twice the constants of the largest candidate."""
LEAST_SHARE_OF_ROWS, LEAST_SHARE_OF_RUNS = 1 / 3, 1 / 2
"""Up to a cut: of fewer, the form that needs least data wins, whatever it predicts from more."""
LEAST_TESTED = 2
"""Runs above a cut."""
MOST_GROUPS = 10
"""Of runs that are left out in turn: every group is a fit of every form."""
LEAST_ERROR = 1e-6
"""Smaller errors count as so large: perfect predictions are alike."""
WARM_STARTS = 2
"""Minima of all rows that a fit without a group of runs starts from."""


@dataclass(frozen=True, eq=False)
class Held:
    """What is held back of the rows of one table."""

    beyond: tuple[BoolArray, ...]
    """(rows,) each: the rows above a cut."""
    cuts: tuple[float, ...]
    """In FLOPs."""
    groups: tuple[BoolArray, ...]
    """(rows,) each: of the runs that are left out together."""

    @classmethod
    def of(cls, table: RunTable) -> Held:
        """Of a table: no cuts where FLOPs are not known of every row or too few runs lie on one side, no groups of too
        few runs."""
        beyond, cuts = _beyond(table)
        return cls(beyond, cuts, _groups(table))

    @property
    def nothing(self) -> bool:
        """Whether there are too few runs to hold any back."""
        return not (self.beyond or self.groups)


def _beyond(table: RunTable) -> tuple[tuple[BoolArray, ...], tuple[float, ...]]:
    if table.frame["flops"].null_count():
        return (), ()
    flops, codes = table.numbers("flops"), table.run_codes
    cuts = [
        cut
        for cut in (share * float(flops.max()) for share in CUTS)
        if (flops <= cut).sum() >= max(LEAST_ROWS, LEAST_SHARE_OF_ROWS * table.rows)
        and len(np.unique(codes[flops <= cut])) >= max(LEAST_RUNS, LEAST_SHARE_OF_RUNS * table.runs)
        and len(np.unique(codes[flops > cut])) >= LEAST_TESTED
    ][:MOST_CUTS]
    return tuple(flops > cut for cut in cuts), tuple(cuts)


def _groups(table: RunTable) -> tuple[BoolArray, ...]:
    """The runs in order of their largest FLOPs (tokens where these are not known), dealt out in turn."""
    codes = table.run_codes
    count = int(codes.max()) + 1
    if count <= LEAST_RUNS:
        return ()
    size = table.numbers("tokens" if table.frame["flops"].null_count() else "flops")
    largest = np.zeros(count)
    np.maximum.at(largest, codes, size)
    group = np.empty(count, np.int64)
    group[np.argsort(largest, kind="stable")] = np.arange(count) % min(count, MOST_GROUPS)
    return tuple(group[codes] == g for g in range(int(group.max()) + 1))


@dataclass(frozen=True, eq=False)
class Trial:
    """Of one form: sums of the logs of runs' errors, by what was held back; zero where a run was not."""

    form: str
    constants: int
    """That it fits."""
    logs: FloatArray
    """(2, runs): above the cuts, and left out."""
    tested: FloatArray
    """(2, runs): in how many fits each run was held back."""
    reason: str | None = None
    """Why there is no error."""

    def errors(self, weights: FloatArray | None = None) -> FloatArray:
        """Geometric means (…, 2) over runs weighted by (…, runs); NaN where none was held back."""
        with np.errstate(invalid="ignore", divide="ignore"):
            counts = np.ones(self.logs.shape[1]) if weights is None else weights
            return np.asarray(np.exp((counts @ self.logs.T) / (counts @ self.tested.T)))


def trial(
    form: Form,
    table: RunTable,
    held: Held,
    objective: Objective,
    convention: ParamsConvention,
    counts: FloatArray | None = None,
) -> Trial:
    """Fit `form` to what is not held back of a table and predict what is; a `reason` where that cannot be done.

    `counts` (rows,) is how often each row counts in a fit.
    """
    runs = int(table.run_codes.max()) + 1
    logs, tested = np.zeros((2, runs)), np.zeros((2, runs))
    try:
        rows = _Rows.of(form, table, convention, counts)
        with threadpool_limits(1):
            beyond = [rows.residuals_of_part(~above, objective) for above in held.beyond]
            left_out = rows.residuals_without(held.groups, objective)
    except (InvalidRequest, InvalidTable) as error:
        return Trial(form.text, len(form.entries), logs, tested, _because(error))
    targets = [0] * len(beyond) + [1] * len(left_out)
    for target, test, residuals in zip(
        targets, (*held.beyond, *held.groups), (*beyond, *left_out), strict=True
    ):
        means, there = _by_run(residuals[test] ** 2, table.run_codes[test], runs)
        logs[target] += np.where(there > 0, np.log(np.maximum(np.sqrt(means), LEAST_ERROR)), 0.0)
        tested[target] += there
    if not np.isfinite(logs).all():
        return Trial(form.text, len(form.entries), logs, tested, "no finite loss is predicted for every row")
    return Trial(form.text, len(rows.form.entries), logs, tested)


def _because(error: InvalidRequest | InvalidTable) -> str:
    """Without the law, which is said already."""
    text = error.said
    return text.partition(": ")[2] if isinstance(error, InvalidRequest) and ": " in text else text


def _by_run(values: FloatArray, codes: IntArray, runs: int) -> tuple[FloatArray, FloatArray]:
    """Mean of the values of each run, 0 without any, and 1 where there are some."""
    count = np.bincount(codes, minlength=runs)
    total = np.bincount(codes, values, minlength=runs)
    return np.divide(total, count, out=np.zeros(runs), where=count > 0), (count > 0).astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Rows:
    """A form and the rows that it is tried on."""

    form: Form
    table: RunTable
    columns: FloatArray
    """(rows, k)"""
    codes: dict[str, IntArray]
    problem: Problem

    @classmethod
    def of(
        cls, form: Form, table: RunTable, convention: ParamsConvention, counts: FloatArray | None = None
    ) -> _Rows:
        columns = table_columns(form.columns, table, convention)
        form = msgspec.structs.replace(form, levels=tuple((g, group_levels(g, table)) for g in form.groups))
        codes = {group: group_codes(group, levels, table) for group, levels in form.levels}
        problem = pose(form, [*np.log(columns).T], table.numbers("loss"), codes, counts)
        return cls(form, table, columns, codes, problem)

    def check(self, rows: IntArray) -> None:
        """Raise where these rows cannot determine the form's constants."""
        if flags := row_flags(len(self.form.entries), len(rows)):
            raise InvalidRequest(flags[0])
        codes = {group: values[rows] for group, values in self.codes.items()}
        part = replace(self.table, frame=self.table.frame[rows])
        check_separable(self.form, part, self.columns[rows], codes, force=False)

    def solved(self, rows: IntArray, objective: Objective) -> Solution:
        """The fit to these rows."""
        self.check(rows)
        return solve(self.problem.taken(rows), objective)

    def residuals_of_part(self, part: BoolArray, objective: Objective) -> FloatArray:
        """log L − log L̂ of every row, (rows,), by a fit to those of `part`."""
        theta = self.solved(np.flatnonzero(part), objective).theta
        return np.asarray(self.residuals(theta[None])[0])

    def residuals_without(self, groups: Sequence[BoolArray], objective: Objective) -> FloatArray:
        """log L − log L̂ of every row, (groups, rows), by fits without each group."""
        if not groups:
            return np.zeros((0, self.problem.rows))
        for group in groups:
            self.check(np.flatnonzero(~group))
        whole = self.solved(np.arange(self.problem.rows), objective)
        starts = whole.optima[:WARM_STARTS]
        weights = np.array([~group for group in groups], np.float64)
        if self.problem.weights is not None:
            weights *= self.problem.weights
        ended = polish(
            whole.system,
            np.repeat(starts, len(groups), 0),
            objective.huber_delta,
            weights,
            np.tile(np.arange(len(groups)), len(starts)),
            above=objective.above,
            schedule=delta_schedule(objective.huber_delta, WARM_DELTA),
        )
        best = ended.value.reshape(len(starts), -1).argmin(0)
        theta = ended.theta.reshape(len(starts), len(groups), -1)[best, np.arange(len(groups))]
        return self.residuals(whole.system.physical(theta))

    def residuals(self, theta: FloatArray) -> FloatArray:
        """log L − log L̂, (B, rows), of θ (B, m)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.problem.residuals(theta))
