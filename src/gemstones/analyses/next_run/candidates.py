"""Runs that could be bought: feasible models of ordinary shape, each trained to some number of tokens.

A run gives every checkpoint on its way (annealed, a branch at each of them), so a longer run teaches what a shorter one
does, and more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import ParamsConvention, params
from gemstones.analyses.compare.optima import shape_columns
from gemstones.analyses.next_run.experiment import Points
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource
from gemstones.laws.law import Law
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.planning.cost import amount_text
from gemstones.planning.sight import sight
from gemstones.shape import FloatArray, IntArray, Shape, Shapes
from gemstones.units import format_quantity

CHECKPOINTS = 6
"""Of each run, by a factor of two in tokens or less, the last at its end."""
COOLDOWN = 0.1
"""Tokens of a branch whose rate falls to zero, over those at its fork (paper §3)."""
SAME_SHARE = 1e-3
"""Checkpoints that are nearer are one."""
LEAST_RATIO, MOST_RATIO = 1.0, 400.0
"""Tokens per parameter of candidates: down to 1, for a bound of ten costs 10 to 20% of the width of the interval."""
SMALLEST = 1e-5
"""Of the largest run's FLOPs: cheaper candidates are none."""
MOST_MODELS = 400
LEAST_DEPTH = 2


UnitCost = Callable[[Shapes], FloatArray]
"""What a token costs to train on: FLOPs or device hours."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Models with the tokens that they are trained to, (runs,) each."""

    width: FloatArray
    depth: FloatArray
    tokens: FloatArray
    template: Shape

    @property
    def count(self) -> int:
        """How many."""
        return len(self.tokens)

    @property
    def shapes(self) -> Shapes:
        """Of the models."""
        return Shapes.of(self.width, self.depth, self.template)

    def params(self, convention: ParamsConvention = "total") -> FloatArray:
        """N of each."""
        return np.asarray(params(self.shapes, convention))

    def trained_to(self, tokens: FloatArray) -> Runs:
        """The same models with other tokens, (runs,)."""
        return Runs(self.width, self.depth, np.broadcast_to(tokens, self.width.shape), self.template)

    def taken(self, index: IntArray) -> Runs:
        """Some of them."""
        return Runs(self.width[index], self.depth[index], self.tokens[index], self.template)

    def joined(self, other: Runs) -> Runs:
        """These, then the others."""
        pairs = ((self.width, other.width), (self.depth, other.depth), (self.tokens, other.tokens))
        width, depth, tokens = (np.concatenate(pair) for pair in pairs)
        return Runs(width, depth, tokens, self.template)


def per_token(law: Law, shapes: Shapes) -> FloatArray:
    """FLOPs to train on one token, as plans of the law count them: 6·N for a law in N and T, Appendix G for others,
    unless the runs gave their own."""
    if law.flops is not None:
        return law.flops.per_token(shapes)
    if sight(law) == "size":
        return np.asarray(6.0 * params(shapes, law.params_convention))
    return np.asarray(flops_per_token(shapes))


def flops_of(law: Law, runs: Runs) -> FloatArray:
    """Of training each run to its end."""
    return np.asarray(per_token(law, runs.shapes) * runs.tokens)


def points_of(law: Law, runs: Runs) -> Points:
    """Where the law's loss of each run is looked at."""
    shapes, log_t = runs.shapes, np.log(runs.tokens)
    at = [np.log(runs.params(law.params_convention)), log_t]
    if sight(law) != "size":
        at.append(np.log(runs.width / runs.depth))
    return Points(shape_columns(law, shapes, log_t), np.stack(at, axis=-1))


def shares_of(law: Law, runs: Runs, rows: int = CHECKPOINTS) -> FloatArray:
    """Of a run's tokens, those at each of its checkpoints, (runs, rows), ascending to 1.

    By a factor of two; closer where that would be before a token per parameter, of which laws say little.
    """
    ratio = runs.tokens / (LEAST_RATIO * runs.params(law.params_convention))
    reach = np.log(np.clip(ratio, 1.0, 2.0 ** (rows - 1)))
    at = np.linspace(1, 0, rows) if rows > 1 else np.zeros(1)
    return np.asarray(np.exp(-reach[:, None] * at))


def checkpoints(law: Law, runs: Runs, rows: int = CHECKPOINTS) -> Runs:
    """Each run's checkpoints, run after run, the end last."""
    index = np.repeat(np.arange(runs.count), rows)
    return runs.taken(index).trained_to((runs.tokens[:, None] * shares_of(law, runs, rows)).ravel())


