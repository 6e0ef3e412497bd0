"""Planted isoFLOP grids and pairs of recipes."""

from __future__ import annotations

from typing import Any

import numpy as np

ALPHA, BETA, E, A, B = 0.34, 0.28, 1.69, 406.4, 410.7
EXPONENT = BETA / (ALPHA + BETA)
BUDGETS = tuple(np.geomspace(1e18, 1e21, 7))


def loss(params: Any, tokens: Any) -> Any:
    return E + A / params**ALPHA + B / tokens**BETA


def best(flops: float) -> float:
    """Hoffmann et al. 2022, Equation 4."""
    return float((ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA)) * (flops / 6) ** EXPONENT)


def grid(seed: int = 0, noise: float = 0.004, sizes: int = 9, reach: float = 5.0) -> list[dict[str, float]]:
    """Runs of seven budgets and `sizes` sizes around the best of each."""
    rng = np.random.default_rng(seed)
    rows = []
    for flops in BUDGETS:
        for n in best(flops) * np.geomspace(1 / reach, reach, sizes):
            t = flops / 6 / n
            value = loss(n, t) * np.exp(noise * rng.standard_normal())
            rows.append({"params_total": n, "tokens": t, "flops": flops, "loss": value})
    return rows


def suite(
    effect: float, seed: int = 0, runs: int = 6, *, recipe: str = "a", sizes: int = 0, **noise: float
) -> list[dict[str, Any]]:
    """Runs of a recipe whose losses are `effect` (of log loss) above the law's, with noise by pair, run and row."""
    shared = np.random.default_rng(sizes)
    own = np.random.default_rng([seed, len(recipe), ord(recipe[0])])
    params = np.geomspace(5e7, 2e9, runs) * np.exp(shared.normal(0, 0.1, runs))
    of_pair = shared.normal(0, noise.get("pair", 0.003), runs)
    of_run = own.normal(0, noise.get("run", 0.0005), runs)
    return [
        {
            "run": f"{recipe}{i}",
            "recipe": recipe,
            "params_total": n,
            "tokens": t,
            "loss": float(loss(n, t) * np.exp(effect + of_pair[i] + of_run[i] + own.normal(0, 0.0003))),
        }
        for i, n in enumerate(params)
        for t in np.linspace(1e10, 1e11, 8)
    ]


def tasks(
    seed: int = 0, *, noise: float = 0.004, form: str = "gadre", runs: int = 8, checkpoints: int = 12
) -> list[dict[str, Any]]:
    """Runs with the accuracy of a task, `exam`, by a planted law of their losses or of N and T, and of a coin, `coin`.

    Constants are those of `TASK`; every run is one size, with `checkpoints` of it.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for run, n in enumerate(np.geomspace(5e7, 5e9, runs)):
        for t in np.geomspace(2e9, 2e11, checkpoints):
            exact = float(loss(n, t))
            accuracy = TASK_LAWS[form](n, t, exact) + noise * rng.standard_normal()
            rows.append(
                {
                    "run": f"{run}", "params_total": n, "tokens": t, "loss": exact, "exam": accuracy,
                    "coin": 0.5 + 0.01 * rng.standard_normal(),
                }
            )  # fmt: skip
    return rows


TASK_LAWS: dict[str, Any] = {
    "gadre": lambda n, t, loss: 1 - (0.68 - 12.0 * np.exp(-1.8 * loss)),
    "bhagia": lambda n, t, loss: 0.5 / (1 + np.exp(4.0 * (loss - 2.6))) + 0.3,
    "direct": lambda n, t, loss: 0.25 + 0.75 * np.exp(-(900.0 / n**0.35 + 3e4 / t**0.45 + 0.3)),
}
TASK: dict[str, dict[str, float]] = {
    "gadre": {"k": 12.0, "gamma": 1.8, "epsilon": 0.68},
    "bhagia": {"a": 0.5, "k": -4.0, "L0": 2.6, "b": 0.3},
    "direct": {"A_N": 900.0, "a_N": 0.35, "A_T": 3e4, "a_T": 0.45, "E": 0.3},
}
