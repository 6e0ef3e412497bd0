"""Figure 3 of the paper: final loss over the learning rate, and over the rate rescaled by width and depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.accounting.parameters import params
from gemstones.design.recipe import LR_BASE
from gemstones.figures import style
from gemstones.numbers import number_text
from gemstones.paper.figure import PaperFigure
from gemstones.runs.lr_sweep import UNIFORM_LOSS, SweepRun, load_lr_sweep
from gemstones.runs.table import RunTable
from gemstones.shape import Shape
from gemstones.units import Interval, format_quantity

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

AXES = {
    "lr_eff": "Learning rate, lr_eff",
    "lr_base": "lr_base = lr_eff · width · √depth",
}
# Dashed is the wider of two shapes of about one size, and so of one colour.
_DASHES = ([1, 0], [6, 3], [1, 0], [6, 3])
_MARKS = ("circle", "square", "diamond", "triangle-up")
STRIP = 1.16
"""Over the loss of finding every token equally likely: how far the axis goes, with room for runs that diverged."""
_INDEPENDENT: Any = dict.fromkeys(("color", "shape", "strokeDash", "size"), "independent")


@dataclass(frozen=True)
class Optimum:
    """The best of a shape's rates, and its neighbours in the sweep, between which the optimum lies."""

    shape: Shape
    loss: float
    lr_eff: float
    lr_eff_between: Interval
    lr_base: float
    lr_base_between: Interval


@dataclass(frozen=True)
class Optima:
    """Where the loss is least, before and after rescaling."""

    by_shape: tuple[Optimum, ...]
    lr_eff_ratio: float
    """Largest best rate over smallest."""
    lr_base_ratio: float
    """The same of the rescaled rates."""
    lr_eff_common: Interval | None
    """Rates at which every shape may have its optimum, as far as a sweep this coarse can tell; None for none."""
    lr_base_common: Interval | None


def learning_rate_optima(sweep: Sequence[SweepRun] | None = None) -> Optima:
    """The best rate of every shape of `sweep`, by default the published one.

    The sweep's rates are factors of 2 and 5 apart: its optimum is known to lie between the neighbours of the
    best rate, no better. Runs that diverged count like others, with the loss that they ended with.
    """
    sweep = load_lr_sweep() if sweep is None else sweep
    shapes = dict.fromkeys(run.shape for run in sweep)
    optima = tuple(_optimum([run for run in sweep if run.shape == shape]) for shape in shapes)
    rates, bases = [o.lr_eff for o in optima], [o.lr_base for o in optima]
    return Optima(
        optima,
        max(rates) / min(rates),
        max(bases) / min(bases),
        _common([o.lr_eff_between for o in optima]),
        _common([o.lr_base_between for o in optima]),
    )


def _optimum(runs: Sequence[SweepRun]) -> Optimum:
    """Of one shape; beyond the first and the last rate nothing bounds the optimum."""
    runs = sorted(runs, key=lambda run: run.lr_eff)
    best = min(range(len(runs)), key=lambda i: runs[i].loss)
    at = runs[best]
    low = runs[best - 1].lr_eff if best > 0 else 0.0
    high = runs[best + 1].lr_eff if best + 1 < len(runs) else math.inf
    scale = at.lr_base / at.lr_eff
    return Optimum(at.shape, at.loss, at.lr_eff, (low, high), at.lr_base, (low * scale, high * scale))


def _common(intervals: Sequence[Interval]) -> Interval | None:
    low, high = max(low for low, _ in intervals), min(high for _, high in intervals)
    return (low, high) if low < high else None


