"""What Figures 5, 12 to 19 and 21 draw: what fits and published laws prescribe over budgets, with intervals.

Every point lies at its own budget: the published plots have the best of a bin of FLOPs, and draw it at the bin's left
edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gemstones.accounting.flops import FlopsConvention
from gemstones.analyses.sensitivity.prescribe import ends, prescribe_law
from gemstones.figures import style
from gemstones.figures.curves import BEYOND, INSIDE, REFERENCE, Rows, law_in_legend
from gemstones.laws.diagnostics import doubts
from gemstones.laws.fit import Fit
from gemstones.laws.hoffmann import optimal_params_tokens
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS, FrontierLaw
from gemstones.paper.relaxed import DEEPEST, WIDEST, relaxed_optima
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.planning.prescriptions import references
from gemstones.shape import FloatArray
from gemstones.units import Interval
from gemstones.words import law_words

BUDGETS: tuple[float, ...] = (
    *(float(f"{m}e{e}") for e in range(18, 26) for m in ("1", "1.78", "3.16", "5.62")),
    1e26,
)
"""FLOPs: four a decade, over what the paper draws."""
SHAPE = ("width", "depth", "aspect_ratio")
SIZE = ("params", "tokens", "tokens_per_param")
SEARCHED_COLOR = style.RED
"""Of the law in N and T searched over shapes; by Equation 4 it has, as every law, the colour of its form."""


@dataclass(frozen=True)
class Curve:
    """What one law prescribes: points by quantity, of one series of one colour."""

    series: str
    """As the legend has it."""
    color: str
    points: dict[str, Rows]
    """`value` with `low` and `high` is on the line; `feasible` with its own ends is a shape that can be built."""
    notes: tuple[str, ...] = ()
    """What is to be said of it in the caption."""
    edges: tuple[str, ...] = ()
    """Where the edge of the search cuts its line or its band: to be said in the picture too."""


class Curves:
    """What fits prescribe over `budgets`: each made once, however many figures draw it."""

    def __init__(self, budgets: Sequence[float] = BUDGETS) -> None:
        self.budgets = budgets
        self._made: dict[tuple[int, bool], tuple[Fit, Curve]] = {}

    def shapes(self, fit: Fit, *, whole_heads: bool) -> Curve:
        """As `shapes_curve`."""
        return self._once(fit, whole_heads, partial(shapes_curve, whole_heads=whole_heads))

    def params(self, fit: Fit) -> Curve:
        """As `params_curve`."""
        return self._once(fit, False, params_curve)

    def _once(self, fit: Fit, whole_heads: bool, make: Callable[[Fit, Sequence[float]], Curve]) -> Curve:
        # With the fit beside it, so that no other takes its identity.
        key = id(fit), whole_heads
        if key not in self._made:
            self._made[key] = fit, make(fit, self.budgets)
        return self._made[key][1]


def shapes_curve(fit: Fit, budgets: Sequence[float], *, whole_heads: bool) -> Curve:
    """A law of shapes: its optimum over real widths and depths; the best shapes that can be built `whole_heads`.

    The latter are those of `gemstones.planning.plan.plan`: widths that are multiples of 256.
    """
    relaxed = relaxed_optima(fit, _with_ends(fit, budgets))
    points = {
        quantity: [
            _point(fit, budget, float(values[i, 0]), relaxed.interval(quantity, i))
            for i, budget in enumerate(relaxed.budgets)
            if not relaxed.at_edge[i, 0]
        ]
        for quantity, values in relaxed.quantities.items()
    }
    edges = []
    if relaxed.at_edge[:, 0].any():
        edges.append("no line where the optimum lies on the edge of the search")
    share = relaxed.at_edge[:, 1:].mean(1).max() if fit.drawn else 0.0
    if share > (1 - fit.level) / 2:  # fewer do not reach the ends of the interval
        edges.append(
            f"bands stop at the edge of the search (width {WIDEST:,.0f}, depth {DEEPEST:,.0f}), which up to "
            f"{share:.0%} of the resamples reach: they are too narrow there"
        )
    notes = _add_feasible(points, fit, budgets) if whole_heads else []
    return Curve(_series(fit), _color(fit), points, tuple(notes), tuple(edges))


def params_curve(fit: Fit, budgets: Sequence[float]) -> Curve:
    """A law in N and T: by Hoffmann's Equation 4."""
    over = _with_ends(fit, budgets)
    values, _ = _prescribed(fit, f"6N_{fit.law.params_convention}", over)
    points = {
        quantity: [
            _point(fit, budget, float(of_quantity[0, i]), _ends(fit, of_quantity[:, i], discrete=False))
            for i, budget in enumerate(over)
            if np.isfinite(of_quantity[0, i])
        ]
        for quantity, of_quantity in values.items()
        if quantity in SIZE
    }
    return Curve(_series(fit), _color(fit), points)


def _color(fit: Fit) -> str:
    (color,) = style.law_colors([fit.law.form])
    return color


