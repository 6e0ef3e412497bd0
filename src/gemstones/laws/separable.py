"""What the runs cannot determine, said before anything is fitted.

A column that does not vary cannot be told from the constant, one with two values leaves a coefficient, an exponent and
the constant to chance, one that spans next to nothing fits noise; columns that are functions of each other are one
column twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws.columns import SHAPE_COLUMNS, column_name
from gemstones.laws.form import Codes, Form
from gemstones.laws.pose import pose
from gemstones.laws.solver.problem import Problem
from gemstones.laws.tree import SYMBOLS, Call, Column, Expression, children
from gemstones.laws.tree import columns as columns_of
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.units import format_quantity

_WORDS = {"N": "parameters", "flops": "FLOPs", "device_hours": "device hours"}
"""What people read for a term's column."""
COLLINEAR = 1e-4
"""Smallest eigenvalue of the correlation of the log columns under which they are the same column twice."""
SAME_VALUE = 1.01
"""Values within this ratio are one."""
SHAPE_SYMBOLS = frozenset({*(s for s in SYMBOLS if s != "T"), *SHAPE_COLUMNS})
"""Columns that width and depth determine, as laws write them."""
FOREIGN = 0.01
"""Share of a tied direction that another column may have."""
VALUES = 3
"""Different values that a column needs for a coefficient and an exponent of its own, beside the constant."""
NARROW = 1.1
"""Largest over least value under which a column's term is noise: a power of 0.3 changes its term by under 3%, the loss
by under 1%, which is what runs of different seeds differ by."""
FLAT = 1e-7
"""Smallest singular value of the scaled Jacobian under which a direction of the constants does nothing."""


def collinear_columns(terms: Sequence[str], table: RunTable, columns: FloatArray) -> str | None:
    """Why the runs cannot separate powers of the columns `terms`, each of its own, or None."""
    found = _columns_apart(terms, table, columns, dict.fromkeys(terms, VALUES))
    return None if found is None else found[1]


def check_separable(form: Form, table: RunTable, columns: FloatArray, codes: Codes, force: bool) -> list[str]:
    """The flag of what the runs cannot determine if `force`d, an `InvalidRequest` otherwise."""
    found = _columns_apart(form.columns, table, columns, _needed(form))
    if found is None and form.terms is None:
        found = _constants_apart(form, columns, codes)
    constants = len(form.entries)
    if found is None and len(columns) < constants and not force:  # forced, the diagnostics flag it
        found = "too_few_rows", f"{len(columns)} rows cannot determine {constants} constants"
    if found is None:
        return []
    code, reason = found
    if not force:
        simpler = "N,T" if {"w", "d"} & set(form.columns) else "fewer terms"
        raise InvalidRequest(
            f"law {form.text} on {table.dataset}: {reason}: fit {simpler}, add runs that differ, or --force"
        )
    return [f"{code}: {reason}"]


def _needed(form: Form) -> dict[str, int]:
    """Different values that each column needs: `VALUES` for an exponent that no other column helps to determine.

    What is not linear is checked as a whole, but a column in it must vary; not so the unique tokens of `repeated`: all
    runs may repeat the same data.
    """
    needed = dict.fromkeys(form.columns, 0)
    terms = form.structure.terms
    for term in terms:
        for name, polynomial in term.linear:
            of = {column for monomial in polynomial for atom in monomial for column in columns_of(atom)}
            alone = all(
                column in other.columns for column in of for other in terms if name in other.constants
            )
            for column in of:
                needed[column] = max(needed[column], VALUES if alone and len(of) == 1 else 2)
        offset = (atom for monomial in term.offset for atom in monomial)
        others = (
            *(c for atom in offset for c in columns_of(atom)),
            *(c for _, t in term.rest for c in _compared(t)),
        )
        for column in others:
            needed[column] = max(needed[column], 2)
    return needed


def _compared(tree: Expression) -> tuple[str, ...]:
    """Columns of an expression, but for those that say which data are unique."""
    if isinstance(tree, Call) and tree.function == "repeated":
        return columns_of(tree.arguments[0])
    own = (tree.name,) if isinstance(tree, Column) else ()
    return (*own, *(column for part in children(tree) for column in _compared(part)))


def _columns_apart(
    terms: Sequence[str], table: RunTable, columns: FloatArray, needed: dict[str, int]
) -> tuple[str, str] | None:
    """Code and reason of what is wrong with the columns, or None."""
    kept = [i for i, term in enumerate(terms) if needed[term]]
    logs = np.log(columns[:, kept])
    names = [_WORDS.get(terms[i]) or column_name(terms[i], "total") for i in kept]
    terms = [terms[i] for i in kept]
    for name, term, values in zip(names, terms, logs.T, strict=True):
        if np.ptp(values) < 1e-9:
            what = f"is the same in every row ({math.exp(values[0]):g}), so its term is a second constant"
            return "collinear_columns", f"{name} {what}"
        different = _different(values)
        if len(different) < needed[term]:
            shown = " and ".join(format_quantity(math.exp(x)) for x in different)
            many = f"{len(different)} different value{'s' * (len(different) > 1)}, about {shown}"
            return (
                "few_values",
                f"{name} has {many}, too few for the constants of its term: {needed[term]} are needed",
            )
        if needed[term] >= VALUES and np.ptp(values) < math.log(NARROW):
            low, high = (format_quantity(math.exp(x), 4) for x in (values.min(), values.max()))
            return (
                "narrow_range",
                f"{name} spans only {math.expm1(float(np.ptp(values))):.2g} of its value, {low} to {high}, so its term "
                "is noise",
            )
    return _tied(terms, names, columns[:, kept], logs)


