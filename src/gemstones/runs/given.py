"""Runs as a caller gives them → one table and one selection.

Whatever is given, a known name, a path, a frame or a table, `gemstones.fit(x)` and `gemstones fit x` use the same rows:
those of the data set's default selection, unless `.select(...)` has said otherwise.
"""

from __future__ import annotations

from typing import Any

from gemstones.runs.selections import dense_selection
from gemstones.runs.sources import load
from gemstones.runs.table import RunTable

Runs = Any
"""A `RunTable`; or what `load` takes: the name of a known data set, a path, a frame of polars, pandas or Arrow, a list
of dicts."""


def given_runs(runs: Runs) -> RunTable:
    """`runs` as a table, whole: nothing is selected that the caller did not select. Raises what `load` raises."""
    return load(runs)


def selected_runs(runs: Runs) -> RunTable:
    """`runs` as a table, and of it the default selection unless one was made: what is used where nothing is said."""
    table = given_runs(runs)
    return table if table.selection else table.select()


def densest_runs(runs: Runs) -> RunTable:
    """As `selected_runs`, with every checkpoint of the default selection's runs: where frontiers are read off."""
    table = given_runs(runs)
    return table if table.selection else table.select(dense_selection(table.dataset))


def several_runs(runs: Runs) -> tuple[RunTable, ...]:
    """The tables of a list of tables, or the one table of anything else; nothing is selected."""
    if isinstance(runs, list | tuple) and runs and all(isinstance(one, RunTable) for one in runs):
        return tuple(runs)
    return (given_runs(runs),)
