"""Figures 4 and 9 to 11 of the paper: Approach 1 on the first 100B tokens, with half the rate, and cooled down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gemstones.display import caution
from gemstones.figures.approach1 import FIGURE_4, approach1_figure
from gemstones.figures.style import RunColors
from gemstones.laws.envelope import OF_FRONTIER, QUANTITIES, Envelope
from gemstones.laws.interval import level_text
from gemstones.numbers import counted, interval_text
from gemstones.paper.drawn import drawn
from gemstones.paper.figure import PaperFigure
from gemstones.paper.fits import EnvelopeKey
from gemstones.report.steps import METHODS, RESOURCES
from gemstones.runs import RunTable
from gemstones.words import selection_words

if TYPE_CHECKING:
    import polars as pl

SELECTIONS = {4: "le100B-2B", 9: "le100B-2B", 10: "lr-ablation-2B", 11: "cooldown"}
"""What each figure shows; 9 is 4 with more quantities."""


def paper_approach1(number: int, runs: RunTable, envelopes: Mapping[EnvelopeKey, Envelope]) -> PaperFigure:
    """Figure 4 or 9 to 11, of `runs`, the whole data set, and of the frontiers that `paper_envelopes` finds."""
    selection = SELECTIONS[number]
    chosen = [envelopes[EnvelopeKey(selection, r, m)] for r in RESOURCES for m in METHODS]
    quantities = FIGURE_4 if number == 4 else QUANTITIES
    chart = approach1_figure(runs.select(selection), chosen, RunColors.of(runs), quantities)
    return PaperFigure(number, chart, _data(chart.datasets), _caption(chosen))


def _data(datasets: dict[str, list[dict[str, Any]]]) -> pl.DataFrame:
    """Checkpoints, points of frontiers, and lines, in the columns that both resources share.

    `layer` is `runs`, `frontier`, or the quantity that a line is of; `axis` is `flops` or `device_hours`.
    """
    import polars as pl

    frame = drawn(datasets)
    axis = pl.col("layer").str.extract(r"-(\w+)$")
    return frame.select(
        pl.col("layer").str.replace(r"-\w+$", ""),
        axis.alias("axis"),
        pl.exclude("layer", "frontier", "checkpoints"),
    )


def _caption(envelopes: list[Envelope]) -> str:
    """What is drawn, and every slope with its interval."""
    first = envelopes[0]
    slopes = []
    for envelope in envelopes:
        line = envelope.fits["tokens_per_param"]
        ends = (envelope.intervals or {}).get("tokens_per_param", {}).get("slope")
        interval = "(no interval)" if ends is None else interval_text(ends, "slope")
        resource = "FLOPs" if envelope.resource == "flops" else "device hours"
        what = "points of the hull" if envelope.method == "hull" else "bins"
        slopes.append(f"{len(envelope.frontier)} {what} over {resource} {line.slope:.3f} {interval}")
    flags = dict.fromkeys(flag for envelope in envelopes for flag in envelope.flags)
    cautions = "".join(f" Caution: {caution(flag)}." for flag in flags)
    return (
        f"Approach 1 on {selection_words(first.dataset, first.selection)}: {counted(first.rows, 'checkpoint')} of "
        f"{counted(first.runs, 'run')}. FLOPs by Appendix G, parameters in total. Slopes of log tokens per parameter: "
        f"{'; '.join(slopes)}. Intervals are of {level_text(first.level)}, from resamples by run, "
        f"{OF_FRONTIER}.{cautions}"
    )
