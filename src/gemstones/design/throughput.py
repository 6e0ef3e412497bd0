"""What a device does in training: the rate that turns FLOPs into device hours, with how it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gemstones.errors import InvalidRequest
from gemstones.units import format_quantity

UTILISATION = 0.5
"""Of a measured matmul peak, where none is stated.

Measured on a CPU, one thread, float32: 0.37 at 32x2, 0.5 at 64x2, 0.6 at 96x3.
"""
NOT_INCLUDED = "evaluations, checkpoints and starts come on top"


@dataclass(frozen=True)
class Throughput:
    """Matmul FLOPs per second of one device in training, as flops_matmul counts them."""

    flops_per_second_per_device: float
    convention: str
    """Where the number comes from, as a phrase that follows "device hours are"."""
    peak_flops_per_second: float | None = None
    """The measured matmul peak, if that is where it comes from."""
    utilisation: float | None = None
    """The fraction of that peak."""

    @classmethod
    def stated(cls, flops_per_second_per_device: float) -> Self:
        """As the user says."""
        rate = _rate(flops_per_second_per_device)
        return cls(
            flops_per_second_per_device,
            f"matmul FLOPs of training steps over the stated {rate} per device; {NOT_INCLUDED}",
        )

    @classmethod
    def of_peak(cls, peak_flops_per_second: float, utilisation: float, device: str) -> Self:
        """`utilisation` of the peak measured on `device`."""
        if not 0 < utilisation <= 1:
            raise InvalidRequest(
                f"utilisation {utilisation:g} must be above 0 and at most 1: write it like 0.4"
            )
        return cls(
            peak_flops_per_second * utilisation,
            f"matmul FLOPs of training steps over {utilisation:.0%} (assumed) of the "
            f"{_rate(peak_flops_per_second)} of matmul measured on {device}; {NOT_INCLUDED}",
            peak_flops_per_second,
            utilisation,
        )


def _rate(flops_per_second: float) -> str:
    """With G, not B, for 10^9, as rates are written."""
    text = format_quantity(flops_per_second).replace("B", "G")
    return f"{text[:-1]} {text[-1]}FLOP/s" if text[-1].isalpha() else f"{text} FLOP/s"
