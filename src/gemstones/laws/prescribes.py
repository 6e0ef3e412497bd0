"""`fit.plan(…)`, `law.plan(…)`: the public planner as a method, looked up when it is called.

Laws know nothing of plans otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from gemstones.shape import FloatArray

if TYPE_CHECKING:
    from gemstones import Plan, PlanOptions, Plans


class Prescribes:
    """What a law, and a fit of one, can be asked: what to train for a budget."""

    __slots__ = ()

    @overload
    def plan(self, budget: float | str, **options: Unpack[PlanOptions]) -> Plan: ...  # type: ignore[overload-overlap]
    @overload
    def plan(self, budget: Sequence[float | str] | FloatArray, **options: Unpack[PlanOptions]) -> Plans: ...
    def plan(
        self, budget: float | str | Sequence[float | str] | FloatArray, **options: Unpack[PlanOptions]
    ) -> Plan | Plans:
        """What to train for `budget` FLOPs, or for each of several, with intervals where there are draws.

        `options` are those of `gemstones.plan`, which this calls, and it raises what that raises: `InvalidRequest` for
        budgets far beyond the fitted runs, `EdgeOfSearch` where the optimum lies on the edge of the search.

        >>> from gemstones.laws.published import published
        >>> print(published("gemstones-refit").plan(1e22).shape)
        3072x50
        >>> [one.tokens_per_param for one in published("chinchilla").plan([1e20, 1e22])]
        [40.1, 62.6]
        """
        from gemstones import plan

        itself: Any = self
        return plan(budget, itself, **options)
