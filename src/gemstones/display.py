"""How values show themselves: in a terminal by a few lines, in a notebook by a heading, a small table and notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from gemstones.remedies import of_arguments

Row = tuple[str, ...]

MOST_ROWS = 40
"""Of a table in a notebook; what is left out is counted below it."""
LONGEST = 240
"""Characters of a line in a terminal: some assumptions and flags are paragraphs."""


def html_table(
    heading: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """An HTML fragment; all text is escaped. The first column is to the left, numbers to the right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="text-align:{"left" if i == 0 else "right"}">{escape(value)}</{tag}>'
            for i, value in enumerate(values)
        )

    head = f"<thead><tr>{cells('th', header)}</tr></thead>" if header else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        notes = (f"the first {MOST_ROWS} of {len(rows):,} rows", *notes)
    said = "".join(f"<br>{escape(of_arguments(note))}" for note in notes)
    return (
        f"<div><b>{escape(heading)}</b><table>{head}<tbody>{body}</tbody></table>"
        f"<small>{said.removeprefix('<br>')}</small></div>"
    )


class Card(NamedTuple):
    """A result for people: what it is, a table, and what must be read with it."""

    heading: str
    header: Row
    rows: Sequence[Row]
    notes: Sequence[str]

    def html(self) -> str:
        """In a notebook."""
        return html_table(*self)

    def text(self, most: int | None = None) -> str:
        """In Python's own terminal: without the table, and with the first `most` notes."""
        return few_lines(self.heading, self.notes[:most])


def columns(
    kept: Sequence[int], header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows with these columns alone."""
    return tuple(header[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def few_lines(first: str, others: Iterable[str] = ()) -> str:
    """`<first`, and below it each of `others` on a line of its own, indented and cut where it is very long.

    >>> print(few_lines("Fit N,T", ["no intervals"]))
    <Fit N,T
      no intervals>
    """
    lines = (" ".join(line.split()) for line in (first, *map(of_arguments, others)))
    cut = "\n  ".join(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines)
    return f"<{cut}>"


def ends_text(low: str, high: str) -> str:
    """An interval by its ends as they are written: so everywhere that people read one.

    >>> ends_text("-0.1%", "2%")
    '[-0.1%, 2%]'
    """
    return f"[{low}, {high}]"


def interval_text(ends: Sequence[float] | None, write: Callable[[float], str] = "{:.4g}".format) -> str:
    """`[low, high]`, each end as `write` has it; a dash where there is none."""
    return "-" if ends is None else ends_text(write(ends[0]), write(ends[1]))


def with_interval(
    value: float, ends: Sequence[float] | None, write: Callable[[float], str] = "{:.4g}".format
) -> str:
    """`value [low, high]`, or the value alone.

    >>> with_interval(0.5, (0.4, 0.6)), with_interval(0.5, None)
    ('0.5 [0.4, 0.6]', '0.5')
    """
    return write(value) if ends is None else f"{write(value)} {interval_text(ends, write)}"


def caution(flag: str) -> str:
    """A flag as people read it: what it means, with its identifier in brackets.

    >>> caution("too_few_runs: 3 runs hardly determine 5 constants")
    '3 runs hardly determine 5 constants [too_few_runs]'
    """
    identifier, colon, means = flag.partition(": ")
    return f"{means} [{identifier}]" if colon and identifier.isidentifier() else flag


def cautions(flags: Iterable[str]) -> list[str]:
    """Flags as people read them."""
    return [caution(flag) for flag in flags]


def labelled(*groups: tuple[str, Iterable[str]]) -> list[str]:
    """`note: …` for every note, and so on.

    >>> labelled(("note", ["no figures"]), ("assumed", []))
    ['note: no figures']
    """
    return [f"{name}: {said}" for name, every in groups for said in every]
