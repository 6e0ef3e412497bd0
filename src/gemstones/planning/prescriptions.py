"""Budgets for the runs at hand, and plans for them: what a study prescribes, and what Figure 5 draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gemstones.errors import EdgeOfSearch, InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw, published
from gemstones.planning.plan import curve_point, plan
from gemstones.planning.result import Plan
from gemstones.units import Interval

AnyLaw = Fit | Law | FrontierLaw

COUNT = 25
"""Budgets of a grid: over the paper's seven decades three and a half each."""
PUBLISHED = (1e18, 1e22)
"""What the published runs span, in round FLOPs: taken where there are no others."""
REFERENCES = ("chinchilla-epoch", "kaplan")
"""Published laws that figures and tables compare with."""
FARTHEST = 100.0
"""Runs whose FLOPs lie this much beside the published ones are compared with none: of 10^13 FLOPs Kaplan's law asks for
a million tokens a parameter."""


def usual_budgets(flops: Interval | None = None) -> tuple[float, ...]:
    """What to plan for after runs that span `flops`: the middle of them, their end, and a hundred times that.

    Each is a power of ten, the nearest in the logarithm.

    >>> usual_budgets((3.4e18, 4.5e21)), usual_budgets((1.4e11, 3.5e13))
    ((1e+20, 1e+22, 1e+24), (1000000000000.0, 100000000000000.0, 1e+16))
    """
    least, most = (math.log10(end) for end in flops or PUBLISHED)
    exponents = (round((least + most) / 2), round(most), round(most) + 2)
    return tuple(dict.fromkeys(_power_of_ten(exponent) for exponent in exponents))


def grid(fitted_flops: Interval | None = None) -> tuple[float, ...]:
    """Budgets to draw, in FLOPs: from those of the fitted runs, whose ends are among them, to a thousand times."""
    least, most = fitted_flops or PUBLISHED
    first = min(_power_of_ten(math.floor(math.log10(least))), least)
    last = _power_of_ten(round(math.log10(most)) + 3)
    return tuple(sorted({*np.geomspace(first, last, COUNT).tolist(), *(fitted_flops or ())}))


def _power_of_ten(exponent: int) -> float:
    return float(f"1e{exponent}")  # 10.0**23 is not 1e23


def comparable(flops: Interval) -> bool:
    """Whether runs of `flops` are near enough to the published ones to be compared with them."""
    return flops[1] >= PUBLISHED[0] / FARTHEST and flops[0] <= PUBLISHED[1] * FARTHEST


def references(flops: Interval | None = None) -> dict[str, AnyLaw]:
    """The published laws to compare runs of `flops` with, by name."""
    return {name: published(name) for name in REFERENCES if comparable(flops or PUBLISHED)}


def prescriptions(
    laws: Mapping[str, AnyLaw], budgets: Iterable[float], *, curves: bool = False
) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """Plans of every law for every budget, by law and budget, and why those that are missing are.

    A budget whose optimum lies on the edge of the search has no plan, nor has a law without an optimum. For `curves`
    they are the optima and their intervals alone (`curve_point`).
    """
    plans: list[Plan] = []
    missing: list[str] = []
    wanted = sorted(budgets)
    for name, law in laws.items():
        for budget in wanted:
            try:
                plans.append(curve_point(budget, law, name) if curves else plan(budget, law, name=name))
            except (EdgeOfSearch, InvalidRequest) as error:
                missing.append(error.said)
    return tuple(plans), tuple(dict.fromkeys(missing))


def by_law(plans: Sequence[Plan]) -> dict[str, list[Plan]]:
    """Plans by the name of their law, each list by budget."""
    grouped: dict[str, list[Plan]] = {}
    for one in sorted(plans, key=lambda p: p.budget_flops):
        grouped.setdefault(one.law_name, []).append(one)
    return {name: grouped[name] for name in dict.fromkeys(one.law_name for one in plans)}
