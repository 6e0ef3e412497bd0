"""Designs of runs against the usual ones: truths that the design does not assume, and subsets of the Gemstones.

    python benchmarks/design.py --seconds 900 --output out/design.jsonl

Losses of each design's runs are simulated with noise by run and by row, fitted by the product (`fit`, `N,T` and
`(N,T)^p`; where shapes are wanted `w,d,N,T` and `(w,d,N,T)^p`), and the best N (or width and depth) and the loss there
are held against the truth's. Rows are kept in OUTPUT and taken up from there: call it again until nothing is left, or
`--report` for the tables alone. The Gemstones need GEMSTONES_DATA_DIR, or the network.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from design_gemstones import BUDGET, CLIPPED, NOISE, NT, SHAPED, real_runs

from gemstones.accounting.parameters import params
from gemstones.analyses.compare.optima import optima
from gemstones.analyses.next_run.candidates import (
    CHECKPOINTS,
    Runs,
    checkpoints,
    flops_of,
    ordinary,
    points_of,
)
from gemstones.analyses.next_run.conventional import conventional, standard_models
from gemstones.analyses.next_run.design import design_runs
from gemstones.analyses.next_run.experiment import Noise
from gemstones.analyses.next_run.wanted import best_sizes
from gemstones.errors import GemstonesError
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law
from gemstones.laws.published import refit
from gemstones.planning.defaults import default_constraints
from gemstones.planning.optimum import size_optima
from gemstones.runs import load
from gemstones.shape import FloatArray

SPEND = 1e20
SHAPED_TRUTH = refit("gemstones-refit").law
TEN = 1 / 10
REPETITIONS, SHAPE_REPETITIONS = 40, 40
FORMS = ("N,T", "(N,T)^p")
SHAPE_FORMS = ("w,d,N,T", "(w,d,N,T)^p")

Truth = Callable[[Runs], FloatArray]


def interaction(runs: Runs) -> FloatArray:
    """log loss of 1.4 + 420·N^−0.345 + 1300·T^−0.345 + 0.45·(N/1e8·T/2e9)^−0.04: a joint term."""
    n, t = runs.params(), runs.tokens
    joint = 0.45 * np.exp(-0.04 * (np.log(n / 1e8) + np.log(t / 2e9)))
    return np.asarray(np.log(1.4 + 420 * n**-0.345 + 1300 * t**-0.345 + joint))


def shaped(runs: Runs) -> FloatArray:
    """log loss of the Gemstones' law of width, depth, N and T with an exponent around the sum."""
    return np.asarray(SHAPED_TRUTH.log_loss([*points_of(SHAPED_TRUTH, runs).columns.T]))


TRUTHS: dict[str, Truth] = {"(w,d,N,T)^p": shaped, "interaction": interaction}


def designs(law: Law, want: str) -> dict[str, tuple[Runs, bool, float]]:
    """By name: runs, whether only their ends are used, and the announced standard deviation."""
    template = default_constraints(law).template
    found: dict[str, tuple[Runs, bool, float]] = {}
    plans = (
        ("designed", SPEND, 35),
        ("designed, 17 runs", SPEND, 17),
        ("designed, a tenth", TEN * SPEND, 35),
    )
    for name, spend, runs in plans:
        made = design_runs(BUDGET, spend, want=want, law=law, runs=runs)
        width, depth = (
            np.array([getattr(run.shape, x) for run in made.runs], float) for x in ("width", "depth")
        )
        tokens = np.array([run.tokens for run in made.runs])
        found[name] = (Runs(width, depth, tokens, template), False, np.log(made.interval_factor) / 1.96)
        if name == "designed":
            announced = {one.name: np.log(one.interval_factor) / 1.96 for one in made.conventional}
    models = ordinary(default_constraints(law))
    usual = conventional(
        standard_models(law, models), SPEND, best_sizes(law, SPEND), lambda runs: flops_of(law, runs), 35
    )
    for one in usual:
        found[one.name] = (one.runs, one.ends_only, announced[one.name])
    return found


