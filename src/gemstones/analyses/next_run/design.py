"""The runs to train for the narrowest interval of what is wanted, for a spend, from nothing or after a pilot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gemstones import bounds
from gemstones.analyses.next_run.beliefs import Beliefs
from gemstones.analyses.next_run.candidates import (
    CHECKPOINTS,
    COOLDOWN,
    Runs,
    branches_cost,
    checkpoints,
    flops_of,
    grid,
    offered_models,
    ordinary,
    per_token,
    points_of,
    shares_of,
)
from gemstones.analyses.next_run.conventional import (
    Conventional,
    Standard,
    conventional,
    standard_models,
)
from gemstones.analyses.next_run.experiment import Candidates, Learned, Noise
from gemstones.analyses.next_run.pilot import pilot_of
from gemstones.analyses.next_run.result import Bought, Design, Rival, factor_of
from gemstones.analyses.next_run.search import Limits, after, search
from gemstones.analyses.next_run.shown import law_flops
from gemstones.analyses.next_run.wanted import WANTS, Reference, Want, best_sizes
from gemstones.arguments import checked
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL, check_level
from gemstones.laws.law import Law
from gemstones.laws.published import REFIT, FrontierLaw, given_law
from gemstones.planning.cost import amount_text
from gemstones.planning.defaults import default_constraints, default_throughput
from gemstones.runs.given import selected_runs
from gemstones.shape import FloatArray, Shapes
from gemstones.timing.step_time import StepTime
from gemstones.units import format_flops

RUNS = 35
"""Of a design, at most: as many as an isoFLOP grid of 5 budgets × 7 sizes, so that it can be at least as good."""
MOST_RUNS = 200
MOST_CANDIDATES = 5_000
OF_CURVE = 1_200
"""Candidates for each spend of the curve."""
CURVE = (1 / 16, 1 / 4, 1.0, 4.0, 16.0)
LARGEST_SHARE = 0.25
"""Of the spend, that a run may cost; of fewer than four runs each may cost its share."""


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked, whatever is spent on it."""

    beliefs: Beliefs
    reference: Reference
    want: Want
    constraints: Constraints
    step_time: StepTime | None
    multiple: float
    """What a run costs over a single one: seeds, both recipes."""
    annealed: bool
    largest: float | None
    """FLOPs of a run, at most."""
    level: float
    """Probability of the intervals."""

    @property
    def law(self) -> Law:
        return self.beliefs.law

    def unit_cost(self, shapes: Shapes) -> FloatArray:
        """Of a token of a single run."""
        if self.step_time is None:
            return per_token(self.law, shapes)
        return np.asarray(self.step_time.device_hours_per_token(shapes))

    @property
    def resource(self) -> Resource:
        """What the spend is of."""
        return "flops" if self.step_time is None else "device_hours"

    def cost(self, runs: Runs) -> FloatArray:
        return np.asarray(self.unit_cost(runs.shapes) * runs.tokens * self.times(runs))

    def times(self, runs: Runs) -> FloatArray:
        """What each run costs over a single one without branches."""
        return self.multiple * (branches_cost(self.law, runs) if self.annealed else np.ones(runs.count))

    def flops(self, runs: Runs) -> FloatArray:
        return flops_of(self.law, runs) * self.times(runs)

    def factor(self, variance: FloatArray) -> float:
        return factor_of(variance, self.level)

    def candidates(self, runs: Runs, *, ends_only: bool = False) -> Candidates:
        rows = 1 if ends_only else CHECKPOINTS
        return Candidates(points_of(self.law, checkpoints(self.law, runs, rows)), rows, self.cost(runs))

    def start(self, candidates: Candidates) -> Learned:
        return self.beliefs.start(self.reference, self.want, candidates, self.reference.target(self.want))

    def conventional(self, models: _Models, spend: float, most: int) -> list[Conventional]:
        # FLOPs of a run of twenty tokens per parameter that costs as much: what the largest budget can be.
        per_flop = float(
            np.median(self.unit_cost(models.offered.shapes) / per_token(self.law, models.offered.shapes))
        )
        log_best = best_sizes(self.law, spend / per_flop)
        return conventional(models.standard, spend, log_best, self.cost, most)

    def pool(
        self, models: _Models, spend: float, runs: int, most: int
    ) -> tuple[Runs, list[Conventional], list[list[int]]]:
        """Candidates, conventional designs, and which candidates those that the limits allow are."""
        offered = models.offered
        largest = max(LARGEST_SHARE, 1 / runs) * spend / self.multiple
        if self.largest is not None:
            largest = spend / self.multiple
        pool = grid(
            self.law,
            offered_models(self.law, offered, largest, self.unit_cost, self.resource),
            largest,
            most,
            self.unit_cost,
        )
        if self.largest is not None:
            flops = self.flops(pool)
            if not (kept := np.flatnonzero(flops <= self.largest)).size:
                raise InvalidRequest(
                    f"largest run {format_flops(self.largest)} FLOPs: the cheapest that is worth training costs "
                    f"{format_flops(float(flops.min()))}"
                )
            pool = pool.taken(kept)
        plain = self.conventional(models, spend, runs)
        starts = []
        for one in plain:
            within = self.largest is None or self.flops(one.runs).max() <= self.largest
            if one.runs.count <= runs and within and not one.ends_only:
                starts.append(list(range(pool.count, pool.count + one.runs.count)))
                pool = pool.joined(one.runs)
        return pool, plain, starts


