"""The designs that people use, scaled to cost a spend: what a chosen design is compared with, and starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.analyses.next_run.candidates import Runs, per_token, standard
from gemstones.laws.law import Law
from gemstones.planning.sight import sight
from gemstones.shape import FloatArray, IntArray

EACH = 20.0
"""Tokens per parameter of a ladder (Hoffmann et al. 2022)."""
LADDER = 8
REACH = 30.0
"""Largest over smallest size of a ladder, and of runs of equal tokens."""
BUDGETS, SIZES = 5, 7
"""Of an isoFLOP grid."""
DECADES = 2.0
"""From its smallest budget to its largest."""
AROUND = 4.0
"""Sizes of a budget lie within this factor of the best."""
SPREAD = 4.0
"""Aspect ratios of three shapes of a size: the usual one over this, itself, and times this."""
LISTED = 300
"""Sizes of standard models that are looked at."""
LEAST_SPENT = 0.5
"""Of the spend; designs that cannot cost as much are left out."""


@dataclass(frozen=True, eq=False)
class Conventional:
    """A design by name."""

    name: str
    runs: Runs
    ends_only: bool = False
    """Whether of each run only the last loss is used."""


@dataclass(frozen=True, eq=False)
class Standard:
    """Standard models by size, for one aspect ratio, so that the nearest one to a size is found at once."""

    models: Runs
    n: FloatArray
    """By the law's convention, ascending."""
    per_token: FloatArray
    """FLOPs."""

    @classmethod
    def of(cls, law: Law, models: Runs, aspect: float | None = None) -> Standard:
        """Of `LISTED` sizes."""
        convention = law.params_convention
        n = models.params(convention)
        index = np.unique(standard(models, np.geomspace(n.min(), n.max(), LISTED), convention, aspect))
        index = index[np.argsort(n[index], kind="stable")]
        listed = models.taken(index)
        return cls(listed, n[index], per_token(law, listed.shapes))

    def nearest(self, sizes: FloatArray) -> IntArray:
        """Which is nearest to each of `sizes`."""
        return np.asarray(np.abs(np.log(self.n)[None] - np.log(sizes)[:, None]).argmin(1), np.int64)

    def trained(self, index: IntArray, tokens: FloatArray | float) -> Runs:
        """These on so many tokens."""
        return self.models.taken(index).trained_to(np.asarray(tokens, float))


def standard_models(law: Law, models: Runs) -> tuple[Standard, ...]:
    """The usual models by size; of a law of shapes the deep and the wide ones too."""
    usual = Standard.of(law, models)
    if sight(law) == "size":
        return (usual,)
    head = models.template.head_size
    return (usual, Standard.of(law, models, head / SPREAD), Standard.of(law, models, head * SPREAD))


def conventional(
    lists: Sequence[Standard],
    spend: float,
    log_best: Callable[[FloatArray], FloatArray],
    cost: Callable[[Runs], FloatArray],
    most: int,
) -> list[Conventional]:
    """Ladders, equal tokens and isoFLOP grids of `standard_models`, the last also with `most` runs, each for `spend`.

    `log_best` gives log N* of the law for FLOPs, around which isoFLOP grids lie; `cost` is what runs cost in the unit
    of the spend.
    """
    usual = lists[0]

    def sizes(largest: float) -> FloatArray:
        top = np.sqrt(largest / 120)
        return np.geomspace(top / REACH, top, LADDER)

    def equal_tokens(largest: float) -> Runs:
        index = usual.nearest(sizes(largest))
        return usual.trained(index, EACH * usual.n[index].max())

    def ladder(largest: float) -> Runs:
        index = usual.nearest(sizes(largest))
        return usual.trained(index, EACH * usual.n[index])

    def isoflop(budgets: int, count: int) -> Callable[[float], Runs]:
        def build(largest: float) -> Runs:
            flops = largest * np.logspace(-DECADES, 0, budgets)
            wanted = np.exp(log_best(flops))[:, None] * np.geomspace(1 / AROUND, AROUND, count)
            index = usual.nearest(wanted.ravel())
            return usual.trained(index, np.repeat(flops, count) / usual.per_token[index])

        return build

    grid = _scaled(isoflop(BUDGETS, SIZES), cost, spend)
    designs = [
        ("equal tokens", _scaled(equal_tokens, cost, spend), False),
        (f"{EACH:g} tokens per parameter", _scaled(ladder, cost, spend), False),
        ("isoFLOP grid, ends only", grid, True),
        ("isoFLOP grid", grid, False),
    ]
    if len(lists) > 1:

        def three_shapes(largest: float) -> Runs:
            tokens = EACH * sizes(largest).max()
            parts = [one.trained(one.nearest(sizes(largest)), tokens) for one in lists]
            return parts[0].joined(parts[1]).joined(parts[2])

        designs.append(("three shapes a size, equal tokens", _scaled(three_shapes, cost, spend), False))
    if most < BUDGETS * SIZES and (budgets := min(4, most // 3)) > 1:
        smaller = _scaled(isoflop(budgets, most // budgets), cost, spend)
        designs.append((f"isoFLOP grid, {budgets} × {most // budgets}", smaller, False))
    return [Conventional(name, runs, ends) for name, runs, ends in designs if runs is not None]


def _scaled(build: Callable[[float], Runs], cost: Callable[[Runs], FloatArray], spend: float) -> Runs | None:
    """The design that costs `spend`, or a little less; None where that cannot be."""
    low, high = 1e8, 1e40  # FLOPs of the largest run
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        if cost(build(middle)).sum() <= spend:
            low = middle
        else:
            high = middle
    found = build(low)
    total = float(cost(found).sum())
    return found if LEAST_SPENT * spend < total <= spend * (1 + 1e-9) else None
