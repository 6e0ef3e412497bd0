"""What the device does at best: the rate of one large matrix product, the denominator of utilisation."""

from __future__ import annotations

import time

import torch

from gemstones.train.step import Precision

_SIZE = {"cpu": 1024, "cuda": 8192}
_TRIES = 8


def matmul_flops_per_second(device: torch.device, precision: Precision) -> float:
    """FLOPs per second of a square product on `device` with the threads set now: the best of a few."""
    size = _SIZE.get(device.type, 2048)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left = torch.ones(size, size, device=device, dtype=kind)
    best = float("inf")
    for _ in range(_TRIES):
        _wait(device)
        start = time.perf_counter()
        left @ left
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
