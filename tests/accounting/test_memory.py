"""Bytes of training states, against the sizes that ZeRO (Rajbhandari et al. 2020, §3.1) states."""

from __future__ import annotations

import pytest

from gemstones.accounting.memory import Precision, memory_bytes
from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

N = 543_482_880  # parameters of 1024x28


@pytest.mark.parametrize(
    ("precision", "weights", "gradients", "optimizer", "total"),
    [("mixed", 2, 2, 12, 16), ("float32", 4, 4, 8, 16), ("bfloat16", 2, 2, 4, 8)],
)
def test_bytes_per_parameter(
    precision: Precision, weights: int, gradients: int, optimizer: int, total: int
) -> None:
    assert memory_bytes(Shape(1024, 28), precision) == {
        "weights": weights * N,
        "gradients": gradients * N,
        "optimizer": optimizer * N,
        "total": total * N,
    }


def test_mixed_precision_is_the_default() -> None:
    for shape in (Shape(384, 13), Shape(64, 5, head_size=16, vocabulary=1024)):
        assert memory_bytes(shape)["total"] == 16 * params(shape, "total")


def test_an_unknown_precision() -> None:
    with pytest.raises(InvalidRequest) as caught:
        memory_bytes(Shape(1024, 28), "int8")  # type: ignore[arg-type]
    assert str(caught.value) == "precision 'int8' is unknown: choose from mixed, float32, bfloat16"
    assert caught.value.exit_status == 2
