"""Figure 8 of the paper: predicted loss over how much longer than optimal one trains, for several budgets.

A panel for each budget, all of them spanning the same ratio of losses, so that a percent of loss is as high in one as
in the other and flatter curves are flatter. Losses of industry models on the same validation data are lines to compare
with, as many as can be read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemstones.analyses.overtrain.overtrain import TYPICAL, Overtrained, Overtraining
from gemstones.arguments import checked
from gemstones.display import ends_text
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.planning.cost import amount_text
from gemstones.runs.industry import IndustryModel
from gemstones.runs.loss_units import PER
from gemstones.units import format_quantity
from gemstones.words import PARAMS_WORDS, flops_words, law_words

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 275, 225
"""Of a panel, in CSS pixels; four are a page."""
MOST_TICKS = 9
MOST_MODELS = 5
MODEL_GAP = 21.0
"""Pixels between the lines of two models: each has its name over it."""
LINE_HEIGHT = 14
"""Of words in a panel, in pixels."""
WIDEST_RATIO = 1.45
"""The losses of a panel, greatest over least, are cut at this: of tiny budgets the curves are as steep as walls."""
BELOW, ABOVE = 0.05, 0.02
"""Room under the lowest optimum and over the highest loss, in the logarithm."""
MODEL_COLOR = "#9A9A9A"
Rows = list[dict[str, Any]]
_INDEPENDENT: Any = dict.fromkeys(("x", "y"), "independent")


@checked
def overtrain_figure(
    found: Overtraining | Sequence[Overtraining], industry: Sequence[IndustryModel] = ()
) -> alt.HConcatChart:
    """Figure 8: a panel for each of `found`, with the losses of `industry` models that lie within it.

    Raises `InvalidRequest` where nothing is given, `MissingExtra` without altair.

    >>> from gemstones.analyses.overtrain.overtrain import overtrain
    >>> chart = overtrain_figure(overtrain(1e22, "chinchilla", [1, 4]))  # shows itself in a notebook
    """
    style.need_altair()
    import altair as alt

    found = [found] if isinstance(found, Overtraining) else found
    if not found:
        raise InvalidRequest("a figure of overtraining needs a budget to draw: none was given")
    below, above = _span(found)
    factors = [point.factor for one in found for point in one.points]
    # Room on the right for the words at the factor that is put in words.
    x_domain = style.padded(min(factors), max(factors), 0.03)
    x_domain = x_domain[0], max(x_domain[1], TYPICAL * (x_domain[1] / x_domain[0]) ** 0.29)
    data: dict[str, Rows] = {}
    panels, cut = [], False
    for i, one in enumerate(found):
        assert one.optimum.loss is not None
        y_domain = one.optimum.loss * math.exp(-below), one.optimum.loss * math.exp(above)
        every = [_row(one, p) for p in one.points if p.loss is not None]
        # A loss far beyond, of a size that no shape has, would draw a line straight up.
        highest = y_domain[1] * y_domain[1] / y_domain[0]
        data[f"curve-{i}"] = [row for row in every if row["loss"] <= highest]
        cut = (
            cut
            or len(data[f"curve-{i}"]) < len(every)
            or any(_beyond(row, y_domain) for row in data[f"curve-{i}"])
        )
        for row in data[f"curve-{i}"]:
            if row["loss"] > y_domain[1]:  # words are not clipped: the figure would be as high as they are
                row["text"] = None
        data[f"models-{i}"] = _models(industry, data[f"curve-{i}"], y_domain)
        panels.append(_panel(i, one, data, x_domain, y_domain, first=i == 0, several=_laws(found) > 1))
    title = alt.TitleParams("The cost of overtraining", subtitle=_subtitle(found, data, cut=cut), offset=16)
    chart: alt.HConcatChart = (
        alt.hconcat(*style.kept(panels), spacing=22).resolve_scale(**_INDEPENDENT).properties(title=title)
    )
    return style.themed(chart, data)


def _laws(found: Sequence[Overtraining]) -> int:
    return len({one.optimum.law_name for one in found})


def _span(found: Sequence[Overtraining]) -> tuple[float, float]:
    """How far a panel reaches below and above the loss of its optimum, in the logarithm, the same for all."""
    ends = [
        (math.log(end / one.optimum.loss))
        for one in found
        for point in one.points
        if point.loss is not None and one.optimum.loss is not None
        for end in (point.loss, *(point.loss_interval or ()))
    ]
    losses = [
        math.log1p(point.loss_increase)
        for one in found
        for point in one.points
        if point.loss_increase is not None
    ]
    above = min(max(losses, default=0.0), math.log(WIDEST_RATIO)) + ABOVE
    # Bands are cut where they would make the curves flat.
    return min(max(BELOW, -min(ends, default=0.0)), max(BELOW, above / 2)), max(above, BELOW)


def _row(found: Overtraining, point: Overtrained) -> dict[str, Any]:
    low, high = point.loss_interval or (None, None)
    increase_low, increase_high = point.increase_interval or (None, None)
    return {
        "factor": point.factor,
        "loss": point.loss,
        "low": low,
        "high": high,
        "increase": point.loss_increase,
        "increase_low": increase_low,
        "increase_high": increase_high,
        "shape": None if point.shape is None else str(point.shape),
        "params": point.params,
        "tokens": point.tokens,
        "text": _label(found, point),
    }


def _beyond(row: dict[str, Any], domain: tuple[float, float]) -> bool:
    """Whether the curve or its band leaves the panel."""
    ends = [row[field] for field in ("loss", "low", "high") if row[field] is not None]
    return bool(min(ends) < domain[0] * (1 - 1e-9) or max(ends) > domain[1] * (1 + 1e-9))


def _label(found: Overtraining, point: Overtrained) -> str | None:
    """What is written at the optimum, and at the factor that is put in words."""
    best = found.optimum
    if point.factor == 1:
        size = f"{format_quantity(best.params)} parameters"
        return f"{size if best.shape is None else best.shape}\n{format_quantity(best.tokens)} tokens"
    if point.factor == TYPICAL and point.loss_increase is not None and point.params is not None:
        lines = [f"loss +{point.loss_increase:.1%}", f"N −{1 - point.params / best.params:.0%}"]
        if point.increase_interval is not None:
            low, high = (f"{100 * end:.1f}".replace("-", "−") for end in point.increase_interval)
            lines.insert(1, ends_text(f"{low}%", f"{high}%"))
        return "\n".join(lines)
    return None


def _models(industry: Sequence[IndustryModel], curve: Rows, domain: tuple[float, float]) -> Rows:
    """Models whose loss lies in the panel and whose names keep clear of one another and of the words at the curve."""

    def height(loss: float) -> float:
        return HEIGHT * (1 - math.log(loss / domain[0]) / math.log(domain[1] / domain[0]))

    # Words hang under their points; the names of models stand on their lines.
    busy = [
        (height(row["loss"]) - 4, height(row["loss"]) + 10 + LINE_HEIGHT * (2 + row["text"].count("\n")))
        for row in curve
        if row["text"]
    ]
    chosen: list[IndustryModel] = []
    for model in sorted(industry, key=lambda model: model.loss):
        at = height(model.loss)
        inside = MODEL_GAP < at < HEIGHT - 4 and not any(top < at < bottom for top, bottom in busy)
        if inside and all(abs(at - height(other.loss)) >= MODEL_GAP for other in chosen):
            chosen.append(model)
    if len(chosen) > MOST_MODELS:  # evenly thinned, the ends kept
        step = (len(chosen) - 1) / (MOST_MODELS - 1)
        chosen = [chosen[round(i * step)] for i in range(MOST_MODELS)]
    return [{"name": model.short_name, "loss": model.loss} for model in chosen]


def _panel(
    i: int,
    found: Overtraining,
    data: dict[str, Rows],
    x_domain: tuple[float, float],
    y_domain: tuple[float, float],
    *,
    first: bool,
    several: bool,
) -> alt.LayerChart:
    import altair as alt

    x = _factors_axis(x_domain)
    (color,) = style.law_colors([found.optimum.law_name])

    def y(field: str) -> alt.Y:
        title = f"Predicted loss ({PER[found.optimum.loss_unit]})" if first else ""
        return style.log_y(field, title, y_domain, "plain", most=8)

    curve = alt.Chart(alt.NamedData(name=f"curve-{i}"))
    models = alt.Chart(alt.NamedData(name=f"models-{i}"))
    lines = models.mark_rule(color=MODEL_COLOR, strokeWidth=1, strokeDash=[3, 3]).encode(y("loss"))
    # Within the valley, where the curve is not.
    names = models.mark_text(
        align="center", baseline="bottom", dy=-2, fontSize=12, color=style.SOFT_INK
    ).encode(y("loss"), x=alt.value(WIDTH / 2), text=alt.Text("name:N"))
    band = (
        curve.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.2, color=color, clip=True)
        .encode(x, y("low").stack(None), alt.Y2("high"))
    )
    tooltip = style.tooltips(
        "factor:Q", "loss:Q", "increase:Q", "increase_low:Q", "increase_high:Q", "shape:N", "params:Q"
    )
    line = curve.mark_line(color=color, strokeWidth=style.LINE_WIDTH, clip=True).encode(x, y("loss"))
    dots = curve.mark_circle(size=22, color=color, opacity=1, clip=True).encode(x, y("loss"), tooltip=tooltip)
    marked = curve.transform_filter("isValid(datum.text)")
    rings = marked.mark_point(size=70, color=style.INK, strokeWidth=1.6, filled=False, opacity=1).encode(
        x, y("loss")
    )
    # Under the optimum, and right of the curve where it rises.
    words = [
        marked.transform_filter(f"datum.factor {where} 1")
        .mark_text(
            baseline="top", fontSize=12, lineBreak="\n", lineHeight=LINE_HEIGHT, color=style.INK, **place
        )
        .encode(x, y("loss"), text=alt.Text("text:N"))
        for where, place in (("==", {"dy": 9}), ("!=", {"dy": 5, "dx": 5, "align": "left"}))
    ]
    subtitle = [_within(found)]
    if several:
        subtitle.insert(0, law_words(found.optimum.law_name))
    title = alt.TitleParams(
        amount_text(found.budget, found.resource),
        subtitle=subtitle,
        fontSize=14,
        anchor="middle",
        offset=8,
    )
    panel: alt.LayerChart = (
        alt.layer(*style.kept([lines, band, line, dots, rings, names, *words]))
        .resolve_scale(color="independent")
        .properties(width=WIDTH, height=HEIGHT, title=title)
    )
    return panel


def _factors_axis(domain: tuple[float, float]) -> alt.X:
    """Powers of two, of four or of ever more, as fractions below one."""
    import altair as alt

    lowest, highest = (math.log2(end) for end in domain)
    step = next(step for step in itertools.count(1) if (highest - lowest) / step <= MOST_TICKS)
    exponents = [k for k in range(math.ceil(lowest), math.floor(highest) + 1) if k % step == 0]
    labels = [f"1/{2**-k}" if k < 0 else f"{2**k}" for k in exponents]
    values = [2.0**k for k in exponents]
    words = f"{labels}[indexof({values}, datum.value)]"
    return alt.X(
        "factor:Q",
        title="Tokens over the optimal tokens",
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=alt.Axis(values=values, labelExpr=words),
    )


def _within(found: Overtraining) -> str:
    """How far the budget lies beyond the fitted runs."""
    decades = found.optimum.extrapolation.flops_decades
    if decades is None:
        return "fitted runs unknown"
    if decades == 0:
        return "FLOPs within the fitted runs"
    return f"FLOPs {abs(decades):.1f} decades {'beyond' if decades > 0 else 'below'} the fitted runs"


def _subtitle(found: Sequence[Overtraining], data: dict[str, Rows], *, cut: bool) -> list[str]:
    first = found[0]
    laws = [] if _laws(found) > 1 else [law_words(first.optimum.law_name)]
    what = f"{'best' if laws else 'Best'} feasible shape" if first.optimum.shape is not None else "N = C / 6T"
    by = f"; FLOPs by {flops_words(first.optimum.flops_convention)}" if first.resource == "flops" else ""
    how = first.intervals_note.partition(";")[0]
    counted = PARAMS_WORDS[first.params_convention]
    said = [
        f"{': '.join([*laws, what])} on that many tokens within the budget{by}; N: {counted}",
        ("No intervals" if first.level is None else f"Bands and brackets: {how}")
        + ("; all panels span the same ratio of losses" if len(found) > 1 else "")
        + ("; what lies beyond is cut" if cut else ""),
    ]
    if any(rows for name, rows in data.items() if name.startswith("models-")):
        said.append(
            "Dashed: industry models on the validation data of the Gemstones, in nats per token of their own tokenizers"
            "; only those with room for their names"
        )
    return said
