"""Non-negative least squares of very many very small problems that share their rows."""

from __future__ import annotations

import itertools

import numpy as np

from gemstones.shape import FloatArray

RIDGE = 1e-12
"""Relative, at rounding level: equal columns (a repeated exponent) must not be singular."""
TOGETHER = 2048
"""Problems at a time: their matrices should stay in the processor's cache."""


def nonnegative(gram: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """min aᵀGa − 2bᵀa over a ≥ 0, over every support, exactly.

    Takes G (M, q, q) and b (M, q); returns a (M, q) and the minima (M,). Problems are the last axis inside: each
    support's systems are solved by one elimination that is vectorised over problems, starting with all columns; a
    problem is done with the first support whose solution is feasible and optimal.
    """
    best, lowest = np.zeros_like(moment), np.zeros(len(moment))
    for first in range(0, len(moment), TOGETHER):
        some = slice(first, first + TOGETHER)
        _block(gram[some], moment[some], best[some], lowest[some])
    return best, lowest


def _block(gram: FloatArray, moment: FloatArray, best: FloatArray, lowest: FloatArray) -> None:
    """`nonnegative` of some problems, into `best` and `lowest`."""
    many, q = moment.shape
    g, b = np.array(gram.transpose(1, 2, 0), order="C"), np.array(moment.T, order="C")
    g[np.arange(q), np.arange(q)] *= 1 + RIDGE
    open_, at, low = np.arange(many), np.zeros((q, many)), np.zeros(many)
    for size in range(q, 0, -1):
        for support in itertools.combinations(range(q), size):
            index = np.array(support)
            right = b[index]
            solution = _solved(g[index[:, None], index], right)
            value = -(solution * right).sum(0)
            better = np.flatnonzero((solution >= 0).all(0) & (value < low))
            if better.size:
                low[better] = value[better]
                at[:, better] = 0.0
                at[index[:, None], better] = solution[:, better]
        # Optimal where no column left out would lower the objective: its gradient G a − b is not negative there.
        slope = (g * at).sum(1) - b
        done = (slope >= -1e-12 * np.abs(b)).all(0) & (low < 0) | (size == 1)
        if done.any():
            best[open_[done]], lowest[open_[done]] = at[:, done].T, low[done]
            on = np.flatnonzero(~done)
            if not on.size:
                return
            open_, g, b, at, low = open_[on], g[:, :, on], b[:, on], at[:, on], low[on]


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
