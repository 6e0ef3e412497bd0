"""A pilot: a fit with draws, and the runs that it was fitted to, where they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemstones.laws.fit import Fit, is_fit
from gemstones.laws.fitting import fit
from gemstones.laws.parallel import Workers
from gemstones.runs.given import selected_runs
from gemstones.runs.table import RunTable

DRAWS = 200
"""Resamples by run of the fit to a pilot's runs."""


@dataclass(frozen=True, eq=False)
class Pilot:
    """What a pilot says."""

    fit: Fit
    runs: RunTable | None


def pilot_of(
    given: Any,
    form: str,
    workers: Workers = None,
    *,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Pilot:
    """A fit, the file of one, or runs as `selected_runs` takes them, to which `form` is fitted with `DRAWS` resamples
    by run.

    `force` fits runs that are refused as inseparable; `progress` is told how many resamples are done.
    """
    if isinstance(given, Pilot):
        return given
    if isinstance(given, Fit):
        return Pilot(given, None)
    if isinstance(given, str | Path) and (path := Path(given)).is_file() and is_fit(path.read_bytes()):
        return Pilot(Fit.load(path), None)
    table = selected_runs(given)
    fitted = fit(
        table, form, bootstrap=DRAWS, workers=workers, backtests=False, force=force, progress=progress
    )
    return Pilot(fitted, table)
