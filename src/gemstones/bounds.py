"""Bounds of sense: what no training run can be, and no request needs, is refused with the rule before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gemstones.errors import InvalidQuantity, InvalidRequest
from gemstones.lists import listed_numbers
from gemstones.units import parse_quantity

MOST = 500
"""Of a list of budgets, factors or sizes."""


@dataclass(frozen=True)
class Amount:
    """A kind of quantity and the range in which it means something."""

    name: str
    """As errors call it."""
    unit: str
    least: float
    most: float
    counted: bool = False
    """Of things in their thousands and more, so that `1,5` is no list of two."""

    def parse(self, value: float | str) -> float:
        """The number that is written, in base units; raises `InvalidQuantity` for none, and for one out of bounds.

        >>> FLOPS.parse("1e22")
        1e+22
        """
        amount = parse_quantity(value, self.name)
        if not self.least <= amount <= self.most:
            raise InvalidQuantity(
                f"{self.name} {value} is out of all bounds: it must be {self.least:g} to {self.most:g} {self.unit}"
            )
        return amount

    def each(self, values: Sequence[float | str]) -> list[float]:
        """As `parse`, of a list; raises `InvalidRequest` for one that is longer than anyone reads."""
        if len(values) > MOST:
            raise InvalidRequest(f"{len(values):,} values of {self.name} are too many: give {MOST:,} at most")
        return [self.parse(value) for value in values]

    def listed(self, text: str, what: str, like: str) -> list[float]:
        """The numbers that a list like `1e20,1e22` writes; raises `InvalidRequest` where it may be one number.

        >>> FLOPS.listed("1e20,1e22", "budgets", "1e20,1e22")
        [1e+20, 1e+22]
        """
        return self.each(listed_numbers(text, what, like, counted=self.counted))


FLOPS = Amount("budget", "FLOPs", 6.0, 1e40, counted=True)
"""From one parameter on one token (6·N·T); the largest training runs of 2025 are of about 1e26."""
DEVICE_HOURS = Amount("device hours", "device hours", 1e-6, 1e20)
TOKENS = Amount("tokens", "tokens", 1.0, 1e25, counted=True)
INFERENCE_TOKENS = Amount("inference tokens", "tokens", 1.0, 1e25)
FACTOR = Amount("factor", "times the optimal tokens", 1e-6, 1e6)
SIZE = Amount("size", "parameters", 1.0, 1e20, counted=True)
DELTA = Amount("delta", "in log loss", 1e-12, 1e3)
