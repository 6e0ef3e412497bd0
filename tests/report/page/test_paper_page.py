"""`paper.html`: headline claims with their pictures, in one file, whatever claims are called; read in a browser."""

from __future__ import annotations

import html
import re
from pathlib import Path

import altair as alt
import polars as pl
import pytest

from gemstones.figures import style
from gemstones.paper.claim import Chapter, Claim, exact, statement
from gemstones.paper.figure import PaperFigure
from gemstones.paper.headlines import SAID
from gemstones.paper.page import paper_html
from gemstones.paper.rainbow_intervals import INTERVALS, Prescription, interval_rows, intervals_panel
from gemstones.runs import RunTable
from tests.report.page.conftest import HOSTILE, Reader


def figure(number: int, folder: Path, finding: str, variant: str = "") -> PaperFigure:
    frame = pl.DataFrame({"x": [1.0, 2.0, 4.0], "y": [3.0, 2.5, 2.2]})
    chart = style.themed(
        alt.Chart(alt.InlineData(values=frame.to_dicts()))
        .mark_line(color=style.ORANGE)
        .encode(x="x:Q", y="y:Q")
        .properties(width=500, height=200, title=alt.TitleParams(finding, subtitle="how it is drawn"))
    )
    made = PaperFigure(number, chart, frame, "A caption.", variant, finding)
    made.save(folder)
    return made


def rainbow(folder: Path) -> PaperFigure:
    """Figure 6 of a few made-up prescriptions, as wide and with words as long as that of the paper."""
    title = "FLOPs budget (Appendix G, of Chinchilla data 6·N·T)"
    base = alt.Chart(alt.NamedData(name="points"), width=370, height=300)
    panels = []
    for words in ("N*", None):
        line = base.encode(alt.X("x:Q", title=title), alt.Y("y:Q", title=words))
        name = alt.value("Chinchilla, Epoch AI's refit")
        panels.append(alt.layer(line.mark_line(), line.mark_text(align="left", dx=8).encode(text=name)))
    runs = ("all checkpoints", "Chinchilla, Epoch AI's refit")
    found = [
        Prescription(name, by, 1e10, (5e9, 2e10)) for name in runs for by in ("Approach 1", "Approach 3")
    ]
    below = intervals_panel(found, dict.fromkeys(runs, style.BLUE), 800, 1e22)
    chart = style.themed(
        alt.vconcat(alt.hconcat(*panels, spacing=229), below).properties(
            title=alt.TitleParams("A finding: 2")
        ),
        {"points": [{"x": 1.0, "y": 3.0}, {"x": 4.0, "y": 2.0}], INTERVALS: interval_rows(found)},
    )
    made = PaperFigure(6, chart, pl.DataFrame({"x": [1.0]}), "A caption.", "", "Finding of selection: 2.5")
    made.save(folder)
    return made


def claims() -> tuple[Claim, ...]:
    of_topics = (
        statement(
            "§1", f"claim of {said.topic}", "0.5", said.topic != "hull", interval=(0.25, 0.75), topic=said.topic
        )
        for said in SAID
    )  # fmt: skip
    return (
        *of_topics,
        statement("§2", HOSTILE[0], HOSTILE[1], True, interval=(0, 1), topic="wide", why=HOSTILE[2]),
        exact("§3", "rows of all", 770, 771),
    )


