"""`gemstones train RUN`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gemstones.cli.options import (
    Compiled,
    Device,
    Json,
    MatrixProducts,
    MicroBatch,
    Recomputed,
    Sinks,
    at_least_one,
)
from gemstones.cli.output import print_json, report, say
from gemstones.errors import InvalidRequest
from gemstones.units import parse_quantity

if TYPE_CHECKING:
    from gemstones.design.layout import Layout
    from gemstones.design.spec import RunSpec
    from gemstones.runs.ledger import Event, Start


def train(
    run: Annotated[Path, Parameter(help="Folder of a run, made by `gemstones suite run`.")],
    /,
    *,
    corpus: Annotated[Path | None, Parameter(help="Instead of the one that the run names.")] = None,
    layout: Annotated[
        str, Parameter(help="DATAxTENSOR: processes that shard the batch, and each layer (with torchrun).")
    ] = "1x1",
    device: Device = "",
    threads: Annotated[int | None, Parameter(help="CPU threads of a process.")] = None,
    micro_batch: MicroBatch = None,
    compiled: Compiled = None,
    recompute: Recomputed = "none",
    products: MatrixProducts = None,
    budget: Annotated[
        str | None, Parameter(help="Seconds after which to have saved and left, resumable.")
    ] = None,
    sink: Sinks = (),
    orphan_of: Annotated[int | None, Parameter(show=False)] = None,
    json: Json = False,
) -> None:
    """Train one run, or go on with it, until it ends.

    SIGTERM, SIGUSR1, Ctrl-C and the budget save and leave; the same command goes on from there, to the bit.
    The exit status is 0 only when the run is done, so that `gemstones train RUN && gemstones export RUN` exports no
    other: a signal ends with 128 and its number, the budget with 75 (try again later), a run that diverged with 1.
    On several processes: `torchrun --nproc-per-node 4 -m gemstones train RUN --layout 2x2`.

    Example: gemstones train runs/main-96x3-6a2004ac
    """
    began = time.monotonic()  # what is imported is paid for by the budget
    if orphan_of is not None:
        from gemstones.train.stopping import leave_with

        leave_with(orphan_of)
    from gemstones.design.layout import Layout
    from gemstones.train.run import Options
    from gemstones.train.run import train as train_run
    from gemstones.train.sinks import open_sink

    shared = Layout.parse(layout)
    _check_started(shared)
    alone = int(os.environ.get("RANK", "0")) == 0
    seconds = None if budget is None else parse_quantity(budget, "budget")
    options = Options(
        corpus=corpus,
        layout=shared,
        device=device,
        threads=at_least_one(threads, "threads"),
        micro_sequences=at_least_one(micro_batch, "micro-batch"),
        compiled=compiled,
        recompute=recompute,
        products=products,
        budget_seconds=None if seconds is None else seconds - (time.monotonic() - began),
        sinks=(
            *((Bar(),) if alone and sys.stderr.isatty() else ()),
            *(open_sink(name, run) for name in sink),
        ),
        say=lambda message: print(f"gemstones: {message}", file=sys.stderr, flush=True),
    )
    outcome = train_run(run, options)
    status = outcome.exit_status

    def words() -> None:
        if alone and json:
            print_json(
                {
                    "run": str(run),
                    "state": outcome.state,
                    "step": outcome.step,
                    "steps": outcome.steps,
                    "reason": outcome.reason,
                }
            )
        elif alone:
            why = f": {outcome.reason}" if outcome.reason else ""
            say(f"{run.name}: {outcome.state} at step {outcome.step:,} of {outcome.steps:,}{why}")

    report(words, status)
    if shared.processes > 1:
        from gemstones.train.ranks import leave_group

        leave_group(status)
    if status:
        sys.exit(status)


class Bar:
    """A progress bar on standard error."""

    def start(self, spec: RunSpec, session: Start) -> None:
        """Show where the session begins."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: Any = self._progress.add_task(
            spec.id, total=spec.steps - spec.fork_step, completed=session.step - spec.fork_step, now=""
        )
        self._fork, self._validation = spec.fork_step, ""
        self._progress.start()

    def log(self, event: Event) -> None:
        """Move on."""
        from gemstones.runs.ledger import Evaluation, Rollback, Step

        match event:
            case Step():
                now = f"loss {event.loss:.3f}{self._validation}  {event.utilisation:.0%} of matmul peak"
                self._progress.update(self._task, completed=event.step - self._fork, now=now)
            case Evaluation():
                self._validation = f"  validation {event.loss:.3f} nats/token"
            case Rollback():
                self._progress.print(f"rolled back to step {event.to_step}: {event.reason}")

    def finish(self, state: str) -> None:
        """Leave the last line standing."""
        self._progress.stop()


def _check_started(layout: Layout) -> None:
    """The layout is of as many processes as torchrun, or SLURM, has started."""
    started = os.environ.get("WORLD_SIZE", "1")
    if started != str(layout.processes):
        raise InvalidRequest(
            f"layout {layout} is of {layout.processes} processes, and there are {started}: start it with "
            f"`torchrun --nproc-per-node {layout.processes} -m gemstones train RUN --layout {layout}`"
            if layout.processes > 1
            else f"{started} processes were started, and layout {layout} is of one: say with --layout how they share "
            f"the run, like {started}x1"
        )
