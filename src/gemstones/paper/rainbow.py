"""Figure 6 of the paper: the parameters that different analyses of the same runs prescribe, over a budget.

Every selection of the Gemstones and of the Chinchilla data, by Approach 1 (the hull, FLOPs by Appendix G, 6·N·T where
shapes are not known) and by Approach 3 (`N,T`, Hoffmann's closed form), counting all parameters or without embeddings:
in Approach 1 without embedding and head, in Approach 3 without the input embedding, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.analyses.sensitivity.choices import Approach, Choices, FlopsChoice, Levels
from gemstones.analyses.sensitivity.figures import COLORS
from gemstones.analyses.sensitivity.sensitivity import Sensitivity, sensitivity
from gemstones.analyses.sensitivity.sweep import Sweep
from gemstones.arguments import checked
from gemstones.figures import style
from gemstones.laws.interval import level_text
from gemstones.laws.law import Law
from gemstones.laws.parallel import Workers
from gemstones.laws.published import FrontierLaw, published
from gemstones.paper.approach3_curves import optimum
from gemstones.paper.rainbow_intervals import (
    INTERVALS,
    REFERENCE,
    Prescription,
    interval_rows,
    intervals_panel,
)
from gemstones.paper.spaced import spaced
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray
from gemstones.units import Interval
from gemstones.words import PARAMS_WORDS, law_words

if TYPE_CHECKING:
    import altair as alt

BUDGETS = tuple(np.geomspace(1e18, 1e28, 41).tolist())
AT = 1e22
"""FLOPs at which the intervals of all analyses are drawn."""
WITHOUT: dict[Approach, ParamsConvention] = {"hull": "non_embedding", "approach3": "no_embedding"}
"""What the paper's "No Embeds" counts."""
DELTA = 1e-4
REFERENCES = ("kaplan", "chinchilla-epoch")
SELECTION_WORDS = {
    "gemstones": {
        "all": "all checkpoints",
        "le100B": "up to 100B tokens",
        "gt120B": "from 120B tokens",
        "lr-ablation": "half the learning rate",
        "cooldown": "cooldowns",
        "width512": "width 512 only",
        "chinchilla-reduced": "reduced as Chinchilla",
    },
    "chinchilla": {
        "epoch": "Chinchilla data",
        "all": "Chinchilla data, outliers kept",
        "hoffmann-reduced": "Chinchilla data, reduced",
    },
}
HEADINGS: dict[Approach, str] = {
    "hull": "Approach 1: line through the hull",
    "approach3": "Approach 3: law in N and T",
}
FLOPS_TITLES: dict[Approach, str] = {
    "hull": "FLOPs budget (Appendix G, of Chinchilla data 6·N·T)",
    "approach3": "FLOPs budget (6·N·T)",
}
EVERY, WITHOUT_WORDS = "All parameters", "Without embeddings"
_DASHES = {
    EVERY: style.dash(reference=False),
    WITHOUT_WORDS: [4.0, 3.0],
    REFERENCE: style.dash(reference=True),
}
_WIDTHS = {EVERY: style.LINE_WIDTH, WITHOUT_WORDS: 1.2, REFERENCE: style.REFERENCE_WIDTH}
WIDTH, HEIGHT = 740, 470
"""Of all panels that stand beside each other, and of each, in CSS pixels."""
LABEL_HEIGHT = 15.5
"""Between the labels at the ends of curves, in CSS pixels."""
LINK = 16
"""From a curve's end to its label, in CSS pixels."""


@dataclass(frozen=True, eq=False)
class Curve:
    """N*(C) of one analysis."""

    series: str
    """The selection, or the published law."""
    approach: Approach | None
    """None for a published law."""
    params_convention: ParamsConvention
    flops_convention: str
    budgets: tuple[float, ...]
    n_opt: FloatArray
    """NaN where there is no optimum."""
    interval: Interval | None = None
    """Of N* at `AT`."""

    @property
    def kind(self) -> str:
        """How it is drawn."""
        if self.approach is None:
            return REFERENCE
        return EVERY if self.params_convention == "total" else WITHOUT_WORDS


