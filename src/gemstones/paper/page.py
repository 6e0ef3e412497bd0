"""`paper.html`: the headline claims, each with the paper's number, ours, a verdict and its picture; then everything.

A page of `gemstones.page`, in one file that needs nothing else; what is said is that of `paper.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gemstones.figures.table import Table
from gemstones.numbers import counted
from gemstones.page.page import Figure, Page, Section, page_html
from gemstones.page.rows import typed_frame
from gemstones.page.table import TableBlock
from gemstones.paper.alike import ALIKE, what_differs
from gemstones.paper.claim import CHECKS_WORDS, Chapter, Claim
from gemstones.paper.forms import VARIANT
from gemstones.paper.headlines import Headline, headlines, with_interval
from gemstones.paper.text import how_to_read, outcome, provenance
from gemstones.runs import RunTable

TITLE = "Gemstones, made again"
SUBTITLE = (
    "“Gemstones: A Model Suite for Multi-Faceted Scaling Laws” (McLeish et al. 2025), from its published runs"
)
LEADING = 2
"""Claims of a headline whose numbers stand in the table of all headlines."""
_TEXT = ("verdict", "claim", "ours", "interval", "paper", "where", "note")


def paper_html(
    tables: Sequence[RunTable], chapters: Sequence[Chapter], figures: Sequence[Figure], draws: int
) -> str:
    """The whole page; `figures` are the paper's (`PaperFigure.on_page`), in order."""
    found = headlines(chapters)
    by_name = {figure.name: figure for figure in figures}
    shown = {_name(headline) for headline in found}
    rest = [figure for figure in figures if figure.name not in shown]
    variants = [figure for figure in rest if figure.name.endswith(VARIANT)]
    others = [figure for figure in rest if figure not in variants]
    alike = typed_frame([dict(zip(ALIKE, row, strict=True)) for row in what_differs()], ALIKE[1:], ALIKE[:1])
    sections = [
        _overview(found),
        *(_section(headline, by_name) for headline in found),
        _every(chapters, draws),
        _figures(
            "figures", "Other figures", "Of the paper; from 25 on of what its repository shows since.", others,
            (TableBlock("alike", "What differs between Figures 12 to 19 and 21, which look alike", Table(alike), {},
                        ALIKE, True),),
        ),
        _figures(
            "forms", "The form that predicts",
            "Figures made once more with (w,d,N,T)^p, the form that predicts runs that were left out; forms.md says "
            "what becomes of the paper's conclusions.", variants,
        ),
        Section("provenance", "Provenance", ("Every published file that was read, and what computed.",),
                notes=tuple(f"{name}: {text}" for name, text in provenance(tables))),
    ]  # fmt: skip
    said = outcome(chapters)
    return page_html(
        Page(
            title=TITLE,
            subtitle=SUBTITLE,
            headline=None,
            summary=(
                "Everything is refitted from the raw run tables; verdicts are computed from numbers and intervals, "
                "none is written.",
                said,
                "In this page's folder: paper.md (the same as text), forms.md, claims.parquet, and figures/ with every "
                "picture as PNG, SVG and PDF and its data as Parquet.",
            ),
            sections=tuple(section for section in sections if section is not None),
            description=said,
            picture="figures/figure-06.png" if "figure-06" in by_name else "",
            kind="Reproduction",
        )
    )


def _name(headline: Headline) -> str:
    return f"figure-{headline.said.figure:02d}"


def _overview(found: Sequence[Headline]) -> Section | None:
    """Every headline in a row: the claim, the verdict, our numbers, the paper's."""
    rows = [
        {
            "claim": headline.said.says,
            "verdict": headline.outcome,
            "ours": "; ".join(map(with_interval, headline.claims[:LEADING])),
            "paper": headline.said.paper,
            "on": headline.tally,
            "where": f"{headline.said.where}, Figure {headline.said.figure}",
        }
        for headline in found
    ]
    if not rows:
        return None
    words = (
        f"{counted(len(rows), 'conclusion')} of the paper. One holds if every claim that it stands on does, in part if "
        "some do not, and is undecided if none fails and some are. Of claims, a number is reproduced if it is the "
        "paper's within a tolerance, and else differs; a statement holds, or does not hold, by a condition on our "
        "numbers, and is undecided where their interval meets it in part. The paper does not have what is called ours."
    )
    table = TableBlock(
        "headlines", "Headline claims", Table(typed_frame(rows, rows[0])), {}, tuple(rows[0]), True
    )
    return Section("claims", "Headline claims", (words,), tables=(table,))


def _section(headline: Headline, figures: Mapping[str, Figure]) -> Section:
    said, name = headline.said, _name(headline)
    words = (
        f"The paper ({said.where}): {said.says[:1].lower()}{said.says[1:]}.",
        f"Its numbers: {said.paper}.",
        f"Ours: {headline.outcome} ({headline.tally}).",
    )
    return Section(
        said.topic,
        said.title,
        words,
        figures=(figures[name],) if name in figures else (),
        tables=(_table(f"claims-{said.topic}", "What it stands on", headline.claims, opened=True),),
    )


def _every(chapters: Sequence[Chapter], draws: int) -> Section:
    blocks = [
        _table(f"chapter-{i}", chapter.title, claims, note=chapter.words)
        for i, chapter in enumerate(chapters, 1)
        if (claims := [claim for claim in chapter.claims if not claim.check])
    ]
    checks = [claim for chapter in chapters for claim in chapter.claims if claim.check]
    if checks:
        blocks.append(_table("checks", "Checks", checks, note=CHECKS_WORDS))
    return Section("every", "Every claim", (how_to_read(draws).replace("`", ""),), tables=tuple(blocks))


def _table(
    name: str, title: str, claims: Iterable[Claim], *, opened: bool = False, note: str = ""
) -> TableBlock:
    rows = [
        {
            "verdict": claim.verdict,
            "claim": claim.says,
            "paper": claim.paper or None,
            "ours": claim.ours,
            "interval": claim.interval,
            "where": claim.where,
            "note": claim.why or None,
        }
        for claim in claims
    ]
    table = Table(typed_frame(rows, _TEXT), notes=(note,) if note else ())
    return TableBlock(name, title, table, {}, _TEXT, opened)


def _figures(
    name: str, title: str, words: str, figures: Sequence[Figure], tables: tuple[TableBlock, ...] = ()
) -> Section | None:
    return Section(name, title, (words,), figures=tuple(figures), tables=tables) if figures else None
