"""One run of the whole paper, with few resamples: every file, every number of the paper, and the same again.

The run is shared by all tests, and by all of pytest's processes: what they look at is on disk.
"""

from __future__ import annotations

import html
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from gemstones.page.page import Figure
from gemstones.page.svg import Drawing
from gemstones.paper import analyses
from gemstones.paper.figure import PaperFigure
from gemstones.paper.headlines import SAID
from gemstones.paper.reproduce import reproduce
from gemstones.paper.starts import exponents_by_starts
from tests.conftest import Files

pytestmark = pytest.mark.long

BOOTSTRAP, STARTS = 40, 40
FIGURES = range(2, 29)
OF_FORMS = (5, 6, 8)
MAGIC = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF", "parquet": b"PAR1"}


@dataclass(frozen=True)
class Row:
    """A row of a table of `paper.md`."""

    paper: str
    ours: str
    interval: str
    verdict: str
    why: str


def run(output: Path, workers: int, published_files: Files) -> None:
    with published_files(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(analyses, "exponents_by_starts", partial(exponents_by_starts, starts=STARTS))
        reproduce(output, bootstrap=BOOTSTRAP, workers=workers)


@pytest.fixture(scope="session")
def paper(published_files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run: made by the first of pytest's processes that asks, the others wait for it."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.mktemp("paper")
    folder, ended = shared / "paper-run", shared / "paper-run.ended"
    try:
        folder.mkdir()
    except FileExistsError:
        while not ended.exists():
            time.sleep(0.2)
        assert not ended.read_text(), "the run failed in another process"
        return folder
    ended_as = "failed"
    try:
        run(folder, 2, published_files)
        ended_as = ""
    finally:
        ended.write_text(ended_as)
    return folder


@pytest.fixture(scope="session")
def text(paper: Path) -> str:
    return (paper / "paper.md").read_text()


@pytest.fixture(scope="session")
def rows(text: str) -> Mapping[str, Row]:
    """Rows of every table, by what they say."""
    found: dict[str, Row] = {}
    for line in text.partition("### What differs between Figures")[0].splitlines():
        if line.startswith("| ") and not line.startswith(("| where", "| ---")):
            cells = [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]
            assert len(cells) == 7, line
            _, says, published, ours, interval, verdict, why = cells
            assert says not in found, f"said twice: {says}"
            found[says] = Row(published, ours, interval, verdict.strip("*"), why)
    return found


def test_every_figure_is_there_in_every_format(paper: Path) -> None:
    for number in FIGURES:
        for suffix, magic in MAGIC.items():
            content = (paper / "figures" / f"figure-{number:02d}.{suffix}").read_bytes()
            assert content.startswith(magic) and len(content) > 2000, f"figure {number}, {suffix}"
    for number in OF_FORMS:
        for suffix, magic in MAGIC.items():
            content = (paper / "figures" / f"figure-{number:02d}-predicts.{suffix}").read_bytes()
            assert content.startswith(magic) and len(content) > 2000, f"figure {number}, {suffix}"
    assert len(list((paper / "figures").iterdir())) == (len(FIGURES) + len(OF_FORMS)) * len(MAGIC)
    assert {path.name for path in paper.iterdir()} == {
        "figures", "claims.parquet", "paper.md", "paper.html", "forms.md",
    }  # fmt: skip


def test_the_pages_link_to_every_figure_and_nothing_else(paper: Path, text: str) -> None:
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    of_forms = set(re.findall(r"\]\(([^)]+)\)", (paper / "forms.md").read_text()))
    assert all((paper / link).is_file() for link in links | of_forms if not link.startswith("#"))
    drawn = {f"figures/figure-{n:02d}.{suffix}" for n in FIGURES for suffix in ("png", "parquet")}
    assert drawn | {"forms.md", "paper.html", "#where-we-differ-or-cannot-tell-and-why"} == links
    assert {
        f"figures/figure-{n:02d}-predicts.{suffix}" for n in OF_FORMS for suffix in ("png", "parquet")
    } == of_forms
    assert "Figure 1 is not made" in text


def test_the_page_has_no_path_or_time(paper: Path, text: str) -> None:
    for private in (str(paper), str(Path.home()), str(Path.cwd()), "/tmp/", "file:"):
        assert private not in text
    assert not re.search(r"\b\d{1,2}:\d{2}\b|\b20\d\d-\d\d-\d\d\b", text)


def test_the_page_has_every_picture_and_claim_in_one_file(paper: Path) -> None:
    page = (paper / "paper.html").read_text()
    for number in FIGURES:
        assert f'<figure class="finding f-figure-{number:02d}">' in page
    assert page.count("<svg") >= len(FIGURES) + len(OF_FORMS) and "<img" not in page
    said = html.unescape(page)
    for claim in (
        pl.read_parquet(paper / "claims.parquet").filter(pl.col("topic") != "").iter_rows(named=True)
    ):
        assert claim["says"] in said and claim["ours"] in said
    for private in (str(paper), str(Path.home()), str(Path.cwd()), "/tmp/"):
        assert private not in page


def test_claims_are_the_same_as_data(paper: Path, rows: Mapping[str, Row], text: str) -> None:
    frame = pl.read_parquet(paper / "claims.parquet")
    assert frame.height == len(rows)
    checks = frame.filter("check").height
    assert f"Of {frame.height - checks} claims" in text and f"Of {checks} counts and closed forms" in text
    assert text.partition("\n## Checks\n")[2].count("| **") == checks > 40
    # Eight conclusions lead, each beside its figure, on claims of the chapters.
    lead = text.partition("## How the claims came out")[0]
    assert len(re.findall(r"^## \d\. ", lead, re.MULTILINE)) == lead.count("[![Figure ") == 8
    assert set(frame["topic"].unique()) - {""} == {said.topic for said in SAID}
    # Every claim has an interval, or says why it has none.
    for interval in frame["interval"]:
        assert (
            interval.startswith(("[", "none: ", "width [", "in the sentence", "no optimum"))
            or " of " in interval
        )


LINES = {
    "le100B-2B": (
        21, "0.499380216", "-2.845107696", "0.480988823", "1.896320827", "-0.018391393", "4.741428523",
    ),
    "lr-ablation-2B": (
        17, "0.513127536", "-3.568844081", "0.485794433", "1.794942270", "-0.027333103", "5.363786350",
    ),
    "cooldown": (
        12, "0.596981017", "-7.522191520", "0.393260379", "6.103985245", "-0.203720638", "13.626176765",
    ),
    "all-2B": (
        28, "0.457903080", "-1.025860401", "0.524898684", "-0.029520870", "0.066995605", "0.996339530",
    ),
    "gt120B-2B": (14, "0.798672483", "-18.042169765", "0.182842984", "17.065587607"),
}  # fmt: skip
BINS = {
    "le100B-2B": ("506", "-0.213179264"),
    "all-2B": ("593", "-0.106875586"),
    "cooldown": ("172", "-0.520714679"),
}


def test_approach_1_is_reproduced(rows: Mapping[str, Row]) -> None:
    for selection, (points, *lines) in LINES.items():
        expected = [(f"points of the hull, {selection}", str(points))]
        names = [f"{of} of {y}" for y in ("N", "T", "T/N") for of in ("slope", "intercept")]
        expected += [(f"{name}, {selection}", value) for name, value in zip(names, lines, strict=False)]
        for says, value in expected:
            assert (rows[says].paper, rows[says].ours, rows[says].verdict) == (value, value, "reproduced")
    for selection, (bins, slope) in BINS.items():
        for says, value in (
            (f"non-empty bins of 750, {selection}", bins),
            (f"slope of T/N over the bins' minimisers, {selection}", slope),
        ):
            assert (rows[says].paper, rows[says].ours, rows[says].verdict) == (value, value, "reproduced")


OBJECTIVES = {  # published, best known
    "N,T on le100B": ("2.076018e-04", 2.075051556e-4),
    "N,T on all": ("6.923300e-04", 6.923289079e-4),
    "w,d,T on all": ("4.199462e-04", 4.199461721e-4),
    "w,d,N,T on le100B": ("1.118780e-04", 1.114037941e-4),
    "w,d,N,T on all": ("2.949708e-04", 2.948052764e-4),
    "N,T on hoffmann-reduced": ("1.339780e-05", 1.303638028e-5),
}
EXPONENTS = {  # published, best known
    "N,T on le100B": ((0.2989, 0.6928), (0.2928, 0.7289)),
    "N,T on all": ((0.25755, 0.59093), (0.2577, 0.5895)),
    "w,d,T on all": ((0.261, 0.142, 0.542), (0.261, 0.142, 0.542)),
    "w,d,N,T on le100B": ((0.245, 0.387, 0.500, 0.476), (0.307, 0.507, 0.393, 0.483)),
    "w,d,N,T on all": ((0.2196, 0.4759, 0.3636, 0.4935), (0.208, 0.484, 0.368, 0.536)),
    "N,T on hoffmann-reduced": ((0.276, 0.474), (0.201, 0.524)),
}
STOPPED_EARLY = ("N,T on le100B", "w,d,N,T on le100B", "w,d,N,T on all", "N,T on hoffmann-reduced")
CONSTANTS = {
    "N,T on all": ("4.8761769847", "12.6984060933", "0.6655226816"),
    "w,d,N,T on all": ("1.0820438350", "-0.2186969889", "6.0902355695", "10.4720427681", "0.4282048563"),
}


def test_approach_3_is_at_the_best_known_minima(rows: Mapping[str, Row]) -> None:
    (says,) = [name for name in rows if name.startswith("our objectives are at most the best known")]
    assert rows[says].verdict == "holds"
    ours = [float(value) for value in rows[says].ours.split(", ")]
    for (name, (published, best)), found in zip(OBJECTIVES.items(), sorted_like(says, ours), strict=True):
        assert found <= best * (1 + 1e-6) and f"{best:.9e} ({name})" in says
        objective = rows[f"objective of {name}"]
        assert objective.paper == published
        assert objective.verdict == ("differs" if name in STOPPED_EARLY else "reproduced")
    for name, (published, best) in EXPONENTS.items():
        for term, theirs, known in zip(name.partition(" ")[0].split(","), published, best, strict=True):
            (row,) = [r for says, r in rows.items() if says.startswith(f"exponent of {term}, {name}")]
            assert float(row.paper) == pytest.approx(theirs, abs=6e-5)
            assert float(row.ours) == pytest.approx(known, abs=6e-4)
            assert row.verdict == ("differs" if name in STOPPED_EARLY else "reproduced")
    for name, values in CONSTANTS.items():
        whats = [f"log coefficient of {term}" for term in name.partition(" ")[0].split(",")] + ["E"]
        for what, value in zip(whats, values, strict=True):
            assert rows[f"{what}, {name}"].paper == value


def sorted_like(says: str, values: list[float]) -> list[float]:
    """In the order of `OBJECTIVES`, whatever that of the row."""
    names = re.findall(r"\(([^)]+)\)", says)
    found = dict(zip(names, values, strict=True))
    return [found[name] for name in OBJECTIVES]


def test_epochs_replication_is_reproduced(rows: Mapping[str, Row]) -> None:
    expected = {
        "objective on 240 Chinchilla runs, δ 0.001": "1.018274e-03",
        "A, intervals by row": "477.8",
        "B, intervals by row": "2143",
        "exp(E), intervals by row": "1.8172",
        "alpha, intervals by row": "0.34731",
        "beta, intervals by row": "0.36718",
        "bootstrap standard error of alpha, by row": "0.0154",
        "bootstrap standard error of beta, by row": "0.0206",
    }
    for says, value in expected.items():
        assert (rows[says].paper, rows[says].verdict) == (value, "reproduced"), says


SHAPES = {
    "1e18": "512x6", "1e19": "768x16", "1e20": "1536x25", "1e21": "2560x45", "1e22": "4864x66", "1e23": "9728x93",
    "1e24": "19712x133",
}  # fmt: skip


def test_prescriptions_are_reproduced(rows: Mapping[str, Row]) -> None:
    for budget, shape in SHAPES.items():
        row = rows[f"best shape for {budget} FLOPs, published constants of w,d,N,T"]
        assert (row.paper, row.ours, row.verdict) == (shape, shape, "reproduced")
    assert rows["tokens per parameter at 1e22 FLOPs, published constants"].paper == "2.8"
    assert rows["tokens per parameter at 1e22 FLOPs, published constants"].verdict == "reproduced"
    (rounding,) = [row for says, row in rows.items() if says.startswith("Chinchilla's law at its own budget")]
    for constants in (
        "E 1.69, A 406.4, B 410.7, α 0.34, β 0.28",
        "E 1.6934, A 406.4, B 410.7, α 0.3392, β 0.2849",
        "E 1.8172, A 482.01, B 2085.43, α 0.3478, β 0.3658",
    ):
        assert constants in rounding.why


OVERSPENDS = {  # to the nearest point, interpolated
    ("256x80", "FLOPs"): ("55.4%", "54.2%"),
    ("256x71", "FLOPs"): ("47.2%", "50.9%"),
    ("2560x8", "FLOPs"): ("-11.4%", "20.8%"),
    ("256x80", "device hours"): ("358.4%", "171.5%"),
    ("384x36", "device hours"): ("210.0%", "58.4%"),
    ("2560x8", "device hours"): ("71.2%", "2.5%"),
}


def test_overspends_are_both_as_published_and_at_the_same_loss(rows: Mapping[str, Row]) -> None:
    assert rows["tokens of the checkpoint nearest to 300B"].ours == "300,102,451,200"
    for (shape, words), (nearest, interpolated) in OVERSPENDS.items():
        as_published, at_same_loss = (
            rows[f"overspend of {shape} in {words}, {how}"]
            for how in ("by the nearest point", "interpolated")
        )
        assert (as_published.paper, as_published.ours, as_published.verdict) == (
            nearest,
            nearest,
            "reproduced",
        )
        assert (at_same_loss.paper, at_same_loss.ours, at_same_loss.verdict) == (
            nearest,
            interpolated,
            "differs",
        )
    frontiers = {
        "FLOPs": "256x23, 384x13, 512x11, 512x13, 512x14, 1280x15, 1024x28, 1280x36, 1536x50",
        "device hours": "768x3, 1792x7, 1280x15, 3072x12, 1536x50",
    }
    for words, shapes in frontiers.items():
        assert (rows[f"the frontier over {words}"].ours, rows[f"the frontier over {words}"].verdict) == (
            shapes,
            "reproduced",
        )


def test_overtraining_costs_at_either_side_of_the_optimum(rows: Mapping[str, Row]) -> None:
    for budget in ("1e20", "1e21", "1e22", "1e23"):
        says = f"loss over that of the optimum at {budget} FLOPs, by tokens over the optimal tokens"
        costs = [float(part.split("%")[0]) for part in rows[says].ours.split(", ")]
        under, over = costs[:3], costs[3:]
        assert len(costs) == 6 and under == sorted(under, reverse=True) and over == sorted(over)
        assert min(costs) > 0


def test_conclusions_under_the_form_that_predicts(paper: Path) -> None:
    text = (paper / "forms.md").read_text()
    tokens, aspect, overtraining, rainbow, verdicts = re.findall(r"^\d\. \*\*.*$", text, re.MULTILINE)
    # As `gemstones plan` has it by the laws that ship, which are of the same runs: 29 and 3 tokens per parameter.
    ours, theirs = re.findall(r"(\d[\d.]*) \[[^]]+\]", tokens)[:2]
    assert float(ours) == pytest.approx(29, abs=0.5) and float(theirs) == pytest.approx(3.1, abs=0.1)
    assert "more in 100% of the draws" in tokens and "61.4 [" in aspect
    assert "+3.51% instead of +2.23% at 1e22" in overtraining
    # The five selections of the design's table, at δ 1e-4.
    spreads = [float(x) for x in re.findall(r"([\d.]+) \[[^]]+\] by", rainbow)]
    assert spreads == pytest.approx([1.29, 2.06, 1.93], abs=0.01)
    table = [line for line in text.splitlines() if line.startswith("| ") and "**" in line]
    assert f"Of {len(table)} statements" in verdicts
    for line in table:
        _, _, theirs, ours = re.split(r"(?<!\\) \| ", line.strip("| "))
        says = re.split(r"(?<!\\) \| ", line.strip("| "))[1]
        changed = re.search(r"\*\*(.*?)\*\*", theirs)[1] != re.search(r"\*\*(.*?)\*\*", ours)[1]  # type: ignore[index]
        assert (f"“{says}”" in verdicts) is changed
    assert pl.read_parquet(paper / "figures" / "figure-06-predicts.parquet").height > 400


def test_only_what_is_known_differs_and_says_why(rows: Mapping[str, Row], text: str) -> None:
    known = {
        "of the 22, shapes outside the 5%",
        "trained shapes of width 512",
        "models that the patch applies to, width/depth > 256",
        "shapes of the learning-rate sweep, of 100M and 2B parameters",
        "the best shape for 1e22 FLOPs by the published constants, as the published plots draw it and as it is",
        "real-valued optimum at 1e20 FLOPs by the published constants, N as in the published relaxed tables and as in "
        "the fit",
        *(f"overspend of {shape} in {words}, interpolated" for shape, words in OVERSPENDS),
        *(f"objective of {name}" for name in STOPPED_EARLY),
    }  # fmt: skip
    differing = {says for says, row in rows.items() if row.verdict == "differs"}
    of_fits = {
        says
        for says in differing
        if says.startswith(("exponent of ", "log coefficient of ", "E, "))
        and any(name in says for name in STOPPED_EARLY)
    }
    assert differing - of_fits == known
    assert all(rows[says].why for says in differing)
    # With so few resamples an interval may be so short that the half rate lies outside.
    assert {says for says, row in rows.items() if row.verdict == "does not hold"} <= {
        "the least efficient shapes overspend more than 200% in device hours: three optimal models in their time",
        "with half the learning rate the fit remains robust",
        "over- and undertraining by a factor of 4 are cheap at 1e20 FLOPs",
        "more tokens make δ 1e-4 and 1e-5 more stable (10 starts)",  # of 40 draws of starts
    }
    head = text.partition("## The suite")[0]
    for cause in (
        "### The published fit stopped before its minimum",
        "### The published plots draw a bin's minimum at its left edge",
        "### The paper counts N in several ways",
        "### The published overspend takes the frontier's point of nearest loss, whose loss is another",
        "### The paper's words disagree with its own rules and files",
    ):
        assert head.count(cause) == 1


def test_the_same_again_in_one_process(
    paper: Path, published_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        PaperFigure, "save", lambda figure, folder: ()
    )  # pictures take as long as all the rest
    monkeypatch.setattr(
        PaperFigure,
        "on_page",
        lambda figure, folder: Figure(
            figure.name,
            "x",
            "y",
            Drawing("<svg/>", frozenset()),
            f"Figure {figure.number}: {figure.finding or figure.caption.partition('. ')[0]}",  # paper.md has it
        ),
    )
    run(tmp_path / "again", 1, published_files)
    for name in ("paper.md", "claims.parquet", "forms.md"):
        assert (tmp_path / "again" / name).read_bytes() == (paper / name).read_bytes()
