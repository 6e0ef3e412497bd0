"""A frame whose columns are what they are called → `RunTable`: typed, named, checked and completed.

What users have goes through `reading.py`, which maps, filters and guesses first.
"""

from __future__ import annotations

from collections.abc import Mapping

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.architecture import ASSUMED, Architecture
from gemstones.runs.completion import complete
from gemstones.runs.identity import with_runs
from gemstones.runs.mapping import apply_mapping, check_names
from gemstones.runs.missing import check_required
from gemstones.runs.provenance import Source
from gemstones.runs.rules import (
    check_identity,
    check_numbers,
    check_one_unit,
    check_present,
    check_shapes,
    check_sizes,
)
from gemstones.runs.schema import SCHEMA
from gemstones.runs.table import RunTable
from gemstones.runs.typed import typed


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
    """`frame`, whose columns are what they are called, as a run table, its rows in their order.

    `file` names it in errors. `columns` maps names to expressions over the frame's. `assumptions` are put before
    those made here; `flops_convention` says whose the given FLOPs are. Where `units_declared`, jumps between values
    are not taken for a change of unit. Raises `InvalidTable` for the first broken rule.
    """
    check_rows(frame, file)
    definitions = dict(columns or {})
    check_names(definitions, frame.columns)
    mapped = apply_mapping(frame, definitions, file)
    check_required(mapped.frame, frame.columns, definitions, {}, file)
    rows = typed(mapped.frame, file)
    check_numbers(rows, file)
    named = with_runs(rows)
    check_present(named.frame, file)
    if not units_declared:
        check_one_unit(named.frame, file)
    check_shapes(named.frame, architecture, file)
    check_sizes(named.frame, architecture, file)
    check_identity(named.frame, file)
    completed = complete(named.frame, architecture, file)
    # The assumptions of a file that was written and read again are made once.
    stated = dict.fromkeys((*assumptions, *named.said, *completed.assumptions))
    return RunTable(
        frame=schema_types(completed.frame),
        dataset=dataset,
        selection=selection,
        assumptions=tuple(stated),
        flops_convention=flops_convention or completed.flops_convention,
        sources=sources,
        architecture=architecture,
    )


def check_rows(frame: pl.DataFrame, file: str) -> None:
    """Refuse a frame without rows."""
    if frame.height == 0:
        raise InvalidTable("has no rows", file=file)


def schema_types(frame: pl.DataFrame) -> pl.DataFrame:
    """The schema's columns in its types."""
    return frame.with_columns(pl.col(column.name).cast(getattr(pl, column.dtype)) for column in SCHEMA)
