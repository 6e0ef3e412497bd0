"""Figures are there, are not blank, say what their axes are, and colour a run alike wherever it is drawn."""

from __future__ import annotations

import html
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.figures.approach1 import approach1_figure
from gemstones.figures.approach3 import BEYOND, INSIDE, MOST_BUDGETS, REFERENCE, approach3_figure
from gemstones.figures.curves import MODEL_COLOR, cut_words, domain, law_in_legend
from gemstones.figures.save import PNG_SCALE, save_figure
from gemstones.laws.envelope import envelope
from gemstones.laws.published import published, refit
from gemstones.planning.prescriptions import (
    REFERENCES,
    by_law,
    grid,
    prescriptions,
    references,
    usual_budgets,
)
from gemstones.planning.result import Plan
from gemstones.report.result import Study
from gemstones.report.runs import loss_curves
from gemstones.runs import RunTable, load


def pixels(path: Path) -> np.ndarray:
    """(height, width, 4) of an 8-bit RGBA PNG: just enough of a decoder to see that something was drawn."""
    data, at, chunks, header = path.read_bytes(), 8, b"", b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        header = body if kind == b"IHDR" else header
        chunks += body if kind == b"IDAT" else b""
        at += length + 12
    width, height, depth, color = struct.unpack(">IIBB", header[:10])
    assert (depth, color) == (8, 6)
    raw = np.frombuffer(zlib.decompress(chunks), np.uint8).reshape(height, 1 + 4 * width)
    # Filtered bytes vary where pixels do, which is all that is asked of them here.
    return raw[:, 1:].reshape(height, width, 4)


def texts(path: Path) -> str:
    """Everything that an SVG says."""
    return html.unescape(" ".join(re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(), re.DOTALL)))


def plain(text: str) -> str:
    """`text` without the marks of its lines."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


@pytest.mark.parametrize("name", ["approach1", "approach3", "approach1-le100B", "approach3-le100B"])
def test_pngs_are_not_blank(gemstones_study: Study, name: str) -> None:
    image = pixels(gemstones_study.output / "figures" / f"{name}.png")
    height, width, _ = image.shape
    assert width > PNG_SCALE * 2 * style.PANEL_WIDTH and height > PNG_SCALE * style.PANEL_HEIGHT
    # Marks in both halves: no panel is empty.
    assert image[:, : width // 2].std() > 1 and image[:, width // 2 :].std() > 1


def test_approach1_says_what_it_shows(gemstones_study: Study, chinchilla_study: Study) -> None:
    said = texts(gemstones_study.output / "figures" / "approach1.svg")
    for words in (
        "FLOPs (Appendix G)",
        "Device hours (as measured)",
        "Loss (nats/token)",
        "Tokens per parameter (total parameters)",
        "Lower convex hull",
        "Least loss in each bin",
        "1e21",
        "10K",
        "95% intervals from 40 resamples by run",
        "gemstones, all-2B (main, every 2B tokens)",
        "not Appendix G",
    ):
        assert words in plain(said)
    said = plain(texts(chinchilla_study.output / "figures" / "approach1.svg"))
    assert "Device hours" not in said and "FLOPs (as given)" in said
    assert "(its FLOPs are 6·N·T, total N)" in said and "Appendix G" not in said


def vertical_domains(chart: dict[str, Any]) -> list[set[tuple[float, float]]]:
    """The domains of the y axes in each row of panels."""
    return [
        {
            tuple(layer["encoding"]["y"]["scale"]["domain"])
            for panel in row["hconcat"]
            for layer in marks(panel)
        }
        for row in chart["vconcat"]
    ]


def marks(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """Layers of a panel that have a y axis."""
    return [layer for layer in panel["layer"] if "scale" in layer.get("encoding", {}).get("y", {})]


def test_panels_of_a_row_share_their_axis(gemstones: RunTable) -> None:
    table = gemstones.select("le100B-2B")
    made = [
        envelope(table, resource=r, method=m) for r in ("flops", "device_hours") for m in ("hull", "bins")
    ]
    rows = vertical_domains(approach1_figure(table, made).to_dict())
    assert [len(domains) for domains in rows] == [1, 1] and rows[0] != rows[1]


def test_the_hull_lies_over_the_bins(gemstones: RunTable) -> None:
    table = gemstones.select("chinchilla-reduced")
    made = [envelope(table, method="hull"), envelope(table, method="bins")]
    points = approach1_figure(table, made).to_dict()["datasets"]["frontier-flops"]
    methods = [point["method"] for point in points]
    # Later points are drawn over earlier ones.
    assert methods == sorted(methods) and set(methods) == {"bins", "hull"}


def test_approach3_says_what_it_shows(gemstones_study: Study, chinchilla_study: Study) -> None:
    said = texts(gemstones_study.output / "figures" / "approach3.svg")
    for words in (
        "Width / depth",
        "Tokens per parameter (N as in the legend)",
        "FLOPs budget (Appendix G for shapes, else 6·N·T)",
        "fitted runs",
        "w,d,N,T fitted to all (total N)",
        "N,T fitted to all (total N)",
        "(non-embedding N)",
        "no line where the best shape lies on the edge of the search",
        "gemstones, all (main, every 10B tokens)",
        "shaded: FLOPs of the fitted runs",
        "lines of shapes: real-valued optimum",
        "Best feasible shape",
        "Published law",
        "1e19",
    ):
        assert words in said
    said = texts(chinchilla_study.output / "figures" / "approach3.svg")
    assert "Width / depth" not in said and "FLOPs budget (6·N·T)" in said


def test_legends_are_there_once(stones_study: Study) -> None:
    for name, words in (("approach1", "Least loss in each bin"), ("approach3", "Fit, beyond them")):
        assert texts(stones_study.output / "figures" / f"{name}.svg").count(words) == 1


def strokes(table: RunTable, colors: style.RunColors, folder: Path) -> dict[float, str]:
    """Colour of every run's line in a figure of `table`, by total parameters."""
    made = approach1_figure(table, [envelope(table)], colors)
    _, svg = save_figure(made, folder / table.selection)
    found = re.findall(
        r'aria-label="[^"]*params_total: (\d+)[^"]*"[^>]*aria-roledescription="line mark"[^>]*stroke="([^"]+)"',
        svg.read_text(),
    )
    assert found
    return {float(size): color for size, color in found}


