"""Problems in a batch against problems alone, weights against repeated rows, bounds, and the schedule."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.derivatives import derivatives, evaluate
from gemstones.laws.solver.polish import delta_schedule, polish
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.system import System


def planted(k: int, outer: bool = False, rows: int = 60, noise: float = 0.01) -> tuple[Problem, np.ndarray]:
    """A problem of k terms and its true θ."""
    rng = np.random.default_rng(k)
    columns = np.exp(rng.uniform(0, 4, (rows, k)))
    theta = np.concatenate([rng.uniform(0.2, 0.8, k), rng.uniform(0, 1, k), [0.5], [-0.7] * outer])
    problem = Problem.simple(columns, np.ones(rows), outer)
    return replace(
        problem, log_loss=problem.log_prediction(theta[None])[0] + rng.normal(0, noise, rows)
    ), theta


@pytest.mark.parametrize("outer", [False, True])
def test_a_batch_gives_what_each_problem_alone_gives(outer: bool) -> None:
    problem, truth = planted(2, outer)
    system = compiled(problem)
    rng = np.random.default_rng(3)
    starts = system.centred(truth + rng.normal(0, 0.1, (70, len(truth))))  # more than a batch holds
    weights = rng.integers(0, 3, (70, problem.rows)).astype(float)
    together = polish(system, starts, 1e-3, weights)
    for b in (0, 1, 33, 69):
        alone = polish(system, starts[b : b + 1], 1e-3, weights[b : b + 1])
        assert together.value[b] == pytest.approx(alone.value[0], rel=1e-9)


def test_weights_are_repeated_rows() -> None:
    problem, truth = planted(2)
    counts = np.random.default_rng(4).integers(0, 3, problem.rows)
    repeated = problem.taken(np.repeat(np.arange(problem.rows), counts))
    weighted = replace(problem, weights=counts.astype(float))
    ends = []
    for one in (repeated, weighted):
        system = compiled(one)
        ends.append(system.physical(polish(system, system.centred(truth[None]), 1e-3).theta))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)


def gradient_at(system: System, theta: np.ndarray, delta: float) -> np.ndarray:
    return derivatives(system, theta, evaluate(system, theta), np.full(len(theta), delta), None)[0]


@pytest.mark.parametrize(
    ("parameter", "outer"), [(parameter, outer) for outer in (False, True) for parameter in range(5 + outer)]
)
def test_a_bound_is_kept_and_is_a_minimum_there(outer: bool, parameter: int) -> None:
    """From either side of the optimum: at the bound the objective falls only outwards, everything else is at rest."""
    problem, truth = planted(2, outer)
    assert problem.parameters == 5 + outer
    system = compiled(problem)
    best = system.physical(polish(system, system.centred(truth[None]), 1e-3).theta)[0]
    for outwards in (-1, 1):
        bounds = {"lower": problem.lower.copy(), "upper": problem.upper.copy()}
        bounds["upper" if outwards > 0 else "lower"][parameter] = best[parameter] - outwards * 0.1
        bounded = compiled(replace(problem, **bounds))
        start = np.clip(best[None], bounds["lower"], bounds["upper"])
        end = polish(bounded, bounded.centred(start), 1e-3)
        theta = bounded.physical(end.theta)[0]
        assert theta[parameter] == pytest.approx(best[parameter] - outwards * 0.1, abs=1e-9)
        gradient = gradient_at(bounded, end.theta, 1e-3)[0]
        mine = int(np.flatnonzero(bounded.order == parameter)[0])
        assert gradient[mine] * outwards < 0
        assert np.abs(np.delete(gradient, mine)).max() < 1e-8 * 1e-3 * problem.rows


def test_an_irreducible_loss_may_end_at_zero() -> None:
    rng = np.random.default_rng(5)
    columns = np.exp(rng.uniform(0, 4, (80, 2)))
    loss = (2 * columns[:, 0] ** -0.1 + columns[:, 1] ** -0.5) * np.exp(rng.normal(0, 0.003, 80)) - 0.05
    system = compiled(Problem.simple(columns, loss))
    theta = system.centred(np.array([[0.3, 0.5, 0.0, 0.0, 0.0]]))
    end = polish(system, theta, 1e-3).theta
    assert end[0, 4] == 0.0
    assert gradient_at(system, end, 1e-3)[0, 4] > 0
    assert -31 < system.physical(end)[0, 4] < -29


def test_schedule_falls_to_delta() -> None:
    for delta in (1e-1, 1e-3, 1e-4, 1e-8):
        schedule = delta_schedule(delta)
        assert schedule[-1] == delta and schedule[0] >= 0.9e-2
        assert all(a > b for a, b in pairwise(schedule))
        late = delta_schedule(delta, 5e-4)
        assert late[-1] == delta and late[0] <= max(delta, 5.5e-4) and len(late) <= len(schedule)
    assert delta_schedule(np.inf) == (np.inf,)
