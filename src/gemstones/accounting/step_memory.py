"""The most bytes that a training step holds at once: states, and the activations that the backward pass needs.

A count of what PyTorch keeps of each operation of our model (`gemstones.train.model`) on one process and a CPU, eager,
where the loss is taken in pieces and logits are never whole. T tokens are under way at once, W is the width, Q and K
the query and kv heads times the head size, M the width of the MLP, H the query heads. In float32 a block keeps

    norms 2·2W, q and mixed 2Q, k and v 2K, gate, GELU, up and their product 4M

floats a token; in bfloat16 each product keeps a cast of its own of what it takes and of its weights, and attention up
to a context of 1,024 its weights, H values for every earlier position of the piece. Where tokens attend to their own
document only, the mask is S² booleans a sequence, a block keeps S² numbers of it, and none of these weights.
"""

from __future__ import annotations

from typing import Literal

from gemstones.accounting.parameters import params
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

LOGITS_BYTES = 2**22
"""Logits are made, and their gradient taken, in pieces of about this size, which stay in the cache."""
QUERY_POSITIONS = 128
"""Attention takes so many positions at a time, against the keys up to the last of them: the rest is masked."""
LONGEST_KEPT = 1024
"""Up to this context a step in bfloat16 keeps the attention weights, 2 bytes each, for the backward pass."""


@checked
def step_bytes(
    shape: Shape,
    sequences: int,
    precision: Literal["float32", "bfloat16"] = "float32",
    recompute: Literal["none", "attention", "block"] = "none",
    document_mask: bool = False,
) -> int:
    """Most bytes at once in a training step of `sequences` at a time: weights, moments, gradients and activations.

    On one process and a CPU, not compiled; weights, gradients and moments are float32 in either `precision`
    (bfloat16 is autocast). `recompute` are the activations that are computed again and not kept; with a
    `document_mask` tokens attend to their own document only. Within 15% of what PyTorch allocates
    (`tests/train/test_step_memory.py`). Raises `InvalidRequest` for no sequences.

    >>> one = Shape(256, 4, head_size=64, queries_per_kv=2, vocabulary=4096, context=256)
    >>> [round(step_bytes(one, 8, recompute=kind) / 1e6) for kind in ("none", "attention", "block")]
    [295, 261, 160]
    """
    if sequences < 1:
        raise InvalidRequest(f"sequences {sequences} must be at least 1")
    tokens, width, vocabulary = sequences * shape.context, shape.width, shape.vocabulary
    total = params(shape)
    head = 4 * vocabulary * width
    of_block = 4 * (total - 2 * vocabulary * width - width) // shape.depth
    """Bytes of a block's gradients."""
    stream = 4 * tokens * width
    attention, mlp = _kept(shape, sequences, precision, document_mask)
    whole = attention + mlp
    kept = {"none": whole, "attention": stream + mlp, "block": stream}[recompute]
    # Attention is done again when the MLP's activations have been used.
    again = {"none": 0, "attention": max(0, attention - mlp), "block": whole}[recompute]
    # In the backward pass of a block: gradients of two of the MLP's activations and of the residual stream; where
    # attention is done again in bfloat16, scores and weights of a piece in float32 before.
    size = 4 if precision == "float32" else 2
    passing = tokens * (2 * shape.mlp_width * size + 8 * width)
    if precision == "bfloat16" and shape.context <= LONGEST_KEPT and not document_mask:
        piece = min(QUERY_POSITIONS, shape.context) * shape.context
        passing = max(passing, 2 * 4 * sequences * shape.query_heads * piece)
    # Logits and what is made of them; of several pieces the last one's gradient is still there.
    logits = 4 * tokens * vocabulary
    pieces = 3 if logits > LOGITS_BYTES or precision == "bfloat16" else 2
    loss = pieces * min(LOGITS_BYTES, logits) + head
    after_blocks = 2 * stream  # the normed stream, and the gradient of the loss by it
    states = (4 + 8) * total + document_mask * sequences * shape.context**2  # weights, moments and the mask
    casts = (
        0 if precision == "float32" else shape.depth * of_block // 2 + head // 2
    )  # until the forward pass ends
    stages = (
        states + head + shape.depth * kept + after_blocks + loss + casts,  # at the end of the forward pass
        states + head + shape.depth * kept + again + after_blocks + passing,  # in the last block, backwards
        states + head + (shape.depth - 1) * of_block + kept + again + passing,  # in the first
        states + 4 * total,
    )
    return max(stages)


def _kept(shape: Shape, sequences: int, precision: str, document_mask: bool) -> tuple[int, int]:
    """Bytes that attention and MLP of a block keep for the backward pass, their norms included."""
    of_mask = document_mask * (4 if precision == "float32" else 2) * sequences * shape.context**2
    tokens, width, mlp = sequences * shape.context, shape.width, shape.mlp_width
    queries, keys = shape.query_heads * shape.head_size, shape.kv_heads * shape.head_size
    if precision == "float32":
        scales = 4 * (1 + shape.query_heads)  # of the norm, and of each softmax
        of_attention = tokens * (4 * (2 * width + 2 * queries + 2 * keys) + scales) + of_mask
        return of_attention, tokens * (4 * (2 * width + 4 * mlp) + 4)
    of_attention = tokens * (4 * width + 3 * 2 * width + 2 * (2 * queries + 2 * keys) + 4)
    of_attention += 2 * width * (2 * queries + 2 * keys) + of_mask
    if shape.context <= LONGEST_KEPT and not document_mask:
        ends = [min(at + QUERY_POSITIONS, shape.context) for at in range(0, shape.context, QUERY_POSITIONS)]
        starts = range(0, shape.context, QUERY_POSITIONS)
        scored = sum((end - start) * end for start, end in zip(starts, ends, strict=True))
        of_attention += 2 * sequences * shape.query_heads * scored
    return of_attention, tokens * (4 * width + 2 * 2 * width + 2 * 4 * mlp + 4) + 2 * 3 * width * mlp