def simulated(
    runs: Runs, ends: bool, truth: Truth, noise: Noise, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of a run table."""
    rows = 1 if ends else CHECKPOINTS
    at = checkpoints(NT, runs, rows)
    log_loss = (
        truth(at) + np.repeat(rng.normal(0, noise.run, runs.count), rows) + rng.normal(0, noise.row, at.count)
    )
    total = params(at.shapes)
    return [
        {"run": f"r{i // rows}", "width": int(at.width[i]), "depth": int(at.depth[i]), "params_total": float(total[i]),
         "tokens": float(at.tokens[i]) * (1 + 1e-6 * (i % rows)), "loss": float(np.exp(log_loss[i]))}
        for i in range(at.count)
    ]  # fmt: skip


def truth_of_size(truth: Truth) -> tuple[float, float]:
    """log N* and log loss there of standard shapes for `BUDGET` = 6·N·T: a parabola through losses around the least."""
    models = standard_models(NT, ordinary(default_constraints(NT)))[0]
    log_n = np.log(models.n)
    loss = truth(models.models.trained_to(BUDGET / 6 / models.n))
    least = float(log_n[loss.argmin()])
    near = np.abs(log_n - least) < np.log(2.5)
    a, b, c = np.polyfit(log_n[near] - least, loss[near], 2)
    return least - b / (2 * a), float(c - b * b / (4 * a))


def sized(rows: list[dict[str, Any]], truth: tuple[float, float]) -> dict[str, list[float]]:
    """Errors of log N* and log loss of fits of `FORMS`."""
    found: dict[str, list[float]] = {"n_opt": [], "loss": []}
    table = load(rows).select()
    for form in FORMS:
        try:
            law = fit(table, form).law
            counted, tokens = size_optima(law, law.theta[None], BUDGET)
            error = float(np.log(counted[0])) - truth[0]
            predicted = float(law.log_loss([np.log(counted), np.log(tokens)])[0]) - truth[1]
        except GemstonesError:
            error, predicted = np.nan, np.nan
        found["n_opt"].append(float(np.clip(error, -CLIPPED, CLIPPED)) if np.isfinite(error) else CLIPPED)
        found["loss"].append(predicted if np.isfinite(predicted) else 1.0)
    return found


def simulations() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Jobs by key."""
    made = designs(NT, "n_opt")
    optimum = {name: truth_of_size(truth) for name, truth in TRUTHS.items()}
    for number in range(REPETITIONS):
        for truth, best in optimum.items():
            for times in (1, 2):
                for name, (runs, ends, announced) in made.items():

                    def job(
                        number: int = number, truth: str = truth, times: int = times, name: str = name,
                        runs: Runs = runs, ends: bool = ends, announced: float = announced,
                        best: tuple[float, float] = best,
                    ) -> dict[str, Any]:  # fmt: skip
                        rng = np.random.default_rng([number, times, len(truth)])
                        rows = simulated(runs, ends, TRUTHS[truth], NOISE.times(times), rng)
                        return {"truth": truth, "noise": times, "design": name, "runs": runs.count,
                                "announced": announced, **sized(rows, best)}  # fmt: skip

                    yield f"n_opt/{truth}/{times}/{number}/{name}", job


def shape_simulations() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """The same of width and depth, under the law of the Gemstones."""
    made = {k: v for k, v in designs(SHAPED, "shape").items() if "tenth" not in k and "ends" not in k}
    best = optima(SHAPED_TRUTH, SHAPED_TRUTH.theta[None], [BUDGET])[0].log_columns[0][:2]
    for number in range(SHAPE_REPETITIONS):
        for name, (runs, ends, announced) in made.items():

            def job(
                number: int = number,
                name: str = name,
                runs: Runs = runs,
                ends: bool = ends,
                announced: float = announced,
            ) -> dict[str, Any]:
                table = load(
                    simulated(runs, ends, shaped, NOISE, np.random.default_rng([number, 7]))
                ).select()
                errors = []
                for form in SHAPE_FORMS:
                    try:
                        law = fit(table, form, starts=10).law
                        found = optima(law, law.theta[None], [BUDGET])[0].log_columns[0][:2] - best
                    except GemstonesError:
                        found = np.full(2, np.nan)
                    errors.append(np.where(np.isfinite(found), np.clip(found, -CLIPPED, CLIPPED), CLIPPED))
                return {"design": name, "runs": runs.count, "announced": announced,
                        "width": [float(x[0]) for x in errors], "depth": [float(x[1]) for x in errors]}  # fmt: skip

            yield f"shapes/{number}/{name}", job


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=Path("out/design.jsonl"))
    parser.add_argument("--seconds", type=float, default=900.0, help="of CPU time")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    if options.output.exists():
        for line in options.output.read_text().splitlines():
            row = json.loads(line)
            rows[row["key"]] = row
    if not options.report:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        with options.output.open("a") as file:
            for key, job in interleaved(*real_runs(), shape_simulations(), simulations()):
                if time.process_time() > options.seconds:
                    break
                if key in rows:
                    continue
                rows[key] = {"key": key, **job()}
                file.write(json.dumps(rows[key]) + "\n")
                file.flush()
    print(report([*rows.values()]))


