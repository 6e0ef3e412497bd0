"""The gallery: figures of the shipped runs, drawn as the site is built, each under the Python that drew it."""

from __future__ import annotations

import shutil
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemstones
from docs.site.sources import write_if_new

FOLDER = "gallery"
STUDY = "pebbles-2"
"""The data set whose study is shown."""


@dataclass(frozen=True)
class Picture:
    """A figure: its file's name, its title, what it shows, and the code whose last line is the chart."""

    name: str
    title: str
    shows: str
    code: str


START = """\
import gemstones as gs
runs = gs.load("pebbles").select("all")
suite = gs.load("pebbles-2")
grid = suite.select("cooldown")"""
"""What comes before the code of every figure."""

PICTURES = (
    Picture(
        "frontier", "The frontier of least loss (Approach 1)",
        "Training curves of all runs, the frontier below them by two methods, and how T/N grows with compute along it.",
        'gs.approach1_figure(runs, [gs.envelope(runs, method="bins"), gs.envelope(runs, method="hull")])',
    ),
    Picture(
        "isoflop", "The best size of every budget (Approach 2)",
        "A parabola through the losses of each budget, its minimum, and how that grows, with a law's beside it.",
        "gs.isoflop_figure(gs.isoflop(grid))",
    ),
    Picture(
        "own-laws", "What laws of these runs prescribe (Approach 3)",
        "Fits with and without an exponent around the sum, with intervals by run, within the runs and beyond.",
        'gs.approach3_figure([gs.fit(grid, law, bootstrap=100) for law in ("N,T", "(N,T)^p")])',
    ),
    Picture(
        "compare", "Is Muon better, and is half the rate worse?",
        "The difference of loss at a budget with its interval, and what the largest pairs of runs measured.",
        "gs.compare_figure([\n"
        '    gs.compare(grid, suite.select(other), budgets=[2e12], law="N,T", names=("AdamW", other))\n'
        '    for other in ("muon", "lr-half")\n])',
    ),
    Picture(
        "cooled", "The frontier of runs that were cooled down",
        "The losses at the ends of cooldowns, five budgets apart by a factor of two, and the frontier below them.",
        'gs.approach1_figure(grid, [gs.envelope(grid, method="hull")])',
    ),
    Picture(
        "laws", "What several laws prescribe (Approach 3)",
        "Width over depth, and T/N, over the budget by laws that come with the package: ours with its interval, and "
        "published constants, which have none.",
        'gs.approach3_figure(["gemstones-refit", "gemstones-width-depth"])',
    ),
    Picture(
        "backtest", "How well laws predict runs that they were not fitted to",
        "The error of each form of law on rows that were held out: the largest runs, the last tokens, whole shapes.",
        'gs.backtest_figure(gs.backtest(runs, laws=["N,T", "w,d,N,T"]))',
    ),
    Picture(
        "overspend", "What each run spent beyond the frontier",
        "For every shape: how much less compute the frontier needs for the loss that the run reached at 6M tokens.",
        'gs.overspend_figure(gs.overspend(runs, "6M"))',
    ),
    Picture(
        "overtrain", "What more tokens than optimal cost",
        "The loss at one budget over the factor by which tokens exceed the optimum, by two laws.",
        'gs.overtrain_figure([gs.overtrain(1e22, law) for law in ("chinchilla-epoch", "gemstones-refit")])',
    ),
    Picture(
        "analyses", "One question, every analysis",
        "What the same runs prescribe under every combination of an analyst's choices: a dot each, with the choices "
        "that it made below it.",
        "gs.studies_figure(analyses)",
    ),
    Picture(
        "shares", "Which choice matters",
        "The share of each choice in the variance of what is prescribed.",
        "gs.shares_figure(analyses)",
    ),
    Picture(
        "design", "Which runs to buy",
        "The runs that narrow the interval of N at 1e21 FLOPs most for 1e19, in the order of buying, beside what "
        "conventional designs reach at the same cost.",
        'gs.design_figure(gs.design_runs("1e21", "1e19"))',
    ),
)  # fmt: skip

ANALYSES = "analyses = gs.sensitivity(runs, [1e13, 1e14], levels=gs.Levels(deltas=(1e-4,)), bootstrap=0)"


def draw(folder: Path) -> None:
    """Draw every figure into `folder`."""
    from gemstones.figures.save import save_figure

    names: dict[str, Any] = {}
    exec(START, names)
    exec(ANALYSES, names)
    for picture in PICTURES:
        save_figure(eval(picture.code, names), folder / picture.name)


def page() -> str:
    """The page of the gallery."""
    parts = [
        "---\nhide-toc: true\n---",
        "# Gallery",
        "Twelve figures, most of them of [Pebbles](../studies/pebbles/README.md) and "
        "[its second suite](../studies/pebbles/second.md), which come with the package, drawn by the code below each "
        "when this site was built. So small suites show how things look, and not what to train: "
        "[what they can show](../pebbles.md).",
        f'<a href="{STUDY}.html">The page of a study</a>, with the explorer, is what `make study` makes in '
        "`out/study/report.html` (here with fewer resamples and without the slow analyses). `gemstones study "
        "gemstones` and `gemstones study chinchilla` make those of published runs, `make paper` the paper's figures "
        "from its own runs ([the paper again](../paper.md)).",
        f"A picture opens in full by a click. All of them begin so:\n\n```python\n{START}\n```",
    ]
    for picture in PICTURES:
        code = f"{ANALYSES}\n{picture.code}" if "analyses" in picture.code else picture.code
        parts += [
            f"## {picture.title}",
            f":::{{figure}} {picture.name}.svg\n:alt: {picture.title}\n:class: picture\n"
            f":target: ../_images/{picture.name}.svg\n\n{picture.shows}\n:::",
            f"```python\n{textwrap.dedent(code)}\n```",
        ]
    return "\n\n".join(parts) + "\n"


def write(folder: Path) -> None:
    """Write the page and the figures below the folder of sources."""
    write_if_new(folder / FOLDER / "index.md", page())
    draw(folder / FOLDER)


def write_study(site: Path) -> None:
    """Put the page of a study into the built site."""
    with tempfile.TemporaryDirectory() as scratch:
        made = gemstones.study(
            STUDY, Path(scratch) / "study", select="cooldown", law="N,T", bootstrap=100, quick=True
        )
        shutil.copyfile(made.output / "report.html", site / FOLDER / f"{STUDY}.html")
