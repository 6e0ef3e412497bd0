"""Minima of many rows are the same whether most of the way goes over some of them or not."""

import numpy as np
import pytest

from gemstones.laws.solver import thin
from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.derivatives import evaluate
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.resample import Refits, draw_weights
from gemstones.laws.solver.solve import solve

RUNS, CHECKPOINTS = 20, 250


def planted(outer: bool) -> tuple[Problem, np.ndarray]:
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(RUNS), CHECKPOINTS)
    size = np.geomspace(5e7, 2e9, RUNS)[run]
    tokens = np.tile(np.geomspace(2e9, 3e11, CHECKPOINTS), RUNS)
    loss = (400 * size**-0.34 + 410 * tokens**-0.28) ** (0.8 if outer else 1.0) + 1.7
    loss *= np.exp(rng.normal(0, 0.005, RUNS)[run] + rng.normal(0, 0.002, len(run)))
    return Problem.simple(np.column_stack([size, tokens]), loss, outer), run


@pytest.mark.parametrize("outer", [False, True])
def test_the_minima_are_those_of_all_rows(outer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, run = planted(outer)
    weights = draw_weights(run, "run", 0, 0)[:6]
    solution = solve(problem, Objective())
    _, thinned = Refits(solution, Objective()).of(weights)
    assert thin.Thinned.of(solution.system) is not None
    monkeypatch.setattr(thin, "WORTH_THINNING", 10**9)
    whole = solve(problem, Objective())
    _, every = Refits(whole, Objective()).of(weights)
    assert solution.value == pytest.approx(whole.value, rel=1e-9)
    np.testing.assert_allclose(thinned, every, rtol=1e-6)


def test_few_rows_and_groups_are_not_thinned() -> None:
    problem, _ = planted(False)
    assert thin.Thinned.of(compiled(problem, np.arange(thin.WORTH_THINNING - 1))) is None


def test_some_rows_of_a_system_predict_as_they_did() -> None:
    """Terms of few distinct values are computed for those among the rows alone."""
    problem, _ = planted(True)
    system = compiled(problem)
    rows = np.array([3, 4, 700, 701, 4999])
    theta = system.centred(np.array([[0.3, 0.3, 6.0, 6.0, 0.5, -0.2]]))
    some = evaluate(system.taken(rows), theta).residuals
    np.testing.assert_allclose(some, evaluate(system, theta).residuals[:, rows], rtol=1e-12)
