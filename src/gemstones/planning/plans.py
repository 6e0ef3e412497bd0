"""`Plans`: what to train for several budgets under one law, as a list and as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from gemstones.display import few_lines, html_table
from gemstones.lazy import pl
from gemstones.planning.shown import plan_notes, plan_sentence, plans_header, plans_rows

if TYPE_CHECKING:
    from gemstones.planning.result import Plan

SHOWN = 12
"""Plans that a terminal shows."""
QUANTITIES = ("width", "depth", "params", "params_total", "tokens", "tokens_per_param", "loss")
"""Columns of the frame that have an interval, where the plan has one."""


class Plans(Sequence["Plan"]):
    """Plans for several budgets, in FLOPs, under one law, in their order; what `plan` gives for a list of them.

    >>> from gemstones.planning.plan import plan
    >>> plans = plan([1e20, 1e21, 1e22], "chinchilla")
    >>> len(plans), plans[0].params < plans[-1].params
    (3, True)
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = tuple(plans)

    def __len__(self) -> int:
        return len(self._plans)

    @overload
    def __getitem__(self, index: int) -> Plan: ...
    @overload
    def __getitem__(self, index: slice) -> Plans: ...
    def __getitem__(self, index: int | slice) -> Plan | Plans:
        return Plans(self._plans[index]) if isinstance(index, slice) else self._plans[index]

    def __eq__(self, other: object) -> bool:
        return self._plans == other._plans if isinstance(other, Plans) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._plans)

    def to_frame(self) -> pl.DataFrame:
        """A polars frame, a row a plan: FLOPs, tokens, parameters in the law's convention, loss in its unit.

        `budget` is in what the budget is of, FLOPs or device hours. The ends of an interval stand beside their quantity
        as `params_low`, `params_high` and so on, null where the plan has none; those of `loss` are of a new run.

        >>> from gemstones.planning.plan import plan
        >>> plan([1e20, 1e21], "chinchilla").to_frame()["tokens_per_param"].to_list()
        [40.1, 50.1]
        """
        rows = []
        for plan in self._plans:
            said, intervals = plan.summary(), plan.intervals or {}
            row = {name: said[name] for name in ("budget", "resource", "law", "params_convention", "shape")}
            for name in QUANTITIES:
                low, high = intervals.get(name) or (None, None)
                row |= {name: said[name], f"{name}_low": low, f"{name}_high": high}
            names = ("loss_unit", "flops", "device_hours", "intervals_note")
            rows.append(row | {name: said[name] for name in names})
        texts = ("resource", "law", "params_convention", "shape", "loss_unit", "intervals_note")
        types = {name: pl.String if name in texts else pl.Float64 for name in rows[0]}
        return pl.DataFrame(rows, schema=types)

    def summary(self) -> list[dict[str, Any]]:
        """What `Plan.summary` says of each: plain values, in the units of `gemstones plan --json`.

        >>> from gemstones.planning.plan import plan
        >>> [one["tokens"] / one["params"] for one in plan([1e20, 1e21], "chinchilla").summary()]
        [40.1, 50.1]
        """
        return [plan.summary() for plan in self._plans]

    def __repr__(self) -> str:
        said = [plan_sentence(plan) for plan in self._plans[:SHOWN]]
        left = [f"and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return few_lines(f"{len(self)} plans", (*said, *left, self._plans[-1].intervals_note))

    def _repr_html_(self) -> str:
        plans = self._plans
        notes = dict.fromkeys(note for plan in plans for note in plan_notes(plan))
        return html_table(f"{len(plans)} plans", plans_header(plans), plans_rows(plans), (*notes,))
