"""How fast fits and resamples are, against what people do today, in one run on one machine.

    python benchmarks/speed.py [--output speed.md]

The reference is scipy's L-BFGS-B with numerical gradients from the standard grid of starting points (exponents
0 to 2 by 0.5, log coefficients 0 to 25 by 5, E −1 to 1 by 0.5): 4,500 starts for two terms, 4,050,000 for four.
A stated random sample of it is run and the whole is extrapolated. Everything is CPU seconds of this process,
BLAS on one thread, after imports. Needs GEMSTONES_DATA_DIR or a network.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.special

from gemstones.laws.columns import table_columns
from gemstones.laws.fit import fit
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.polish import polish
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.resample import CHUNK, Refits, draw_weights
from gemstones.laws.solver.screen import Screen
from gemstones.laws.solver.solve import solve
from gemstones.runs import RunTable, load

DELTA = 1e-4
LAWS = ("N,T", "w,d,N,T", "(N,T)^p", "(w,d,N,T)^p")
SAMPLE = {2: 60, 4: 24}
"""Starts of the grid that are really run."""
FITS = 5
RESAMPLES = 1000
CHECKED = 100
STARTS_OF_CHECK = 30


def columns_of(law: str) -> list[str]:
    """The columns of a law, written `w,d,N,T` or `(w,d,N,T)^p`."""
    return law.removeprefix("(").removesuffix(")^p").split(",")


def outer(law: str) -> bool:
    """Whether a law has an outer exponent."""
    return law.endswith("^p")


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def grid_of(k: int) -> list[np.ndarray]:
    return [*[np.arange(0, 2.1, 0.5)] * k, *[np.arange(0, 26, 5.0)] * k, np.arange(-1, 1.1, 0.5)]


def reference_seconds(table: RunTable, law: str) -> tuple[float, int, float]:
    """CPU seconds per start, starts in the grid, and the best objective of the sample."""
    terms = columns_of(law)
    k = len(terms)
    logs = np.log(table_columns(terms, table, "total"))
    log_loss = np.log(table.numbers("loss"))

    def objective(theta: np.ndarray) -> float:
        parts = np.column_stack([theta[k : 2 * k] - logs * theta[:k], np.full(len(logs), theta[2 * k])])
        residuals = log_loss - scipy.special.logsumexp(parts, axis=1)
        return float(scipy.special.huber(DELTA, residuals).sum())

    axes = grid_of(k)
    rng = np.random.default_rng(0)
    starts = [np.array([rng.choice(axis) for axis in axes]) for _ in range(SAMPLE[k])]
    best = math.inf

    def run() -> None:
        nonlocal best
        for start in starts:
            best = min(best, scipy.optimize.minimize(objective, start, method="L-BFGS-B").fun)

    seconds = cpu_seconds(run) / len(starts)
    return seconds, math.prod(map(len, axes)), best


def within_of_many_starts(table: RunTable, law: str) -> int:
    """How many of `CHECKED` resamples by run are within 1e-6 of the best that many starts find."""
    problem = Problem.simple(
        table_columns(columns_of(law), table, "total"), table.numbers("loss"), outer(law)
    )
    objective = Objective(delta=DELTA)
    solution = solve(problem, objective)
    refits, screen = Refits(solution, objective), Screen(solution.system, DELTA)
    weights = np.concatenate(
        [draw_weights(table.run_codes, "run", 0, c) for c in range(-(-CHECKED // CHUNK))]
    )
    within = 0
    for at in range(0, CHECKED, CHUNK):
        chunk = weights[at : min(at + CHUNK, CHECKED)]
        _, values = refits.of(chunk)
        for w, value in zip(chunk, values, strict=True):
            starts = screen.best(w).theta[:STARTS_OF_CHECK]
            many = polish(solution.system, starts, DELTA, w[None], np.zeros(len(starts), np.int64))
            within += value <= many.value.min() * (1 + 1e-6)
    return within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    output = parser.parse_args().output
    table = load("gemstones").select("all")
    lines = [
        f"`all` of gemstones: {table.rows} rows of {table.runs} runs, delta {DELTA:g}; CPU seconds, BLAS on one "
        f"thread, after imports; {os.cpu_count()} cores",
        "",
        "| law | scipy, per start (sample) | scipy, whole grid | one fit (median) | grid / fit | best of sample / ours "
        f"| fit, in starts | {RESAMPLES} resamples by run | the same, in starts "
        f"| within 1e-6 of {STARTS_OF_CHECK} starts |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for law in LAWS:
        per_start, starts, best = reference_seconds(table, law)
        fitted = fit(table, law)
        ours = float(np.median([cpu_seconds(lambda law=law: fit(table, law)) for _ in range(FITS)]))
        resampled = cpu_seconds(lambda law=law: fit(table, law, bootstrap=RESAMPLES))
        whole = per_start * starts
        lines.append(
            f"| {law} | {per_start:.3f} s ({SAMPLE[len(columns_of(law))]}) "
            f"| {whole:,.0f} s ({starts:,} starts) | {ours:.3f} s "
            f"| {whole / ours:,.0f} | {best / fitted.objective:.4f} | {ours / per_start:.2f} | {resampled:.1f} s "
            f"| {resampled / per_start:.0f} "
            f"| {within_of_many_starts(table, law)} of {CHECKED} |"
        )
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if output is not None:
        output.write_text(text)


if __name__ == "__main__":
    main()
