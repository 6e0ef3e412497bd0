"""Figures 5, 12 to 19 and 21 of the paper: what Approach 3 prescribes, by selection, δ and form of the law.

One column of panels has the shape that a law of shapes asks for, the next its size and tokens, the last the size and
tokens of the law in N and T beside it. Lines of shapes are optima over real widths and depths with N as in the fit;
where heads are to be whole, diamonds are the best shapes that can be built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gemstones.display import caution
from gemstones.errors import InvalidRequest
from gemstones.figures import style
from gemstones.figures.approach3 import budget_axis
from gemstones.figures.curves import (
    FITTED,
    INDEPENDENT,
    LEGENDS,
    Panels,
    Rows,
    cut_words,
    domain,
    fitted_rows,
    stretched,
)
from gemstones.laws.fit import Fit
from gemstones.paper.alike import EXTENDED, PAIRS, own_words
from gemstones.paper.approach3_curves import (
    BUDGETS,
    SHAPE,
    SIZE,
    Curve,
    Curves,
    reference_curves,
    searched_curve,
)
from gemstones.paper.drawn import drawn
from gemstones.paper.figure import PaperFigure
from gemstones.paper.fits import PAPER_FORM, FitKey, power
from gemstones.units import Interval
from gemstones.words import PARAMS_WORDS, resampled_words, selection_words

if TYPE_CHECKING:
    import polars as pl

TITLES = {
    "width": "Width (channels)",
    "depth": "Depth (blocks)",
    "aspect_ratio": "Width / depth",
    "params": "Parameters",
    "tokens": "Tokens",
    "tokens_per_param": "Tokens per parameter",
}
LABELLED = ("Qwen2.5-0.5B", "Qwen2.5-14B", "Llama-2-13b", "Llama-2-70b")
"""Models with room for their names in Figure 5; the others' are in its data, and in tooltips."""
SHAPE_LABEL_ROOM = 54
"""CSS pixels for the ticks of a shape, which are written out: 100,000, not 100K."""
FIGURE_5_SIZE, EXTENDED_SIZE = (400, 310), (270, 200)
"""Width and height of a panel."""


def figure_5(
    fits: Mapping[FitKey, Fit],
    models: Rows,
    budgets: Sequence[float] = BUDGETS,
    laws: Sequence[str] = (PAPER_FORM,),
    made: Curves | None = None,
) -> PaperFigure:
    """Width over depth and tokens per parameter by laws of shapes on `all`, with `models` (see `trained_models`).

    Curves over `budgets` that other figures have `made` are not made again.
    """
    style.need_altair()
    shown = [fits[FitKey("all", law)] for law in laws]
    made = made or Curves(budgets)
    curves = [made.shapes(fit, whole_heads=True) for fit in shown]
    fitted = shown[0].law.fitted.flops
    columns = [
        _Column("", fitted, curves, ("aspect_ratio",)),
        _Column("", fitted, [*reference_curves(fitted, budgets), *curves], ("tokens_per_param",), LABELLED),
    ]
    return _figure(5, shown, columns, models, budgets, FIGURE_5_SIZE)


def paper_extended(
    number: int,
    fits: Mapping[FitKey, Fit],
    models: Rows,
    budgets: Sequence[float] = BUDGETS,
    made: Curves | None = None,
) -> PaperFigure:
    """Figure 12 to 19 or 21, from the fits that `paper_fits` makes; `made` as for `figure_5`."""
    made = made or Curves(budgets)

    def columns(n: int) -> list[_Column]:
        shown = EXTENDED[n]
        params = None if shown.params is None else fits[shown.params]
        return _columns(fits[shown.shapes], params, made, whole_heads=shown.whole_heads)

    shown = EXTENDED[number]
    other = (PAIRS | {b: a for a, b in PAIRS.items()}).get(number)
    return _figure(
        number,
        [fits[key] for key in (shown.shapes, shown.params) if key is not None],
        columns(number),
        models,
        budgets,
        EXTENDED_SIZE,
        beside=() if other is None else columns(other),
    )


def extended_figure(
    number: int,
    shapes: Fit | None,
    params: Fit | None,
    models: Rows,
    budgets: Sequence[float] = BUDGETS,
    *,
    whole_heads: bool = False,
) -> PaperFigure:
    """Everything that a law of shapes, and one in N and T, prescribe for `budgets`; one of them may be missing.

    With `whole_heads` diamonds are the best shapes with an even number of heads, as `gemstones.planning` finds them,
    and the law in N and T is searched over shapes too, FLOPs by Appendix G. Raises `MissingExtra` without altair.
    """
    style.need_altair()
    fits = [fit for fit in (shapes, params) if fit is not None]
    if not fits:
        raise InvalidRequest("Approach 3 needs a fit to draw: none was given")
    columns = _columns(shapes, params, Curves(budgets), whole_heads=whole_heads)
    return _figure(number, fits, columns, models, budgets, EXTENDED_SIZE)


