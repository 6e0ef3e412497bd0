"""A claim of the paper beside what its runs give: the two numbers, the interval, and whether they agree.

Verdicts are computed, never written down: a number is `reproduced` if it lies within the tolerance that is named with
it, else it `differs`; a statement in words is checked by a condition on our numbers and `holds` or `does not hold`,
and is `undecided` where the condition is met by some values of its interval and not by others. Counts of rows and
closed forms conclude nothing: they are checks, that tables and arithmetic are the paper's, and are counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gemstones.display import ends_text
from gemstones.units import Interval

Verdict = Literal["reproduced", "differs", "holds", "undecided", "does not hold", "ours"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
CHECKED: tuple[Verdict, ...] = VERDICTS[:2]
"""Those that a check may have."""

NO_INTERVAL = "none: "
PER_CENT = 0.01
"""Relative distance up to which two numbers of which neither is exact agree."""

Write = str | Callable[[float], str]
"""How numbers are written: a format specification, or a function."""


@dataclass(frozen=True)
class Claim:
    """What the paper says, what we find, how sure that is, and why they differ if they do."""

    where: str
    """Section, figure or table of the paper, or which of its released files."""
    says: str
    """The claim, in our words; the number is in `paper`."""
    paper: str
    """The paper's number, or that of its released code and fits; empty where there is none."""
    ours: str
    interval: str
    """Of `ours`, or why there is none."""
    verdict: Verdict
    why: str = ""
    """Why they differ, or what to know when reading it."""
    because: str = ""
    """The cause that it shares with other claims, where the two differ; empty for none."""
    topic: str = ""
    """The headline of the paper that it bears on (`headlines.HEADLINES`); empty for none."""
    check: bool = False
    """Whether it is a count or a closed form, and concludes nothing."""


@dataclass(frozen=True)
class Chapter:
    """Claims that belong together, under a heading."""

    title: str
    words: str
    """What was computed, with which conventions."""
    claims: tuple[Claim, ...]
    figures: tuple[int, ...] = ()
    """Numbers of the figures that show it."""


def number(
    where: str,
    says: str,
    paper: float,
    ours: float,
    *,
    within: float,
    interval: Interval | str,
    write: Write = ".4g",
    why: str = "",
    absolute: bool = False,
    because: str = "",
    topic: str = "",
    check: bool = False,
) -> Claim:
    """A claim of a number: reproduced if `ours` is `within` of `paper`, relatively unless `absolute`.

    `why` and `because` are shown only where the two differ.
    """
    distance = abs(ours - paper) if absolute else _relative(ours, paper)
    same = math.isfinite(distance) and distance <= within
    return Claim(
        where,
        says,
        written(paper, write),
        written(ours, write),
        interval_words(interval, write),
        "reproduced" if same else "differs",
        "" if same else why,
        "" if same else because,
        topic,
        check,
    )


def exact(
    where: str,
    says: str,
    paper: object,
    ours: object,
    why: str = "",
    interval: str = "",
    because: str = "",
    check: bool = False,
) -> Claim:
    """A claim that is right or wrong: a shape, a set; without an `interval` of its own a count, and so a check."""
    same = paper == ours
    return Claim(
        where,
        says,
        str(paper),
        str(ours),
        interval or f"{NO_INTERVAL}a count",
        "reproduced" if same else "differs",
        "" if same else why,
        "" if same else because,
        check=check or not interval,
    )


def statement(
    where: str,
    says: str,
    ours: str,
    holds: bool,
    *,
    interval: Interval | str,
    settled: bool = True,
    write: Write = ".3g",
    why: str = "",
    because: str = "",
    topic: str = "",
) -> Claim:
    """A claim in words, checked by a condition on our numbers; not `settled` if only part of the interval meets it."""
    verdict: Verdict = "undecided" if not settled else "holds" if holds else "does not hold"
    cause = "" if verdict == "holds" else because
    return Claim(where, says, "", ours, interval_words(interval, write), verdict, why, cause, topic)


