"""What a law or a frontier prescribes under any convention of FLOPs, for its estimate and all of its resamples at once.

- A law of shapes: the least loss over every feasible shape, with T = C / F(shape), F in the convention asked for.
- A law in N and T, FLOPs as 6·N·T: Hoffmann's closed form.
- A law in N and T, FLOPs of shapes: the least loss over feasible shapes of ordinary aspect ratio, the paper's "brute
  force plotting method" (Figure 12). Whatever the law, more N and fewer FLOPs are better, so that only the shapes count
  that no other beats in both; there are a few thousand of them, found once.
- A frontier: its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from gemstones.accounting.parameters import ParamsConvention, params
from gemstones.analyses.sensitivity.frontier_lines import FrontierLines
from gemstones.design.feasible import Constraints
from gemstones.laws.fit import Fit
from gemstones.laws.flops_model import FlopsModel
from gemstones.laws.interval import interval, percentile_interval
from gemstones.laws.law import Law
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.planning.cost import Cost, Flops, flops_of_params, training_flops
from gemstones.planning.defaults import default_constraints
from gemstones.planning.optimum import on_edge, shape_optima, size_optima
from gemstones.planning.sight import TOKENS, sight, sum_of_terms
from gemstones.planning.surface import Surface
from gemstones.shape import BoolArray, FloatArray, IntArray, Shapes
from gemstones.units import Interval, format_flops, format_quantity

Quantity = Literal["n_opt", "t_opt", "w_opt", "d_opt"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
BLOCK = 128
"""Shapes that are looked into, or left, together."""
ROUNDING = 1e-9
"""Relative; far more than that of a sum of terms."""


@dataclass(frozen=True, eq=False, repr=False)
class Prescribed:
    """N*, T*, w*, d* for every budget: of the estimate in row 0, of the resamples below, (1 + draws, budgets).

    NaN where a law has no optimum, or where the estimate's lies on the edge of the search, and for what is not known.
    """

    n_opt: FloatArray
    """In the study's convention of N."""
    t_opt: FloatArray
    w_opt: FloatArray
    d_opt: FloatArray
    params_total: FloatArray
    discrete: bool
    """Whether the optimum is one of the feasible shapes."""
    flags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        n_opt, t_opt = (", ".join(map(format_quantity, self.of(q)[0])) for q in ("n_opt", "t_opt"))
        return f"<Prescribed N* {n_opt}; T* {t_opt}; {self.draws} resamples>"

    @property
    def draws(self) -> int:
        """How many resamples there are."""
        return len(self.n_opt) - 1

    def of(self, quantity: Quantity) -> FloatArray:
        """(1 + draws, budgets)."""
        values: FloatArray = getattr(self, quantity)
        return values

    def interval(self, quantity: Quantity, budget: int, level: float) -> Interval | None:
        """At the budget of that position; None without an estimate or draws. Draws without an optimum are left out."""
        values = self.of(quantity)[:, budget]
        return ends(values[1:], float(values[0]), discrete=self.discrete, level=level)


def ends(draws: FloatArray, estimate: float, *, discrete: bool, level: float) -> Interval | None:
    """The interval of draws, of which those that are not finite are left out; None if too few are left."""
    kept = draws[np.isfinite(draws)]
    if not np.isfinite(estimate):
        return None
    made = percentile_interval if discrete else interval
    return made(kept, estimate, level=level)


def prescribe_lines(
    lines: FrontierLines, convention: ParamsConvention, budgets: Sequence[float]
) -> Prescribed:
    """By the lines of a frontier over FLOPs of one convention, N in any."""
    at = np.log(np.array(budgets))

    def of(quantity: str) -> FloatArray:
        line = lines.of(quantity)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(line[:, :1] * at + line[:, 1:]))

    counted = of(f"params_{convention}")
    total = of("params_total") if "params_total" in lines.quantities else np.full_like(counted, np.nan)
    unknown = np.full_like(counted, np.nan)
    missing = ~np.isfinite(lines.of("tokens")[1:, 0])
    flags = _left_out(missing[:, None], "have a frontier of one point and no line")
    return Prescribed(counted, of("tokens"), unknown, unknown, total, discrete=False, flags=flags)


