"""One optimizer step, the same on every layout: loss and gradient are means over the global batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from gemstones.memory import keep_freed_memory
from gemstones.train.model import Transformer

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class StepResult:
    """What a step measured."""

    loss: float
    """Mean over the tokens of the global batch, before the step, in nats."""
    gradient_norm: float
    """Over all parameters, before clipping."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 products with float32 weights, or nothing."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def train_step(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    sequences: Tensor,
    *,
    clip_norm: float,
    micro_sequences: int | None = None,
    precision: Precision = "float32",
    mesh: DeviceMesh | None = None,
) -> StepResult:
    """Take one step on `sequences`, this data rank's share of the global batch, (b, S + 1).

    The gradient is accumulated over chunks of `micro_sequences` (default: all at once).
    """
    if sequences.device.type == "cpu":
        keep_freed_memory()
    data = 1 if mesh is None else mesh["data"].size()
    tokens = sequences.shape[0] * (sequences.shape[1] - 1) * data
    chunks = torch.split(sequences, micro_sequences or len(sequences))
    total = torch.zeros((), dtype=torch.float64, device=sequences.device)
    optimizer.zero_grad(set_to_none=True)
    for i, chunk in enumerate(chunks):
        if isinstance(model, FSDPModule):  # gradients are summed over ranks once, after the last chunk
            model.set_requires_gradient_sync(i == len(chunks) - 1)
        with autocast(precision, sequences.device):
            summed = model(chunk[:, :-1], chunk[:, 1:])
        # FSDP averages gradients over the data ranks; the loss is a mean over all of their tokens.
        torch.autograd.backward(summed * (data / tokens))
        total += summed.detach()
    if mesh is not None and data > 1:
        dist.all_reduce(total, group=mesh["data"].get_group())
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
    return StepResult(float(total / tokens), float(whole))