def searched_curve(fit: Fit, budgets: Sequence[float]) -> Curve:
    """A law in N and T, searched over shapes that can be built, FLOPs by Appendix G: what Equation 4 is beside."""
    values, flags = _prescribed(fit, "gemstones", budgets)
    series = f"{fit.law.form} searched over shapes,\nFLOPs by Appendix G"
    points = {
        quantity: [
            _point(fit, budget, float(of[0, i]), _ends(fit, of[:, i], discrete=True)) | {"series": series}
            for i, budget in enumerate(budgets)
            if np.isfinite(of[0, i])
        ]
        for quantity, of in values.items()
        if quantity in SIZE
    }
    for row in (row for rows in points.values() for row in rows):  # its points are shapes that can be built
        row |= {"feasible": row["value"], "feasible_low": row["low"], "feasible_high": row["high"]}
    notes = [
        f"for law {fit.law.form} shapes of width/depth {ASPECT_RATIOS[0]:g} to {ASPECT_RATIOS[1]:g} are searched, "
        "as in the Gemstones: it asks for the widest there are, because the embedding's parameters cost no FLOPs",
        *_edge_notes(values, flags, f"the searched line of law {fit.law.form}"),
    ]
    return Curve(series, SEARCHED_COLOR, points, tuple(notes))


def reference_curves(fitted: Interval | None, budgets: Sequence[float]) -> list[Curve]:
    """The published laws that runs of these FLOPs are compared with, FLOPs as 6·N·T; they have no intervals."""
    return [_reference(name, LAWS[name], budgets) for name in references(fitted)]


def _reference(name: str, law: Law | FrontierLaw, budgets: Sequence[float]) -> Curve:
    series = law_in_legend(law_words(name), law.params_convention)
    points: dict[str, Rows] = {quantity: [] for quantity in SIZE}
    for budget in budgets:
        counted, tokens = optimum(law, budget)
        for quantity, value in zip(SIZE, (counted, tokens, tokens / counted), strict=True):
            points[quantity].append(_row(series, budget, REFERENCE, value, None))
    return Curve(series, style.REFERENCES[name], points)


def optimum(law: Law | FrontierLaw, budget: float) -> tuple[float, float]:
    """N* and T* of a published law in N and T for a budget, FLOPs as 6·N·T."""
    if isinstance(law, FrontierLaw):
        counted = law.params_optimal(budget)
        return counted, budget / (6.0 * counted)
    params, tokens = optimal_params_tokens(law.theta, budget)
    return float(params), float(tokens)


def _prescribed(
    fit: Fit, flops: str, budgets: Sequence[float]
) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Every quantity by `gemstones.analyses.sensitivity.prescribe`, (1 + draws, budgets), and what is flagged."""
    convention: FlopsConvention = flops  # type: ignore[assignment]
    (found,) = prescribe_law(fit, [(fit.law.params_convention, convention)], budgets)
    values = {
        "width": found.w_opt,
        "depth": found.d_opt,
        "aspect_ratio": found.w_opt / found.d_opt,
        "params": found.n_opt,
        "tokens": found.t_opt,
        "tokens_per_param": found.t_opt / found.n_opt,
    }
    return values, found.flags


def _with_ends(fit: Fit, budgets: Sequence[float]) -> list[float]:
    """`budgets` and, within them, the ends of the fitted runs, where a line changes its dash."""
    ends_of_runs = [end for end in fit.law.fitted.flops or () if min(budgets) < end < max(budgets)]
    return sorted({*budgets, *ends_of_runs})


def _add_feasible(points: dict[str, Rows], fit: Fit, budgets: Sequence[float]) -> list[str]:
    """Put the best shapes that can be built, FLOPs by Appendix G, into `points`; returns what is to be said of them."""
    values, flags = _prescribed(fit, "gemstones", budgets)
    at = {budget: i for i, budget in enumerate(budgets)}
    for quantity, rows in points.items():
        for row in rows:
            if row["budget"] not in at:
                continue
            of_budget = values[quantity][:, at[row["budget"]]]
            if np.isfinite(of_budget[0]):
                row["feasible"] = float(of_budget[0])
                row["feasible_low"], row["feasible_high"] = _ends(fit, of_budget, discrete=True) or (
                    None,
                    None,
                )
    return _edge_notes(values, flags, f"the diamonds of law {fit.law.form}")


def _edge_notes(values: dict[str, FloatArray], flags: Sequence[str], what: str) -> list[str]:
    """Where the edge of the search over shapes cuts a line or its intervals."""
    notes = []
    if not np.isfinite(values["params"][0]).all():
        notes.append(f"{what} stop where the best shape lies on the edge of the search")
    if any(flag.startswith("draws_on_edge") for flag in flags):
        notes.append(f"at either end intervals of {what} are cut by the edge of the search")
    return notes


def _ends(fit: Fit, values: FloatArray, *, discrete: bool) -> Interval | None:
    return ends(values[1:], float(values[0]), discrete=discrete, level=fit.level)


def _point(fit: Fit, budget: float, value: float, interval: Interval | None) -> dict[str, Any]:
    fitted = fit.law.fitted.flops
    inside = fitted is not None and fitted[0] <= budget <= fitted[1]
    return _row(_series(fit), budget, INSIDE if inside else BEYOND, value, interval)


def _series(fit: Fit) -> str:
    return law_in_legend(
        fit.law.name, fit.law.params_convention if "N" in fit.law.terms else None, doubts(fit.flags)
    )


def _row(series: str, budget: float, where: str, value: float, interval: Interval | None) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {
        "series": series,
        "budget": budget,
        "where": where,
        "value": value,
        "low": low,
        "high": high,
        "feasible": None,
        "feasible_low": None,
        "feasible_high": None,
    }
