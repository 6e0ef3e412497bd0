"""Units of loss: a table has one, carries it, and every output names it.

Nothing is converted between tokens and bytes: that needs the bytes of a token, which no table of losses has.
Between nats and bits it is a factor of ln 2, which an expression says (`--columns loss=loss*ln(2)`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, cast, get_args

from gemstones.errors import InvalidRequest
from gemstones.runs.one_line import one_line

LossUnit = Literal["nats", "bits", "bits_per_byte"]
"""`nats` and `bits` are per token."""

SHORT: Mapping[str, str] = MappingProxyType({"nats": "nats", "bits": "bits", "bits_per_byte": "bits/byte"})
"""For the heads of tables: `predicted loss (nats)`."""
PER: Mapping[str, str] = MappingProxyType(
    {"nats": "nats/token", "bits": "bits/token", "bits_per_byte": "bits/byte"}
)
"""For axes, and beside numbers."""
WORDS: Mapping[str, str] = MappingProxyType(
    {"nats": "nats per token", "bits": "bits per token", "bits_per_byte": "bits per byte"}
)
"""For sentences."""


def unit_of(declared: str | None) -> LossUnit | None:
    """The unit that a file declares in words of ours, or None.

    >>> unit_of("bits/byte"), unit_of("nats"), unit_of("dB")
    ('bits_per_byte', 'nats', None)
    """
    for unit in get_args(LossUnit):
        if declared in (unit, SHORT[unit], PER[unit], WORDS[unit]):
            return cast("LossUnit", unit)
    return None


def loss_unit(text: str) -> LossUnit:
    """`text` as a unit of loss, or `InvalidRequest`."""
    if text not in get_args(LossUnit):
        raise InvalidRequest(
            f"loss unit {one_line(text)!r} is unknown: choose from {', '.join(get_args(LossUnit))}"
        )
    return cast("LossUnit", text)
