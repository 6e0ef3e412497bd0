"""The accelerators of this machine over the slots of a queue: each run has one of its own while there are some."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_devices(device: str, slots: int) -> tuple[str, ...]:
    """The accelerators that may be used here, as `CUDA_VISIBLE_DEVICES` names them; none for `device` cpu.

    One slot needs no choice: its runs take the first.
    """
    if device == "cpu" or slots == 1:
        return ()
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return tuple(named or map(str, range(count)))[:count]


def least_used(devices: Sequence[str], used: Sequence[str]) -> str:
    """Of `devices` that which the fewest runs use; the first of several; nothing where there are none.

    >>> least_used(("0", "1"), ["0"]), least_used(("0", "1"), ["0", "1"]), least_used((), [])
    ('1', '0', '')
    """
    times = Counter(used)
    return min(devices, key=lambda device: times[device], default="")


def environment_of(device: str) -> dict[str, str]:
    """What a run's process is told of its accelerator.

    >>> environment_of("1"), environment_of("")
    ({'CUDA_VISIBLE_DEVICES': '1'}, {})
    """
    return {VISIBLE: device} if device else {}
