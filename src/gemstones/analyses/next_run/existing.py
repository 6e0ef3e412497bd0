"""Runs that exist: their rows as what is known already, and the noise and misfit that they show."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from gemstones.analyses.compare.optima import jacobian
from gemstones.analyses.next_run.candidates import CHECKPOINTS
from gemstones.analyses.next_run.experiment import DECADE, Model, Noise, Points, scaled_rows
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import table_columns
from gemstones.laws.law import Law
from gemstones.planning.sight import sight
from gemstones.runs.table import RunTable
from gemstones.shape import BoolArray, FloatArray, IntArray

MOST_RUNS = 40
"""Runs from which noise and misfit are estimated; of more, evenly spaced ones by size."""
LEAST_RUNS = 8
"""Fewer show neither."""
MISFITS = (0.0, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.016, 0.032)
LENGTHS = (0.5 * DECADE, DECADE, 2.0 * DECADE)
"""Of the misfit: runs that tell nothing of it leave the middle, the decade that is taken without runs. Shorter ones
would need more pivots than there are."""
RUN_NOISES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
ROW_NOISES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)
MOST_MISFIT = 1.5
"""Times the root mean square of the residuals."""
FLAT = 30.0
"""Prior scale of the constants in units of those that move losses by 1%: as good as flat."""


@dataclass(frozen=True, eq=False)
class Existing:
    """Rows of runs that exist, some checkpoints of each."""

    points: Points
    log_loss: FloatArray
    """(rows,)."""
    runs: IntArray
    """(rows,): which rows share a run, numbered from 0."""

    @property
    def count(self) -> int:
        """How many runs."""
        return len(np.unique(self.runs))

    def thinned(self) -> Existing:
        """Every other row of each run, its last one among them."""
        from_end = np.array([int((self.runs[i + 1 :] == run).sum()) for i, run in enumerate(self.runs)])
        return self._kept(from_end % 2 == 0)

    def of_runs(self, runs: IntArray) -> Existing:
        """The rows of some runs."""
        return self._kept(np.isin(self.runs, runs))

    def without(self, other: Existing) -> Existing | None:
        """The runs none of whose rows is one of `other`'s; None where there are none."""
        known = {tuple(row) for row in np.column_stack([other.points.at, other.log_loss]).tolist()}
        mine = np.column_stack([self.points.at, self.log_loss]).tolist()
        shared = np.unique(self.runs[[tuple(row) in known for row in mine]])
        left = np.setdiff1d(self.runs, shared)
        return self.of_runs(left) if left.size else None

    def _kept(self, rows: BoolArray) -> Existing:
        points = Points(self.points.columns[rows], self.points.at[rows])
        return Existing(points, self.log_loss[rows], self.runs[rows])


def existing(law: Law, table: RunTable) -> Existing:
    """Up to `CHECKPOINTS` rows of every run, evenly spaced in log tokens; `InvalidTable` where a column is
    missing, `InvalidRequest` where the law sees shapes and there are none."""
    if sight(law) != "size" and any(
        table.frame[name].null_count() == table.rows for name in ("width", "depth")
    ):
        raise InvalidRequest(
            f"{table.dataset} has no widths and depths, which law {law.form} sees: name another --law, in "
            "N and T, like chinchilla"
        )
    columns = np.log(table_columns(law.symbols, table, law.params_convention))
    names = ["N", "T"] if sight(law) == "size" else ["N", "T", "w", "d"]
    at = np.log(table_columns(names, table, law.params_convention))
    if sight(law) != "size":
        at = np.column_stack([at[:, :2], at[:, 2] - at[:, 3]])
    log_t, codes = at[:, 1], table.run_codes
    kept = []
    for run in range(int(codes.max()) + 1):
        rows = np.flatnonzero(codes == run)
        wanted = log_t[rows].max() - np.log(2.0) * np.arange(CHECKPOINTS)
        wanted = wanted[wanted >= log_t[rows].min() - 0.35]
        kept.append(rows[np.unique(np.abs(log_t[rows][None] - wanted[:, None]).argmin(1))])
    index = np.concatenate(kept)
    return Existing(Points(columns[index], at[index]), np.log(table.numbers("loss"))[index], codes[index])


def information(model: Model, rows: Existing, *, misfit_alone: bool = False) -> list[FloatArray]:
    """Features of each run's rows, so scaled that their noise is the identity: what `Learned.told` takes.

    With `misfit_alone` the rows tell of the misfit only: where the draws of a fit to them know the constants already.
    """
    features = model.features(rows.points, law=not misfit_alone)
    found = []
    for run in np.unique(rows.runs):
        own = features[rows.runs == run]
        found.append(scaled_rows(own, model.noise.of_run(len(own)))[0])
    return found


def estimated_noise(law: Law, rows: Existing) -> Noise | None:
    """Misfit and its length, noise by run and by row by likelihood, the law's constants left free; None for too few
    runs.

    The likelihood is Gaussian, restricted by a flat prior on changes of the constants, on a grid of values, whose
    posterior mean is taken (of the variances, and of the logarithm of the length). The misfit is at most as large as
    the residuals are: a smooth process of any size could else stand in for structure within runs that is none of it.
    A misfit of two decades is told from one only by many runs, as the constants take up most of it.
    """
    runs = np.unique(rows.runs)
    if len(runs) < LEAST_RUNS:
        return None
    if len(runs) > MOST_RUNS:
        size = np.array([rows.points.at[rows.runs == run, 0].mean() for run in runs])
        runs = runs[np.argsort(size)][np.linspace(0, len(runs) - 1, MOST_RUNS).round().astype(int)]
        rows = rows.of_runs(runs)
    rows = rows.thinned()

    derivatives = jacobian(law, rows.points.columns)
    moves = np.sqrt(np.square(derivatives).mean(0))
    derivatives = derivatives[:, moves > 1e-6] * (0.01 / moves[moves > 1e-6])
    residual = rows.log_loss - law.log_loss([*rows.points.columns.T])
    at = rows.points.at
    apart = np.asarray(sum(np.square(at[:, i, None] - at[None, :, i]) for i in range(at.shape[1])))
    same = (rows.runs[:, None] == rows.runs[None, :]).astype(float)
    flat = FLAT**2 * derivatives @ derivatives.T
    most = MOST_MISFIT * float(np.sqrt(np.mean(np.square(residual))))
    misfits = [m for m in MISFITS if m <= max(most, MISFITS[1])]
    grid, values = [], []
    for misfit, length, run in product(misfits, LENGTHS, RUN_NOISES):
        smooth = misfit**2 * np.exp(-0.5 * apart / length**2)
        # Noise by row adds its square to every eigenvalue, so that all of its values cost one decomposition.
        sizes, vectors = np.linalg.eigh(flat + smooth + run**2 * same)
        squares = np.square(vectors.T @ residual)
        for row in ROW_NOISES:
            total = np.maximum(sizes, 0.0) + row**2
            grid.append((misfit, run, row, length))
            values.append(-0.5 * float((squares / total).sum() + np.log(total).sum()))
    weights = np.exp(np.array(values) - max(values))
    weights /= weights.sum()
    means = [float(np.sqrt(weights @ np.square([one[i] for one in grid]))) for i in range(3)]
    length = float(np.exp(weights @ np.log([one[3] for one in grid])))
    return Noise(misfit=max(means[0], 5e-4), run=means[1], row=means[2], length=length)
