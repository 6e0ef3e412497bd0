"""Frames in memory: polars, pandas, Arrow's protocol, records, columns, and whatever turns into one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.cells import series_of_cells
from gemstones.runs.formats.arrow_child import plain
from gemstones.runs.formats.delimited import check_distinct
from gemstones.runs.formats.opened import Opened
from gemstones.runs.formats.records import frame_of_records, native
from gemstones.runs.one_line import one_line
from gemstones.runs.provenance import Source

_FILE = "frame"
_CONVERSIONS = (
    "to_native",
    "collect",
    "compute",
    "to_polars",
    "to_arrow",
    "toArrow",
    "to_pandas",
    "toPandas",
)
"""Methods of lazy or distributed frames (narwhals, polars, dask, duckdb, ibis, Spark) that give one in memory."""


def open_frame(frame: Any) -> Opened:
    """The rows of a frame: of polars, pandas, pyarrow, or of anything with Arrow's stream protocol or a method
    that gives one of these; of a list of objects, or of a mapping of columns.

    An index of pandas that has a name, or is more than a count of rows, is a column. Raises `InvalidTable`.
    """
    try:
        read, notes = plain(_polars_of(frame, depth=3))
        if not read.width:
            raise InvalidTable("is empty: it has no columns", file=_FILE)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OverflowError, UnicodeError) as error:
        raise InvalidTable(f"cannot be read: {one_line(error)}", file=_FILE) from None
    return Opened(read, "frame", _FILE, assumptions=tuple(notes), sources=(Source("frame", ""),))


def _polars_of(frame: Any, depth: int) -> pl.DataFrame:  # noqa: PLR0911
    if isinstance(frame, pl.DataFrame):
        return _without_objects(frame)
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if _is_pandas(frame):
        return _of_pandas(frame)
    if isinstance(frame, Mapping):
        return _of_columns(frame)
    if isinstance(frame, Sequence) and not isinstance(frame, str | bytes):
        for row, record in enumerate(frame, start=1):
            if not isinstance(record, Mapping):
                raise InvalidTable(
                    f"is a {type(record).__name__}: every item must be a mapping of columns to cells",
                    file="list",
                    row=row,
                )
        return frame_of_records(frame, _FILE)
    if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, type):
        return pl.DataFrame(frame)
    if depth and not isinstance(frame, type):
        for method in _CONVERSIONS:
            if callable(convert := getattr(frame, method, None)):
                return _polars_of(convert(), depth - 1)
    raise InvalidTable(
        f"a {type(frame).__name__} holds no runs: give a path, a frame of polars, pandas or Arrow, a list of "
        "mappings, or a mapping of columns",
        file=_FILE,
    )


def _is_pandas(frame: Any) -> bool:
    """Whether it is a pandas frame (or of a library with its interface), which is not imported for that."""
    return all(
        hasattr(frame, name) for name in ("columns", "dtypes", "index", "reset_index", "to_dict", "iloc")
    )


def _of_pandas(frame: Any) -> pl.DataFrame:
    frame = _with_index(frame)
    # Levels of a header are joined, as those of nested objects are.
    header = [
        ".".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name)
        for name in frame.columns
    ]
    check_distinct(header, _FILE)
    return _frame_of({name: frame.iloc[:, place] for place, name in enumerate(header)})


def _with_index(frame: Any) -> Any:
    """`frame` with an index that says something as its first columns."""
    names = list(frame.index.names)
    if names != [None]:
        own = [name for name in names if name not in frame.columns]
        return frame.reset_index(level=own) if own else frame
    kind = str(frame.index.dtype)
    if kind.lower().startswith(("int", "uint")):  # a count of rows, or what is left of one
        return frame
    name = "run" if kind in ("object", "str", "string") and "run" not in frame.columns else "index"
    return frame if name in frame.columns else frame.rename_axis(index=name).reset_index()


def _of_columns(columns: Mapping[Any, Any]) -> pl.DataFrame:
    lengths = {}
    for name, column in columns.items():
        if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__len__"):
            raise InvalidTable(
                f"is a {type(column).__name__}: every column must be a list or an array",
                file="mapping",
                column=one_line(name, 60),
            )
        lengths[name] = len(column)
    if len(set(lengths.values())) > 1:
        raise InvalidTable(f"columns have different lengths: {lengths}", file="mapping")
    header = [str(name).strip() for name in columns]
    check_distinct(header, "mapping")
    return _frame_of(dict(zip(header, columns.values(), strict=True)))


def _frame_of(columns: Mapping[str, Any]) -> pl.DataFrame:
    """Arrays and series of numbers as they are, NaN of pandas as null; others cell by cell."""
    import numpy as np

    read = []
    for name, column in columns.items():
        if isinstance(column, pl.Series):
            read.append(column.alias(name))
            continue
        kind = getattr(getattr(column, "dtype", None), "kind", "O")
        is_array = isinstance(column, np.ndarray)
        numpy_dtype = isinstance(getattr(column, "dtype", None), np.dtype)
        if numpy_dtype and kind in "iufb" and getattr(column, "ndim", 1) == 1:
            wide = {"f": np.float64, "b": np.bool_, "i": np.int64, "u": np.uint64}[kind]
            numbers = pl.Series(name, np.ascontiguousarray(column, dtype=wide))
            read.append(numbers if is_array or kind != "f" else numbers.fill_nan(None))
        elif numpy_dtype and kind in "mM":
            read.append(pl.Series(name, np.asarray(column).astype(f"{kind}8[us]")))
        else:
            cells = [native(cell) for cell in (column.tolist() if is_array else list(column))]
            if not is_array and not isinstance(column, list | tuple):
                cells = [None if cell != cell else cell for cell in cells]  # noqa: PLR0124  pandas' NaN
            read.append(series_of_cells(name, cells))
    return pl.DataFrame(read)


def _without_objects(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with columns of Python's objects read cell by cell."""
    objects = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    return frame.with_columns(
        series_of_cells(name, [native(cell) for cell in frame[name].to_list()]) for name in objects
    )
