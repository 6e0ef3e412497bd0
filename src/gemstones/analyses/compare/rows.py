"""The rows of the regression: differences of pairs, or unpaired residuals of the pooled law, with their noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.analyses.compare.optima import jacobian
from gemstones.analyses.compare.pairs import LEAST_PAIRS, Pairs, thinned
from gemstones.analyses.compare.regression import Difference, cells, scales_of, structures_of
from gemstones.laws.columns import table_columns
from gemstones.laws.fit import Fit
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, IntArray

OFF, SPREAD = 2.5, 1.4826
"""A run counts less where it lies off by so many times the spread (the median absolute deviation, as a standard
deviation)."""


def rows_of(
    fitted: Fit, tables: tuple[RunTable, RunTable], pairs: Pairs | None, convention: ParamsConvention
) -> Difference:
    """What is regressed: of `pairs` their differences, without them every checkpoint of both tables, thinned."""
    law = fitted.law
    logs = [np.log(table_columns(law.symbols, table, convention)) for table in tables]
    sizes = [np.log(table.numbers(f"params_{convention}")) for table in tables]
    tokens = [np.log(table.numbers("tokens")) for table in tables]
    losses = [np.log(table.numbers("loss")) for table in tables]
    kinds = [entry.kind for entry in law.parsed_form.entries]
    if pairs is not None:
        kept = thinned(pairs.runs, tokens[0][pairs.a])
        a, b, runs = pairs.a[kept], pairs.b[kept], pairs.runs[kept]
        y = losses[1][b] - losses[0][a]
        columns, weight = logs[0][a], np.ones(len(a))
        where = np.stack([sizes[0][a], tokens[0][a]], axis=1)
        noise = _row_noise(losses[1][pairs.b] - losses[0][pairs.a], tokens[0][pairs.a], pairs.runs)
    else:
        codes = [table.run_codes for table in tables]
        kept_of = [thinned(code, t, 150) for code, t in zip(codes, tokens, strict=True)]
        columns = np.concatenate([x[k] for x, k in zip(logs, kept_of, strict=True)])
        y = np.concatenate([x[k] for x, k in zip(losses, kept_of, strict=True)])
        y = y - law.log_loss([*columns.T])
        weight = np.repeat([-0.5, 0.5], [len(k) for k in kept_of])
        runs = np.concatenate([codes[0][kept_of[0]], codes[0].max() + 1 + codes[1][kept_of[1]]])
        where = np.concatenate(
            [np.stack([s[k], t[k]], axis=1) for s, t, k in zip(sizes, tokens, kept_of, strict=True)]
        )
        noises = [
            _row_noise(x - law.log_loss([*c.T]), t, r)
            for x, c, t, r in zip(losses, logs, tokens, codes, strict=True)
        ]
        known = [one for one in noises if one is not None]
        noise = float(np.sqrt(np.mean(np.square(known)))) if known else None
    slopes = jacobian(fitted.law, columns)
    scales = scales_of(slopes, kinds)
    rows = Difference(y, slopes, weight, where, runs, noise, scales, structures_of(kinds, scales))
    return _robust(rows)


def _row_noise(y: FloatArray, log_tokens: FloatArray, runs: IntArray) -> float | None:
    """Spread within a run around a line in log T, over all runs; None where none has four rows."""
    squares, freedom = 0.0, 0
    for run in np.unique(runs):
        at = runs == run
        if at.sum() >= 4:
            x = np.stack([np.ones(at.sum()), log_tokens[at]], axis=1)
            rest = y[at] - x @ np.linalg.lstsq(x, y[at], rcond=None)[0]
            squares, freedom = squares + float(rest @ rest), freedom + int(at.sum()) - 2
    return float(np.sqrt(squares / freedom)) if freedom else None


def _robust(rows: Difference) -> Difference:
    """`rows` with the noise of runs that lie far off enlarged, in two rounds."""
    _, inverse = np.unique(rows.runs, return_inverse=True)
    for _ in range(2):
        heaviest = cells(rows)[0]
        mean, _ = heaviest.predict(rows, rows.jacobian, rows.at)
        rest = rows.y - rows.weight * mean
        if not rows.paired:
            common = rows.jacobian * rows.scales
            rest = rest - common @ np.linalg.lstsq(common, rest, rcond=None)[0]
        of_run = np.bincount(inverse, rest) / np.bincount(inverse)
        spread = SPREAD * float(np.median(np.abs(of_run - np.median(of_run))))
        if spread == 0 or len(of_run) < LEAST_PAIRS:
            return rows
        factor = np.maximum(1.0, np.abs(of_run - np.median(of_run)) / (OFF * spread))
        rows = replace(rows, inflated=factor[inverse])
    return rows
