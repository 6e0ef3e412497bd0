"""Overtraining: what it costs to train on more tokens, or fewer, than is optimal for a budget (paper §4.3, Figure 8).

With T* the tokens of the plan for a budget, the design for a factor f is the shape of least predicted loss on exactly
T = f·T* tokens, among all that the budget can train on so many. So the budget is never exceeded, f = 1 is the plan
itself, and every other factor costs loss: a larger one for a smaller model, which is cheaper to use afterwards. It is
exact over shapes; of a law in N and T alone, N = C / 6T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gemstones import bounds
from gemstones.accounting.parameters import ParamsConvention
from gemstones.analyses.overtrain.fixed_tokens import Design, FixedTokens
from gemstones.analyses.overtrain.paired import Paired, paired
from gemstones.analyses.overtrain.shown import overtrain_card, overtrain_heading, overtrain_notes
from gemstones.arguments import checked
from gemstones.design.feasible import Constraints
from gemstones.display import few_lines, interval_text
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource
from gemstones.laws.fit import Fit
from gemstones.laws.flops_model import FlopsModel
from gemstones.laws.interval import DEFAULT_LEVEL, enough, interval, level_text
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw, given_law
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.planning.by_shape import blind
from gemstones.planning.cost import FLOPS, Cost, amount_text, flops_of_params, training_flops
from gemstones.planning.defaults import default_constraints
from gemstones.planning.extrapolation import Extrapolation
from gemstones.planning.plan import of_groups, plan
from gemstones.planning.request import no_intervals
from gemstones.planning.result import Plan
from gemstones.planning.shown import edges_text
from gemstones.planning.sight import sight
from gemstones.shape import BoolArray, FloatArray, Shape, Shapes
from gemstones.units import Interval, format_quantity

FACTORS = tuple(2.0 ** (k / 2) for k in range(-8, 9))
"""Tokens over the optimal tokens: 1/16 to 16 by powers of √2, 1 exactly among them."""
TYPICAL = 4.0
"""The factor that is put in words, if it is among those asked for; else the nearest one above 1."""


@dataclass(frozen=True)
class Overtrained:
    """The best design on `factor` times the optimal tokens; without one, the reason."""

    factor: float
    tokens: float
    design: Design | None
    loss: float | None = None
    """Predicted, in the unit of the plan."""
    loss_increase: float | None = None
    """Over the loss of the optimum, as a fraction."""
    loss_interval: Interval | None = None
    """Of a new run, with the error of the form by backtests; None without these."""
    loss_interval_of_fit: Interval | None = None
    """Of the fit, if its form is right."""
    increase_interval: Interval | None = None
    """Of the fit: from the same draws of the law here and at the optimum."""
    increase_draws: FloatArray | None = field(default=None, repr=False, compare=False)
    """The increase in every draw of the law, (draws,), not finite where a prediction is not; None without draws."""
    extrapolation: Extrapolation | None = None
    reason: str | None = None
    """Why there is no design."""

    @property
    def shape(self) -> Shape | None:
        """None also for a law that does not know shapes."""
        return None if self.design is None else self.design.shape

    @property
    def params(self) -> float | None:
        """In the law's convention."""
        return None if self.design is None else self.design.params

    @property
    def edges(self) -> tuple[str, ...]:
        """Edges of the search that the shape lies on: a better one may lie beyond."""
        return () if self.design is None else self.design.edges


