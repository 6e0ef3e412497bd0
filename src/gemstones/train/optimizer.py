"""AdamW with weight decay on matrices only, its rate set from the schedule at every step."""

from __future__ import annotations

import torch
from torch import nn

from gemstones.design.recipe import BETAS, WEIGHT_DECAY, decayed
from gemstones.train.initialisation import tensor_kind


def build_optimizer(
    model: nn.Module,
    *,
    betas: tuple[float, float] = BETAS,
    weight_decay: float = WEIGHT_DECAY,
) -> torch.optim.AdamW:
    """AdamW over two groups, decayed and not; the rate is 0 until `set_rate` is called."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        kind, _ = tensor_kind(name)
        groups[decayed(kind or "norm")].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": weight_decay},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=0.0,
        betas=betas,
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the rate of every group. Loading an optimizer's state restores its old rate: set it at every step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
