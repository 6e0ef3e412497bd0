"""Our weights as those of the stock `GemmaForCausalLM`: names, gains written as w − 1, and the configuration.

Gemma multiplies by 1 + w' where we multiply by the gain w. A float32 w' with 1 + w' = w exactly exists for
every w of 0.5 to 2²⁴ (below 2 by Sterbenz's lemma, above because w − 1 is a multiple of w's last place), but
not for most others: sums near −1 + … lie on multiples of 2⁻²⁴, gains below 0.5 between them.
Such a gain m·2^e, |m| of 0.5 to 1, is written as |m|, and the factor ±2^e goes into the columns of the
matrices that read this channel. Powers of two and signs round nothing: every product, so every logit, stays
the same to the last bit. A channel where even that would leave float32's range keeps the nearest w'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gemstones.errors import InvalidRequest
from gemstones.shape import Shape
from gemstones.train.model import NORM_EPS, ROTARY_BASE, Transformer

_OUTER = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
_INNER = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.output": "mlp.down_proj",
}


@dataclass(frozen=True)
class GemmaWeights:
    """Tensors by Gemma's names, float32, in the order of the model."""

    tensors: dict[str, Tensor]
    moved_channels: int
    """Channels of norms whose gain was moved into the next matrices, in part: logits are the same."""
    rounded_channels: int
    """Channels whose gain is off by at most half a last place of 1 + w': logits may differ."""


def gemma_weights(shape: Shape, weights: Mapping[str, Tensor]) -> GemmaWeights:
    """Of `weights`, whole float32 tensors by the names of `Transformer(shape).named_parameters()`.

    What needs no change shares its memory. Raises `InvalidRequest` for weights that are not those of `shape`,
    or not finite.
    """
    _check(shape, weights)
    written = dict(weights)
    moved = rounded = 0
    for norm, readers in _norms(shape):
        gain, matrices, moved_here, rounded_here = _exact(weights[norm], [weights[name] for name in readers])
        written[norm] = gain - 1.0
        written |= zip(readers, matrices, strict=True)
        moved, rounded = moved + moved_here, rounded + rounded_here
    return GemmaWeights({_gemma_name(name): written[name] for name in weights}, moved, rounded)


def gemma_config(shape: Shape, end_of_document: int) -> dict[str, Any]:
    """Contents of `config.json`; there is no padding token, as nothing was trained with one."""
    return {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.mlp_width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.query_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        # Releases differ in which one they read; with neither or one, some take the exact GELU.
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": NORM_EPS,
        # transformers 4 reads rope_theta, 5 rope_parameters; likewise torch_dtype and dtype.
        "rope_theta": ROTARY_BASE,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "use_cache": True,
        "bos_token_id": end_of_document,
        "eos_token_id": end_of_document,
        "pad_token_id": None,
        "torch_dtype": "float32",
        "dtype": "float32",
    }


def _check(shape: Shape, weights: Mapping[str, Tensor]) -> None:
    with torch.device("meta"):
        expected = {name: tuple(p.shape) for name, p in Transformer(shape).named_parameters()}
    for name in expected.keys() ^ weights.keys():
        which = "is missing" if name in expected else "is not in the model"
        raise InvalidRequest(f"weights of {shape}: {name} {which}: read them from a run of this shape")
    for name, tensor in weights.items():
        if tuple(tensor.shape) != expected[name] or tensor.dtype != torch.float32:
            raise InvalidRequest(
                f"weights of {shape}: {name} is {tensor.dtype} {tuple(tensor.shape)}, must be torch.float32 "
                f"{expected[name]}"
            )
        if not torch.isfinite(tensor).all():
            raise InvalidRequest(
                f"weights of {shape}: {name} is not finite: the run diverged, export an earlier checkpoint"
            )


def _norms(shape: Shape) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every norm's gain, and the matrices that read its output and nothing else."""
    for i in range(shape.depth):
        block = f"blocks.{i}"
        yield (
            f"{block}.attention_norm.weight",
            tuple(f"{block}.attention.{part}.weight" for part in ("query", "key", "value")),
        )
        yield (
            f"{block}.mlp_norm.weight",
            tuple(f"{block}.mlp.{part}.weight" for part in ("gate", "up")),
        )
    yield "norm.weight", ("head.weight",)


def _exact(gain: Tensor, readers: list[Tensor]) -> tuple[Tensor, list[Tensor], int, int]:
    """Gain (W,) and matrices (out, W) of the same products, the gain such that (gain − 1) + 1 is the gain.

    Then the number of channels in which a factor was moved, and of those in which that is impossible.
    """
    inexact = (1.0 + (gain - 1.0)) != gain
    if not inexact.any():
        return gain, readers, 0, 0
    channels = inexact.nonzero()[:, 0]
    # In float64, where no float32 leaves the range.
    mantissa, exponent = torch.frexp(gain[channels].double())
    factor = torch.sign(mantissa) * torch.exp2(exponent.double())
    columns = [matrix[:, channels].double() * factor for matrix in readers]
    fits = torch.stack([(c.float().double() == c).all(0) for c in columns]).all(0)
    chosen = channels[fits]
    gain, readers = gain.clone(), [matrix.clone() for matrix in readers]
    gain[chosen] = mantissa[fits].abs().float()
    for matrix, column in zip(readers, columns, strict=True):
        matrix[:, chosen] = column[:, fits].float()
    return gain, readers, len(chosen), len(channels) - len(chosen)


def _gemma_name(name: str) -> str:
    if not name.startswith("blocks."):
        return f"{_OUTER[name.removesuffix('.weight')]}.weight"
    _, layer, inner = name.removesuffix(".weight").split(".", 2)
    return f"model.layers.{layer}.{_INNER[inner]}.weight"
