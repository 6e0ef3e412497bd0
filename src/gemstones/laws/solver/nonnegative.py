"""Non-negative least squares of very many very small problems that share their rows."""

from __future__ import annotations

import itertools

import numpy as np

from gemstones.shape import FloatArray

RIDGE = 1e-12
"""Relative, at rounding level: equal columns (a repeated exponent) must not be singular."""


def nonnegative(gram: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """min aᵀGa − 2bᵀa over a ≥ 0, over every support, exactly.

    Takes G (M, q, q) and b (M, q); returns a (M, q) and the minima (M,). Problems are the last axis inside: each
    support's systems are solved by one elimination that is vectorised over problems, starting with all columns; a
    problem is done with the first support whose solution is feasible and optimal.
    """
    many, q = moment.shape
    g = np.ascontiguousarray(gram.transpose(1, 2, 0))
    b = np.ascontiguousarray(moment.T)
    g[np.arange(q), np.arange(q)] *= 1 + RIDGE
    best, lowest = np.zeros((q, many)), np.zeros(many)
    open_ = np.arange(many)
    for size in range(q, 0, -1):
        for support in itertools.combinations(range(q), size):
            index = np.array(support)
            solution = _solved(g[np.ix_(index, index, open_)], b[np.ix_(index, open_)])
            value = -(solution * b[np.ix_(index, open_)]).sum(0)
            better = (solution >= 0).all(0) & (value < lowest[open_])
            where = open_[better]
            lowest[where] = value[better]
            best[:, where] = 0.0
            best[np.ix_(index, where)] = solution[:, better]
        # Optimal where no column left out would lower the objective: its gradient G a − b is not negative there.
        slope = np.einsum("ijm,jm->im", g[:, :, open_], best[:, open_]) - b[:, open_]
        slack = 1e-12 * np.abs(b[:, open_])
        open_ = open_[~((slope >= -slack).all(0) & (lowest[open_] < 0))]
        if not open_.size:
            break
    return best.T, lowest


def _solved(a: FloatArray, b: FloatArray) -> FloatArray:
    """x of A x = b, for A (q, q, M) positive definite and b (q, M), by elimination."""
    q = len(b)
    a, x = a.copy(), b.copy()
    for j in range(q):
        pivot = np.maximum(a[j, j], 1e-300)
        factor = a[j + 1 :, j] / pivot
        a[j + 1 :, j + 1 :] -= factor[:, None] * a[j, j + 1 :]
        x[j + 1 :] -= factor * x[j]
    for j in range(q - 1, -1, -1):
        x[j] = (x[j] - (a[j, j + 1 :] * x[j + 1 :]).sum(0)) / np.maximum(a[j, j], 1e-300)
    return x
