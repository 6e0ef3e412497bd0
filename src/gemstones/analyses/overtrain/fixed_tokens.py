"""The best shape on a given number of tokens within a budget, exactly.

Looked for is the least sum of the law's terms on so many tokens, among the shapes that the budget trains on them:
cost per token ≤ (budget - inference) / T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints
from gemstones.laws.columns import SHAPE_COLUMNS
from gemstones.laws.law import Law
from gemstones.planning.cost import Cost
from gemstones.planning.sight import TOKENS, log_columns, sum_of_terms
from gemstones.shape import FloatArray, Shape, Shapes
from gemstones.units import Interval


@dataclass(frozen=True)
class Design:
    """What is trained on how many tokens."""

    tokens: float
    params: float
    """In the law's convention."""
    spent: float
    """Of the budget, in its resource; inference included."""
    shape: Shape | None = None
    """None for a law that does not know shapes."""
    edges: tuple[str, ...] = ()
    """Edges of the search that the shape lies on."""

    def log_columns(self, law: Law) -> FloatArray:
        """Logarithms of the law's symbols, (k,)."""
        values = {TOKENS: self.tokens, "N": self.params}
        if self.shape is not None:
            shapes = Shapes.of(self.shape.width, self.shape.depth, self.shape)
            values |= {
                symbol: float(SHAPE_COLUMNS[column](shapes))
                for symbol, column in zip(law.symbols, law.columns, strict=True)
                if symbol not in values
            }
        return np.log([values[symbol] for symbol in law.symbols])


@dataclass(frozen=True, eq=False)
class FixedTokens:
    """Every feasible shape: on how many tokens the budget trains it, and what the law sees of it."""

    law: Law
    cost: Cost
    constraints: Constraints
    widths: FloatArray
    depths: FloatArray
    tokens: FloatArray
    """(widths, depths); 0 where inference takes the whole budget, and for shapes that are left out."""
    log_columns: tuple[FloatArray | None, ...]
    """Of the law's symbols, None for T; each broadcasts to (widths, depths)."""

    @classmethod
    def of(
        cls,
        law: Law,
        budget: float,
        constraints: Constraints,
        cost: Cost,
        aspect_ratios: Interval | None = None,
    ) -> FixedTokens:
        """For a law whose other terms a shape determines; of shapes within `aspect_ratios` only, if given."""
        column, row = constraints.grid()
        shapes = Shapes.of(column, row, constraints.template)
        tokens = cost.tokens(shapes, budget)
        if aspect_ratios is not None:
            low, high = aspect_ratios
            tokens = np.where((shapes.aspect_ratio >= low) & (shapes.aspect_ratio <= high), tokens, 0.0)
        return cls(law, cost, constraints, column[:, 0], row[0], tokens, log_columns(law, shapes))

    def all_of_it(self, shape: Shape) -> Design:
        """The design that spends the whole budget on a shape of the search."""
        i = int(np.searchsorted(self.widths, shape.width))
        j = int(np.searchsorted(self.depths, shape.depth))
        return self._design(i, j, float(self.tokens[i, j]))

    def best(self, tokens: float) -> Design | None:
        """The shape of least loss on exactly `tokens`; None if the budget trains none on so many."""
        log_tokens = np.log(np.array([[tokens]]))
        columns = [log_tokens if column is None else column for column in self.log_columns]
        total = np.where(self.tokens >= tokens, sum_of_terms(self.law, self.law.theta, columns), np.inf)
        i, j = (int(x) for x in np.unravel_index(int(total.argmin()), total.shape))
        return self._design(i, j, tokens) if np.isfinite(total[i, j]) else None

    @property
    def most_tokens(self) -> float:
        """What the budget buys of the cheapest shape."""
        return float(self.tokens.max())

    def _design(self, i: int, j: int, tokens: float) -> Design:
        shape = self.constraints.shape(int(self.widths[i]), int(self.depths[j]))
        one = Shapes.of(shape.width, shape.depth, shape)
        return Design(
            tokens=tokens,
            params=float(params(shape, self.law.params_convention)),
            spent=float(self.cost.per_token(one) * tokens + self.cost.inference(one)),
            shape=shape,
            edges=self._edges(i, j),
        )

    def _edges(self, i: int, j: int) -> tuple[str, ...]:
        """A single value was asked for, and no depth is below 1: these are no edges."""
        edges = []
        for name, position, values in (("width", i, self.widths), ("depth", j, self.depths)):
            if len(values) > 1 and position == 0 and values[0] > 1:
                edges.append(f"{name}_min")
            if len(values) > 1 and position == len(values) - 1:
                edges.append(f"{name}_max")
        return tuple(edges)
