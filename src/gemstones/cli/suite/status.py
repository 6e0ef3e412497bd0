"""`gemstones suite status RUNS`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gemstones.cli.options import Json, Verbose
from gemstones.cli.output import print_json, print_notes, print_table, rest_text, say
from gemstones.cli.suite.live import duration
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.train.status import SuiteStatus

CONVENTIONS = {
    "learning_rate": "after warm-up: lr_eff",
    "step": "done, a parent's up to the fork included; of steps",
    "train_loss": "of the last step's batch, nats/token",
    "loss": "of the last evaluation on held-out windows, nats/token",
    "seconds": "spent on steps, evaluations and saves, those done twice included",
    "remaining_seconds": "at the run's own pace, or at that of the suite's other runs by FLOPs; one run at a time",
}


WIDE = ("rate", "tokens", "train loss")
"""Columns for which 80 have no room."""


def status(
    runs: Annotated[Path, Parameter(help="Folder of runs, made by `gemstones suite run`.")],
    /,
    *,
    verbose: Verbose = False,
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
        _print(runs, found, verbose)


def _print(folder: Path, found: SuiteStatus, verbose: bool) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    def left(seconds: float | None) -> str:
        return "?" if seconds is None else duration(seconds)

    columns: dict[str, list[str]] = {
        "run": [run.id for run in found.runs],
        "rate": [f"{run.learning_rate:.3g}" for run in found.runs],
        "state": [run.state for run in found.runs],
        "step": [f"{run.step:,}/{run.steps:,}" for run in found.runs],
        "tokens": [format_quantity(run.tokens) for run in found.runs],
        "train loss": [number(run.train_loss) for run in found.runs],
        "held-out loss": [number(run.loss) for run in found.runs],
    }
    if not verbose:
        for name in WIDE:
            del columns[name]
    # Told where there is something to tell: the table is wide.
    if any(run.rollbacks for run in found.runs):
        columns["rollbacks"] = [str(run.rollbacks) for run in found.runs]
    if verbose and any(run.sessions > 1 for run in found.runs):
        columns["sessions"] = [str(run.sessions) for run in found.runs]
    if verbose:
        columns["spent"] = [duration(run.seconds) for run in found.runs]
    columns["left"] = [left(run.remaining_seconds) for run in found.runs]
    rows = list(zip(*columns.values(), strict=True))
    print_table(f"{folder}: {found.state}", list(columns), rows, left=(0, list(columns).index("state")))
    print_notes(*((run.id, [run.reason]) for run in found.runs if run.reason))
    say(
        f"{found.finished} of {len(found.runs)} runs finished; {duration(found.seconds)} spent, "
        f"{left(found.remaining_seconds)} left, one run at a time; losses in nats/token"
        + ("" if verbose else f"; {rest_text(0)}")
    )
