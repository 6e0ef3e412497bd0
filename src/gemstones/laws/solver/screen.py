"""Finding the basin: variable projection on a grid of exponents.

With exponents, p and E fixed a law is linear in its coefficients, (L̂ − exp(E))^(1/p) = Σ a_i·x_i^(−e_i), and relative
residuals of it, times the slope of log L in its logarithm, are close to the log residuals that the objective sees. So
for every point on a small grid the non-negative least-squares coefficients are found exactly, all from a few Gram
matrices; where p is 1, exp(E) is one more coefficient. The most promising points are reweighted twice towards the
objective's absolute values and then ranked by the objective itself.

Golub & Pereyra 1973 is the idea; the grid replaces their outer iteration because the objective has several basins and
the grid sees them all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gemstones.laws.solver.derivatives import evaluate, huber_sum, log_terms
from gemstones.laws.solver.nonnegative import nonnegative
from gemstones.laws.solver.system import System
from gemstones.shape import FloatArray, IntArray

EXPONENTS: dict[int, tuple[float, ...]] = {
    1: (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.8, 2.5, 3.5),
    2: (0.05, 0.15, 0.25, 0.35, 0.45, 0.6, 0.8, 1.1, 1.8, 3.0),
    3: (0.08, 0.2, 0.35, 0.5, 0.7, 1.0, 2.0),
    4: (0.1, 0.25, 0.4, 0.6, 0.9),
    5: (0.15, 0.4, 0.9),
    6: (0.15, 0.4, 0.9),
}
"""Exponents tried, by how many there are: fewer where there are more to combine."""
MANY_EXPONENTS = (0.25, 0.6)
MOST_POINTS = 2048
"""Points of the grid; of a larger one, so many at random."""
POWERS = ((1.0, ()), (0.65, (0.0, 0.4, 0.7)), (0.45, (0.0, 0.4, 0.7)), (0.3, (0.0, 0.4)), (0.2, (0.0,)))
"""p that are tried, each with exp(E) as shares of the least loss; with p = 1 it is fitted instead."""
TYPICAL_SLOPE = 0.6
"""p·(1 − exp(E)/L) at which the grid of exponents is meant: it is stretched where the slope is less."""
REWEIGHTINGS = 2
KEPT = 48
"""Candidates that are reweighted and ranked."""
KEPT_EACH = 6
"""Of every p and E that is tried."""
APART = 4
"""Steps on the grid, summed over terms, between starts that are worth polishing both."""
LEAST_SHARE = 1e-3
"""Of a typical row: no term starts dead, since its logarithm would then have no gradient to revive it."""
TOGETHER = 4096
"""Points of the grid, of all problems that are screened together, about: small steps of NumPy cost the same for one
problem as for many, until their arrays leave the processor's cache."""
EVALUATED_ROWS = 32_768
"""Rows of all starting points that are ranked together, about."""
SCREENED_ROWS = 1024
"""Rows that are looked at, at most."""


@dataclass(frozen=True, eq=False)
class Screened:
    """Starting points, best first."""

    theta: FloatArray
    """(count, m), internal."""
    value: FloatArray
    """(count,): objectives."""
    steps: IntArray
    """(count, axes): where each is on the grid; p and E are the last two axes."""

    def diverse(self, count: int) -> FloatArray:
        """Up to `count` of them, each `APART` steps or more from the others.

        The best points of a screen crowd into one basin: of 128 resamples by run of a four-term law, four polished
        starts reached the best of eighty in 89% when they were the four best, and in 95% when they were apart.
        """
        near = np.abs(self.steps[:, None] - self.steps).sum(2) < APART
        chosen: list[int] = []
        free = np.ones(len(self.theta), bool)
        while free.any() and len(chosen) < count:
            chosen.append(int(free.argmax()))
            free &= ~near[chosen[-1]]
            free[chosen[-1]] = False
        return self.theta[chosen]