def rainbow_sensitivities(
    gemstones: RunTable,
    chinchilla: RunTable | None = None,
    *,
    bootstrap: int = 100,
    seed: int = 0,
    workers: Workers = None,
) -> tuple[Sensitivity, ...]:
    """The fits of Figure 6: of all usual selections of `gemstones`, and of two of `chinchilla`."""
    wanted: list[tuple[RunTable, tuple[str, ...] | None, FlopsChoice]] = [(gemstones, None, "gemstones")]
    if chinchilla is not None:
        wanted.append((chinchilla, ("epoch", "hoffmann-reduced"), "6N"))  # shapes are not known
    made = []
    for runs, selections, of_hull in wanted:
        for approach, without in WITHOUT.items():
            flops = of_hull if approach == "hull" else "6N"
            levels = Levels((approach,), ("N,T",), ("total", without), (flops,), (DELTA,))
            sweep = Sweep.of(runs, levels, selections=selections)
            made.append(sensitivity(sweep, BUDGETS, bootstrap=bootstrap, seed=seed, workers=workers))
    return tuple(made)


def rainbow_curves(*made: Sensitivity) -> list[Curve]:
    """The curves of the figure: two approaches, with and without embeddings, of every selection, and published laws."""
    curves = [
        Curve(
            series_words(one.dataset, study.choices.selection),
            study.choices.approach,
            study.choices.params_convention,
            study.choices.flops,
            one.budgets,
            study.prescribed.n_opt[0],
            study.prescribed.interval("n_opt", nearest(one.budgets), one.level) if one.bootstrap else None,
        )
        for one in made
        for study in one.studies
        if study.choices.loss == one.base.choices.loss
        and _drawn(study.choices, {other.choices.flops_convention for other in one.studies})
    ]
    budgets = np.array(max((one.budgets for one in made), key=len))
    return [*curves, *reference_curves(budgets)]


def nearest(budgets: Sequence[float]) -> int:
    """The position of the budget nearest to `AT`."""
    return int(np.abs(np.log(np.array(budgets) / AT)).argmin())


def reference_curves(budgets: FloatArray) -> list[Curve]:
    """The published laws that every panel has."""
    return [_reference(name, budgets) for name in REFERENCES]


def _drawn(choices: Choices, known: set[FlopsChoice]) -> bool:
    convention: FlopsChoice = "gemstones" if choices.approach == "hull" and "gemstones" in known else "6N"
    return (
        choices.approach in WITHOUT
        and choices.law in {"-", "N,T"}
        and choices.flops_convention == convention
        and choices.params_convention in {"total", WITHOUT[choices.approach]}
        and choices.delta in {None, DELTA}
    )


def series_words(dataset: str, selection: str) -> str:
    """What the runs of a selection are, as a legend has it."""
    known = SELECTION_WORDS.get(dataset)
    return f"{dataset}, {selection}" if known is None else known.get(selection, selection)


def _reference(name: str, budgets: FloatArray) -> Curve:
    law = published(name)
    assert isinstance(law, Law | FrontierLaw)
    counted = np.array([optimum(law, float(budget))[0] for budget in budgets])
    convention = law.params_convention
    return Curve(law_words(name), None, convention, f"6N_{convention}", tuple(budgets.tolist()), counted)


