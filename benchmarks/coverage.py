"""How often the 95% intervals of everything that a plan prints cover: planted laws, and published runs held out.

    python benchmarks/coverage.py [--minutes 25] [--records coverage.jsonl] [--output coverage.md]

- Planted: tables with some of the runs of Gemstones `all` (every tenth of their checkpoints), losses of a known law
  and noise (σ .004 shared by the checkpoints of a run, .001 a row). Plans are for 10 and 100 times the largest compute.
  N*, T*, w*, d* are compared with the known law's own plan; losses and the cost of fourfold overtraining with what the
  known law says of the very shape and tokens that were planned, those of a new run with the noise of a new run.
- Held out: every published selection fitted up to the lower 80% of its rows by compute, and asked for the losses of the
  rest.
- Approach 1: the line of N* of the hull, beside that of the same design without noise, and beside the known law's plan.
- Device hours: each of the main runs predicted from the step times of the shapes of all others.

One process; `--minutes` of CPU at most: the rest is left for a later call, which goes on from the records. Needs
GEMSTONES_DATA_DIR or a network.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.errors import UserError
from gemstones.laws.columns import table_columns
from gemstones.laws.envelope import envelope
from gemstones.laws.fitting import fit
from gemstones.laws.law import Law
from gemstones.laws.parse_form import parse_form
from gemstones.laws.solver.objective import Objective
from gemstones.planning.plan import plan
from gemstones.planning.result import Plan
from gemstones.runs import RunTable, load
from gemstones.runs.selections import selections_of
from gemstones.shape import FloatArray, Shapes
from gemstones.timing.fit_step_time import fit_step_time

DRAWS, DRAWS_PLANTED, EVERY = 100, 60, 10
"""Resamples for published runs and for planted ones, and which of the checkpoints these have."""
LEVEL = 0.95
RUN_NOISE, ROW_NOISE = 0.004, 0.001
RUNS = (22, 10, 6)
DELTA = 1e-3
LAWS = {
    "N,T": [0.2577, 0.5895, 4.88, 12.7, 0.6655],
    "w,d,N,T": [0.2053, 0.4747, 0.3720, 0.5031, 1.0733, -0.2098, 6.2161, 10.7001, 0.3959],
    "(w,d,N,T)^p": [0.0398, 1.5585, 0.5481, 0.6486, 3.3564, 5.1699, 14.48, 18.8718, -29.934, -1.4126],
}
"""θ of the planted laws: near the fits of Gemstones `all`. The last has no irreducible loss, and ends with log p."""
TABLES = {"N,T": 40, "w,d,N,T": 24, "(w,d,N,T)^p": 16}
HELD_OUT = ("N,T", "(w,d,N,T)^p", "(N,T)^p", "w,d,N,T")
DATASETS = ("gemstones", "gemstones-fineweb-edu", "gemstones-dclm", "chinchilla", "pebbles")
UPPER = 0.2
"""Of the rows by compute, held out."""

Record = dict[str, Any]
"""Case, and for every quantity whether its interval covers, and how wide it is."""


def known_law(form: str, table: RunTable) -> Law:
    """The planted law, with the models of the table."""
    fitted = fit(table, "N,T")
    of = Law.of_theta(parse_form(form), np.array(LAWS[form]), name="known")
    return msgspec.structs.replace(of, models=fitted.law.models)


def planted(table: RunTable, law: Law, runs: int, seed: int) -> RunTable:
    """Every tenth row of `runs` of the table's runs, with the losses of `law` and noise."""
    rng = np.random.default_rng([20261128, runs, seed])
    chosen = np.isin(table.run_codes, rng.choice(table.runs, runs, replace=False))
    chosen &= np.arange(table.rows) % EVERY == seed % EVERY
    part = dataclasses.replace(table, frame=table.frame.filter(pl.Series(chosen)))
    noise = rng.normal(0, RUN_NOISE, part.runs)[part.run_codes] + rng.normal(0, ROW_NOISE, part.rows)
    return with_losses(part, np.log(law.losses(part)) + noise)


def with_losses(table: RunTable, log_loss: FloatArray) -> RunTable:
    return dataclasses.replace(table, frame=table.frame.with_columns(pl.Series("loss", np.exp(log_loss))))


