"""The optimizer of a recipe, its rate set from the schedule at every step.

AdamW with weight decay on matrices only; in the recipe `muon` the matrices of the blocks are Muon's.
"""

from __future__ import annotations

import torch
from torch import nn

from gemstones.design.recipe import BETAS, EPSILON, WEIGHT_DECAY, decayed
from gemstones.design.recipes import GEMSTONES, MUON_MOMENTUM, AnyTensor, Recipe
from gemstones.train.initialisation import tensor_kind
from gemstones.train.model import Transformer
from gemstones.train.muon import MuonWithAdamW

RATE_FACTOR = "rate_factor"
"""Key of a group of parameters: its rate over that of the run."""


def build_optimizer(
    model: Transformer,
    recipe: Recipe = GEMSTONES,
    *,
    betas: tuple[float, float] = BETAS,
    epsilon: float = EPSILON,
    weight_decay: float = WEIGHT_DECAY,
) -> torch.optim.Optimizer:
    """The optimizer of `recipe` over the parameters of `model`; the rate is 0 until `set_rate` is called.

    Parameters of one decay, rate and kind of update are one group.
    """
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    for compiled_name, parameter in model.named_parameters():
        kind: AnyTensor = tensor_kind(compiled_name.replace("_orig_mod.", ""))[0] or "norm"
        orthogonal = recipe.optimizer == "muon" and kind not in {"embedding", "head", "norm"}
        key = (orthogonal, decayed(kind), recipe.rate_factor(model.shape, kind))
        groups.setdefault(key, []).append(parameter)
    described = [
        {
            "params": parameters,
            "weight_decay": weight_decay if decays else 0.0,
            RATE_FACTOR: factor,
            **({"momentum": MUON_MOMENTUM} if orthogonal else {}),
        }
        for (orthogonal, decays, factor), parameters in sorted(
            groups.items(), key=lambda group: group[0][:2], reverse=True
        )
    ]
    if recipe.optimizer == "muon":
        return MuonWithAdamW(described, betas=betas, eps=epsilon)
    return torch.optim.AdamW(described, lr=0.0, betas=betas, eps=epsilon, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the rate of every group. Loading an optimizer's state restores its old rate: set it at every step."""
    for group in optimizer.param_groups:
        factor = group[RATE_FACTOR]
        group["lr"] = learning_rate if factor == 1 else learning_rate * factor
