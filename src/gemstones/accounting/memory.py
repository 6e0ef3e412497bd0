"""Bytes that a model's states take in training: weights, gradients and AdamW's state.

Activations are left out: they depend on the batch and on recomputation, not on the shape alone. The
accounting is that of Rajbhandari et al. 2020 (ZeRO, §3.1): with mixed precision, bfloat16 weights and
gradients (2 + 2 bytes per parameter), and an optimizer that keeps float32 master weights and two float32
moments (4 + 4 + 4), 16 bytes per parameter in all.
"""

from __future__ import annotations

from typing import Literal

from gemstones.accounting.parameters import params
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

Precision = Literal["mixed", "float32", "bfloat16"]

BYTES_PER_PARAM: dict[Precision, dict[str, int]] = {
    "mixed": {"weights": 2, "gradients": 2, "optimizer": 4 + 4 + 4},
    "float32": {"weights": 4, "gradients": 4, "optimizer": 4 + 4},
    "bfloat16": {"weights": 2, "gradients": 2, "optimizer": 2 + 2},
}


@checked
def memory_bytes(shape: Shape, precision: Precision = "mixed") -> dict[str, int]:
    """Bytes of `weights`, `gradients`, AdamW's `optimizer` state, and their `total`, for a model of `shape`.

    `precision` is `mixed` (16 bytes a parameter), `float32` (16) or `bfloat16` (8); activations are not in it. Raises
    `InvalidRequest` for another.

    >>> memory_bytes(Shape(1024, 28))["total"]
    8695726080
    """
    if precision not in BYTES_PER_PARAM:
        raise InvalidRequest(f"precision {precision!r} is unknown: choose from {', '.join(BYTES_PER_PARAM)}")
    by_group = {name: size * params(shape) for name, size in BYTES_PER_PARAM[precision].items()}
    return {**by_group, "total": sum(by_group.values())}
