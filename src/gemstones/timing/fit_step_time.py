"""Fit a throughput model to the measured step times of runs, and say how far it is off for shapes it has not seen.

What a run took per token is its device hours over its tokens at its last checkpoint, seconds_per_step · devices /
(tokens of a step). The coefficients are those of least Σ (predicted/measured - 1)² that are not negative. By
default they are of the matmul FLOPs and of width·depth: the other features do not predict shapes that were left out
any better (docs/device-hours.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gemstones.arguments import checked
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.diagnostics import LEAST_RUNS, few_draws_flags, run_flags
from gemstones.laws.fit import Resampling
from gemstones.laws.law import Models
from gemstones.laws.solver.resample import CHUNK, check_resampling, draw_weights
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import FloatArray, Shapes
from gemstones.timing.step_time import FEATURES, Compared, Observation, StepTime

DEFAULT_FEATURES = ("flops_matmul", "width_depth")
DRAWS = 400
MUCH_BETTER = 0.8
"""Another set of features is named in a flag if its error is less than this times that of the chosen one."""
MOST_DEVICE_COUNTS = 6
"""Different numbers of devices that the flag about them lists: the most frequent."""


@checked
def fit_step_time(
    runs: Runs, *, features: Sequence[str] | None = None, bootstrap: int = DRAWS, seed: Seed = 0
) -> StepTime:
    """Fit `features` (by default the matmul FLOPs and width·depth) to what each run took, in seconds.

    `runs` are what `fit` takes, and of them the default selection unless another was made. Errors are of shapes that
    were left out, all runs of one at a time. `bootstrap` resamples are by run, drawn as `fit` draws them: with the
    same `seed`, resample i has the same runs as resample i of a law of the same table. Raises `InvalidTable` where
    step times are not known, and `InvalidRequest` where the shapes are too few for the features.

    >>> print(fit_step_time("pebbles", bootstrap=0))
    flops_matmul / (233B per second) + 1.54e-07 s·width·depth
    """
    chosen = _known(DEFAULT_FEATURES if features is None else tuple(features))
    seed = seed_number(seed)
    check_resampling(bootstrap, "run", seed)
    table = selected_runs(runs)
    last = _last_rows(table)
    for column in ("width", "depth"):
        table.numbers(column)  # refused where a row has none
    shapes = table.architecture.shapes(table.frame[last])
    measured = table.numbers("device_hours")[last] * 3600.0 / table.numbers("tokens")[last]
    distinct, codes = np.unique(np.column_stack([shapes.width, shapes.depth]), axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    if len(distinct) <= len(chosen):
        raise InvalidRequest(
            f"{table.origin} has step times of {len(distinct)} shape(s): a throughput model of {len(chosen)} features "
            f"({', '.join(chosen)}) needs {len(chosen) + 1} or more; add runs, or take fewer features"
        )
    coefficients = _solve(_columns(chosen, shapes), measured)
    left_out = _left_out(chosen, shapes, measured, codes)
    compared = _compare(chosen, shapes, measured, codes)
    frame = table.frame[last.tolist()]
    names, devices = frame["run"].to_list(), frame["devices"].to_list()
    off = np.log(measured / (_columns(chosen, shapes) @ coefficients))
    draws = _draws(_columns(chosen, shapes), measured, bootstrap if len(names) >= LEAST_RUNS else 0, seed)
    return StepTime(
        features=chosen,
        coefficients=tuple(float(c) for c in coefficients),
        draws=tuple(tuple(float(c) for c in draw) for draw in draws),
        observations=tuple(
            Observation(run, int(w), int(d), count, float(took), float(predicted))
            for run, w, d, count, took, predicted in zip(
                names, shapes.width, shapes.depth, devices, measured, left_out, strict=True
            )
        ),
        compared=compared,
        dataset=table.dataset,
        selection=table.selection,
        fingerprint=table.fingerprint,
        models=Models.of(table.architecture.like()),
        assumptions=(
            *table.architecture.assumptions(params=False, flops=True),
            "one kind of device and one way of spreading a model over devices assumed: the table names neither",
        ),
        flags=(
            *run_flags(len(names)),
            *few_draws_flags(len(draws)),
            *_feature_flags(chosen, coefficients, compared),
            *_device_flags(devices, off),
        ),
        resampling=Resampling("run", seed) if draws else None,
    )


def _known(features: tuple[str, ...]) -> tuple[str, ...]:
    unknown = next((f for f in features if f not in FEATURES), None)
    if unknown is not None or not features or len(set(features)) != len(features):
        raise InvalidRequest(
            f"features {','.join(features)!r} are not different ones of {', '.join(FEATURES)}: write them like "
            f"{','.join(DEFAULT_FEATURES)}"
        )
    return features


def _last_rows(table: RunTable) -> NDArray[np.intp]:
    """The row of each run that has most tokens, runs in order of appearance; checks that it has a time."""
    hours = table.frame["device_hours"]
    if hours.null_count() == table.rows:
        raise InvalidTable(
            "step times are not known: give seconds_per_step, devices and step in every row, or device_hours",
            file=table.origin,
        )
    codes, tokens = table.run_codes, table.numbers("tokens")
    order = np.lexsort((tokens, codes))
    last = order[np.r_[np.flatnonzero(np.diff(codes[order])), len(order) - 1]]
    took = table.numbers("device_hours")[last]
    if (bad := np.flatnonzero(~(took > 0))).size:
        raise InvalidTable(
            "must be positive at the last checkpoint of a run",
            file=table.origin,
            row=int(last[bad[0]]) + 1,
            column="device_hours",
        )
    return last


def _columns(features: Sequence[str], shapes: Shapes) -> FloatArray:
    """(runs, k)."""
    return np.column_stack([FEATURES[feature](shapes) for feature in features])


def _solve(columns: FloatArray, measured: FloatArray, weights: FloatArray | float = 1.0) -> FloatArray:
    """Coefficients (k,) ≥ 0 of least Σ weight·(predicted/measured - 1)²."""
    from scipy.optimize import nnls

    root = np.sqrt(np.broadcast_to(weights, measured.shape))
    relative = columns * (root / measured)[:, None]
    scale = np.linalg.norm(relative, axis=0)
    return np.asarray(nnls(relative / scale, root)[0] / scale)


def _left_out(
    features: Sequence[str], shapes: Shapes, measured: FloatArray, codes: NDArray[np.intp]
) -> FloatArray:
    """Seconds per token (runs,) predicted from the runs of all other shapes."""
    columns, predicted = _columns(features, shapes), np.empty_like(measured)
    for code in range(int(codes.max()) + 1):
        out = codes == code
        predicted[out] = columns[out] @ _solve(columns[~out], measured[~out])
    return predicted


def _compare(
    chosen: tuple[str, ...], shapes: Shapes, measured: FloatArray, codes: NDArray[np.intp]
) -> tuple[Compared, ...]:
    """Every set with the matmul FLOPs, without which nothing bounds a device's rate; and the chosen one."""
    others = [feature for feature in FEATURES if feature != "flops_matmul"]
    sets = [("flops_matmul", *more) for n in range(len(others) + 1) for more in combinations(others, n)]
    if set(chosen) not in map(set, sets):
        sets.append(chosen)
    compared = []
    for features in sets:
        if len(features) <= codes.max():
            error = np.log(_left_out(features, shapes, measured, codes) / measured)
            compared.append(Compared(features, float(np.sqrt(np.mean(error**2))), float(np.abs(error).max())))
    return tuple(sorted(compared, key=lambda one: one.rms))