def true_loss(law: Law, made: Plan, tokens: float | None = None, params: float | None = None) -> float:
    """What the known law says of a plan's shape, or N, and tokens."""
    values = {"N": made.params if params is None else params, "T": made.tokens if tokens is None else tokens}
    if made.shape is not None:
        values |= {"w": made.shape.width, "d": made.shape.depth}
    return float(law.loss(**{symbol: values[symbol] for symbol in law.symbols}))


def covered(ends: Sequence[float] | None, truth: float) -> list[float] | None:
    """Whether it is inside, and the ratio of the ends."""
    if ends is None:
        return None
    low, high = ends
    return [float(low <= truth <= high), float(high / low) if low > 0 else float("inf")]


def plans_of(table: RunTable, form: str, law: Law, runs: int, seed: int) -> Record:
    """Everything that plans of one planted table print."""
    part = planted(table, law, runs, seed)
    made = fit(part, form, objective=Objective(delta=DELTA), bootstrap=DRAWS_PLANTED, seed=seed, force=True)
    assert made.law.fitted.flops is not None
    largest = made.law.fitted.flops[1]
    rng = np.random.default_rng([7, runs, seed])
    found: Record = {}
    for times in (10, 100):
        budget = times * largest
        own = plan(budget, law, force=True)
        over = overtrain(budget, made, [4], force=True) if times == 10 else None
        got = plan(budget, made, force=True) if over is None else over.optimum
        ends = got.intervals or {}
        truth = true_loss(law, got)
        if times == 10:
            found["N*"] = covered(ends.get("params"), own.params)
            found["T*"] = covered(ends.get("tokens"), own.tokens)
            if own.shape is not None:
                found["w*"] = covered(ends.get("width"), own.shape.width)
                found["d*"] = covered(ends.get("depth"), own.shape.depth)
        noise = np.exp(rng.normal(0, RUN_NOISE) + rng.normal(0, ROW_NOISE))
        found[f"loss at {times}x, of the fit"] = covered(ends.get("loss_of_fit"), truth)
        found[f"loss at {times}x, of a new run"] = covered(ends.get("loss"), truth * noise)
        if over is not None and (point := over.points[0]).design is not None:
            values = {"N": point.params, "T": point.tokens}
            if point.shape is not None:
                values |= {"w": point.shape.width, "d": point.shape.depth}
            increase = float(law.loss(**{s: values[s] for s in law.symbols})) / truth - 1
            interval = point.increase_interval
            found["4x overtraining"] = interval and [
                float(interval[0] <= increase <= interval[1]),
                float(interval[1] - interval[0]),
            ]
    return found


def frontier_of(table: RunTable, law: Law, seed: int) -> Record:
    """N* by the hull, at ten times the largest compute: beside the hull without noise, and the law's own plan."""
    part = planted(table, law, 22, seed)
    made = envelope(part, bootstrap=DRAWS, seed=seed)
    clean = envelope(with_losses(part, np.log(law.losses(part))))
    budget = 10 * float(part.numbers("flops").max())
    ends = made.interval_at("params", budget)
    return {
        "hull of this design": covered(ends, float(clean.fits["params"].at(budget))),
        "optimum of the law": covered(ends, plan(budget, law, force=True).params),
    }


def held_out(dataset: str, selection: str, form: str) -> Record:
    """Losses of the upper part of a selection by the law fitted to the lower."""
    table = load(dataset).select(selection)
    flops = table.numbers("flops")
    lower = flops <= np.quantile(flops, 1 - UPPER)
    part = dataclasses.replace(table, frame=table.frame.filter(pl.Series(lower)))
    made = fit(part, form, bootstrap=DRAWS)
    columns = table_columns(made.law.symbols, table, "total")[~lower]
    loss = table.numbers("loss")[~lower]
    predicted = made.predict(**{s: columns[:, i] for i, s in enumerate(made.law.symbols)})
    error = np.log(predicted.loss / loss)
    found: Record = {"rms": float(np.sqrt(np.mean(error**2)))}
    for name, ends in (("of the fit", predicted.interval_of_fit), ("of a new run", predicted.interval)):
        if ends is not None:
            inside = (ends[:, 0] <= loss) & (loss <= ends[:, 1])
            width = np.log(ends[:, 1] / ends[:, 0]) / 2
            found[name] = [float(inside.mean()), float(width.mean())]
    return found


