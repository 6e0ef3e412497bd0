"""The parabola of one budget: log loss over log N, its minimum, and where the runs do not show one.

All budgets are fitted at once, and again for every draw of a wild bootstrap by run: the fitted curve plus the
residuals of each run with a random sign, residuals enlarged by the leverage of their points (HC3, MacKinnon and White
1985), which a grid of nine sizes needs: with them a 95% interval of the exponent held the truth in 97% of 60 planted
grids; enlarged by the square root alone (HC2), in 91% of 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gemstones.shape import BoolArray, FloatArray, IntArray

LEAST_POINTS = 4
"""Of a budget: a parabola goes through three of any kind."""
LEAST_SIZES = 4

Status = Literal["minimum", "few_points", "no_minimum", "outside"]
REASONS: dict[Status, str] = {
    "minimum": "",
    "few_points": f"fewer than {LEAST_POINTS} sizes: a parabola goes through any three",
    "no_minimum": "loss does not curve upwards over the sizes",
    "outside": "the minimum lies outside the sizes that were trained",
}
"""Why a budget has no minimum."""


@dataclass(frozen=True, eq=False)
class Bowl:
    """One budget: its rows, and the matrices of least squares on (1, x, x²) with x = log N less its mean."""

    rows: IntArray
    log_params: FloatArray
    centre: float
    design: FloatArray
    """(rows, 3)."""
    inverse: FloatArray
    """(3, rows): log losses to coefficients."""
    tokens_line: tuple[float, float]
    """log T = intercept + slope·(log N − centre) along the budget: slope −1 where FLOPs are 6·N·T."""

    @classmethod
    def of(cls, rows: IntArray, log_params: FloatArray, log_tokens: FloatArray) -> Bowl | None:
        """From some rows' log N and log T; None where these are too few for a parabola."""
        if len(rows) < LEAST_POINTS or len(np.unique(log_params.round(9))) < LEAST_SIZES:
            return None
        centre = float(log_params.mean())
        x = log_params - centre
        design = np.stack([np.ones_like(x), x, x * x], axis=1)
        slope, intercept = np.polyfit(x, log_tokens, 1)
        line = float(intercept), float(slope)
        return cls(rows, log_params, centre, design, np.asarray(np.linalg.pinv(design), np.float64), line)

    def minima(self, log_losses: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray]:
        """Of log losses (…, rows): log N and log loss at the vertex, whether it is a minimum, and whether inside."""
        c = log_losses @ self.inverse.T
        curved = c[..., 2] > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where(curved, -c[..., 1] / (2 * c[..., 2]), np.nan)
        least = c[..., 0] + c[..., 1] * x + c[..., 2] * x * x
        low, high = self.log_params.min() - self.centre, self.log_params.max() - self.centre
        return x + self.centre, least, curved, curved & (x > low) & (x < high)

    def status(self, log_losses: FloatArray) -> Status:
        """Whether the losses of the budget's rows show a minimum, and why not."""
        *_, curved, inside = self.minima(log_losses)
        return "minimum" if inside else "outside" if curved else "no_minimum"

    def log_tokens(self, log_params: FloatArray) -> FloatArray:
        """log T of a model of that size along the budget."""
        intercept, slope = self.tokens_line
        return np.asarray(intercept + slope * (log_params - self.centre))

    def curve(self, log_losses: FloatArray, log_params: FloatArray) -> FloatArray:
        """Log loss of the parabola through `log_losses` (rows,) at other sizes."""
        c = self.inverse @ log_losses
        x = log_params - self.centre
        return np.asarray(c[0] + c[1] * x + c[2] * x * x)

    def resampled(self, log_losses: FloatArray, signs: FloatArray) -> FloatArray:
        """Log losses of the rows in draws, (draws, rows), from ±1 for each row (draws, rows)."""
        hat = self.design @ self.inverse
        fitted = hat @ log_losses
        # A point that the parabola is bound to go through has no residual to enlarge.
        free = np.maximum(1 - np.diag(hat), 0.05)
        return np.asarray(fitted + signs * (log_losses - fitted) / free)
