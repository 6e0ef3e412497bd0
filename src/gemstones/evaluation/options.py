"""How losses are computed: windows, precision, device, unit."""

from __future__ import annotations

from dataclasses import dataclass

from gemstones.errors import InvalidRequest
from gemstones.evaluation.models import DTYPES
from gemstones.evaluation.table import Settings
from gemstones.evaluation.windows import Kind, check_windows
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.one_line import one_line

USUAL_CONTEXT = 2048
"""Tokens of a window where nothing is said, or fewer of a model that states fewer positions."""


@dataclass(frozen=True)
class Options:
    """How losses are computed."""

    context: int | None = None
    stride: int | None = None
    windows: Kind = "document"
    dtype: str = "float32"
    device: str = ""
    batch_tokens: int | None = None
    memory: float | None = None
    """Bytes that a batch may take."""
    loss_unit: LossUnit = "nats"
    field: str = "text"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InvalidRequest(
                f"dtype {one_line(self.dtype, 40)!r} is unknown: choose from {', '.join(DTYPES)}"
            )
        if self.loss_unit not in ("nats", "bits_per_byte"):
            raise InvalidRequest(
                f"loss unit {one_line(self.loss_unit, 40)!r} of an evaluation: nats or bits_per_byte"
            )
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise InvalidRequest(f"batch tokens {self.batch_tokens} must be at least 1")
        if self.windows not in ("document", "stream"):
            raise InvalidRequest(
                f"windows {one_line(self.windows, 40)!r} are unknown: choose document or stream"
            )
        context = USUAL_CONTEXT if self.context is None else self.context
        check_windows(context, context if self.stride is None else self.stride)

    def settings(self, stated: int | None) -> Settings:
        """Those for a model that states so many positions."""
        context = min(USUAL_CONTEXT, stated or USUAL_CONTEXT) if self.context is None else self.context
        return Settings(self.windows, context, min(self.stride or context, context), self.dtype)
