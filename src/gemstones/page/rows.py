"""Rows of a section's tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def with_ends(name: str, value: float | None, ends: tuple[float, float] | None) -> dict[str, float | None]:
    """A value and the ends of its interval as three columns."""
    return {name: value, f"{name}_low": ends and ends[0], f"{name}_high": ends and ends[1]}


def typed_frame(rows: list[dict[str, Any]], text: Iterable[str], whole: Iterable[str] = ()) -> pl.DataFrame:
    """Rows as a frame, typed by column: text, whole numbers, and numbers."""
    import polars as pl

    words, counts = set(text), set(whole)
    names = list(rows[0]) if rows else []
    schema = {n: pl.String if n in words else pl.Int64 if n in counts else pl.Float64 for n in names}
    return pl.DataFrame(rows, schema=schema)
