"""From which drift on the exponents of a fit are wrong: where the threshold of `ill_conditioned` comes from.

    python benchmarks/conditioning.py [--tables 20]

`N,T` planted with exponents 0.34 and 0.28 on designs from good to hopeless; noise of 0.5% by run and 0.2% by row. The
drift is `gemstones.laws.diagnostics.adrift`; the error is the larger of the two exponents', as a factor.
"""

from __future__ import annotations

import argparse

import numpy as np

from gemstones.laws.diagnostics import (
    ADRIFT,
    adrift,
    alive_constants,
    law_flags,
    shares,
    undetermined_flags,
)
from gemstones.laws.form import Form
from gemstones.laws.pose import pose
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.solve import solve

EXPONENTS = np.array([0.34, 0.28])
DESIGNS: dict[str, tuple[int, float, float | None]] = {
    "20 sizes over a factor of 100": (20, 100.0, None),
    "8 sizes over a factor of 30": (8, 30.0, None),
    "8 sizes over a factor of 4": (8, 4.0, None),
    "8 sizes over a factor of 1.5": (8, 1.5, None),
    "20 tokens per parameter, within a factor of 4": (20, 100.0, 4.0),
    "within a factor of 1.5": (20, 100.0, 1.5),
    "within 10%": (20, 100.0, 1.1),
    "within 2%": (20, 100.0, 1.02),
}
"""Runs, the range of their sizes, and how far their tokens per parameter go (None: 12 checkpoints over a decade)."""


def measured(runs: int, spread: float, ratio: float | None, seed: int) -> tuple[float, float, bool]:
    """The drift, the factor by which an exponent is off, and whether the fit has any flag."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(1e8, 1e8 * spread, runs)
    code = np.repeat(np.arange(runs), 12)
    n = sizes[code]
    if ratio is None:
        tokens = np.tile(np.geomspace(2e9, 2e10, 12), runs)
    else:
        tokens = 20 * n * np.exp(rng.uniform(-0.5, 0.5, len(n)) * np.log(ratio))
    loss = 1.7 + 400 * n ** -EXPONENTS[0] + 410 * tokens ** -EXPONENTS[1]
    loss *= np.exp(rng.normal(0, 0.005, runs)[code] + rng.normal(0, 0.002, len(n)))
    form = Form("N,T")
    problem = pose(form, [np.log(n), np.log(tokens)], loss)
    solution = solve(problem, Objective(delta=1e-3))
    units, _ = adrift(form, problem, solution.quality, solution.theta, runs)
    off = np.abs(np.log(np.maximum(solution.theta[:2], 1e-3) / EXPONENTS)).max()
    share = shares(form, solution.theta, [np.log(n), np.log(tokens)], {})
    alive = alive_constants(form, share)
    flags = law_flags(form, solution.theta, share)
    flags += undetermined_flags(form, problem, solution.quality, solution.theta, alive, runs)
    return units, float(np.exp(off)), bool(flags)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=int, default=20)
    tables = parser.parse_args().tables
    print(
        "| design | drift, median (10% to 90%) | exponent off by a factor of, median (90%) "
        "| flagged for it | any flag |"
    )
    print("|---|---|---|---|---|")
    for name, design in DESIGNS.items():
        drift, off, any_flag = np.array([measured(*design, seed) for seed in range(tables)]).T
        low, middle, high = np.quantile(drift, [0.1, 0.5, 0.9], method="higher")
        print(
            f"| {name} | {middle:.2g} ({low:.2g} to {high:.2g}) | {np.median(off):.2f} "
            f"({np.quantile(off, 0.9):.2f}) | {(drift > ADRIFT).sum()} of {tables} "
            f"| {any_flag.sum():.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
