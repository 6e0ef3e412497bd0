"""Designs of runs against the usual ones: truths that the design does not assume, and subsets of the Gemstones.

    python benchmarks/design.py --seconds 900 --output out/design.jsonl

Losses of each design's runs are simulated with noise by run and by row, fitted by the product (`fit`, `N,T`,
`(N,T)^p` and `auto`; where shapes are wanted `w,d,N,T` and `(w,d,N,T)^p`), and the best N (or width and depth) and the
loss there are held against the truth's; the interval of N* that a fit gives is held against the announced one. Rows are
kept in OUTPUT and taken up from there: call it again until nothing is left, or `--report` for the tables alone. The
Gemstones need GEMSTONES_DATA_DIR, or the network.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from design_real import BUDGET, CLIPPED, NOISE, NT, SHAPED, suites
from design_report import FORMS, SHAPE_FORMS, report

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
from gemstones.analyses.next_run.wanted import Reference, best_sizes
from gemstones.errors import GemstonesError
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law
from gemstones.laws.published import refit
from gemstones.planning.defaults import default_constraints
from gemstones.planning.optimum import size_optima
from gemstones.planning.sight import sight
from gemstones.runs import load
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, Shape

SPEND = 1e20
SHAPED_TRUTH = refit("gemstones-refit").law
TEN = 1 / 10
FIFTIETH = 1 / 50
"""Of the FLOPs of the Gemstones' own layout: 22 shapes on 350B tokens each."""
LONGEST = 3.5e11
REPETITIONS, AUTO_REPETITIONS, INTERVAL_REPETITIONS = 200, 20, 60
AUTO = ("designed", "designed, 17 runs", "isoFLOP grid", "equal tokens", "20 tokens per parameter")
INTERVALS = ("designed", "designed, 17 runs", "designed, a tenth", "isoFLOP grid")
RESAMPLES = 100
WEIGHTS = {"n_opt": 4.0, "auto": 4.0, "interval": 2.0, "shapes": 2.0, "real": 1.0}
"""Shares of the time."""

