"""What a sensitivity analysis finds: shifts of prescriptions, their spread, and the choices' shares of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemstones.analyses.sensitivity.choices import Choices
from gemstones.analyses.sensitivity.prescribe import Quantity
from gemstones.units import Interval


@dataclass(frozen=True)
class Shift:
    """What one other level of one choice does to prescriptions."""

    choice: str
    level: Any
    study: Choices
    against: Choices
    """The base study, or, where its other choices are refused with this level, the nearest to it that can be had."""
    ratio: dict[Quantity, tuple[float | None, ...]]
    """Of the study's prescriptions over those, by budget."""
    interval: dict[Quantity, tuple[Interval | None, ...]]
    """From the ratios of paired draws."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "choice": self.choice,
            "level": self.level,
            "choices": self.study.summary(),
            "against": self.against.summary(),
            **{quantity: list(values) for quantity, values in self.ratio.items()},
            "interval": {quantity: list(values) for quantity, values in self.interval.items()},
        }


@dataclass(frozen=True)
class Spread:
    """How far the studies are apart in one quantity at one budget."""

    quantity: Quantity
    budget: float
    studies: int
    """That have a prescription."""
    least: float
    low: float
    """A tenth of the studies prescribe less."""
    median: float
    high: float
    """A tenth prescribe more."""
    most: float
    sampling_factor: float | None
    """Upper over lower end of a single study's interval, the median over studies."""
    sampling_variance_ratio: float | None
    """Mean variance of log prescriptions over the resamples of a study, over their variance between studies."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "ratio": self.most / self.least}


@dataclass(frozen=True)
class Share:
    """A choice's share of the variance of the log of one quantity at one budget."""

    quantity: Quantity
    budget: float
    choice: str
    """Or `interactions`."""
    share: float
    interval: Interval | None
    """From the shares in resample 1, 2, … of all studies."""

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "interval": None if self.interval is None else list(self.interval)}


@dataclass(frozen=True)
class Without:
    """The decomposition, at the headline budget, of the studies that are left without one level of one choice."""

    choice: str
    level: Any
    studies: int
    """That are left and have a prescription."""
    decomposition: dict[str, float]

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))
