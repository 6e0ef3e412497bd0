"""Plans for FLOPs from laws in N and T alone: Hoffmann's closed form, and the feasible shapes nearest to N.

With inference the budget is 6·N·T + 2·N·inference tokens. Where the runs gave FLOPs of their own, k·N^b takes the place
of 6·N (`gemstones.laws.flops_model`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gemstones.accounting.parameters import ParamsConvention, params
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.flops_model import FlopsModel
from gemstones.laws.interval import enough, interval, known
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw
from gemstones.planning.compared import Compared, compared
from gemstones.planning.cost import flops_name, flops_of_params
from gemstones.planning.extrapolation import Extrapolation
from gemstones.planning.near import NearOptimal, near_optimal
from gemstones.planning.optimum import size_optima
from gemstones.planning.request import NO_DRAWS, Request, no_intervals
from gemstones.planning.result import Plan
from gemstones.shape import BoolArray, FloatArray, IntArray, Shape, Shapes
from gemstones.units import Interval

ASPECT_RATIOS = (256 / 80, 2560 / 8)
"""Width over depth of the Gemstones, from 256x80 to 2560x8. A law in N says nothing of shapes: as shapes nearest
to N, those outside are not offered."""
NEAREST = 10
"""Shapes listed as nearest to N."""
STEP, STEPS = 0.01, 6000
"""Of the walk away from the optimum, in log N, and how many."""
FALLEN = 1e-9
"""Relative fall below the highest loss of a walk that is more than rounding."""


def plan_params(request: Request, law: Law) -> Plan:
    """The plan of a law in N and T, FLOPs counted as 6·N·T; see `gemstones.planning.plan.plan`."""
    _counting(request)
    counted, tokens = (float(x[0]) for x in _optima(law, law.theta[None], request))
    if not np.isfinite([counted, tokens]).all():
        raise InvalidRequest(_no_optimum(request, law))
    best = float(law.loss(_columns(law, counted, tokens)))
    intervals, note = _intervals(request, law, (counted, tokens))
    return _without_shape(
        request,
        counted,
        tokens,
        loss=best,
        intervals=intervals,
        intervals_note=note,
        near_optimal=None if request.alone else _near(request, law, counted, best),
        compared=_compared(request, law, best),
    )


def plan_frontier(request: Request, law: FrontierLaw) -> Plan:
    """The plan of a law of the optimum alone: N and T, but no loss and so no near-optimal set."""
    if request.cost.resource != "flops" or request.cost.inference_tokens:
        what = "device hours" if request.cost.resource != "flops" else "inference"
        raise InvalidRequest(
            f"law {request.name} is of FLOPs of training alone and predicts no loss: it cannot weigh {what}; take "
            "another --law"
        )
    counted = law.params_optimal(request.budget)
    tokens = request.budget / (6 * counted)
    return _without_shape(
        request, counted, tokens, loss=None, intervals=None, intervals_note=NO_DRAWS, near_optimal=None
    )


def _without_shape(request: Request, counted: float, tokens: float, **found: Any) -> Plan:
    """What plans that know no shape have in common."""
    law, flops = request.law, _counting(request)
    inference_flops = float(flops.of_params(counted)) / 3.0 * request.cost.inference_tokens
    named = f"6N_{law.params_convention}" if request.cost.learned is None else flops.convention
    return request.plan(
        flops_convention=named,
        flops=request.budget - inference_flops,
        inference_flops=inference_flops,
        shape=None,
        params=counted,
        params_total=counted if law.params_convention == "total" else None,
        tokens=tokens,
        relaxed=None,
        nearest_shapes=() if request.alone else _nearest(counted, law, request.constraints),
        extrapolation=Extrapolation.of(
            law.fitted, flops=request.budget - inference_flops, params=counted, tokens=tokens
        ),
        **found,
    )


def _counting(request: Request) -> FlopsModel:
    """FLOPs as a function of N."""
    law = request.law
    flops = flops_of_params(request.cost.flops, law.params_convention)
    if flops is None:
        raise InvalidRequest(
            f"FLOPs by {flops_name(request.cost.flops)} are of shapes, which law {request.name} in N and T does not "
            f"know: count them as 6N_{law.params_convention}"
        )
    return flops


def _optima(law: Law, theta: FloatArray, request: Request) -> tuple[FloatArray, FloatArray]:
    """N* and T* (D,) for θ (D, m)."""
    return size_optima(law, theta, request.budget, request.cost.inference_tokens, _counting(request))


def _compared(request: Request, law: Law, best: float) -> tuple[Compared, ...]:
    if request.alone or law.params_convention != "total" or request.cost.inference_tokens:
        return ()

    flops = _counting(request)

    def increase(target: float) -> float:
        tokens = request.budget / float(flops.of_params(target))
        return float(law.loss(_columns(law, target, tokens))) / best - 1

    return compared(request.name, request.budget, increase)


def _no_optimum(request: Request, law: Law) -> str:
    powers = law.parsed_form.powers(law.theta)
    exponents = "" if powers is None else f" ({', '.join(f'{e:.3g}' for e in powers[1])})"
    return f"law {request.name} has no optimum: its exponents{exponents} must be positive, its coefficients finite"


def _columns(law: Law, counted: FloatArray | float, tokens: FloatArray | float) -> FloatArray:
    """N and T in the order of the law's symbols, (…, 2)."""
    pair = (tokens, counted) if law.symbols[0] == "T" else (counted, tokens)
    return np.stack([np.asarray(x, np.float64) for x in pair], axis=-1)


