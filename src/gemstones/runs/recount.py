"""The FLOPs of a table by another convention: what a frontier over FLOPs depends on, and nothing else does.

`gemstones` and `matmul` are counted from the widths and depths of the runs, `6N_*` from the parameters that the
table has, so that a table of parameters, tokens and losses can be counted too.
"""

from __future__ import annotations

from dataclasses import replace

from gemstones.accounting.flops import FlopsConvention, flops_per_token
from gemstones.lazy import pl
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray


def recounted(table: RunTable, convention: FlopsConvention) -> RunTable:
    """`table` with `flops_per_token` and `flops` by `convention`, itself if they are that already.

    Raises `InvalidTable` where a row lacks what the convention counts.
    """
    if table.flops_convention == convention:
        return table
    assumptions = table.assumptions
    per_token: FloatArray
    if convention.startswith("6N_"):
        per_token = 6.0 * table.numbers(f"params_{convention.removeprefix('6N_')}")
    else:
        table.numbers("width"), table.numbers("depth")  # refused where a row has none
        shapes = table.architecture.shapes(table.frame)
        per_token = flops_per_token(shapes, convention)
        assumed = table.architecture.assumed_beside(table.frame).assumptions(params=False, flops=True)
        assumptions = tuple(dict.fromkeys((*assumptions, *assumed)))
    frame = table.frame.with_columns(
        pl.Series("flops_per_token", per_token), pl.Series("flops", per_token * table.numbers("tokens"))
    )
    return replace(table, frame=frame, assumptions=assumptions, flops_convention=convention)
