"""Overspend: what each run paid beyond the frontier for the loss it reached (paper §4.3, Figure 7).

Runs are compared after the same tokens. Each gives one point, its checkpoint nearest to the tokens asked for (nothing
is interpolated in tokens); the frontier is the lower convex hull of those points in log resource and log loss.
Overspend is the resource that a run used over the resource at which the frontier reaches the same loss, less one:
0 on the frontier, 0.5 for half as much again. The published code instead takes the frontier's *point* of nearest
loss (`nearest`), whose loss is another one: overspends are negative then where it is lower than the run's.

A shape was trained once, so there is nothing to resample and no interval. What can be said is how much hangs on one
run: `leave_one_out` is the range of an overspend when one run of the frontier at a time is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from gemstones.analyses.overspend.shown import overspend_card, overspend_heading, overspend_notes
from gemstones.arguments import checked
from gemstones.bounds import TOKENS
from gemstones.display import few_lines
from gemstones.errors import InvalidRequest
from gemstones.laws.envelope import Resource, hull_points
from gemstones.runs.given import Runs, densest_runs
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray, IntArray
from gemstones.units import Interval, format_quantity

OverspendMethod = Literal["interpolate", "nearest"]

CLOSE = 0.01
"""A checkpoint this near to the tokens asked for, as a fraction of them, is near enough whatever the spacing."""
NO_INTERVAL = (
    "no interval: every run is a single training run; a range is what leaving out one run of the frontier at a time "
    "gives, not an interval of what another training of the same shape would give"
)


@dataclass(frozen=True)
class Overspent:
    """One run at the checkpoint at which it is compared."""

    run: str
    width: int | None
    depth: int | None
    """None where the table does not know them."""
    tokens: float
    """Of the checkpoint."""
    loss: float
    resource: float
    """Used by then: FLOPs or device hours."""
    on_frontier: bool
    overspend: float | None
    """A fraction of what the frontier needs; None outside the range of its losses."""
    leave_one_out: Interval | None
    """Least and largest overspend when one run of the frontier, other than this one, is left out."""
    at_least: float | None = None
    """Without an overspend: over the frontier's cheapest run, which reached a lower loss."""
    reason: str | None = None
    """Why there is no overspend."""

    @property
    def shape(self) -> str | None:
        """`WxD`, or None where width and depth are not known."""
        return None if self.width is None or self.depth is None else f"{self.width}x{self.depth}"

    @property
    def name(self) -> str:
        """The shape, or the run where that is not known."""
        return self.shape or self.run

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "shape": self.shape,
            "run": self.run,
            "tokens": self.tokens,
            "loss": self.loss,
            "resource": self.resource,
            "overspend": self.overspend,
            "leave_one_out": None if self.leave_one_out is None else list(self.leave_one_out),
            "at_least": self.at_least,
            "reason": self.reason,
        }


