"""Parameters of a shape, by group and by convention. Closed form of the architecture in *Gemstones* §3.

Never a bare "params": `total` counts everything; `no_embedding` leaves the input embedding out (the
paper's Approach 3 "No Embeds"); `non_embedding` leaves both the embedding and the head out (the paper's
Approach 1 "No Embeds", and Kaplan's N).
"""

from __future__ import annotations

from typing import Any, Literal, get_args, overload

from gemstones.arguments import shown
from gemstones.errors import InvalidRequest
from gemstones.shape import FloatArray, Shape, Shapes, known_shape

ParamsConvention = Literal["total", "no_embedding", "non_embedding"]
PARAMS_CONVENTIONS: tuple[ParamsConvention, ...] = get_args(ParamsConvention)


def params_convention(name: str) -> ParamsConvention:
    """`name` as a convention, or an error that lists them."""
    for convention in PARAMS_CONVENTIONS:
        if isinstance(name, str) and convention == name:
            return convention
    raise InvalidRequest(
        f"parameter convention {shown(name)} is unknown: choose from {', '.join(PARAMS_CONVENTIONS)}"
    )


@overload
def params_by_group(shape: Shape) -> dict[str, int]: ...
@overload
def params_by_group(shape: Shapes) -> dict[str, FloatArray]: ...
def params_by_group(shape: Shape | Shapes) -> Any:
    """Number of parameters of `shape` in `embedding`, `head`, `attention`, `mlp` and `norm`; they add up to the total.

    `Shapes` give arrays. Raises `InvalidRequest` for what is no shape.

    >>> params_by_group(Shape(1024, 28))["embedding"]
    51511296
    """
    s: Any = known_shape(shape)
    return {
        "embedding": s.vocabulary * s.width,
        "head": s.width * s.vocabulary,
        # queries, keys and values; then the output projection
        "attention": s.depth
        * (s.width * (s.query_heads + 2 * s.kv_heads) * s.head_size + s.query_heads * s.head_size * s.width),
        "mlp": s.depth * 3 * s.width * s.mlp_width,  # gate, up and down
        "norm": s.depth * 2 * s.width + s.width,  # two per block, one at the end
    }


@overload
def params(shape: Shape, convention: ParamsConvention = "total") -> int: ...
@overload
def params(shape: Shapes, convention: ParamsConvention = "total") -> FloatArray: ...
def params(shape: Shape | Shapes, convention: ParamsConvention = "total") -> Any:
    """Number of parameters of `shape`, counted as `convention` says; `Shapes` give an array.

    `total`; `no_embedding` leaves out the input embedding; `non_embedding` the head too. Raises `InvalidRequest` for
    another convention.

    >>> params(Shape(1024, 28))
    543482880
    """
    group: Any = params_by_group(shape)
    blocks = group["attention"] + group["mlp"] + group["norm"]
    match params_convention(convention):
        case "total":
            return blocks + group["head"] + group["embedding"]
        case "no_embedding":
            return blocks + group["head"]
        case "non_embedding":
            return blocks
