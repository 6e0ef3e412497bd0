"""Which shapes of one size to train: one standard, one wide, one deep, and more in between (paper §3).

The paper aims, per size, "for one 'standard' architecture (existing models), one 'wide' model, and one
'deep' model", chosen by hand. Here the choice is a rule:

- wide and deep are the largest and the smallest aspect ratio (width/depth) that are feasible;
- standard is the feasible shape nearest, in log aspect ratio, to existing models, which have about as many
  blocks as query heads, width/depth ≈ head size: GPT-2 small, Pythia-160M 12/12; Pythia-6.9B, GPT-3 2.7B and
  6.7B, Llama-7B 32/32; GPT-3 13B, Llama-13B 40/40; GPT-3 175B 96/96 (Radford et al. 2019; Brown et al. 2020,
  Table 2.1; Biderman et al. 2023; Touvron et al. 2023). In numbers it is 64 at head size 64 and 128 at 128,
  and it scales down to the small heads of small suites. Where no feasible shape is that wide, or that deep,
  it is the one nearest to the geometric middle of the range;
- each further shape halves the widest gap in log aspect ratio that is left.
"""

from __future__ import annotations

import math

from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints, feasible_shapes
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape
from gemstones.units import format_quantity


def choose_shapes(
    size: float, tolerance: float = 0.05, per_size: int = 3, constraints: Constraints | None = None
) -> tuple[Shape, ...]:
    """`per_size` different shapes within ±`tolerance` of `size` total parameters, from deep to wide.

    One is the standard shape, two are deep and wide, three all of them. Refused if fewer are feasible.
    """
    constraints = constraints or Constraints()
    if per_size < 1:
        raise InvalidRequest(f"shapes per size {per_size} must be at least 1")
    feasible = feasible_shapes(size, tolerance, constraints)
    if len(feasible) < per_size:
        raise InvalidRequest(
            f"{format_quantity(size)} has {len(feasible)} feasible shapes within ±{tolerance:.1%}, "
            f"{per_size} asked for: widen the tolerance or the ranges, or ask for fewer"
        )
    # Of equal aspect ratios, the one nearest to the size comes first.
    candidates = sorted(feasible, key=lambda shape: abs(params(shape) - size))
    deep = min(candidates, key=_log_ratio)
    # Not max over all: among equal ratios that could be the deep one again.
    wide = max(_without(candidates, [deep]) or [deep], key=_log_ratio)
    standard = math.log(constraints.template.head_size)
    if not _log_ratio(deep) < standard < _log_ratio(wide):
        standard = (_log_ratio(deep) + _log_ratio(wide)) / 2

    def nearest_to_standard(among: list[Shape]) -> Shape:
        return min(among, key=lambda shape: abs(_log_ratio(shape) - standard))

    if per_size == 1:
        return (nearest_to_standard(candidates),)
    chosen = [deep, wide]
    if per_size > 2:
        chosen.append(nearest_to_standard(_without(candidates, chosen)))
    while len(chosen) < per_size:
        chosen.append(max(_without(candidates, chosen), key=lambda shape: _distance(shape, chosen)))
    return tuple(sorted(chosen, key=_log_ratio))


def _log_ratio(shape: Shape) -> float:
    return math.log(shape.aspect_ratio)


def _distance(shape: Shape, chosen: list[Shape]) -> float:
    """How far `shape` is, in log aspect ratio, from the nearest shape that is chosen already."""
    return min(abs(_log_ratio(shape) - _log_ratio(other)) for other in chosen)


def _without(shapes: list[Shape], others: list[Shape]) -> list[Shape]:
    return [shape for shape in shapes if shape not in others]
