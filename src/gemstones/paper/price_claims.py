"""What a wrong shape costs, by the paper (§4.3, Figure 7) and here; Figure 8 is in `overtraining_claims`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gemstones.analyses.overspend.overspend import Overspend, OverspendMethod, Overspent
from gemstones.analyses.overtrain.overtrain import Overtraining
from gemstones.display import interval_text
from gemstones.laws.envelope import Resource
from gemstones.paper.claim import NO_INTERVAL, Chapter, Claim, exact, number, statement
from gemstones.paper.overtraining_claims import overtraining_claims
from gemstones.units import Interval
from gemstones.words import RESOURCE_WORDS

TOKENS = 300e9
"""At which Figure 7 compares the shapes."""
CHECKPOINT = 300_102_451_200
OVERSPENDS: dict[Resource, dict[str, float]] = {
    "flops": {"256x80": 0.554, "256x71": 0.472, "2560x8": -0.114},
    "device_hours": {"256x80": 3.584, "384x36": 2.100, "2560x8": 0.712},
}
"""By shape, over the frontier's point of nearest loss (paper's repository)."""
FRONTIERS: dict[Resource, str] = {
    "flops": "256x23, 384x13, 512x11, 512x13, 512x14, 1280x15, 1024x28, 1280x36, 1536x50",
    "device_hours": "768x3, 1792x7, 1280x15, 3072x12, 1536x50",
}
PRINTED = 0.0006
"""Of an overspend that is known in percent with one decimal."""
WORST_FLOPS, WORST_HOURS = 0.5, 2.0
"""What the least efficient shapes overspend, by §4.3: about so much, and more than so much."""
ABOUT = 0.1
"""An overspend up to this far from the paper's round number is about that."""
SKINNY, WIDE = 32, 128
"""Width over depth below and from which a shape counts as skinny or wide; the 22 span 3.2 to 320."""
RESAMPLES = 2000
"""Of shapes, for the difference between skinny and wide ones."""
OTHER_LOSS = "The published overspend takes the frontier's point of nearest loss, whose loss is another"
ONCE = f"{NO_INTERVAL}each shape was trained once"

Overspends = Mapping[tuple[Resource, OverspendMethod], Overspend]


def price_chapter(overspends: Overspends, overtrained: Sequence[Overtraining]) -> Chapter:
    """Overspends at 300B tokens by both methods and resources; overtraining at the budgets of Figure 8."""
    claims = [
        *_checkpoint(overspends["flops", "interpolate"]),
        *_overspends(overspends),
        *_worst_shapes(overspends),
        *_skinny_or_wide(overspends),
        *_time_optimal(overspends),
        *overtraining_claims(overtrained),
    ]
    return Chapter(
        "The price of stepping off",
        "Overspend: the resource that a shape used to reach its loss at the checkpoint nearest to 300B tokens, over "
        "what the frontier of all 22 needs for the same loss, less 1; FLOPs by Appendix G, device hours as measured "
        "(tensor parallelism on MI250X). By the nearest point: over the frontier's point of nearest loss, as "
        "published; interpolated: over its lower hull in log-log, at the same loss. Overtraining: T = f·T*, the shape "
        "of least predicted loss among all that the budget of FLOPs trains on so many tokens, by our fit of w,d,N,T.",
        tuple(claims),
        (7, 8),
    )


def _checkpoint(found: Overspend) -> Iterator[Claim]:
    yield exact(
        "released data, Figure 7",
        "tokens of the checkpoint nearest to 300B",
        f"{CHECKPOINT:,}",
        f"{found.tokens_used:,.0f}",
    )


def _overspends(overspends: Overspends) -> Iterator[Claim]:
    for resource, shapes in OVERSPENDS.items():
        words = RESOURCE_WORDS[resource]
        nearest, interpolated = (overspends[resource, method] for method in ("nearest", "interpolate"))
        frontier = interpolated.frontier
        yield exact(
            "released code, Figure 7",
            f"the frontier over {words}",
            FRONTIERS[resource],
            ", ".join(one.name for one in frontier),
            interval=ONCE,
        )
        for name, published in shapes.items():
            for found, how in ((nearest, "by the nearest point"), (interpolated, "interpolated")):
                one = _of(found, name)
                assert one.overspend is not None
                beside = min(frontier, key=lambda other: abs(other.loss - one.loss))
                yield number(
                    "published result, Figure 7",
                    f"overspend of {name} in {words}, {how}",
                    published,
                    one.overspend,
                    within=PRINTED,
                    absolute=True,
                    interval=_leave_one_out(one),
                    write=".1%",
                    why=f"its loss is {one.loss:.3f}; the frontier's nearest, of {beside.name}, is {beside.loss:.3f}, "
                    + (
                        "lower: the shape seems cheaper"
                        if beside.loss < one.loss
                        else "higher: it seems dearer"
                    )
                    + " than it is",
                    because=OTHER_LOSS,
                )


