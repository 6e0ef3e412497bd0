"""Where device hours come from, said with the number."""

from __future__ import annotations

import pytest

from gemstones.design.throughput import Throughput
from gemstones.errors import InvalidRequest


def test_stated() -> None:
    rate = Throughput.stated(150e12)
    assert rate.flops_per_second_per_device == 150e12
    assert "stated 150 TFLOP/s per device" in rate.convention
    assert rate.peak_flops_per_second is rate.utilisation is None


def test_a_fraction_of_a_peak() -> None:
    rate = Throughput.of_peak(100e9, 0.4, "a device")
    assert rate.flops_per_second_per_device == 40e9
    assert "40% (assumed) of the 100 GFLOP/s of matmul measured on a device" in rate.convention


@pytest.mark.parametrize("utilisation", [0, -0.5, 1.01, float("nan")])
def test_a_utilisation_is_a_fraction(utilisation: float) -> None:
    with pytest.raises(InvalidRequest, match=f"^utilisation {utilisation:g} must be above 0 and at most 1"):
        Throughput.of_peak(100e9, utilisation, "a device")
