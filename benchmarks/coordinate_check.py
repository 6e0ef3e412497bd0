"""Write `coordinate_check.md`: how much a few steps change activations, by width, in every recipe.

python benchmarks/coordinate_check.py

By Yang et al. (2022, arXiv:2203.03466, Appendix D.1): in the maximal update parametrisation no activation's change
depends on the width, so that a rate that is tuned at one width holds at others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gemstones.design.recipe import Patch
from gemstones.design.recipes import RECIPES, RecipeName
from gemstones.files import write_text
from gemstones.shape import Shape
from gemstones.train.initialisation import initialise
from gemstones.train.model import Transformer
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.step import train_step

RATES = {"gemstones": 0.1, "mup": 0.1, "muon": 0.005}
WHAT = {"embedding": "embedding · √width", "block": "output of the last block", "logits": "logits"}
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


def page() -> str:
    """The page."""
    rows = []
    for name in RECIPES:
        found = coordinate_check(name, lr_base=RATES[name])  # type: ignore[arg-type]
        for of, words in WHAT.items():
            changes = " | ".join(f"{change:.3g}" for change in getattr(found, of))
            rows.append(f"| {name} | {words} | {changes} | {found.slope(of):+.2f} |")
    return f"""# Coordinate check of the recipes

Written by `benchmarks/coordinate_check.py`. How much four steps on the same random tokens change activations (root
mean square), in models of depth 2 at lr_base 0.1 (Muon: {RATES["muon"]}); and the power of the width that it goes with.

| recipe | change of | width 64 | 128 | 256 | 512 | power |
|---|---|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

In `mup` embedding and blocks change alike at every width; logits a little less in wide models, as what their first
head adds (σ of 1/width) fades. In `gemstones`, one rate for all tensors, the embedding of a wide model hardly moves,
and its logits move more: a rate tuned at one width is not the best at another. `muon` has the same embedding and head.
torch {torch.__version__.split("+")[0]}, float32, CPU.
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_text(Path(__file__).with_suffix(".md"), page())
