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
    drawn = [figure(said.figure, folder, f"Finding of {said.topic}: 2.5") for said in SAID]
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
