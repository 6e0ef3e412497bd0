"""The near-optimal set: the optimum is flat, and everything within a stated loss of it is as good a choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemstones.display import few_lines
from gemstones.planning.shown import near_html, near_sentence
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import BoolArray, FloatArray, IntArray

SHOWN = 50
"""Members that are listed unless all are asked for."""


@dataclass(frozen=True)
class Member:
    """One shape of the set, with the tokens that spend the budget and the loss predicted for it."""

    width: int
    depth: int
    tokens: float
    loss: float
    loss_increase: float
    """Over the best, as a fraction."""
    share: float | None = None
    """Of the law's draws in which the shape is within the tolerance of that draw's own best; None without draws."""

    @property
    def shape(self) -> str:
        """`WxD`."""
        return f"{self.width}x{self.depth}"

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "shape": self.shape,
            "tokens": self.tokens,
            "loss": self.loss,
            "loss_increase": self.loss_increase,
            "share": self.share,
        }


@dataclass(frozen=True, repr=False)
class NearOptimal:
    """Every feasible shape within `tolerance` (a fraction of loss) of the best."""

    tolerance: float
    count: int
    width: tuple[int, int]
    depth: tuple[int, int]
    members: tuple[Member, ...]
    """All of them, or some spread over the set; those that most draws agree on first, then the least loss."""
    truncated_by: tuple[str, ...] = ()
    """Edges of the search that the set touches: it may go on beyond."""
    loss_unit: LossUnit = "nats"

    def __repr__(self) -> str:
        return few_lines(f"NearOptimal: {near_sentence(self)}", [f"{len(self.members):,} of them in members"])

    def _repr_html_(self) -> str:
        return near_html(self)

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "tolerance": self.tolerance,
            "count": self.count,
            "width": list(self.width),
            "depth": list(self.depth),
            "truncated_by": list(self.truncated_by),
            "members": [member.summary() for member in self.members],
        }


def near_optimal(
    widths: FloatArray,
    depths: FloatArray,
    loss: FloatArray,
    tokens: FloatArray,
    tolerance: float,
    *,
    best: float | None = None,
    inside: BoolArray | None = None,
    everything: bool = False,
    share: Callable[[IntArray, IntArray], FloatArray | None] = lambda i, j: None,
) -> NearOptimal | None:
    """The set on a grid: `loss` and `tokens` are (widths, depths); None if no shape is in it.

    `best` is the least loss, by default that of the grid; infinite losses mark what is not feasible. A law may fall
    again far from its optimum: the set is what is connected to that, by default on the grid (`connected`), else what
    is `inside`. `share` gives, for positions on the grid, the share of draws in which each is near-optimal, or None.
    """
    best = float(loss.min()) if best is None else best
    near = loss <= best * (1 + tolerance)
    i, j = np.nonzero(
        near & inside if inside is not None else connected(widths, depths, near, int(loss.argmin()))
    )
    if not i.size:
        return None
    order = np.argsort(loss[i, j], kind="stable")
    i, j = i[order], j[order]
    shown = np.arange(len(i)) if everything else _spread(np.log(widths[i]), np.log(depths[j]))
    shares = share(i[shown], j[shown])
    if shares is not None:
        ranked = np.argsort(-shares, kind="stable")  # of equals, the least loss first
        shown, shares = shown[ranked], shares[ranked]
    members = tuple(
        Member(
            int(widths[a]),
            int(depths[b]),
            float(tokens[a, b]),
            float(loss[a, b]),
            float(loss[a, b] / best - 1),
            None if shares is None else float(shares[position]),
        )
        for position, (a, b) in enumerate(zip(i[shown], j[shown], strict=True))
    )
    edges = (
        ("width_min", (i == 0).any()),
        ("width_max", (i == len(widths) - 1).any()),
        ("depth_min", (j == 0).any()),
        ("depth_max", (j == len(depths) - 1).any()),
    )
    return NearOptimal(
        tolerance=tolerance,
        count=len(i),
        width=(int(widths[i.min()]), int(widths[i.max()])),
        depth=(int(depths[j.min()]), int(depths[j.max()])),
        members=members,
        truncated_by=tuple(name for name, touched in edges if touched),
    )


def connected(widths: FloatArray, depths: FloatArray, near: BoolArray, start: int) -> BoolArray:
    """Which of the shapes `near` (widths, depths) hang together with that at the flat position `start`.

    Depths next to each other do; shapes of neighbouring widths do where one is at most a block deeper than the other,
    or at most a block shallower than one of as many parameters, so that none is lost where widths are far apart.
    """
    found = np.zeros_like(near)
    rows, columns = near.shape
    row, column = divmod(start, columns)
    todo = [(row, column, column)]
    while todo:
        i, low, high = todo.pop()
        for j in low + np.flatnonzero(near[i, low : high + 1]):
            if found[i, j]:
                continue
            first = last = int(j)
            while first > 0 and near[i, first - 1]:
                first -= 1
            while last < columns - 1 and near[i, last + 1]:
                last += 1
            found[i, first : last + 1] = True
            for other in (i - 1, i + 1):
                if 0 <= other < rows:
                    ratio = (widths[i] / widths[other]) ** 2
                    shallow = int(np.floor(depths[first] * min(ratio, 1.0) - depths[0])) - 1
                    deep = int(np.ceil(depths[last] * max(ratio, 1.0) - depths[0])) + 1
                    todo.append((other, max(shallow, 0), deep))
    return found


def _spread(x: FloatArray, y: FloatArray, count: int = SHOWN) -> NDArray[np.intp]:
    """Up to `count` of the points, the first and then always the one farthest from those chosen.

    Returned in order of index, so that the best come first.
    """
    if len(x) <= count:
        return np.arange(len(x))
    chosen = [0]
    distance = (x - x[0]) ** 2 + (y - y[0]) ** 2
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, (x - x[chosen[-1]]) ** 2 + (y - y[chosen[-1]]) ** 2)
    return np.sort(np.array(chosen, np.intp))