def test_a_run_has_one_colour_everywhere(gemstones: RunTable, tmp_path: Path) -> None:
    colors = style.RunColors.of(gemstones)
    every = strokes(gemstones.select("all"), colors, tmp_path)
    some = strokes(gemstones.select("width512"), colors, tmp_path)
    assert len(some) == 5 and len(set(every.values())) > 15
    assert {size: every[size] for size in some} == some


def test_one_figure_is_one_file_content(gemstones: RunTable, tmp_path: Path) -> None:
    table = gemstones.select("chinchilla-reduced")
    made = approach1_figure(table, [envelope(table)])
    first, again = save_figure(made, tmp_path / "a"), save_figure(made, tmp_path / "b.1")
    assert again[0].name == "b.1.png"
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_law_without_draws_or_range_is_drawn(tmp_path: Path) -> None:
    laws = {"gemstones-width-depth": published("gemstones-width-depth")} | references()
    plans, missing = prescriptions(laws, [1e19, 1e20, 1e21, 1e22])
    assert missing == () and list(by_law(plans)) == list(laws)
    save_figure(approach3_figure(plans), tmp_path / "bare")
    assert "Lines without intervals" in texts(tmp_path / "bare.svg")


def test_a_flagged_fit_says_so_in_the_legend(tmp_path: Path) -> None:
    flags = (
        "term_at_zero: the irreducible loss is at most 1e-12 of the predicted loss",
        "too_few_runs: 5 runs",
    )
    doubtful = msgspec.structs.replace(refit("gemstones-refit-plain"), drawn=(), flags=flags)
    plans, _ = prescriptions({"doubtful": doubtful, "kaplan": published("kaplan")}, [1e20, 1e22])
    save_figure(approach3_figure(plans), tmp_path / "doubtful")
    said = plain(texts(tmp_path / "doubtful.svg"))
    assert said.count("flagged: term at zero, too few runs") == 1


def test_diamonds_have_an_entry_that_can_be_seen(tmp_path: Path) -> None:
    law = msgspec.structs.replace(refit("gemstones-refit-plain"), drawn=())
    plans, _ = prescriptions({"mine": law}, [1e20, 1e22])
    save_figure(approach3_figure(plans), tmp_path / "alone")
    svg = (tmp_path / "alone.svg").read_text()
    symbol = svg[: svg.index(">Best feasible shape<")].rpartition("<path")[2]
    assert f'stroke="{MODEL_COLOR}"' in symbol


def test_a_flagged_frontier_says_so_below_the_title(gemstones: RunTable) -> None:
    for selection, few in (("width512", True), ("cooldown", False)):
        table = gemstones.select(selection)
        subtitle = approach1_figure(table, [envelope(table)]).to_dict()["title"]["subtitle"]
        assert ("flagged: too few runs" in " ".join(subtitle)) == few


