"""What a design is: runs in the order in which to buy them, and what each leaves unknown."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from gemstones.analyses.next_run.experiment import Noise
from gemstones.analyses.next_run.shown import design_card
from gemstones.analyses.next_run.wanted import Want
from gemstones.laws.envelope import Resource
from gemstones.laws.interval import DEFAULT_LEVEL, level_text
from gemstones.laws.law import Law
from gemstones.shape import FloatArray, Shape


def factor_of(variance: FloatArray, level: float = DEFAULT_LEVEL) -> float:
    """How far an interval reaches either way, as a factor; of several quantities the geometric mean's."""
    normal = -NormalDist().inv_cdf(0.5 * (1 - level))
    with np.errstate(over="ignore"):
        return float(np.exp(normal * np.exp(0.5 * np.log(np.diag(variance)).mean())))


@dataclass(frozen=True)
class Bought:
    """One run of a design."""

    shape: Shape
    """Of a law in N and T a feasible shape of that N: it sees no other difference."""
    params_total: float
    tokens: float
    flops: float
    """As the law counts them, of all seeds and branches; of `compare` of both recipes."""
    cost: float
    """In the unit of the spend."""
    cumulative_flops: float
    cumulative_cost: float
    interval_factor: float
    """After it: the interval reaches so far either way, as a factor."""

    annealed_at: tuple[float, ...] = ()
    """Shares of its tokens at which cooldowns branch off; none of a design that is not annealed."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return vars(self) | {"shape": str(self.shape)}


@dataclass(frozen=True)
class Rival:
    """A conventional design at the same cost."""

    name: str
    runs: int
    flops: float
    interval_factor: float

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """Runs to buy, in order, and what they would leave unknown at a budget of FLOPs; what `design_runs` returns.

    >>> from gemstones.analyses.next_run.design import design_runs
    >>> [run.tokens for run in design_runs(1e22, 2e20).runs]  # doctest: +SKIP
    """

    want: Want
    budget: float
    """FLOPs at which the wanted quantity is."""
    spend: float
    resource: Resource
    """What the spend is of."""
    law: Law
    noise: Noise
    runs: tuple[Bought, ...]
    before: float
    """Interval factor without any of these runs."""
    by_quantity: dict[str, float]
    """Interval factor after all runs of each wanted quantity: of `shape` width and depth."""
    conventional: tuple[Rival, ...]
    curve: tuple[tuple[float, float], ...]
    """(spend, interval factor) of designs for less and more."""
    flops_convention: str
    seeds: int
    annealed: bool
    checkpoints: int
    """Losses of a run that are used, by a factor of two in tokens."""
    level: float
    """Probability of the intervals."""
    assumptions: tuple[str, ...]
    flags: tuple[str, ...] = ()
    """Of the pilot's fit."""

    @property
    def interval_factor(self) -> float:
        """After all runs."""
        return self.runs[-1].interval_factor

    @property
    def flops(self) -> float:
        """Of all runs."""
        return self.runs[-1].cumulative_flops

    @property
    def best_conventional(self) -> Rival | None:
        """The narrowest of the conventional designs."""
        return min(self.conventional, key=lambda one: one.interval_factor, default=None)

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones design --for --json` prints."""
        return {
            "want": self.want,
            "budget": self.budget,
            "spend": self.spend,
            "spend_unit": self.resource,
            "flops_convention": self.flops_convention,
            "law": self.law.form,
            "params_convention": self.law.params_convention,
            "seeds": self.seeds,
            "annealed": self.annealed,
            "runs": [run.summary() for run in self.runs],
            "interval_factor": self.interval_factor,
            "interval_factor_before": self.before,
            "interval_factor_by_quantity": self.by_quantity,
            "level": self.level,
            "interval": f"{level_text(self.level)}, either way",
            "conventional": [one.summary() for one in self.conventional],
            "curve": [{"spend": spend, "interval_factor": factor} for spend, factor in self.curve],
            "noise": dict(vars(self.noise)),
            "assumptions": list(self.assumptions),
            "flags": list(self.flags),
        }

    def __repr__(self) -> str:
        return design_card(self).text(4)

    def _repr_html_(self) -> str:
        return design_card(self).html()
