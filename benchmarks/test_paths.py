"""How long people wait, on the runs that ship: `make bench` keeps the times, `make bench-compare` compares with them.

BLAS on one thread; times are of this machine, and only compared with its own.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

import gemstones as gs
from gemstones.laws.solver.objective import Objective
from gemstones.runs import RunTable

pytest.importorskip("pytest_benchmark")
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.fixture(scope="module")
def runs() -> RunTable:
    return gs.load("pebbles").select("all")


def test_help(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(
        lambda: subprocess.run(
            [sys.executable, "-m", "gemstones", "--help"], check=True, capture_output=True
        ),
        rounds=5,
    )


def test_load(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(gs.load, "pebbles")) > 0


@pytest.mark.parametrize("law", ["N,T", "w,d,N,T", "(w,d,N,T)^p"])
def test_fit(benchmark: BenchmarkFixture, runs: RunTable, law: str) -> None:
    assert benchmark.pedantic(lambda: gs.fit(runs, law), rounds=5).status == "converged"


def test_64_resamples(benchmark: BenchmarkFixture, runs: RunTable) -> None:
    fit = benchmark.pedantic(lambda: gs.fit(runs, "N,T", bootstrap=64, backtests=False), rounds=3)
    assert len(fit.theta_draws) == 64


def test_fit_of_other_objective(benchmark: BenchmarkFixture, runs: RunTable) -> None:
    fit = benchmark.pedantic(lambda: gs.fit(runs, "N,T", objective=Objective("absolute")), rounds=5)
    assert fit.status == "converged"


def test_plan_without_intervals(benchmark: BenchmarkFixture) -> None:
    law = gs.published("gemstones-width-depth")
    assert benchmark.pedantic(lambda: gs.plan(1e22, law), rounds=5).shape


def test_plan_with_400_draws(benchmark: BenchmarkFixture) -> None:
    assert benchmark.pedantic(lambda: gs.plan(1e22), rounds=2).intervals


def test_envelope(benchmark: BenchmarkFixture, runs: RunTable) -> None:
    envelope = benchmark.pedantic(lambda: gs.envelope(runs, bootstrap=64), rounds=3)
    assert envelope.fits
