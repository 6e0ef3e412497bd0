"""Approach 1: the frontier of least loss for a resource, and how its models grow (paper §3.2, Figure 4).

In log resource and log loss take the frontier, either the lower convex hull (the paper's method) or the
row of least loss in each of many logarithmic bins (Hoffmann et al. 2022), and fit log y on log resource by
ordinary least squares over its points, for y in parameters, tokens and tokens per parameter. Resource is
FLOPs or device hours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gemstones.accounting.parameters import ParamsConvention, params_convention
from gemstones.arguments import checked
from gemstones.display import cautions, few_lines, html_table, interval_text, labelled, with_interval
from gemstones.errors import InvalidRequest
from gemstones.laws.diagnostics import LEAST_RUNS, few_draws_flags, run_flags
from gemstones.laws.interval import DEFAULT_LEVEL, NO_DRAWS, enough, interval, interval_note
from gemstones.laws.mixed import mixed_flags
from gemstones.laws.parallel import Workers, check_workers, run_chunks
from gemstones.laws.solver.resample import CHUNK, Unit, check_resampling, draw_weights
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.table import RunTable
from gemstones.seeds import Seed, seed_number
from gemstones.shape import FloatArray
from gemstones.units import Interval, format_quantity

Method = Literal["hull", "bins"]
Resource = Literal["flops", "device_hours"]
Index = NDArray[np.intp]

BINS = 750
"""Hoffmann et al. use 250 per order of magnitude; the paper 750 over the range of the resource."""
MOST_BINS = 1_000_000
OF_FRONTIER = "of the frontier of this design, not of the optimum of the law behind it"
"""What intervals of Approach 1 are of. On planted laws, at ten times the largest compute, they held the line of the
same design without noise in 8 of 11 tables, and the optimum of the law in none: the best of the runs that there are is
not the best of all runs (benchmarks/coverage.md)."""

QUANTITIES = ("params", "tokens", "tokens_per_param")


@dataclass(frozen=True)
class Line:
    """log y = slope·log resource + intercept, in natural logs."""

    slope: float
    intercept: float

    def at(self, resource: FloatArray | float) -> FloatArray:
        """y on the line."""
        return np.asarray(np.exp(self.intercept) * np.asarray(resource, np.float64) ** self.slope)


@dataclass(frozen=True, eq=False, repr=False)
class Envelope:
    """The frontier of a run table and the lines through it; what `envelope` returns.

    Lines are in natural logs: log N*, log T* and log T*/N* over the log of FLOPs, or of device hours.

    >>> made = envelope("pebbles")
    >>> made.interval_at("params", 1e14) is None  # there are no resamples
    True
    """

    method: Method
    bins: int | None
    resource: Resource
    resource_convention: str
    """How FLOPs were counted; `device_hours` for device hours."""
    params_convention: ParamsConvention
    dataset: str
    selection: str
    rows: int
    runs: int
    frontier: tuple[dict[str, Any], ...]
    """One point per row of the frontier, by resource: `run`, `tokens`, `loss`, `resource`, `params`."""
    fits: dict[str, Line]
    """By quantity: `params`, `tokens`, `tokens_per_param`."""
    assumptions: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    loss_unit: LossUnit = "nats"
    unit: Unit = "run"
    seed: int = 0
    level: float = DEFAULT_LEVEL
    draws: dict[str, FloatArray] = field(default_factory=dict)
    """By quantity: (slope, intercept) of every resample, (draws, 2)."""

    @property
    def has_intervals(self) -> bool:
        """Whether there are draws, and enough of them for the level."""
        return enough(len(self.draws.get("params", ())), self.level)

    @property
    def intervals(self) -> dict[str, dict[str, Interval | None]] | None:
        """Intervals of slopes and intercepts; None without draws, or with too few."""
        if not self.has_intervals:
            return None
        return {
            name: {
                "slope": interval(of_line[:, 0], self.fits[name].slope, level=self.level),
                "intercept": interval(of_line[:, 1], self.fits[name].intercept, level=self.level),
            }
            for name, of_line in self.draws.items()
        }

    def interval_at(self, quantity: str, resource: float) -> Interval | None:
        """Interval of a quantity (`params`, `tokens`, `tokens_per_param`) on its line at a resource."""
        if not self.has_intervals:
            return None
        at = np.array([float(Line(*draw).at(resource)) for draw in self.draws[quantity]])
        return interval(at, float(self.fits[quantity].at(resource)), level=self.level)

    def summary(self) -> dict[str, Any]:
        """The envelope as plain values: what `gemstones envelope --json` prints."""
        return {
            "dataset": self.dataset,
            "selection": self.selection,
            "rows": self.rows,
            "runs": self.runs,
            "resource": self.resource,
            "resource_convention": self.resource_convention,
            "method": self.method,
            "bins": self.bins,
            "params_convention": self.params_convention,
            "loss_unit": self.loss_unit,
            "points": len(self.frontier),
            "fits": {name: {"slope": x.slope, "intercept": x.intercept} for name, x in self.fits.items()},
            "intervals": self.intervals,
            "level": self.level if self.has_intervals else None,
            "intervals_of": OF_FRONTIER if self.has_intervals else None,
            "resampling": {"unit": self.unit, "draws": len(self.draws["params"]), "seed": self.seed}
            if self.draws
            else None,
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
            "frontier": list(self.frontier),
        }

    def __repr__(self) -> str:
        intervals = self.intervals or {}
        slopes = ", ".join(
            f"{name} ~ {self.resource}^"
            + with_interval(line.slope, intervals.get(name, {}).get("slope"), "{:.3f}".format)
            for name, line in self.fits.items()
        )
        return few_lines(
            f"Envelope of {self.dataset}, {self.selection}: {len(self.frontier)} of {self.rows:,} checkpoints by "
            f"{self.method} over {self.resource} ({self.resource_convention}); {self.params_convention} parameters",
            (slopes, self.interval_note, *labelled(("caution", cautions(self.flags)))),
        )

    @property
    def interval_note(self) -> str:
        """How the intervals were made and what they cover, for people."""
        if not self.draws:
            return NO_DRAWS
        note = interval_note(len(self.draws["params"]), self.unit, self.level)
        return f"{note}, {OF_FRONTIER}" if self.has_intervals else note

    def _repr_html_(self) -> str:
        intervals = self.intervals or {}
        rows = [
            (
                name,
                f"{line.slope:.4f}",
                interval_text(intervals.get(name, {}).get("slope")),
                f"{line.intercept:.3f}",
                interval_text(intervals.get(name, {}).get("intercept")),
            )
            for name, line in self.fits.items()
        ]
        return html_table(
            f"Approach 1: {self.dataset}, {self.selection}, {len(self.frontier)} of {self.rows:,} checkpoints by "
            f"{self.method}",
            ("log y = slope · log resource + intercept", "slope", "interval", "intercept", "interval"),
            rows,
            (
                f"resource: {self.resource} ({self.resource_convention}); {self.params_convention} parameters",
                self.interval_note,
                *labelled(("caution", cautions(self.flags)), ("assumed", self.assumptions)),
            ),
        )


@checked
def envelope(
    runs: Runs,
    *,
    resource: Resource = "flops",
    method: Method = "hull",
    bins: int = BINS,
    params: ParamsConvention = "total",
    bootstrap: int = 0,
    unit: Unit = "run",
    seed: Seed = 0,
    level: float = DEFAULT_LEVEL,
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
) -> Envelope:
    """Approach 1 on the rows of `runs` with a positive `resource` (FLOPs, or device hours): the frontier of least loss.

    `runs` are what `fit` takes, and of them the default selection unless another was made. `method` is the convex
    `hull`, or the best of each of `bins` of FLOPs; N is counted as `params` says. `bootstrap` resamples of `unit`
    (whole runs, or rows) give intervals at `level`, a probability; the same `seed` gives the same for any number of
    `workers` (processes), and `progress` is told how many are done. Raises `InvalidTable` where the resource is not
    known, and `InvalidRequest` where the frontier has fewer than two points.

    >>> envelope("pebbles").fits["params"].slope
    0.312
    """
    for name, value, choices in (
        ("resource", resource, get_args(Resource)),
        ("method", method, get_args(Method)),
    ):
        if value not in choices:
            raise InvalidRequest(f"{name} {value!r} is unknown: choose from {', '.join(choices)}")
    if not 2 <= bins <= MOST_BINS:
        raise InvalidRequest(f"bins {bins} must be 2 to {MOST_BINS:,}")
    convention = params_convention(params)
    seed = seed_number(seed)
    check_resampling(bootstrap, unit, seed, level)
    check_workers(workers)
    table = selected_runs(runs)
    used = table.numbers(resource)
    positive = np.flatnonzero(used > 0)
    if not positive.size:
        raise InvalidRequest(f"no row of {table.origin} has positive {resource}")
    log_resource = np.log(used[positive])
    log_loss = np.log(table.numbers("loss")[positive])
    sizes, tokens = table.numbers(f"params_{convention}")[positive], table.numbers("tokens")[positive]
    log_y = np.log(np.stack([sizes, tokens, tokens / sizes]))
    # Runs without a row left are no clusters: they would be drawn as nothing.
    codes = np.unique(table.run_codes[positive], return_inverse=True)[1]

    def lines(rows: Index) -> tuple[Index, FloatArray]:
        """Frontier of `rows`, and (slope, intercept) of each quantity over it, (3, 2)."""
        if method == "hull":
            points = rows[hull_points(log_resource[rows], log_loss[rows])]
        else:
            points = rows[bin_points(used[positive[rows]], log_loss[rows], bins)]
        return points, _least_squares(log_resource[points], log_y[:, points])

    points, fitted = lines(np.arange(len(positive)))
    check_frontier(table, method, len(points), sizes)
    clusters = int(codes.max()) + 1
    draws: dict[str, FloatArray] = {}
    if bootstrap and (unit == "row" or clusters >= LEAST_RUNS):
        resampled = _resample(lines, codes, bootstrap, unit, seed, workers, progress)
        draws = {name: resampled[:, i] for i, name in enumerate(QUANTITIES)}
    names = table.frame["run"].to_list()
    return Envelope(
        method=method,
        bins=bins if method == "bins" else None,
        resource=resource,
        resource_convention=table.flops_convention if resource == "flops" else resource,
        params_convention=convention,
        dataset=table.dataset,
        selection=table.selection,
        rows=len(positive),
        runs=clusters,
        frontier=tuple(
            {
                "run": names[positive[i]],
                "tokens": float(tokens[i]),
                "loss": float(np.exp(log_loss[i])),
                "resource": float(used[positive[i]]),
                "params": float(sizes[i]),
            }
            for i in points
        ),
        fits={name: Line(*map(float, fitted[i])) for i, name in enumerate(QUANTITIES)},
        assumptions=tuple(table.assumptions),
        flags=(
            *table.warnings,
            *mixed_flags(table),
            *run_flags(clusters),
            *few_draws_flags(len(draws.get("params", ()))),
        ),
        loss_unit=table.loss_unit,
        unit=unit,
        seed=seed,
        level=level,
        draws=draws,
    )


def hull_points(x: FloatArray, y: FloatArray) -> Index:
    """Indices of the lower convex hull of points (x, y), by x, as long as y falls (Andrew's monotone chain)."""
    hull: list[int] = []
    xs, ys = x.tolist(), y.tolist()
    for i in np.lexsort((y, x)).tolist():
        while len(hull) >= 2:
            a, b = hull[-2], hull[-1]
            if (xs[b] - xs[a]) * (ys[i] - ys[a]) > (ys[b] - ys[a]) * (xs[i] - xs[a]):
                break
            hull.pop()
        hull.append(i)
    falling = hull[:1]
    for i in hull[1:]:
        if ys[i] < ys[falling[-1]]:
            falling.append(i)
    return np.array(falling, np.intp)


def bin_points(resource: FloatArray, y: FloatArray, bins: int) -> Index:
    """Indices of the least y in each non-empty one of `bins` equal bins over the range of log `resource`.

    Bins are closed on the right and their edges are computed as the published fits did, as powers of ten:
    rounding may put the first edge just above the least x, whose row is then in no bin.
    """
    edges = np.logspace(np.log10(resource.min()), np.log10(resource.max()), bins + 1)
    number = np.digitize(resource, edges, right=True)
    order = np.lexsort((y, number))
    inside = order[(number[order] >= 1) & (number[order] <= bins)]
    first = np.flatnonzero(np.diff(number[inside], prepend=0))
    return np.asarray(inside[first], np.intp)


def _least_squares(x: FloatArray, y: FloatArray) -> FloatArray:
    """(slope, intercept) of each row of y (q, points) on x (points); NaN for fewer than two points."""
    if len(x) < 2:
        return np.full((len(y), 2), np.nan)
    centred = x - x.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = y @ centred / (centred @ centred)
    return np.column_stack([slope, y.mean(1) - slope * x.mean()])


def _resample(
    lines: Callable[[Index], tuple[Index, FloatArray]],
    codes: NDArray[np.int64],
    draws: int,
    unit: Unit,
    seed: int,
    workers: Workers,
    progress: Callable[[int], None] | None,
) -> FloatArray:
    """(slope, intercept) of each quantity in each resample, (draws, 3, 2).

    A frontier does not change when a row is there twice, so a resample is the set of rows it drew. One
    with fewer than two frontier points has no line and is left out.
    """

    def one(chunk: int) -> list[FloatArray]:
        weights = draw_weights(codes, unit, seed, chunk)[: draws - chunk * CHUNK]
        return [lines(np.flatnonzero(w))[1] for w in weights]

    chunks = range(-(-draws // CHUNK))
    parts = run_chunks(
        one, chunks, workers, None if progress is None else lambda n: progress(min(draws, n * CHUNK))
    )
    every = np.array([line for part in parts for line in part])
    return np.asarray(every[np.isfinite(every).all((1, 2))])


def check_frontier(table: RunTable, method: Method, points: int, sizes: FloatArray | None) -> None:
    """Raise `InvalidRequest` where a frontier of `points` cannot say how models grow: `sizes` (n,), None if unknown."""
    which = f"{table.dataset} ({table.selection})"
    if points < 2:
        have = "no point" if points == 0 else "one point"
        raise InvalidRequest(
            f"the frontier by {method} of {which} has {have}: a line needs two or more; add runs, or checkpoints "
            "of them"
        )
    if sizes is not None and math.isclose(sizes.min(), sizes.max(), rel_tol=1e-9):
        raise InvalidRequest(
            f"every model of {which} has {format_quantity(float(sizes[0]))} parameters: the frontier cannot say "
            "how size grows; add runs of other sizes"
        )