def test_quantities_have_a_row_each_and_are_those_of_an_envelope(gemstones: RunTable) -> None:
    table = gemstones.select("cooldown")
    made = [envelope(table), envelope(table, resource="device_hours")]
    chart = approach1_figure(table, made, quantities=("tokens", "params")).to_dict()
    titles = [row["hconcat"][0]["layer"][-1]["encoding"]["y"]["title"] for row in chart["vconcat"]]
    assert titles[1:] == ["Tokens", "Parameters (total)"]
    assert [len(domains) for domains in vertical_domains(chart)] == [1, 1, 1]
    for wrong in ((), ("width",)):
        with pytest.raises(InvalidRequest, match="must be some of params, tokens, tokens_per_param"):
            approach1_figure(table, made, quantities=wrong)


@pytest.fixture(scope="module")
def drawn(stones_study: Study) -> tuple[dict[str, Any], list[Plan]]:
    """Figure 5 of a fit of shapes beside the references, and its plans."""
    fit = next(f for f in stones_study.fits if f.law.name == "w,d,N,T fitted to all")
    plans, _ = prescriptions({fit.law.name: fit} | references(), np.geomspace(1e19, 1e24, 6))
    return approach3_figure(plans, fit.law.fitted.flops).to_dict(), list(plans)


def test_lines_of_shapes_are_real_valued(drawn: tuple[dict[str, Any], list[Plan]]) -> None:
    chart, plans = drawn
    of_fit = {p.budget_flops: p for p in plans if p.shape is not None}
    aspect_ratios, tokens_per_param = (chart["datasets"][f"prescriptions-{i}"] for i in range(2))
    assert len(of_fit) == 6 and {row["budget"] for row in aspect_ratios} == set(of_fit)
    for row in aspect_ratios:
        plan = of_fit[row["budget"]]
        assert plan.relaxed is not None and plan.shape is not None
        assert row["value"] == pytest.approx(plan.relaxed["width"] / plan.relaxed["depth"])
        assert row["feasible"] == plan.shape.aspect_ratio
    for row in tokens_per_param:
        if "fitted to" in row["series"]:
            plan = of_fit[row["budget"]]
            assert plan.relaxed is not None
            assert row["value"] == pytest.approx(plan.relaxed["tokens"] / plan.relaxed["params_total"])
            assert row["feasible"] == plan.tokens_per_param
        else:
            assert row["feasible"] is None
    # What zigzags is the feasible optimum: the real-valued one of this law only turns once.
    ratios = [value for _, value in sorted({(row["budget"], row["value"]) for row in aspect_ratios})]
    assert len(ratios) == 6 and sum(np.diff(np.sign(np.diff(ratios))) != 0) <= 1


def test_references_are_drawn_last_and_alike(drawn: tuple[dict[str, Any], list[Plan]]) -> None:
    chart, _ = drawn
    panel = chart["hconcat"][1]
    *_, fits, last = [layer for layer in panel["layer"] if layer["mark"]["type"] == "line"]
    assert REFERENCE in last["transform"][0]["filter"]
    assert last["mark"]["strokeWidth"] < fits["mark"]["strokeWidth"]
    scale = fits["encoding"]["strokeDash"]["scale"]
    dashes = dict(zip(scale["domain"], map(tuple, scale["range"]), strict=True))
    assert len({dashes[name] for name in (INSIDE, BEYOND, REFERENCE)}) == 3
    where: dict[str, set[str]] = {}
    for row in chart["datasets"]["prescriptions-1"]:
        where.setdefault(row["series"].partition("(")[0], set()).add(row["where"])
    kinds = list(where.values())
    assert kinds.count({REFERENCE}) == 2 and kinds.count({INSIDE, BEYOND}) == 1


def test_bands_keep_the_colour_of_their_law(drawn: tuple[dict[str, Any], list[Plan]]) -> None:
    bands = [layer for layer in drawn[0]["hconcat"][1]["layer"] if layer["mark"]["type"] == "area"]
    assert len(bands) == 2 and all("color" not in band["mark"] for band in bands)
    assert len({str(band["encoding"]["color"]) for band in bands}) == 1
    opacity = {
        where: band["mark"]["opacity"]
        for band in bands
        for where in (INSIDE, BEYOND)
        if where in band["transform"][0]["filter"]
    }
    assert opacity[BEYOND] < opacity[INSIDE]


def test_the_grid_reaches_the_fitted_runs() -> None:
    assert grid()[0] == pytest.approx(1e18) and grid()[-1] == pytest.approx(1e25) and len(grid()) == 25
    wide = grid((1e14, 3e19))
    assert wide[0] == pytest.approx(1e14) and 3e19 in wide and 1e14 in wide


@given(st.floats(1e3, 1e30), st.floats(1.0, 1e12))
def test_budgets_begin_within_the_runs_and_end_a_hundred_times_beyond(least: float, ratio: float) -> None:
    budgets = usual_budgets((least, least * ratio))
    assert list(budgets) == sorted(set(budgets)) and len(budgets) >= 2
    assert least / 3.2 <= budgets[0] <= least * ratio * 3.2
    assert 31 <= budgets[-1] / (least * ratio) <= 320
    drawn = grid((least, least * ratio))
    assert drawn[0] <= budgets[0] * 1.001 and drawn[-1] > budgets[-1]