Truth = Callable[[Runs], FloatArray]
Job = tuple[str, Callable[[], dict[str, Any]]]


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
    stones = gemstones_layout(template)
    fiftieth = FIFTIETH * float(flops_of(law, stones).sum())
    plans = (
        ("designed", SPEND, 35),
        ("designed, 17 runs", SPEND, 17),
        ("designed, a tenth", TEN * SPEND, 35),
        ("designed, a fiftieth of the Gemstones", fiftieth, 35),
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
    found["the Gemstones' layout"] = (stones, False, np.nan)
    return found


def gemstones_layout(template: Shape) -> Runs:
    """22 shapes, each on 350B tokens."""
    shapes = load("gemstones").select("all").frame.select("width", "depth").unique(maintain_order=True)
    width, depth = (shapes[x].to_numpy().astype(float) for x in ("width", "depth"))
    return Runs(width, depth, np.full(len(width), LONGEST), template)


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


@cache
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


def by_choice(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The form that `--law auto` takes, and its error of log N*, for the best shapes where it sees them."""
    table = load(rows).select()
    try:
        law = fit(table, "auto").law
        if sight(law) == "size":
            found, truth = size_optima(law, law.theta[None], BUDGET)[0], truth_of_size(TRUTHS[name])[0]
        else:
            found = np.exp(optima(law, law.theta[None], [BUDGET])[0].log_params)
            truth = truth_of_shapes()[1] if name == "(w,d,N,T)^p" else truth_of_size(TRUTHS[name])[0]
        error, form = float(np.log(found[0])) - truth, law.form
    except GemstonesError as refused:
        error, form = np.nan, str(refused)
    return {
        "form": form,
        "n_opt": float(np.clip(error, -CLIPPED, CLIPPED)) if np.isfinite(error) else CLIPPED,
    }


def intervals(rows: list[dict[str, Any]], truth: float) -> dict[str, Any]:
    """Of log N* by resamples by run: half the width, and whether it holds the truth, for fits of `FORMS`."""
    table = load(rows).select()
    half, holds = [], []
    for form in FORMS:
        made = fit(table, form, bootstrap=RESAMPLES)
        with np.errstate(all="ignore"):
            drawn = np.log(size_optima(made.law, made.theta_draws, BUDGET)[0])
        drawn = np.where(np.isfinite(drawn), drawn, np.inf)
        low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
        half.append(float(min(high - low, 4 * CLIPPED) / 2))
        holds.append(bool(low <= truth <= high))
    return {"half": half, "holds": holds}


def simulations(made: dict[str, tuple[Runs, bool, float]]) -> Iterator[Job]:
    """Jobs by key, of one kind of refit after the other, repetition by repetition."""
    optimum = {name: truth_of_size(truth) for name, truth in TRUTHS.items()}
    for number in range(REPETITIONS):
        for truth, best in optimum.items():
            for times in (1, 2):
                for name, (runs, ends, announced) in made.items():
                    said = {"truth": truth, "noise": times, "design": name, "runs": runs.count,
                            "announced": announced}  # fmt: skip

                    def rows(
                        runs: Runs = runs, ends: bool = ends, truth: str = truth, times: int = times,
                        number: int = number,
                    ) -> list[dict[str, Any]]:  # fmt: skip
                        rng = np.random.default_rng([number, times, len(truth)])
                        return simulated(runs, ends, TRUTHS[truth], NOISE.times(times), rng)

                    at = f"{truth}/{times}/{number}/{name}"
                    yield (
                        f"n_opt/{at}",
                        lambda said=said, rows=rows, best=best: {**said, **sized(rows(), best)},
                    )
                    if name in INTERVALS and number < INTERVAL_REPETITIONS:
                        yield (
                            f"interval/{at}",
                            lambda said=said, rows=rows, best=best: {**said, **intervals(rows(), best[0])},
                        )
                    if name in AUTO and number < AUTO_REPETITIONS:
                        yield (
                            f"auto/{at}",
                            lambda said=said, rows=rows, truth=truth: {**said, **by_choice(rows(), truth)},
                        )


@cache
def truth_of_shapes() -> tuple[FloatArray, float]:
    """log width and log depth of the best shape, real-valued, and log N of the best feasible one."""
    law = SHAPED_TRUTH
    feasible = float(optima(law, law.theta[None], [BUDGET])[0].log_params[0])
    return Reference.of(law, BUDGET).optimum, feasible


def shape_simulations() -> Iterator[Job]:
    """The same of width and depth, real-valued, under the law of the Gemstones."""
    made = {k: v for k, v in designs(SHAPED, "shape").items() if "tenth" not in k and "ends" not in k}
    best = truth_of_shapes()[0]
    for number in range(REPETITIONS):
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
                errors = [shape_error(table, form, best) for form in SHAPE_FORMS]
                return {"design": name, "runs": runs.count, "announced": announced,
                        "width": [float(x[0]) for x in errors], "depth": [float(x[1]) for x in errors]}  # fmt: skip

            yield f"shapes/{number}/{name}", job


def shape_error(table: RunTable, form: str, best: FloatArray) -> FloatArray:
    """Of log width and log depth; a fit without an optimum inside is judged by its best feasible shape."""
    found = np.full(2, np.nan)
    with suppress(GemstonesError):
        law = fit(table, form, starts=10).law
        found = optima(law, law.theta[None], [BUDGET])[0].log_columns[0][:2]
        with suppress(GemstonesError):
            found = Reference.of(law, BUDGET).optimum
    return np.where(np.isfinite(found), np.clip(found - best, -CLIPPED, CLIPPED), CLIPPED)


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
            spent = dict.fromkeys(WEIGHTS, 0.0)
            made = designs(NT, "n_opt")
            sources: dict[str, Iterator[Job]] = {
                "real": chain.from_iterable(suite.jobs() for suite in suites()),
                "shapes": shape_simulations(),
                **{kind: of_kind(kind, simulations(made)) for kind in ("n_opt", "interval", "auto")},
            }
            while sources and time.process_time() < options.seconds:
                kind = min(sources, key=lambda name: spent[name] / WEIGHTS[name])
                key, job = next(sources[kind], ("", None))
                if job is None:
                    del sources[kind]
                elif key not in rows:
                    start = time.process_time()
                    rows[key] = {"key": key, **job()}
                    spent[kind] += time.process_time() - start
                    file.write(json.dumps(rows[key]) + "\n")
                    file.flush()
    print(report([*rows.values()]))


def of_kind(kind: str, jobs: Iterator[Job]) -> Iterator[Job]:
    return (one for one in jobs if one[0].startswith(kind))


if __name__ == "__main__":
    main()
