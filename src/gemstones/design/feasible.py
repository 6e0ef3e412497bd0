"""Feasible shapes: every width and depth that the architecture allows near a target size (paper §3, Figure 22)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.arguments import check_fields, checked
from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.shape import FloatArray, Shape, Shapes

MOST_SHAPES = 20_000_000


@dataclass(frozen=True)
class Constraints:
    """What shapes may be: ranges of width and depth, and rules on heads.

    Widths are multiples of the head size whose query heads are divided by the query:kv ratio (so that kv
    heads divide query heads) and, unless `even_heads` is off, even in number, as in the paper. The other
    fields of a shape are those of `template`.
    """

    width_min: int = 1
    width_max: int = 8192
    depth_min: int = 2
    depth_max: int = 255
    even_heads: bool = True
    width_multiple: int = 1
    """Widths are multiples of it, beside what the heads ask for."""
    template: Shape = Shape(1024, 28)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width_multiple < 1:
            raise InvalidRequest(f"width multiple {self.width_multiple} must be at least 1")
        for name, low, high in (
            ("width", self.width_min, self.width_max),
            ("depth", self.depth_min, self.depth_max),
        ):
            if not 1 <= low <= high:
                raise InvalidRequest(
                    f"{name} range {low} to {high} is empty: the minimum must be 1 to the maximum"
                )

    def widths(self) -> list[int]:
        """Allowed widths, ascending."""
        step = math.lcm(self.template.head_size * (2 if self.even_heads else 1), self.width_multiple)
        first = -(-self.width_min // step) * step
        return [width for width in range(first, self.width_max + 1, step) if self._divides(width)]

    def shape(self, width: int, depth: int) -> Shape:
        """A shape of these dimensions with the template's other fields."""
        return dataclasses.replace(self.template, width=width, depth=depth)

    def _divides(self, width: int) -> bool:
        try:
            self.shape(width, 1)
        except InvalidShape:
            return False
        return True

    def grid(self) -> tuple[FloatArray, FloatArray]:
        """Allowed widths as a column and depths as a row: they broadcast to every feasible shape."""
        widths = np.array(self.widths(), np.float64)
        if not widths.size:
            multiple = f" is a multiple of {self.width_multiple} with" if self.width_multiple > 1 else " has"
            raise InvalidRequest(
                f"no width from {self.width_min} to {self.width_max}{multiple} whole heads of size "
                f"{self.template.head_size} at {self.template.queries_per_kv} queries per kv head: widen the range"
            )
        if widths.size * (self.depth_max - self.depth_min + 1) > MOST_SHAPES:
            raise InvalidRequest(
                f"widths {self.width_min} to {self.width_max} and depths {self.depth_min} to {self.depth_max} are "
                f"more than {MOST_SHAPES:,} shapes: narrow the ranges"
            )
        return widths[:, None], np.arange(self.depth_min, self.depth_max + 1, dtype=np.float64)[None, :]


@checked
def feasible_shapes(
    size: float, tolerance: float = 0.05, constraints: Constraints | None = None
) -> list[Shape]:
    """Shapes whose total parameters lie within ±`tolerance` (a fraction) of `size`, by width, then depth.

    With the default constraints there are 5, 13, 28, 62 and 74 at ±5% of 50M, 100M, 500M, 1B and 2B.
    """
    if not (math.isfinite(size) and size > 0):
        raise InvalidRequest(f"size {size} must be a positive number of parameters")
    if not 0 <= tolerance < 1:
        raise InvalidRequest(f"tolerance {tolerance} must be a fraction from 0 to below 1, like 0.05 for ±5%")
    constraints = constraints or Constraints()
    widths, depths = constraints.grid()
    total = params(Shapes.of(widths, depths, constraints.template))
    rows, columns = np.nonzero(np.abs(total - size) <= tolerance * size)
    return [
        constraints.shape(int(widths[i, 0]), int(depths[0, j])) for i, j in zip(rows, columns, strict=True)
    ]