def learning_rates_figure(runs: RunTable) -> PaperFigure:
    """Figure 3 from the published sweep; colours are those of the runs of `runs`, by total parameters."""
    style.need_altair()
    import altair as alt
    import polars as pl

    sweep = load_lr_sweep()
    optima = learning_rate_optima(sweep)
    frame = _frame(sweep, optima)
    # A run that diverged has no place on an axis of losses: it is an arrow in a strip above those that did not.
    losses = frame.filter(~pl.col("diverged"))["loss"].to_list()
    domain = (style.padded(min(losses), UNIFORM_LOSS)[0], UNIFORM_LOSS)
    rows = _shown(frame.to_dicts())
    colors = style.RunColors.of(runs)
    panels = [_panel(name, rows, domain, optima, colors, legend=name == "lr_base") for name in AXES]
    title = alt.TitleParams(
        f"Best learning rates are a factor of {number_text(optima.lr_eff_ratio, 2)} apart; rescaled by "
        f"width · √depth, a factor of {number_text(optima.lr_base_ratio, 2)}",
        subtitle=_subtitle(optima, sum(run.diverged for run in sweep)),
        offset=14,
    )
    chart = alt.hconcat(*panels).resolve_scale(**_INDEPENDENT).properties(title=title)
    return PaperFigure(3, style.themed(chart, {"sweep": rows} | _marks(optima)), frame, _caption(optima))


def _subtitle(optima: Optima, diverged: int) -> list[str]:
    lines = [
        f"Four extreme shapes after 2B tokens, one run per rate; a ring marks the best rate of each; arrows: "
        f"{diverged} runs that ended above {UNIFORM_LOSS:.2f} nats (dotted), the loss of finding every token equally "
        "likely"
    ]
    if optima.lr_base_common is not None:
        lines.append(
            "Shaded: where the optima of all shapes may lie at once, between the neighbours of their best rates; "
            f"dashed line: lr_base = {LR_BASE:g}, which the paper chose"
        )
    return lines


def _caption(optima: Optima) -> str:
    bases = [o.lr_base for o in optima.by_shape]
    common = optima.lr_base_common
    within = f", all compatible with {common[0]:.1f} to {common[1]:.1f}" if common else ""
    return (
        f"Final validation loss (nats per token) after 2B tokens over the learning rate (left) and over lr_base = "
        f"lr_eff · width · √depth (right). The best rates of the four shapes differ by a factor of "
        f"{number_text(optima.lr_eff_ratio)}, rescaled by {number_text(optima.lr_base_ratio)} "
        f"(lr_base {min(bases):.1f} to {max(bases):.1f}{within}; the rates tried are factors of 2 and 5 apart)."
    )


def _frame(sweep: Sequence[SweepRun], optima: Optima) -> pl.DataFrame:
    """One row per run."""
    import polars as pl

    best = {(o.shape, o.lr_eff) for o in optima.by_shape}
    dashed = {o.shape: dash != [1, 0] for o, dash in zip(optima.by_shape, _DASHES, strict=True)}
    return pl.DataFrame(
        [
            {
                "shape": str(run.shape),
                "series": _series(run.shape, dashed=dashed[run.shape]),
                "width": run.shape.width,
                "depth": run.shape.depth,
                "params_total": float(params(run.shape)),
                "lr_eff": run.lr_eff,
                "lr_base": run.lr_base,
                "loss": run.loss,
                "diverged": run.diverged,
                "best": (run.shape, run.lr_eff) in best,
            }
            for run in sweep
        ]
    )


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the height at which each run stands, and the shape's line, which ends at the first that diverged."""
    middle = UNIFORM_LOSS * math.sqrt(STRIP)
    shown: list[dict[str, Any]] = []
    for row in rows:
        height = middle if row["diverged"] else row["loss"]
        gone = any(other["shape"] == row["shape"] and other["diverged"] for other in shown)
        shown.append(row | {"shown": height, "line": None if gone else height})
    return shown


def _series(shape: Shape, *, dashed: bool) -> str:
    """As the legend calls it: `256x80 (104M)`, `768x3 (104M), dashed`."""
    return f"{shape} ({format_quantity(params(shape))})" + (", dashed" if dashed else "")


