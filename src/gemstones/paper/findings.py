"""What each figure of the paper shows, in a sentence with a number: its title. Everything in it is computed.

Figures 2 and 3 have theirs from their own modules. Numbers come from what is drawn, or from the analysis behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gemstones.analyses.overspend.overspend import Overspend
from gemstones.analyses.overtrain.overtrain import TYPICAL, Overtraining
from gemstones.figures import style
from gemstones.figures.curves import REFERENCE
from gemstones.numbers import counted, estimate_text, flops_text
from gemstones.paper.alike import EXTENDED
from gemstones.paper.analyses import Analyses
from gemstones.paper.approach1_figures import SELECTIONS
from gemstones.paper.claim import Write, between, written
from gemstones.paper.figure import PaperFigure
from gemstones.paper.fits import PAPER_FORM, PREDICTS, EnvelopeKey
from gemstones.paper.forms import FORMS, HEADLINE, TABLED
from gemstones.paper.overtraining_claims import at_factor
from gemstones.paper.rainbow import AT, EVERY, nearest, rainbow_curves
from gemstones.paper.starts_claims import FEW_STARTS
from gemstones.paper.upstream import SETS
from gemstones.report.findings import frontier_growth
from gemstones.report.steps import RESOURCES
from gemstones.units import Interval, format_quantity
from gemstones.words import RESOURCE_WORDS, listed

if TYPE_CHECKING:
    import polars as pl

LONGEST = 100
"""Characters of a line of a title: every figure is wide enough for them."""


def titled(figure: PaperFigure, finding: str) -> PaperFigure:
    """With `finding` as its title, and what its title said, which is what is drawn, as the first line below.

    A figure without a `finding` keeps its title, which then is one.
    """
    import altair as alt

    chart = figure.chart.copy(deep=False)  # type: ignore[attr-defined]
    old = chart.title
    full = isinstance(old, alt.TitleParams)
    drawn, subtitle = (_lines(old.text), _lines(old.subtitle)) if full else (_lines(old), [])
    if not finding:
        return replace(figure, finding=" ".join(drawn))
    chart.title = alt.TitleParams(style.wrapped(finding, LONGEST), subtitle=[*drawn, *subtitle], offset=14)
    return replace(figure, chart=chart, finding=finding)


def _lines(text: object) -> list[str]:
    return [text] if isinstance(text, str) else [str(line) for line in text] if isinstance(text, list) else []


def finding(figure: PaperFigure, made: Analyses) -> str:
    """The title of a figure; empty for those that have one."""
    if figure.variant:
        return _OF_FORMS[figure.number](made)
    if figure.number in EXTENDED:
        return sizes(figure.data)
    if (of := _OF_DATA.get(figure.number)) is not None:
        return of(figure.data)
    return _OF_ANALYSES[figure.number](made) if figure.number in _OF_ANALYSES else ""


def _with(value: float, ends: Interval | None, write: Write) -> str:
    return written(value, write) + ("" if ends is None else f" {between(ends, write)}")


# ---- From analyses


def _ratio(made: Analyses) -> str:
    slopes = []
    for method, words in (("hull", "the hull"), ("bins", "bins")):
        envelope = made.envelopes[EnvelopeKey(SELECTIONS[4], "flops", method)]  # type: ignore[arg-type]
        ends = (envelope.intervals or {}).get("tokens_per_param", {}).get("slope")
        slope = envelope.fits["tokens_per_param"].slope
        slopes.append(f"{estimate_text('exponent', slope, ends)} by {words}")
    return f"Tokens per parameter go as FLOPs to the power {', '.join(slopes)}"


def _frontier(number: int) -> Callable[[Analyses], str]:
    return lambda made: frontier_growth([made.envelopes[EnvelopeKey(SELECTIONS[number])]])


def _trend(made: Analyses) -> str:
    said = []
    for quantity, words in (("aspect_ratio", "width/depth"), ("tokens_per_param", "tokens per parameter")):
        first, last = (
            _with(*made.forms.value(PAPER_FORM, quantity, b), ".3g") for b in (TABLED[0], TABLED[-1])
        )
        said.append(f"{words} from {first} to {last}")
    budgets = f"{flops_text(TABLED[0])} to {flops_text(TABLED[-1])}"
    return f"From {budgets} FLOPs the best shape goes in {' and in '.join(said)}"


def spread(made: Analyses) -> str:
    """Over which sizes the curves of the Gemstones spread."""
    budget, sizes_at = 0.0, []
    for curve in rainbow_curves(*(one for one in made.rainbow if one.dataset == made.gemstones.dataset)):
        if curve.kind == EVERY:
            at = nearest(curve.budgets)
            budget = curve.budgets[at]
            sizes_at.append(float(curve.n_opt[at]))
    known = [size for size in sizes_at if math.isfinite(size)]
    return (
        f"For {flops_text(float(f'{budget:.3g}'))} FLOPs {len(known)} analyses of one suite prescribe "
        f"{format_quantity(min(known))} to {format_quantity(max(known))} parameters"
    )


def worst(found: Sequence[Overspend]) -> str:
    """The largest overspend by resource."""
    said = []
    for one in found:
        most = max((s for s in one.shapes if s.overspend is not None), key=lambda s: s.overspend or 0.0)
        said.append(f"{most.overspend:.0%} more {RESOURCE_WORDS[one.resource]} ({most.name})")
    return f"The least efficient shape used {' and '.join(said)} than the frontier needs for its loss"


def overtraining(found: Sequence[Overtraining]) -> str:
    """What typical overtraining costs at the first budget and the last."""
    said = []
    for one in (found[0], found[-1]):
        point = at_factor(one, TYPICAL)
        if point is not None and point.loss_increase is not None:
            cost = _with(point.loss_increase, point.increase_interval, "+.1%")
            said.append(f"{cost} at {flops_text(one.budget)}")
    return f"{TYPICAL:g} times the optimal tokens raise the loss by {' and '.join(said)} FLOPs"


def _sets(made: Analyses) -> str:
    said = [
        f"{_with(one.ratio, one.ratio_interval, '.3g')} on {SETS[one.name]}" for one in made.upstream.sets[1:]
    ]
    at = flops_text(AT)
    return (
        f"Losses on other sets prescribe {' and '.join(said)} times the N* of the runs' own set at {at} FLOPs"
    )


def _errors(made: Analyses) -> str:
    points = [100 * one.mean_task.root_mean_square for one in made.upstream.sets]
    return (
        f"The loss tells the mean error of nine tasks to {min(points):.2f} to {max(points):.2f} points (root mean "
        "square), on any set"
    )


def _equal_loss(made: Analyses) -> str:
    mean = made.upstream.at_equal_loss[0]
    ends = None if mean.interval is None else (100 * mean.interval[0], 100 * mean.interval[1])
    settled = "" if mean.settled else ", which cannot be told from none"
    return (
        f"At equal loss a doubling of width/depth moves the mean error by {_with(100 * mean.slope, ends, '+.2f')} "
        f"points{settled}"
    )


def _wider(made: Analyses) -> str:
    means = []
    for resource in RESOURCES:
        frontier = made.overspends[resource, "interpolate"].frontier
        ratios = [s.width / s.depth for s in frontier if s.width and s.depth]
        means.append(math.exp(np.mean(np.log(ratios))))
    return (
        f"Shapes on the frontier at 300B tokens have width/depth {means[0]:.0f} over FLOPs, {means[1]:.0f} over device "
        "hours (geometric means)"
    )


_OF_ANALYSES: Mapping[int, Callable[[Analyses], str]] = {
    4: _ratio,
    5: _trend,
    6: spread,
    7: lambda made: worst([made.overspends[r, "interpolate"] for r in RESOURCES]),
    8: lambda made: overtraining(made.overtrained),
    **{number: _frontier(number) for number in (9, 10, 11)},
    25: _sets,
    26: _errors,
    27: _equal_loss,
    28: _wider,
}


# ---- Of the form that predicts


def _tokens_by_form(made: Analyses) -> str:
    said = [
        f"{_with(*made.forms.value(form, 'tokens_per_param', HEADLINE), '.2g')} by {form}"
        for form in (PREDICTS, PAPER_FORM)
    ]
    return f"Tokens per parameter at {flops_text(HEADLINE)} FLOPs: {', '.join(said)}"


def _spread_by_form(made: Analyses) -> str:
    said = [f"{float(made.forms.spread(form)[0]):.2f} by {form}" for form in FORMS]
    return f"Over selections N* at {flops_text(HEADLINE)} FLOPs spreads by a factor of {listed(said)}"


_OF_FORMS: Mapping[int, Callable[[Analyses], str]] = {
    5: _tokens_by_form,
    6: _spread_by_form,
    8: lambda made: f"By (w,d,N,T)^p {overtraining(made.overtrained_predicts)}",
}


# ---- From what is drawn


def sizes(data: pl.DataFrame) -> str:
    """What every law of the figure prescribes at one budget."""
    import polars as pl

    rows = data.filter(
        (pl.col("layer") == "curve")
        & (pl.col("quantity") == "params")
        & (pl.col("budget_flops") == AT)
        & (pl.col("where") != REFERENCE)
    )
    said = []
    for row in rows.iter_rows(named=True):
        ends = None if row["low"] is None else (row["low"], row["high"])
        law = " ".join(str(row["series"]).split()).replace(" fitted to ", " (", 1).partition(" (")[0]
        said.append(f"{_with(row['value'], ends, format_quantity)} parameters by {law}")
    if not said:
        return ""
    return f"Prescribed for {flops_text(AT)} FLOPs: {', '.join(said)}"


def few_starts(data: pl.DataFrame) -> str:
    """How far exponents spread of the best of a few starts, by solver."""
    import polars as pl

    few = max(n for n in data["starts"].to_list() if n <= FEW_STARTS)
    at = data.filter(pl.col("starts") == few).with_columns(spread=pl.col("high") - pl.col("low"))
    most = {
        s: at.filter(pl.col("solver") == s)["spread"].drop_nulls().to_list() for s in ("lbfgs", "gemstones")
    }
    return (
        f"From {few} starts the exponent of T* spreads over up to {max(most['lbfgs']):.2f} by L-BFGS-B with numerical "
        f"gradients, {max(most['gemstones']):.2f} by this project's solver"
    )


def shapes(data: pl.DataFrame) -> str:
    """How many shapes the rules allow, and how many of the trained they do not."""
    trained, feasible = data["trained"], data["feasible"]
    return (
        f"The rules allow {counted(int(feasible.sum()), 'shape')} at {data['size'].n_unique()} sizes; of the "
        f"{int(trained.sum())} trained {int((trained & ~feasible).sum())} are outside them"
    )


def last_losses(data: pl.DataFrame) -> str:
    """Between which losses the runs end."""
    last = data.sort("tokens").group_by("run", maintain_order=True).last().sort("loss")
    least, most = last.row(0, named=True), last.row(-1, named=True)
    return (
        f"{counted(last.height, 'run')} end at losses from {least['loss']:.3f} ({least['shape']}) to "
        f"{most['loss']:.3f} ({most['shape']}) nats per token"
    )


def miscounted(data: pl.DataFrame) -> str:
    """By how much 6·N is off for the trained shapes."""
    import polars as pl

    rows = data.filter(pl.col("kind") == "trained").sort("ratio")
    low, high = rows.row(0, named=True), rows.row(-1, named=True)
    return (
        f"A token costs {low['ratio']:.2f} ({low['shape']}) to {high['ratio']:.2f} ({high['shape']}) times the FLOPs "
        "that 6·N has, N in total"
    )


_OF_DATA: Mapping[int, Callable[[pl.DataFrame], str]] = {
    20: few_starts,
    22: shapes,
    23: last_losses,
    24: miscounted,
}
