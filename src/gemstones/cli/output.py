"""How commands speak: JSON or tables on standard output, progress on standard error: a bar, or lines."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gemstones.display import Card
from gemstones.numbers import counted
from gemstones.printable import printable

COLOURS = {"green": 32, "yellow": 33, "red": 31}
EVERY_SECONDS = 10.0
"""Between two lines of progress where standard error is no terminal: what is quick says none."""
ASK_FOR_INTERVALS = "no intervals: ask for them with --bootstrap 1000"


def say(text: object = "", colour: str = "") -> None:
    """A line of words for people: in a terminal wrapped at its width, what follows set in, in a colour of `COLOURS`;
    else as it is."""
    if not _in_terminal():
        print(text)
        return
    from shutil import get_terminal_size
    from textwrap import wrap

    width = max(40, get_terminal_size().columns)
    plain = not colour or "NO_COLOR" in os.environ
    for line in str(text).split("\n"):
        lines = wrap(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
        )
        wrapped = "\n".join(lines)
        print(wrapped if plain else f"\033[{COLOURS[colour]}m{wrapped}\033[0m")


def report(words: Callable[[], None], status: int) -> None:
    """Print the `words` of a command that ends with `status`, which is its status where nobody reads them, too."""
    try:
        words()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        if not status:
            raise


def _in_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


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
    """A table as wide as it needs: numbers are never cut to fit, but headings are on several lines where it is wider
    than the terminal (80 columns where there is none).

    Columns are aligned to the right, but for those numbered `left`.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if title:  # in a line of its own: rich would wrap it to the width of the table
        say(printable(title))
    cells = [[printable(cell) for cell in row] for row in rows]
    names = _fitting([printable(name) for name in header], cells)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(names):
        table.add_column(
            Text(name), justify="left" if i in left else "right", no_wrap=True, vertical="bottom"
        )
    for row in cells:
        table.add_row(*map(Text, row))  # as it is: a run may be called [red]
    written = io.StringIO()  # not standard output itself: rich ends the process when a reader of it has gone
    width = Console(file=written, width=10_000).measure(table).maximum
    Console(file=written, markup=False, highlight=False, width=width, force_terminal=_in_terminal()).print(
        table
    )
    print(written.getvalue(), end="")


def _fitting(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """The header on several lines where the table is too wide, no narrower than its cells."""
    from shutil import get_terminal_size
    from textwrap import wrap

    widest = [max((len(row[i]) for row in cells), default=0) for i in range(len(header))]
    natural = sum(max(len(name), most) + 3 for name, most in zip(header, widest, strict=True))
    if natural <= get_terminal_size().columns:
        return list(header)
    return [
        "\n".join(wrap(name, max(most, 8), break_long_words=False, break_on_hyphens=False)) or name
        for name, most in zip(header, widest, strict=True)
    ]


def say_trust(said: str, cautions: int, colour: str = "") -> None:
    """The last line of a short answer: how far it reaches, how many cautions there are, and how to read the rest."""
    say(f"trust: {printable(said)}; {rest_text(cautions)}", colour)


def rest_text(cautions: int) -> str:
    """How to read what a short answer leaves out."""
    more = f"{counted(cautions, 'caution')} and the rest" if cautions else "the rest"
    return f"{more}: --verbose"


def print_notes(*groups: tuple[str, Sequence[str]]) -> None:
    """Flags, assumptions and the like, a line each."""
    for name, notes in groups:
        for note in notes:
            say(f"{name}: {printable(note)}")


def print_card(card: Card, written: Sequence[object] = (), left: Sequence[int] = (0,)) -> None:
    """A result: its heading, table and notes, and the files that were written of it."""
    say(printable(card.heading))
    if card.header:
        print_table("", card.header, card.rows, left)
    for note in card.notes:
        say(printable(note))
    say_written(written)


def say_written(paths: Sequence[object]) -> None:
    """The files that were written, a line each."""
    for path in paths:
        say(printable(f"written: {path}"))


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
def share_bar() -> Iterator[Callable[[str, float], None]]:
    """A bar of what is being done and which share of everything is; lines now and then where there is no terminal."""
    if not sys.stderr.isatty():
        yield _line_now_and_then(time.monotonic())
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, done: progress.update(task, completed=done, description=what)


def _line_now_and_then(said: float) -> Callable[[str, float], None]:
    """A line on standard error whenever `EVERY_SECONDS` have passed since the last, `said` being when it began."""

    def tell(what: str, done: float) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY_SECONDS:
            said = time.monotonic()
            print(f"{done:.0%} {printable(what)}", file=sys.stderr, flush=True)

    return tell
