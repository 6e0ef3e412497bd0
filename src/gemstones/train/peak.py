"""What the device does at best: the rate of a large matrix product, the denominator of utilisation."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from gemstones.train.kernels import has_onednn, onednn_product, plain
from gemstones.train.step import Precision

_SMALLEST, _LARGEST = 128, {"cpu": 1024, "cuda": 8192}
_TRIES = 4
_PATIENCE = 0.1
"""Seconds of one product: no larger one is tried, which takes eight times as long. A CPU without instructions for
bfloat16 does some 0.5 GFLOP/s, and would be at it for half a minute whenever a run starts."""


def matmul_flops_per_second(device: torch.device, precision: Precision) -> float:
    """FLOPs per second of square products on `device` with the threads set now: the best of a few sizes and tries.

    In float32 on a CPU, of torch's own product and of oneDNN's, whichever is faster here. Takes
    about a second at most.
    """
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    size, largest, rate = _SMALLEST, _LARGEST.get(device.type, 2048), 0.0
    while True:
        square = torch.ones(size, size, device=device, dtype=kind)
        ways: list[Callable[[Tensor, Tensor], Tensor]] = [torch.mm]
        if plain(square) and has_onednn():
            ways.append(onednn_product)
        seconds = _least_seconds(ways, square)
        rate = max(rate, 2 * size**3 / seconds)
        if size >= largest or 8 * seconds > _PATIENCE:
            return rate
        size *= 2


def _least_seconds(ways: list[Callable[[Tensor, Tensor], Tensor]], square: Tensor) -> float:
    best = float("inf")
    for multiply in ways * _TRIES:
        _wait(square.device)
        start = time.perf_counter()
        multiply(square, square)
        _wait(square.device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
