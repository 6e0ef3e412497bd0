"""A problem made ready for computing: free parameters only, in coordinates that make it well behaved.

Fixed parameters go into the offsets. Log coefficients are centred: with c' = c + Σ e·mean(z), c' is the log of the
term at a typical row, nearly uncorrelated with e, and no exponential can overflow on the way. Where a term takes few
distinct values over the rows (22 parameter counts in 770 rows), it is computed for those alone.

A constant is exp(E) itself, so that a law without one is at a bound, not at the end of a valley. Internally the
parameters are ordered: first the log coefficients that are one term's own (their derivative is the term's share), then
the other linear and inner ones, then the constants, then log p.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gemstones.laws.solver.chart import MOST_SHARE, Chart
from gemstones.laws.solver.problem import Inner, Problem
from gemstones.shape import BoolArray, FloatArray, IntArray

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


def compiled(problem: Problem, rows: IntArray | None = None) -> System:
    """`problem` (its `rows` alone, if given) made ready."""
    if rows is not None:
        problem = problem.taken(rows)
    if problem.weights is not None and not problem.weights.all():
        problem = problem.taken(np.flatnonzero(problem.weights))
    n = problem.rows
    free: BoolArray = problem.lower < problem.upper
    fixed = np.where(free, 0.0, problem.lower)
    centring = _centring(problem, free, fixed)

    own = _own_coefficients(problem, free)
    sequence = sorted(range(len(problem.terms)), key=lambda i: own[i] >= 0)
    foreign = sum(own[i] < 0 for i in range(len(own)))
    order = [own[i] for i in sequence if own[i] >= 0]
    in_terms = sorted(
        {
            int(j)
            for term in problem.terms
            for j in (*term.index, *(() if term.inner is None else term.inner.index))
            if free[j]
        }
        - set(order)
    )
    constants = [j for j, kind in enumerate(problem.kinds) if kind == "constant" and free[j]]
    outer = problem.outer is not None and bool(free[problem.outer])
    linear = len(order) + len(in_terms)
    order += [*in_terms, *constants, *([problem.outer] if outer else [])]  # type: ignore[list-item]
    internal = np.full(problem.parameters, -1)
    internal[order] = np.arange(len(order))

    terms = tuple(_compiled_term(problem, i, own[i], free, fixed, internal, centring) for i in sequence)
    mixing = np.eye(len(order))
    shift = np.zeros(len(order))
    for c, (weights, offset) in centring.items():
        row = internal[c]
        shift[row] = offset
        for j, weight in weights.items():
            mixing[row, internal[j]] += weight
    inverse = np.linalg.inv(mixing)
    transform = np.zeros((problem.parameters, len(order)))
    transform[order] = inverse
    base = fixed.copy()
    base[order] = -inverse @ shift

    spread = np.ones(len(order))
    for j in range(linear):
        z = [term.z[list(term.index).index(j)] for term in terms if j in term.index]
        spread[j] = max((float(v.std()) for v in z), default=0.0) if j >= len(terms) - foreign else 1.0
    group, fixed_constant = _constants(problem, free, fixed, internal, linear, n)
    lower, upper = problem.lower[order], problem.upper[order]
    is_constant = slice(linear, linear + len(constants))
    lower[is_constant], upper[is_constant] = np.exp(lower[is_constant]), np.exp(upper[is_constant])
    return System(
        problem=problem,
        log_loss=problem.log_loss,
        terms=terms,
        foreign=foreign,
        linear=linear,
        constants=len(constants),
        group=group,
        fixed_constant=fixed_constant,
        outer=outer,
        power=1.0 if problem.outer is None or outer else float(np.exp(fixed[problem.outer])),
        order=np.array(order),
        base=base,
        transform=transform,
        shift=shift,
        mixing=mixing,
        lower=lower,
        upper=upper,
        caps=np.array([CAPS[problem.kinds[j]] for j in order]),
        spread=spread,
        weights=problem.weights,
        departures=frozenset(
            i for i, j in enumerate(order) if problem.starts_from is not None and problem.starts_from[j] != j
        ),
        chart=_chart(
            problem, terms, order, foreign, np.arange(linear, linear + len(constants)), fixed_constant, outer
        ),
    )


def _chart(
    problem: Problem,
    terms: tuple[CompiledTerm, ...],
    order: Sequence[int],
    foreign: int,
    constants: IntArray,
    fixed_constant: FloatArray | None,
    outer: bool,
) -> Chart | None:
    """The chart, if any term has an own coefficient."""
    own = terms[foreign:]
    if not own or (problem.outer is not None and not outer):
        return None
    unbounded = [
        not np.isfinite([problem.lower[order[i]], problem.upper[order[i]]]).any() for i in range(len(own))
    ]
    exponents = [
        [i for i in term.index if i >= len(own) and problem.kinds[order[i]] == "exponent"]
        if len(term.index) == 2 and term.inner is None
        else []
        for term in own
    ]
    level = float(np.average(problem.log_loss, weights=problem.weights))
    share = 0.0 if fixed_constant is None else float(np.exp(-level) * fixed_constant.mean())
    powered = outer and not foreign and all(unbounded) and len(constants) <= 1
    if outer and not powered:
        constants = constants[:0]
    untouched = np.ones(len(order), bool)
    untouched[: len(own)] = False
    if powered:
        untouched[-1] = False
    else:
        untouched[constants] = False
    bendable = np.array([bool(e) for e in exponents]) & unbounded
    groups: list[dict[int, int]] = []
    for i in np.flatnonzero(bendable):
        e = exponents[i][0]
        group = next((group for group in groups if e not in group), None)
        if group is None:
            groups.append(group := {})
        group[e] = int(i)
    return Chart(
        bends=tuple((np.array(list(group)), np.array(list(group.values()))) for group in groups),
        untouched=untouched,
        coefficients=np.arange(len(own)),
        exponents=np.array([e[0] if e else 0 for e in exponents]),
        bendable=bendable,
        constants=constants,
        power=len(order) - 1 if powered else None,
        log_level=level,
        fixed_share=min(share, MOST_SHARE),
    )


def _own_coefficients(problem: Problem, free: BoolArray) -> list[int]:
    """By term: the free parameter that multiplies it and nothing else, in every row; −1 if there is none."""
    used = np.zeros(problem.parameters, int)
    for term in problem.terms:
        np.add.at(used, term.index, 1)
        if term.inner is not None:
            np.add.at(used, term.inner.index, 1)
    own = []
    for term in problem.terms:
        candidates = [
            int(j)
            for j, z in zip(term.index, term.z, strict=True)
            if free[j] and used[j] == 1 and problem.kinds[j] == "coefficient" and (z == 1).all()
        ]
        own.append(candidates[0] if candidates else -1)
    return own


def _centring(
    problem: Problem, free: BoolArray, fixed: FloatArray
) -> dict[int, tuple[dict[int, float], float]]:
    """By log coefficient: how much of each other parameter, and of the offset, is its term's typical value.

    Least squares of all other z, and of the offsets, on the z of the coefficients, over all terms and rows: the
    mean over rows where a term has one coefficient, the means over each group where it has one per group.
    """
    bounded = np.isfinite(problem.lower) | np.isfinite(problem.upper)
    coefficients = [
        j for j, kind in enumerate(problem.kinds) if kind == "coefficient" and free[j] and not bounded[j]
    ]
    others = [
        j
        for j in range(problem.parameters)
        if free[j] and j not in coefficients and problem.kinds[j] in ("exponent", "coefficient", "inner")
    ]
    if not coefficients:
        return {}
    at, of = ({j: i for i, j in enumerate(names)} for names in (coefficients, others))
    square = np.zeros((len(coefficients), len(coefficients)))
    moment = np.zeros((len(coefficients), len(others) + 1))
    for term in problem.terms:
        rows = np.flatnonzero(np.isfinite(term.offset))
        z = {int(j): row[rows] for j, row in zip(term.index, term.z, strict=True) if free[j]}
        offset = term.offset[rows] + fixed[term.index] @ term.z[:, rows]
        if term.inner is not None:
            gradient, _ = term.inner.derivatives(np.asarray(term.inner.starts[:1], np.float64))
            for j, row in zip(term.inner.index, gradient[0], strict=True):
                if problem.kinds[j] == "exponent" and free[j]:
                    z[int(j)] = z.get(int(j), 0.0) + row[rows]
        for a, za in z.items():
            if a not in at:
                continue
            moment[at[a], -1] += za @ offset
            for b, zb in z.items():
                if b in at:
                    square[at[a], at[b]] += za @ zb
                else:
                    moment[at[a], of[b]] += za @ zb
    means = np.linalg.lstsq(square, moment, rcond=1e-10)[0]
    return {
        c: ({j: float(means[i, of[j]]) for j in others if means[i, of[j]]}, float(means[i, -1]))
        for c, i in at.items()
    }


def _compiled_term(
    problem: Problem,
    number: int,
    own: int,
    free: BoolArray,
    fixed: FloatArray,
    internal: IntArray,
    centring: dict[int, tuple[dict[int, float], float]],
) -> CompiledTerm:
    term = problem.terms[number]
    columns: dict[int, FloatArray] = {}
    offset = term.offset.copy()
    for j, z in zip(term.index, term.z, strict=True):
        if not free[j]:
            offset += fixed[j] * z
            continue
        columns[int(j)] = columns.get(int(j), 0.0) + z
    for j in list(columns):
        weights, constant = centring.get(j, ({}, 0.0))
        offset -= constant * columns[j]
        for k, weight in weights.items():
            columns[k] = columns.get(k, 0.0) - weight * columns[j]
    if own >= 0:  # the own coefficient first
        columns = {own: columns.pop(own), **columns}
    index = internal[list(columns)] if columns else np.zeros(0, np.int64)
    z = np.array(list(columns.values())).reshape(len(columns), problem.rows)
    a, b = np.triu_indices(len(columns))
    inner, inner_index, inner_fixed = term.inner, np.zeros(0, np.int64), np.zeros(0)
    inverse = None
    distinct_z, distinct_offset = z, offset
    if inner is None:
        first, inverse = _distinct([*z, offset])
        if len(first) > WORTH_GATHERING * problem.rows:
            inverse = None
        else:
            distinct_z, distinct_offset = np.ascontiguousarray(z[:, first]), offset[first]
    else:
        inner_index, inner_fixed = internal[inner.index], fixed[inner.index]
    return CompiledTerm(
        index=index,
        z=distinct_z,
        offset=distinct_offset,
        inverse=inverse,
        rows=tuple(
            (int(i), row) for i, row in zip(index, z, strict=True) if i != (internal[own] if own >= 0 else -1)
        ),
        pairs=(index[a], index[b]),
        products=np.ascontiguousarray((z[a] * z[b]).T),
        inner=inner,
        inner_index=inner_index,
        inner_fixed=inner_fixed,
    )


def _distinct(columns: Sequence[FloatArray]) -> tuple[IntArray, IntArray]:
    """First row of each distinct combination of the columns' values, and the combination of each row."""
    code = np.zeros(len(columns[0]), np.int64)
    first = np.zeros(min(1, len(code)), np.int64)
    for column in columns:
        if np.ptp(column) == 0:
            continue
        values, number = np.unique(column, return_inverse=True)
        _, first, code = np.unique(code * len(values) + number, return_index=True, return_inverse=True)
    return first, code


def _constants(
    problem: Problem, free: BoolArray, fixed: FloatArray, internal: IntArray, linear: int, n: int
) -> tuple[IntArray | None, FloatArray | None]:
    """The constant parameter of each row (numbered from 0, −1 for none), and exp(E) where it is fixed."""
    number = np.full(n, -1)
    log_fixed = np.full(n, -np.inf) if problem.constant_offset is None else problem.constant_offset.copy()
    if problem.constant is not None:
        parameter = problem.constant
        is_free = (parameter >= 0) & free[parameter]
        is_fixed = (parameter >= 0) & ~free[parameter]
        number[is_free] = internal[parameter[is_free]] - linear
        log_fixed[is_fixed] = fixed[parameter[is_fixed]]
        log_fixed[is_free] = -np.inf
    constant = np.exp(log_fixed)
    same = (number == number[0]).all() and number[0] <= 0
    group = None if same else number
    return group, constant if constant.any() else None
