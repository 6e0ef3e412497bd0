"""Certified minima: the best known objectives of the published cases, planted laws, and scipy as oracle."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from gemstones.laws.fitting import fit
from gemstones.laws.solver.derivatives import evaluate
from gemstones.laws.solver.objective import Objective, ObjectiveKind
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.solve import solve
from gemstones.runs import RunTable

# (data set, selection, law, δ): best known objective and exponents
BEST_KNOWN = {
    ("gemstones", "le100B", "N,T", 1e-4): (2.075051556e-4, (0.2928, 0.7289)),
    ("gemstones", "all", "N,T", 1e-4): (6.923289079e-4, (0.2577, 0.5895)),
    ("gemstones", "all", "w,d,T", 1e-4): (4.199461721e-4, (0.261, 0.142, 0.542)),
    ("gemstones", "le100B", "w,d,N,T", 1e-4): (1.114037941e-4, (0.307, 0.507, 0.393, 0.483)),
    ("gemstones", "all", "w,d,N,T", 1e-4): (2.948052764e-4, (0.208, 0.484, 0.368, 0.536)),
    ("gemstones", "width512", "N,T", 1e-4): (1.306596e-5, (4.886, 0.558)),
    ("gemstones", "width512", "N,T", 1e-3): (7.859102e-5, (4.503, 0.556)),
    ("pebbles", "all", "w,d,N,T", 1e-4): (3.398314828e-4, (0.1889, 0.5346, 11.1238, 0.2656)),
    ("chinchilla", "hoffmann-reduced", "N,T", 1e-4): (1.303638028e-5, (0.201, 0.524)),
    ("chinchilla", "epoch", "N,T", 1e-3): (1.018274e-3, (0.34731, 0.36718)),
}
# (selection, columns, δ): best known objective with an outer exponent, two independent solvers, and p
BEST_KNOWN_OUTER = {
    ("all", ("params_total", "tokens"), 1e-3): (5.41416326e-3, 0.427),
    ("all", ("width", "depth", "tokens"), 1e-3): (3.55384309e-3, 1.934),
    ("all", ("width", "depth", "params_total", "tokens"), 1e-3): (1.18001031e-3, 0.244),
    ("all", ("depth", "params_total", "tokens"), 1e-3): (1.29620092e-3, 0.436),
    ("all", ("width", "depth", "params_non_embedding", "tokens"), 1e-3): (1.00998544e-3, 0.345),
    ("all", ("width", "depth", "flops_per_token", "tokens"), 1e-3): (9.9256391e-4, 0.417),
    ("all", ("params_no_embedding", "tokens"), 1e-3): (4.2303062e-3, 0.429),
    ("le100B", ("params_total", "tokens"), 1e-4): (1.5475536e-4, 0.422),
    ("all", ("width", "depth", "params_total", "tokens"), 1e-4): (1.47523193e-4, 0.242),
}


@pytest.mark.parametrize("case", BEST_KNOWN, ids=lambda c: "-".join(map(str, c)))
def test_best_known_objectives(case: tuple[str, str, str, float], request: pytest.FixtureRequest) -> None:
    dataset, selection, law, delta = case
    table: RunTable = request.getfixturevalue(dataset)
    fitted = fit(table.select(selection), law, objective=Objective(delta=delta))
    objective, exponents = BEST_KNOWN[case]
    assert fitted.objective <= objective * (1 + 1e-6)
    np.testing.assert_allclose(fitted.law.exponents, exponents, atol=6e-4)
    assert fitted.status == "converged"


def test_a_fit_that_did_not_come_to_rest_says_so(
    chinchilla: RunTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = chinchilla.select("epoch")
    assert not any(flag.startswith("not_converged") for flag in fit(table, "N,T").flags)
    monkeypatch.setattr("gemstones.laws.diagnostics.STATIONARY", 0.0)
    doubtful = fit(table, "N,T")
    assert doubtful.status == "not_converged"
    assert doubtful.flags[0].startswith("not_converged: the relative gradient is ")


def test_epochs_constants(chinchilla: RunTable) -> None:
    law = fit(chinchilla.select("epoch"), "N,T", objective=Objective(delta=1e-3)).law
    a, b = np.exp(law.log_coefficients)
    assert (round(a, 1), round(b), round(law.irreducible_loss, 4)) == (477.8, 2143, 1.8172)


@pytest.mark.parametrize("case", BEST_KNOWN_OUTER, ids=lambda c: f"{c[0]}-{len(c[1])}-{c[1][-2]}-{c[2]:g}")
def test_best_known_objectives_with_an_outer_exponent(
    case: tuple[str, tuple[str, ...], float], gemstones: RunTable
) -> None:
    selection, columns, delta = case
    table = gemstones.select(selection)
    x = np.column_stack([table.numbers(column) for column in columns])
    solution = solve(Problem.simple(x, table.numbers("loss"), outer=True), Objective(delta=delta))
    objective, p = BEST_KNOWN_OUTER[case]
    assert solution.value <= objective * (1 + 1e-6)
    assert np.exp(solution.theta[-1]) == pytest.approx(p, abs=1e-3)
    assert solution.quality.stationarity < 1e-7


def planted(k: int, rows: int, noise: float, seed: int) -> tuple[Problem, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = np.exp(rng.uniform(0, 6, (rows, k)))
    theta = np.concatenate([rng.uniform(0.2, 0.9, k), rng.uniform(0, 2, k), [rng.uniform(0, 0.8)]])
    loss = np.exp(theta[k : 2 * k] - theta[:k] * np.log(columns)).sum(1) + np.exp(theta[2 * k])
    return Problem.simple(columns, loss * np.exp(rng.normal(0, noise, rows))), theta


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["huber", "squared", "absolute"])
def test_planted_laws_are_recovered(k: int, kind: ObjectiveKind) -> None:
    problem, theta = planted(k, 300, 0.0, seed=k)
    np.testing.assert_allclose(solve(problem, Objective(kind)).theta, theta, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", ["huber", "squared", "absolute"])
@pytest.mark.parametrize("seed", range(4))
def test_scipy_finds_nothing_lower(kind: ObjectiveKind, seed: int) -> None:
    problem, theta = planted(2, 80, 0.01, seed)
    objective = Objective(kind, 1e-3)
    solution = solve(problem, objective)

    system = solution.system

    def value(x: np.ndarray) -> float:
        if x[-1] < 0:  # exp(E) itself
            return 1e3 - x[-1]
        return float(objective.value(evaluate(system, x[None]).residuals[0]))

    best = system.centred(solution.theta[None])[0]
    assert value(best) == pytest.approx(solution.value)
    rng = np.random.default_rng(seed)
    for start in (system.centred(theta[None])[0], *(best + rng.normal(0, 0.02, (5, 5)))):
        for method in ("Nelder-Mead", "L-BFGS-B"):
            found = scipy.optimize.minimize(value, start, method=method, options={"maxiter": 4000}).fun
            assert solution.value <= found * (1 + 1e-6)


def test_squared_is_least_squares() -> None:
    problem, theta = planted(2, 100, 0.02, seed=9)
    solution = solve(problem, Objective("squared"))
    fitted = scipy.optimize.least_squares(
        lambda x: problem.residuals(x[None])[0], theta, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    assert solution.value == pytest.approx(fitted.cost, rel=1e-9)
    np.testing.assert_allclose(solution.theta, fitted.x, rtol=1e-4)


def test_diagnostics_tell_a_minimum_from_a_flat_one() -> None:
    problem, _ = planted(2, 300, 0.01, seed=1)
    good = solve(problem, Objective(delta=1e-2)).quality
    assert good.stationarity < 1e-8 and good.conditioning > 1e-3
    x = np.exp(np.random.default_rng(0).uniform(0, 6, 300))  # a column twice, once as its square
    loss = (x**-0.3 + 2 * x**-0.5 + 1.5) * np.exp(np.random.default_rng(1).normal(0, 1e-3, 300))
    flat = solve(Problem.simple(np.column_stack([x, x**2]), loss), Objective(delta=1e-2)).quality
    assert flat.conditioning < 1e-4


@pytest.mark.parametrize("outer", [False, True])
def test_a_perfect_fit_is_at_rest(outer: bool) -> None:
    rng = np.random.default_rng(0)
    columns = np.exp(rng.uniform(0, 6, (100, 2)))
    theta = np.array([0.4, 0.7, 1.0, 2.0, 0.3, *[-0.5] * outer])
    problem = Problem.simple(columns, np.ones(100), outer)
    solution = solve(replace(problem, log_loss=problem.log_prediction(theta[None])[0]), Objective())
    assert solution.value < 1e-20 and solution.quality.stationarity < 1e-6
    np.testing.assert_allclose(solution.theta, theta, atol=1e-6)
