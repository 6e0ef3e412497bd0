"""`Page` → one HTML file that needs nothing else: style, scripts, figures and data are in it.

Everything written by others (names of runs and files, flags, notes) passes through Jinja's autoescape or `embedded`.
The page's own Content-Security-Policy names its scripts and its style by hash and allows nothing from elsewhere,
so that even a mistake here could neither run a stranger's script nor ask the network for anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemstones.figures.style import need_altair
from gemstones.page.colours import THEME, hexadecimal, on_dark, variable
from gemstones.page.explorer import Explorer, explorer_data, law_colors_of
from gemstones.page.svg import Drawing, chart_svg, compact
from gemstones.page.table import TableBlock, download, folded, shown
from gemstones.version import __version__

if TYPE_CHECKING:
    import altair as alt

SCRIPTS = (
    "numbers.js", "shapes.js", "law.js", "surface.js", "near.js", "by_shape.js", "by_params.js", "plan.js",
    "intervals.js", "others.js", "page.js", "tables.js", "figures.js", "narrow.js", "plot.js", "map.js", "isoflop.js",
    "answer.js", "explorer.js",
)  # fmt: skip
"""In the order in which they build on each other."""
CAPTION = 390
"""Characters of a caption that are about three lines on a page of 1440."""
BESIDE_WORDS = 1060
"""Pixels that a figure may have to stand beside what is said of it, on a page of 1440."""

ON_PAPER, LEAST_ON_PAPER = 0.72, 0.53
"""Of a figure's size, on paper (`page.css` says the first too), and of one that is made to fit half a sheet."""
HALF_SHEET = 392
"""Pixels of half a sheet of A4 that are left to a figure by its finding and its caption."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart, what it shows in one line for those who cannot see it, and its caption."""

    name: str
    label: str
    caption: str
    chart: alt.TopLevelMixin | Path | Drawing
    """Or the SVG that was made of it, on disk or ready for a page."""
    finding: str = ""
    """What it shows, in a sentence with a number: its title; `label` where there is none."""
    data: str = ""
    """The name of a table of the page that has its numbers."""
    folded: bool = False
    """Whether it is shown when asked for."""

    @property
    def title(self) -> str:
        """Above it."""
        return self.finding or self.label


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the page, in the order: words, flags, figures, tables, facts, notes."""

    name: str
    """Its anchor: a word in lower case."""
    title: str
    words: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[TableBlock, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Terms and what is to be said of them."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stat:
    """One number of the headline, with its interval."""

    label: str
    value: str
    interval: str = ""
    flagged: bool = False
    """Whether it comes from a fit with a caution."""


@dataclass(frozen=True)
class Headline:
    """What to do, in one line and a few numbers."""

    lead: str
    stats: tuple[Stat, ...]
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """What a page says."""

    title: str
    subtitle: str
    headline: Headline | None
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    description: str = ""
    """A sentence for previews of links."""
    picture: str = ""
    """A picture beside the page, for previews of links."""
    explorer: Explorer | None = None
    kind: str = "Scaling-law study"
    """What is made of the subject, of which the subtitle says more."""


def page_html(page: Page) -> str:
    """The page as HTML; raises `MissingExtra` without the extra `report`."""
    need_altair()
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    figures = [figure for section in page.sections for figure in section.figures]
    charts = {figure.name: _drawn(figure) for figure in figures}
    own = () if page.explorer is None else law_colors_of(page.explorer).values()
    colours = {hexadecimal(colour) or "" for colour in own if variable(colour) not in THEME.values()}
    style = _text("page.css") + _palette(colours.union(*(drawing.colours for drawing in charts.values())))
    roots = {name: ET.fromstring(drawing.svg) for name, drawing in charts.items()}
    widths = {name: int(root.get("width", "0")) for name, root in roots.items()}
    style += "".join(f".f-{name}{{width:{width}px}}\n" for name, width in widths.items())
    style += "".join(_on_paper(name, int(root.get("height", "0"))) for name, root in roots.items())
    scripts = [_text(name) for name in SCRIPTS]
    tables = [block for section in page.sections for block in section.tables]
    explorer = None if page.explorer is None else explorer_data(page.explorer)
    rendered = environment.from_string(_text("page.html.j2")).render(
        page=page,
        policy=content_security_policy(scripts, style),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        charts={name: Markup(drawing.svg) for name, drawing in charts.items()},
        captions={figure.name: short_and_rest(_caption(figure, charts[figure.name])) for figure in figures},
        wide={s.name for s in page.sections if any(widths[one.name] > BESIDE_WORDS for one in s.figures)},
        tables={block.name: shown(block) for block in tables},
        downloads=Markup(embedded({block.name: folded(download(block)) for block in tables})),
        explorer=None if explorer is None else Markup(embedded(explorer)),
        device_hours=explorer is not None and bool(explorer["step_times"]),
        version=__version__,
    )
    return rendered + "\n"


def _on_paper(name: str, height: int) -> str:
    """Style that makes a figure somewhat higher than half a sheet fit that, so that two stand on one."""
    share = HALF_SHEET / max(height, 1)
    return (
        f"@media print{{.f-{name} .chart svg{{zoom:{share:.3f}}}}}\n"
        if LEAST_ON_PAPER <= share < ON_PAPER
        else ""
    )


def _caption(figure: Figure, drawing: Drawing) -> str:
    """What stands below a figure: how to read it, and the words that it had below its own title."""
    words = "; ".join(
        clause for clause in drawing.words.rstrip(".;").split("; ") if not _said(clause, figure.caption)
    )
    if words[1:2].isalpha():  # not w,d,N,T
        words = words[:1].upper() + words[1:]
    return f"{figure.caption} {words}." if words else figure.caption


def short_and_rest(caption: str) -> tuple[str, str]:
    """The sentences of a caption that are about three lines on a page of 1440, and those that are folded below them.

    >>> short_and_rest("What is drawn. How it was made.")
    ('What is drawn. How it was made.', '')
    >>> short, rest = short_and_rest("What is drawn. " + "How it was made, at length. " * 20)
    >>> short.endswith("at length."), len(short) <= CAPTION, rest.startswith("How it")
    (True, True, True)
    """
    first, *sentences = re.split(r"(?<=\.) (?=[A-Z])", caption.strip())
    while sentences and len(first) + 1 + len(sentences[0]) <= CAPTION:
        first += f" {sentences.pop(0)}"
    return first, " ".join(sentences)


def _said(clause: str, caption: str) -> bool:
    """Whether every word and number of a clause stands in the caption already."""
    words, known = ({*re.findall(r"[\w.%]+\w|\w", text.lower())} for text in (clause, caption))
    return words <= known


def _drawn(figure: Figure) -> Drawing:
    if isinstance(figure.chart, Drawing):
        return figure.chart
    if isinstance(figure.chart, Path):
        return compact(figure.chart.read_text(encoding="utf-8"), figure.name, figure.label)
    return chart_svg(figure.chart, figure.name, figure.label)


def embedded(value: Any) -> str:
    """`value` as JSON for a script element: nothing in it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def content_security_policy(scripts: Iterable[str], style: str) -> str:
    """Only these scripts and this style, images in the page itself, and no other source of anything."""
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'sha256-{_sha256(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _palette(colours: Iterable[str]) -> str:
    """Figures' own colours as variables: as drawn on paper and on light screens, lighter on dark ones."""
    codes = sorted(set(colours))
    light = "".join(f"--c-{code[1:]}:{code};" for code in codes)
    dark = "".join(f"--c-{code[1:]}:{on_dark(code)};" for code in codes)
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return files("gemstones.page").joinpath(name).read_text(encoding="utf-8")
