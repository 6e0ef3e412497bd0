"""Planted pairs of recipes: does `gemstones compare` cover, is it calibrated, and what do others do on the same pairs?

    python benchmarks/compare.py --pairs 100 --output benchmarks/compare.md

A pair of suites follows one law but for one effect, at random in E, A, B or an exponent (or none), with noise by run,
noise by row, a smooth misfit of 0.2% (sums of cosines, not the kernel that the product uses) and 5% of outlying runs.
Scored at 10 and 100 times the largest compute. Results are kept in OUTPUT.jsonl and taken up from there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gemstones.analyses.compare.compare import compare
from gemstones.errors import GemstonesError
from gemstones.laws.fitting import fit
from gemstones.laws.form import Form
from gemstones.laws.law import Law
from gemstones.planning.optimum import size_optima
from gemstones.runs import load

EFFECTS = ("none", "E", "A", "B", "a")
RUNS = (6, 10, 22)
SPACE = 10
TRUTH = {  # exponents of N and T, log coefficients, log E, log p
    "N,T": np.array([0.34, 0.28, np.log(406.4), np.log(410.7), np.log(1.69)]),
    "(N,T)^p": np.array([0.75, 0.65, np.log(8e5), np.log(8e5), np.log(1.5), np.log(0.45)]),
}


def effect(rng: np.random.Generator, theta: np.ndarray, kind: str, size: float) -> np.ndarray:
    """θ of B: `size` of log loss at the middle of the runs, from one constant."""
    moved = theta.copy()
    if kind == "none":
        return moved
    index = {"E": 4, "A": 2, "B": 3, "a": int(rng.integers(0, 2))}[kind]
    columns = [np.log(5e8), np.log(3e10)]
    law = Form("N,T" if len(theta) == 5 else "(N,T)^p")
    step = 1e-4 * np.eye(len(theta))[index]
    slope = (law.log_loss(theta + step, columns) - law.log_loss(theta - step, columns)) / 2e-4
    moved[index] += size / float(slope)
    if kind == "a":  # curves cross inside the runs
        moved[index + 2] += (moved[index] - theta[index]) * columns[index]
        moved[index + 2] -= 0.3 * (moved[index] - theta[index]) * rng.normal()
        moved[index] = theta[index] + 0.06 * np.sign(size) * abs(size) / 0.01 * theta[index]
        moved[index + 2] = theta[index + 2] + (moved[index] - theta[index]) * (
            columns[index] + rng.normal(0, 0.7)
        )
    return moved


def misfit(rng: np.random.Generator, size: float):
    """A smooth function of log N and log T of that root mean square."""
    waves = rng.normal(0, 1.2 / np.log(10), (4, 2))
    phases, amplitudes = rng.uniform(0, 2 * np.pi, 4), rng.normal(size=4)
    scale = size / np.sqrt(np.square(amplitudes).sum() / 2)

    def of(log_n, log_t):
        total = 0.0
        for w, phase, a in zip(waves, phases, amplitudes, strict=True):
            total = total + a * np.cos(w[0] * log_n + w[1] * log_t + phase)
        return scale * total

    return of


def suites(
    rng: np.random.Generator, runs: int, paired: bool, truth: str, kind: str
) -> tuple[Any, Any, Any, Any]:
    """Tables of A and B, and the true θ of both with their misfits."""
    theta = TRUTH[truth]
    size = rng.normal(0, 0.01)
    other = effect(rng, theta, kind, size)
    smooth = misfit(rng, 0.002), misfit(rng, 0.002)
    shared = smooth[0]
    form = Form(truth)
    of_pair = rng.normal(0, 0.003, runs)
    tables = []
    for recipe, constants in enumerate((theta, other)):
        n = np.geomspace(5e7, 2e9, runs) * np.exp(rng.normal(0, 0.15, runs))
        if paired:
            rng_n = np.random.default_rng(int(of_pair[0] * 1e12) % 2**32)
            n = np.geomspace(5e7, 2e9, runs) * np.exp(rng_n.normal(0, 0.15, runs))
        by_run = (of_pair if paired else rng.normal(0, 0.003, runs)) + rng.normal(0, 0.001, runs)
        outlying = rng.random(runs) < 0.05
        by_run = by_run + outlying * rng.exponential(0.02, runs)
        rows = []
        for i in range(runs):
            for t in np.linspace(1e10, 1e11, SPACE):
                log_n, log_t = np.log(n[i]), np.log(t)
                value = float(form.log_loss(constants, [log_n, log_t]))
                value += shared(log_n, log_t) + (smooth[1](log_n, log_t) if recipe else 0.0) * (
                    kind != "none"
                )
                value += by_run[i] + rng.normal(0, 0.0005)
                rows.append({"run": f"{i}", "params_total": n[i], "tokens": t, "loss": float(np.exp(value))})
        tables.append(pl.DataFrame(rows))
    return tables[0], tables[1], (theta, other), smooth


def true_difference(truth: str, constants, smooth, kind: str, budget: float) -> tuple[float, float]:
    """Log loss of B less A at A's optimum, misfit included, and the multiplier without it."""
    form = Form(truth)
    law = Law.of_theta(form, constants[0])
    n, t = size_optima(law, constants[0][None], budget)
    columns = [np.log(n), np.log(t)]
    d = float((form.log_loss(constants[1], columns) - form.log_loss(constants[0], columns))[0])
    if kind != "none":
        d += float(smooth[1](columns[0], columns[1])[0])
    wanted = float(form.log_loss(constants[0], columns)[0]) + d
    decades = np.linspace(-4, 4, 161)
    losses = []
    for x in decades:
        a, b = size_optima(law, constants[0][None], budget * 10**x)
        losses.append(float(form.log_loss(constants[0], [np.log(a), np.log(b)])[0]))
    m = np.inf if wanted < losses[-1] else float(10 ** np.interp(-wanted, -np.array(losses), decades))
    return d, m


