"""The simpler law that a law with groups or interactions starts from.

Groups take no grid of their own: their parameters start equal to those of the first group, interactions start at zero,
from the best fit that has them so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gemstones.laws.solver.problem import Inner, Problem, Term
from gemstones.shape import FloatArray, IntArray


def simpler(problem: Problem) -> Problem | None:
    """The problem with every departure undone, its θ numbered alike (what is undone is fixed at 0); None if there
    are none."""
    source = sources(problem)
    if (source == np.arange(problem.parameters)).all():
        return None
    lower, upper = problem.lower.copy(), problem.upper.copy()
    undone = source != np.arange(problem.parameters)
    nothing = np.where(source < 0, np.clip(0.0, lower, upper), 0.0)
    lower[undone], upper[undone] = nothing[undone], nothing[undone]
    renamed = np.where(source < 0, np.arange(problem.parameters), source)
    constant = None
    if problem.constant is not None:
        constant = np.where(problem.constant < 0, -1, renamed[problem.constant])
    return replace(
        problem,
        terms=tuple(_renamed(term, renamed) for term in problem.terms),
        lower=lower,
        upper=upper,
        constant=constant,
        starts_from=None,
    )


def expanded(problem: Problem, theta: FloatArray) -> FloatArray:
    """θ (B, m) of the simpler problem as θ of `problem`."""
    source = sources(problem)
    return np.where(source < 0, np.clip(0.0, problem.lower, problem.upper), theta[:, source])


def sources(problem: Problem) -> IntArray:
    """(m,): the parameter that each starts from in the end, −1 for zero."""
    itself = np.arange(problem.parameters)
    if problem.starts_from is None:
        return itself
    source = np.asarray(problem.starts_from)
    for _ in range(problem.parameters):  # a group may start from one that starts from another
        following = np.where(source < 0, source, source[source])
        if (following == source).all():
            break
        source = following
    return source


def _renamed(term: Term, renamed: IntArray) -> Term:
    index, inverse = np.unique(renamed[term.index], return_inverse=True)
    z = np.zeros((len(index), len(term.offset)))
    np.add.at(z, inverse, term.z)
    inner = term.inner
    if inner is not None and (renamed[inner.index] != inner.index).any():
        inner = _Renamed(inner, renamed[inner.index])
    return Term(index, z, term.offset, inner)


@dataclass(frozen=True, eq=False)
class _Renamed:
    """An inner part whose parameters have other numbers."""

    of: Inner
    index: IntArray

    @property
    def starts(self) -> FloatArray:
        return self.of.starts

    def value(self, theta: FloatArray) -> FloatArray:
        return self.of.value(theta)

    def derivatives(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.of.derivatives(theta)

    def taken(self, rows: IntArray) -> _Renamed:
        return _Renamed(self.of.taken(rows), self.index)
