"""A problem made ready for computing: free parameters only, in coordinates that make it well behaved.

Fixed parameters go into the offsets. Log coefficients are centred: with c' = c + Σ e·mean(z), c' is the log of the
term at a typical row, nearly uncorrelated with e, and no exponential can overflow on the way. Where a term takes few
distinct values over the rows (22 parameter counts in 770 rows), it is computed for those alone.

A constant is exp(E) itself, so that a law without one is at a bound, not at the end of a valley. Internally the
parameters are ordered: first the log coefficients that are one term's own (their derivative is the term's share), then
the other linear and inner ones, then the constants, then log p.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gemstones.laws.solver.chart import Chart
from gemstones.laws.solver.problem import Inner, Problem
from gemstones.shape import FloatArray, IntArray

WORTH_GATHERING = 0.5
"""Share of distinct values under which a term is computed for those and gathered: a gathered number costs a seventh
of an exponential."""
LEAST_CONSTANT = 1e-13
"""Where exp(E) is zero, E is the log of this."""
CAPS = {"exponent": 0.5, "coefficient": 3.0, "constant": 1.0, "outer": 0.5, "inner": 1.0}
"""Largest step by kind: the quadratic model means nothing beyond."""


@dataclass(frozen=True, eq=False)
class CompiledTerm:
    """One term: η = offset + θ[index] @ z (+ inner), of the distinct values, then of every row by `inverse`."""

    index: IntArray
    """(q,): internal numbers of its linear parameters."""
    z: FloatArray
    """(q, v) of v distinct values, or of rows."""
    offset: FloatArray
    """(v,)"""
    inverse: IntArray | None
    """(n,): the distinct value of each row; None where they are the rows."""
    rows: tuple[tuple[int, FloatArray], ...]
    """Linear parameters other than the own coefficient, each with its z (n,)."""
    pairs: tuple[IntArray, IntArray]
    """Internal numbers a and b of the pairs of linear parameters, each pair once, a before b in the order of z."""
    products: FloatArray
    """(n, pairs): z_a·z_b."""
    inner: Inner | None
    inner_index: IntArray
    """Internal numbers of the inner's free parameters, and −1 for fixed ones."""
    inner_fixed: FloatArray
    """Values of the inner's fixed parameters, 0 for free ones."""

    def taken(self, rows: IntArray) -> CompiledTerm:
        """The term in some rows."""
        inner = None if self.inner is None else self.inner.taken(rows)
        by_row = tuple((i, z[rows]) for i, z in self.rows)
        changed = replace(self, rows=by_row, products=self.products[rows], inner=inner)
        values, inverse = rows, None
        if self.inverse is not None:
            values, inverse = np.unique(self.inverse[rows], return_inverse=True)
            if len(values) > WORTH_GATHERING * len(rows):
                values, inverse = self.inverse[rows], None
        z = np.ascontiguousarray(self.z[:, values])
        return replace(changed, z=z, offset=self.offset[values], inverse=inverse)

    def every_row(self) -> Iterator[tuple[int, FloatArray]]:
        """Each linear parameter with its z (n,)."""
        for i, z in zip(self.index, self.z, strict=True):
            yield int(i), z if self.inverse is None else z[self.inverse]


@dataclass(frozen=True, eq=False)
class System:
    """What the solver computes with; m is the number of free parameters."""

    problem: Problem
    log_loss: FloatArray
    terms: tuple[CompiledTerm, ...]
    """Those without an own coefficient first."""
    foreign: int
    """Terms without an own coefficient."""
    linear: int
    """Parameters in terms: the first of the order."""
    constants: int
    """Parameters that are constants, after those."""
    group: IntArray | None
    """(n,): the constant of each row, −1 for none, where they differ; None where there is one, or none."""
    fixed_constant: FloatArray | None
    """(n,): exp(E) where it is no parameter; None where that is nowhere."""
    outer: bool
    """Whether log p is the last parameter."""
    power: float
    """p where it is no parameter."""
    order: IntArray
    """(m,): number in the problem of each internal parameter."""
    base: FloatArray
    """(parameters of the problem,): θ at internal zero."""
    transform: FloatArray
    """(parameters of the problem, m)"""
    shift: FloatArray
    """(m,): what centring adds to the problem's own values, apart from `mixing`."""
    mixing: FloatArray
    """(m, m): internal = mixing @ own + shift."""
    lower: FloatArray
    upper: FloatArray
    caps: FloatArray
    spread: FloatArray
    """(m,): standard deviation of a linear parameter's z over rows; 1 for others."""
    weights: FloatArray | None
    chart: Chart | None
    departures: frozenset[int]
    """Parameters that make the law more than the simpler one that it starts from."""

    def taken(self, rows: IntArray) -> System:
        """The system of some rows, in the same coordinates."""
        return replace(
            self,
            log_loss=self.log_loss[rows],
            terms=tuple(term.taken(rows) for term in self.terms),
            group=None if self.group is None else self.group[rows],
            fixed_constant=None if self.fixed_constant is None else self.fixed_constant[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    @cached_property
    def places_of_pairs(self) -> FloatArray:
        """Where in a Hessian the second moments of all terms' `pairs` belong, (pairs, m·m): 1 at both places."""
        m = self.parameters
        a, b = (np.concatenate([term.pairs[side] for term in self.terms]) for side in (0, 1))
        places, pair = np.zeros((len(a), m * m)), np.arange(len(a))
        places[pair, a * m + b] = places[pair, b * m + a] = 1.0
        return places

    @property
    def rows(self) -> int:
        """n, the number of observations."""
        return len(self.log_loss)

    @property
    def parameters(self) -> int:
        """m, the number of free parameters."""
        return len(self.order)

    def physical(self, theta: FloatArray) -> FloatArray:
        """Internal θ (B, m) → θ (B, parameters) of the problem."""
        out = theta.copy()
        constants = slice(self.linear, self.linear + self.constants)
        out[:, constants] = np.log(np.maximum(out[:, constants], LEAST_CONSTANT))
        return np.asarray(self.base + out @ self.transform.T)

    def centred(self, theta: FloatArray) -> FloatArray:
        """θ (B, parameters) of the problem → internal θ (B, m); fixed parameters are ignored."""
        out = theta[:, self.order] @ self.mixing.T + self.shift
        constants = slice(self.linear, self.linear + self.constants)
        out[:, constants] = np.exp(out[:, constants])
        return np.asarray(out)

    def kind(self, name: str) -> IntArray:
        """Internal numbers of the parameters of a kind."""
        return np.flatnonzero([self.problem.kinds[i] == name for i in self.order])