@pytest.fixture(scope="session")
def page(pebbles: RunTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper-page")
    drawn = [
        rainbow(folder)
        if said.topic == "selection"
        else figure(said.figure, folder, f"Finding of {said.topic}: 2.5")
        for said in SAID
    ]
    drawn += [figure(number, folder, f"Finding {number}") for number in (26, 27, 28, 29)]
    drawn += [figure(25, folder, HOSTILE[0]), figure(6, folder, "By both forms", "predicts")]
    chapters = [Chapter("A chapter", "Its <words>.", claims(), (6,))]
    figures = [one.on_page(folder) for one in drawn]
    (folder / "paper.html").write_text(paper_html([pebbles], chapters, figures, 100), encoding="utf-8")
    return folder / "paper.html"


def test_every_headline_has_its_claim_numbers_verdict_and_picture(page: Path) -> None:
    text = html.unescape(page.read_text())
    for said in SAID:
        (section,) = re.findall(rf'<section id="{said.topic}".*?</section>', text, re.DOTALL)
        outcome = "does not hold" if said.topic == "hull" else "holds"
        assert f"Ours: {outcome} (" in section and f"Its numbers: {said.paper}." in section
        assert f"Figure {said.figure}: Finding of {said.topic}: 2.5" in section and "<svg" in section
        assert "[0.25, 0.75]" in section
    others = text.partition('<section id="figures"')[2]
    assert "figure-25" in others and "figure-06-predicts" in others.partition('<section id="forms"')[2]
    assert "1 differ from its words" in text
    # Nothing of a claim or a figure becomes markup, and nothing is asked of anybody.
    raw = page.read_text()
    assert HOSTILE[0] not in raw and HOSTILE[1] not in raw and "<words>" not in raw
    assert not re.search(r'(?:src|href)="(?!#|data:)', raw)


def test_it_is_read_without_a_complaint_on_a_desk_and_a_phone(
    page: Path, reader: Reader, phone: Reader
) -> None:
    for one in (reader, phone):
        opened = one.open(page)
        assert opened.locator("section").count() >= len(SAID) + 4
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ids = opened.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
        assert len(ids) == len(set(ids))


def test_on_paper_what_follows_many_figures_waits_for_them(page: Path, reader: Reader) -> None:
    """Figures go to the next page where they have no room: text after them fills it, but not after five of them."""
    opened = reader.open(page)
    opened.emulate_media(media="print")
    waits = "(name) => getComputedStyle(document.querySelector(name)).clear"
    assert [opened.evaluate(waits, name) for name in ("#figures .table", "#forms")] == ["both", "both"]
    assert [opened.evaluate(waits, name) for name in ("#selection .table", "#aspect")] == ["none", "none"]


def test_on_a_phone_tables_begin_with_what_matters(page: Path, phone: Reader) -> None:
    """Verdict, claim and our number are in sight before anything is scrolled sideways."""
    opened = phone.open(page)
    opened.set_viewport_size({"width": 390, "height": 844})
    opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    heads = opened.evaluate(
        """Object.fromEntries([...document.querySelectorAll('table[data-table]')].map((table) => [
          table.dataset.table,
          [...table.querySelectorAll('thead th')].map((th) => [th.innerText.trim(), th.getBoundingClientRect().left]),
        ]))"""
    )
    assert [name for name, _ in heads.pop("headlines")[:4]] == ["claim", "verdict", "ours", "paper"]
    heads.pop("alike")
    for columns in heads.values():
        assert [name for name, _ in columns[:4]] == ["verdict", "claim", "ours", "interval"]
        assert columns[2][1] < 390 - 100


def test_the_rainbow_fits_a_phone(page: Path, phone: Reader) -> None:
    """Panels under each other, that over both columns last, and no title of an axis is cut."""
    opened = phone.open(page)
    for width in (390, 360):
        opened.set_viewport_size({"width": width, "height": 844})
        opened.reload()
        found = opened.evaluate(
            """(() => {
              const chart = document.querySelector('#selection .chart');
              const at = (element) => element.getBoundingClientRect();
              const panels = [...chart.querySelectorAll('[data-panel]')].sort((a, b) => at(a).top - at(b).top);
              const cut = (text) => at(text).left < at(chart).left || at(text).right > at(chart).right;
              return {
                scrolls: chart.scrollWidth > chart.clientWidth,
                stacked: 'stacked' in chart.querySelector('svg').dataset,
                wide: panels.map((panel) => Number(panel.dataset.panel.split(' ')[2])),
                cut: [...chart.querySelectorAll('text')].filter((t) => t.textContent.startsWith('FL') && cut(t)).length,
              };
            })()"""
        )
        assert found == {"scrolls": False, "stacked": True, "wide": [370, 370, 800], "cut": 0}


def test_tables_fit_a_sheet(page: Path, reader: Reader) -> None:
    """A browser prints the whole page smaller where one of them is wider."""
    opened = reader.open(page)
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 718, "height": 1047})  # of A4, without margins of 1 cm
    assert opened.locator("td.long").count() > 0
    assert opened.evaluate("document.documentElement.scrollWidth") <= 718


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page: Path, reader: Reader, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    reader.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    opened = reader.open(page)
    opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = [
        (fault["id"], fault["nodes"][0]["target"])
        for fault in axe.run(opened).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert found == []