def prescribe_law(
    fit: Fit, conventions: Sequence[tuple[ParamsConvention, Flops]], budgets: Sequence[float]
) -> list[Prescribed]:
    """By a fitted law and its draws, for each pair of conventions of N and FLOPs.

    A law with a term in N has the convention of its own; of one without, N is that of the shape in any.
    """
    law = fit.law
    theta = np.vstack([law.theta, fit.theta_draws])
    if sight(law) != "size":
        optima = {
            flops: _shape_optima(law, theta, flops, budgets)
            for flops in dict.fromkeys(flops for _, flops in conventions)
        }
        return [
            _of_shapes(*optima[flops], convention, flops, budgets, widths_known=True)
            for convention, flops in conventions
        ]
    return [
        _by_size(law, theta, convention, flops, budgets)
        if _of_params(law, flops) is not None
        else _by_params(law, theta, convention, flops, budgets)
        for convention, flops in conventions
    ]


def _of_params(law: Law, flops: Flops) -> FlopsModel | None:
    """FLOPs as a function of the N that the law sees; None for those of shapes, Appendix G too."""
    return None if flops == "gemstones" else flops_of_params(flops, law.params_convention)


def _by_size(
    law: Law, theta: FloatArray, convention: ParamsConvention, flops: Flops, budgets: Sequence[float]
) -> Prescribed:
    of_params = _of_params(law, flops)
    assert of_params is not None
    pairs = [size_optima(law, theta, budget, flops=of_params) for budget in budgets]
    counted, tokens = (np.column_stack([pair[i] for pair in pairs]) for i in (0, 1))
    unknown = np.full_like(counted, np.nan)
    return Prescribed(
        counted,
        tokens,
        unknown,
        unknown,
        counted if convention == "total" else unknown,
        discrete=False,
        flags=_no_optimum(np.isfinite(counted)),
    )


def _by_params(
    law: Law,
    theta: FloatArray,
    convention: ParamsConvention,
    flops: Flops,
    budgets: Sequence[float],
) -> Prescribed:
    shapes, counted, cost = undominated(default_constraints(law), convention, flops)
    # Loss that does not fall with N or with T has no optimum on the line of 6·N·T either.
    usable = np.repeat(np.isfinite(size_optima(law, theta, budgets[0])[0])[:, None], len(budgets), axis=1)
    at = np.zeros((len(theta), len(budgets)), np.intp)
    log_n, log_cost = np.log(counted), np.log(cost)
    for column, budget in enumerate(budgets):
        log_tokens = np.log(budget) - log_cost
        for row in np.flatnonzero(usable[:, 0]):
            at[row, column] = _least(law, theta[row], log_n, log_tokens)
    edge = usable & ((at == 0) | (at == len(counted) - 1))
    chosen = replace(shapes, width=shapes.width[at], depth=shapes.depth[at])
    return _of_shapes(chosen, edge, usable, convention, flops, budgets, widths_known=False)


def _least(law: Law, theta: FloatArray, log_n: FloatArray, log_tokens: FloatArray) -> int:
    """Position of the least sum of terms among shapes of ascending N and descending T.

    Where loss falls with both, no shape of a block has less than its largest N would have with its most tokens: only
    the blocks that may hold the least are looked into, which is the same and takes a twentieth of the time.
    """

    def total(of_n: IntArray, of_tokens: IntArray) -> FloatArray:
        pair = {"N": log_n[of_n], TOKENS: log_tokens[of_tokens]}
        return sum_of_terms(law, theta, [pair[s] for s in law.symbols])

    first = np.arange(0, len(log_n), BLOCK)
    last = np.minimum(first + BLOCK, len(log_n)) - 1
    powers = law.parsed_form.powers(theta)
    if powers is not None and (powers[1] > 0).all():
        possible = total(last, first) <= total(first, first).min() * (1 + ROUNDING)
        first = first[possible]
    inside = (first[:, None] + np.arange(BLOCK)).ravel()
    inside = inside[inside < len(log_n)]
    return int(inside[total(inside, inside).argmin()])


