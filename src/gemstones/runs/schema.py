"""The columns of a run table: order, type, unit and meaning. Adding a column is adding a line here.

Every table has all of them, in this order, null where unknown; the columns of the source come after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

SCHEMA_VERSION = 1
"""Written into Parquet files; raised when the meaning of a column changes."""


@dataclass(frozen=True)
class Column:
    """One column of the schema, and the rules that its values keep."""

    name: str
    dtype: Literal["String", "Int64", "Float64"]
    unit: str
    meaning: str
    required: bool = False
    """Null in no row."""
    zero_allowed: bool = False
    """Numbers are positive; this one may also be 0."""
    one_unit: bool = False
    """Checked for a jump between neighbouring values that only a second unit explains."""
    thousands: bool = True
    """Whether its whole numbers may be written with separators of thousands: a loss never has one."""


SCHEMA: tuple[Column, ...] = (
    Column("run", "String", "", "identifier of the run; its checkpoints share it", required=True),
    Column("family", "String", "", "kind of run: main, lr-ablation, cooldown, …"),
    Column("width", "Int64", "channels", "hidden size w"),
    Column("depth", "Int64", "blocks", "transformer blocks d"),
    Column("params_total", "Float64", "parameters", "all parameters", one_unit=True),
    Column("params_no_embedding", "Float64", "parameters", "all but the input embedding"),
    Column("params_non_embedding", "Float64", "parameters", "all but the input embedding and the head"),
    Column("tokens", "Float64", "tokens", "training tokens seen, T", required=True, one_unit=True),
    Column("step", "Int64", "steps", "optimizer steps taken", zero_allowed=True),
    Column("loss", "Float64", "nats/token", "validation loss", required=True, thousands=False),
    Column("flops_per_token", "Float64", "FLOPs/token", "forward and backward, in the table's convention"),
    Column("flops", "Float64", "FLOPs", "flops_per_token x tokens", one_unit=True),
    Column("seconds_per_step", "Float64", "seconds", "mean time of an optimizer step", thousands=False),
    Column("devices", "Int64", "devices", "accelerators in use"),
    Column(
        "device_hours",
        "Float64",
        "device hours",
        "seconds_per_step x step x devices / 3600",
        zero_allowed=True,
    ),
)

COLUMNS: Mapping[str, Column] = MappingProxyType({column.name: column for column in SCHEMA})
"""The schema by name."""

UNITS: Mapping[str, str] = MappingProxyType({column.name: column.unit for column in SCHEMA if column.unit})
"""Units by column; text columns have none."""
