"""The choice of a form, nested: chosen on the lower part of the compute, scored on the upper part that it never saw.

    python benchmarks/choice.py [DATASET ...] [--kept FILE]

For every selection of a data set (but those with every checkpoint), and cuts at 1/10 and 1/3 of the largest FLOPs: the
rows up to the cut are a table of their own, `gemstones.laws.choose` chooses on it, and every candidate is fitted to it
and predicts the rows above (root mean square over runs of their root mean square log error). Prints one row a case and
the ratios of the chosen form's error to each fixed form's and to the best in hindsight. δ is 1e-4. Parts that are in
FILE (JSON lines) are not made again: each takes a minute.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from gemstones.analyses.backtest.predictor import Predictor, fit_and_predict
from gemstones.errors import UserError
from gemstones.laws.choose import CANDIDATES, choose
from gemstones.laws.parse_form import parse_form
from gemstones.laws.solver.objective import Objective
from gemstones.runs import RunTable, load
from gemstones.runs.selections import selections_of

DATASETS = ("gemstones", "gemstones-fineweb-edu", "gemstones-dclm", "chinchilla", "pebbles")
CUTS = (1 / 10, 1 / 3)
HINDSIGHT = "the best of them, for each part in hindsight"


@dataclasses.dataclass(frozen=True)
class Part:
    """One selection, cut once: the chosen form, and the error of every form above the cut."""

    dataset: str
    selection: str
    cut: float
    chosen: str | None
    reason: str
    """Why nothing could be chosen."""
    errors: dict[str, float]

    @property
    def row(self) -> str:
        """Of the table of all parts."""
        where = f"| {self.dataset} | {self.selection} | 1/{1 / self.cut:.0f} |"
        if self.chosen is None:
            return f"{where} {self.reason} |"
        best = min(self.errors, key=lambda law: self.errors[law])
        ours, least = self.errors[self.chosen], self.errors[best]
        return f"{where} `{self.chosen}` | {ours:.2%} | `{best}` | {least:.2%} | {ours / least:.2f} |"


def parts(datasets: list[str]) -> Iterator[tuple[RunTable, str, str, float]]:
    """Tables with their names and cuts."""
    for dataset in datasets:
        runs = load(dataset)
        for name in selections_of(dataset):
            table = runs.select(name)
            for cut in () if name.endswith("-2B") else CUTS:
                flops, codes = table.numbers("flops"), table.run_codes
                low = flops <= cut * flops.max()
                if len(np.unique(codes[low])) >= 5 and len(np.unique(codes[~low])) >= 2:
                    yield table, dataset, name, cut


def measured(table: RunTable, dataset: str, name: str, cut: float) -> Part:
    """Choose below the cut, predict above it."""
    flops, codes = table.numbers("flops"), table.run_codes
    low = flops <= cut * flops.max()
    below = dataclasses.replace(table, frame=table.frame.filter(pl.Series(low)))
    try:
        chosen = choose(below)
    except UserError as error:
        return Part(dataset, name, cut, None, str(error), {})
    errors = {}
    for candidate in chosen.candidates:
        if candidate.score is None:
            continue
        found = fit_and_predict(Predictor("approach3", candidate.law), table, low, Objective(), "total")
        if found.reason is None:
            squares = [found.residuals[~low & (codes == r)] ** 2 for r in np.unique(codes[~low])]
            errors[candidate.law] = float(np.sqrt(np.mean([x.mean() for x in squares])))
    return Part(dataset, name, cut, chosen.law, "", errors)


def main(datasets: list[str], kept: Path | None) -> None:
    lines = kept.read_text().splitlines() if kept is not None and kept.exists() else []
    known = {(p.dataset, p.selection, p.cut): p for p in (Part(**json.loads(line)) for line in lines)}
    ratios: dict[str, list[float]] = {}
    for table, dataset, name, cut in parts(datasets):
        part = known.get((dataset, name, cut))
        if part is None:
            part = measured(table, dataset, name, cut)
            if kept is not None:
                with kept.open("a") as file:
                    file.write(json.dumps(dataclasses.asdict(part)) + "\n")
        print(part.row, flush=True)
        if part.chosen is not None:
            ours = part.errors[part.chosen]
            for law, error in {**part.errors, HINDSIGHT: min(part.errors.values())}.items():
                ratios.setdefault(law, []).append(ours / error)
    for law in (*(parse_form(c).text for c in CANDIDATES), HINDSIGHT):
        if law in ratios:
            mean, geometric = np.mean(ratios[law]), np.exp(np.mean(np.log(ratios[law])))
            print(f"| `{law}` | {len(ratios[law])} | {mean:.2f} | {geometric:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", default=list(DATASETS), metavar="DATASET")
    parser.add_argument("--kept", type=Path)
    given = parser.parse_args()
    main(given.datasets, given.kept)
