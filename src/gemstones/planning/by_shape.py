"""Plans over shapes: the exact optimum over every feasible one, for laws that know shapes.

A law in N and T does not: for device hours, in which shapes of one N differ, it is given those of ordinary aspect
ratio, and the quickest of them win.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints
from gemstones.errors import EdgeOfSearch, InvalidRequest
from gemstones.laws.interval import enough, interval, known, percentile_interval
from gemstones.laws.law import Law
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.planning.compared import Compared, compared, increase_on_grid
from gemstones.planning.cost import Cost, amount_text, flops_of_params, training_flops
from gemstones.planning.extrapolation import Extrapolation
from gemstones.planning.near import near_optimal
from gemstones.planning.optimum import draw_optima, on_edge
from gemstones.planning.request import Request, no_intervals
from gemstones.planning.result import Plan
from gemstones.planning.sight import log_columns, loss_of_sum, sight, sum_of_terms
from gemstones.planning.spent import spent
from gemstones.planning.surface import EVERYWHERE, Surface
from gemstones.shape import FloatArray, IntArray, Shapes
from gemstones.units import Interval


def blind(law: Law) -> bool:
    """Whether a law sees nothing of a shape but its counts of parameters or FLOPs."""
    return sight(law) != "shape"


def _sightless(law: Law) -> str:
    return (
        f"a law in {' and '.join(law.symbols)} sees no shapes: searched are those of width/depth "
        f"{ASPECT_RATIOS[0]:g} to {ASPECT_RATIOS[1]:g}, as in the Gemstones, of which the quickest are the widest"
    )


@dataclass(frozen=True, eq=False)
class _Draws:
    """The law's draws and where each has its optimum on the grid; the plan's own first."""

    theta: FloatArray
    """(1 + draws, m)"""
    costs: list[Cost]
    """(1 + draws)"""
    at: IntArray
    """(1 + draws, 2)"""
    resampled: bool
    """Whether the costs differ: a draw of the law goes with the draw of the throughput model of the same number."""

    @classmethod
    def of(cls, request: Request, surface: Surface, best: tuple[int, int]) -> _Draws | None:
        """None for a law without draws."""
        fit, cost = request.fit, request.cost
        if fit is None or not fit.drawn:
            return None
        theta = np.vstack([fit.law.theta, fit.theta_draws])
        resampled = cost.step_time is not None and bool(cost.step_time.draws)
        costs = [cost, *(cost.of_draw(i) for i in range(len(fit.drawn)))]
        drawn = draw_optima(surface, theta[1:], request.budget, costs[1:] if resampled else None)
        at = np.vstack([best, drawn])
        return cls(theta, costs, at, resampled)

    def tokens(self, surface: Surface, budget: float) -> FloatArray:
        """Of every optimum, (1 + draws,); 0 where inference takes all of the budget."""
        shapes = Shapes.of(surface.widths[self.at[:, 0]], surface.depths[self.at[:, 1]], surface.template)
        tokens = self.costs[0].tokens(shapes, budget)
        if self.resampled:
            priced = zip(self.costs[1:], shapes.width[1:], shapes.depth[1:], strict=True)
            tokens[1:] = [
                float(own.tokens(Shapes.of(w, d, surface.template), budget)) for own, w, d in priced
            ]
        return tokens


def _share(
    request: Request, surface: Surface, draws: _Draws | None, rows: IntArray, columns: IntArray
) -> FloatArray | None:
    """Share of the draws in which each shape of the grid is within the tolerance of the draw's own best, (shapes,)."""
    if draws is None:
        return None
    law, template = surface.law, surface.template
    agreed, counted = np.zeros(len(rows)), 0
    for theta, own, (i, j) in zip(draws.theta[1:], draws.costs[1:], draws.at[1:], strict=True):
        shapes = Shapes.of(
            surface.widths[np.append(rows, i)], surface.depths[np.append(columns, j)], template
        )
        tokens = own.tokens(shapes, request.budget)
        if tokens[-1] <= 0:
            continue
        with np.errstate(divide="ignore"):
            log_tokens = np.log(tokens)
        seen = [log_tokens if column is None else column for column in log_columns(law, shapes)]
        loss = loss_of_sum(law, theta, sum_of_terms(law, theta, seen))
        agreed += (tokens[:-1] > 0) & (loss[:-1] <= loss[-1] * (1 + request.near))
        counted += 1
    return agreed / counted if counted else None


