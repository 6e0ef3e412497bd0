"""The predicted loss of every feasible shape at a budget, exactly.

For a budget and a shape, the tokens are closed form, T = budget / cost per token, less what inference takes; so the
loss is a function of the shape alone and the optimum over shapes is a minimum over an array. A quarter of a
million shapes take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from gemstones.design.feasible import Constraints
from gemstones.laws.columns import SHAPE_COLUMNS
from gemstones.laws.law import Law
from gemstones.planning.blocks import Blocks, Extremes, blocks_of
from gemstones.planning.cost import FLOPS, Cost
from gemstones.planning.sight import TOKENS, log_columns, loss_of_sum, sight, sum_of_terms
from gemstones.shape import BoolArray, FloatArray, IntArray, Shape, Shapes

COARSE_RATIO = 1.08
"""Step of the first pass of `minimise`, in width and in depth."""
REACH = 4
"""Steps around its best that the second pass covers: along the valley of equal FLOPs neighbouring widths differ
by a thousandth of a percent of loss, so the first pass may be a few steps off."""
TOGETHER = 65_536
"""Losses that are computed at once: as many as stay near the processor."""
ROUNDING = 1e-12
"""How far bounds of blocks may be off, relative."""
EVERYWHERE = slice(None)


@dataclass(frozen=True, eq=False)
class Surface:
    """Logs of the law's columns and costs, over widths (rows) and depths (columns)."""

    law: Law
    widths: FloatArray
    depths: FloatArray
    log_columns: tuple[FloatArray | None, ...]
    """One array for each of the law's symbols, None for T; each broadcasts to (widths, depths)."""
    log_cost_per_token: FloatArray
    inference: FloatArray | None
    """What is left of the budget for training is less this; None for nothing."""
    template: Shape
    """Has the other fields of the shapes."""
    outside: BoolArray | None = None
    """Shapes of the grid that are not searched; None for none."""
    blocks: Blocks | None = None
    """What bounds the sum of terms over blocks of the grid, if known."""

    @classmethod
    def of(
        cls,
        law: Law,
        widths: FloatArray,
        depths: FloatArray,
        constraints: Constraints,
        cost: Cost = FLOPS,
        aspect_ratios: tuple[float, float] | None = None,
    ) -> Surface:
        """For a law over a grid; raises `InvalidRequest` if a shape does not determine its columns.

        With `aspect_ratios` (width over depth, least and most) only the shapes between them are searched.
        """
        shapes = Shapes.of(widths[:, None], depths[None, :], constraints.template)
        return cls(
            law,
            widths,
            depths,
            log_columns(law, shapes),
            np.log(cost.per_token(shapes)),
            cost.inference(shapes) if cost.inference_tokens else None,
            constraints.template,
            _outside(shapes, aspect_ratios),
        )

    @classmethod
    def searched(
        cls,
        law: Law,
        constraints: Constraints,
        cost: Cost = FLOPS,
        aspect_ratios: tuple[float, float] | None = None,
    ) -> Surface:
        """As `of`, over every shape of the constraints; what laws and costs of one search share is computed once."""
        sight(law)
        column, row = constraints.grid()
        shapes = Shapes.of(column, row, constraints.template)
        return cls(
            law,
            column[:, 0],
            row[0],
            tuple(
                None if symbol == TOKENS else _log_column(name, constraints)
                for symbol, name in zip(law.symbols, law.columns, strict=True)
            ),
            _log_cost(cost, constraints),
            cost.inference(shapes) if cost.inference_tokens else None,
            constraints.template,
            _outside(shapes, aspect_ratios),
            Blocks(
                blocks_of(column[:, 0]),
                blocks_of(row[0]),
                tuple(
                    None if symbol == TOKENS else _column_extremes(name, constraints)
                    for symbol, name in zip(law.symbols, law.columns, strict=True)
                ),
                _cost_extremes(cost, constraints),
            ),
        )

    def left(self, budget: float, rows: slice = EVERYWHERE, columns: slice = EVERYWHERE) -> FloatArray:
        """What inference leaves for training: one number, or (rows, columns); may be negative."""
        return np.asarray(budget if self.inference is None else budget - self.inference[rows, columns])

    def part(self, rows: slice | IntArray, columns: slice | IntArray) -> Surface:
        """The surface over some of its widths and depths."""

        return replace(
            self,
            widths=self.widths[rows],
            depths=self.depths[columns],
            log_columns=tuple(
                None if column is None else _window(column, rows, columns) for column in self.log_columns
            ),
            log_cost_per_token=self.log_cost_per_token[rows][:, columns],
            inference=None if self.inference is None else self.inference[rows][:, columns],
            outside=None if self.outside is None else self.outside[rows][:, columns],
            blocks=None,
        )

    def at_cost(self, cost: Cost) -> Surface:
        """The same shapes at another cost."""
        shapes = Shapes.of(self.widths[:, None], self.depths[None, :], self.template)
        return replace(
            self,
            log_cost_per_token=np.log(cost.per_token(shapes)),
            inference=cost.inference(shapes) if cost.inference_tokens else None,
            blocks=None,
        )

    def sum(self, theta: FloatArray, budget: float, rows: slice, columns: slice) -> FloatArray:
        """The sum of the law's terms on a window of the grid, (rows, columns), for θ (m,): least where loss is; for
        θ (D, m), (D, rows, columns).

        Infinite where no token is left.
        """
        left = self.left(budget, rows, columns)
        unaffordable = left <= 0
        if self.outside is not None:
            unaffordable = unaffordable | self.outside[rows, columns]
        tokens = np.log(np.where(unaffordable, 1.0, left)) - self.log_cost_per_token[rows, columns]
        windows = [
            tokens if column is None else _window(column, rows, columns) for column in self.log_columns
        ]
        total = np.broadcast_to(sum_of_terms(self.law, theta, windows), (*theta.shape[:-1], *tokens.shape))
        return np.where(unaffordable, np.inf, total) if np.any(unaffordable) else total

    def loss(self, theta: FloatArray, budget: float, rows: slice, columns: slice) -> FloatArray:
        """Predicted loss on a window of the grid, (rows, columns), for θ (m,); infinite where no token is left."""
        return loss_of_sum(self.law, theta, self.sum(theta, budget, rows, columns))

    @cached_property
    def _first_pass(self) -> tuple[IntArray, IntArray, Surface]:
        """The rows and columns of the first pass of `minimise`, and the surface over them."""
        rows, columns = _coarse(self.widths), _coarse(self.depths)
        return rows, columns, self.part(rows, columns)

    def minimise(self, theta: FloatArray, budget: float, cost: Cost | None = None) -> IntArray:
        """Row and column (D, 2) of the least loss under each θ (D, m): a coarse pass over the whole grid, then all
        around its best.

        Used for bootstrap draws, whose `cost` may be their own; a prescription itself is the minimum over every
        shape.
        """
        rows, columns, coarse = self._first_pass
        first, place = np.unique(coarse.least(theta, budget, cost), axis=0, return_inverse=True)
        at = np.zeros((len(theta), 2), np.int64)
        for number, (i, j) in enumerate(first):
            draws = np.flatnonzero(place.reshape(-1) == number)
            near, deep = _around(rows, i), _around(columns, j)
            found = self.part(near, deep).least(theta[draws], budget, cost)
            at[draws] = np.add(found, (near.start, deep.start))
        return at

    def least_of_all(self, theta: FloatArray, budget: float) -> IntArray:
        """Row and column (2,) of the least sum of terms for θ (m,) over every shape.

        Blocks that cannot hold it are passed over (`gemstones.planning.blocks`), which finds the same.
        """
        best = (np.inf, 0, 0)
        for bound, rows, columns in self._blocks(theta, budget):
            if bound > best[0] * (1 + ROUNDING):
                break
            total = self.sum(theta, budget, rows, columns)
            row, column = (int(i) for i in np.unravel_index(int(total.argmin()), total.shape))
            best = min(best, (float(total[row, column]), rows.start + row, columns.start + column))
        return np.array(best[1:], np.int64)

    def _blocks(self, theta: FloatArray, budget: float) -> Iterator[tuple[float, slice, slice]]:
        """The grid in blocks, by what the sum of terms is at least in each, ascending."""
        blocks = self.blocks
        least = None if blocks is None else blocks.bounds(self.law, theta, budget)
        if blocks is None or least is None:  # as many shapes at once as stay near the processor
            step = max(1, TOGETHER // len(self.depths))
            for begin in range(0, len(self.widths), step):
                yield -np.inf, slice(begin, begin + step), slice(0, len(self.depths))
            return
        for block in np.argsort(least, axis=None, kind="stable"):
            i, j = np.unravel_index(block, least.shape)
            yield float(least[i, j]), blocks.rows[i], blocks.columns[j]

    def least(self, theta: FloatArray, budget: float, cost: Cost | None = None) -> IntArray:
        """Row and column (D, 2) of the least sum of terms on the whole of this surface, under each θ (D, m)."""
        priced = self if cost is None else self.at_cost(cost)
        size = self.log_cost_per_token.size
        at = np.zeros(len(theta), np.int64)
        step = max(1, TOGETHER // size)
        for begin in range(0, len(theta), step):
            total = priced.sum(theta[begin : begin + step], budget, EVERYWHERE, EVERYWHERE)
            at[begin : begin + step] = total.reshape(-1, size).argmin(1)
        return np.stack(np.unravel_index(at, self.log_cost_per_token.shape), axis=-1)


@lru_cache(maxsize=4)
def _log_column(name: str, constraints: Constraints) -> FloatArray:
    return np.asarray(np.log(SHAPE_COLUMNS[name](_every(constraints))))


@lru_cache(maxsize=4)
def _log_cost(cost: Cost, constraints: Constraints) -> FloatArray:
    return np.asarray(np.log(cost.per_token(_every(constraints))))


@lru_cache(maxsize=64)
def _column_extremes(name: str, constraints: Constraints) -> Extremes:
    return _extremes(_log_column(name, constraints), constraints)


@lru_cache(maxsize=64)
def _cost_extremes(cost: Cost, constraints: Constraints) -> Extremes:
    return _extremes(_log_cost(cost, constraints), constraints)


def _extremes(values: FloatArray, constraints: Constraints) -> Extremes:
    column, row = constraints.grid()
    return Extremes.of(values, blocks_of(column[:, 0]), blocks_of(row[0]))


def _every(constraints: Constraints) -> Shapes:
    return Shapes.of(*constraints.grid(), constraints.template)


def _outside(shapes: Shapes, aspect_ratios: tuple[float, float] | None) -> BoolArray | None:
    if aspect_ratios is None:
        return None
    return np.asarray((shapes.aspect_ratio < aspect_ratios[0]) | (shapes.aspect_ratio > aspect_ratios[1]))


def _window(column: FloatArray, rows: slice | IntArray, columns: slice | IntArray) -> FloatArray:
    """Part of a column that may vary along one axis only (width, depth): one exponential per width then."""
    part = column[rows] if column.shape[0] > 1 else column
    return part[:, columns] if column.shape[1] > 1 else part


def _coarse(values: FloatArray) -> IntArray:
    """Indices of values about `COARSE_RATIO` apart, the ends included."""
    count = int(np.log(values[-1] / values[0]) / np.log(COARSE_RATIO)) + 2
    return np.unique(np.searchsorted(values, np.geomspace(values[0], values[-1], count).clip(max=values[-1])))


def _around(indices: IntArray, position: int) -> slice:
    """From `REACH` steps of the first pass before `indices[position]` to as many after it."""
    low, high = max(position - REACH, 0), min(position + REACH, len(indices) - 1)
    return slice(int(indices[low]), int(indices[high]) + 1)