def _of(found: Overspend, name: str) -> Overspent:
    return next(one for one in found.shapes if one.name == name)


def _leave_one_out(one: Overspent) -> str:
    ends = one.leave_one_out
    return (
        ONCE
        if ends is None
        else f"{ONCE}; leaving out one frontier run: {interval_text(ends, '{:.1%}'.format)}"
    )


def _worst_shapes(overspends: Overspends) -> Iterator[Claim]:
    flops = _worst(overspends["flops", "interpolate"])
    yield number(
        "§4.3",
        f"the least efficient shapes overspend about 50% in FLOPs (here {flops.name}, interpolated)",
        WORST_FLOPS,
        flops.overspend or 0.0,
        within=ABOUT,
        absolute=True,
        interval=_leave_one_out(flops),
        write=".0%",
        topic="wide",
    )
    hours, published = (_worst(overspends["device_hours", method]) for method in ("interpolate", "nearest"))
    assert hours.overspend is not None and published.overspend is not None
    yield statement(
        "§4.3",
        "the least efficient shapes overspend more than 200% in device hours: three optimal models in their time",
        f"{hours.overspend:.0%} interpolated ({hours.name}), {1 + hours.overspend:.1f} models in its time; "
        f"{published.overspend:.0%} by the nearest point ({published.name})",
        hours.overspend > WORST_HOURS,
        interval=_leave_one_out(hours),
        because=OTHER_LOSS,
        topic="wide",
    )


def _worst(found: Overspend) -> Overspent:
    return max(
        (one for one in found.shapes if one.overspend is not None), key=lambda one: one.overspend or 0.0
    )


def _skinny_or_wide(overspends: Overspends) -> Iterator[Claim]:
    for resource in OVERSPENDS:
        found = overspends[resource, "interpolate"]
        skinny, wide = _between(found, 0, SKINNY), _between(found, WIDE, math.inf)
        low, high = _difference(skinny, wide)
        yield statement(
            "§4.3",
            f"it is better to err on the side of too wide than of too narrow, in {RESOURCE_WORDS[resource]}",
            f"mean overspend {np.mean(skinny):.1%} of {len(skinny)} shapes under width/depth {SKINNY}, "
            f"{np.mean(wide):.1%} of {len(wide)} from {WIDE}; at worst {max(skinny):.0%} and {max(wide):.0%}",
            float(np.mean(skinny)) > float(np.mean(wide)),
            interval=(low, high),
            settled=low > 0 or high < 0,
            write=".1%",
            why="the interval is of the difference of the means, from resampled shapes; no shape was trained twice",
            topic="wide",
        )


def _between(found: Overspend, low: float, high: float) -> list[float]:
    """Overspends of the shapes whose width over depth is from `low` to below `high`, as far as there are any."""
    return [
        one.overspend
        for one in found.shapes
        if one.overspend is not None and one.width and one.depth and low <= one.width / one.depth < high
    ]


def _difference(one: Sequence[float], other: Sequence[float]) -> Interval:
    """95% of the differences of means of resampled values."""
    rng = np.random.default_rng(0)
    means = [
        np.array(values)[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
        for values in (one, other)
    ]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return float(low), float(high)


def _time_optimal(overspends: Overspends) -> Iterator[Claim]:
    flops, hours = (
        np.exp(
            np.mean([math.log(s.width / s.depth) for s in overspends[r, "interpolate"].frontier if s.width and s.depth])
        )
        for r in OVERSPENDS
    )  # fmt: skip
    yield statement(
        "§1, §4.3",
        "time-optimal models tend to be wider and shallower than FLOP-optimal ones",
        f"width/depth of the frontier is {hours:.0f} over device hours, {flops:.0f} over FLOPs (geometric means)",
        bool(hours > flops),
        interval=ONCE,
        topic="wide",
    )
