"""Plans over a grid of budgets: what Figure 5 draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gemstones.errors import EdgeOfSearch, InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Interval, Law
from gemstones.laws.published import FrontierLaw, published
from gemstones.plan.plan import Plan, plan

AnyLaw = Fit | Law | FrontierLaw

LEAST, MOST, COUNT = 1e18, 1e25, 25
"""FLOPs, and how many budgets a grid has: three and a half a decade."""
REFERENCES = ("chinchilla-epoch", "kaplan")
"""Published laws that every figure and table compares with."""


def grid(fitted_flops: Interval | None = None) -> tuple[float, ...]:
    """Budgets to draw, in FLOPs: wide enough for the fitted runs, whose ends are among them."""
    ends = fitted_flops or ()
    budgets = np.geomspace(min([LEAST, *ends]), max([MOST, *ends]), COUNT)
    return tuple(sorted({*budgets.tolist(), *ends}))


def references() -> dict[str, AnyLaw]:
    """The published laws to compare with, by name."""
    return {name: published(name) for name in REFERENCES}


def prescriptions(
    laws: Mapping[str, AnyLaw], budgets: Iterable[float]
) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """Plans of every law for every budget, by law and budget, and why those that are missing are.

    A budget whose optimum lies on the edge of the search has no plan, nor has a law without an optimum.
    """
    plans: list[Plan] = []
    missing: list[str] = []
    wanted = sorted(budgets)
    for name, law in laws.items():
        for budget in wanted:
            try:
                plans.append(plan(budget, law, name=name))
            except (EdgeOfSearch, InvalidRequest) as error:
                missing.append(str(error))
    return tuple(plans), tuple(dict.fromkeys(missing))


def by_law(plans: Sequence[Plan]) -> dict[str, list[Plan]]:
    """Plans by the name of their law, each list by budget."""
    grouped: dict[str, list[Plan]] = {}
    for one in sorted(plans, key=lambda p: p.budget_flops):
        grouped.setdefault(one.law_name, []).append(one)
    return {name: grouped[name] for name in dict.fromkeys(one.law_name for one in plans)}
