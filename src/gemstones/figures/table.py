"""A table: a frame, the columns of it that people are shown, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemstones.runs.loss_units import PER, LossUnit

if TYPE_CHECKING:
    import polars as pl


UNITS = {
    "budget": "FLOPs",
    "width": "channels",
    "depth": "blocks",
    "params": "parameters",
    "params_total": "parameters",
    "tokens": "tokens",
    "tokens_per_param": "tokens/parameter",
    "flops_beyond_fitted": "decades",
    "width_least": "channels",
    "width_most": "channels",
    "depth_least": "blocks",
    "depth_most": "blocks",
}
"""Of the columns below but losses, whose unit is the runs'; the ends of an interval have that of what they enclose."""


TITLES = {
    "flops": "FLOPs",
    "params": "N",
    "params_total": "N (total)",
    "tokens": "T",
    "tokens_per_param": "T/N",
    "params_convention": "N counts",
    "flops_convention": "FLOPs counted by",
    "log_irreducible": "E",
}
"""Of columns that are called otherwise in print."""


Row = dict[str, Any]


def title_of(column: str) -> str:
    """What a column is called in print."""
    return TITLES.get(column, column.replace("_", " "))


@dataclass(frozen=True, eq=False)
class Table:
    """A frame, the columns of it that people are shown, and notes to read below them."""

    frame: pl.DataFrame
    hidden: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    loss_unit: LossUnit = "nats"

    @property
    def shown(self) -> list[str]:
        """Columns that people are shown; the ends of an interval stand with what they enclose."""
        every = self.frame.columns
        ends = {f"{name}{end}" for name in every for end in ("_low", "_high")}
        return [name for name in every if name not in self.hidden and name not in ends]

    @property
    def units(self) -> dict[str, str]:
        """Of its columns."""
        loss = PER[self.loss_unit]
        return {**UNITS, "loss": loss, "loss_of_fit": loss, "irreducible_loss": loss}
