from dataclasses import replace

import numpy as np
import pytest

from gemstones.errors import InvalidRequest
from gemstones.laws.fitting import fit
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.polish import polish
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.resample import CHUNK, Refits, draw_weights
from gemstones.laws.solver.screen import Screen
from gemstones.laws.solver.solve import solve
from gemstones.runs import RunTable

CODES = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])


def test_runs_are_drawn_whole_and_as_many_as_there_are() -> None:
    weights = draw_weights(CODES, "run", seed=0, chunk=0)
    assert weights.shape == (CHUNK, len(CODES))
    by_run = weights[:, np.unique(CODES, return_index=True)[1]]
    np.testing.assert_array_equal(weights, by_run[:, CODES])
    assert (by_run.sum(1) == 6).all() and (by_run == 0).any() and (by_run > 1).any()
    assert (draw_weights(CODES, "row", seed=0, chunk=0).sum(1) == len(CODES)).all()


def test_streams_differ_by_seed_and_chunk() -> None:
    first = draw_weights(CODES, "run", 0, 0)
    assert not np.array_equal(first, draw_weights(CODES, "run", 0, 1))
    assert not np.array_equal(first, draw_weights(CODES, "run", 1, 0))
    with pytest.raises(InvalidRequest, match="run, row"):
        draw_weights(CODES, "column", 0, 0)  # type: ignore[arg-type]


@pytest.mark.long
@pytest.mark.parametrize("law", ["N,T", "w,d,N,T"])
def test_draws_depend_on_the_seed_alone(gemstones: RunTable, law: str) -> None:
    table = gemstones.select("le100B")
    draws = CHUNK + 16
    one = fit(table, law, bootstrap=draws, seed=5)
    two = fit(table, law, bootstrap=draws, seed=5, workers=2)
    assert one == two
    short = fit(table, law, bootstrap=CHUNK, seed=5)
    assert short.drawn == one.drawn[:CHUNK]
    assert fit(table, "N,T", bootstrap=40, seed=6).drawn[0] != one.drawn[0]


@pytest.mark.long
def test_resamples_end_at_no_wild_exponent(pebbles: RunTable) -> None:
    """At 4, or twice the estimate, unless the bound is the caller's own."""
    fitted = fit(pebbles, "w,d,N,T", bootstrap=64)
    assert fitted.law.exponents[2] == pytest.approx(11.12, abs=0.01)
    w, d, n, t = fitted.theta_draws[:, :4].max(0)
    assert w < 4 and t < 4 and d == 4.0 and 4 < n <= 20
    wide = fit(pebbles, "w,d,N,T", bounds={"a_d": (0, 6)}, bootstrap=64)
    assert 4 < wide.theta_draws[:, 1].max() <= 6


@pytest.mark.long
@pytest.mark.parametrize("outer", [False, True])
def test_refits_reach_what_many_starts_find(gemstones: RunTable, outer: bool) -> None:
    """The hard case: Equation 2, resampled by run (the benchmark does it for a hundred resamples)."""
    table = gemstones.select("all")
    columns = np.column_stack([table.numbers(c) for c in ("width", "depth", "params_total", "tokens")])
    problem = Problem.simple(columns, table.numbers("loss"), outer)
    solution = solve(problem, Objective())
    weights = draw_weights(table.run_codes, "run", seed=3, chunk=0)[:16]
    _, value = Refits(solution, Objective()).of(weights)
    screen, reached = Screen(solution.system, 1e-4), 0
    for w, found in zip(weights, value, strict=True):
        many = polish(solution.system, screen.best(w).theta[:30], 1e-4, w[None], np.zeros(30, np.int64))
        reached += found <= many.value.min() * (1 + 1e-6)
    assert reached >= 15


def test_a_resample_is_a_fit_of_its_rows(gemstones: RunTable) -> None:
    """Row weights of the problem and of the resample multiply."""
    table = gemstones.select("le100B")
    columns = np.column_stack([table.numbers("params_total"), table.numbers("tokens")])
    own = np.random.default_rng(0).uniform(0.5, 2, table.rows)
    problem = replace(Problem.simple(columns, table.numbers("loss"), outer=True), weights=own)
    drawn = draw_weights(table.run_codes, "run", seed=1, chunk=0)[:3]
    theta, value = Refits(solve(problem, Objective()), Objective()).of(drawn)
    assert theta.shape == (3, 6)
    for weights, found in zip(drawn, value, strict=True):
        alone = solve(replace(problem, weights=own * weights), Objective())
        assert found == pytest.approx(alone.value, rel=1e-6)


def test_epochs_standard_errors(chinchilla: RunTable) -> None:
    fitted = fit(
        chinchilla.select("epoch"),
        "N,T",
        objective=Objective(delta=1e-3),
        bootstrap=1000,
        unit="row",
        workers=2,
    )
    alpha, beta = fitted.theta_draws[:, :2].std(0)
    assert alpha == pytest.approx(0.0154, rel=0.15)
    assert beta == pytest.approx(0.0206, rel=0.15)


def planted_table(gemstones: RunTable, seed: int) -> RunTable:
    """The runs and checkpoints of `all` with losses of a known law: noise shared by a run, and per row."""
    import dataclasses

    import polars as pl

    table = gemstones.select("all")
    n, t = table.numbers("params_total"), table.numbers("tokens")
    loss = np.exp(4.88 - 0.2577 * np.log(n)) + np.exp(12.7 - 0.5895 * np.log(t)) + np.exp(0.6655)
    rng = np.random.default_rng([2026, seed])
    noise = rng.normal(0, 0.006, table.runs)[table.run_codes] + rng.normal(0, 0.002, table.rows)
    return dataclasses.replace(table, frame=table.frame.with_columns(pl.Series("loss", loss * np.exp(noise))))


@pytest.mark.long
def test_intervals_by_run_cover_a_planted_law(gemstones: RunTable) -> None:
    """100 tables of the 200 that benchmarks/interval_kinds.py takes, with fewer draws."""
    covered = np.zeros(2)
    tables = 100
    for seed in range(tables):
        fitted = fit(
            planted_table(gemstones, seed), objective=Objective(delta=1e-3), bootstrap=CHUNK, seed=seed
        )
        intervals = fitted.intervals
        assert intervals is not None
        for i, (term, truth) in enumerate((("N", 0.2577), ("T", 0.5895))):
            low, high = intervals["exponents"][term]
            covered[i] += low <= truth <= high
    assert (covered >= 0.90 * tables).all() and (covered <= 0.99 * tables).all(), covered
