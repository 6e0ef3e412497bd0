"""The bytes of a training step as they are counted are within 15% of what PyTorch allocates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from gemstones.accounting.memory import memory_bytes
from gemstones.accounting.step_memory import step_bytes
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape
from gemstones.train.initialisation import initialise
from gemstones.train.model import Block, Transformer
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.step import train_step

SMALL = {"head_size": 16, "vocabulary": 512, "context": 256}
LARGE = {"head_size": 64, "queries_per_kv": 2, "vocabulary": 4096, "context": 256}
SHAPES = [Shape(64, 2, **SMALL), Shape(96, 6, **SMALL), Shape(128, 4, **LARGE), Shape(256, 3, **LARGE)]
LONG = Shape(128, 2, head_size=64, vocabulary=512, context=1088)


def allocated(shape: Shape, sequences: int, precision: Any, recompute: Any, masked: bool) -> int:
    """The most bytes at once in a step, by PyTorch's profiler, and those of weights and moments before it."""
    torch.set_num_threads(1)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    model.end_of_document = 0 if masked else None
    for block in model.modules():
        if isinstance(block, Block):
            block.recompute = recompute
    optimizer = build_optimizer(model)
    set_rate(optimizer, 1e-3)
    tokens = torch.randint(shape.vocabulary, (sequences, shape.context + 1))
    train_step(model, optimizer, tokens, clip_norm=1.0, precision=precision)
    optimizer.zero_grad(set_to_none=True)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        train_step(model, optimizer, tokens, clip_norm=1.0, precision=precision)
    events: Any = seen.profiler.kineto_results.events()  # type: ignore[union-attr]
    now = most = 0
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most + 12 * sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recompute", ["none", "attention", "block"])
@pytest.mark.parametrize(
    ("shape", "masked"),
    [*((shape, False) for shape in [*SHAPES, LONG]), (SHAPES[1], True), (LONG, True)],
    ids=str,
)
@pytest.mark.parametrize("sequences", [2, 8])
def test_within_15_percent(
    shape: Shape, sequences: int, precision: Any, recompute: Any, masked: bool
) -> None:
    measured = allocated(shape, sequences, precision, recompute, masked)
    assert step_bytes(shape, sequences, precision, recompute, masked) == pytest.approx(measured, rel=0.15)


def test_a_step_holds_no_less_than_the_states() -> None:
    for shape in SHAPES:
        assert step_bytes(shape, 1) >= memory_bytes(shape, "float32")["total"]
    with pytest.raises(InvalidRequest, match="sequences 0 must be at least 1"):
        step_bytes(SHAPES[0], 0)
