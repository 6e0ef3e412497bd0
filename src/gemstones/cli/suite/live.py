"""What `gemstones suite run` shows while it trains: a table in motion on a terminal, otherwise a line an event."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gemstones.units import format_quantity

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from gemstones.train.queue import Standing, View
    from gemstones.train.suite_folder import RunTask


@contextmanager
def view_of(tasks: Sequence[RunTask], *, quiet: bool) -> Iterator[View]:
    """On standard error if that is a terminal; otherwise lines on standard output, none if `quiet`."""
    if not sys.stderr.isatty():
        yield Lines(tasks, quiet=quiet)
        return
    from rich.console import Console
    from rich.live import Live

    # Refreshed by the queue: no thread of its own, in a process that starts others.
    with Live(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True) as live:
        yield Moving(tasks, live)


class Lines:
    """A line for every event."""

    def __init__(self, tasks: Sequence[RunTask], *, quiet: bool = False) -> None:
        self._total = len(tasks)
        self._quiet = quiet
        self._finished = 0
        self._began: dict[str, float] = {}

    def started(self, task: RunTask, before: Standing) -> None:
        """A process begins."""
        self._began[task.id] = time.monotonic()
        steps = f"{before.step:,} of {task.spec.steps:,}"
        match before.state:
            case None:
                self.say(f"started {task.id}: {task.spec.steps - task.spec.fork_step:,} steps")
            case "stopped":
                self.say(f"resumed {task.id} at step {steps}")
            case _:  # its process was killed
                self.say(f"resumed {task.id} from its last checkpoint up to step {steps}")

    def ended(self, task: RunTask, standing: Standing) -> None:
        """A process has left."""
        seconds = time.monotonic() - self._began[task.id]
        at = f"{task.id} at step {standing.step:,} of {task.spec.steps:,}"
        loss = "" if standing.loss is None else f", loss {standing.loss:.4f}"
        if standing.problem:
            self.say(f"failed {at}: {standing.problem}")
        elif standing.state == "finished":
            self._finished += 1
            self.say(f"finished {task.id}{loss}, in {duration(seconds)}")
        elif standing.state == "diverged":
            self.say(f"diverged {at}: given up")
        else:
            self.say(f"stopped {at}{loss}")

    def stopping(self, running: int) -> None:
        """Processes have been asked to leave."""
        self.say(f"stopping: {running} run{'s' if running > 1 else ''} to save; the same again kills")

    def tick(self, running: Sequence[RunTask], finished: int) -> None:
        """Nothing moves in lines."""

    def say(self, line: str) -> None:
        """Print it; a reader that has gone does not stop the training."""
        if not self._quiet:
            with contextlib.suppress(OSError):
                print(line, flush=True)


class Moving(Lines):
    """A line for every run at work, and the lines of events above."""

    def __init__(self, tasks: Sequence[RunTask], live: Live) -> None:
        super().__init__(tasks)
        self._live = live

    def tick(self, running: Sequence[RunTask], finished: int) -> None:
        """Draw again."""
        with contextlib.suppress(OSError):
            self._live.update(table(running, finished, self._total), refresh=True)

    def say(self, line: str) -> None:
        """Above the table."""
        with contextlib.suppress(OSError):
            self._live.console.print(line, markup=False, soft_wrap=True)


def table(running: Sequence[RunTask], finished: int, total: int) -> Table:
    """The runs at work: step, loss, tokens per second, time left."""
    from rich.table import Table

    from gemstones.train.progress import pace

    made = Table(
        box=None, pad_edge=False, caption=f"{finished} of {total} runs finished", caption_justify="left"
    )
    for name in ("run", "step", "loss", "tokens/s", "left"):
        made.add_column(name, justify="left" if name == "run" else "right", no_wrap=True)
    for task in running:
        now, spec = pace(task.folder), task.spec
        step = max(now.step, spec.fork_step)
        left = None if now.seconds_per_step is None else (spec.steps - step) * now.seconds_per_step
        made.add_row(
            task.id,
            f"{step:,}/{spec.steps:,}",
            "-" if now.loss is None else f"{now.loss:.3f}",
            "-" if now.tokens_per_second is None else format_quantity(now.tokens_per_second),
            "-" if left is None else duration(left),
        )
    return made


def duration(seconds: float) -> str:
    """In the two largest units.

    >>> duration(5.2), duration(125), duration(7_500), duration(200_000)
    ('5 s', '2 min 5 s', '2 h 5 min', '2 d 7 h')
    """
    whole = round(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"
