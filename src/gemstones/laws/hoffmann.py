"""The compute-optimal N and T of a law in N and T, under C = 6·N·T (Hoffmann et al. 2022, Equation 4).

G = (αA / βB)^(1/(α+β));  N* = G·(C/6)^(β/(α+β));  T* = (C/6)^(α/(α+β)) / G.
"""

from __future__ import annotations

import numpy as np

from gemstones.shape import FloatArray


def optimal_params_tokens(theta: FloatArray, budget_flops: float) -> tuple[FloatArray, FloatArray]:
    """N* and T* for θ (…, 5) = (α, β, log A, log B, E) of a law in N, then T."""
    alpha, beta, log_a, log_b = (theta[..., i] for i in range(4))
    total = alpha + beta
    # In logs: A·α may overflow for a resample with a steep exponent.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        log_g = (np.log(alpha) + log_a - np.log(beta) - log_b) / total
        budget = np.log(budget_flops / 6.0)
        return np.exp(log_g + budget * beta / total), np.exp(-log_g + budget * alpha / total)