@checked
def rainbow_figure(*made: Sensitivity) -> alt.VConcatChart:
    """Figure 6, over budgets in FLOPs, from sensitivity analyses `made` of one or more data sets.

    See `rainbow_sensitivities` for those of the paper. Raises `MissingExtra` without altair, `InvalidRequest` where
    nothing is given.

    >>> from gemstones.analyses.sensitivity.ask import sensitivity
    >>> rainbow_figure(sensitivity("gemstones"))  # doctest: +SKIP
    """
    style.need_altair()
    curves = rainbow_curves(*made)
    panels: dict[str, Panel] = {}
    for approach, flops in FLOPS_TITLES.items():
        drawn = tuple(curve for curve in curves if curve.approach in {None, approach})
        if any(curve.approach for curve in drawn):
            panels[approach] = Panel(HEADINGS[approach], flops, drawn)
    said = [
        "Colour: the checkpoints that were fitted, named where their curve of all parameters ends",
        "without embeddings: Approach 1 leaves out embedding and head, Approach 3 the embedding",
    ]
    title = "A rainbow of scaling laws: the parameters prescribed for a budget, by analysis"
    found: list[Prescription] = []
    if any(curve.interval for curve in curves):
        level = level_text(made[0].level)
        said.append(f"below: {level} intervals from {made[0].bootstrap} resamples by run, all parameters")
        found = [prescription(curve) for curve in curves if curve.kind != WITHOUT_WORDS]
    return rainbow_panels(panels, made[0].fitted_flops, title, said, found)


BY: dict[Approach | None, str] = {"hull": "Approach 1", "approach3": "Approach 3", None: REFERENCE}


