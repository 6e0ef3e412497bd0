"""Which choice moves the prescription most: Shapley values of R², within the order that nested choices have.

y = log of what is prescribed, over all studies. R²(S) is the share of the variance of y that a main-effects
regression on the choices in S explains, one dummy variable per level. A choice's share is the R² that it adds, averaged
over the orders in which the choices can be added: Lindeman, Merenda & Gold (1980), the Shapley value of R² (Owen
2014). It does not depend on an order and needs no balanced design. What the full main-effects model leaves are
interactions, so that all shares sum to 1.

Law and δ exist only within Approach 3: their level in Approach 1 says nothing but that. Orders in which either comes
before the approach are left out (Shapley values under precedence constraints, Faigle & Kern 1992): otherwise a δ
that moves nothing would be given a third of what the approach moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemstones.shape import BoolArray, FloatArray

INTERACTIONS = "interactions"
SMALLEST = 1e-9
"""Eigenvalues of the matrix of counts, over the largest, that are zero but for rounding."""


def shares(
    y: FloatArray, levels: Mapping[str, Sequence[Any]], within: Mapping[str, str] | None = None
) -> dict[str, FloatArray]:
    """Shares of the variance of each column of `y` (studies, columns), by choice and of the interactions, (columns,).

    `levels` has every study's level of every choice. `within` names the choice that another exists only after.
    Studies that are NaN in a column are left out of it. NaN where nothing varies.

    >>> made = shares(np.log([[1.0], [2.0], [1.0], [2.0]]), {"law": "aabb", "delta": "xyxy"})
    >>> {choice: round(float(of[0]), 12) for choice, of in made.items()}
    {'law': 0.0, 'delta': 1.0, 'interactions': 0.0}
    """
    # One level explains nothing, and every choice more multiplies the orders.
    names = [name for name, of in levels.items() if len(set(of)) > 1]
    dummies = [np.ones((len(y), 1)), *(_dummies(levels[name]) for name in names)]
    owner = np.repeat(np.arange(-1, len(names)), [block.shape[1] for block in dummies])
    design = np.hstack(dummies)
    found = {name: np.full(y.shape[1], np.nan) for name in (*levels, INTERACTIONS)}
    known = np.isfinite(y)
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    for pattern, rows in enumerate(patterns.T):
        columns = np.flatnonzero(which.ravel() == pattern)
        for name, of in _shares(y[np.ix_(rows, columns)], design[rows], owner, names, within or {}).items():
            found[name][columns] = of
    for name in {*levels} - {*names}:
        found[name] = np.where(np.isnan(found[INTERACTIONS]), np.nan, 0.0)
    return found


def _shares(
    y: FloatArray, design: FloatArray, owner: NDArray[np.intp], names: list[str], within: Mapping[str, str]
) -> dict[str, FloatArray]:
    """For columns of y without gaps; `owner` is the choice (its position, -1 for the constant) of each dummy."""
    centred = y - y.mean(0) if len(y) else y
    total = (centred**2).sum(0)
    counts, moments = design.T @ design, design.T @ centred
    nothing = total <= SMALLEST**2 * max(len(y), 1)
    known: dict[frozenset[int], FloatArray] = {}

    def explained(chosen: frozenset[int]) -> FloatArray:
        """R² of each column on the choices in `chosen`."""
        if chosen not in known:
            used = np.isin(owner, [-1, *chosen])
            known[chosen] = np.where(
                nothing,
                np.nan,
                _projected(counts[np.ix_(used, used)], moments[used]) / np.where(nothing, 1.0, total),
            )
        return known[chosen]

    orders = [
        order
        for order in itertools.permutations(range(len(names)))
        if all(
            order.index(names.index(outer)) < order.index(names.index(inner))
            for inner, outer in within.items()
            if inner in names and outer in names
        )
    ]
    added = {name: np.zeros(y.shape[1]) for name in names}
    for order in orders:
        for position, choice in enumerate(order):
            before = frozenset(order[:position])
            added[names[choice]] += explained(before | {choice}) - explained(before)
    unexplained = 1.0 - explained(frozenset(range(len(names))))
    averages = {name: of / len(orders) for name, of in added.items()} | {INTERACTIONS: unexplained}
    # More choices never explain less: what is below zero is rounding.
    return {name: np.maximum(of, 0.0) for name, of in averages.items()}


def _projected(counts: FloatArray, moments: FloatArray) -> FloatArray:
    """Sum of squares of the projection on columns X with XᵀX = `counts` and Xᵀy = `moments`; X may lack rank."""
    values, vectors = np.linalg.eigh(counts)
    used = values > SMALLEST * values[-1]
    return np.asarray(((vectors[:, used].T @ moments) ** 2 / values[used, None]).sum(0))


def _dummies(levels: Sequence[Any]) -> FloatArray:
    """One column per level, 1 where a study has it."""
    distinct = list(dict.fromkeys(levels))
    return np.array([[float(level == one) for one in distinct] for level in levels]).reshape(
        -1, len(distinct)
    )


def spread_of_sampling(y: FloatArray) -> tuple[float, float]:
    """Variance of y between studies (of column 0, the estimates), and its mean within a study (over the other columns).

    Over the studies with an estimate; the second over those that have resamples as well, NaN where none does.
    """
    estimates = y[:, 0]
    known: BoolArray = np.isfinite(estimates)
    between = float(estimates[known].var()) if known.any() else float("nan")
    within = [float(row[np.isfinite(row)].var()) for row in y[known, 1:] if np.isfinite(row).sum() > 1]
    return between, float(np.mean(within)) if within else float("nan")