def beyond(
    where: str,
    says: str,
    ours: str,
    interval: Interval | str,
    why: str = "",
    write: Write = ".3g",
    because: str = "",
) -> Claim:
    """Something that the paper does not have."""
    return Claim(where, says, "", ours, interval_words(interval, write), "ours", why, because)


def written(value: float, write: Write) -> str:
    """A number as `write` says."""
    return format(value, write) if isinstance(write, str) else write(value)


def between(ends: Interval, write: Write) -> str:
    """`[low, high]`."""
    return ends_text(written(ends[0], write), written(ends[1], write))


def interval_words(interval: Interval | str, write: Write) -> str:
    """`[low, high]`, or why there is none."""
    return interval if isinstance(interval, str) else between(interval, write)


def inside(value: float, ends: Interval | str) -> bool:
    """Whether an interval, if there is one, has a value."""
    return not isinstance(ends, str) and ends[0] <= value <= ends[1]


def _relative(ours: float, paper: float) -> float:
    """Distance as a share of the paper's number; of nothing, only nothing is near."""
    if paper == 0:
        return 0.0 if ours == 0 else math.inf
    return abs(ours / paper - 1.0)


def counts(chapters: Sequence[Chapter]) -> dict[Verdict, int]:
    """How many claims came out in which way; checks are none."""
    return _counted(VERDICTS, (claim for chapter in chapters for claim in chapter.claims if not claim.check))


def check_counts(chapters: Sequence[Chapter]) -> dict[Verdict, int]:
    """How many counts and closed forms are the paper's, and how many differ."""
    return _counted(CHECKED, (claim for chapter in chapters for claim in chapter.claims if claim.check))


def _counted(verdicts: Iterable[Verdict], claims: Iterable[Claim]) -> dict[Verdict, int]:
    found = dict.fromkeys(verdicts, 0)
    for claim in claims:
        found[claim.verdict] += 1
    return found


_HEADER = ("where", "claim", "paper", "ours", "interval", "verdict", "why, or what to know")


def markdown(chapters: Sequence[Chapter], head: str) -> str:
    """`paper.md`: `head`, then a table of claims per chapter with links to its figures, and one of every check."""
    parts = [head.rstrip() + "\n"]
    for chapter in chapters:
        parts.append(f"## {chapter.title}\n\n{chapter.words}\n")
        if chapter.figures:
            links = ", ".join(f"[Figure {n}](figures/figure-{n:02d}.png)" for n in chapter.figures)
            parts.append(f"{links}.\n")
        parts += _tabled([claim for claim in chapter.claims if not claim.check])
    checks = [claim for chapter in chapters for claim in chapter.claims if claim.check]
    if checks:
        parts.append(f"## Checks\n\n{CHECKS_WORDS}\n")
        parts += _tabled(checks)
    return "\n".join(parts)


CHECKS_WORDS = (
    "Counts and closed forms: rows of selections, points of frontiers, parameters and FLOPs of shapes. They show that "
    "the tables read here and the arithmetic are the paper's; they conclude nothing, and are not among the claims."
)


def _tabled(claims: Sequence[Claim]) -> list[str]:
    if not claims:
        return []
    rows = [
        [*map(cell, (c.where, c.says, c.paper, c.ours, c.interval)), f"**{c.verdict}**", cell(c.why)]
        for c in claims
    ]
    return [markdown_table(_HEADER, rows) + "\n"]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows))


def cell(text: str) -> str:
    """Text for a cell of a table, on one line, that nothing in it ends or marks up.

    >>> cell("a | b"), cell("<b>")
    ('a \\\\| b', '\\\\<b>')
    """
    text = " ".join(text.split())
    for special in ("\\", "|", "<", "~"):
        text = text.replace(special, f"\\{special}")
    return text
