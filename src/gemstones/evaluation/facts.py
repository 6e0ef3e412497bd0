"""What a loaded model is: parameters counted from its weights, shape and lengths from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemstones.accounting.parameters import params
from gemstones.errors import InvalidShape
from gemstones.shape import Shape


@dataclass(frozen=True)
class Facts:
    """What a model is, beside its name."""

    architecture: str
    """`GemmaForCausalLM`, as transformers calls it."""
    params_total: int
    """A matrix that is embedding and head at once counted once."""
    params_no_embedding: int
    params_non_embedding: int
    """Without the head too, where it is a matrix of its own."""
    width: int | None = None
    depth: int | None = None
    vocabulary: int | None = None
    context: int | None = None
    """Longest sequence that the configuration states."""
    head_size: int | None = None
    queries_per_kv: int | None = None
    longest: int | None = None
    """Longest sequence that the model can compute; None where positions are not in a table."""
    shape: Shape | None = None
    """The Gemma-like shape whose closed form has exactly these parameters; None for other architectures."""


def facts_of_shape(shape: Shape) -> Facts:
    """Of a model of ours."""
    return Facts(
        "GemmaForCausalLM",
        params(shape),
        params(shape, "no_embedding"),
        params(shape, "non_embedding"),
        shape.width,
        shape.depth,
        shape.vocabulary,
        shape.context,
        shape.head_size,
        shape.queries_per_kv,
        None,
        shape,
    )


def facts_of(model: Any) -> Facts:
    """Of a loaded model of transformers."""
    config = text_config(model.config)
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings()
    total = sum(parameter.numel() for parameter in model.parameters())
    tied = head is None or head.weight is embedding or head.weight.data_ptr() == embedding.data_ptr()
    without_embedding = total - embedding.numel()
    width, depth = _number(config, "hidden_size"), _number(config, "num_hidden_layers")
    positions = _number(config, "max_position_embeddings", "n_positions")
    heads = _number(config, "num_attention_heads")
    keys = _number(config, "num_key_value_heads") or heads
    size = _number(config, "head_dim") or (width // heads if width and heads else None)
    in_a_table = any(
        kind in name
        for name, _ in model.named_parameters()
        for kind in ("wpe", "embed_positions", "position_embed")
    )
    vocabulary = int(embedding.shape[0])
    shape = _shape_of(config, width, depth, size, vocabulary, positions, total)
    queries = (
        shape.queries_per_kv if shape else heads // keys if heads and keys and not heads % keys else None
    )
    return Facts(
        type(model).__name__,
        total,
        without_embedding,
        without_embedding - (0 if tied else head.weight.numel()),
        width,
        depth,
        vocabulary,
        positions,
        size,
        queries,
        positions if in_a_table else None,
        shape,
    )


def text_config(config: Any) -> Any:
    """The part of a configuration that is of the language model."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def bytes_per_token(config: Any, rows: int) -> float:
    """Memory of a token in a forward pass without gradients, about."""
    config = text_config(config)
    width = _number(config, "hidden_size") or 1024
    inner = _number(config, "intermediate_size", "n_inner") or 4 * width
    # Logits, their float32 and the logarithms of their softmax; then what a block holds at once.
    return 4.0 * (3 * rows + 8 * width + 3 * inner)


def _number(config: Any, *names: str) -> int | None:
    return next(
        (value for name in names if isinstance(value := getattr(config, name, None), int) and value > 0), None
    )


def _shape_of(
    config: Any,
    width: int | None,
    depth: int | None,
    size: int | None,
    vocabulary: int,
    context: int | None,
    total: int,
) -> Shape | None:
    """The shape of Gemma's kind that has exactly as many parameters; None where there is none."""
    heads, inner = _number(config, "num_attention_heads"), _number(config, "intermediate_size")
    keys = _number(config, "num_key_value_heads") or heads
    if not (width and depth and size and heads and inner and keys):
        return None
    if inner % width or heads * size != width:
        return None
    for queries in dict.fromkeys((max(1, round(heads / keys)), 2)):  # the exceptions of the Gemstones have 2
        try:
            shape = Shape(
                width, depth, head_size=size, queries_per_kv=queries, mlp_expansion=inner // width,
                vocabulary=vocabulary, context=context or 2048,
            )  # fmt: skip
        except InvalidShape:
            continue
        if shape.kv_heads == keys and params(shape) == total:
            return shape
    return None