def branches_cost(law: Law, runs: Runs) -> FloatArray:
    """FLOPs of runs whose every checkpoint ends a cooldown, over those of runs as long without, (runs,)."""
    shares = shares_of(law, runs)
    different = np.concatenate(
        [shares[:, :1], np.where(np.diff(shares) > SAME_SHARE, shares[:, 1:], 0.0)], axis=1
    )
    return np.asarray((1 + COOLDOWN * different.sum(1)) / (1 + COOLDOWN))


def ordinary(constraints: Constraints) -> Runs:
    """The feasible models of ordinary aspect ratio, by N; of one token each."""
    width, depth = (x.ravel() for x in np.broadcast_arrays(*constraints.grid()))
    ratio = width / depth
    low, high = ASPECT_RATIOS
    scale = constraints.template.head_size / 128  # small heads are of small models, as wide in heads
    kept = (ratio >= low * scale) & (ratio <= high) & (depth >= LEAST_DEPTH)
    if not kept.any():
        raise InvalidRequest(
            f"none of the {len(ratio):,} feasible shapes has an ordinary aspect ratio, {low * scale:.2g} to "
            f"{high:.0f}: widen the ranges of width and depth"
        )
    models = Runs(width[kept], depth[kept], np.ones(int(kept.sum())), constraints.template)
    return models.taken(np.argsort(models.params(), kind="stable"))


def standard(
    models: Runs, sizes: FloatArray, convention: ParamsConvention, aspect: float | None = None
) -> IntArray:
    """The model nearest to each of `sizes`, of those within 10% the one whose aspect ratio is nearest to `aspect`.

    Existing models have about as many blocks as heads, width/depth ≈ head size (`gemstones.design.choose`).
    """
    log_n = np.log(models.params(convention))
    off = np.abs(np.log(models.width / models.depth) - np.log(aspect or models.template.head_size))
    found = []
    for size in np.log(sizes):
        near = np.abs(log_n - size)
        close = near <= max(0.1, float(near.min()) * 1.001)
        found.append(int(np.where(close, off + near, np.inf).argmin()))
    return np.array(found, np.int64)


def offered_models(
    law: Law, models: Runs, largest: float, unit_cost: UnitCost, resource: Resource = "flops"
) -> Runs:
    """Models for candidates: standard shapes of 64 sizes for a law in N and T, up to `MOST_MODELS` shapes for others.

    Each can be trained on a token per parameter for `largest`, and is not tiny. `unit_cost` is what a token costs, in
    the `resource`.
    """
    n = models.params(law.params_convention)
    each = unit_cost(models.shapes)
    can = (each * n * LEAST_RATIO <= largest) & (each * n * MOST_RATIO >= SMALLEST * largest)
    if not can.any():
        small = (each * n * LEAST_RATIO > largest).all()
        remedy = (
            "spend more, or let models be smaller, like --head-size 16 --vocabulary 4096"
            if small
            else "spend less, or let models be larger, like --max-width 16384"
        )
        raise InvalidRequest(
            f"no feasible model can be trained on {LEAST_RATIO:g} to {MOST_RATIO:g} tokens per parameter for the "
            f"{amount_text(largest, resource)} that a run may cost (models have {format_quantity(n.min())} to "
            f"{format_quantity(n.max())} parameters): {remedy}"
        )
    models = models.taken(np.flatnonzero(can))
    n = models.params(law.params_convention)
    if sight(law) == "size":
        sizes = np.geomspace(n.min(), n.max(), 64)
        return models.taken(np.unique(standard(models, sizes, law.params_convention)))
    size, ratio = np.log(n), np.log(models.width / models.depth)
    cells: dict[tuple[int, int], int] = {}
    step = np.sqrt(np.ptp(size) * np.ptp(ratio) / MOST_MODELS) or 1.0
    for i in range(models.count):
        cells.setdefault((int(size[i] // step), int(ratio[i] // step)), i)
    return models.taken(np.array(sorted(cells.values()), np.int64))


def grid(law: Law, models: Runs, largest: float, most: int, unit_cost: UnitCost) -> Runs:
    """Every model at several numbers of tokens, `most` runs in all: none dearer than `largest`, tiny or absurd."""
    n, each = models.params(law.params_convention), unit_cost(models.shapes)
    low = np.log(np.maximum(LEAST_RATIO * n, SMALLEST * largest / each))
    high = np.log(np.minimum(MOST_RATIO * n, largest / each))
    usable = np.flatnonzero(high >= low)
    steps = max(2, most // max(len(usable), 1))
    at = np.linspace(0, 1, steps)
    tokens = np.exp(low[usable, None] + (high - low)[usable, None] * at)
    return models.taken(np.repeat(usable, steps)).trained_to(tokens.ravel())