@lru_cache(maxsize=16)
def undominated(
    constraints: Constraints, convention: ParamsConvention, flops: Flops
) -> tuple[Shapes, FloatArray, FloatArray]:
    """Feasible shapes of ordinary aspect ratio of which none has more N for as few FLOPs: with N and FLOPs per token,
    both ascending."""
    column, row = constraints.grid()
    every = Shapes.of(column, row, constraints.template)
    ratio = every.aspect_ratio
    ordinary = (ratio >= ASPECT_RATIOS[0]) & (ratio <= ASPECT_RATIOS[1])
    widths, depths, counted, cost = (
        np.broadcast_to(x, ordinary.shape)[ordinary]
        for x in (column, row, params(every, convention), training_flops(every, flops))
    )
    order = np.lexsort((-counted, cost))
    before = np.maximum.accumulate(np.concatenate([[0.0], counted[order][:-1]]))
    kept = order[counted[order] > before]
    return Shapes.of(widths[kept], depths[kept], constraints.template), counted[kept], cost[kept]


def _shape_optima(
    law: Law, theta: FloatArray, flops: Flops, budgets: Sequence[float]
) -> tuple[Shapes, BoolArray, BoolArray]:
    """The optima of θ (n, m), (n, budgets): which of them lie on the edge of the search, and that all are usable."""
    constraints = default_constraints(law)
    surface = Surface.searched(law, constraints, _cost(flops))
    at = shape_optima(surface, theta, budgets)
    edge = on_edge(at, surface)
    shapes = Shapes.of(surface.widths[at[..., 0]], surface.depths[at[..., 1]], constraints.template)
    return shapes, edge, np.ones(edge.shape, np.bool_)


def _cost(flops: Flops) -> Cost:
    return Cost(learned=flops) if isinstance(flops, FlopsModel) else Cost(flops_convention=flops)


def _of_shapes(
    shapes: Shapes,
    edge: BoolArray,
    usable: BoolArray,
    convention: ParamsConvention,
    flops: Flops,
    budgets: Sequence[float],
    *,
    widths_known: bool,
) -> Prescribed:
    """Optimal `shapes` (1 + draws, budgets). On the edge of the search the estimate has none, a resample that of the
    edge."""
    known = usable.copy()
    known[0] &= ~edge[0]
    flags = [
        f"edge_of_search: the optimum for {format_flops(budget)} FLOPs lies on the edge of the search"
        for budget, outside in zip(budgets, edge[0], strict=True)
        if outside
    ]
    flags += [
        f"draws_on_edge: {outside.mean():.0%} of the resamples have their optimum for {format_flops(budget)} FLOPs "
        "on the edge of the search, so the interval may be too narrow"
        for budget, outside, found in zip(budgets, edge[1:].T, known[0], strict=True)
        if outside.any() and found
    ]

    def masked(values: FloatArray) -> FloatArray:
        return np.where(known, values, np.nan)

    unknown = np.full(known.shape, np.nan)
    return Prescribed(
        masked(params(shapes, convention)),
        masked(np.array(budgets) / training_flops(shapes, flops)),
        masked(shapes.width) if widths_known else unknown,
        masked(shapes.depth) if widths_known else unknown,
        masked(params(shapes)),
        discrete=True,
        flags=(*_no_optimum(usable), *flags),
    )


def _no_optimum(usable: BoolArray) -> tuple[str, ...]:
    if not usable[0].all():
        return ("no_optimum: an exponent of the law is not positive, so that N* or T* has no bound",)
    return _left_out(~usable[1:], "have no optimum")


def _left_out(missing: BoolArray, have: str) -> tuple[str, ...]:
    if not missing.any():
        return ()
    most = missing.mean(0).max()
    return (f"draws_left_out: {most:.0%} of the resamples {have}, so the interval may be too narrow",)