def hours() -> Record:
    """Device hours of every main run, predicted from those of other shapes."""
    table = load("gemstones").select("all")
    inside = []
    for shape in table.frame.select("width", "depth").unique(maintain_order=True).rows():
        own = (pl.col("width") == shape[0]) & (pl.col("depth") == shape[1])
        rest = dataclasses.replace(table, frame=table.frame.filter(~own))
        out = table.frame.filter(own).sort("tokens").tail(1)
        model = fit_step_time(rest, bootstrap=200)
        one = Shapes.of(float(shape[0]), float(shape[1]), table.architecture.like())
        tokens, truth = float(out["tokens"][0]), float(out["device_hours"][0])
        value = tokens * float(model.device_hours_per_token(one))
        without = msgspec.structs.replace(model, observations=())
        inside.append([covered(m.hours_interval(one, tokens, value), truth) for m in (without, model)])
    return {
        "runs": len(inside),
        "of the coefficients": _mean([x[0] for x in inside]),
        "as printed": _mean([x[1] for x in inside]),
    }


def _mean(found: Sequence[Sequence[float] | None]) -> list[float] | None:
    known = [x for x in found if x is not None]
    return [float(np.mean([x[0] for x in known])), float(np.median([x[1] for x in known]))] if known else None


def jobs(table: RunTable) -> Iterator[tuple[list[Any], Callable[[], Record]]]:
    """Every case with its key, in an order in which any first part of them says something of all."""
    yield ["hours"], hours
    laws = {form: known_law(form, table) for form in LAWS}
    held = [
        (dataset, selection)
        for dataset in DATASETS
        for selection in selections_of(dataset)
        if not selection.endswith("-2B")
    ]
    turns = max(TABLES.values(), default=0)
    for seed in range(turns):
        for form, law in laws.items():
            for runs in RUNS:
                if seed < TABLES[form]:
                    yield (
                        ["planted", form, runs, seed],
                        lambda f=form, law=law, r=runs, s=seed: plans_of(table, f, law, r, s),
                    )
        if seed < TABLES["w,d,N,T"]:
            yield ["frontier", seed], lambda seed=seed: frontier_of(table, laws["w,d,N,T"], seed)
        if seed % 4 == 3:  # a form of all selections at a time
            form = HELD_OUT[seed // 4 % len(HELD_OUT)]
            for dataset, selection in held if seed // 4 < len(HELD_OUT) else ():
                yield (
                    ["held out", dataset, selection, form],
                    lambda d=dataset, s=selection, f=form: held_out(d, s, f),
                )


def run(path: Path, minutes: float) -> list[tuple[list[Any], Record]]:
    """The records that there are, after at most `minutes` of CPU for those that are missing."""
    records = []
    if path.exists():
        records = [tuple(json.loads(line)) for line in path.read_text().splitlines()]
    known = {json.dumps(key) for key, _ in records}
    table = load("gemstones").select("all")
    with path.open("a") as file:
        for key, work in jobs(table):
            if json.dumps(key) in known:
                continue
            if time.process_time() > 60 * minutes:
                print(f"{minutes:g} minutes of CPU are over: call again to go on")
                break
            try:
                record = work()
            except UserError as error:
                record = {"refused": str(error)}
            file.write(json.dumps([key, record]) + "\n")
            file.flush()
            records.append((key, record))
            print(f"{time.process_time():6.0f} s", *key, record if "refused" in record else "", flush=True)
    return records


def cell(found: Sequence[Sequence[float] | None], write: Callable[[float], str]) -> str:
    known = [x for x in found if x is not None]
    if not known:
        return "-"
    none = f", {len(found) - len(known)} none" if len(known) < len(found) else ""
    return f"{np.mean([x[0] for x in known]):.0%} ({write(float(np.median([x[1] for x in known])))}{none})"


def report(records: Sequence[tuple[list[Any], Record]]) -> str:
    """The tables of coverage.md."""
    by_kind: dict[str, list[tuple[list[Any], Record]]] = {}
    for key, record in records:
        by_kind.setdefault(key[0], []).append((key[1:], record))
    lines = [
        "# How often 95% intervals cover",
        "",
        f"By `benchmarks/coverage.py`: {DRAWS} resamples by run each, {DRAWS_PLANTED} of planted tables. A coverage "
        "measured on n tables is itself uncertain by about √(0.05·0.95/n): 3% of 40, 5% of 16.",
        "",
        "## Planted laws: everything that a plan prints",
        "",
        f"Tables with every tenth checkpoint of some of the 22 runs of Gemstones `all`, noise σ {RUN_NOISE} a run and "
        f"{ROW_NOISE} a row; plans for 10 and 100 times the largest compute. In brackets the median ratio of the ends, "
        "of overtraining their distance. The law that is fitted has the form that was planted. Cases are of "
        "few tables: all of 12 says that the coverage is 78% or more (one-sided, 95%). `-` where fits have no such "
        "interval: of six runs none can be held out of a law of width and depth, so it has none of a new run.",
        "",
    ]
    planted_ = by_kind.get("planted", [])
    quantities = list(dict.fromkeys(name for _, r in planted_ for name in r if name != "refused"))
    order = [q for q in ("N*", "T*", "w*", "d*") if q in quantities]
    order += [q for q in quantities if q not in order]
    lines += [f"| law | runs | tables | {' | '.join(order)} |", "|---" * (3 + len(order)) + "|"]
    for form in LAWS:
        for runs in RUNS:
            own = [r for key, r in planted_ if key[:2] == [form, runs]]
            if own:
                cells = [
                    cell([r.get(q) for r in own], "{:.1%}".format if "over" in q else "{:.3g}".format)
                    if any(q in r for r in own)
                    else ""
                    for q in order
                ]
                lines.append(f"| `{form}` | {runs} | {len(own)} | {' | '.join(cells)} |")
    held = by_kind.get("held out", [])
    lines += [
        "",
        "## Published runs: losses of the top 20% of compute, fitted to the rest",
        "",
        "Share of held-out rows inside (mean half width of the interval in log loss), and the error that there was.",
        "",
        "| data set, selection | law | rms error | of the fit, if its form is right | of a new run |",
        "|---|---|---|---|---|",
    ]
    for key, r in held:
        if "refused" not in r:
            shown = [
                f"{r[n][0]:.0%} ({r[n][1]:.1%})" if n in r else "-" for n in ("of the fit", "of a new run")
            ]
            lines.append(f"| {key[0]}, {key[1]} | `{key[2]}` | {r['rms']:.2%} | {' | '.join(shown)} |")
    for form in HELD_OUT:
        own = [r for key, r in held if key[2] == form and "of a new run" in r]
        if own:
            means = [
                f"{np.mean([r[n][0] for r in own]):.1%} ({np.mean([r[n][1] for r in own]):.1%})"
                for n in ("of the fit", "of a new run")
            ]
            lines.append(
                f"| **mean of {len(own)} selections** | `{form}` | {np.mean([r['rms'] for r in own]):.2%} | "
                f"{' | '.join(means)} |"
            )
    refused = [f"{key[0]}, {key[1]}: `{key[2]}`" for key, r in held if "refused" in r]
    if refused:
        lines += ["", f"Refused, as the rows cannot separate the terms or are too few: {'; '.join(refused)}."]
    frontier = [r for _, r in by_kind.get("frontier", [])]
    lines += [
        "",
        "## Approach 1: N* by the hull at ten times the largest compute",
        "",
        "| tables | of the same design without noise | of the optimum of the planted law |",
        "|---|---|---|",
        f"| {len(frontier)} | "
        + " | ".join(
            cell([r.get(n) for r in frontier], "{:.3g}".format)
            for n in ("hull of this design", "optimum of the law")
        )
        + " |",
    ]
    for _, r in by_kind.get("hours", []):
        lines += [
            "",
            "## Device hours of the main runs, each from the step times of other shapes",
            "",
            "| runs | spread of the coefficients alone | as printed, with the held-out error |",
            "|---|---|---|",
            f"| {r['runs']} | {cell([r['of the coefficients']], '{:.3g}'.format)} | "
            f"{cell([r['as printed']], '{:.3g}'.format)} |",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--records", type=Path, default=Path("coverage.jsonl"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    text = report(run(options.records, options.minutes))
    print(text)
    if options.output is not None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
