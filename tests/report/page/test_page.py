"""A page before anyone opens it: what is in the file, and what is not."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from gemstones.display import caution, cautions
from gemstones.figures.table import Table
from gemstones.laws.diagnostics import doubts
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS
from gemstones.page import page as page_module
from gemstones.page.colours import hexadecimal, on_dark, variable
from gemstones.page.explorer import OURS, PUBLISHED, Explorer, explorer_data, packed
from gemstones.page.page import Figure, Page, Section, embedded, page_html
from gemstones.page.panels import mark_panels
from gemstones.page.svg import Drawing, compact
from gemstones.page.table import TableBlock, download, shown
from gemstones.planning.prescriptions import by_law
from gemstones.report.answers import first_plan
from gemstones.report.page import _envelopes, _of_selections, _plan_of, study_page
from gemstones.report.result import Study
from gemstones.report.runs import runs_table
from gemstones.report.summary import closing_text
from gemstones.report.tables import plans_table
from gemstones.runs import RunTable
from tests.report.page.conftest import HOSTILE
from tests.stones import SHAPES


class Elements(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_refers_to_the_outside(stones_page: Path) -> None:
    for tag, attributes in Elements(stones_page.read_text(encoding="utf-8")).found:
        for name in ("src", "href", "xlink:href", "action", "srcset", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        assert tag not in ("iframe", "object", "embed", "base", "form") or tag == "form"


def test_the_policy_names_every_script_and_the_style(stones_page: Path) -> None:
    text = stones_page.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert allowed.startswith("default-src 'none'") and "unsafe" not in allowed
    for content in [
        *re.findall(r'<script type="module">(.*?)</script>', text, re.S),
        *re.findall(r"<style>(.*?)</style>", text, re.S),
    ]:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed


def test_json_cannot_leave_its_element() -> None:
    value = {"a": "</script><script>alert(1)</script>", "b": "<!--", "c": "\u2028&\u2029"}
    text = embedded(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON"):
        embedded({"a": math.nan})


def test_everything_is_escaped() -> None:
    text = HOSTILE[0]
    table = Table(runs_like(text), notes=(text,))
    section = Section(
        "one", text, (text,), (text,), (), (TableBlock("t", text, table),), ((text, text),), (text,)
    )
    made = page_html(Page(text, text, None, (text,), (section,)))
    assert text not in made and made.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 12


def runs_like(text: str):  # type: ignore[no-untyped-def]
    import polars as pl

    return pl.DataFrame({"law": [text, "b"], "loss": [2.0, None]})


def test_tables_show_little_and_download_all(stones_study: Study) -> None:
    block = TableBlock("plans", "Plans", plans_table(stones_study.plans))
    table, behind = shown(block), download(block)
    titles = [column.title for column in table.columns]
    assert "flags" not in titles and "N low" not in titles and "N" in titles
    assert "flags" in behind["columns"] and "params_low" in behind["columns"]
    at = behind["columns"].index("tokens")
    assert [row[at] for row in behind["rows"]] == [plan.tokens for plan in stones_study.plans]
    for row, plan in zip(table.rows, stones_study.plans, strict=True):
        flagged = {cell.flagged for cell in row if cell.interval}
        assert flagged <= {bool(plan.flags)}
        assert bool(flagged) == (plan.intervals is not None)


def test_long_tables_are_cut_for_people_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl

    monkeypatch.setattr("gemstones.page.table.MOST_ROWS", 3)
    block = TableBlock("t", "T", Table(pl.DataFrame({"x": [1.0, math.nan, math.inf, 4.0, 5.0]})))
    assert len(shown(block).rows) == 3 and shown(block).more == 2
    assert download(block)["rows"] == [[1.0], [None], [None], [4.0], [5.0]]


def test_the_runs(stones_runs: RunTable) -> None:
    frame = runs_table(stones_runs).frame
    assert frame.height == len(SHAPES) and frame["checkpoints"].sum() == stones_runs.rows
    (row,) = frame.filter(frame["run"] == "1024x28").to_dicts()
    losses = stones_runs.frame.filter(stones_runs.frame["run"] == "1024x28").sort("tokens")
    assert row["final_loss"] == losses["loss"][-1] and row["shape"] == "1024x28"


def test_sections_that_others_prepare_take_their_place(stones_study: Study, stones_runs: RunTable) -> None:
    made = study_page(
        stones_study,
        stones_runs,
        sections=[
            Section("sensitivity", "Sensitivity"),
            Section("backtests", "Backtests"),
            Section("overspend", "Overspend"),
        ],
    )
    assert [section.name for section in made.sections] == [
        "runs", "envelope", "fits", "prescriptions", "sensitivity", "backtests", "overspend", "conventions",
    ]  # fmt: skip


def test_a_study_without_any_fit_has_a_page(small_study: Study) -> None:
    bare = replace(small_study, fits=(), plans=(), envelopes=())
    made = study_page(bare)
    assert made.headline is None and "nothing is prescribed" in made.summary[0]
    assert [section.name for section in made.sections] == ["conventions"]
    assert "Left out" in dict(made.sections[0].facts)
    assert page_html(made)


def test_flags_are_said_wherever_their_fit_is_used(stones_study: Study) -> None:
    doubtful = next(fit for fit in stones_study.fits if fit.flags and "T" in fit.law.terms)
    made = study_page(stones_study)
    fits = next(section for section in made.sections if section.name == "fits")
    assert any(doubtful.law.name in flag and caution(doubtful.flags[0]) in flag for flag in fits.flags)


def test_explorer_data_is_exact(stones_study: Study) -> None:
    fit = stones_study.fits[2]
    bad = Law(("N", "T", "batch_size"), (0.3, 0.3, 0.1), (1.0, 1.0, 1.0), 0.5)
    explorer = Explorer({"ours": {"a": fit, "bad": bad}, "theirs": {"kaplan": LAWS["kaplan"]}}, 1e22)
    data = explorer_data(explorer)
    assert [law["id"] for law in data["laws"]] == ["a", "kaplan"]
    draws = np.frombuffer(base64.b64decode(data["laws"][0]["draws"]), "<f8")
    assert (draws.reshape(fit.theta_draws.shape) == fit.theta_draws).all()
    assert np.frombuffer(base64.b64decode(packed(fit.law.theta)), "<f8").tolist() == fit.law.theta.tolist()
    assert isinstance(fit, Fit) and data["laws"][0]["flags"] == cautions(doubts(fit.flags))


def test_laws_of_one_colour_have_marks_of_their_own(stones_study: Study) -> None:
    one = stones_study.fits[0]
    again = msgspec.structs.replace(
        one, law=msgspec.structs.replace(one.law, name=f"{one.law.form} fitted to others")
    )
    laws = {OURS: {one.law.name: one, again.law.name: again}, PUBLISHED: dict(LAWS)}
    data = [law for law in explorer_data(Explorer(laws, 1e22))["laws"] if law["compared"]]
    assert data[0]["color"] == data[1]["color"] and [law["mark"] for law in data[:2]] == [0, 1]
    assert len({(law["color"], law["mark"]) for law in data}) == len(data) > 4


def test_a_long_caption_is_folded_after_three_lines() -> None:
    long = "What is drawn. " + "How it was made, at some length. " * 30 + "Caution, it is rough."
    figures = tuple(
        Figure(n, n, text, Drawing("<svg/>", frozenset())) for n, text in (("a", long), ("b", "Short."))
    )
    html = page_html(Page("x", "y", None, (), (Section("s", "S", (), figures=figures),)))
    (folded,) = re.findall(r'<details class="more how">.*?</details>', html, re.DOTALL)
    assert "with cautions" in folded and "it is rough" in folded and "What is drawn" not in folded


def test_panels_say_where_they_are_and_borrow_what_they_share(stones_study: Study) -> None:
    drawn = ET.fromstring((stones_study.output / "figures" / "approach1.svg").read_text())
    mark_panels(drawn, "one")
    places = [
        [int(n) for n in g.get("data-panel", "").split()] for g in drawn.iter() if "data-panel" in g.attrib
    ]
    assert len(places) == 4 and len({tuple(place[:2]) for place in places}) == 4
    assert all(
        place[2] == 400 and place[4] > 40 and place[7] > 20 for place in places
    )  # words left and below

    def panel(i: int, *words: str) -> str:
        axes = "".join(f'<g class="mark-group role-axis"><g>{text}</g></g>' for text in words)
        return (
            f'<g class="mark-group role-scope concat_{i}_group"><g transform="translate({150 * i},0)">'
            f'<path class="background" d="M0.5,0.5h100v50h-100Z"/><g>{axes}</g></g></g>'
        )

    below = '<text transform="translate(50,19)" text-anchor="middle">1</text>'
    beside = '<text transform="translate(-9,20)" text-anchor="end">a row</text>'
    shared = ET.fromstring(
        f'<svg xmlns="http://www.w3.org/2000/svg"><g>{panel(0, below, beside)}{panel(1, below)}</g></svg>'
    )
    mark_panels(shared, "two")
    (borrowed,) = shared.iter("{http://www.w3.org/2000/svg}use")
    assert borrowed.get("href") == "#two-y0" and borrowed.get("display") == "none"
    assert [g.get("id") for g in shared.iter() if g.get("id")] == ["y0"]
    first, second = (
        [int(n) for n in g.get("data-panel", "").split()] for g in shared.iter() if "data-panel" in g.attrib
    )
    assert first[4] == second[4] > 30


def test_figures_are_small_and_follow_the_theme(stones_study: Study) -> None:
    drawn = (stones_study.output / "figures" / "approach1.svg").read_text()
    figure = compact(drawn, "one", 'A "label" & <more>')
    svg, colours = figure.svg, figure.colours
    assert len(svg) < len(drawn) / 4
    root = ET.fromstring(svg)
    assert root[0].text == 'A "label" & <more>' and root.get("role") == "img"
    assert "aria-roledescription" not in svg and "font-family" not in svg
    assert "var(--ink)" in svg and "#222222" not in svg and "white" not in svg
    assert "#cc3311" in colours and "var(--c-cc3311)" in svg
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids)) and all(name.startswith("one-") for name in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg)) <= set(ids)
    # As many marks as were drawn, and the curves named by their runs.
    assert svg.count("<use ") > 250 and "<title>1024x28</title>" in svg
    for text in ("Tokens per parameter", "Lower convex hull"):
        assert text in svg
    # The title makes room for the page's finding, and what stood below it goes into the caption.
    assert "Approach 1: stones" in drawn and "Approach 1: stones" not in svg
    assert "bands are 95% intervals" in figure.words and "bands are 95% intervals" not in svg
    before = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', drawn)[1])  # type: ignore[index]
    top, height = map(float, re.search(r'viewBox="0 ([\d.]+) [\d.]+ ([\d.]+)"', svg).groups())  # type: ignore[union-attr]
    assert 20 < top < 90 and top + height == before


def test_colours() -> None:
    assert hexadecimal("rgb(68, 1, 84)") == "#440154" and hexadecimal("#ddd") == "#dddddd"
    assert hexadecimal("none") is None and hexadecimal("url(#a)") is None
    assert variable("#222222") == "ink" and variable("white") == "paper" and variable("#0077BB") == "c-0077bb"

    def luminance(code: str) -> float:
        red, green, blue = ((int(code[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    scale = [luminance(on_dark(code)) for code in ("#440154", "#31688e", "#35b779", "#aadc32")]
    assert scale == sorted(scale)
    # Contrast of graphics with the dark paper, #14171a: 3 at least (WCAG 2, 1.4.11).
    assert (scale[0] + 0.05) / (luminance("#14171a") + 0.05) > 3


def test_every_file_of_the_page_is_a_resource() -> None:
    for name in (*page_module.SCRIPTS, "page.css", "page.html.j2"):
        assert page_module._text(name)


def test_the_page_begins_with_the_law_that_the_terminal_names(stones_study: Study) -> None:
    plan = first_plan(stones_study)
    assert plan is not None
    assert f"by {plan.law_name}" in closing_text(stones_study)
    # Also where only another law plans for the budget at the end of the runs.
    wanted = stones_study.settings.budgets[1]
    most_trusted = next(iter(by_law(stones_study.plans)))
    rest = [p for p in stones_study.plans if (p.law_name, p.budget_flops) != (most_trusted, wanted)]
    without = replace(stones_study, plans=tuple(rest))
    plan = first_plan(without)
    assert plan is not None and plan.law_name == most_trusted and plan.budget_flops != wanted


def test_findings_are_of_the_selection_that_is_drawn(stones_study: Study) -> None:
    """A frontier is read off the dense rows of a selection, and its finding stands above the selection's figure."""
    drawn = replace(
        stones_study,
        dataset="gemstones",
        envelopes=tuple(replace(stones_study.envelopes[0], selection=s) for s in ("all-2B", "le100B-2B")),
        provenance={"selections": [{"selection": name} for name in ("all", "all-2B", "le100B", "le100B-2B")]},
    )
    found = _of_selections(drawn, {"all-2B": "all grow", "le100B-2B": "these grow"})
    assert (found["all"], found["le100B"]) == ("all grow", "these grow")
    figure = _envelopes(drawn).figures[0]
    assert "gemstones, all-2B (main, every 2B tokens)" in figure.label
    # Of a table that was a selection before, frontiers are read off the rows of that.
    own = replace(drawn, envelopes=(replace(stones_study.envelopes[0], selection="all"),))
    assert _of_selections(own, {"all": "these"}) == {"all": "these"}
    assert "gemstones, all (main, every 10B tokens)" in _envelopes(own).figures[0].label
    of = stones_study.fits[0]
    ours = msgspec.structs.replace(of, selection="le100B", law=msgspec.structs.replace(of.law, name="other"))
    first = next(p for p in stones_study.plans if p.law_name == stones_study.fits[0].law.name)
    both = replace(
        stones_study, fits=(*stones_study.fits, ours), plans=(first, replace(first, law_name="other"))
    )
    plan = _plan_of(both, "le100B", first)
    assert plan is not None and plan.law_name == "other"
    assert _plan_of(both, "none such", first) is None


