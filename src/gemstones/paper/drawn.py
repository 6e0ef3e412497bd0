"""The data frame of a figure, from the rows that its chart draws: what is in the one is in the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def drawn(layers: Mapping[str, Iterable[dict[str, Any]]]) -> pl.DataFrame:
    """Rows of every layer, by its name in the column `layer`; null where a layer lacks a column of another."""
    import polars as pl

    frames = [
        pl.DataFrame(listed, infer_schema_length=None).with_columns(pl.lit(name).alias("layer"))
        for name, rows in layers.items()
        if (listed := list(rows))  # of no rows at all, polars before 2 makes one
    ]
    every = pl.concat(frames, how="diagonal_relaxed")
    return every.select("layer", pl.exclude("layer"))
