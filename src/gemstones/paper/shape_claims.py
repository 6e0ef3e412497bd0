"""What the paper says of its shapes and of counting (Appendices E to G, Figures 22 and 24), beside closed forms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.feasible import feasible_shapes
from gemstones.design.recipe import BY_RULE
from gemstones.paper.claim import NO_INTERVAL, Claim, exact, number, statement
from gemstones.paper.flops_ratio import flops_ratio
from gemstones.paper.shapes import SIZES, TOLERANCE
from gemstones.shape import Shape
from gemstones.units import format_quantity
from gemstones.words import listed

PARAMS = {"1024x28": 543_482_880, "2048x27": 1_904_850_944, "768x3": 103_814_400}
FLOPS_PER_TOKEN_1024X28 = 3_578_148_864.0
FEASIBLE = {50e6: 5, 100e6: 13, 500e6: 28, 1e9: 62, 2e9: 74}
"""Feasible shapes within ±5% of each size."""
OUTSIDE = ("512x11", "512x14")
PATCHED = ("1792x7", "2560x8", "3072x12")
OF_WIDTH_512 = 4
USUAL = (32, 128)
"""Width over depth of shapes as usual: industry's are 37 to 128."""
SIGNIFICANT = 1.5
"""A factor between shapes from which 6·N miscounts by a significant amount."""
CLOSED_FORM = f"{NO_INTERVAL}a closed form"
WORDS = "The paper's words disagree with its own rules and files"


def shape_claims(trained: Sequence[Shape]) -> Iterator[Claim]:
    """Counts of parameters and FLOPs, feasible shapes, and which of the `trained` ones keep the rules."""
    yield from _accounting(trained)
    yield from _feasible(trained)
    yield exact(
        "Appendix F.2",
        f"models that the patch applies to, width/depth > {BY_RULE.threshold:g}",
        ", ".join(PATCHED),
        names(shape for shape in trained if BY_RULE.applies(shape)),
        why=f"{names(s for s in trained if s.width == BY_RULE.threshold * s.depth)} lie at it exactly, of which the "
        "paper lists two",
        because=WORDS,
    )


def names(shapes: Iterable[Shape]) -> str:
    """Shapes in a list."""
    return ", ".join(map(str, shapes))


def _accounting(trained: Sequence[Shape]) -> Iterator[Claim]:
    for name, count in PARAMS.items():
        yield exact(
            "released code",
            f"total parameters of {name}",
            f"{count:,}",
            f"{params(Shape.parse(name)):,}",
            interval=CLOSED_FORM,
            check=True,
        )
    yield number(
        "Appendix G",
        "FLOPs per token of 1024x28, forward and backward, context 2048",
        FLOPS_PER_TOKEN_1024X28,
        flops_per_token(Shape(1024, 28)),
        within=0.0,
        write=",.0f",
        interval=CLOSED_FORM,
        check=True,
    )
    ratios = {shape: flops_ratio(shape) for shape in trained}
    low, high = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    yield statement(
        "Appendix G, Figure 24",
        "6 times parameters miscounts FLOPs per token by a significant amount",
        f"Appendix G over 6·N (total): {ratios[low]:.2f} ({low}) to {ratios[high]:.2f} ({high})",
        ratios[high] / ratios[low] > SIGNIFICANT,
        interval=CLOSED_FORM,
        why=f"a factor of {SIGNIFICANT:g} between shapes counts as significant",
        topic="flops",
    )
    usual, others = (
        [ratio for shape, ratio in ratios.items() if (USUAL[0] <= shape.aspect_ratio <= USUAL[1]) is inside]
        for inside in (True, False)
    )
    yield statement(
        "Figure 24",
        "counting properly matters more outside the usual width/depth",
        f"{min(usual):.2f} to {max(usual):.2f} for width/depth {USUAL[0]} to {USUAL[1]}, {min(others):.2f} to "
        f"{max(others):.2f} outside",
        _off(others) > _off(usual),
        interval=CLOSED_FORM,
        topic="flops",
    )


def _off(ratios: Sequence[float]) -> float:
    """How far from 1 they go, in the logarithm."""
    return max(abs(math.log(ratio)) for ratio in ratios)


def _feasible(trained: Sequence[Shape]) -> Iterator[Claim]:
    within = {size: set(feasible_shapes(size)) for size in FEASIBLE}
    for size, count in FEASIBLE.items():
        says = f"feasible shapes within {TOLERANCE:.0%} of {format_quantity(size)} total parameters"
        yield exact("released code, Figure 22", says, count, len(within[size]))
    outside = [s for s in trained if not any(s in shapes for shapes in within.values())]
    uncounted = [
        s for s in outside if any(abs(params(s, "no_embedding") / n - 1) <= TOLERANCE for n in SIZES)
    ]
    yield exact(
        "Appendix E",
        f"of the 22, shapes outside the {TOLERANCE:.0%}",
        ", ".join(OUTSIDE),
        names(outside),
        why="in total parameters they have "
        + ", ".join(f"{s} {params(s) / 1e6:.1f}M" for s in outside)
        + f"; {listed(map(str, uncounted))} would be within if the input embedding were not counted, and width 384 has "
        "an odd number of heads",
        because=WORDS,
    )
    of_width = [s for s in trained if s.width == 512]
    yield exact(
        "Appendix E, Figure 22",
        "trained shapes of width 512",
        OF_WIDTH_512,
        len(of_width),
        why=names(of_width),
        because=WORDS,
    )
