"""The choice of a form, nested: chosen on the lower part of the compute, scored on the upper part that it never saw.

    python benchmarks/choice.py [DATASET ...]

For every selection of a data set (but those with every checkpoint), and cuts at 1/10 and 1/3 of the largest FLOPs: the
rows up to the cut are a table of their own, `gemstones.laws.choose` chooses on it, and every candidate is fitted to it
and predicts the rows above (root mean square over runs of their root mean square log error). Prints one row a case and
the ratios of the chosen form's error to each fixed form's and to the best in hindsight. δ is 1e-4.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import polars as pl

from gemstones.errors import UserError
from gemstones.laws.choose import CANDIDATES, choose
from gemstones.laws.parse_form import parse_form
from gemstones.laws.predictor import Predictor, fit_and_predict
from gemstones.laws.solver.objective import Objective
from gemstones.runs import load
from gemstones.runs.selections import selections_of

DATASETS = ("gemstones", "gemstones-fineweb-edu", "gemstones-dclm", "chinchilla", "pebbles")
CUTS = (1 / 10, 1 / 3)


def main(datasets: list[str]) -> None:
    ratios: dict[str, list[float]] = {}
    for dataset in datasets:
        runs = load(dataset)
        for name in selections_of(dataset):
            table = runs.select(name)
            flops, codes = table.numbers("flops"), table.run_codes
            for cut in () if name.endswith("-2B") else CUTS:
                low = flops <= cut * flops.max()
                if len(np.unique(codes[low])) < 5 or len(np.unique(codes[~low])) < 2:
                    continue
                below = dataclasses.replace(table, frame=table.frame.filter(pl.Series(low)))
                try:
                    chosen = choose(below)
                except UserError as error:
                    print(f"| {dataset} | {name} | {cut:.3g} | {error} |")
                    continue
                errors = {}
                for candidate in chosen.candidates:
                    if candidate.score is not None:
                        predictor = Predictor("approach3", candidate.law)
                        made = fit_and_predict(predictor, table, low, Objective(), "total")
                        if made.reason is None:
                            squares = [
                                made.residuals[~low & (codes == r)] ** 2 for r in np.unique(codes[~low])
                            ]
                            errors[candidate.law] = float(np.sqrt(np.mean([x.mean() for x in squares])))
                best = min(errors, key=lambda law: errors[law])
                ours = errors[chosen.law]
                for law, error in {**errors, "the best of them in hindsight": errors[best]}.items():
                    ratios.setdefault(law, []).append(ours / error)
                row = (chosen.law, f"{ours:.2%}", best, f"{errors[best]:.2%}", f"{ours / errors[best]:.2f}")
                print(f"| {dataset} | {name} | {cut:.3g} | {' | '.join(row)} |", flush=True)
    for law in (*(parse_form(c).text for c in CANDIDATES), "the best of them in hindsight"):
        if law in ratios:
            mean, geometric = np.mean(ratios[law]), np.exp(np.mean(np.log(ratios[law])))
            print(f"| {law} | {len(ratios[law])} | {mean:.2f} | {geometric:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:] or list(DATASETS))