def test_ticks_and_clips_that_are_alike_are_one() -> None:
    ticks = "".join(
        f'<path d="M{x}.125,2h1v11h-1Z" fill="{fill}" opacity="0.7"/>'
        for x, fill in ((1, "red"), (3, "blue"), (5, "red"), (7, "blue"))
    )
    clips = "".join(
        f'<clipPath id="clip{i}"><rect x="0" width="{width}" height="9"/></clipPath>'
        for i, width in enumerate((10, 10, 20))
    )
    marks = "".join(f'<g clip-path="url(#clip{i})"><path d="M0,{i}L1,1" stroke="red"/></g>' for i in range(3))
    frame = 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="9" height="9"'
    svg = f'<svg {frame}><defs>{clips}</defs><g clip-path="url(#clip2)">{ticks}</g>{marks}</svg>'
    made = ET.fromstring(compact(svg, "f", "said").svg)
    drawn = sorted(re.findall(r"M([\d.]+),2h1v11h-1Z", ET.tostring(made, encoding="unicode")))
    assert drawn == ["1.12", "3.12", "5.12", "7.12"]  # every tick is there, a path a colour
    assert sum("h1v11" in path.get("d", "") for path in made.iter() if path.tag.endswith("path")) == 2
    defined = {clip.get("id") for clip in made.iter() if clip.tag.endswith("clipPath")}
    used = [e.get("clip-path") for e in made.iter() if e.get("clip-path")]
    assert defined == {"f-clip0", "f-clip2"}
    assert used == ["url(#f-clip2)", "url(#f-clip0)", "url(#f-clip0)", "url(#f-clip2)"]


def test_a_caption_says_nothing_twice() -> None:
    """What a figure said below its own title goes into its caption, but for what stands there already."""
    drawing = Drawing(
        "<svg/>", frozenset(), "Approach 1: x, all (20 runs); bands are 95% intervals from 100 resamples"
    )
    figure = Figure(
        "figure", "figure", "Approach 1 on x, all (20 runs). Intervals are of 95%.", drawing, "found"
    )
    html = page_html(Page("x", "y", None, (), (Section("s", "S", (), figures=(figure,)),)))
    said = re.sub(r"\s+", " ", html)
    assert "(20 runs). Intervals are of 95%. Bands are 95% intervals from 100 resamples." in said
    assert said.count("20 runs") == 1
