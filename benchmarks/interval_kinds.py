"""How often 95% intervals cover a planted truth, by kind of interval, of resampling, and number of runs.

    python benchmarks/interval_kinds.py [--tables 200] [--draws 1000] [--output interval_kinds.md]

Each table has the runs and checkpoints of `all` (or some of its runs), losses of a known law in N and T (exponents
.2577 and .5895, log coefficients 4.88 and 12.7, E .6655), and log-normal noise: σ .006 shared by the checkpoints of
a run, and .002 per row. δ is 1e-3. Needs GEMSTONES_DATA_DIR or a network.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from statistics import NormalDist

import numpy as np
import polars as pl
from joblib import Parallel, delayed

from gemstones.laws.fitting import fit
from gemstones.laws.interval import interval
from gemstones.laws.solver.objective import Objective
from gemstones.laws.solver.resample import Unit
from gemstones.runs import RunTable, load

TRUTH = np.array([0.2577, 0.5895, 4.88, 12.7, 0.6655])
NORMAL = NormalDist()


def planted(table: RunTable, runs: int, seed: int) -> RunTable:
    """`runs` of the table's runs, chosen at random, with planted losses."""
    rng = np.random.default_rng([20261122, runs, seed])
    chosen = np.isin(table.run_codes, rng.choice(table.runs, runs, replace=False))
    table = dataclasses.replace(table, frame=table.frame.filter(pl.Series(chosen)))
    n, t = table.numbers("params_total"), table.numbers("tokens")
    alpha, beta, log_a, log_b, log_e = TRUTH
    loss = np.exp(log_a - alpha * np.log(n)) + np.exp(log_b - beta * np.log(t)) + np.exp(log_e)
    noise = rng.normal(0, 0.006, runs)[table.run_codes] + rng.normal(0, 0.002, table.rows)
    return dataclasses.replace(table, frame=table.frame.with_columns(pl.Series("loss", loss * np.exp(noise))))


def percentile(draws: np.ndarray, estimate: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def bias_corrected(draws: np.ndarray, estimate: float) -> tuple[float, float]:
    share = np.clip((draws < estimate).mean(), 0.5 / len(draws), 1 - 0.5 / len(draws))
    z0 = NORMAL.inv_cdf(float(share))
    low, high = np.quantile(draws, [NORMAL.cdf(2 * z0 - 1.96), NORMAL.cdf(2 * z0 + 1.96)])
    return float(low), float(high)


KINDS = {"ours": interval, "percentile": percentile, "bias-corrected": bias_corrected}


def one(table: RunTable, runs: int, unit: Unit, draws: int, seed: int) -> np.ndarray:
    """(kinds, exponents, 2): covered or not, width."""
    fitted = fit(
        planted(table, runs, seed),
        objective=Objective(delta=1e-3),
        bootstrap=draws,
        unit=unit,
        seed=seed,
        force=True,
    )
    out = np.zeros((len(KINDS), 2, 2))
    for i, kind in enumerate(KINDS.values()):
        for j in range(2):
            low, high = kind(fitted.theta_draws[:, j], fitted.law.exponents[j])
            out[i, j] = low <= TRUTH[j] <= high, high - low
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    table = load("gemstones").select("all")
    lines = [
        "# Kinds of intervals, on planted laws",
        "",
        f"{options.tables} tables, {options.draws} resamples each; share of 95% intervals that cover the truth "
        "(median width)",
        "",
        "| runs | resampled by | interval | exponent of N (.2577) | exponent of T (.5895) |",
        "|---|---|---|---|---|",
    ]
    for runs, unit in ((22, "run"), (22, "row"), (8, "run"), (6, "run"), (4, "run")):
        results = np.array(
            Parallel(n_jobs=-1)(
                delayed(one)(table, runs, unit, options.draws, seed) for seed in range(options.tables)
            )
        )
        for i, kind in enumerate(KINDS):
            cells = [
                f"{results[:, i, j, 0].mean():.1%} ({np.median(results[:, i, j, 1]):.3g})" for j in range(2)
            ]
            lines.append(f"| {runs} | {unit} | {kind} | {cells[0]} | {cells[1]} |")
            print(lines[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
