"""What the published repository shows since the paper: losses on three sets, and nine benchmarks of 770 checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gemstones.analyses.compare.optima import optima
from gemstones.analyses.downstream.downstream import downstream
from gemstones.analyses.downstream.equal_loss import EqualLoss, equal_loss
from gemstones.analyses.downstream.result import Downstream
from gemstones.analyses.downstream.rows import task_rows
from gemstones.laws.fitting import fit
from gemstones.laws.interval import interval
from gemstones.paper.fits import PREDICTS
from gemstones.runs import RunTable
from gemstones.runs.benchmarks import TASKS
from gemstones.runs.losses import with_loss
from gemstones.shape import FloatArray
from gemstones.units import Interval

SETS: Mapping[str, str] = {"main": "the runs' own set", "fineweb-edu": "FineWeb-Edu", "dclm": "DCLM"}
"""Validation sets of the Gemstones, as `--loss` and as people call them."""
BUDGET = 1e22
"""FLOPs (Appendix G) at which prescriptions are compared."""
OWN = "main"


@dataclass(frozen=True, eq=False)
class OnSet:
    """What one validation set prescribes and predicts."""

    name: str
    n_opt: float
    """Total parameters for `BUDGET`, by the form that predicts."""
    n_opt_interval: Interval | None
    tokens: float
    ratio: float
    """Of N* to that by the runs' own set."""
    ratio_interval: Interval | None
    """Of paired resamples."""
    mean_task: Downstream
    """Of the mean of nine tasks, error from the loss on this set."""


@dataclass(frozen=True, eq=False)
class Upstream:
    """Everything that the chapter on it is made of."""

    table: RunTable
    """`gemstones-benchmarks`."""
    sets: tuple[OnSet, ...]
    """The runs' own first."""
    at_equal_loss: tuple[EqualLoss, ...]
    """Of the mean of the tasks, and of each."""


def upstream(table: RunTable, *, bootstrap: int, seed: int) -> Upstream:
    """Fit laws of loss and of tasks on every set, with `bootstrap` resamples by run, the same on all.

    `table` is `gemstones-benchmarks`.
    """
    found: list[OnSet] = []
    own: FloatArray | None = None
    for name in SETS:
        n_opt, tokens = _optima(with_loss(table, name), bootstrap, seed)
        own = n_opt if own is None else own
        ratio = n_opt / own
        known = np.isfinite(ratio[1:])
        of_tasks = downstream(
            table, "mean", form="gadre", loss=name, law="N,T", bootstrap=bootstrap, seed=seed
        )
        found.append(
            OnSet(
                name,
                float(n_opt[0]),
                interval(n_opt[1:][np.isfinite(n_opt[1:])], float(n_opt[0])),
                float(tokens[0]),
                float(ratio[0]),
                None if name == OWN else interval(ratio[1:][known], float(ratio[0])),
                of_tasks,
            )
        )
    shapes = [
        equal_loss(task_rows(table, task, None, None), bootstrap=bootstrap, seed=seed)
        for task in ("mean", *TASKS)
    ]
    return Upstream(table, tuple(found), tuple(shapes))


def _optima(table: RunTable, bootstrap: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """N* and T* at `BUDGET`, (1 + draws,), the estimate first."""
    made = fit(table, PREDICTS, bootstrap=bootstrap, seed=seed, backtests=False, resample_starts=0)
    best = optima(made.law, np.vstack([made.law.theta[None], made.theta_draws]), [BUDGET])[0]
    return np.exp(best.log_params), np.exp(best.log_tokens)
