"""The one way to a `RunTable`: type, name, check and complete a frame, whatever it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gemstones.errors import InvalidTable
from gemstones.runs.architecture import ASSUMED, Architecture
from gemstones.runs.cells import number_column, text_column
from gemstones.runs.completion import complete
from gemstones.runs.identity import with_runs
from gemstones.runs.mapping import apply_mapping, check_required
from gemstones.runs.rules import check_identity, check_numbers, check_one_unit, check_present, check_shapes
from gemstones.runs.schema import SCHEMA
from gemstones.runs.table import RunTable, Source

if TYPE_CHECKING:
    import polars as pl


def build_table(
    frame: pl.DataFrame,
    *,
    dataset: str = "frame",
    file: str = "frame",
    columns: Mapping[str, str] | None = None,
    architecture: Architecture = ASSUMED,
    selection: str = "",
    assumptions: tuple[str, ...] = (),
    flops_convention: str = "",
    sources: tuple[Source, ...] = (),
    units_declared: bool = False,
) -> RunTable:
    """`frame` as a run table, its rows in their order; `file` names it in errors.

    `columns` maps schema names to names of the frame. `assumptions` are put before those made here;
    `flops_convention` says whose the given FLOPs are. Where `units_declared`, jumps between values are not
    taken for a change of unit. Raises `InvalidTable` for the first broken rule.
    """
    frame = apply_mapping(frame, columns, file)
    check_required(frame, file)
    if frame.height == 0:
        raise InvalidTable("has no rows", file=file)
    frame = _typed(frame, file)
    # Widths must be finite and positive before they can name a run.
    check_numbers(frame, file)
    named, naming = with_runs(frame)
    check_present(named, file)
    if not units_declared:
        check_one_unit(named, file)
    check_shapes(named, architecture, file)
    check_identity(named, file)
    completed = complete(named, architecture, file)
    # The assumptions of a file that was written and read again are made once.
    stated = dict.fromkeys((*assumptions, *naming, *completed.assumptions))
    return RunTable(
        frame=_schema_types(completed.frame),
        dataset=dataset,
        selection=selection,
        assumptions=tuple(stated),
        flops_convention=flops_convention or completed.flops_convention,
        sources=sources,
        architecture=architecture,
    )


def _typed(frame: pl.DataFrame, file: str) -> pl.DataFrame:
    """The schema's columns in order, numbers as Float64, null where absent; then those of the source."""
    import polars as pl

    typed = []
    for column in SCHEMA:
        series = (
            frame[column.name]
            if column.name in frame.columns
            else pl.Series(column.name, [None] * frame.height)
        )
        read = text_column if column.dtype == "String" else number_column
        typed.append(read(series, column, file))
    return pl.DataFrame([*typed, *frame.drop([column.name for column in SCHEMA], strict=False).get_columns()])


def _schema_types(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return frame.with_columns(pl.col(column.name).cast(getattr(pl, column.dtype)) for column in SCHEMA)