@lru_cache(maxsize=2)
def _searched(law: Law, constraints: Constraints, cost: Cost) -> Surface:
    """All that is searched; kept, since a figure plans for many budgets by one law."""
    return Surface.searched(law, constraints, cost, ASPECT_RATIOS if blind(law) else None)


def plan_shape(request: Request, law: Law) -> Plan:
    """The plan of a law over shapes; see `gemstones.planning.plan.plan`."""
    constraints, budget, cost = request.constraints, request.budget, request.cost
    surface = _searched(law, constraints, cost)
    widths, depths = surface.widths, surface.depths
    if surface.outside is not None and surface.outside.all():
        raise InvalidRequest(
            f"no shape searched has width/depth {ASPECT_RATIOS[0]:g} to {ASPECT_RATIOS[1]:g}, which law {request.name} "
            "in N and T is given for device hours: widen the ranges, or take a law with width and depth"
        )
    i, j = (int(x) for x in surface.least_of_all(law.theta, budget))
    least = float(surface.loss(law.theta, budget, slice(i, i + 1), slice(j, j + 1))[0, 0])
    if not np.isfinite(least):
        raise request.unaffordable()
    _check_edges(i, j, widths, depths, request)

    shape = constraints.shape(int(widths[i]), int(depths[j]))
    tokens = float(cost.tokens(Shapes.of(shape.width, shape.depth, shape), budget))
    counted = params(shape, law.params_convention)
    draws = _Draws.of(request, surface, (i, j))
    intervals, intervals_note = _intervals(request, surface, draws)
    resources = spent(request, shape, tokens)
    return request.plan(
        **{**resources, "notes": (*resources.get("notes", ()), *([_sightless(law)] if blind(law) else []))},
        shape=shape,
        params=counted,
        params_total=params(shape),
        tokens=tokens,
        loss=least,
        intervals=intervals,
        intervals_note=intervals_note,
        relaxed=None if blind(law) else _relaxed(request, law, float(widths[i]), float(depths[j])),
        nearest_shapes=(),
        **({"near_optimal": None, "compared": ()} if request.alone else _beside(request, surface, draws)),
        extrapolation=Extrapolation.of(
            law.fitted,
            # As the law's runs were counted.
            flops=_as_counted(request, law, float(counted)) * tokens
            if sight(law) == "size"
            else resources["flops"],
            params=counted,
            tokens=tokens,
            width=shape.width,
            depth=shape.depth,
        ),
    )


def _beside(request: Request, surface: Surface, draws: _Draws | None) -> dict[str, Any]:
    """What is near the optimum, and what the plans of others lose, from the losses of every shape."""
    budget = request.budget
    loss = surface.loss(surface.law.theta, budget, EVERYWHERE, EVERYWHERE)
    near = near_optimal(
        surface.widths,
        surface.depths,
        loss,
        surface.left(budget) / np.exp(surface.log_cost_per_token),
        request.near,
        everything=request.everything,
        share=lambda rows, columns: _share(request, surface, draws, rows, columns),
    )
    return {"near_optimal": near, "compared": _compared(request, surface, loss)}


def _as_counted(request: Request, law: Law, counted: float) -> float:
    """FLOPs per token of N, as those of the runs of a law in N and T were counted."""
    flops = flops_of_params(request.cost.flops, law.params_convention)
    return 6.0 * counted if flops is None else float(flops.of_params(counted))


def _compared(request: Request, surface: Surface, loss: FloatArray) -> tuple[Compared, ...]:
    if request.cost.resource != "flops" or request.cost.inference_tokens:
        return ()
    shapes = Shapes.of(surface.widths[:, None], surface.depths[None, :], surface.template)
    total = params(shapes)
    return compared(request.name, request.budget, lambda target: increase_on_grid(total, loss, target))


def _check_edges(i: int, j: int, widths: FloatArray, depths: FloatArray, request: Request) -> None:
    remedies = {
        (True, 0): "allow narrower models (--width-multiple, --min-width)",
        (True, 1): "allow wider models (--max-width)",
        (False, 0): "allow shallower models (--min-depth)",
        (False, 1): "allow deeper models (--max-depth)",
    }
    for is_width, position, values in ((True, i, widths), (False, j, depths)):
        if len(values) > 1 and position in (0, len(values) - 1):  # a single value was asked for
            what = "width" if is_width else "depth"
            upper = position == len(values) - 1
            remedy = f"{remedies[is_width, int(upper)]} or change the budget"
            if values[position] == 1:
                remedy = "no model is shallower: change the budget"
            raise EdgeOfSearch(
                f"the optimum of {request.name} for {amount_text(request.budget, request.cost.resource)} "
                f"lies on the edge of the search, {what} {values[position]:.0f} "
                f"(the {'largest' if upper else 'smallest'}): {remedy}"
            )