def _panel(
    name: str,
    rows: list[dict[str, Any]],
    domain: tuple[float, float],
    optima: Optima,
    colors: style.RunColors,
    *,
    legend: bool,
) -> alt.LayerChart:
    """Loss over one of `AXES`."""
    import altair as alt

    values = [row[name] for row in rows]
    x = style.log_x(
        name, AXES[name], style.padded(min(values), max(values)), "power" if name == "lr_eff" else "plain", 7
    )
    title = "Final loss (nats/token)"
    shapes = list(dict.fromkeys(row["series"] for row in rows))
    key = alt.Legend(title="Width x depth") if legend else None
    by_mark = alt.Shape("series:N", scale=alt.Scale(domain=shapes, range=list(_MARKS)), legend=key)
    by_dash = alt.StrokeDash("series:N", scale=alt.Scale(domain=shapes, range=list(_DASHES)), legend=None)
    scale = alt.Scale(type="log", domain=[domain[0], domain[1] * STRIP], nice=False)

    def y(field: str) -> alt.Y:
        return style.log_y(field, title, domain, "plain").scale(scale)  # no ticks in the strip

    base = alt.Chart(alt.NamedData(name="sweep")).encode(x, y("shown"))
    color = colors.encoding(legend=False)
    tooltip = ["shape:N", "lr_eff:Q", "lr_base:Q", "loss:Q"]
    line = (
        base.transform_filter("isValid(datum.line)")
        .mark_line(strokeWidth=style.LINE_WIDTH)
        .encode(y("line"), color=color, strokeDash=by_dash)
    )
    points = (
        base.transform_filter("!datum.diverged")
        .mark_point(size=70, filled=True, opacity=1)
        .encode(
            color=colors.encoding(legend=legend),
            shape=by_mark,
            tooltip=tooltip,
        )
    )
    gone = (
        base.transform_filter("datum.diverged")
        .mark_point(shape="arrow", size=420, filled=True, opacity=1)
        .encode(color=color, tooltip=tooltip)
    )
    uniform = (
        alt.Chart(alt.NamedData(name="uniform"))
        .mark_rule(color=style.SOFT_INK, strokeDash=[1, 3], strokeWidth=1.3)
        .encode(y("loss"))
    )
    rings = base.transform_filter("datum.best").mark_point(size=260, strokeWidth=2, color=style.BLACK)
    layers = [uniform, line, points, gone, rings]
    if name == "lr_base":
        layers = [*_rule(x, optima), *layers]
    resolve: Any = {"scale": _INDEPENDENT}
    return alt.LayerChart(layer=layers, resolve=resolve, width=style.PANEL_WIDTH, height=style.PANEL_HEIGHT)


def _rule(x: alt.X, optima: Optima) -> list[alt.Chart]:
    """The rate that the paper chose, and the range that the best rates of all shapes allow; data of `_marks`."""
    import altair as alt

    chosen = alt.Chart(alt.NamedData(name="chosen")).encode(x)
    layers = [
        chosen.mark_rule(color=style.SOFT_INK, strokeDash=[4, 3], strokeWidth=1.5),
        chosen.mark_text(
            text=f"lr_base = {LR_BASE:g}",
            align="left",
            baseline="top",
            dx=6,
            fontSize=12,
            color=style.SOFT_INK,
        ).encode(y=alt.value(6)),
    ]
    if optima.lr_base_common is not None:
        shade = alt.Chart(alt.NamedData(name="common"))
        layers.insert(0, shade.mark_rect(color="#F1EEDF").encode(x, x2="end"))
    return layers


def _marks(optima: Optima) -> dict[str, list[dict[str, float]]]:
    common = [] if optima.lr_base_common is None else [optima.lr_base_common]
    return {
        "chosen": [{"lr_base": LR_BASE}],
        "uniform": [{"loss": UNIFORM_LOSS}],
        "common": [{"lr_base": low, "end": high} for low, high in common],
    }