def _intervals(
    request: Request, law: Law, best: tuple[float, float]
) -> tuple[dict[str, Interval] | None, str]:
    fit = request.fit
    if fit is None or not fit.has_intervals:
        return None, no_intervals(fit)
    theta = np.vstack([law.theta, fit.theta_draws])  # the plan's own first
    counted, tokens = _optima(law, theta, request)
    losses = np.exp(law.log_loss([*np.log(_columns(law, *best))], theta))
    usable = np.isfinite(counted) & np.isfinite(tokens)
    note = fit.interval_note
    without = 1 - float(usable[1:].mean())
    if not enough(int(usable[1:].sum()), fit.level):
        return None, f"no interval: {without:.1%} of {len(fit.drawn)} resamples have no optimum"
    if without:
        note += f"; {without:.1%} of the resamples have no optimum and are left out, so the ends may be too narrow"
    quantities = {"params": counted, "tokens": tokens, "tokens_per_param": tokens / counted, "loss": losses}
    if fit.law.params_convention == "total":
        quantities["params_total"] = counted
    ends = {name: interval(x[usable][1:], float(x[0]), level=fit.level) for name, x in quantities.items()}
    return known(ends), note


@lru_cache(maxsize=2)
def _grid(
    convention: ParamsConvention, constraints: Constraints
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Widths, depths, N of every shape in the convention, and which have an ordinary aspect ratio."""
    column, row = constraints.grid()
    shapes = Shapes.of(column, row, constraints.template)
    ordinary = (shapes.aspect_ratio >= ASPECT_RATIOS[0]) & (shapes.aspect_ratio <= ASPECT_RATIOS[1])
    return column[:, 0], row[0], params(shapes, convention), ordinary


def _spent(request: Request, law: Law, counted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tokens that are left for models of so many parameters, and their loss; none and infinite where nothing is."""
    per_token = _counting(request).of_params(counted)
    left = request.budget - request.cost.inference_tokens * per_token / 3.0
    tokens = np.where(left > 0, left, 1.0) / per_token
    loss = np.where(left > 0, law.loss(_columns(law, counted, tokens)), np.inf)
    return np.where(left > 0, tokens, 0.0), loss


def _valley(request: Request, law: Law, optimum: float, best: float) -> Interval:
    """From and to which N the loss rises away from the optimum, and is within `near` of it.

    Forms whose exponents vary with N may fall again where no run is: what lies beyond a crest is another valley.
    """
    steps = np.arange(1, STEPS + 1) * STEP

    def end(direction: float) -> float:
        with np.errstate(over="ignore"):
            sizes = optimum * np.exp(direction * steps)
            loss = _spent(request, law, sizes)[1]
        fell = loss < np.maximum.accumulate(loss) * (1 - FALLEN)
        outside = np.flatnonzero(~(loss <= best * (1 + request.near)) | fell)
        return float(sizes[outside[0]]) if len(outside) else direction * np.inf

    return max(end(-1.0), 0.0), end(1.0)


def _near(request: Request, law: Law, optimum: float, best: float) -> NearOptimal | None:
    """Shapes of ordinary aspect ratio whose N, with the T that is left for it, is within `near` of the best."""
    widths, depths, counted, ordinary = _grid(law.params_convention, request.constraints)
    tokens, loss = _spent(request, law, counted)
    if not tokens.any():
        raise request.unaffordable()
    loss = np.where(ordinary, loss, np.inf)
    low, high = _valley(request, law, optimum, best)

    def share(rows: IntArray, columns: IntArray) -> FloatArray | None:
        fit = request.fit
        if fit is None or not fit.drawn:
            return None
        own = _optima(law, fit.theta_draws, request)
        usable = np.isfinite(own[0])
        theta = fit.theta_draws[usable]
        if not len(theta):
            return None
        least = np.array(
            [
                law.log_loss([*one], draw)
                for one, draw in zip(np.log(_columns(law, *own))[usable], theta, strict=True)
            ]
        )
        drawn = law.log_loss([*np.log(_columns(law, counted[rows, columns], tokens[rows, columns])).T], theta)
        return np.asarray((drawn <= least[:, None] + np.log1p(request.near)).mean(0))

    return near_optimal(
        widths, depths, loss, tokens, request.near,
        best=best, inside=(counted > low) & (counted < high), everything=request.everything, share=share,
    )  # fmt: skip


def _nearest(target: float, law: Law | FrontierLaw, constraints: Constraints) -> tuple[Shape, ...]:
    """Feasible shapes of ordinary aspect ratio nearest to `target` parameters, one per width, nearest first."""
    widths, depths, counted, ordinary = _grid(law.params_convention, constraints)
    distance = np.where(ordinary, np.abs(np.log(counted / target)), np.inf)
    deep = distance.argmin(1)
    nearest = distance[np.arange(len(widths)), deep]
    order = [i for i in np.argsort(nearest, kind="stable")[:NEAREST] if np.isfinite(nearest[i])]
    return tuple(constraints.shape(int(widths[i]), int(depths[deep[i]])) for i in order)