def _columns(shapes: Fit | None, params: Fit | None, made: Curves, *, whole_heads: bool) -> list[_Column]:
    """What the laws that are there prescribe."""
    first = shapes or params
    assert first is not None
    others = reference_curves(first.law.fitted.flops, made.budgets)
    columns = []
    if shapes is not None:
        curve = made.shapes(shapes, whole_heads=whole_heads)
        form, fitted = shapes.law.form, shapes.law.fitted.flops
        columns.append(_Column(f"Law {form}: shape", fitted, [curve], SHAPE))
        columns.append(_Column(f"Law {form}: size and tokens", fitted, [*others, curve], SIZE))
    if params is not None:
        curves = [made.params(params)]
        if whole_heads:
            curves.append(searched_curve(params, made.budgets))
        heading = f"Law {params.law.form}: size and tokens"
        columns.append(_Column(heading, params.law.fitted.flops, [*others, *curves], SIZE))
    return columns


@dataclass(frozen=True)
class _Column:
    """Panels under each other, one for each quantity."""

    heading: str
    fitted: Interval | None
    curves: Sequence[Curve]
    quantities: tuple[str, ...]
    labelled: tuple[str, ...] = ()
    """Models whose names are written beside them."""

    def points(self, quantity: str) -> Rows:
        return [row for curve in self.curves for row in curve.points[quantity]]