def _intervals(
    request: Request, surface: Surface, draws: _Draws | None
) -> tuple[dict[str, Interval] | None, str]:
    """Intervals of everything planned, from the optimum of every draw, and of the loss of this very plan."""
    fit, budget, cost, template = request.fit, request.budget, request.cost, request.constraints.template
    if fit is None or draws is None or not fit.has_intervals:
        return None, no_intervals(fit)
    at, best = draws.at, draws.at[0]
    shapes = Shapes.of(surface.widths[at[:, 0]], surface.depths[at[:, 1]], template)
    tokens = draws.tokens(surface, budget)
    i, j = best
    losses = [surface.loss(theta, budget, slice(i, i + 1), slice(j, j + 1))[0, 0] for theta in draws.theta]
    counted = params(shapes, fit.law.params_convention)
    # The first of each is the plan's own.
    discrete: dict[str, Any] = {
        "width": shapes.width,
        "depth": shapes.depth,
        "aspect_ratio": shapes.aspect_ratio,
        "params": counted,
        "params_total": params(shapes),
        "tokens": tokens,
        "tokens_per_param": tokens / counted,
    }
    if cost.resource != "flops" or cost.inference_tokens:
        discrete["flops"] = tokens * training_flops(shapes, cost.flops)
    note = fit.interval_note
    if draws.resampled:
        note += ", each with a resample of the step times"
    elif cost.resource != "flops":
        note += ", of the law alone: the throughput model has none"
    if not blind(fit.law):
        note += "; the relaxed optimum has none"
    usable = tokens > 0
    if not enough(int(usable[1:].sum()), fit.level):
        left = 1 - usable[1:].mean()
        return None, f"no interval: {left:.1%} of {len(fit.drawn)} resamples cannot pay for the inference"
    if not usable.all():
        note += (
            f"; {1 - usable[1:].mean():.1%} of the resamples cannot pay for the inference and are left out"
        )
    at_edge = int(on_edge(at[1:], surface).sum())
    if at_edge:
        have = "has its" if at_edge == 1 else "have their"
        note += f"; {at_edge} of the resamples {have} optimum on the edge of the search, so the ends may be too narrow"
    intervals = {
        name: percentile_interval(x[usable][1:], float(x[0]), level=fit.level) for name, x in discrete.items()
    }
    return known({**intervals, "loss": interval(np.array(losses[1:]), losses[0], level=fit.level)}), note


def _relaxed(request: Request, law: Law, width: float, depth: float) -> dict[str, float]:
    """The optimum over real widths and depths, by grids that close in on it.

    Heads are not whole then: n_kv = w / (head size · ratio). N is counted as in the fit (the published
    relaxed tables counted it without any embedding).
    """
    constraints, budget, cost = request.constraints, request.budget, request.cost
    log_w, log_d = np.log(width), np.log(depth)
    steps = np.linspace(-1.0, 1.0, 17)
    reach = 0.7
    while reach > 1e-9:
        widths, depths = np.exp(log_w + reach * steps), np.exp(log_d + reach * steps)
        surface = Surface.of(law, widths, depths, constraints, cost)
        loss = surface.loss(law.theta, budget, EVERYWHERE, EVERYWHERE)
        i, j = np.unravel_index(int(loss.argmin()), loss.shape)
        log_w, log_d = np.log(widths[i]), np.log(depths[j])
        # On the rim the optimum may lie outside: keep the reach, move on.
        if 0 < i < len(steps) - 1 and 0 < j < len(steps) - 1:
            reach /= 4
        elif not (abs(log_w - np.log(width)) < 5 and abs(log_d - np.log(depth)) < 5):
            break  # no optimum among real shapes: the widest reach is as good as any other
    shapes = Shapes.of(np.exp(log_w), np.exp(log_d), constraints.template)
    return {
        "width": float(shapes.width),
        "depth": float(shapes.depth),
        "params_total": float(params(shapes)),
        "tokens": float(cost.tokens(shapes, budget)),
        "loss": float(loss.min()),
    }
