"""Compiled training that gives the same bits every time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch

from gemstones.train.model import Transformer
from gemstones.train.step import autocast

if TYPE_CHECKING:
    from gemstones.design.spec import RunSpec
    from gemstones.train.stopping import Stopping


def compile_model(model: Transformer) -> None:
    """Compile `model` with torch.compile: a graph for each size of batch.

    With sizes as variables, the sizes that a session happened to see first would decide which graph trains.
    """
    model.compile(dynamic=False)


def compile_steps(
    model: Transformer,
    spec: RunSpec,
    micro_sequences: int | None,
    stopping: Stopping,
    say: Callable[[str], None],
) -> None:
    """Make the graphs of a run's steps on one process, by passes that train nothing.

    The first step would make them, and it is not broken off: here a signal raises `StoppedError` at once.
    """
    say("compiling the model: up to a minute, some seconds where it was compiled before (--no-compile: not)")
    device = model.embedding.weight.device
    at_once = min(spec.batch_sequences, micro_sequences or spec.batch_sequences)
    with stopping.at_once(), warnings.catch_warnings():
        # What PyTorch says where a signal leaves a backward pass: that is no error.
        warnings.filterwarnings("ignore", "Error detected in")
        for taken in (at_once, spec.batch_sequences % at_once):
            if taken:
                tokens = torch.zeros(taken, spec.context + 1, dtype=torch.int64, device=device)
                with autocast(spec.precision, device):
                    summed = model(tokens[:, :-1], tokens[:, 1:])
                torch.autograd.backward(summed)
    model.zero_grad(set_to_none=True)


def uncompiled(model: Transformer) -> AbstractContextManager[object]:
    """Within, `model` is called as if it had not been compiled: what is called seldom repays no graph of its own."""
    compiled = model._compiled_call_impl is not None  # importing PyTorch's compiler takes seconds
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


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