def _figure(
    number: int,
    fits: Sequence[Fit],
    columns: Sequence[_Column],
    models: Rows,
    budgets: Sequence[float],
    size: tuple[int, int],
    *,
    beside: Sequence[_Column] = (),
) -> PaperFigure:
    """Columns of panels, on axes that also have room for the columns `beside`, of another figure."""
    import altair as alt

    # Of other budgets they would say nothing beside these lines.
    shown = [m for m in models if min(budgets) <= m["budget"] <= max(budgets)]
    curves = list({curve.series: curve for column in columns for curve in column.curves}.values())
    data = _datasets(columns, shown, budgets)
    # Fits before published laws, as everywhere.
    legend = sorted(curves, key=lambda curve: curve.color in style.REFERENCES.values())
    look = Panels.of(
        {curve.series: curve.color for curve in legend},
        [row for column in columns for q in column.quantities for row in column.points(q)],
        width=size[0],
        height=size[1],
    )
    ticks = size[0] // 36
    last = len(columns[0].quantities) - 1
    spans = {q: _span(q, [*columns, *beside], shown) for column in columns for q in column.quantities}
    rows = [
        alt.HConcatChart(
            hconcat=style.kept(
                [
                    look.panel(
                        data,
                        f"{i}-{column.quantities[j]}",
                        budget_axis("FLOPs budget" if j == last else None, budgets, ticks),
                        TITLES[column.quantities[j]],
                        spans[column.quantities[j]],
                        labels="plain" if column.quantities[j] in SHAPE else "si",
                        room=SHAPE_LABEL_ROOM if column.quantities[j] in SHAPE else style.LABEL_ROOM,
                        legends=_legends(i == len(columns) - 1, j, last),
                        heading=column.heading if j == 0 else "",
                    )
                    for i, column in enumerate(columns)
                ]
            ),
            resolve=INDEPENDENT,
        )
        for j in range(last + 1)
    ]
    heading = alt.TitleParams(
        _title(fits),
        subtitle=[
            *filter(None, [own_words(number)]),
            *style.clauses(_subtitle(fits, columns, spans), 30 + size[0] * len(columns) // 5),
        ],
        offset=14,
    )
    chart = style.themed(alt.VConcatChart(vconcat=style.kept(rows), resolve=INDEPENDENT, title=heading), data)
    return PaperFigure(number, chart, _data(columns, shown), _caption(fits, curves, bool(shown)))


def _datasets(columns: Sequence[_Column], models: Rows, budgets: Sequence[float]) -> dict[str, Rows]:
    """Rows by the names that `Panels.panel` knows them by."""
    data: dict[str, Rows] = {}
    for i, column in enumerate(columns):
        for quantity in column.quantities:
            name = f"{i}-{quantity}"
            data[name] = [row for curve in column.curves for row in stretched(curve.points[quantity])]
            data[f"models-{name}"] = [
                {
                    "name": m["name"],
                    "budget": m["budget"],
                    "value": m[quantity],
                    "label": m["name"] if m["name"] in column.labelled else None,
                }
                for m in models
            ]
            data[f"{FITTED}-{name}"] = fitted_rows(column.fitted, budgets)
    return data


def _span(quantity: str, columns: Sequence[_Column], models: Rows) -> tuple[float, float]:
    """Of the axis of a quantity: panels of one have one axis, so that they can be compared."""
    rows = [row for column in columns if quantity in column.quantities for row in column.points(quantity)]
    return domain(rows, [{"value": m[quantity]} for m in models])


def _legends(rightmost: bool, row: int, last: int) -> tuple[str, ...]:
    """What stands to the right of a panel: the laws beside the first row, the rest beside the next."""
    if not rightmost or row > 1:
        return ()
    if last == 0:
        return LEGENDS
    return LEGENDS[:1] if row == 0 else LEGENDS[1:]


def _title(fits: Sequence[Fit]) -> str:
    first = fits[0]
    return f"Approach 3: {selection_words(first.dataset, first.selection)}, δ {power(first.delta)}"


def _subtitle(
    fits: Sequence[Fit], columns: Sequence[_Column], spans: Mapping[str, tuple[float, float]]
) -> list[str]:
    first = fits[0]
    curves = [curve for column in columns for curve in column.curves]
    how = resampled_words(first.level, len(first.drawn), first.resampling.unit if first.resampling else "run")
    said = [f"Bands: {how}" if first.drawn else f"Lines have {how}", "shaded: FLOPs of the fitted runs"]
    dots = any(row["feasible"] is not None for curve in curves for row in curve.points["tokens"])
    if _knows_shapes(first):
        said.append(
            "lines of shapes: real widths and depths, FLOPs by Appendix G; other laws and models: 6·N·T"
        )
        if dots:
            said.append("best feasible shapes: an even number of heads, FLOPs by Appendix G")
    else:
        said.append("FLOPs as 6·N·T")
    said += [
        f"N of {fit.law.form}: {PARAMS_WORDS[fit.law.params_convention]}"
        for fit in fits
        if "N" not in fit.law.terms
    ]
    said += [edge for curve in curves for edge in curve.edges]
    said += [
        w for column in columns for q in column.quantities for w in cut_words(column.points(q), spans[q])
    ]
    return list(dict.fromkeys(said))


def _knows_shapes(fit: Fit) -> bool:
    return bool({"w", "d"} & set(fit.law.terms))


def _data(columns: Sequence[_Column], models: Rows) -> pl.DataFrame:
    """Every point of every curve once, with its quantity, and the models."""
    rows = {
        (row["series"], quantity, row["budget"]): {"quantity": quantity, **row}
        for column in columns
        for quantity in column.quantities
        for row in column.points(quantity)
    }
    of_models = [
        {"quantity": q, "series": m["name"], "budget": m["budget"], "value": m[q], "source": m["source"]}
        for q in dict.fromkeys(q for column in columns for q in column.quantities)
        for m in models
    ]
    return drawn({"curve": rows.values(), "model": of_models}).rename({"budget": "budget_flops"})


def _caption(fits: Sequence[Fit], curves: Sequence[Curve], with_models: bool) -> str:
    """What is drawn, by which conventions, and what is doubtful about it."""
    first = fits[0]
    laws = " and ".join(fit.law.form for fit in fits)
    counted = "FLOPs as 6·N·T"
    if _knows_shapes(first):
        counted = (
            "shapes are optima over real widths and depths, N as in the fit, FLOPs by Appendix G; other laws have "
            "6·N·T"
        )
    said = [
        f"Approach 3, law{'s' * (len(fits) > 1)} {laws} on {selection_words(first.dataset, first.selection)}, "
        f"δ {power(first.delta)}: {counted}. Every point lies at its own budget; the published plot draws the best of "
        "a bin of FLOPs at the bin's left edge."
    ]
    if with_models:
        said.append(
            "Circles: industry models by 6·N·T, tokens as published (of Llama 3.2 and Qwen2.5 at most so many)."
        )
    said += [f"{note[:1].upper()}{note[1:]}." for curve in curves for note in (*curve.notes, *curve.edges)]
    said += [f"Caution, {fit.law.name}: {caution(flag)}." for fit in fits for flag in fit.flags]
    return " ".join(dict.fromkeys(said))
