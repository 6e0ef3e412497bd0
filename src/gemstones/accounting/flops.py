"""FLOPs per token, forward and backward, by convention.

`gemstones` is the function of *Gemstones*, Appendix G, kept exactly as published, its own simplifications
included: kv heads may be fractional (n_q / queries_per_kv, for width 384 too), and of the two attention
products only QKᵀ is halved for causality. `matmul` is our closed form of the multiplications alone, as
PyTorch's FLOP counter finds them with the math attention backend: actual kv heads, nothing halved.
`6N_*` is the rule of thumb of Kaplan and Hoffmann, in each convention of N.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, overload

from gemstones.accounting.parameters import params, params_by_group
from gemstones.arguments import shown
from gemstones.errors import InvalidRequest
from gemstones.shape import FloatArray, Shape, Shapes, known_shape

FlopsConvention = Literal["gemstones", "matmul", "6N_total", "6N_no_embedding", "6N_non_embedding"]
FLOPS_CONVENTIONS: tuple[FlopsConvention, ...] = get_args(FlopsConvention)


@overload
def flops_per_token(shape: Shape, convention: FlopsConvention = "gemstones") -> float: ...
@overload
def flops_per_token(shape: Shapes, convention: FlopsConvention = "gemstones") -> FloatArray: ...
def flops_per_token(shape: Shape | Shapes, convention: FlopsConvention = "gemstones") -> Any:
    """FLOPs to train on one token of a model of `shape`, forward and backward, at the shape's context length.

    `convention` is `gemstones` (the paper's Appendix G), `matmul` (multiplications alone, as PyTorch's counter has
    them), or `6N_total`, `6N_no_embedding`, `6N_non_embedding`. `Shapes` give an array. Raises `InvalidRequest` for
    another convention.

    >>> flops_per_token(Shape(1024, 28))
    3578148864.0
    """
    forward, backward = _forward_and_backward(shape, convention)
    return forward + backward


@overload
def inference_flops_per_token(shape: Shape, convention: FlopsConvention = "gemstones") -> float: ...
@overload
def inference_flops_per_token(shape: Shapes, convention: FlopsConvention = "gemstones") -> FloatArray: ...
def inference_flops_per_token(shape: Shape | Shapes, convention: FlopsConvention = "gemstones") -> Any:
    """FLOPs to read or write one token with the trained model: the forward pass, at the shape's context length.

    `6N_*` gives 2·N, as usual (Sardana et al. 2024, Equation 2).
    """
    return _forward_and_backward(shape, convention)[0]


def _forward_and_backward(shape: Any, convention: str) -> tuple[Any, Any]:
    known_shape(shape)
    match str(convention):
        case "gemstones":
            return _appendix_g(shape)
        case "matmul":
            forward = _matmul_forward(shape)
            return forward, 2.0 * forward
        case "6N_total":
            counted: Any = params(shape, "total")
        case "6N_no_embedding":
            counted = params(shape, "no_embedding")
        case "6N_non_embedding":
            counted = params(shape, "non_embedding")
        case _:
            raise InvalidRequest(
                f"FLOP convention {shown(convention)} is unknown: choose from {', '.join(FLOPS_CONVENTIONS)}"
            )
    return 2.0 * counted, 4.0 * counted


def _appendix_g(shape: Any) -> tuple[Any, Any]:
    width, depth, context, head_size = shape.width, shape.depth, shape.context, shape.head_size
    query_heads = width / head_size
    keys_and_values = 2 * query_heads / shape.queries_per_kv

    # One block, forward, over a whole sequence.
    projections = 2.0 * context * (query_heads + keys_and_values) * width * head_size
    projections += 3.5 * context * (query_heads + keys_and_values / 2) * head_size  # rotary embedding
    scores = 1.0 * context * context * head_size * query_heads  # QKᵀ, halved: the mask is a triangle
    softmax = 3.0 * context * context * query_heads
    weighted_values = 2.0 * context * context * head_size * query_heads
    output = 2.0 * context * width * head_size * query_heads
    mlp = 6.0 * context * width * shape.mlp_width + 10 * context * shape.mlp_width  # GEGLU: three products
    residuals = 2.0 * width * context
    norms = 2 * 7.0 * width * context

    # Once per model.
    final_norm = 7.0 * width * context
    logits = 2.0 * context * width * shape.vocabulary

    core = scores + softmax + weighted_values
    forward = depth * (projections + core + output + mlp + residuals + norms) + final_norm + logits
    # Flash attention recomputes its core on the way back: 2.5 times the forward instead of 2.
    backward_attention = depth * (2.0 * projections + 2.5 * core + 2.0 * output)
    backward_rest = 2.0 * (depth * (mlp + residuals + norms) + final_norm + logits)
    return forward / context, (backward_attention + backward_rest) / context


def _matmul_forward(shape: Any) -> Any:
    """Half of the backward pass: every product has two of the same size for its gradients."""
    group = params_by_group(shape)
    # A weight matrix costs 2 FLOPs per parameter and token.
    weights = 2.0 * (group["attention"] + group["mlp"] + group["head"])
    # QKᵀ and AV, per layer: 4·S·w.
    attention = 4.0 * shape.context * (shape.query_heads * shape.head_size) * shape.depth
    return weights + attention