def test_usual_budgets_are_those_of_the_paper(gemstones: RunTable, chinchilla: RunTable) -> None:
    for runs in (gemstones.select("all"), chinchilla.select("epoch")):
        flops = runs.numbers("flops")
        assert usual_budgets((flops.min(), flops.max())) == usual_budgets() == (1e20, 1e22, 1e24)


def test_published_laws_are_compared_with_near_their_runs_only() -> None:
    assert set(references((1e17, 1e19))) == set(references()) == set(REFERENCES)
    assert references((1e11, 3e13)) == {} and references((1e25, 1e26)) == {}


def test_drawing_registers_nothing(stones_study: Study) -> None:
    import altair as alt

    assert alt.theme.active == "default" and alt.data_transformers.active == "default"


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1e18, 1e25),
        (6.8e17, 4.5e21),
        (2.49, 4.53),
        (2.0, 2.1),
        (0.99, 1.01),
        (1e-9, 1e12),
        (5, 30_000),
        (3, 4),
    ],
)
def test_ticks_lie_inside_and_are_few(low: float, high: float) -> None:
    found = style.ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low <= value <= high for value in found) and found == sorted(set(found))
    labels = [style.label(value, "plain") for value in found]
    assert len(set(labels)) == len(found)


@pytest.mark.parametrize("low", [1e13, 5.9e15, 2e16, 1e18])
def test_budgets_are_labelled_from_their_first_decade(low: float) -> None:
    first = 10.0 ** np.ceil(np.log10(low))
    found = style.ticks(low, 1e25, MOST_BUDGETS)
    assert found[0] == pytest.approx(first) and len(found) >= 6


def test_tick_labels() -> None:
    assert [style.label(v, "power") for v in (1e18, 3e19, 1e24)] == ["1e18", "3e19", "1e24"]
    assert [style.label(v, "si") for v in (1e10, 1e14, 1e15, 1e16)] == ["10B", "100T", "1e15", "1e16"]
    assert [style.label(v, "si") for v in (0.3, 300)] == ["0.3", "300"]
    assert [style.label(v, "plain") for v in (2.75, 2000, 10_000, 1e6)] == [
        "2.75",
        "2000",
        "10,000",
        "1,000,000",
    ]


def test_a_laws_words_stay_together_in_the_legend() -> None:
    assert law_in_legend("w,d,N,T fitted to lr-ablation, δ 1e-3", "total").split("\n") == [
        "w,d,N,T fitted to lr-ablation,",
        "δ 1e-3 (total N)",
    ]
    assert law_in_legend("w,d,T fitted to all", None) == "w,d,T fitted to all"


def test_cut_bands_are_said_to_be() -> None:
    row = {"value": 10.0, "feasible": None, "low": 5.0, "high": 99.0}
    assert cut_words([row], domain([row])) == []
    wide = row | {"high": 1e4}
    assert domain([wide])[1] < 1e4 and len(cut_words([wide], domain([wide]))) == 1


def test_law_colours_do_not_depend_on_company() -> None:
    alone, among = style.law_colors(["kaplan"]), style.law_colors(["mine", "other", "kaplan"])
    assert alone == among[2:] and len(set(among)) == 3
    # A law has the colour of its form, whatever it was fitted to, and no other form and no frontier has that.
    assert len(set(style.law_colors(["N,T fitted to all", "N,T fitted to le100B", "N,T"]))) == 1
    of_all = [*style.FORMS.values(), *style.REFERENCES.values(), *style.OTHER_FORMS, style.BLACK, style.RED]
    assert len(set(of_all)) == len(of_all)


def test_a_frontier_by_one_method_is_drawn(stones_runs: RunTable, tmp_path: Path) -> None:
    """A size of one mark alone is no range: Vega drew nothing, and said nothing."""
    for method in ("hull", "bins"):
        found = envelope(stones_runs, method=method)  # type: ignore[arg-type]
        _, svg = save_figure(approach1_figure(stones_runs, [found]), tmp_path / method)
        text = svg.read_text()
        assert text.count('aria-roledescription="point"') >= len(found.frontier) > 1 and "NaN" not in text, (
            method
        )


def test_of_many_families_cooldowns_are_with_their_runs() -> None:
    """A panel for each of twelve was a screen of nearly empty panels."""
    chart = loss_curves(load("pebbles-2"))
    assert chart is not None
    panels = [panel for row in chart.to_dict()["vconcat"] for panel in row["hconcat"]]
    titles = [panel["title"]["text"] for panel in panels]
    assert titles[0] == "Main runs" and len(titles) == len(set(titles)) == 6
    assert not any("cooldown" in title for title in titles)