def _draws(columns: FloatArray, measured: FloatArray, count: int, seed: int) -> list[FloatArray]:
    runs = np.arange(len(measured))
    weights = [
        weight
        for chunk in range(-(-count // CHUNK))
        for weight in draw_weights(runs, "run", seed, chunk)[: count - chunk * CHUNK]
    ]
    return [_solve(columns[weight > 0], measured[weight > 0], weight[weight > 0]) for weight in weights]


def _feature_flags(
    chosen: Sequence[str], coefficients: FloatArray, compared: Sequence[Compared]
) -> list[str]:
    """Features that add nothing, and others that predict shapes left out much better."""
    flags = [
        f"feature_at_zero: {feature} adds nothing to these step times"
        for feature, coefficient in zip(chosen, coefficients, strict=True)
        if coefficient == 0
    ]
    (this,) = (one for one in compared if set(one.features) == set(chosen))
    best = compared[0]
    if best.rms < MUCH_BETTER * this.rms:
        flags.append(
            f"better_features: for shapes left out {','.join(best.features)} are {best.rms:.0%} off, "
            f"these {this.rms:.0%}"
        )
    return flags


def _device_flags(devices: Sequence[int | None], off: FloatArray) -> list[str]:
    """How far runs on each number of devices are off (mean log of measured over predicted): it is not in the model."""
    groups: dict[int, list[float]] = {}
    for count, x in zip(devices, off, strict=True):
        if count is not None:
            groups.setdefault(count, []).append(float(x))
    if len(groups) < 2:
        return []
    listed = sorted(sorted(groups, key=lambda n: (-len(groups[n]), n))[:MOST_DEVICE_COUNTS])
    said = (f"{np.expm1(np.mean(groups[n])):+.0%} on {n} ({len(groups[n])})" for n in listed)
    return [
        f"devices_vary: from {min(groups)} to {max(groups)} devices a run, which the model leaves out; mean time of "
        f"the runs against it, by devices (runs): {', '.join(said)}"
    ]