def _different(logs: FloatArray) -> list[float]:
    """The values that differ by more than `SAME_VALUE`, as logs."""
    found: list[float] = []
    for value in np.sort(logs):
        if not found or value > found[-1] + math.log(SAME_VALUE):
            found.append(float(value))
    return found


def _tied(
    terms: Sequence[str], names: Sequence[str], columns: FloatArray, logs: FloatArray
) -> tuple[str, str] | None:
    """Columns that are functions of each other."""
    terms = list(terms)
    if {"w", "d"} <= set(terms):
        width, depth = columns[:, terms.index("w")], columns[:, terms.index("d")]
        shapes = np.unique(np.column_stack([width, depth]), axis=0)
        if len(shapes) == len(np.unique(width)):
            return (
                "collinear_columns",
                f"depth is a function of width in these {len(shapes)} shapes, so their terms cannot be separated",
            )
    if {"N", "T"} <= set(terms):
        ratio = logs[:, terms.index("T")] - logs[:, terms.index("N")]
        if np.ptp(ratio) < 2 * math.log(SAME_VALUE):
            times = f"{math.exp(float(np.median(ratio))):.3g} times the parameters"
            return (
                "collinear_columns",
                f"tokens are {times} in every row, so the terms of N and T cannot be separated",
            )
    if len(terms) > 1:
        correlation = np.asarray(np.corrcoef(logs.T))
        smallest = np.linalg.eigvalsh(correlation)[0]
        if smallest < COLLINEAR and not _terms_apart(terms, correlation, columns):
            return (
                "collinear_columns",
                f"{', '.join(names)} are powers of each other (smallest eigenvalue of the correlation of their "
                f"logs {max(smallest, 0.0):.1g}), so their terms cannot be separated",
            )
    return None


def _terms_apart(terms: Sequence[str], correlation: FloatArray, columns: FloatArray) -> bool:
    """Whether columns of shapes that are functions of each other make terms that are not.

    b is 2·d·w², but w^-a + d^-b + (d·w²)^-c has three terms that no two of the columns have, and a plan never leaves
    that surface. A column that is a power of another one has no term of its own, nor have tokens that follow the shape.
    """
    values, directions = np.linalg.eigh(correlation)
    tied = np.square(directions[:, values < COLLINEAR]).sum(1)
    if any(share > FOREIGN and term not in SHAPE_SYMBOLS for share, term in zip(tied, terms, strict=True)):
        return False
    pairs = np.abs(correlation[np.triu_indices(len(terms), 1)])
    return (
        bool((1 - pairs > COLLINEAR).all()) and _constants_apart(Form(",".join(terms)), columns, {}) is None
    )


def _constants_apart(form: Form, columns: FloatArray, codes: Codes) -> tuple[str, str] | None:
    """Constants of a formula of which some combination changes no prediction, at a typical value of all."""
    problem = pose(form, [*np.log(columns).T], np.ones(len(columns)), codes)
    theta = _typical(problem)
    slopes = jacobian(problem, theta)[:, : len(form.entries)]
    size = np.linalg.norm(slopes, axis=0)
    without = [e.label for e, s in zip(form.entries, size, strict=True) if s < FLAT]
    if without:
        return (
            "collinear_columns",
            f"{' and '.join(without)} changes no prediction, so it cannot be determined",
        )
    _, values, directions = np.linalg.svd(slopes / size, full_matrices=False)
    if len(slopes) < len(size) or values[-1] < FLAT * values[0]:
        share = np.abs(directions[-1])
        names = [e.label for e, s in zip(form.entries, share, strict=True) if s > 0.3 * share.max()]
        return "collinear_columns", f"{', '.join(names)} cannot be told apart in these rows"
    return None


def _typical(problem: Problem) -> FloatArray:
    """A value of every constant, (m,): exponents that differ, terms of comparable size."""
    theta = np.zeros(problem.parameters)
    for i, kind in enumerate(problem.kinds):
        theta[i] = {"exponent": 0.3 + 0.04 * i, "constant": 0.5, "outer": -0.3}.get(kind, 0.01 * (i + 1))
    for term in problem.terms:
        if term.inner is not None:
            theta[term.inner.index] = np.where(
                np.array(problem.kinds)[term.inner.index] == "exponent",
                theta[term.inner.index],
                term.inner.starts[0] + 0.01,
            )
    theta = np.clip(theta, problem.lower, problem.upper)
    for term in problem.terms:
        scale = [i for i in term.index if problem.kinds[i] == "coefficient"]
        theta[scale] -= float(np.median(term.log_value(theta[None])[0])) / max(len(scale), 1)
    return theta


def jacobian(problem: Problem, theta: FloatArray) -> FloatArray:
    """Central differences of log L̂ in every constant, (n, m): four digits are enough here."""
    step = 1e-4 * np.maximum(1.0, np.abs(theta)) * np.eye(len(theta))
    change = problem.log_prediction(theta + step) - problem.log_prediction(theta - step)
    return np.asarray((change / (2 * np.diagonal(step))[:, None]).T)