def interleaved(*jobs: Iterator[Any]) -> Iterator[Any]:
    """One of each, then six of the last, which has the most."""
    open_ = list(jobs)
    while open_:
        for source in list(open_):
            for _ in range(6 if source is jobs[-1] else 1):
                try:
                    yield next(source)
                except StopIteration:
                    open_.remove(source)
                    break


def rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def report(rows: list[dict[str, Any]]) -> str:
    """The tables."""
    lines: list[str] = []
    sizes = [row for row in rows if row["key"].startswith("n_opt/")]
    lines += [
        "| truth | noise | design | runs | repetitions | announced sd of log N* | rms error by `N,T` | "
        "within its 95% | "
        "of log loss | rms error by `(N,T)^p` | within its 95% | of log loss |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for truth in TRUTHS:
        for times in (1, 2):
            own = [row for row in sizes if row["truth"] == truth and row["noise"] == times]
            for name in dict.fromkeys(row["design"] for row in own):
                of = [row for row in own if row["design"] == name]
                said = of[0]["announced"]
                cells = []
                for i in range(len(FORMS)):
                    errors = [row["n_opt"][i] for row in of]
                    inside = np.mean([abs(e) <= 1.96 * said for e in errors])
                    cells.append(
                        f"{rms(errors):.3f} | {inside:.0%} | {rms([row['loss'][i] for row in of]):.4f}"
                    )
                lines.append(
                    f"| `{truth}` | ×{times} | {name} | {of[0]['runs']} | {len(of)} | {said:.3f} | "
                    f"{' | '.join(cells)} |"
                )
    shapes = [row for row in rows if row["key"].startswith("shapes/")]
    lines += [
        "",
        "| design | runs | repetitions | announced, both | by `w,d,N,T`: rms error of log width | of log depth | "
        "by `(w,d,N,T)^p`: of log width | of log depth |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["design"] for row in shapes):
        of = [row for row in shapes if row["design"] == name]
        cells = [
            f"{rms([r[x][i] for r in of]):.2f}" for i in range(len(SHAPE_FORMS)) for x in ("width", "depth")
        ]
        lines.append(
            f"| {name} | {of[0]['runs']} | {len(of)} | {of[0]['announced']:.2f} | {' | '.join(cells)} |"
        )
    lines += [
        "",
        "| law | subset of the Gemstones | runs | share of the cost | held-out rms error | "
        "better than, of the random | log N* off the full fit's | better than |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for form in ("N,T", "w,d,N,T"):
        stones = [row for row in rows if row["key"].startswith(f"gemstones/{form}/")]
        random = [row for row in stones if row["design"] == "random"]
        if not random:
            continue
        for row in [r for r in stones if r["design"] != "random"]:
            held = np.mean([not row["held_out"] >= r["held_out"] for r in random])
            near = np.mean([abs(row["n_opt"]) < abs(r["n_opt"]) for r in random])
            lines.append(
                f"| `{form}` | {row['design']} | {row['runs']} | {row['share']:.1%} | {row['held_out']:.2%} | "
                f"{held:.0%} | {row['n_opt']:+.2f} | {near:.0%} |"
            )
        held, near = (
            np.nanmedian([r["held_out"] for r in random]),
            np.median([abs(r["n_opt"]) for r in random]),
        )
        count, share = np.median([r["runs"] for r in random]), np.mean([r["share"] for r in random])
        lines.append(
            f"| `{form}` | random, median of {len(random)} | {count:.0f} | {share:.1%} | {held:.2%} | | "
            f"{near:.2f} | |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
