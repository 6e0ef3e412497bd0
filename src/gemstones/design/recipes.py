"""Recipes by name: all that turns a shape into initial weights, rates and an optimizer, as one frozen value each.

    gemstones   the paper's (§3.1, Appendix F.2), AdamW, one rate lr_base / (width · √depth) for all tensors
    mup         the maximal update parametrisation (Yang et al. 2022, Table 8, for Adam): matrices as in gemstones;
                embedding, norms and head so that no activation's change depends on the width
    muon        matrices of the blocks by Muon (Jordan et al. 2024), the others by AdamW; a rate of its own

The model is the same in all of them, so that every run exports as a stock `GemmaForCausalLM`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gemstones.design.recipe import (
    BETAS,
    BY_RULE,
    EPSILON,
    LR_BASE,
    WEIGHT_DECAY,
    Patch,
    TensorKind,
    effective_depth,
    learning_rate,
    sigma,
)
from gemstones.shape import Shape

RecipeName = Literal["gemstones", "mup", "muon"]
OptimizerName = Literal["adamw", "muon"]
AnyTensor = TensorKind | Literal["norm"]
"""A matrix of the model, or the gain of a norm."""

MUP_BASE_WIDTH = 64
"""Where `mup` and `gemstones` are the same: the width to tune at."""
MUON_LR_BASE = 0.02
"""Of Jordan et al. (2024), for matrices of any width."""
ADAMW_OVER_MUON = 40.0
"""In `muon`, width times AdamW's rate over Muon's: AdamW's is 40 · lr_base / (width · √depth)."""
MUON_MOMENTUM = 0.95
"""Nesterov's, of Jordan et al. (2024)."""


@dataclass(frozen=True)
class Recipe:
    """One way to train every shape.

    >>> RECIPES["gemstones"].learning_rate(Shape(1024, 16), 5.0) * 1024 * 4
    5.0
    """

    name: RecipeName
    lr_base: float
    """That it was published with."""
    learning_rate: Callable[..., float]
    """(shape, lr_base, patch, power) → lr_eff, the rate after warm-up that is named in tables."""
    sigma: Callable[[Shape, TensorKind, int | None, Patch], float]
    """(shape, tensor, layer, patch) → σ of the truncated normal that a matrix starts from."""
    rate_factor: Callable[[Shape, AnyTensor], float]
    """(shape, tensor) → its rate over lr_eff."""
    optimizer: OptimizerName = "adamw"
    """What trains the matrices of the blocks; AdamW trains the rest."""
    patch: Patch = BY_RULE
    betas: tuple[float, float] = BETAS
    epsilon: float = EPSILON
    weight_decay: float = WEIGHT_DECAY


def _one_rate(shape: Shape, tensor: AnyTensor) -> float:
    return 1.0


def mup_sigma(shape: Shape, tensor: TensorKind, layer: int | None = None, patch: Patch = BY_RULE) -> float:
    """As the paper's, but for the head: 1/width, so that the first logits do not grow with the width.

    >>> mup_sigma(Shape(64, 2, head_size=16), "head"), mup_sigma(Shape(256, 2, head_size=16), "head")
    (0.125, 0.03125)
    """
    if tensor == "head":
        return math.sqrt(MUP_BASE_WIDTH) / shape.width
    return sigma(shape, tensor, layer, patch)


def mup_rate_factor(shape: Shape, tensor: AnyTensor) -> float:
    """Rates over that of matrices, which goes as 1/width: gains constant, embedding as 1/√width.

    The embedding is multiplied by √width in the model, which leaves its effect constant.
    """
    widths = shape.width / MUP_BASE_WIDTH
    match tensor:
        case "norm":
            return widths
        case "embedding":
            return math.sqrt(widths)
    return 1.0


def muon_learning_rate(
    shape: Shape, lr_base: float = MUON_LR_BASE, patch: Patch = BY_RULE, power: float = 1.0
) -> float:
    """lr_eff = lr_base / √depth'^power: an orthogonal update has the same effect at any width.

    >>> muon_learning_rate(Shape(64, 4, head_size=16), 0.02) == muon_learning_rate(Shape(256, 4, head_size=16), 0.02)
    True
    """
    return lr_base / math.pow(effective_depth(shape, patch), power / 2)


def muon_rate_factor(shape: Shape, tensor: AnyTensor) -> float:
    """1 for Muon's matrices, `ADAMW_OVER_MUON`/width for AdamW's tensors."""
    return ADAMW_OVER_MUON / shape.width if tensor in {"embedding", "head", "norm"} else 1.0


GEMSTONES = Recipe("gemstones", LR_BASE, learning_rate, sigma, _one_rate)
"""The paper's."""
MUP = Recipe("mup", LR_BASE, learning_rate, mup_sigma, mup_rate_factor)
"""Width transfers: rates tuned at one width hold at others (`benchmarks/coordinate_check.py` checks it)."""
MUON = Recipe("muon", MUON_LR_BASE, muon_learning_rate, sigma, muon_rate_factor, optimizer="muon")
"""Muon beside AdamW."""
RECIPES: MappingProxyType[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (GEMSTONES, MUP, MUON)}
)
"""By name."""
