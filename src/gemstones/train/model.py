"""The model: a decoder-only transformer in the manner of Gemma 1, as the released Gemstones are.

Pre-norm blocks with two RMSNorms each and a final one, no QK-norm, rotary positions (base 10,000,
half-rotate), grouped-query attention, a gated MLP with tanh-approximated GELU, no biases, embeddings scaled by
√width, embedding and head untied. Every operation is in the order of the stock `GemmaForCausalLM`, so that
an export has the same logits to the last bit.

Axes: B sequences, S positions, W width, H query heads, K kv heads, D head size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from gemstones.runs.ledger import Recompute
from gemstones.shape import Shape
from gemstones.train.kernels import (
    attention,
    document_mask,
    gelu,
    linear,
    plain,
    rms_norm,
    rotated,
    summed_losses,
)

ROTARY_BASE = 10_000.0
NORM_EPS = 1e-5


class RMSNorm(nn.Module):
    """x / √(mean x² + ε)·gain, in float32; an export writes the gain as (1 + w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(…, W) → (…, W), in the type of x."""
        return rms_norm(x, self.weight, NORM_EPS)


class Linear(nn.Linear):
    """x·Wᵀ without a bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor, quick: bool = False) -> Tensor:
        """(…, I) → (…, O); `quick` as in `gemstones.train.kernels.linear`."""
        return linear(x, self.weight, quick)


class Attention(nn.Module):
    """Causal grouped-query attention. Under tensor parallelism each rank holds its share of the heads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head_size = shape.head_size
        queries, keys = shape.query_heads * shape.head_size, shape.kv_heads * shape.head_size
        self.query = Linear(shape.width, queries)
        self.key = Linear(shape.width, keys)
        self.value = Linear(shape.width, keys)
        self.output = Linear(queries, shape.width)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, quick: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        """(B, S, W) → (B, S, W); `cos` and `sin` are those of `rotary_tables`, `mask` that of `kernels.attention`."""
        b, s, _ = x.shape
        # The number of heads is left open: a tensor-parallel rank has fewer.
        q, k, v = (
            projection(x, quick=quick).view(b, s, -1, self.head_size)
            for projection in (self.query, self.key, self.value)
        )
        if quick and q.device.type == "cpu":
            q, k = q.float(), k.float()  # rotated and scored in float32: on a CPU bfloat16 is no faster there
        mixed = attention(rotated(q, cos, sin), rotated(k, cos, sin), v, quick=quick, mask=mask)
        out: Tensor = self.output(mixed.reshape(b, s, -1), quick=quick)
        return out


class MLP(nn.Module):
    """down(gelu(gate(x))·up(x))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = Linear(shape.width, shape.mlp_width)
        self.up = Linear(shape.width, shape.mlp_width)
        self.output = Linear(shape.mlp_width, shape.width)

    def forward(self, x: Tensor, quick: bool = False) -> Tensor:
        """(B, S, W) → (B, S, W)."""
        gate = gelu(self.gate(x, quick=quick))
        out: Tensor = self.output(gate * self.up(x, quick=quick), quick=quick)
        return out


class Block(nn.Module):
    """Attention and MLP, each on a normed input and added to the residual stream."""

    recompute: Recompute = "none"
    """What of its activations is not kept for the backward pass, but computed again there, to the same bits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(shape.width)
        self.attention = Attention(shape)
        self.mlp_norm = RMSNorm(shape.width)
        self.mlp = MLP(shape)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, quick: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        """(B, S, W) → (B, S, W)."""
        if self.recompute == "block" and torch.is_grad_enabled():
            return _again(self._whole, x, cos, sin, quick, mask)
        return self._whole(x, cos, sin, quick, mask)

    def _whole(self, x: Tensor, cos: Tensor, sin: Tensor, quick: bool, mask: Tensor | None) -> Tensor:
        if self.recompute == "attention" and torch.is_grad_enabled():
            x = _again(self._attended, x, cos, sin, quick, mask)
        else:
            x = self._attended(x, cos, sin, quick, mask)
        out: Tensor = x + self.mlp(self.mlp_norm(x), quick=quick)
        return out

    def _attended(self, x: Tensor, cos: Tensor, sin: Tensor, quick: bool, mask: Tensor | None) -> Tensor:
        out: Tensor = x + self.attention(self.attention_norm(x), cos, sin, quick=quick, mask=mask)
        return out


def _again(part: Callable[..., Tensor], *inputs: object) -> Tensor:
    """`part(*inputs)`, of which the inputs alone are kept; there is no randomness in it whose state would be too."""
    out: Tensor = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
    return out


class Transformer(nn.Module):
    """Tokens → logits. Parameters are uninitialised but for the norms: see `gemstones.train.initialisation`."""

    end_of_document: int | None = None
    """The last token of a document: if it is given, tokens attend to those of their own document only."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = RMSNorm(shape.width)
        self.head = Linear(shape.width, shape.vocabulary)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Logits, (B, S) → (B, S, V); or, given the targets, the sum of their losses in nats, (B, S) → ().

        Logits are those of `GemmaForCausalLM` to the last bit; the sum is made with quicker products.
        """
        quick = targets is not None
        cos, sin = rotary_tables(tokens.shape[1], self.shape.head_size, tokens.device)
        end = self.end_of_document
        mask = None if end is None else document_mask(tokens, end)
        x = self.embedding(tokens)
        x = x * torch.tensor(self.shape.width**0.5, dtype=x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin, quick=quick, mask=mask)
        x = self.norm(x)
        if targets is None or not plain(x, self.head.weight, compiled=True):
            logits: Tensor = self.head(x)
            return logits if targets is None else token_losses(logits, targets).sum()
        return summed_losses(x, self.head.weight, targets)


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log likelihood of each target in nats, float32: (B, S, V), (B, S) → (B, S)."""
    flat = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


def rotary_tables(positions: int, head_size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (−sin, sin) of the rotary angles, (positions, 1, head_size) each, in float32."""
    exponent = torch.arange(0, head_size, 2, dtype=torch.int64, device=device).float() / head_size
    frequencies = 1.0 / (ROTARY_BASE**exponent)
    angles = torch.arange(positions, dtype=torch.float32, device=device)[:, None] * frequencies[None, :]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1)[:, None], torch.cat((-sin, sin), dim=-1)[:, None]
