"""What the page's explorer shows of the runs: their shapes on the map, and their losses beside a law's at a budget."""

from __future__ import annotations

from typing import Any

from gemstones.accounting.parameters import PARAMS_CONVENTIONS
from gemstones.runs.table import RunTable

MOST_CHECKPOINTS = 40
"""Embedded of a run: at a budget one of them is shown."""
MOST_RUNS = 400


def measured_data(runs: RunTable) -> list[dict[str, Any]]:
    """One entry a run: name, width and depth (null where not known), parameters by convention, [tokens, loss] pairs."""
    frame = runs.frame
    known = [
        f"params_{convention}" for convention in PARAMS_CONVENTIONS if f"params_{convention}" in frame.columns
    ]
    found: list[dict[str, Any]] = []
    for (name,), run in frame.sort("tokens").group_by(["run"], maintain_order=True):
        points = run.select("tokens", "loss").drop_nulls().rows()
        if not points or len(found) == MOST_RUNS:
            continue
        step = -(-len(points) // MOST_CHECKPOINTS)
        first = run.row(0, named=True)
        found.append(
            {
                "name": str(name),
                "width": first.get("width"),
                "depth": first.get("depth"),
                "params": {column.removeprefix("params_"): first[column] for column in known},
                "points": [[tokens, float(f"{loss:.6g}")] for tokens, loss in points[:-1:step] + points[-1:]],
            }
        )
    return found
