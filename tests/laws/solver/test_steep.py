"""Starts with one steep term, and a minimum that only they reach."""

import numpy as np
import pytest

from benchmarks.planted_tables import planted
from gemstones.laws.solver import solve as solving
from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.derivatives import evaluate
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.solve import solve
from gemstones.laws.solver.steep import SHARE, STEEP, steep
from gemstones.shape import FloatArray, IntArray


def table() -> Problem:
    """Two rows of each of 25 runs, widths and sizes nearly tied."""
    made = planted(0, 7)
    return Problem.simple(np.exp(np.column_stack(made.log_columns)), made.loss, outer=True)


def test_a_minimum_that_no_start_of_a_screen_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, objective = table(), Objective(delta=1e-3)
    found = solve(problem, objective)
    assert found.value == pytest.approx(5.77334144e-4, rel=1e-7)
    assert found.theta[2] == pytest.approx(3.57, abs=0.01)

    def none(system: object, theta: FloatArray, weights: object = None) -> tuple[FloatArray, IntArray]:
        return theta[:0], np.zeros(0, np.int64)

    monkeypatch.setattr(solving, "steep", none)
    assert solve(problem, objective, starts=24).value > found.value * 1.002


def test_one_term_of_each_start_is_steep() -> None:
    rng = np.random.default_rng(0)
    columns = np.exp(rng.uniform(0, 4, (60, 3)))
    system = compiled(Problem.simple(columns, np.exp(rng.normal(1, 0.02, 60)), outer=True))
    theta = system.centred(np.array([[0.3, 0.4, 0.5, 1.0, 1.0, 1.0, 0.3, -0.4]]))
    starts, of = steep(system, theta)
    assert starts.shape == (3, system.parameters) and (of == 0).all()
    exponents = system.kind("exponent")
    changed = starts[:, exponents] != theta[0, exponents]
    assert (changed.sum(1) == 1).all() and (starts[:, exponents][changed] == STEEP).all()
    shares = evaluate(system, starts).terms / evaluate(system, theta).inner_sum[:, None]
    largest = [shares[i, np.flatnonzero(starts[i, :3] != theta[0, :3])[0]].max() for i in range(3)]
    np.testing.assert_allclose(largest, SHARE)
    two = compiled(Problem.simple(columns[:, :2], np.full(60, 3.0)))
    assert len(steep(two, np.zeros((1, two.parameters)))[0]) == 0
