"""The coordinate check: does a step change activations as much in wide models as in narrow ones?

By Yang et al. (2022, arXiv:2203.03466, Appendix D.1): in the maximal update parametrisation no activation's change
depends on the width, so that a rate that is tuned at one width holds at others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gemstones.design.recipe import Patch
from gemstones.design.recipes import RECIPES, RecipeName
from gemstones.shape import Shape
from gemstones.train.initialisation import initialise
from gemstones.train.model import Transformer
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.step import train_step

UNPATCHED = Patch(mode="off")
"""The patch of Appendix F.2 would change rates with the width by itself."""
SEQUENCES, POSITIONS, VOCABULARY = 8, 32, 64


@dataclass(frozen=True)
class Coordinates:
    """How much a few steps changed activations, by width: root mean squares."""

    recipe: RecipeName
    widths: tuple[int, ...]
    embedding: tuple[float, ...]
    """As the blocks see it: times √width."""
    block: tuple[float, ...]
    """The output of the last block."""
    logits: tuple[float, ...]

    def slope(self, of: str) -> float:
        """The power of the width that the change goes with, from the first width to the last; 0 is no dependence."""
        changes: tuple[float, ...] = getattr(self, of)
        return math.log(changes[-1] / changes[0]) / math.log(self.widths[-1] / self.widths[0])


def coordinate_check(
    recipe: RecipeName,
    widths: Sequence[int] = (64, 128, 256, 512),
    *,
    depth: int = 2,
    lr_base: float = 0.1,
    steps: int = 4,
    seed: int = 0,
) -> Coordinates:
    """Train models of these widths for a few steps on the same random tokens, and compare what changed.

    Head size 16; widths are multiples of it. Seconds on a CPU.
    """
    changes = [_changes(recipe, Shape(width, depth, **_FIXED), lr_base, steps, seed) for width in widths]
    by_name = {name: tuple(change[name] for change in changes) for name in changes[0]}
    return Coordinates(recipe, tuple(widths), **by_name)


_FIXED = {"head_size": 16, "queries_per_kv": 1, "vocabulary": VOCABULARY, "context": POSITIONS}


def _changes(recipe: RecipeName, shape: Shape, lr_base: float, steps: int, seed: int) -> dict[str, float]:
    rules = RECIPES[recipe]
    model = Transformer(shape)
    initialise(model, shape, seed=seed, patch=UNPATCHED, sigma=rules.sigma)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCABULARY, (SEQUENCES, POSITIONS + 1), generator=generator)
    optimizer = build_optimizer(model, rules)
    set_rate(optimizer, rules.learning_rate(shape, lr_base, UNPATCHED))
    before = _activations(model, tokens)
    for _ in range(steps):
        train_step(model, optimizer, tokens, clip_norm=math.inf)
    after = _activations(model, tokens)
    return {name: float((after[name] - before[name]).square().mean().sqrt()) for name in before}


@torch.no_grad()
def _activations(model: Transformer, tokens: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_hook(lambda _, __, output: found.__setitem__(name, output.clone()))

    watched = {"embedding": model.embedding, "block": model.blocks[-1], "logits": model.head}
    hooks = [watch(name, module) for name, module in watched.items()]
    model(tokens[:, :-1])
    for hook in hooks:
        hook.remove()
    found["embedding"] *= math.sqrt(model.shape.width)  # as the model multiplies it
    return found
