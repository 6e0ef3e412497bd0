"""Held-out losses by how far they lie beyond the fitted runs: error, width of the intervals, and coverage.

    python benchmarks/predict.py [--minutes 30] [--records predict.jsonl] [--output predict.md]

Every selection of `gemstones`, its two other validation sets, `chinchilla` and `pebbles` (but those with every
checkpoint, whose runs are the same) is fitted up to 1/30, 1/10 and 1/3 of its largest FLOPs, 100 resamples by run, and
`gemstones.predict` is asked for the rows above, as `gemstones predict fit.json --runs …` does. Rows are gathered by
decades of FLOPs beyond the fitted ones; a table has the mean over selections, each of which counts the same. One
process; `--minutes` of CPU at most: a later call goes on from the records. Needs GEMSTONES_DATA_DIR or a network.
"""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import gemstones as gs
from gemstones.errors import UserError
from gemstones.runs import RunTable, load
from gemstones.runs.selections import selections_of

DATASETS = ("gemstones", "gemstones-fineweb-edu", "gemstones-dclm", "chinchilla", "pebbles")
FORMS = ("N,T", "(N,T)^p", "w,d,N,T", "(w,d,N,T)^p")
CUTS = (1 / 30, 1 / 10, 1 / 3)
DRAWS = 100
BINS = (0.25, 0.5, 1.0, 1.5)
"""Upper ends, in decades of FLOPs beyond the fitted runs."""

Record = dict[str, Any]


def parts() -> Iterator[tuple[RunTable, RunTable, list[Any]]]:
    """The rows below a cut, those above it, and what they are."""
    for dataset in DATASETS:
        runs = load(dataset)
        for selection in selections_of(dataset):
            table = runs.select(selection)
            flops = table.numbers("flops")
            for cut in () if selection.endswith("-2B") else CUTS:
                low = flops <= cut * flops.max()
                if low.any():
                    below, above = (
                        dataclasses.replace(table, frame=table.frame.filter(pl.Series(kept)))
                        for kept in (low, ~low)
                    )
                    yield below, above, [dataset, selection, round(1 / cut)]


def by_decades(below: RunTable, above: RunTable, form: str) -> Record:
    """Of the rows above, in every bin: [rows, mean square error, inside, half width] of either interval."""
    made = gs.predict(gs.fit(below, form, bootstrap=DRAWS), runs=above).predictions
    beyond = np.array([one.decades_beyond for one in made], float)
    error = np.array([one.error for one in made], float)
    measured = np.array([one.measured for one in made], float)
    found: Record = {}
    for name in ("interval_of_fit", "interval"):
        ends = [getattr(one, name) for one in made]
        if None in ends:
            continue
        low, high = np.array(ends).T
        inside, width = (low <= measured) & (measured <= high), np.log(high / low) / 2
        for i, top in enumerate(BINS):
            own = (beyond <= top) & (beyond > (BINS[i - 1] if i else -1.0))
            if own.any():
                row = found.setdefault(f"{top:g}", {"rows": int(own.sum())})
                row["square"] = float(np.mean(error[own] ** 2))
                row[name] = [float(inside[own].mean()), float(width[own].mean())]
    return found


def run(path: Path, minutes: float) -> list[tuple[list[Any], Record]]:
    """Every part and form, from the records or anew within the minutes of CPU."""
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {json.dumps(key) for key, _ in known}
    for below, above, what in parts():
        for form in FORMS:
            key = [*what, form]
            if json.dumps(key) in done or time.process_time() > 60 * minutes:
                continue
            try:
                record = by_decades(below, above, form)
            except UserError as error:
                record = {"refused": str(error)}
            known.append([key, record])
            with path.open("a") as file:
                file.write(json.dumps([key, record]) + "\n")
    return [(key, record) for key, record in known]


def report(records: Sequence[tuple[list[Any], Record]]) -> str:
    """A table by form and decades."""
    refused = sum("refused" in record for _, record in records)
    lines = [
        "# Predicted losses beyond the fitted runs",
        "",
        f"By `benchmarks/predict.py`: every selection of {', '.join(f'`{d}`' for d in DATASETS)},",
        f"fitted (δ 1e-4, {DRAWS} resamples by run) up to 1/30, 1/10 and 1/3 of its largest FLOPs, and",
        "`gemstones.predict` of the rows above, by decades of FLOPs beyond the fitted ones. Means over parts (a",
        "selection and a cut), each of which counts the same: root mean square of log(predicted / measured), and the",
        "share of measured losses inside the 95% intervals, in brackets their mean half width in log loss.",
        "",
        f"{len(records)} fits were asked for; {refused} were refused, as the rows below cannot separate the terms or",
        "are too few. Parts of one data set share runs and are not independent. A part has an interval of a new run",
        "where enough runs lie below the cut for backtests.",
        "",
        "| law | decades beyond | parts | rows | rms error | of the fit, if its form is right | of a new run (parts) |",
        "|---|---|---|---|---|---|---|",
    ]
    for form in FORMS:
        for i, top in enumerate(BINS):
            own = [r[f"{top:g}"] for key, r in records if key[3] == form and f"{top:g}" in r]
            if own:
                cells = [cell([r[n] for r in own if n in r]) for n in ("interval_of_fit", "interval")]
                error = np.sqrt(np.mean([r["square"] for r in own]))
                rows, counted = sum(r["rows"] for r in own), sum("interval" in r for r in own)
                lines.append(
                    f"| `{form}` | {f'{BINS[i - 1]:g} to ' if i else 'up to '}{top:g} | {len(own)} | {rows:,} | "
                    f"{error:.2%} | {cells[0]} | {cells[1]} ({counted}) |"
                )
    return "\n".join(lines) + "\n"


def cell(found: Sequence[Sequence[float]]) -> str:
    """Mean coverage and half width."""
    if not found:
        return "-"
    inside, width = np.mean(found, axis=0)
    return f"{inside:.1%} ({width:.2%})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--records", type=Path, default=Path("predict.jsonl"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    text = report(run(options.records, options.minutes))
    print(text)
    if options.output is not None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
