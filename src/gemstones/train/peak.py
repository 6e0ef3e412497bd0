"""What the device does at best: the rate of one large matrix product, the denominator of utilisation."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from gemstones.train.kernels import plain, product
from gemstones.train.step import Precision

_SIZE = {"cpu": 1024, "cuda": 8192}
_TRIES = 8


def matmul_flops_per_second(device: torch.device, precision: Precision) -> float:
    """FLOPs per second of a square product on `device` with the threads set now: the best of a few.

    In float32 on a CPU, of torch's own product and of oneDNN's (`kernels.product`), whichever is faster here.
    """
    size = _SIZE.get(device.type, 2048)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left = torch.ones(size, size, device=device, dtype=kind)
    ways: list[Callable[[Tensor, Tensor], Tensor]] = [torch.mm]
    if plain(left):
        ways.append(product)
    best = float("inf")
    for multiply in ways * _TRIES:
        _wait(device)
        start = time.perf_counter()
        multiply(left, left)
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
