"""Feasible shapes: every width and depth that the architecture allows near a target size (paper §3, Figure 22)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.arguments import check_fields, checked
from gemstones.errors import InvalidRequest, InvalidShape
from gemstones.shape import KV_HEADS_EXCEPTIONS, LARGEST, FloatArray, Shape, Shapes

MOST_SHAPES = 10_000_000


@dataclass(frozen=True)
class Constraints:
    """What shapes may be: ranges of width and depth, and rules on heads.

    Widths are multiples of the head size whose query heads are divided by the query:kv ratio (so that kv
    heads divide query heads) and, unless `even_heads` is off, even in number, as in the paper. The other
    fields of a shape are those of `template`. Counts of parameters and FLOPs follow from it.

    >>> Constraints(width_max=1024, template=Shape(256, 1)).widths()
    [256, 512, 768, 1024]
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
            if high > LARGEST:
                raise InvalidRequest(
                    f"{name} {high} is larger than any model's: it must be at most {LARGEST:,}"
                )

    def widths(self) -> list[int]:
        """Allowed widths, ascending; raises `InvalidRequest` where they are more than a search can hold."""
        heads = 2 if self.even_heads else 1
        step = math.lcm(self.template.head_size * heads, self.width_multiple)
        # Query heads that the ratio divides; widths whose heads it does not divide may be exceptions by name.
        regular = math.lcm(step, self.template.head_size * self.template.queries_per_kv)
        first = -(-self.width_min // regular) * regular
        found = range(first, self.width_max + 1, regular)
        shapes = len(found) * (self.depth_max - self.depth_min + 1)
        if shapes > MOST_SHAPES:
            raise InvalidRequest(
                f"widths {self.width_min} to {self.width_max} and depths {self.depth_min} to {self.depth_max} are "
                f"{shapes:,} shapes, more than the {MOST_SHAPES:,} that are searched: narrow the ranges, or let widths "
                "be larger multiples"
            )
        exceptions = (count * self.template.head_size for count, _ in KV_HEADS_EXCEPTIONS)
        return sorted(
            {
                *found,
                *(
                    width
                    for width in exceptions
                    if width % step == 0
                    and self.width_min <= width <= self.width_max
                    and self._divides(width)
                ),
            }
        )

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
        return widths[:, None], np.arange(self.depth_min, self.depth_max + 1, dtype=np.float64)[None, :]


@checked
def feasible_shapes(
    size: float, tolerance: float = 0.05, constraints: Constraints | None = None
) -> list[Shape]:
    """Shapes whose total parameters lie within ±`tolerance` (a fraction) of `size`, by width, then depth.

    Widths, depths and heads keep to `constraints`; with the default ones there are 5, 13, 28, 62 and 74 at ±5% of 50M,
    100M, 500M, 1B and 2B. Raises `InvalidRequest` for a size or a tolerance that has no meaning.

    >>> len(feasible_shapes(50e6)), str(feasible_shapes(50e6)[0])
    (5, '256x23')
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