@dataclass(frozen=True, eq=False)
class _Axis:
    """One dimension of the grid: values (v, q) of `parameters` (q,)."""

    parameters: IntArray
    values: FloatArray
    exponent: bool
    """Whether the values are stretched where the slope of log L in log S is small."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """What is tried of everything but coefficients, p and E."""

    axes: tuple[_Axis, ...]
    points: IntArray
    """(M, axes): which value of each."""
    coefficients: tuple[IntArray, ...]
    """By column of the least squares: the parameters that are its coefficient."""
    column: IntArray
    """(k,): the column that each term belongs to, −1 for a term without a free coefficient."""


class Screen:
    """The grid of one system, and what of it does not depend on row weights.

    At most `SCREENED_ROWS` rows are looked at, chosen once.
    """

    def __init__(self, system: System, delta: float, above: float = 1.0) -> None:
        rows = np.arange(system.rows)
        if len(rows) > SCREENED_ROWS:
            rows = np.sort(np.random.default_rng(0).choice(rows, SCREENED_ROWS, replace=False))
            system = system.taken(rows)
        self.rows, self.system, self.delta, self.above = rows, system, delta, above
        self._grid = _grid(system)
        self._slices = [_sliced(system, self._grid, p, share) for p, share in _powers(system)]

    def best(self, weights: FloatArray | None = None, keep: int = KEPT) -> Screened:
        """The `keep` best starting points, each row counted `weights` (n,) times (default: the system's own)."""
        return self.best_of_each(None if weights is None else weights[None], keep)[0]

    def best_of_each(self, weights: FloatArray | None, keep: int = KEPT) -> list[Screened]:
        """The `keep` best starting points under each of `weights` (R, n), as if it were alone."""
        system = self.system
        if weights is None:
            counts = (np.ones(system.rows) if system.weights is None else system.weights)[None]
        else:
            counts = weights[:, self.rows]
        largest = max(len(self._grid.points), keep * (len(system.terms) + 1) * system.rows // 64)
        return [
            screened
            for some in np.array_split(counts, -(-len(counts) // max(1, TOGETHER // largest)))
            for screened in self._best(some, keep)
        ]

    def _best(self, counts: FloatArray, keep: int) -> list[Screened]:
        system, slices = self.system, self._slices
        each = keep if len(slices) == 1 else max(KEPT_EACH, -(-keep // len(slices)))
        theta, steps = [], []
        for number, piece in enumerate(slices):
            found, which = _linear(system, self._grid, piece, counts, self.delta, each)
            theta.append(found)
            apart = np.full((*which.shape, 1), APART * number)
            steps.append(np.concatenate([self._grid.points[which], apart], axis=2))
        starts, places = np.concatenate(theta, axis=1), np.concatenate(steps, axis=1)
        value = self._values(starts, counts)
        order = np.argsort(np.where(np.isfinite(value), value, np.inf), axis=1, kind="stable")[:, :keep]
        return [Screened(starts[r, kept], value[r, kept], places[r, kept]) for r, kept in enumerate(order)]

    def _values(self, starts: FloatArray, counts: FloatArray) -> FloatArray:
        """Objectives (R, c) of starts (R, c, m), rows counted `counts` (R, n) times."""
        many, each, _ = starts.shape
        flat, problem = starts.reshape(many * each, -1), np.repeat(np.arange(many), each)
        value = np.empty(many * each)
        size = max(1, EVALUATED_ROWS // self.system.rows)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for block in (slice(i, i + size) for i in range(0, len(flat), size)):
                residuals = evaluate(self.system, flat[block]).residuals
                delta = np.full(len(residuals), self.delta)
                value[block] = huber_sum(residuals, delta, counts[problem[block]], self.above)
        return value.reshape(many, each)


def _powers(system: System) -> Iterator[tuple[float, float | None]]:
    """p, and exp(E) as a share of the least loss (None where it is fitted along, or no parameter)."""
    if not system.outer:
        yield system.power, (None if system.power == 1.0 or not system.constants else 0.0)
        if system.power != 1.0 and system.constants:
            yield from ((system.power, share) for share in (0.3, 0.6))
        return
    low, high = (
        np.exp(bound[-1])
        for bound in (system.problem.lower[system.order], system.problem.upper[system.order])
    )
    powers = [(p, shares) for p, shares in POWERS if low <= p <= high] or [
        (float(np.clip(1.0, low, high)), (0.0, 0.4))
    ]
    for p, shares in powers:
        if p == 1.0 or not system.constants:
            yield p, (None if p == 1.0 else 0.0)
        else:
            yield from ((p, share) for share in shares)


def _grid(system: System) -> _Grid:
    exponents = set(system.kind("exponent").tolist())
    in_terms = {int(i) for term in system.terms for i in (*term.index, *term.inner_index)}
    searched = sorted(exponents & in_terms - system.departures)
    few = EXPONENTS.get(len(searched), MANY_EXPONENTS)
    axes = []
    for i in searched:
        signed = (*few, *(-x for x in few[1::2])) if system.lower[i] < 0 else few
        values = np.unique(np.clip(signed, system.lower[i], system.upper[i]))
        axes.append(_Axis(np.array([i]), values[:, None], exponent=True))
    for term in system.terms:
        if term.inner is not None:
            at = [
                j
                for j, i in enumerate(term.inner_index)
                if i >= 0 and i not in exponents and not any(i in axis.parameters for axis in axes)
            ]
            if at:
                values = np.unique(np.asarray(term.inner.starts, np.float64)[:, at], axis=0)
                axes.append(_Axis(term.inner_index[at], values, exponent=False))
    sizes = [len(axis.values) for axis in axes]
    if math.prod(sizes) > MOST_POINTS:
        points = np.random.default_rng(0).integers(0, sizes, (MOST_POINTS, len(sizes)))
    else:
        points = np.array(list(itertools.product(*map(range, sizes))), np.int64).reshape(
            math.prod(sizes), len(sizes)
        )

    is_coefficient = set(system.kind("coefficient").tolist())
    of_term = [tuple(sorted(is_coefficient & set(term.index.tolist()))) for term in system.terms]
    columns = sorted(set(of_term) - {()})
    return _Grid(
        tuple(axes),
        points,
        tuple(np.array(column) for column in columns),
        np.array([columns.index(c) if c else -1 for c in of_term]),
    )


@dataclass(frozen=True, eq=False)
class _Slice:
    """The grid at one p and E."""

    power: float
    constant: float
    """exp(E) of rows where it is a parameter and not fitted along."""
    fitted: bool
    """Whether exp(E) is fitted along: the last row of `tables`."""
    stretch: float
    slope: FloatArray
    """(n,): of log L in log S."""
    tables: FloatArray
    """(r, n): every term without its coefficient, over the target, for all values of its own axes."""
    points: IntArray
    """(M, k or k + 1): the table rows of each point of the grid."""
    joined: FloatArray
    """(k or k + 1, columns): which column of the least squares each belongs to."""
    given: FloatArray
    """(k or k + 1,): 1 for terms without a free coefficient."""


def _sliced(system: System, grid: _Grid, power: float, share: float | None) -> _Slice:
    loss = np.exp(system.log_loss)
    known, fitted = _known_constant(system, loss, share)
    rest = np.maximum(loss - known, 1e-3 * loss)
    slope = power * rest / loss
    log_target = np.log(rest) / power
    stretch = max(1.0, TYPICAL_SLOPE / float(slope.mean())) if system.outer else 1.0
    tables, points = _tables(system, grid, log_target, stretch)
    column = grid.column
    if fitted is not None:
        tables = np.concatenate([tables, (fitted * np.exp(-log_target))[None]])
        points = np.column_stack([points, np.full(len(points), len(tables) - 1)])
        column = np.append(column, len(grid.coefficients))
    joined = np.eye(len(grid.coefficients) + (fitted is not None))[column] * (column >= 0)[:, None]
    return _Slice(
        power=power,
        constant=0.0 if share is None else share * float(loss.min()),
        fitted=fitted is not None,
        stretch=stretch,
        slope=slope,
        tables=tables,
        points=points,
        joined=joined,
        given=(column < 0).astype(float),
    )


def _linear(
    system: System, grid: _Grid, piece: _Slice, counts: FloatArray, delta: float, keep: int
) -> tuple[FloatArray, IntArray]:
    """The best `keep` points of a slice under each of `counts` (R, n): internal θ (R, keep, m), and their numbers."""
    tables, points, joined, given = piece.tables, piece.points, piece.joined, piece.given
    importance = counts * piece.slope**2
    gram, moment = np.matmul(tables * importance[:, None], tables.T), importance @ tables.T
    coefficients, squares = _projected(
        gram[:, points[:, :, None], points[:, None, :]], moment[:, points], joined, given
    )
    best = np.argsort(squares, axis=1, kind="stable")[:, :keep]
    coefficients, rows = np.take_along_axis(coefficients, best[:, :, None], 1), tables[points[best]]
    for _ in range(REWEIGHTINGS if math.isfinite(delta) else 0):
        fitted = np.matmul((coefficients @ joined.T + given)[:, :, None], rows)[:, :, 0]
        weight = importance[:, None] / np.maximum(piece.slope * np.abs(1 - fitted), delta)
        weighted = rows * weight[:, :, None]
        coefficients, _ = _projected(np.matmul(weighted, rows.swapaxes(2, 3)), weighted.sum(3), joined, given)

    theta = np.zeros((*best.shape, system.parameters))
    for number, axis in enumerate(grid.axes):
        values = axis.values[grid.points[best, number]] * (piece.stretch if axis.exponent else 1.0)
        theta[:, :, axis.parameters] = values
    typical = np.matmul(np.matmul(joined.T, rows), counts[:, None, :, None])[..., 0]
    typical /= counts.sum(1)[:, None, None]
    for number, parameters in enumerate(grid.coefficients):
        floor = LEAST_SHARE / np.maximum(typical[:, :, number], 1e-300)
        theta[:, :, parameters] = np.log(np.maximum(coefficients[:, :, number], floor))[:, :, None]
    constants = slice(system.linear, system.linear + system.constants)
    theta[:, :, constants] = coefficients[:, :, -1:] if piece.fitted else piece.constant
    if system.outer:
        theta[:, :, -1] = np.log(piece.power)
    return np.clip(theta, system.lower, system.upper), best


def _known_constant(
    system: System, loss: FloatArray, share: float | None
) -> tuple[FloatArray, FloatArray | None]:
    """exp(E) of each row as far as it is known, and where (n,) it is to be fitted along (None: nowhere)."""
    fixed = np.zeros(len(loss)) if system.fixed_constant is None else system.fixed_constant
    if not system.constants:
        return fixed, None
    free = np.ones(len(loss), bool) if system.group is None else system.group >= 0
    if share is None:
        return fixed, free.astype(float)
    return np.where(free, share * loss.min(), fixed), None


def _tables(
    system: System, grid: _Grid, log_target: FloatArray, stretch: float
) -> tuple[FloatArray, IntArray]:
    """Every term without its coefficient over the target, (rows, n), for all values of its own axes together; and
    (M, k): the row of each term at each point of the grid."""
    tables, row_of, begin = [], [], 0
    for term in system.terms:
        mine = [
            a
            for a, axis in enumerate(grid.axes)
            if np.isin(axis.parameters, np.concatenate([term.index, term.inner_index])).any()
        ]
        sizes = [len(grid.axes[a].values) for a in mine]
        local = np.array(list(itertools.product(*map(range, sizes))), np.int64).reshape(
            math.prod(sizes), len(sizes)
        )
        theta = np.zeros((len(local), system.parameters))
        for axis, at in zip((grid.axes[a] for a in mine), local.T, strict=True):
            values = axis.values[at] * (stretch if axis.exponent else 1.0)
            theta[:, axis.parameters] = np.clip(
                values, system.lower[axis.parameters], system.upper[axis.parameters]
            )
        with np.errstate(over="ignore"):
            tables.append(np.minimum(np.exp(log_terms(term, theta) - log_target), 1e150))
        number = np.zeros(len(grid.points), np.int64)
        for a, size in zip(mine, sizes, strict=True):
            number = number * size + grid.points[:, a]
        row_of.append(begin + number)
        begin += len(local)
    return np.concatenate(tables), np.column_stack(row_of)


def _projected(
    gram: FloatArray, moment: FloatArray, joined: FloatArray, given: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Non-negative least squares (R, M, columns) of columns that are sums of terms, some terms being given, and the
    objectives (R, M) up to a constant; `gram` is (R, M, k, k) and `moment` (R, M, k)."""
    squares = np.zeros(moment.shape[:2])
    if given.any():
        squares = np.einsum("rmij,i,j->rm", gram, given, given) - 2 * moment @ given
        moment = moment - gram @ given
    if joined.shape[0] != joined.shape[1] or not (joined == np.eye(len(joined))).all():
        gram, moment = np.matmul(np.matmul(joined.T, gram), joined), moment @ joined
    columns = moment.shape[2]
    coefficients, lowest = nonnegative(gram.reshape(-1, columns, columns), moment.reshape(-1, columns))
    return coefficients.reshape(moment.shape), squares + lowest.reshape(squares.shape)
