"""How far a plan lies beyond the runs that its law was fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from gemstones.laws.law import FittedRange
from gemstones.units import Interval

Reach = Literal["within", "near", "far"]
"""Within the FLOPs of the fitted runs; up to `NEAR_DECADES` from them; farther."""
NEAR_DECADES, MOST_DECADES = 1.0, 4.0
"""Beyond the second a plan is refused unless it is forced: no backtest of a law has reached a tenth of that."""


@dataclass(frozen=True)
class Extrapolation:
    """Distance from the fitted runs; None where their range is not known, 0 or 1 inside it."""

    flops_decades: float | None
    """log10 of budget over the largest (positive) or smallest (negative) fitted FLOPs."""
    params_ratio: float | None
    """N over the nearest end of the fitted range, in the law's convention."""
    tokens_ratio: float | None
    width_ratio: float | None = None
    depth_ratio: float | None = None

    @classmethod
    def of(
        cls,
        fitted: FittedRange,
        *,
        flops: float,
        params: float | None,
        tokens: float | None,
        width: float | None = None,
        depth: float | None = None,
    ) -> Extrapolation:
        """For a plan's quantities."""
        flops_ratio = _ratio(flops, fitted.flops)
        return cls(
            None if flops_ratio is None else math.log10(flops_ratio),
            _ratio(params, fitted.params),
            _ratio(tokens, fitted.tokens),
            _ratio(width, fitted.width),
            _ratio(depth, fitted.depth),
        )

    @property
    def reach(self) -> Reach | None:
        """How far the plan's FLOPs lie from those of the fitted runs; None where these are not known."""
        if self.flops_decades is None:
            return None
        decades = abs(self.flops_decades)
        return "within" if decades == 0 else "near" if decades <= NEAR_DECADES else "far"

    @property
    def distance(self) -> float | None:
        """Decades of FLOPs from the fitted runs, beyond or below; None where these are not known."""
        return None if self.flops_decades is None else abs(self.flops_decades)

    @property
    def too_far(self) -> bool:
        """Whether a plan has to be forced."""
        return self.flops_decades is not None and abs(self.flops_decades) > MOST_DECADES

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))

    def sentence(self) -> str:
        """For people."""
        if self.flops_decades is None and self.params_ratio is None:
            return "how far this lies beyond the fitted runs is not known"
        parts = []
        if self.flops_decades is not None:
            where = "beyond" if self.flops_decades > 0 else "below"
            parts.append(
                f"{abs(self.flops_decades):.1f} decades of FLOPs {where} the fitted runs"
                if self.flops_decades
                else "within the FLOPs of the fitted runs"
            )
        for name, ratio in (
            ("N", self.params_ratio),
            ("T", self.tokens_ratio),
            ("width", self.width_ratio),
            ("depth", self.depth_ratio),
        ):
            if ratio is not None and ratio != 1:
                times = f"{ratio:.3g}" if ratio < 1000 else f"{float(f'{ratio:.3g}'):,.0f}"
                parts.append(f"{name} {times}x {'the largest' if ratio > 1 else 'the smallest'} fitted")
        return ", ".join(parts) or "within the fitted runs, as far as these are known"


def _ratio(value: float | None, fitted: Interval | None) -> float | None:
    if value is None or fitted is None:
        return None
    low, high = fitted
    return value / high if value > high else value / low if value < low else 1.0
