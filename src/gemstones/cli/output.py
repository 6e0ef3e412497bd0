"""How commands speak: JSON or tables on standard output, progress on standard error and only to a terminal."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gemstones.printable import printable

ASK_FOR_INTERVALS = "no intervals: ask for them with --bootstrap 1000"


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object; what is not a finite number becomes null."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> None:
    """A table as wide as it needs: numbers are never cut to fit a terminal.

    Columns are aligned to the right, but for those numbered `left`.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if title:  # in a line of its own: rich would wrap it to the width of the table
        print(printable(title))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(Text(printable(name)), justify="left" if i in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # as it is: a run may be called [red]
    written = io.StringIO()  # not standard output itself: rich ends the process when a reader of it has gone
    styled = sys.stdout is not None and sys.stdout.isatty()
    width = Console(file=written, width=10_000).measure(table).maximum
    Console(file=written, markup=False, highlight=False, width=width, force_terminal=styled).print(table)
    print(written.getvalue(), end="")


def print_notes(*groups: tuple[str, Sequence[str]]) -> None:
    """Flags, assumptions and the like, a line each."""
    for name, notes in groups:
        for note in notes:
            print(f"{name}: {printable(note)}")


def format_interval(interval: Sequence[float] | None, write: Callable[[float], str]) -> str:
    """`[low, high]`, or a dash."""
    return "-" if interval is None else f"[{write(interval[0])}, {write(interval[1])}]"


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error if that is a terminal; yields a function that takes how much is done."""
    if total < 1 or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def share_bar() -> Iterator[Callable[[str, float], None] | None]:
    """A bar of what is being done and which share of everything is; None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, done: progress.update(task, completed=done, description=what)
