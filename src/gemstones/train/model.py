"""The model: a decoder-only transformer in the manner of Gemma 1, as the released Gemstones are.

Pre-norm blocks with two RMSNorms each and a final one, no QK-norm, rotary positions (base 10,000,
half-rotate), grouped-query attention, a gated MLP with tanh-approximated GELU, no biases, embeddings scaled by
√width, embedding and head untied. Every operation is in the order of the stock `GemmaForCausalLM`, so that
an export has the same logits to the last bit.

Axes: B sequences, S positions, W width, H query heads, K kv heads, D head size, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

from gemstones.shape import Shape

ROTARY_BASE = 10_000.0
NORM_EPS = 1e-5


class RMSNorm(nn.Module):
    """x / √(mean x² + ε)·gain, in float32; an export writes the gain as (1 + w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(…, W) → (…, W), in the type of x."""
        exact = x.float()
        normed = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + NORM_EPS)
        return (normed * self.weight.float()).type_as(x)


class Attention(nn.Module):
    """Causal grouped-query attention. Under tensor parallelism each rank holds its share of the heads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head_size = shape.head_size
        queries, keys = shape.query_heads * shape.head_size, shape.kv_heads * shape.head_size
        self.query = nn.Linear(shape.width, queries, bias=False)
        self.key = nn.Linear(shape.width, keys, bias=False)
        self.value = nn.Linear(shape.width, keys, bias=False)
        self.output = nn.Linear(queries, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, S, W) → (B, S, W); `cos` and `sin` are (S, D)."""
        b, s, _ = x.shape
        # The number of heads is left open: a tensor-parallel rank has fewer.
        q, k, v = (
            projection(x).view(b, s, -1, self.head_size).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
        out: Tensor = self.output(mixed.transpose(1, 2).reshape(b, s, -1))
        return out


class MLP(nn.Module):
    """down(gelu(gate(x))·up(x))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.mlp_width, bias=False)
        self.up = nn.Linear(shape.width, shape.mlp_width, bias=False)
        self.output = nn.Linear(shape.mlp_width, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, W) → (B, S, W)."""
        out: Tensor = self.output(gelu(self.gate(x), approximate="tanh") * self.up(x))
        return out


class Block(nn.Module):
    """Attention and MLP, each on a normed input and added to the residual stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(shape.width)
        self.attention = Attention(shape)
        self.mlp_norm = RMSNorm(shape.width)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, S, W) → (B, S, W)."""
        x = x + self.attention(self.attention_norm(x), cos, sin)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Transformer(nn.Module):
    """Tokens → logits. Parameters are uninitialised but for the norms: see `gemstones.train.initialisation`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = RMSNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S) → (B, S, V)."""
        cos, sin = rotary_tables(tokens.shape[1], self.shape.head_size, tokens.device)
        x = self.embedding(tokens)
        x = x * torch.tensor(self.shape.width**0.5, dtype=x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        logits: Tensor = self.head(self.norm(x))
        return logits


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log likelihood of each target in nats, float32: (B, S, V), (B, S) → (B, S)."""
    flat = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


def rotary_tables(positions: int, head_size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles, (positions, head_size) each, in float32."""
    exponent = torch.arange(0, head_size, 2, dtype=torch.int64, device=device).float() / head_size
    frequencies = 1.0 / (ROTARY_BASE**exponent)
    angles = torch.arange(positions, dtype=torch.float32, device=device)[:, None] * frequencies[None, :]
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, half-rotate: x·cos + (−x₂, x₁)·sin for x = (x₁, x₂); x is (B, heads, S, D)."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return (x * cos) + (torch.cat((-second, first), dim=-1) * sin)
