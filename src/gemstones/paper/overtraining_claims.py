"""What the wrong number of tokens costs, by the paper (§4.3, Figure 8) and here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from gemstones.analyses.overtrain.overtrain import TYPICAL, Overtrained, Overtraining, compare_points
from gemstones.analyses.overtrain.paired import Paired
from gemstones.laws.interval import DEFAULT_LEVEL
from gemstones.numbers import flops_text
from gemstones.paper.claim import NO_INTERVAL, Claim, between, beyond, statement
from gemstones.units import format_quantity

WHERE = "§4.3, Figure 8"
SHOWN = (1 / 16, 1 / 4, 1 / 2, 2.0, 4.0, 16.0)
"""Factors whose losses are listed."""
FACTORS = (2.0, TYPICAL)
CHEAP = 2.0
"""A factor of FLOPs: what costs less loss than training optimally on a budget smaller by it is cheap."""


def overtraining_claims(found: Sequence[Overtraining]) -> Iterator[Claim]:
    """Twofold and fourfold over- and undertraining at every budget, and how the two compare."""
    for one, smaller in zip(found, _costs_of_less(found), strict=True):
        yield _curve(one)
        for factor in FACTORS:
            yield from _cheap(one, factor, smaller)
    overs = [at_factor(one, TYPICAL) for one in found]
    unders = [at_factor(one, 1 / TYPICAL) for one in found]
    if any(point is None for point in (*overs, *unders)):
        return
    over, under = ([point.loss_increase or 0.0 for point in points if point] for points in (overs, unders))
    budgets = [flops_text(one.budget) for one in found]
    yield statement(
        WHERE,
        "overtraining becomes more efficient at high FLOPs",
        "fourfold: " + ", ".join(f"{cost:+.2%} at {budget}" for cost, budget in zip(over, budgets, strict=True)),
        all(later < earlier for earlier, later in itertools.pairwise(over)),
        interval=_words([(overs[-1], overs[0])]),
        settled=_settled([(overs[-1], overs[0])]),
        why="undecided where the draws do not agree that the last is below the first; each draw of the law at both",
        topic="overtraining",
    )  # fmt: skip
    yield statement(
        "§1, Figure 8",
        "it is better to err on the side of smaller models, trained on more tokens",
        ", ".join(
            f"{a:+.2%} against {b:+.2%} at {budget}"
            for a, b, budget in zip(over, under, budgets, strict=True)
        )
        + ", fourfold over- and undertrained",
        all(a < b for a, b in zip(over, under, strict=True)),
        interval=_words(list(zip(overs, unders, strict=True))),
        settled=_settled(list(zip(overs, unders, strict=True))),
        why="undecided where the draws do not agree at some budget which of the two costs less",
        topic="overtraining",
    )
    if found[-1].sentence:
        yield beyond("§4.3", "in words", found[-1].sentence, "in the sentence")


def at_factor(found: Overtraining, factor: float) -> Overtrained | None:
    """The design on `factor` times the optimal tokens; None where there is none."""
    return next(
        (p for p in found.points if math.isclose(p.factor, factor) and p.loss_increase is not None), None
    )


def _costs_of_less(found: Sequence[Overtraining]) -> list[float]:
    """How much more loss the optimum of a budget smaller by `CHEAP` has, as a fraction, from neighbouring budgets."""
    points = [(math.log(one.budget), math.log(one.optimum.loss or math.nan)) for one in found]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(points)] or [math.nan]
    # A smaller budget lies to the left; the first has no neighbour there.
    return [CHEAP**-slope - 1 for slope in (slopes[0], *slopes)][: len(found)]


def _curve(found: Overtraining) -> Claim:
    shown = [(factor, point) for factor in SHOWN if (point := at_factor(found, factor)) is not None]
    return beyond(
        WHERE,
        f"loss over that of the optimum at {flops_text(found.budget)} FLOPs, by tokens over the optimal tokens",
        ", ".join(f"{point.loss_increase:+.2%} at {_factor(factor)}" for factor, point in shown),
        ", ".join(between(p.increase_interval, "+.2%") for _, p in shown if p.increase_interval)
        or f"{NO_INTERVAL}no draws",
        f"the optimum is {found.optimum.shape} on {format_quantity(found.optimum.tokens)} tokens, loss "
        f"{found.optimum.loss:.4f} nats per token",
    )


def _factor(factor: float) -> str:
    return f"{factor:g}" if factor >= 1 else f"1/{1 / factor:g}"


def _cheap(found: Overtraining, factor: float, smaller: float) -> Iterator[Claim]:
    points = [point for f in (factor, 1 / factor) if (point := at_factor(found, f)) is not None]
    costs = [point.loss_increase for point in points if point.loss_increase is not None]
    if len(costs) < 2:
        return
    known = [point.increase_interval for point in points if point.increase_interval is not None]
    over, under = (
        f"{cost:+.2%} {which} ({point.shape}, {(point.params or math.nan) / found.optimum.params:.2f} times the N)"
        for which, point, cost in zip(("over", "under"), points, costs, strict=True)
    )
    yield statement(
        WHERE,
        f"over- and undertraining by a factor of {factor:g} are cheap at {flops_text(found.budget)} FLOPs",
        f"loss {over}, {under}",
        max(costs) < smaller,
        interval=", ".join(between(ends, "+.2%") for ends in known) or f"{NO_INTERVAL}no draws",
        settled=all(high < smaller for _, high in known) or any(low > smaller for low, _ in known),
        why=f"cheap: less than the {smaller:+.2%} that the optimum on half the FLOPs has",
        topic="overtraining" if factor == TYPICAL else "",
    )


Pairs = Sequence[tuple[Overtrained | None, Overtrained | None]]


def _compared(pairs: Pairs) -> list[Paired]:
    """One increase less the other, of those pairs that have draws."""
    found = [compare_points(a, b, DEFAULT_LEVEL) for a, b in pairs if a is not None and b is not None]
    return [one for one in found if one is not None]


def _settled(pairs: Pairs) -> bool:
    """Whether the draws agree on the sign of every difference; without draws the estimates decide."""
    return all(one.decided for one in _compared(pairs))


def _words(pairs: Pairs) -> str:
    compared = _compared(pairs)
    return "; ".join(one.words for one in compared) if compared else f"{NO_INTERVAL}no draws"
