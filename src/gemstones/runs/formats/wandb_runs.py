"""Runs of W&B, from its server or from a folder → a frame: the history's rows, with the run's configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import flat, frame_of_records
from gemstones.runs.formats.tool_names import known_by_tool
from gemstones.runs.formats.wandb_history import STEP_REMEDY
from gemstones.runs.provenance import Source


@dataclass
class LoggedRun:
    """What W&B holds of a run."""

    id: str = ""
    name: str = ""
    state: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def opened_runs(
    runs: Sequence[LoggedRun],
    format_name: str,
    file: str,
    *,
    dataset: str,
    source: Source,
) -> Opened:
    """All rows of all runs. A name that several runs have is followed by the run's id; a configuration's name that
    is also a metric's is `config.…`. Raises `InvalidTable` where nothing was logged.
    """
    shared = {name for name, runs_of_it in Counter(run.name for run in runs).items() if runs_of_it > 1}
    metrics = {name for run in runs for row in run.rows for name in row}
    rows = []
    for run in runs:
        name = f"{run.name} ({run.id})" if run.name in shared else run.name or run.id
        constants = {"run": name, **({"state": run.state} if run.state else {})}
        taken = metrics | constants.keys()
        config = {key: held for key, held in flat(run.config).items() if not key.startswith("_wandb")}
        constants |= {f"config.{key}" if key in taken else key: held for key, held in config.items()}
        rows += [{**constants, **row} for row in run.rows]
    if not rows:
        raise InvalidTable("has no run with a history: nothing was logged yet", file=file)
    frame = frame_of_records(rows, file)
    return Opened(
        frame,
        format_name,
        file,
        dataset=dataset,
        known={"run": "run", **known_by_tool(frame.columns)},
        remedies=STEP_REMEDY,
        sources=(source,),
    )
