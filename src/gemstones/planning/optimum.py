"""The optimum of laws for budgets: of the estimate and of all draws, the only place where it is found.

Over shapes it is the least sum of terms on a grid (`gemstones.planning.surface`). Over real N, for a law in N and T
alone, it is the point of the line F(N)·(T + I/3) = C at which the sum of terms stops falling, with FLOPs per token
F(N) = 6·N, or k·N^b where the runs gave others: Hoffmann's closed form (2022, Equation 4) for a sum of two powers
without inference, a root otherwise. The outer exponent and the irreducible loss move neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gemstones.laws import dual
from gemstones.laws.flops_model import SIX_N, FlopsModel
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.law import Law
from gemstones.planning.cost import Cost
from gemstones.planning.sight import TOKENS
from gemstones.planning.surface import Surface
from gemstones.shape import BoolArray, FloatArray, IntArray

LOG_TOKENS = (-50.0, 700.0)
"""Of the search for a root: all there is among floats."""
CELLS = 1500
"""The search looks at that many numbers of tokens, and at all between the two around the best."""
HALVINGS = 64
"""Of a cell, until neighbouring floats are reached."""


def shape_optima(
    surface: Surface, theta: FloatArray, budgets: Sequence[float], costs: Sequence[Cost] | None = None
) -> IntArray:
    """Row and column of the best shape on the grid, (D, budgets, 2), for θ (D, m).

    The first θ is the estimate and is searched for over every shape; the others, draws, in two passes
    (`Surface.minimise`), each at its own of `costs` if there are any.
    """

    def best(budget: float) -> IntArray:
        first = surface.least_of_all(theta[0], budget)
        drawn = draw_optima(surface, theta[1:], budget, None if costs is None else costs[1:])
        return np.vstack([first, drawn])

    return np.stack([best(budget) for budget in budgets], axis=1)


def draw_optima(
    surface: Surface, theta: FloatArray, budget: float, costs: Sequence[Cost] | None = None
) -> IntArray:
    """Row and column of the best shape under each draw of θ (D, m), (D, 2); each at its own of `costs` if there are
    any."""
    if costs is None:
        return surface.minimise(theta, budget)
    each = [surface.minimise(one[None], budget, cost) for one, cost in zip(theta, costs, strict=True)]
    return np.concatenate([np.zeros((0, 2), np.int64), *each])


def size_optima(
    law: Law, theta: FloatArray, budget_flops: float, inference_tokens: float = 0.0, flops: FlopsModel = SIX_N
) -> tuple[FloatArray, FloatArray]:
    """N* and T* (D,) for θ (D, m) of a law in N and T, FLOPs of the line k·N^b·(T + tokens of inference / 3).

    NaN where the sum of terms has no least value on that line: where loss does not fall with N or with T.
    """
    powers = law.parsed_form.powers(theta)
    if powers is None or len(powers[0]) != 2 or inference_tokens:
        return _root(law, theta, budget_flops, flops, inference_tokens)
    names, exponents, coefficients = powers
    n_first = [names.index("N"), names.index(TOKENS)]
    of_params_tokens = np.concatenate([exponents[:, n_first], coefficients[:, n_first]], axis=1)
    k, b = flops.constants
    if (k, b) != (6.0, 1.0):  # with M = k·N^b / 6 it is a law in M and T under 6·M·T
        of_params_tokens[:, 0] /= b
        of_params_tokens[:, 2] -= of_params_tokens[:, 0] * np.log(6.0 / k)
    counted, tokens = optimal_params_tokens(of_params_tokens, budget_flops)
    if (k, b) != (6.0, 1.0):
        counted = (6.0 * counted / k) ** (1.0 / b)
    usable = (
        (exponents > 0).all(1) & np.isfinite(counted) & np.isfinite(tokens) & (counted > 0) & (tokens > 0)
    )
    return np.where(usable, counted, np.nan), np.where(usable, tokens, np.nan)


def on_edge(at: IntArray, surface: Surface) -> BoolArray:
    """Which positions (…, 2) lie on the edge of the grid; an axis of one value has none."""
    lengths = np.array([len(surface.widths), len(surface.depths)])
    return np.asarray((((at == 0) | (at == lengths - 1)) & (lengths > 1)).any(-1))


def _root(
    law: Law, theta: FloatArray, budget_flops: float, flops: FlopsModel, inference_tokens: float
) -> tuple[FloatArray, FloatArray]:
    form = law.parsed_form
    tokens_first = law.symbols[0] == TOKENS
    k, b = flops.constants
    inference = np.log(k / 3.0 * inference_tokens) if inference_tokens else -np.inf

    def log_params(log_tokens: FloatArray) -> FloatArray:
        return np.asarray((np.log(budget_flops) - np.logaddexp(np.log(k) + log_tokens, inference)) / b)

    def columns(log_tokens: FloatArray) -> list[FloatArray]:
        pair = [log_params(log_tokens), log_tokens]
        return pair[::-1] if tokens_first else pair

    def rises(log_tokens: FloatArray) -> BoolArray:
        """Whether the sum of terms rises with T at log T (D, 1)."""
        logs = columns(log_tokens)
        total = form.log_sum(theta, dual.variables(logs), aligned=True)
        assert isinstance(total, dual.Dual)
        of_params, of_tokens = total.gradient[::-1] if tokens_first else total.gradient
        training = np.log(k) + log_tokens
        share = np.exp(training - np.logaddexp(training, inference)) / b  # −d log N / d log T
        return np.asarray(of_tokens - of_params * share > 0)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        cells = np.linspace(*LOG_TOKENS, CELLS)
        total = np.asarray(dual.value_of(form.log_sum(theta, columns(cells))))
        # The least of the minima inside: forms whose exponents vary with N fall again, lower still, where no run is.
        within = total[:, 1:-1]
        minima = (within < total[:, :-2]) & (within <= total[:, 2:]) & np.isfinite(within)
        inside = minima.any(1)
        best = np.where(minima, within, np.inf).argmin(1) + 1
        low, high = cells[best - 1][:, None], cells[best + 1][:, None]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            up = rises(middle)
            low, high = np.where(up, low, middle), np.where(up, middle, high)
    counted, tokens = np.exp(log_params(low[:, 0])), np.exp(low[:, 0])
    return np.where(inside, counted, np.nan), np.where(inside, tokens, np.nan)
