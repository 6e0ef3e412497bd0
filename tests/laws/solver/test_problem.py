import numpy as np
import pytest

from gemstones.laws.solver.problem import EXPONENTS, LOG_OUTER, Problem, Term


def test_a_sum_of_powers_predicts_what_its_formula_says() -> None:
    rng = np.random.default_rng(0)
    columns = np.exp(rng.uniform(0, 5, (7, 2)))
    theta = np.array([0.3, 0.6, 1.0, -1.0, 0.4, np.log(0.5)])
    e, c, log_e, log_p = theta[:2], theta[2:4], theta[4], theta[5]
    inner = (np.exp(c) * columns**-e).sum(1)
    for outer, total in ((False, inner + np.exp(log_e)), (True, inner ** np.exp(log_p) + np.exp(log_e))):
        problem = Problem.simple(columns, total, outer)
        np.testing.assert_allclose(problem.residuals(theta[None, : problem.parameters]), 0, atol=1e-14)
        assert problem.kinds[:5] == ("exponent", "exponent", "coefficient", "coefficient", "constant")
        assert (problem.lower[0], problem.upper[0]) == EXPONENTS
        rows = np.array([4, 1])
        np.testing.assert_allclose(
            problem.taken(rows).log_prediction(theta[None, : problem.parameters])[0], np.log(total)[rows]
        )
    assert (problem.lower[5], problem.upper[5]) == LOG_OUTER


def test_groups_fixed_constants_and_terms_of_some_rows() -> None:
    log_x = np.log(np.array([2.0, 4.0, 8.0, 16.0]))
    group = np.array([0, 0, 1, 1])
    z = np.stack([-log_x, 1.0 * (group == 0), 1.0 * (group == 1)])
    only_first = np.where(group == 0, 0.0, -np.inf)
    problem = Problem(
        np.zeros(4),
        (Term(np.array([0, 1, 2]), z, np.zeros(4)), Term(np.array([3]), np.ones((1, 4)), only_first)),
        ("exponent", "coefficient", "coefficient", "coefficient", "constant"),
        np.full(5, -np.inf),
        np.full(5, np.inf),
        constant=np.array([4, 4, -1, -1]),
        constant_offset=np.array([0.0, 0.0, np.log(1.7), -np.inf]),
    )
    theta = np.array([[0.5, 0.1, 0.2, -0.3, 0.6]])
    power = np.exp(np.array([0.1, 0.1, 0.2, 0.2]) - 0.5 * log_x)
    expected = power + np.where(group == 0, np.exp(-0.3), 0) + np.array([np.exp(0.6), np.exp(0.6), 1.7, 0])
    assert np.exp(problem.log_prediction(theta)[0]) == pytest.approx(expected)
