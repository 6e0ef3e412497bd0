"""`gemstones count SHAPE`."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from gemstones.accounting.flops import FLOPS_CONVENTIONS, flops_per_token
from gemstones.accounting.memory import Precision, memory_bytes
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, params, params_by_group
from gemstones.cli.options import Architecture, Json
from gemstones.cli.output import print_json, print_table, say
from gemstones.units import format_bytes, format_flops, format_quantity


def count(
    shape: Annotated[str, Parameter(help="WIDTHxDEPTH, like 1024x28.")],
    /,
    *,
    architecture: Architecture = Architecture(),
    precision: Annotated[Precision, Parameter(help="Of the training states in memory.")] = "mixed",
    json: Json = False,
) -> None:
    """Parameters, FLOPs per token and memory of a shape.

    Parameters by group and by convention; FLOPs per token (forward and backward) by convention: `gemstones`
    is Appendix G of the paper, `matmul` the multiplications alone, `6N` the rule of thumb in each convention
    of N; bytes of weights, gradients and AdamW's state.

    Example: gemstones count 1024x28
    """
    it = architecture.shape(shape)
    summary: dict[str, Any] = {
        "shape": str(it),
        "width": it.width,
        "depth": it.depth,
        "head_size": it.head_size,
        "query_heads": it.query_heads,
        "kv_heads": it.kv_heads,
        "mlp_width": it.mlp_width,
        "vocabulary": it.vocabulary,
        "context": it.context,
        "params": {**params_by_group(it), **{c: params(it, c) for c in PARAMS_CONVENTIONS}},
        "flops_per_token": {c: flops_per_token(it, c) for c in FLOPS_CONVENTIONS},
        "memory_bytes": memory_bytes(it, precision),
        "precision": precision,
    }
    if json:
        print_json(summary)
        return
    heads = f"{it.query_heads} query and {it.kv_heads} kv heads of {it.head_size}"
    say(f"{it}: {heads}, MLP {it.mlp_width:,}, vocabulary {it.vocabulary:,}, context {it.context:,}")
    for title, unit, write in (
        ("params", "parameters", format_quantity),
        ("flops_per_token", "FLOPs per token, forward and backward", format_flops),
        ("memory_bytes", f"bytes in training, AdamW, {precision} precision", format_bytes),
    ):
        values = summary[title]
        print_table(
            "",
            (unit, "", ""),
            [(name, f"{value:,.0f}", write(value)) for name, value in values.items()],
        )
