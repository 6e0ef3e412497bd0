"""From a problem to what the solver computes with: see `gemstones.laws.solver.system`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gemstones.laws.solver.chart import MOST_SHARE, Chart, Places
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.system import CAPS, WORTH_GATHERING, CompiledTerm, System
from gemstones.shape import BoolArray, FloatArray, IntArray


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
    bendable = np.array([bool(e) for e in exponents]) & unbounded
    groups: list[dict[int, int]] = []
    for i in np.flatnonzero(bendable):
        e = exponents[i][0]
        group = next((group for group in groups if e not in group), None)
        if group is None:
            groups.append(group := {})
        group[e] = int(i)
    return Chart(
        bends=tuple((_places(list(group)), _places(list(group.values()))) for group in groups),
        terms=len(own),
        exponents=np.array([e[0] if e else 0 for e in exponents]),
        bendable=bendable,
        constants=slice(int(constants[0]), int(constants[-1]) + 1) if len(constants) else slice(0, 0),
        power=len(order) - 1 if powered else None,
        log_level=level,
        fixed_share=min(share, MOST_SHARE),
    )


def _places(numbers: list[int]) -> Places:
    """A slice where they follow each other."""
    first = numbers[0]
    follow = numbers == list(range(first, first + len(numbers)))
    return slice(first, first + len(numbers)) if follow else np.array(numbers)


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