@dataclass(frozen=True, repr=False)
class Overspend:
    """Every run's overspend after the same tokens, the largest first; those without a number last.

    An overspend is the fraction of FLOPs, or of device hours, beyond what the frontier needs for the same loss.

    >>> [one.shape for one in overspend("pebbles", "6M").frontier]
    ['48x1', '64x1', '96x1', '128x1']
    """

    dataset: str
    selection: str
    tokens: float
    """Asked for."""
    tokens_used: float
    """Of the checkpoint nearest to that; where runs differ, each has its own."""
    resource: Resource
    resource_convention: str
    """How FLOPs were counted; `device_hours` for device hours."""
    method: OverspendMethod
    shapes: tuple[Overspent, ...]
    frontier: tuple[Overspent, ...]
    """Those on the frontier, by resource."""
    left_out: tuple[str, ...]
    """Runs without a checkpoint near the tokens, and where their nearest is."""
    notes: tuple[str, ...]
    assumptions: tuple[str, ...] = ()
    loss_unit: LossUnit = "nats"

    def __repr__(self) -> str:
        largest = ", ".join(f"{s.name} {s.overspend:.1%}" for s in self.shapes[:3] if s.overspend is not None)
        return few_lines(
            f"Overspend {overspend_heading(self)}", [f"the most: {largest}", *overspend_notes(self)]
        )

    def _repr_html_(self) -> str:
        return overspend_card(self).html()

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones overspend --json` prints."""
        return {
            "dataset": self.dataset,
            "selection": self.selection,
            "tokens": self.tokens,
            "tokens_used": self.tokens_used,
            "resource": self.resource,
            "resource_convention": self.resource_convention,
            "method": self.method,
            "loss_unit": self.loss_unit,
            "shapes": [one.summary() for one in self.shapes],
            "frontier": [one.name for one in self.frontier],
            "left_out": list(self.left_out),
            "notes": list(self.notes),
            "assumptions": list(self.assumptions),
        }


@checked
def overspend(
    runs: Runs,
    tokens: float | str,
    resource: Resource = "flops",
    method: OverspendMethod = "interpolate",
) -> Overspend:
    """What every run overspent after `tokens`, at its checkpoint nearest to them.

    `runs` are what `fit` takes: of a whole data set the checkpoints of its default selection, all there are.
    `resource` is `flops` or `device_hours`; `method` compares at the same loss (`interpolate`) or with the frontier's
    point of `nearest` loss, as published. A run takes part if that checkpoint is within half the spacing of its
    checkpoints there, or within 1% of `tokens`. Raises `InvalidTable` where the resource is not known in every row,
    `InvalidRequest` where fewer than two runs have such a checkpoint.

    >>> overspend("pebbles", "6M").shapes[0].overspend
    2.722
    """
    for name, value, choices in (
        ("resource", resource, get_args(Resource)),
        ("method", method, get_args(OverspendMethod)),
    ):
        if value not in choices:
            raise InvalidRequest(f"{name} {value!r} is unknown: choose from {', '.join(choices)}")
    asked = TOKENS.parse(tokens)
    table = densest_runs(runs)
    rows, left_out = _checkpoints(table, asked, resource)
    if len(rows) < 2:
        every = table.numbers("tokens")
        raise InvalidRequest(
            f"overspend compares runs after the same tokens, and {'only one' if len(rows) else 'none'} of "
            f"{table.origin} has a checkpoint near {format_quantity(asked)}: checkpoints span "
            f"{format_quantity(every.min())} to {format_quantity(every.max())}; ask for other tokens"
        )
    points = _Points(table.numbers(resource)[rows], table.numbers("loss")[rows], method)
    frontier = points.frontier()
    without = {k: points.frontier(k) for k in frontier.tolist()}
    shapes = [
        _overspent(table, row, points, i, frontier, [f for k, f in without.items() if k != i])
        for i, row in enumerate(rows.tolist())
    ]
    taken = table.numbers("tokens")[rows]
    return Overspend(
        dataset=table.dataset,
        selection=table.selection,
        tokens=asked,
        tokens_used=float(taken[np.abs(taken - asked).argmin()]),
        resource=resource,
        resource_convention=table.flops_convention if resource == "flops" else resource,
        method=method,
        shapes=tuple(sorted(shapes, key=lambda s: (s.overspend is None, -(s.overspend or 0.0), s.resource))),
        frontier=tuple(shapes[i] for i in frontier),
        left_out=left_out,
        notes=tuple(_notes(method, taken, left_out)),
        assumptions=table.assumptions,
        loss_unit=table.loss_unit,
    )


@dataclass(frozen=True, eq=False)
class _Points:
    """The runs' points, and what the frontier of any of them says of each."""

    resource: FloatArray
    loss: FloatArray
    method: OverspendMethod

    def frontier(self, left_out: int | None = None) -> IntArray:
        """Positions of the frontier's points, by resource; of all points, or of all but one."""
        among = np.arange(len(self.loss))
        if left_out is not None:
            among = np.delete(among, left_out)
        return among[hull_points(np.log(self.resource[among]), np.log(self.loss[among]))]

    def overspend(self, i: int, frontier: IntArray) -> float | None:
        """Of point `i` over a frontier; None outside the range of its losses."""
        if i in frontier:
            return 0.0
        # The frontier's losses fall: turned round they ascend, as np.interp wants them.
        losses, resources = self.loss[frontier][::-1], self.resource[frontier][::-1]
        if self.method == "nearest":
            return float(self.resource[i] / resources[np.abs(losses - self.loss[i]).argmin()] - 1)
        if not losses[0] <= self.loss[i] <= losses[-1]:
            return None
        needed = np.exp(np.interp(np.log(self.loss[i]), np.log(losses), np.log(resources)))
        return float(self.resource[i] / needed - 1)


def _overspent(
    table: RunTable,
    row: int,
    points: _Points,
    i: int,
    frontier: IntArray,
    without: Sequence[IntArray],
) -> Overspent:
    """Point `i`, which is `row` of the table; `without` are the frontiers with one of their runs left out."""
    width, depth = (table.frame[column][row] for column in ("width", "depth"))
    value = points.overspend(i, frontier)
    loss, resource = float(points.loss[i]), float(points.resource[i])
    ranges, at_least, reason = None, None, None
    if value is None:
        # The frontier has the least loss of all points: its range can be left upwards only.
        first, last = frontier[0], frontier[-1]
        at_least = float(resource / points.resource[first] - 1)
        reason = (
            f"loss {loss:.4f} is above the frontier's {points.loss[last]:.4f} to {points.loss[first]:.4f}; at least "
            f"{at_least:.0%}, as its cheapest run reached a lower loss"
        )
    else:
        values = [x for hull in without if (x := points.overspend(i, hull)) is not None]
        ranges = (min(values), max(values)) if values else None
    return Overspent(
        run=table.frame["run"][row],
        width=width,
        depth=depth,
        tokens=float(table.numbers("tokens")[row]),
        loss=loss,
        resource=resource,
        on_frontier=i in frontier,
        overspend=value,
        leave_one_out=ranges,
        at_least=at_least,
        reason=reason,
    )


def _notes(method: OverspendMethod, taken: FloatArray, left_out: Sequence[str]) -> list[str]:
    notes = [NO_INTERVAL]
    if method == "nearest":
        notes.append(
            "against the frontier's point of nearest loss, as published: the two losses differ, so an overspend may "
            "be negative; the method interpolate compares at the same loss"
        )
    if taken.min() < taken.max():
        notes.append(
            "the runs are not compared after quite the same tokens: their nearest checkpoints are at "
            f"{format_quantity(taken.min(), 4)} to {format_quantity(taken.max(), 4)}"
        )
    if left_out:
        notes.append(f"left out: {'; '.join(left_out)}")
    return notes


def _checkpoints(table: RunTable, asked: float, resource: Resource) -> tuple[IntArray, tuple[str, ...]]:
    """The row of each run nearest to the tokens asked for, and the runs that have none near enough, and why."""
    used, tokens, codes = table.numbers(resource), table.numbers("tokens"), table.run_codes
    rows, left_out = [], []
    for code in range(int(codes.max()) + 1):
        of_run = np.flatnonzero((codes == code) & (used > 0))
        if not of_run.size:
            run = table.frame["run"][int((codes == code).argmax())]
            left_out.append(f"{run}, no checkpoint with positive {resource}")
            continue
        of_run = of_run[np.argsort(tokens[of_run], kind="stable")]
        row = int(of_run[np.abs(tokens[of_run] - asked).argmin()])
        if abs(tokens[row] - asked) <= max(_reach(tokens[of_run], asked), CLOSE * asked):
            rows.append(row)
        else:
            left_out.append(f"{table.frame['run'][row]}, nearest at {format_quantity(tokens[row])} tokens")
    return np.array(rows, np.int64), tuple(left_out)


def _reach(at: FloatArray, asked: float) -> float:
    """Half the spacing of a run's checkpoints (ascending) about the tokens asked for; at an end, of its last two."""
    if len(at) < 2:
        return 0.0
    position = int(np.clip(np.searchsorted(at, asked), 1, len(at) - 1))
    return float(at[position] - at[position - 1]) / 2
