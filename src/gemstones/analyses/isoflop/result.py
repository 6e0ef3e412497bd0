"""What isoFLOP profiles found: each budget's minimum, and the lines through them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gemstones.accounting.parameters import ParamsConvention
from gemstones.analyses.isoflop.approaches import Approach
from gemstones.analyses.isoflop.bowl import REASONS, Status
from gemstones.analyses.isoflop.shown import isoflop_card
from gemstones.laws.envelope import Line
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL, enough, interval
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import FloatArray
from gemstones.units import Interval


@dataclass(frozen=True, eq=False)
class Budget:
    """The runs of one budget, and the minimum of their parabola."""

    flops: float
    """Geometric mean of its runs'."""
    points: int
    status: Status
    params: FloatArray
    """(points,), as the analysis counts N."""
    losses: FloatArray
    n_opt: float | None = None
    t_opt: float | None = None
    loss: float | None = None
    """Of the parabola at N*."""
    intervals: dict[str, Interval] = field(default_factory=dict)
    """Of `n_opt`, `t_opt`, `loss`."""
    law_n_opt: float | None = None
    """N* of the law fitted to all rows, at these FLOPs."""
    bias: float | None = None
    """What the parabola makes of that law's losses at the same sizes, as a fraction of the law's N*."""
    curve: tuple[FloatArray, FloatArray] | None = None
    """Sizes and losses of the parabola over the sizes that were trained."""

    @property
    def reason(self) -> str:
        """Why there is no minimum; empty where there is one."""
        return REASONS[self.status]

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "flops": self.flops,
            "points": self.points,
            "n_opt": self.n_opt,
            "t_opt": self.t_opt,
            "loss": self.loss,
            "status": self.status,
            "reason": self.reason or None,
            "interval": self.intervals.get("n_opt"),
            "intervals": self.intervals or None,
            "law_n_opt": self.law_n_opt,
            "parabola_bias": self.bias,
        }


@dataclass(frozen=True, eq=False, repr=False)
class IsoFlop:
    """Minima by budget (FLOPs), and the lines through them in natural logs; what `isoflop` returns.

    >>> from gemstones.analyses.isoflop.isoflop import isoflop
    >>> isoflop("sweep.csv").fits["params"].slope  # of N* over FLOPs  # doctest: +SKIP
    """

    dataset: str
    selection: str
    rows: int
    runs: int
    params_convention: ParamsConvention
    flops_convention: str
    budgets_are: str
    loss_unit: LossUnit
    budgets: tuple[Budget, ...]
    """By FLOPs, ascending."""
    fits: dict[str, Line]
    """log N* and log T* (natural) over log FLOPs: `params`, `tokens`; empty without two minima."""
    draws: dict[str, FloatArray] = field(default_factory=dict)
    """(slope, intercept) of every draw in which enough budgets have a minimum, (draws, 2)."""
    level: float = DEFAULT_LEVEL
    seed: int = 0
    asked: int = 0
    """Draws that were asked for."""
    law: Fit | None = None
    """Fitted to the same rows."""
    beside: tuple[Approach, ...] = ()
    """Approaches 1 and 3 on the same rows, where these have them."""
    bias: float | None = None
    """What the parabolas make of the law's exponent of N*, less that exponent."""
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def has_intervals(self) -> bool:
        """Whether there are draws enough for the level."""
        return enough(len(self.draws.get("params", ())), self.level)

    def interval(self, quantity: str, which: str = "slope") -> Interval | None:
        """Of the `slope` or `intercept` of `params` or `tokens`; None without draws."""
        if not self.has_intervals:
            return None
        column = ("slope", "intercept").index(which)
        return interval(
            self.draws[quantity][:, column], float(getattr(self.fits[quantity], which)), level=self.level
        )

    @property
    def approaches(self) -> tuple[Approach, ...]:
        """All three side by side, in their order; those that the rows have."""
        own = Approach(
            2, "parabolas at budgets", self.fits, {name: self.interval(name) for name in self.fits}
        )
        return tuple(sorted((*self.beside, *([own] if self.fits else ())), key=lambda one: one.number))

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones isoflop --json` prints."""
        return {
            "dataset": self.dataset,
            "selection": self.selection,
            "rows": self.rows,
            "runs": self.runs,
            "params_convention": self.params_convention,
            "flops_convention": self.flops_convention,
            "loss_unit": self.loss_unit,
            "budgets_are": self.budgets_are,
            "budgets": [one.summary() for one in self.budgets],
            "fits": {
                name: {
                    "slope": line.slope,
                    "intercept": line.intercept,
                    "interval": self.interval(name),
                    "intercept_interval": self.interval(name, "intercept"),
                }
                for name, line in self.fits.items()
            },
            "law": None
            if self.law is None
            else {
                "law": self.law.law.form,
                "fits": {
                    name: {"slope": line.slope, "intercept": line.intercept}
                    for one in self.beside
                    if one.number == 3
                    for name, line in one.fits.items()
                },
                "exponent_bias_of_parabolas": self.bias,
            },
            "approaches": [one.summary() for one in self.approaches],
            "level": self.level if self.has_intervals else None,
            "resampling": {"unit": "run", "kind": "wild", "draws": self.asked, "seed": self.seed}
            if self.asked
            else None,
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
        }

    def __repr__(self) -> str:
        return isoflop_card(self).text()

    def _repr_html_(self) -> str:
        return isoflop_card(self).html()