def two_fits(a, b, truth: str, budgets, seed: int) -> list[tuple[float, float]]:
    """What people do: fit both recipes to the same resampled pairs, difference at the optimum of A."""
    rng = np.random.default_rng(seed)
    names = a["run"].unique(maintain_order=True).to_list()
    drawn = []
    for _ in range(40):
        picked = rng.integers(0, len(names), len(names))
        if len(set(picked)) < 4:
            continue
        frames = [
            pl.concat(
                [
                    t.filter(pl.col("run") == names[k]).with_columns(pl.lit(f"{j}").alias("run"))
                    for j, k in enumerate(picked)
                ]
            )
            for t in (a, b)
        ]
        try:
            laws = [fit(load(f), truth) for f in frames]
        except GemstonesError:
            continue
        row = []
        for budget in budgets:
            n, t = size_optima(laws[0].law, laws[0].law.theta[None], budget)
            columns = [np.log(n), np.log(t)]
            row.append(float((laws[1].law.log_loss(columns) - laws[0].law.log_loss(columns))[0]))
        drawn.append(row)
    ends = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    return [(float(ends[1][i] - ends[0][i]) / 2, 0.0) for i in range(len(budgets))]


def one(cell: tuple[int, bool, str], number: int, beside: bool) -> list[dict[str, Any]]:
    runs, paired, truth = cell
    rng = np.random.default_rng([RUNS.index(runs), paired, list(TRUTH).index(truth), number])
    kind = EFFECTS[number % len(EFFECTS)]
    a, b, constants, smooth = suites(rng, runs, paired, truth, kind)
    most = float((6 * a["params_total"] * a["tokens"]).max())
    budgets = [10 * most, 100 * most]
    made = compare(load(a), load(b), budgets=budgets, law=truth, bootstrap=60, force=True)
    others = two_fits(a, b, truth, budgets, number) if beside and paired else [(np.nan, 0)] * 2
    found = []
    for i, at in enumerate(made.at):
        d, m = true_difference(truth, constants, smooth, kind, budgets[i])
        low, high = at.interval or (np.nan, np.nan)
        m_low, m_high = at.multiplier_interval or (np.nan, np.nan)
        found.append(
            {
                "cell": [runs, paired, truth], "number": number, "kind": kind, "times": (10, 100)[i],
                "true": np.expm1(d), "low": low, "high": high, "estimate": at.difference, "p": at.probability_lower,
                "covered": bool(low <= np.expm1(d) <= high), "m": m,
                "m_covered": bool(m_low <= m * (1 + 1e-9) and m <= m_high * (1 + 1e-9)), "two_fits": others[i][0],
            }
        )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument(
        "--beside", type=int, default=0, help="pairs of a cell on which two fits are resampled too"
    )
    parser.add_argument("--runs", type=int, default=0, help="only this number of runs")
    parser.add_argument("--truth", default="")
    parser.add_argument("--unpaired", type=int, default=-1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/compare.md"))
    options = parser.parse_args()
    kept = options.output.with_suffix(".jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(tuple(r["cell"]), r["number"]) for r in rows}
    with kept.open("a") as file:
        for runs in [options.runs] if options.runs else RUNS:
            for paired in (True, False) if options.unpaired < 0 else (not options.unpaired,):
                for truth in [options.truth] if options.truth else TRUTH:
                    for number in range(options.pairs):
                        if ((runs, paired, truth), number) in done:
                            continue
                        for row in one((runs, paired, truth), number, number < options.beside):
                            rows.append(row)
                            file.write(json.dumps(row) + "\n")
                        file.flush()
    text = report(rows)
    options.output.write_text(text)
    print(text)


def report(rows: list[dict[str, Any]]) -> str:
    cells = sorted({tuple(r["cell"]) for r in rows}, key=str)
    lines = [
        "| runs | paired | truth | pairs | covers 10× / 100× | multiplier | half-width, % | of two fits | "
        "equal called different | surely wrong |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        of = [r for r in rows if tuple(r["cell"]) == cell]
        by = {t: [r for r in of if r["times"] == t] for t in (10, 100)}
        cover = " / ".join(f"{np.mean([r['covered'] for r in by[t]]):.2f}" for t in by)
        m_cover = " / ".join(f"{np.mean([r['m_covered'] for r in by[t]]):.2f}" for t in by)
        half = " / ".join(f"{100 * np.median([(r['high'] - r['low']) / 2 for r in by[t]]):.2f}" for t in by)
        ratios = [(r["high"] - r["low"]) / 2 / r["two_fits"] for r in of if np.isfinite(r["two_fits"])]
        equal = [r for r in of if r["kind"] == "none"]
        false = np.mean([not r["low"] <= 0 <= r["high"] for r in equal])
        wrong = np.mean(
            [
                (r["low"] > 0 and r["true"] < 0) or (r["high"] < 0 and r["true"] > 0)
                for r in of
                if r["kind"] != "none"
            ]
        )
        beside = f"{np.median(ratios):.2f}" if ratios else ""
        lines.append(
            f"| {cell[0]} | {'yes' if cell[1] else 'no'} | `{cell[2]}` | {len(by[10])} | {cover} | {m_cover} | "
            f"{half} | "
            f"{beside} | {false:.2f} | {wrong:.3f} |"
        )
    differ = [r for r in rows if r["kind"] != "none"]
    bins = []
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.975), (0.975, 1.001)):
        inside = [r for r in differ if low <= max(r["p"], 1 - r["p"]) < high]
        right = [(r["p"] > 0.5) == (r["true"] < 0) for r in inside]
        said = np.mean([max(r["p"], 1 - r["p"]) for r in inside]) if inside else np.nan
        bins.append(
            f"| {low:g}–{min(high, 1):g} | {len(inside)} | {said:.3f} | {np.mean(right) if right else np.nan:.3f} |"
        )
    return (
        "\n".join(
            [*lines, "", "| probability said | pairs | mean said | right |", "|---|---|---|---|", *bins]
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
