"""Random problems of every kind that the solver knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gemstones.laws.solver.problem import Kind, Problem, Term, default_bounds


@dataclass(frozen=True, eq=False)
class Bowl:
    """k·(x − μ)²: a part of η that is linear in neither its width nor its centre."""

    index: np.ndarray
    x: np.ndarray
    starts: np.ndarray

    def value(self, theta: np.ndarray) -> np.ndarray:
        return np.asarray(theta[:, :1] * (self.x - theta[:, 1:]) ** 2)

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away, k = self.x - theta[:, 1:], theta[:, :1]
        gradient = np.stack([away**2, -2 * k * away], 1)
        crossed = -2 * away
        hessian = np.stack(
            [np.stack([0 * away, crossed], 1), np.stack([crossed, 2 * k * np.ones_like(away)], 1)], 1
        )
        return gradient, hessian

    def taken(self, rows: np.ndarray) -> Bowl:
        return Bowl(self.index, self.x[rows], self.starts)


def powers(k: int, outer: bool, rows: int = 60, seed: int = 0) -> tuple[Problem, np.ndarray]:
    """A sum of k powers with losses that are noise, and a θ."""
    rng = np.random.default_rng([seed, k, outer])
    columns = np.exp(rng.uniform(0, 4, (rows, k)))
    if k > 2:  # columns of few distinct values
        columns[:, :2] = np.exp(rng.integers(0, 5, (rows, 2)))
    theta = np.concatenate([rng.uniform(0.2, 0.8, k), rng.uniform(-1, 1, k), [-0.3], [-0.8] * outer])
    return Problem.simple(columns, np.exp(rng.normal(1, 0.02, rows)), outer), theta


def fixed(problem: Problem, theta: np.ndarray, *parameters: int) -> Problem:
    """The problem with some parameters fixed to their θ."""
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[list(parameters)] = upper[list(parameters)] = theta[list(parameters)]
    return replace(problem, lower=lower, upper=upper)


def rich(outer: bool, rows: int = 60, seed: int = 0) -> tuple[Problem, np.ndarray]:
    """Grouped coefficients and constants, an exponent shared by two terms, a product, a fixed power, a bowl."""
    rng = np.random.default_rng([seed, 7])
    logs = rng.uniform(0, 4, (rows, 4))
    group = rng.integers(0, 3, rows)
    one, nothing = np.ones(rows), np.zeros(rows)
    masks = [1.0 * (group == g) for g in range(3)]
    terms = (
        Term(np.array([0, 1, 2, 3]), np.array([-logs[:, 0], *masks]), nothing),
        Term(np.array([0, 4, 5]), np.array([-logs[:, 1], -logs[:, 2], one]), -0.2 * logs[:, 3]),
        Term(np.array([6]), np.array([-logs[:, 3]]), nothing + 0.5),
        Term(np.array([7]), np.array([one]), nothing, Bowl(np.array([6, 8]), logs[:, 0], np.array([[0.1, 2.0]]))),
    )  # fmt: skip
    kinds: tuple[Kind, ...] = (
        "exponent", "coefficient", "coefficient", "coefficient", "exponent", "coefficient", "exponent",
        "coefficient", "inner", "constant", "constant", "outer",
    )  # fmt: skip
    lower, upper = default_bounds(kinds)
    problem = Problem(
        rng.normal(1, 0.02, rows), terms, kinds, lower, upper,
        constant=np.where(group == 2, -1, 9 + group),
        constant_offset=np.where(group == 2, np.log(0.5), -np.inf),
        outer=11,
        weights=rng.uniform(0.5, 2, rows),
    )  # fmt: skip
    theta = np.array([0.3, 0.1, -0.2, 0.3, 0.2, -0.4, 0.02, -1, 2.2, 0.1, 0.3, -0.5])
    if not outer:
        theta[11] = 0.0
        problem = fixed(problem, theta, 11)
    return problem, theta


def every_kind() -> Iterator[tuple[str, Problem, np.ndarray]]:
    """Name, problem and a θ of each kind."""
    for k in (1, 2, 4):
        for outer in (False, True):
            problem, theta = powers(k, outer)
            name = f"{k} terms{', outer' * outer}"
            yield name, problem, theta
            yield f"{name}, fixed exponent", fixed(problem, theta, 0), theta
            yield f"{name}, fixed constant", fixed(problem, theta, 2 * k), theta
            without = replace(problem, constant=None)
            yield f"{name}, no constant", fixed(without, theta, 2 * k), theta
            bounded = replace(problem, lower=np.where(np.arange(problem.parameters) == k, -9, problem.lower))
            yield f"{name}, bounded coefficient", bounded, theta
    problem, theta = powers(2, True)
    yield "fixed p", fixed(problem, theta, 5), theta
    for outer in (False, True):
        problem, theta = rich(outer)
        yield f"rich{', outer' * outer}", problem, theta
        yield f"rich{', outer' * outer}, fixed parts", fixed(problem, theta, 6, 9, 2), theta
