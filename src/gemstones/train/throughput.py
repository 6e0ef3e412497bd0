"""The throughput of this machine, from its matmul peak."""

from __future__ import annotations

import torch

from gemstones.design.spec import TrainingPrecision
from gemstones.design.throughput import UTILISATION, Throughput
from gemstones.train.peak import matmul_flops_per_second


def measured_throughput(precision: TrainingPrecision, utilisation: float = UTILISATION) -> Throughput:
    """`utilisation` of the matmul peak of an accelerator, or of one thread of the CPU: a device is that."""
    if torch.cuda.is_available():
        device = torch.device("cuda")
        name = f"{torch.cuda.get_device_name(device)}, {precision}"
        return Throughput.of_peak(matmul_flops_per_second(device, precision), utilisation, name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        peak = matmul_flops_per_second(torch.device("cpu"), precision)
    finally:
        torch.set_num_threads(threads)
    return Throughput.of_peak(peak, utilisation, f"this machine's CPU, one thread, {precision}")