@dataclass(frozen=True, repr=False)
class Overtraining:
    """Designs for one budget, by factor, and the plan that they are compared with; losses in the law's unit.

    >>> [point.factor for point in overtrain(1e22, "chinchilla", [1, 4]).points]
    [1.0, 4.0]
    """

    budget: float
    resource: Resource
    """What the budget is of."""
    optimum: Plan
    points: tuple[Overtrained, ...]
    """In the order in which factors were asked for."""
    intervals_note: str
    level: float | None
    """Of the intervals; None without."""

    @property
    def params_convention(self) -> ParamsConvention:
        """Of every N."""
        return self.optimum.params_convention

    @property
    def sentence(self) -> str | None:
        """What overtraining costs and saves, in plain words; None where no factor above 1 has a design."""
        above = [p for p in self.points if p.factor > 1 and p.loss_increase is not None]
        if not above:
            return None
        point = min(above, key=lambda p: abs(np.log(p.factor / TYPICAL)))
        assert point.params is not None and point.loss_increase is not None
        ends = point.increase_interval
        absurd = point.loss_increase > 10  # of a law that was fitted to too few depths or widths

        def said(increase: float) -> str:
            return f"{1 + increase:.3g}" if absurd else f"{increase:.2%}"

        within = (
            "no interval"
            if ends is None or self.level is None
            else f"{level_text(self.level)} interval {interval_text(ends, said)}"
        )
        return (
            f"for {amount_text(self.budget, self.resource)}, training on {point.factor:.3g} times the optimal tokens "
            f"{'multiplies' if absurd else 'raises'} predicted loss by {said(point.loss_increase)} ({within}) "
            f"and saves {1 - point.params / self.optimum.params:.0%} of the parameters: "
            f"{format_quantity(point.params)} instead of {format_quantity(self.optimum.params)} "
            f"({self.params_convention})"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the numbers."""
        said = [self.intervals_note]
        if self.level is not None:
            below = any(p.increase_interval is not None and p.increase_interval[0] < 0 for p in self.points)
            said.append(
                "intervals are of these very designs, shape and tokens held; those of the increase are of the fit, "
                "if its form is right, from the same draws here and at the optimum"
                + ("; an increase below 0 is of draws that have their optimum elsewhere" if below else "")
            )
        if at := "; ".join(f"{p.factor:.3g} ({edges_text(p.edges)})" for p in self.points if p.edges):
            said.append(
                f"the shape lies on the edge of the search at factor {at}: one beyond may lose less there"
            )
        return (*said, *self.optimum.notes)

    def __repr__(self) -> str:
        return few_lines(f"Overtraining {overtrain_heading(self)}", overtrain_notes(self))

    def _repr_html_(self) -> str:
        return overtrain_card(self).html()

    def summary(self) -> dict[str, Any]:
        """Plain values, lists with one item per factor: what `gemstones overtrain --json` prints."""
        best, points = self.optimum, self.points
        return {
            "budget": self.budget,
            "resource": self.resource,
            "law": best.law_name,
            "form": best.law_form,
            "source": best.law_source,
            "flops_convention": best.flops_convention,
            "params_convention": self.params_convention,
            "loss_unit": best.loss_unit,
            "optimum": {
                "shape": None if best.shape is None else str(best.shape),
                "params": best.params,
                "tokens": best.tokens,
                "tokens_per_param": best.tokens_per_param,
                "loss": best.loss,
                "intervals": best.intervals,
            },
            "factors": [p.factor for p in points],
            "shapes": [None if p.shape is None else str(p.shape) for p in points],
            "losses": [p.loss for p in points],
            "loss_increases": [p.loss_increase for p in points],
            "tokens": [p.tokens for p in points],
            "params": [p.params for p in points],
            "tokens_per_param": [None if p.params is None else p.tokens / p.params for p in points],
            "spent": [None if p.design is None else p.design.spent for p in points],
            "intervals": None
            if self.level is None
            else {
                "losses": [p.loss_interval for p in points],
                "losses_of_fit": [p.loss_interval_of_fit for p in points],
                "loss_increases": [p.increase_interval for p in points],
            },
            "level": self.level,
            "edges": [list(p.edges) for p in points],
            "reasons": [p.reason for p in points],
            "extrapolation": [None if p.extrapolation is None else p.extrapolation.summary() for p in points],
            "sentence": self.sentence,
            "notes": list(self.notes),
            "flags": list(best.flags),
            "assumptions": list(best.assumptions),
        }


def compare_increases(one: Overtraining, other: Overtraining, factor: float = TYPICAL) -> Paired | None:
    """What `factor` times the optimal tokens cost in `one` less what they cost in `other`, on the same draws of a law.

    For two budgets of a fit: whether overtraining is dearer at the first. None where either has no design there, or
    no draws. It raises nothing of its own.

    >>> low, high = (overtrain(budget, "gemstones-refit", [4]) for budget in (1e20, 1e22))
    >>> compare_increases(high, low).draws
    400
    """
    points = [next((p for p in found.points if np.isclose(p.factor, factor)), None) for found in (one, other)]
    a, b = points
    return None if a is None or b is None else compare_points(a, b, one.level or DEFAULT_LEVEL)


def compare_points(one: Overtrained, other: Overtrained, level: float) -> Paired | None:
    """The increase of `one` less that of `other`, on the same draws; None where either has none."""
    if one.loss_increase is None or other.loss_increase is None:
        return None
    if one.increase_draws is None or other.increase_draws is None:
        return None
    estimates = one.loss_increase, other.loss_increase
    return paired(one.increase_draws, other.increase_draws, estimates, level)


@checked
def overtrain(
    budget: float | str,
    law: Fit | Law | FrontierLaw | str | Path,
    factors: Sequence[float | str] | None = None,
    *,
    constraints: Constraints | None = None,
    cost: Cost = FLOPS,
    of: Mapping[str, str] | None = None,
    force: bool = False,
    name: str | None = None,
) -> Overtraining:
    """The best designs for `budget` on `factors` times its optimal tokens, under a `law` that predicts losses.

    The budget is of FLOPs of training, or of what `cost` says; shapes are those of `constraints`, by default the
    plan's. Of a law whose constants differ by a column, `of` says which value is meant; `name` is what it is called.
    Raises `EdgeOfSearch` where the optimum itself lies on the edge of the search, and `InvalidRequest` for a law of the
    optimum alone, or for a budget more than 4 decades from the fitted runs, unless `force` is True.

    >>> overtrain(1e22, "chinchilla", [4]).points[0].loss
    2.181
    """
    law = of_groups(given_law(law), of)
    if isinstance(law, FrontierLaw):
        raise InvalidRequest(
            f"law {name or law.name} predicts no loss, so not what overtraining costs: choose one with terms in N and "
            "T, or in width, depth and T"
        )
    bare = law.law if isinstance(law, Fit) else law
    budget = (bounds.FLOPS if cost.resource == "flops" else bounds.DEVICE_HOURS).parse(budget)
    asked = FACTORS if factors is None else factors
    wanted = list(dict.fromkeys(bounds.FACTOR.each(asked)))
    if not wanted:
        raise InvalidRequest("no factor was given: ask for some, like 0.25,1,4")
    constraints = constraints or default_constraints(bare)
    cost = cost.of_law(bare)
    best = plan(budget, law, cost=cost, constraints=constraints, force=force, name=name)
    reason = ""
    designs: list[Design | None]
    if best.shape is None:
        flops = flops_of_params(cost.flops, bare.params_convention)
        assert flops is not None  # or there were no plan
        optimum = _by_params(budget, best.tokens, cost, flops)
        designs = [_by_params(budget, factor * optimum.tokens, cost, flops) for factor in wanted]
    else:
        # A law in N and T sees no shapes: the plan, too, is over those of ordinary aspect ratio then.
        search = FixedTokens.of(bare, budget, constraints, cost, ASPECT_RATIOS if blind(bare) else None)
        optimum = search.all_of_it(best.shape)
        designs = [search.best(factor * optimum.tokens) for factor in wanted]
        reason = (
            f"the budget trains no shape of the search on so many tokens: on "
            f"{format_quantity(search.most_tokens)} at most"
        )
    predicted, note, level = _predictions(law, optimum, [d for d in designs if d is not None])
    points = []
    for factor, design in zip(wanted, designs, strict=True):
        if design is None:
            points.append(Overtrained(factor, factor * optimum.tokens, None, reason=reason))
        else:
            beyond, found = _extrapolation(bare, design, cost), predicted.pop(0)
            if isinstance(law, Fit) and found.get("loss_interval_of_fit") is not None:
                of_fit, distance = found["loss_interval_of_fit"], beyond.distance
                found["loss_interval"] = law.new_run_interval(of_fit, found["loss"], distance)
            points.append(Overtrained(factor, design.tokens, design, **found, extrapolation=beyond))
    return Overtraining(budget, cost.resource, best, tuple(points), note, level)


def _by_params(budget: float, tokens: float, cost: Cost, flops: FlopsModel) -> Design:
    """The design of a law in N and T, which spends all: C = k·N^b·(T + tokens of inference / 3), 6·N by default."""
    k, b = flops.constants
    return Design(tokens, (budget / (k * tokens + k / 3.0 * cost.inference_tokens)) ** (1.0 / b), budget)


def _predictions(
    law: Fit | Law, optimum: Design, designs: list[Design]
) -> tuple[list[dict[str, Any]], str, float | None]:
    """Loss and increase of each design with their intervals, how these were made, and their level."""
    bare = law.law if isinstance(law, Fit) else law
    columns = np.stack([design.log_columns(bare) for design in (optimum, *designs)])
    losses = np.exp(bare.log_loss([*columns.T]))
    points: list[dict[str, Any]] = [
        {"loss": float(loss), "loss_increase": float(loss / losses[0] - 1)} for loss in losses[1:]
    ]
    if not (isinstance(law, Fit) and law.has_intervals):
        return points, no_intervals(law if isinstance(law, Fit) else None), None
    drawn, finite, note = _drawn(law, columns)
    with np.errstate(invalid="ignore"):
        every = drawn / drawn[:, :1] - 1
    drawn, increases = drawn[finite], every[finite]
    if not enough(len(drawn), law.level):
        return points, f"no interval: {note.partition('; ')[2] or note}", None
    for i, point in enumerate(points, start=1):
        point["increase_draws"] = every[:, i]
        point["loss_interval_of_fit"] = interval(drawn[:, i], point["loss"], level=law.level)
        point["increase_interval"] = interval(increases[:, i], point["loss_increase"], level=law.level)
    return points, note, law.level


def _drawn(fit: Fit, columns: FloatArray) -> tuple[FloatArray, BoolArray, str]:
    """Losses under every draw, (draws, designs), which of them are all finite, and how many those are."""
    with np.errstate(over="ignore"):  # a draw with an exponent of 70 leaves all floats far from its runs
        drawn = np.asarray(np.exp(fit.law.log_loss([*columns.T], fit.theta_draws)))
    finite = np.asarray(np.isfinite(drawn).all(1))
    without = 1 - float(finite.mean())
    note = fit.interval_note
    if without:
        note += f"; {without:.1%} of the resamples predict no finite loss here and are left out"
    return drawn, finite, note


def _extrapolation(law: Law, design: Design, cost: Cost) -> Extrapolation:
    """Of a design from the fitted runs; FLOPs of training counted as those of the law's runs were."""
    shape = design.shape
    of_params = flops_of_params(cost.flops, law.params_convention)
    if of_params is not None and (shape is None or sight(law) == "size"):
        per_token = float(of_params.of_params(design.params))
    else:
        assert shape is not None
        one, counting = (
            Shapes.of(shape.width, shape.depth, shape),
            cost.flops if cost.learned else "gemstones",
        )
        per_token = float(training_flops(one, counting))
    return Extrapolation.of(
        law.fitted,
        flops=design.tokens * per_token,
        params=design.params,
        tokens=design.tokens,
        width=None if shape is None else shape.width,
        depth=None if shape is None else shape.depth,
    )
