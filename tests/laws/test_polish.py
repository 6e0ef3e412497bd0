"""Derivatives against differences, and problems in a batch against problems alone."""

from itertools import pairwise

import numpy as np
import pytest

from gemstones.laws.objective import huber
from gemstones.laws.polish import delta_schedule, derivatives, polish
from gemstones.laws.problem import Problem


def problem_of(k: int, rows: int = 60, noise: float = 0.01, seed: int = 0) -> tuple[Problem, np.ndarray]:
    """A planted problem of k terms and its true centred θ."""
    rng = np.random.default_rng(seed)
    columns = np.exp(rng.uniform(0, 4, (rows, k)))
    theta = np.concatenate([rng.uniform(0.2, 0.8, k), rng.uniform(0, 1, k), [0.5]])
    loss = np.exp(theta[k : 2 * k] - theta[:k] * np.log(columns)).sum(1) + np.exp(theta[2 * k])
    problem = Problem.of(columns, loss * np.exp(rng.normal(0, noise, rows)))
    return problem, problem.centred(theta)


def value(problem: Problem, theta: np.ndarray, delta: float, weights: np.ndarray) -> float:
    return float(huber(problem.residuals(theta[None])[0], delta) @ weights)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("delta", [1e-3, 1e-2, np.inf])
def test_gradient_and_hessian_are_exact(k: int, delta: float) -> None:
    problem, truth = problem_of(k)
    theta = truth + np.random.default_rng(1).normal(0, 0.02, len(truth))
    weights = np.random.default_rng(2).integers(0, 3, problem.rows).astype(float)
    terms, constant = problem.parts(theta[None])
    total = terms.sum(1) + constant[:, None]
    residual = problem.log_loss - np.log(total)
    # The Hessian is not defined where a residual sits on the kink: none does, to the step of the differences.
    assert np.abs(np.abs(residual) - delta).min() > 1e-6
    gradient, hessian, _ = derivatives(problem, terms, total, residual, np.array([delta]), weights[None])
    step = 1e-6
    for i in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[i] += step
        down[i] -= step
        numeric = (value(problem, up, delta, weights) - value(problem, down, delta, weights)) / (2 * step)
        assert gradient[0, i] == pytest.approx(numeric, rel=1e-5, abs=1e-8 * np.abs(gradient).max())
        for j in range(len(theta)):
            shifted = []
            for point in (up, down):
                t, c = problem.parts(point[None])
                s = t.sum(1) + c[:, None]
                r = problem.log_loss - np.log(s)
                shifted.append(derivatives(problem, t, s, r, np.array([delta]), weights[None])[0][0, j])
            numeric = (shifted[0] - shifted[1]) / (2 * step)
            assert hessian[0, i, j] == pytest.approx(numeric, rel=1e-4, abs=1e-6 * np.abs(hessian).max())


def test_a_batch_gives_what_each_problem_alone_gives() -> None:
    problem, truth = problem_of(2)
    rng = np.random.default_rng(3)
    starts = truth + rng.normal(0, 0.3, (70, len(truth)))  # more than a batch holds
    weights = rng.integers(0, 3, (70, problem.rows)).astype(float)
    together = polish(problem, starts, 1e-3, weights)
    for b in (0, 1, 33, 69):
        alone = polish(problem, starts[b : b + 1], 1e-3, weights[b : b + 1])
        assert together.value[b] == pytest.approx(alone.value[0], rel=1e-9)


def test_weights_are_repeated_rows() -> None:
    problem, truth = problem_of(2)
    counts = np.random.default_rng(4).integers(0, 3, problem.rows)
    repeated = Problem(np.repeat(problem.u, counts, 1), problem.mean, np.repeat(problem.log_loss, counts))
    weighted = polish(problem, truth[None], 1e-3, counts[None].astype(float))
    np.testing.assert_allclose(polish(repeated, truth[None], 1e-3).theta, weighted.theta, rtol=1e-6)


def test_schedule_falls_to_delta() -> None:
    for delta in (1e-1, 1e-3, 1e-4, 1e-8):
        schedule = delta_schedule(delta)
        assert schedule[-1] == delta and schedule[0] >= 0.9e-2
        assert all(a > b for a, b in pairwise(schedule))
    assert delta_schedule(np.inf) == (np.inf,)


def test_centred_coordinates_round_trip() -> None:
    problem, truth = problem_of(3)
    np.testing.assert_allclose(problem.centred(problem.physical(truth)), truth, rtol=1e-14, atol=1e-14)
