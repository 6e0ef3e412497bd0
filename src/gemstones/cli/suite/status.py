"""`gemstones suite status RUNS`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gemstones.cli.options import Json
from gemstones.cli.output import print_json, print_notes, print_table
from gemstones.cli.suite.live import duration
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.train.status import SuiteStatus

CONVENTIONS = {
    "step": "done, a parent's up to the fork included; of steps",
    "train_loss": "of the last step's batch, nats/token",
    "loss": "of the last evaluation on held-out windows, nats/token",
    "seconds": "spent on steps, evaluations and saves, those done twice included",
    "remaining_seconds": "at the run's own pace, or at that of the suite's other runs by FLOPs; one run at a time",
}


def status(
    runs: Annotated[Path, Parameter(help="Folder of runs, made by `gemstones suite run`.")],
    /,
    *,
    json: Json = False,
) -> None:
    """How far the runs of a suite are. Reads only, also while they train."""
    from gemstones.train.status import suite_status

    found = suite_status(runs)
    if json:
        print_json(
            {
                "folder": str(runs),
                "state": found.state,
                "finished": found.finished,
                "total": len(found.runs),
                "seconds": found.seconds,
                "remaining_seconds": found.remaining_seconds,
                "runs": [asdict(run) for run in found.runs],
                "conventions": CONVENTIONS,
            }
        )
    else:
        _print(runs, found)


def _print(folder: Path, found: SuiteStatus) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    def left(seconds: float | None) -> str:
        return "?" if seconds is None else duration(seconds)

    rows = [
        (
            run.id,
            run.state,
            f"{run.step:,}/{run.steps:,}",
            format_quantity(run.tokens),
            number(run.train_loss),
            number(run.loss),
            str(run.rollbacks),
            str(run.sessions),
            duration(run.seconds),
            left(run.remaining_seconds),
        )
        for run in found.runs
    ]
    header = (
        "run",
        "state",
        "step",
        "tokens",
        "train loss",
        "loss",
        "rollbacks",
        "sessions",
        "spent",
        "left",
    )
    print_table(f"{folder}: {found.state}", header, rows, left=(0, 1))
    print_notes(*((run.id, [run.reason]) for run in found.runs if run.reason))
    print(
        f"{found.finished} of {len(found.runs)} runs finished; {duration(found.seconds)} spent, "
        f"{left(found.remaining_seconds)} left, one run at a time"
    )