@dataclass(frozen=True, eq=False)
class _Models:
    """What could be trained at all."""

    offered: Runs
    standard: tuple[Standard, ...]

    @classmethod
    def of(cls, law: Law, constraints: Constraints) -> _Models:
        models = ordinary(constraints)
        return cls(models, standard_models(law, models))


@checked
def design_runs(
    budget: float | str,
    spend: float | str | None = None,
    *,
    want: str = "n_opt",
    law: Fit | Law | FrontierLaw | str | Path = REFIT,
    after: Any = None,
    form: str = "N,T",
    existing: Any = None,
    runs: int = RUNS,
    largest: float | str | None = None,
    annealed: bool = False,
    seeds: int = 1,
    device_hours: float | str | None = None,
    throughput: StepTime | None = None,
    level: float = DEFAULT_LEVEL,
    constraints: Constraints | None = None,
    noise: Noise | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Design:
    """The runs to train for `spend` FLOPs in all (or `device_hours`) that tell most of `want` at `budget` FLOPs.

    `want` is `n_opt` (log N*), `shape` (log width and log depth), `loss` (of the best model) or `compare` (the
    difference of two recipes; each run is then trained with both). `law` is the reference around which everything is
    linear, with a wide prior. With `after`, a pilot's fit (a `Fit`, or the file of one) or its runs, to which `form` is
    fitted, the draws are the prior. `existing` are runs that exist. Both are given as to `fit`: the name of a data set,
    a path, a `RunTable`, a frame or a list of dicts, of which the default selection is taken where none was made. There
    are at most `runs` runs, none above `largest` FLOPs (by default a quarter of the spend, or its share of fewer than
    four runs), each of `seeds` seeds; `annealed` counts losses at the ends of cooldowns, one at every checkpoint.
    Conventional designs at the same cost stand beside, and are where the search starts from. `level` is the probability
    of the intervals. `throughput` says what device hours buy, `constraints` which shapes there are, `noise` how losses
    scatter; `progress` is told what is done. Raises `InvalidRequest` where nothing can be bought.

    >>> design_runs(1e22, 2e20).interval_factor  # doctest: +SKIP
    1.31
    """
    budget = bounds.FLOPS.parse(budget)
    if (spend is None) == (device_hours is None):
        raise InvalidRequest("spend: give either a spend in FLOPs or device hours, one of them")
    resource: Resource = "flops" if spend is not None else "device_hours"
    amount = SPEND.parse(spend) if spend is not None else bounds.DEVICE_HOURS.parse(device_hours or 0)
    if want not in WANTS:
        raise InvalidRequest(f"want {want!r} is unknown: choose from {', '.join(WANTS)}")
    if not 1 <= runs <= MOST_RUNS:
        raise InvalidRequest(f"runs {runs} must be 1 to {MOST_RUNS}")
    if not 1 <= seeds <= runs:
        raise InvalidRequest(f"seeds {seeds} must be 1 to the number of runs, {runs}: each seed is a run")
    check_level(level)
    most = None if largest is None else LARGEST.parse(largest)
    pilot = None if after is None else pilot_of(after, form)
    beliefs = Beliefs.of(
        given_law(law),
        pilot=None if pilot is None else pilot.fit,
        pilot_runs=None if pilot is None else pilot.runs,
        have=None if existing is None else selected_runs(existing),
        noise=noise,
        name=str(law) if isinstance(law, str) else "",
    ).of_want(want)
    step_time = None
    if resource == "device_hours":
        step_time = throughput or default_throughput(given_law(law) if pilot is None else pilot.fit)
    if resource == "device_hours" and step_time is None:
        raise InvalidRequest(
            "device hours need the step times of these models: name them with --throughput (`gemstones throughput "
            "--output`), or give a --spend in FLOPs"
        )
    each = seeds * (2.0 if want == "compare" else 1.0)
    question = _Question(
        beliefs.averaged(seeds),
        Reference.of(beliefs.law, budget),
        want,
        constraints or default_constraints(beliefs.law),
        step_time,
        each,
        annealed,
        most,
        level,
    )
    models = _Models.of(beliefs.law, question.constraints)
    limits = Limits(amount, max(1, runs // seeds))
    pool, plain, starts = question.pool(models, amount, limits.runs, MOST_CANDIDATES)
    candidates = question.candidates(pool)
    if not (candidates.cost <= amount).any():
        raise InvalidRequest(f"{amount_text(amount, resource)} buy no run of these models: spend more")
    start = question.start(candidates)
    if progress is not None:
        progress("search", 0.2)
    order = search(start, candidates.cost, limits, starts)
    bought, end = _bought(question, pool, candidates, start, order)
    rivals = tuple(_rival(question, one) for one in plain)
    if progress is not None:
        progress("curve", 0.7)
    names = ("width", "depth") if want == "shape" else (want,)
    by_quantity = {name: question.factor(end.variance[i : i + 1, i : i + 1]) for i, name in enumerate(names)}
    curve = _curve(question, models, limits, bought[-1].interval_factor)
    before = question.factor(start.variance)
    return Design(
        want, budget, amount, resource, beliefs.law, beliefs.noise, bought, before, by_quantity, rivals, curve,
        law_flops(beliefs.law), seeds, annealed, CHECKPOINTS, level,
        (*beliefs.assumptions, *_assumptions(question, annealed, seeds)), beliefs.flags,
    )  # fmt: skip


SPEND = bounds.Amount("spend", "FLOPs", 6.0, 1e40)
LARGEST = bounds.Amount("largest run", "FLOPs", 6.0, 1e40)


def _bought(
    question: _Question, pool: Runs, candidates: Candidates, start: Learned, order: tuple[int, ...]
) -> tuple[tuple[Bought, ...], Learned]:
    """The runs, each with what it leaves unknown, and what is left after all."""
    index = np.array(order)
    chosen = pool.taken(index)
    flops = question.flops(chosen)
    cost, total = candidates.cost[index], chosen.params()
    shares = shares_of(question.law, chosen)
    now, found = start.taken(index[:0]), []
    for i, run in enumerate(order):
        now = now.told(start.rows[run])
        shape = question.constraints.shape(int(chosen.width[i]), int(chosen.depth[i]))
        found.append(
            Bought(
                shape, float(total[i]), float(chosen.tokens[i]), float(flops[i]), float(cost[i]),
                float(flops[: i + 1].sum()), float(cost[: i + 1].sum()), question.factor(now.variance),
                tuple(np.unique(shares[i].round(4)).tolist()) if question.annealed else (),
            )
        )  # fmt: skip
    return tuple(found), now


def _rival(question: _Question, one: Conventional) -> Rival:
    candidates = question.candidates(one.runs, ends_only=one.ends_only)
    start = question.start(candidates)
    variance = after(start, range(candidates.count)).variance
    flops = float(question.flops(one.runs).sum())
    return Rival(one.name, one.runs.count, flops, question.factor(variance))


def _curve(
    question: _Question, models: _Models, limits: Limits, factor: float
) -> tuple[tuple[float, float], ...]:
    """Interval factor by spend; each at most that of a smaller spend, as money can be left over."""
    found: list[tuple[float, float]] = []
    for share in CURVE:
        spend, here = share * limits.spend, factor
        if share != 1:
            try:
                pool, _, starts = question.pool(models, spend, limits.runs, OF_CURVE)
            except InvalidRequest:  # buys nothing
                continue
            candidates = question.candidates(pool)
            start = question.start(candidates)
            own = search(start, candidates.cost, Limits(spend, limits.runs), starts)
            here = question.factor(after(start, own).variance)
        found.append((spend, min([here, *(f for _, f in found)])))
    return tuple(found)


def _assumptions(question: _Question, annealed: bool, seeds: int) -> tuple[str, ...]:
    rows = f"{CHECKPOINTS} losses, at its end and by halves of its tokens before (closer below 32 tokens per parameter)"
    said = [
        f"each run gives {rows}, each annealed over a further {COOLDOWN:.0%}"
        if annealed
        else f"each run gives {rows}, at a constant rate"
    ]
    if seeds > 1:
        said.append(f"each run is trained with {seeds} seeds, whose losses are averaged")
    if question.want == "compare":
        said.append(
            "each run is trained with both recipes, and costs both; runs that exist tell nothing of these"
        )
    if not question.reference.of_shapes:
        said.append(
            "the law sees N alone: shapes are feasible ones of that N, width/depth near the head size"
        )
    said.append(
        f"these are the model's own words, of fits by {question.reference.law.form}: forms that backtests chose from "
        "so few runs (--law auto) were farther off; benchmarks/design.md has what fits to simulated runs obtain"
    )
    return tuple(said)
