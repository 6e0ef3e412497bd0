from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.nonnegative import nonnegative
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.screen import SCREENED_ROWS, Screen


@pytest.mark.parametrize("q", [1, 2, 4, 6])
def test_nonnegative_least_squares_is_scipys(q: int) -> None:
    rng = np.random.default_rng(q)
    matrices = rng.normal(0, 1, (50, 12, q)) + (0.3 if q > 1 else 0.0)
    solutions, minima = nonnegative(
        np.matmul(matrices.transpose(0, 2, 1), matrices), matrices.sum(1)
    )  # min |A a − 1|²
    at_zero = 0
    for matrix, solution, minimum in zip(matrices, solutions, minima, strict=True):
        expected, norm = scipy.optimize.nnls(matrix, np.ones(12))
        np.testing.assert_allclose(solution, expected, atol=1e-8)
        np.testing.assert_allclose(minimum + 12, norm**2, rtol=1e-8)
        at_zero += (expected == 0).any()
    assert at_zero > 10  # the supports were really exercised


def test_no_columns() -> None:
    solutions, minima = nonnegative(np.zeros((3, 0, 0)), np.zeros((3, 0)))
    assert solutions.shape == (3, 0) and (minima == 0).all()


def test_screen_ranks_and_leaves_out_unweighted_rows() -> None:
    rng = np.random.default_rng(1)
    columns = np.exp(rng.uniform(0, 5, (80, 2)))
    loss = columns[:, 0] ** -0.35 + 2 * columns[:, 1] ** -0.6 + 1.5
    system = compiled(Problem.simple(columns, loss))
    screened = Screen(system, 1e-3).best()
    assert (np.diff(screened.value) >= 0).all() and np.isfinite(screened.theta).all()
    np.testing.assert_allclose(system.physical(screened.theta)[0, :2], [0.35, 0.6], atol=0.01)  # on the grid
    weights = np.r_[np.ones(40), np.zeros(40)]
    half = Screen(system.taken(np.arange(40)), 1e-3).best()
    np.testing.assert_allclose(Screen(system, 1e-3).best(weights).theta, half.theta)
    diverse = screened.diverse(8)
    assert 1 < len(diverse) <= 8 and (diverse[0] == screened.theta[0]).all()


def test_the_grid_holds_a_planted_outer_exponent() -> None:
    rng = np.random.default_rng(2)
    columns = np.exp(rng.uniform(0, 5, (80, 2)))
    problem = Problem.simple(columns, np.ones(80), outer=True)
    theta = np.array([0.6, 1.2, 2.0, 1.0, np.log(0.8), np.log(0.45)])
    system = compiled(replace(problem, log_loss=problem.log_prediction(theta[None])[0]))
    found = system.physical(Screen(system, 1e-3).best().theta)
    assert np.exp(found[0, 5]) in (pytest.approx(0.3), pytest.approx(0.45), pytest.approx(0.65))
    assert {round(float(p), 2) for p in np.exp(found[:, 5])} >= {0.3, 0.45, 0.65, 1.0}


def test_of_many_rows_some_are_looked_at() -> None:
    rng = np.random.default_rng(3)
    columns = np.exp(rng.uniform(0, 5, (5 * SCREENED_ROWS, 2)))
    loss = columns[:, 0] ** -0.3 + columns[:, 1] ** -0.5 + 1.5
    screen = Screen(compiled(Problem.simple(columns, loss)), 1e-3)
    assert len(np.unique(screen.rows)) == SCREENED_ROWS
    assert screen.best().value[0] < 1e-3 * SCREENED_ROWS
