"""`paper.md`: headline claims, each beside its figure; where we differ and why; every claim, figure and source."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from gemstones.paper.alike import ALIKE, what_differs
from gemstones.paper.claim import (
    Chapter,
    Claim,
    Verdict,
    cell,
    check_counts,
    counts,
    markdown,
    markdown_table,
)
from gemstones.paper.headlines import Headline, headlines, with_interval
from gemstones.runs import RunTable
from gemstones.runs.fetch import ENTRIES
from gemstones.version import __version__
from gemstones.words import capital, listed

NOT_MADE = {1: "it is a drawing of a transformer"}
"""Figures of the paper that are not of data."""
BESIDE = (
    "lr-sweep", "industry-losses", "gemstones-fineweb-edu", "gemstones-dclm", "gemstones-accuracies",
    "gemstones-accuracy-errors",
)  # fmt: skip
"""Published files of Figures 2, 3, 5, 8, 12 to 21 and 25 to 28 that are not the paper's runs."""
COMPUTED_BY = ("numpy", "scipy", "polars", "altair", "vl-convert-python")

VERBS: Mapping[Verdict, tuple[str, str]] = {
    "reproduced": ("is reproduced", "are reproduced"),
    "differs": ("differs", "differ"),
    "holds": ("holds", "hold"),
    "undecided": ("is undecided", "are undecided"),
    "does not hold": ("does not hold", "do not hold"),
    "ours": ("is ours", "are ours"),
}
"""Verdicts of one claim and of several."""
OTHERWISE: Mapping[Verdict, str] = {
    "differs": "Other numbers that differ",
    "does not hold": "Statements that do not hold by our numbers",
    "undecided": "Undecided: the statement is true of some values of our interval and not of others",
}
"""Headings over claims whose difference has no named cause."""


def paper_text(
    tables: Sequence[RunTable],
    chapters: Sequence[Chapter],
    captions: Mapping[int, str],
    draws: int,
    findings: Mapping[int, str] | None = None,
) -> str:
    """The whole page, in Markdown; `captions` and `findings`, their titles, are of the figures, by number."""
    titles = findings or {}
    head = [
        "# Gemstones, made again",
        "",
        "Every analysis of *Gemstones: A Model Suite for Multi-Faceted Scaling Laws* (McLeish et al. 2025) that its "
        "published runs allow, refitted from the raw tables by `gemstones paper`: its headline claims first, then "
        "[where we differ and why](#where-we-differ-or-cannot-tell-and-why), every claim, and every "
        "figure. The same as a page with pictures: [paper.html](paper.html).",
        "",
        *_headlines(headlines(chapters), captions),
        "## How the claims came out",
        "",
        outcome(chapters),
        "",
        how_to_read(draws),
        "",
        "These are the paper's forms. What its conclusions become under the form that predicts is a page of its own: "
        "[forms.md](forms.md).",
        "",
        "## Where we differ, or cannot tell, and why",
        "",
        *_differences(chapters),
    ]
    tail = [
        "## Figures",
        "",
        *(
            f"- [Figure {n}](figures/figure-{n:02d}.png), [its data](figures/figure-{n:02d}.parquet): "
            + (f"**{cell(titles[n])}.** {text}" if n in titles else text)
            for n, text in sorted(captions.items())
        ),
        *(f"- Figure {n} is not made: {reason}." for n, reason in NOT_MADE.items()),
        "",
        "### What differs between Figures 12 to 19 and 21",
        "",
        "They look alike: what laws of Approach 3 prescribe, column by column. This is what is each one's own.",
        "",
        markdown_table(ALIKE, ([*map(cell, map(str, row))] for row in what_differs())),
        "",
        "## Provenance",
        "",
        *(f"- {name}: {text}" for name, text in provenance(tables)),
    ]
    return markdown(chapters, "\n".join(head)) + "\n" + "\n".join(tail) + "\n"


def how_to_read(draws: int) -> str:
    """What the columns and verdicts mean."""
    return (
        f"Intervals are 95%, from {draws} resamples of whole runs, unless a row says otherwise; by run, because "
        "checkpoints of one run are not independent. The column `paper` has what the paper prints or what its released "
        "code, fits and data give; of neither it is empty. `reproduced` and `differs` are of numbers, within a "
        "tolerance; `holds` and `does not hold` of statements, by a condition on our numbers; `undecided` where the "
        "condition is met by some values of the interval and not by others; `ours` is what the paper does not have."
    )


def provenance(tables: Sequence[RunTable]) -> Iterator[tuple[str, str]]:
    """Every published file with its address, digest and licence, and what computed."""
    for table in tables:
        for source in table.sources:
            yield source.name, f"{source.location}, SHA-256 {source.sha256}, licence {source.licence}"
    for entry in (ENTRIES[name] for name in BESIDE):
        yield entry.name, f"{entry.url}, SHA-256 {entry.sha256}, licence {entry.licence}"
    versions = ", ".join(f"{name} {version(name)}" for name in COMPUTED_BY)
    yield "Made by", f"gemstones {__version__}, Python {platform.python_version()}, {versions}"


def _headlines(found: Sequence[Headline], captions: Mapping[int, str]) -> Iterator[str]:
    """A heading for each, its verdict, what it stands on, and its figure."""
    for place, headline in enumerate(found, 1):
        said = headline.said
        yield from (f"## {place}. {said.says}", "")
        yield from (
            f"**{capital(headline.outcome)}** ({headline.tally}). {said.where}; paper: {said.paper}.",
            "",
        )
        yield from (f"- **{c.verdict}**: {cell(f'{c.says}: {with_interval(c)}')}" for c in headline.claims)
        path = f"figures/figure-{said.figure:02d}.png"
        yield ""
        if said.figure in captions:
            yield from (f"[![Figure {said.figure}]({path})]({path})", "")


def outcome(chapters: Sequence[Chapter]) -> str:
    """How many claims, and how many checks, came out in which way."""
    found = {verdict: count for verdict, count in counts(chapters).items() if count}
    said = listed(f"{count} {VERBS[verdict][count > 1]}" for verdict, count in found.items())
    checks = check_counts(chapters)
    same, other = checks["reproduced"], checks["differs"]
    return (
        f"Of {sum(found.values())} claims {said}. Of {same + other} counts and closed forms, which are checks and "
        f"conclude nothing, {same} are the paper's and {other} differ from its words."
    )


def _differences(chapters: Sequence[Chapter]) -> Iterator[str]:
    """A heading for each cause, that of most claims first, with its claims; then those without a named cause."""
    every = [claim for chapter in chapters for claim in chapter.claims]
    causes: dict[str, list[Claim]] = {}
    for claim in every:
        if claim.because:
            causes.setdefault(claim.because, []).append(claim)
    groups = sorted(causes.items(), key=lambda group: -len(group[1]))
    for verdict, heading in OTHERWISE.items():
        groups.append((heading, [c for c in every if c.verdict == verdict and not c.because]))
    for heading, claims in groups:
        if claims:
            yield from (f"### {heading}", "", *map(_difference, claims), "")


def _difference(claim: Claim) -> str:
    found = f"paper {claim.paper}, ours {claim.ours}" if claim.paper else claim.ours
    interval = "" if claim.interval.startswith("none") else f" {claim.interval}"
    why = f". {claim.why[:1].upper()}{claim.why[1:]}" if claim.why else ""
    return f"- **{claim.verdict}**, {claim.where}: {cell(f'{claim.says}: {found}{interval}{why}')}."
