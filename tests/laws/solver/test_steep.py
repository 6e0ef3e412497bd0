"""Starts with one steep term, and a minimum that only they reach."""

import numpy as np
import pytest

from gemstones.laws.solver import solve as solving
from gemstones.laws.solver.compiling import compiled
from gemstones.laws.solver.derivatives import evaluate
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.solve import solve
from gemstones.laws.solver.steep import SHARE, STEEP, steep
from gemstones.shape import FloatArray, IntArray


def table() -> Problem:
    """Two rows of each of 25 runs, widths and sizes nearly tied: number 7 of benchmarks/robustness.py."""
    rng = np.random.default_rng([0, 7])
    runs = int(rng.integers(5, 31))
    per_run = int(np.clip(rng.integers(18, 401) // runs, 2, 40))
    run = np.repeat(np.arange(runs), per_run)
    tokens = np.geomspace(1e9, 10 ** rng.uniform(9.7, 11.7), per_run)
    grid = rng.random() < 0.5
    width = np.exp(rng.uniform(np.log(128), np.log(4096), runs))
    if grid:
        width = 256.0 * rng.integers(1, 9, runs)
    depth = rng.integers(2, 41, runs).astype(float)
    if rng.random() < 0.3:
        depth = np.maximum(np.round(width / 64 * np.exp(rng.normal(0, 0.2, runs))), 1)
    size = 12 * width**2 * depth * np.exp(rng.normal(0, 0.05, runs)) + 1e5 * width
    t = np.tile(tokens, runs)
    if not grid:
        t = t * np.exp(rng.normal(0, 0.3, len(run)))
    p = float(rng.choice([0.3, 0.5, 0.8]))
    columns = [size[run], t, width[run], depth[run]]
    eta = []
    for x in map(np.log, columns):
        e = rng.uniform(0.08, 0.9) / p
        eta.append(rng.uniform(-2.0, 0.5) / p - e * (x - x.mean()))
    loss = np.exp(p * np.logaddexp.reduce(eta)) + float(rng.choice([0.0, 1.0, 1.7, 2.2]))
    by_run, by_row = (10 ** rng.uniform(-3.3, -1.7) for _ in range(2))
    noise = rng.normal(0, by_run, runs)[run] + rng.normal(0, by_row, len(run))
    if rng.random() < 0.25:
        noise += (rng.random(len(run)) < 0.05) * rng.exponential(0.1, len(run))
    return Problem.simple(np.column_stack(columns), loss * np.exp(noise), outer=True)


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
