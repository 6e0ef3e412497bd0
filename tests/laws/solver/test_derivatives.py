"""Gradient, Hessian and charts of problems of every kind against differences."""

from __future__ import annotations

import numpy as np
import pytest

from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.derivatives import Workspace, derivatives, evaluate, huber_sum, metric
from gemstones.laws.solver.objective import huber
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.system import System
from tests.laws.solver.kinds import every_kind

KINDS = {name: (problem, theta) for name, problem, theta in every_kind()}
CHARTED = [name for name, (problem, _) in KINDS.items() if compiled(problem).chart is not None]
"""A chart needs p free, and a term with a coefficient of its own."""
STEP = 1e-6


def at(
    system: System, theta: np.ndarray, delta: float, weights: np.ndarray | None, above: float
) -> tuple[float, ...]:
    """Value, gradient and Hessian."""
    here = evaluate(system, theta[None])
    deltas = np.array([delta])
    gradient, hessian = derivatives(system, theta[None], here, deltas, weights, above)
    return huber_sum(here.residuals, deltas, weights, above)[0], gradient[0], hessian[0]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("delta", "above"), [(1e-2, 1.0), (np.inf, 0.3), (0.1, 2.0)])
def test_derivatives_are_exact(name: str, delta: float, above: float) -> None:
    problem, theta = KINDS[name]
    system = compiled(problem)
    weights = (
        system.weights if delta < 0.1 else np.random.default_rng(1).integers(0, 3, problem.rows).astype(float)
    )
    own = system.centred(theta[None])
    residuals = evaluate(system, own).residuals
    np.testing.assert_allclose(residuals, problem.residuals(system.physical(own)), atol=1e-12)
    np.testing.assert_allclose(system.physical(own)[0][system.order], theta[system.order], rtol=1e-12)
    # The Hessian is not defined where a residual sits on a kink: none does, to the step of the differences.
    assert np.abs(np.abs(residuals) - delta).min() > 3 * STEP and (
        above == 1 or np.abs(residuals).min() > 3 * STEP
    )
    value, gradient, hessian = at(system, own[0], delta, weights, above)
    counts = np.ones(problem.rows) if weights is None else weights
    assert value == pytest.approx(huber(residuals[0], delta, above) @ counts, rel=1e-12)
    shifts = STEP * np.eye(len(own[0]))
    pairs = [[at(system, own[0] + s, delta, weights, above) for s in (shift, -shift)] for shift in shifts]
    np.testing.assert_allclose(
        gradient,
        [(up[0] - down[0]) / (2 * STEP) for up, down in pairs],
        rtol=1e-5,
        atol=1e-7 * np.abs(gradient).max(),
    )
    np.testing.assert_allclose(
        hessian,
        [(up[1] - down[1]) / (2 * STEP) for up, down in pairs],
        rtol=1e-4,
        atol=1e-6 * np.abs(hessian).max() + 1e-12,
    )


@pytest.mark.parametrize("name", CHARTED)
def test_charts_change_coordinates_and_nothing_else(name: str) -> None:
    problem, theta = KINDS[name]
    system = compiled(problem)
    assert system.chart is not None
    own, deltas = system.centred(theta[None]), np.array([1e-2])
    free = np.zeros(own.shape, bool)
    chart = system.chart.at(own, free)
    here = chart.coordinates(own)
    np.testing.assert_allclose(chart.parameters(here), own, rtol=1e-10, atol=1e-12)

    def pulled(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        theta = chart.parameters(coordinates[None])
        evaluated, workspace = evaluate(system, theta), Workspace(system, 1)
        first = derivatives(system, theta, evaluated, deltas, None, 1.0, workspace)
        weight = metric(system, evaluated, deltas, None, workspace.gradients)
        gradient, hessian, scale = system.chart.at(theta, free).pulled(*first, weight)  # type: ignore[union-attr]
        return gradient[0], hessian[0], scale[0], float(huber_sum(evaluated.residuals, deltas, None)[0])

    gradient, hessian, scale, _ = pulled(here[0])
    shifts = STEP * np.eye(len(own[0]))
    pairs = [[pulled(here[0] + s) for s in (shift, -shift)] for shift in shifts]
    np.testing.assert_allclose(
        gradient,
        [(up[3] - down[3]) / (2 * STEP) for up, down in pairs],
        rtol=1e-5,
        atol=1e-7 * np.abs(gradient).max(),
    )
    np.testing.assert_allclose(
        hessian,
        [(up[0] - down[0]) / (2 * STEP) for up, down in pairs],
        rtol=1e-4,
        atol=1e-6 * np.abs(hessian).max() + 1e-12,
    )
    jacobian = np.array(
        [
            (chart.parameters((here[0] + s)[None]) - chart.parameters((here[0] - s)[None]))[0] / (2 * STEP)
            for s in shifts
        ]
    )
    evaluated, workspace = evaluate(system, own), Workspace(system, 1)
    derivatives(system, own, evaluated, deltas, None, 1.0, workspace)
    weight = metric(system, evaluated, deltas, None, workspace.gradients)[0]
    np.testing.assert_allclose(scale, np.diagonal(jacobian @ weight @ jacobian.T), rtol=1e-5)


def test_problems_of_a_batch_do_not_touch_each_other() -> None:
    problem, theta = KINDS["rich, outer"]
    system = compiled(problem)
    many = system.centred(theta + np.random.default_rng(2).normal(0, 0.02, (5, len(theta))))
    deltas = np.geomspace(1e-3, 1e-1, 5)
    together = derivatives(system, many, evaluate(system, many), deltas, system.weights)
    for b in range(5):
        one = many[b : b + 1]
        alone = derivatives(system, one, evaluate(system, one), deltas[b : b + 1], system.weights)
        for both, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(both[b], single[0], rtol=1e-9, atol=1e-12)


def test_rows_of_a_system_are_those_of_its_problem() -> None:
    problem, theta = KINDS["4 terms, outer"]
    system = compiled(problem)
    rows = np.array([3, 50, 17])
    own = system.centred(theta[None])
    taken = system.taken(rows)
    expected: Problem = problem.taken(rows)
    np.testing.assert_allclose(evaluate(taken, own).residuals, expected.residuals(theta[None]), atol=1e-12)
    gradient, hessian = derivatives(taken, own, evaluate(taken, own), np.array([1e-2]), None)
    weights = np.isin(np.arange(problem.rows), rows).astype(float)
    whole = derivatives(system, own, evaluate(system, own), np.array([1e-2]), weights)
    np.testing.assert_allclose(gradient, whole[0], atol=1e-12)
    np.testing.assert_allclose(hessian, whole[1], atol=1e-12)
