"""How fast fits and resamples are, against what people do today, in one run on one machine.

    python benchmarks/speed.py [--output speed.md]

The unit is one start of scipy's L-BFGS-B with numerical gradients on the same rows, from the standard grid of starting
points (exponents 0 to 2 by 0.5, log coefficients 0 to 25 by 5, E −1 to 1 by 0.5): 4,500 starts for two terms,
4,050,000 for four. A stated random sample of the grid is run; a law with an outer exponent is counted in starts of the
law without one. Everything is CPU seconds of this process, BLAS on one thread, after imports. Machines are shared, and
their speed changes from minute to minute: starts, fits and resamples take turns, in `ROUNDS` rounds, and ratios are of
their sums. Needs GEMSTONES_DATA_DIR or a network.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.special

from gemstones.laws.columns import table_columns
from gemstones.laws.fitting import fit
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.polish import polish
from gemstones.laws.solver.problem import Problem
from gemstones.laws.solver.resample import CHUNK, Refits, draw_weights, resample
from gemstones.laws.solver.screen import Screen
from gemstones.laws.solver.solve import solve
from gemstones.runs import RunTable, load
from gemstones.shape import FloatArray, IntArray

DELTA = 1e-4
LAWS = ("N,T", "w,d,N,T", "(N,T)^p", "(w,d,N,T)^p")
LIMITS = {"N,T": ("", "70"), "w,d,N,T": ("0.7", "300"), "(w,d,N,T)^p": ("2", "800")}
"""Of one fit, and of 1,000 resamples, in starts."""
SAMPLE = {2: 64, 4: 32}
"""Starts of the grid that are really run, by number of terms."""
ROUNDS = 4
FITS = 3
"""A round."""
CHUNKS = 1
"""Of resamples, a round: 256 in all, reported per 1,000."""
CHECKED = 100
STARTS_OF_CHECK = 30
ROWS = (1_000, 10_000)
"""Of the tables on which the cost of a resample is compared."""


def columns_of(law: str) -> list[str]:
    """The columns of a law, written `w,d,N,T` or `(w,d,N,T)^p`."""
    return law.removeprefix("(").removesuffix(")^p").split(",")


def outer(law: str) -> bool:
    """Whether a law has an outer exponent."""
    return law.endswith("^p")


def problem_of(table: RunTable, law: str) -> Problem:
    """The law on the rows of a table, for the solver."""
    columns = table_columns(columns_of(law), table, "total")
    return Problem.simple(columns, table.numbers("loss"), outer(law))


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def grid_of(k: int) -> list[FloatArray]:
    return [*[np.arange(0, 2.1, 0.5)] * k, *[np.arange(0, 26, 5.0)] * k, np.arange(-1, 1.1, 0.5)]


def reference(table: RunTable, law: str) -> Callable[[FloatArray], float]:
    """One start of what people do: the objective that it ends at."""
    terms = columns_of(law)
    k = len(terms)
    logs = np.log(table_columns(terms, table, "total"))
    log_loss = np.log(table.numbers("loss"))

    def objective(theta: FloatArray) -> float:
        parts = np.column_stack([theta[k : 2 * k] - logs * theta[:k], np.full(len(logs), theta[2 * k])])
        residuals = log_loss - scipy.special.logsumexp(parts, axis=1)
        return float(scipy.special.huber(DELTA, residuals).sum())

    return lambda start: float(scipy.optimize.minimize(objective, start, method="L-BFGS-B").fun)


def sampled_starts(k: int) -> Sequence[FloatArray]:
    """Of the grid for k terms."""
    rng = np.random.default_rng(0)
    axes = grid_of(k)
    return [np.array([rng.choice(axis) for axis in axes]) for _ in range(SAMPLE[k])]


def speed_line(table: RunTable, law: str, check: bool) -> str:
    """A row of the table: interleaved starts, fits and resamples."""
    k = len(columns_of(law))
    run, starts = reference(table, law), sampled_starts(k)
    objective = Objective(delta=DELTA)
    fitted, solution = fit(table, law), solve(problem_of(table, law), objective)
    seconds, best = {"start": 0.0, "fit": 0.0, "draws": 0.0}, math.inf
    ends: list[float] = []
    for round_ in range(ROUNDS):
        mine = starts[round_::ROUNDS]
        seconds["start"] += cpu_seconds(lambda mine=mine: ends.extend(map(run, mine)))  # type: ignore[misc]
        seconds["fit"] += cpu_seconds(lambda: [fit(table, law) for _ in range(FITS)])
        seconds["draws"] += cpu_seconds(
            lambda seed=round_: resample(  # type: ignore[misc]
                solution, objective, table.run_codes, CHUNKS * CHUNK, seed=seed
            )
        )
    start = seconds["start"] / len(starts)
    one, thousand = seconds["fit"] / (ROUNDS * FITS), seconds["draws"] / (ROUNDS * CHUNKS * CHUNK) * 1000
    best = min(ends)
    whole = math.prod(map(len, grid_of(k)))
    of_fit, of_draws = LIMITS.get(law, ("", ""))
    cells = [
        law,
        f"{start:.3f} s ({len(starts)} of {whole:,})",
        "" if outer(law) else f"{best / fitted.objective:.4f}",
        f"{one:.3f} s",
        f"{one / start:.2f}{f' (limit {of_fit})' if of_fit else ''}",
        f"{thousand:.1f} s",
        f"{thousand / start:.0f}{f' (limit {of_draws})' if of_draws else ''}",
        f"{within_of_many_starts(table, law)} of {CHECKED}" if check else "",
    ]
    return f"| {' | '.join(cells)} |"


def within_of_many_starts(table: RunTable, law: str) -> int:
    """How many of `CHECKED` resamples by run are within 1e-6 of the best that many starts find."""
    objective = Objective(delta=DELTA)
    solution = solve(problem_of(table, law), objective)
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
            many = polish(refits.system, starts, DELTA, w[None], np.zeros(len(starts), np.int64))
            within += value <= many.value.min() * (1 + 1e-6)
    return within


def planted(law: str, rows: int) -> tuple[Problem, IntArray]:
    """25 shapes with as many checkpoints as make up `rows`, noise of 0.5% by run and 0.2% by row; the run of each."""
    rng = np.random.default_rng(0)
    runs = 25
    width, depth = (
        (256.0 * (1 + np.arange(5)))[np.arange(runs) // 5],
        (4.0 * (1 + np.arange(5)))[np.arange(runs) % 5],
    )
    code = np.repeat(np.arange(runs), rows // runs)
    size = (12 * width**2 * depth + 1e5 * width)[code]
    tokens = np.tile(np.geomspace(2e9, 3e11, rows // runs), runs)
    columns = {"w": width[code], "d": depth[code], "N": size, "T": tokens}
    log_terms = np.log(
        [20 * width[code] ** -0.6, 0.5 * depth[code] ** -0.7, 300 * size**-0.34, 400 * tokens**-0.3]
    )
    power = 0.7 if outer(law) else 1.0
    loss = np.exp(power * np.logaddexp.reduce(log_terms)) + 1.6
    loss *= np.exp(rng.normal(0, 0.005, runs)[code] + rng.normal(0, 0.002, rows))
    return Problem.simple(np.column_stack([columns[c] for c in columns_of(law)]), loss, outer(law)), code


def rows_line(law: str) -> str:
    """What a resample costs on few and on many rows, in turns."""
    objective, draws = Objective(delta=DELTA), CHUNK
    problems = [planted(law, rows) for rows in ROWS]
    solutions = [solve(problem, objective) for problem, _ in problems]
    seconds = np.zeros(len(ROWS))
    for seed in range(3):
        for i, (solution, (_, code)) in enumerate(zip(solutions, problems, strict=True)):
            seconds[i] += cpu_seconds(
                lambda solution=solution, code=code, seed=seed: resample(  # type: ignore[misc]
                    solution, objective, code, draws, seed=seed
                )
            )
    few, many = seconds / (3 * draws)
    return f"| {law} | {few * 1e3:.1f} ms | {many * 1e3:.1f} ms | {many / few:.1f} (limit 4) |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--law", action="append", choices=LAWS, help="This law alone.")
    parser.add_argument(
        "--no-check", action="store_true", help="Leave out the comparison with many starts: it takes most."
    )
    parser.add_argument("--part", choices=("speed", "rows"), help="This table alone.")
    options = parser.parse_args()
    laws, lines = options.law or LAWS, []
    if options.part != "rows":
        table = load("gemstones").select("all")
        lines += [
            "# Speed",
            "",
            f"`all` of gemstones: {table.rows} rows of {table.runs} runs, delta {DELTA:g}; CPU seconds, BLAS on one "
            f"thread, after imports, {os.cpu_count()} cores. A start is one of scipy {scipy.__version__}'s L-BFGS-B "
            "with numerical gradients; starts, fits and resamples took turns (benchmarks/speed.py).",
            "",
            "| law | one start (run, of the grid) | best of them / ours | one fit | in starts | 1,000 resamples by run "
            f"| in starts | within 1e-6 of the best of {STARTS_OF_CHECK} starts |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for law in laws:
            lines.append(speed_line(table, law, not options.no_check))
            print(lines[-1], flush=True)
    if options.part != "speed":
        lines += [
            "",
            f"One resample by run of a planted table of 25 runs, {CHUNK} at a time:",
            "",
            f"| law | {ROWS[0]:,} rows | {ROWS[1]:,} rows | ratio |",
            "|---|---|---|---|",
        ]
        for law in laws:
            lines.append(rows_line(law))
            print(lines[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(lines).lstrip() + "\n")


if __name__ == "__main__":
    main()