def prescription(curve: Curve) -> Prescription:
    """What a curve says at `AT`."""
    at = nearest(curve.budgets)
    return Prescription(curve.series, BY[curve.approach], float(curve.n_opt[at]), curve.interval)


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn over each other."""

    heading: str
    flops: str
    """Title of the axis of budgets."""
    curves: Sequence[Curve]


def rainbow_panels(
    panels: Mapping[str, Panel],
    fitted: Interval | None,
    title: str,
    said: Sequence[str],
    found: Sequence[Prescription] = (),
) -> alt.VConcatChart:
    """Panels of prescribed parameters over budgets beside each other, on one axis, and below them the intervals of what
    was `found` at `AT`; data by their names."""
    import altair as alt

    curves = [curve for panel in panels.values() for curve in panel.curves]
    values = np.concatenate([curve.n_opt[np.isfinite(curve.n_opt)] for curve in curves])
    domain = style.padded(float(values.min()), float(values.max()), 0.02)
    series = list(dict.fromkeys(curve.series for curve in curves if curve.approach is not None))
    palette = {name: COLORS[i % len(COLORS)] for i, name in enumerate(series)}
    palette |= dict(zip(map(law_words, REFERENCES), style.law_colors(REFERENCES), strict=True))
    kinds = [kind for kind in _DASHES if any(curve.kind == kind for curve in curves)]
    drawn: list[alt.LayerChart] = []
    data: dict[str, list[dict[str, Any]]] = {}
    for name, panel in panels.items():
        data[f"curves-{name}"] = _rows(panel.curves)
        data[f"labels-{name}"] = _labels(panel.curves, domain)
        drawn.append(
            _panel(name, panel, domain, palette, kinds, fitted, WIDTH // len(panels), first=not drawn)
        )
    rows: list[Any] = [alt.hconcat(*drawn)]
    if found:
        data[INTERVALS] = interval_rows(found)
        rows.append(intervals_panel(found, palette, WIDTH + 60, AT))
    heading = alt.TitleParams(title, subtitle=style.clauses(said, 120), offset=14)
    apart: alt.VConcatChart = alt.vconcat(*rows, spacing=28).resolve_scale(shape="independent")
    return style.themed(apart.properties(title=heading), data)


def _panel(
    name: str,
    panel: Panel,
    domain: tuple[float, float],
    palette: dict[str, str],
    kinds: Sequence[str],
    fitted: Interval | None,
    width: int,
    *,
    first: bool,
) -> alt.LayerChart:
    import altair as alt

    legend = alt.Legend(
        title=None,
        symbolType="stroke",
        symbolSize=520,
        orient="none",
        legendX=width - 188,
        legendY=HEIGHT - 18 - 22 * len(kinds),
    )

    def by_kind(channel: Any, marks: dict[str, Any]) -> Any:
        scale = alt.Scale(domain=list(kinds), range=[marks[kind] for kind in kinds])
        return channel("kind:N", scale=scale, legend=legend if first else None)

    color = alt.Color(
        "series:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None
    )
    budgets = panel.curves[0].budgets
    x = style.log_x("budget", panel.flops, (min(budgets), max(budgets)), "power", 6)
    y = style.log_y(
        "n_opt", "Prescribed parameters N*, as each law counts them" if first else "", domain, "si"
    )
    lines = (
        alt.Chart(alt.NamedData(name=f"curves-{name}"))
        .transform_filter("isValid(datum.n_opt)")
        .mark_line(clip=True)
        .encode(
            x,
            y,
            color=color,
            strokeDash=by_kind(alt.StrokeDash, _DASHES),
            strokeWidth=by_kind(alt.StrokeWidth, _WIDTHS),
            detail="curve:N",
            tooltip=style.tooltips("series:N", "convention:N", "budget:Q", "n_opt:Q"),
        )
    )
    labels = alt.Chart(alt.NamedData(name=f"labels-{name}"))
    links = labels.mark_rule(strokeWidth=1.3).encode(
        x=alt.value(width), x2=alt.value(width + LINK), y=alt.Y("n_opt:Q"), y2=alt.Y2("at:Q"), color=color
    )
    words = labels.mark_text(align="left", fontSize=12, color=style.INK).encode(
        x=alt.value(width + LINK + 4), y=alt.Y("at:Q"), text="series:N"
    )
    heading = alt.TitleParams(panel.heading, fontSize=13.5, anchor="middle")
    layers = [*_fitted(fitted, x, first=first), lines, links, words]
    return alt.LayerChart(layer=layers, width=width, height=HEIGHT, title=heading)


def _fitted(fitted: Interval | None, x: alt.X, *, first: bool) -> list[alt.Chart]:
    """What the runs of the first analysis span, shaded, and named in the first panel."""
    import altair as alt

    if fitted is None:
        return []
    values = [{"budget": fitted[0], "end": fitted[1], "middle": (fitted[0] * fitted[1]) ** 0.5}]
    where = alt.Chart(alt.InlineData(values=values))
    words = where.mark_text(
        text="fitted runs", baseline="top", dy=6, fontSize=12, color=style.SOFT_INK, fontStyle="italic"
    )
    shade = where.mark_rect(color="#F1EEDF").encode(x, x2="end")
    return [shade, words.encode(alt.X("middle:Q"), y=alt.value(0))] if first else [shade]


def _rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    return [
        {
            "curve": number,
            "series": curve.series,
            "kind": curve.kind,
            "convention": PARAMS_WORDS[curve.params_convention],
            "budget": budget,
            "n_opt": float(n) if np.isfinite(n) else None,
        }
        for number, curve in enumerate(curves)
        for budget, n in zip(curve.budgets, curve.n_opt, strict=True)
    ]


def _labels(curves: Sequence[Curve], domain: tuple[float, float]) -> list[dict[str, Any]]:
    """Names of the curves that end inside, where they end or, where those are close, one above the other."""
    named = [curve for curve in curves if curve.kind != WITHOUT_WORDS and np.isfinite(curve.n_opt[-1])]
    named.sort(key=lambda curve: float(curve.n_opt[-1]))
    low, high = np.log(domain)
    wanted = [float(np.log(curve.n_opt[-1]) - low) / (high - low) * HEIGHT for curve in named]
    return [
        {
            "series": curve.series,
            "n_opt": float(curve.n_opt[-1]),
            "at": float(np.exp(low + at / HEIGHT * (high - low))),
        }
        for curve, at in zip(named, spaced(wanted, LABEL_HEIGHT, HEIGHT), strict=True)
    ]
