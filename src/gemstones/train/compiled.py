"""Compiled training that gives the same bits every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gemstones.train.model import Transformer


def compile_model(model: Transformer) -> None:
    """Compile `model` with torch.compile: a graph for each size of batch.

    With sizes as variables, the sizes that a session happened to see first would decide which graph trains.
    """
    model.compile(dynamic=False)


@contextmanager
def same_bits(device: torch.device) -> Iterator[None]:
    """What is compiled within gives the same bits every time on a CPU, with several threads too (tested with two).

    Otherwise threads add to the embedding's gradient in the order in which they come to it.
    """
    if device.type != "cpu":
        yield
        return
    before, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
