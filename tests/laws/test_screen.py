import numpy as np
import scipy.optimize

from gemstones.laws.problem import Problem
from gemstones.laws.screen import _nonnegative, screen


def test_nonnegative_least_squares_is_scipys() -> None:
    rng = np.random.default_rng(0)
    matrices = rng.normal(0, 1, (50, 12, 4)) + 0.3
    solutions, minima = _nonnegative(
        np.matmul(matrices.transpose(0, 2, 1), matrices), matrices.sum(1)
    )  # min |A a − 1|²
    at_zero = 0
    for matrix, solution, minimum in zip(matrices, solutions, minima, strict=True):
        expected, norm = scipy.optimize.nnls(matrix, np.ones(12))
        np.testing.assert_allclose(solution, expected, atol=1e-8)
        np.testing.assert_allclose(minimum + 12, norm**2, rtol=1e-8)
        at_zero += (expected == 0).any()
    assert at_zero > 10  # the supports were really exercised


def test_screen_ranks_and_leaves_out_unweighted_rows() -> None:
    rng = np.random.default_rng(1)
    columns = np.exp(rng.uniform(0, 5, (80, 2)))
    loss = columns[:, 0] ** -0.35 + 2 * columns[:, 1] ** -0.6 + 1.5
    problem = Problem.of(columns, loss)
    theta, value = screen(problem, 1e-3)
    assert (np.diff(value) >= 0).all() and np.isfinite(theta).all()
    np.testing.assert_allclose(problem.physical(theta)[0, :2], [0.35, 0.6], atol=0.01)  # on the grid
    weights = np.r_[np.ones(40), np.zeros(40)]
    half = Problem(problem.u[:, :40], problem.mean, problem.log_loss[:40])
    np.testing.assert_allclose(screen(problem, 1e-3, weights)[0], screen(half, 1e-3)[0])
