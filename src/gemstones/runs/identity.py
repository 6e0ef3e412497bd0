"""Names for the runs of a table that has none: by shape, else by size, else every row on its own.

Resampling is by run, so what counts as a run is an assumption that the table states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def with_runs(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """`frame` with a name in `run` in every row if it had none at all, and what that assumes."""
    import polars as pl

    if frame["run"].null_count() < frame.height:
        return frame, ()
    family = pl.when(pl.col("family").is_null()).then(pl.lit("")).otherwise(pl.col("family") + "/")
    whole = {name: pl.col(name).cast(pl.Int64).cast(pl.String) for name in ("width", "depth", "params_total")}
    if frame.select(pl.all_horizontal(pl.col("width", "depth").is_not_null().all())).item():
        name, how = pl.concat_str(family, whole["width"], pl.lit("x"), whole["depth"]), "width and depth"
    elif frame["params_total"].null_count() == 0:
        name, how = pl.concat_str(family, whole["params_total"]), "params_total"
    else:
        digits = len(str(frame.height))
        rows = [f"row/{row:0{digits}d}" for row in range(1, frame.height + 1)]
        sentence = "each row assumed to be a run of its own (name runs with a column run)"
        return frame.with_columns(pl.Series("run", rows, dtype=pl.String)), (sentence,)
    sentence = f"rows of the same {how} assumed to be one run (name runs with a column run)"
    return frame.with_columns(name.alias("run")), (sentence,)
