"""Initial weights that do not depend on the layout.

Each tensor is drawn whole on the CPU, from a generator keyed by its name and the seed, and only then
distributed: the same numbers on one process or many. (`nn.init.trunc_normal_` on CPU DTensors gives every
shard the same numbers.) The σ of every tensor is the recipe's: `gemstones.design.recipes`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from gemstones.design.recipe import TRUNCATION, Patch, TensorKind, sigma
from gemstones.shape import Shape

Sigma = Callable[[Shape, TensorKind, int | None, Patch], float]
"""(shape, tensor, layer, patch) → σ: a recipe's."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.weight")
_KINDS: dict[str, TensorKind] = {
    "attention.query": "query",
    "attention.key": "key",
    "attention.value": "value",
    "attention.output": "attention_output",
    "mlp.gate": "mlp_gate",
    "mlp.up": "mlp_up",
    "mlp.output": "mlp_output",
}


def tensor_kind(name: str) -> tuple[TensorKind | None, int | None]:
    """Kind and layer of a parameter by its name; the kind of a norm's gain is None."""
    if name == "embedding.weight":
        return "embedding", None
    if name == "head.weight":
        return "head", None
    if (block := _BLOCK.fullmatch(name)) is not None:
        return _KINDS.get(block[2]), int(block[1])
    return None, None


def initial_tensor(
    name: str,
    size: torch.Size,
    shape: Shape,
    seed: int,
    patch: Patch,
    norm_gain: float,
    sigma: Sigma = sigma,
) -> Tensor:
    """The whole initial value of a parameter, in float32 on the CPU."""
    kind, layer = tensor_kind(name)
    if kind is None:
        return torch.full(size, norm_gain)
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little") >> 1)
    deviation = sigma(shape, kind, layer, patch)
    cut = TRUNCATION * deviation
    return nn.init.trunc_normal_(torch.empty(size), std=deviation, a=-cut, b=cut, generator=generator)


@torch.no_grad()
def initialise(
    model: nn.Module,
    shape: Shape,
    *,
    seed: int,
    patch: Patch | None = None,
    norm_gain: float = 1.0,
    sigma: Sigma = sigma,
) -> None:
    """Fill the parameters of `model`, plain or distributed, in place."""
    for compiled_name, parameter in model.named_parameters():
        name = compiled_name.replace("_orig_mod.", "")  # as torch.compile calls it
        whole = initial_tensor(name, parameter.shape, shape, seed, patch or Patch(), norm_gain, sigma)
        if isinstance(parameter, DTensor):
            # Every rank has the whole tensor: nothing needs to be sent.
            whole = distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)
        parameter.copy_(whole)
