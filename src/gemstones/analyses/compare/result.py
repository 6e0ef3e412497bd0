"""What a comparison of recipes found: at budgets and points, and what the largest pairs measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemstones.analyses.compare.decisive import Decisive
from gemstones.analyses.compare.shown import compare_card
from gemstones.laws.fit import Fit
from gemstones.planning.extrapolation import Extrapolation
from gemstones.runs.loss_units import LossUnit
from gemstones.units import Interval


@dataclass(frozen=True)
class At:
    """The two recipes at one budget, or one point."""

    budget: float | None
    """FLOPs; each recipe at the pooled law's best size for it. None for a point."""
    point: dict[str, float | str] | None
    losses: tuple[float, float]
    """Of A and B."""
    difference: float
    """Loss of B over that of A, less 1: below 0, B is better. Median of the posterior."""
    interval: Interval | None
    probability_lower: float | None
    """That B's loss is lower; None where there are too few runs."""
    multiplier: float | None
    """Compute that A needs for B's loss, over B's: above 1, B is worth so many times its compute. None at a point."""
    multiplier_interval: Interval | None
    extrapolation: Extrapolation
    decisive: Decisive | None = None
    """The further pair of runs that would decide it; None where it is decided, or nothing can be said."""

    @property
    def decided(self) -> bool | None:
        """Whether the interval leaves out 0; None where there is none."""
        return None if self.interval is None else not self.interval[0] <= 0 <= self.interval[1]

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "budget": self.budget,
            "point": self.point,
            "loss": dict(zip("AB", self.losses, strict=True)),
            "difference": self.difference,
            "interval": self.interval,
            "probability_lower": self.probability_lower,
            "compute_multiplier": self.multiplier,
            "compute_multiplier_interval": self.multiplier_interval,
            "decided": self.decided,
            "would_decide": None if self.decisive is None else self.decisive.summary(),
            "reach": self.extrapolation.reach,
            "extrapolation": self.extrapolation.summary(),
        }


@dataclass(frozen=True)
class Measured:
    """The difference of the largest pairs of checkpoints as it was measured."""

    runs: int
    """That they are of."""
    checkpoints: int
    difference: float
    """Mean of loss of B over that of A, less 1."""
    interval: Interval | None
    """Of the mean, by the spread between runs (Student's t); None for one run."""
    fitted: float | None
    """Mean of what the regression says at the same pairs."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Recipe B against recipe A: differences of loss at budgets (FLOPs), and how sure they are.

    >>> from gemstones.analyses.compare.compare import compare
    >>> compare("a.csv", "b.csv", budgets=["1e21"]).at[0].probability  # doctest: +SKIP
    """

    names: tuple[str, str]
    at: tuple[At, ...]
    measured: Measured | None
    """None for unpaired runs."""
    pairs: int
    """Pairs of runs; 0 where they are not paired."""
    runs: tuple[int, int]
    fit: Fit
    """The pooled law."""
    reason: str
    """Why there is no probability; empty where there is one."""
    level: float
    seed: int
    loss_unit: LossUnit
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones compare --json` prints."""
        return {
            "A": self.names[0],
            "B": self.names[1],
            "at": [one.summary() for one in self.at],
            "paired": None if self.measured is None else self.measured.summary(),
            "pairs": self.pairs,
            "runs": dict(zip("AB", self.runs, strict=True)),
            "law": self.fit.law.form,
            "params_convention": self.fit.law.params_convention,
            "loss_unit": self.loss_unit,
            "reason": self.reason or None,
            "level": self.level,
            "seed": self.seed,
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
        }

    def __repr__(self) -> str:
        return compare_card(self).text()

    def _repr_html_(self) -> str:
        return compare_card(self).html()
