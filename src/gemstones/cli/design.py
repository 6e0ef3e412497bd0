"""`gemstones design`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gemstones.accounting.parameters import params
from gemstones.bounds import SIZE
from gemstones.cli.options import Architecture, Json, Ranges
from gemstones.cli.output import print_json, print_table
from gemstones.design.feasible import Constraints, feasible_shapes
from gemstones.units import format_quantity


def design(
    *,
    sizes: Annotated[str, Parameter(help="Target total parameters, like 50M,100M,2B.")],
    tolerance: Annotated[float, Parameter(help="Largest distance from a size, as a fraction.")] = 0.05,
    ranges: Ranges = Ranges(),
    architecture: Architecture = Architecture(),
    json: Json = False,
) -> None:
    """Feasible shapes near target sizes.

    Every width and depth whose total parameters lie within the tolerance of a size: whole heads, kv heads
    that divide query heads, an even number of heads unless --no-even-heads. Widths up to 8192 and depths 2
    to 255 unless said otherwise.
    """
    targets = SIZE.listed(sizes, "sizes", "50M,100M,2B")
    constraints = ranges.over(Constraints(template=architecture.template()))
    shapes = [
        {
            "shape": str(shape),
            "width": shape.width,
            "depth": shape.depth,
            "size": target,
            "params_total": params(shape),
            "aspect_ratio": shape.aspect_ratio,
        }
        for target in targets
        for shape in feasible_shapes(target, tolerance, constraints)
    ]
    if json:
        print_json({"tolerance": tolerance, "shapes": shapes})
        return
    for target in targets:
        near = [s for s in shapes if s["size"] == target]
        print_table(
            f"{len(near)} shapes within ±{tolerance:.1%} of {format_quantity(target)} total parameters",
            ("shape", "total parameters", "width / depth"),
            [(str(s["shape"]), f"{s['params_total']:,}", f"{s['aspect_ratio']:.1f}") for s in near],
        )
