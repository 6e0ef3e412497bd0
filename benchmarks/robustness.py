"""How often a fit, or a resample, ends above what many starts find, and whether it says so.

    python benchmarks/robustness.py [--tables 200] [--seed 0] [--output robustness.md]

Planted tables of every kind that people have: one to four columns, with and without an outer exponent, grids and random
designs, correlated columns, 18 to 400 rows of 5 to 30 runs, noise by run and by row, some with outliers; δ of 1e-4 and
1e-3. Each table is fitted, and resampled by run (`RESAMPLES`). The reference is the best of `STARTS` starts polished to
the end on the same rows: most from the best of a screen of those rows, the rest at random. A fit ends above where its
objective is more than 1e-6 higher; `flagged` are those of them that were told: not converged, a constant that the rows
hardly determine, a term at zero, an exponent out of range or at its bound.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
from pathlib import Path

import numpy as np
from planted_tables import Table, planted

from gemstones.laws.diagnostics import (
    alive_constants,
    convergence_flags,
    law_flags,
    shares,
    undetermined_flags,
)
from gemstones.laws.pose import pose
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.polish import polish
from gemstones.laws.solver.resample import Refits, draw_weights
from gemstones.laws.solver.screen import Screen
from gemstones.laws.solver.solve import Solution, solve
from gemstones.laws.solver.system import System
from gemstones.shape import FloatArray

STARTS = 30
SCREENED_STARTS = 22
"""Of them; the others are random."""
RESAMPLES = 4
TOLERANCE = 1e-6


def reference(system: System, delta: float, weights: FloatArray, rng: np.random.Generator) -> float:
    """The least objective that many starts find."""
    screened = Screen(system, delta).best(weights).theta[:SCREENED_STARTS]
    theta = np.repeat(screened[:1], STARTS - len(screened), 0)
    exponents, coefficients = system.kind("exponent"), system.kind("coefficient")
    theta[:, exponents] = rng.uniform(0.05, 2.0, (len(theta), len(exponents)))
    theta[:, coefficients] += rng.normal(0, 1.5, (len(theta), len(coefficients)))
    starts = np.concatenate([screened, theta])
    found = polish(system, starts, delta, weights[None], np.zeros(len(starts), np.int64))
    return float(found.value.min())


def flags_of(table: Table, solution: Solution) -> list[str]:
    """What the fit says against itself."""
    theta = solution.theta[: len(table.form.entries)]
    share = shares(table.form, theta, table.log_columns, {})
    return [
        *convergence_flags(solution.quality.stationarity),
        *law_flags(table.form, theta, share),
        *undetermined_flags(
            table.form,
            solution.problem,
            solution.quality,
            solution.theta,
            alive_constants(table.form, share),
            int(table.run.max()) + 1,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    fits: list[tuple[float, str, int, list[str]]] = []
    draws: list[float] = []
    for number in range(options.first, options.first + options.tables):
        table = planted(options.seed, number)
        objective = Objective(delta=table.delta)
        solution = solve(pose(table.form, table.log_columns, table.loss), objective)
        rng = np.random.default_rng([options.seed, number, 1])
        best = reference(solution.system, table.delta, np.ones(len(table.loss)), rng)
        above = solution.value / best - 1
        fits.append((above, table.kind, number, flags_of(table, solution) if above > TOLERANCE else []))
        if above > TOLERANCE:
            print(f"table {number} ({table.kind}): {above:.1e} above; {fits[-1][3] or 'no flag'}", flush=True)
        weights = draw_weights(table.run, "run", number, 0)[:RESAMPLES]
        refits = Refits(solution, objective)
        _, values = refits.of(weights)
        for r, (w, value) in enumerate(zip(weights, values, strict=True)):
            least = reference(refits.system, table.delta, w, rng)
            draws.append(value / least - 1)
            if draws[-1] > TOLERANCE:
                print(f"table {number} ({table.kind}), resample {r}: {draws[-1]:.1e} above", flush=True)
    excess = np.array([above for above, *_ in fits])
    missed = [fit for fit in fits if fit[0] > TOLERANCE]
    relative = np.array(draws)
    lines = [
        "# Robustness",
        "",
        f"{len(fits)} planted tables of seed {options.seed} and {len(draws)} resamples by run of them, against the "
        f"best of {STARTS} starts (benchmarks/robustness.py).",
        "",
        "| | number | above by 1e-6 or more | of these flagged | below by 1e-6 or more | largest excess |",
        "|---|---|---|---|---|---|",
        f"| fits | {len(fits)} | {len(missed)} | {sum(bool(m[3]) for m in missed)} | {(excess < -TOLERANCE).sum()} "
        f"| {max(excess.max(), 0):.1e} |",
        f"| resamples | {len(draws)} | {(relative > TOLERANCE).sum()} | – | {(relative < -TOLERANCE).sum()} "
        f"| {max(relative.max(), 0):.1e} |",
        "",
    ]
    lines += [
        f"- table {n}, {kind}: {above:.1e} above; {flags or 'no flag'}" for above, kind, n, flags in missed
    ]
    print("\n".join(lines))
    if options.output is not None:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
