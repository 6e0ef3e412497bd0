"""Several recipes of one table, the values of a column, each against a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Unpack

import numpy as np

from gemstones.analyses.compare.compare import SAMPLES, compare
from gemstones.analyses.compare.options import CompareOptions
from gemstones.analyses.compare.result import Comparison
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import group_values
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.table import RunTable


def compare_by(
    runs: Runs,
    column: str,
    *,
    reference: str | None = None,
    progress: Callable[[str, float], None] | None = None,
    **options: Unpack[CompareOptions],
) -> tuple[Comparison, ...]:
    """Every recipe, a value of `column` of `runs`, against the `reference` (by default the first in the table).

    `options` are those of `compare`: budgets in FLOPs, points, and the rest; `progress` is
    told what is being done and which share of everything is. Raises `InvalidRequest` for a column of
    fewer than two values, and what `compare` raises.

    >>> compare_by("runs.csv", "recipe", reference="adamw", budgets=["1e21"])  # doctest: +SKIP
    """
    import polars as pl

    table = selected_runs(runs)
    values = group_values(column, table)
    levels = list(dict.fromkeys(values))
    if len(levels) < 2:
        raise InvalidRequest(
            f"column {column} of {table.origin} has one value, {levels[0]!r}: there is nothing to compare it with"
        )
    first = levels[0] if reference is None else reference
    if first not in levels:
        raise InvalidRequest(f"reference {first!r} is no value of {column}: they are {', '.join(levels)}")

    def of(level: str) -> RunTable:
        mask = pl.Series([value == level for value in values])
        return replace(table, frame=table.frame.filter(mask), selection=f"{column} {level}")

    own, others = of(first), [level for level in levels if level != first]

    def share_of(k: int) -> Callable[[str, float], None] | None:
        if progress is None:
            return None
        return lambda what, done: progress(f"{others[k]}: {what}", (k + done) / len(others))

    return tuple(
        compare(own, of(level), names=(first, level), progress=share_of(k), **options)
        for k, level in enumerate(others)
    )


def ranks(comparisons: Sequence[Comparison]) -> list[dict[str, float]]:
    """For each budget or point, the probability of each recipe to have the lowest loss.

    From the differences to the reference, taken as normal and independent of each other: what they share through the
    reference makes neighbours look a little less certain than they are.
    """
    rng = np.random.default_rng(0)
    found = []
    for i in range(len(comparisons[0].at)):
        drawn = {comparisons[0].names[0]: np.zeros(SAMPLES)}
        for one in comparisons:
            at = one.at[i]
            if at.interval is None:
                return []
            spread = (at.interval[1] - at.interval[0]) / (2 * NormalDist().inv_cdf((1 + one.level) / 2))
            drawn[one.names[1]] = rng.normal(at.difference, spread, SAMPLES)
        best = np.stack([*drawn.values()]).argmin(0)
        found.append({name: float((best == k).mean()) for k, name in enumerate(drawn)})
    return found
