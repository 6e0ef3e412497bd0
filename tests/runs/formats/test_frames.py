"""Frames from Python: of every library, the same rows."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gemstones.runs.formats import open_frame
from tests.runs.formats.written import refusal

CELLS: dict[str, list[Any]] = {
    "run": ["a", "a", "b"],
    "tokens": [1_000, 2_000, 1_000],
    "loss": [3.5, None, 3.25],
    "done": [True, False, True],
}
FRAME = pl.DataFrame(CELLS)


class Lazy:
    """A frame of a library that computes when it is told to: dask has `compute`, Spark `toArrow`, duckdb `arrow`."""

    def __init__(self, name: str, frame: Any) -> None:
        setattr(self, name, lambda: frame)


class Stream:
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return FRAME.__arrow_c_stream__(requested_schema)


def narwhals_of(make: Callable[[Any], Any]) -> Any:
    narwhals = pytest.importorskip("narwhals")
    return narwhals.from_native(make(FRAME))


SOURCES: dict[str, Callable[[], Any]] = {
    "polars": lambda: FRAME,
    "lazy polars": FRAME.lazy,
    "pandas": lambda: pd.DataFrame(CELLS),
    "pandas, nullable": lambda: pd.DataFrame(CELLS).convert_dtypes(),
    "pandas, arrow": lambda: pd.DataFrame(CELLS).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, objects": lambda: pd.DataFrame(CELLS).astype(object),
    "pyarrow": lambda: pa.table(CELLS),
    "pyarrow batches": lambda: pa.table(CELLS).to_reader(),
    "a stream": Stream,
    "records": lambda: [dict(zip(CELLS, row, strict=True)) for row in zip(*CELLS.values(), strict=True)],
    "records as a tuple": lambda: tuple(FRAME.iter_rows(named=True)),
    "columns": lambda: CELLS,
    "columns of series": lambda: {name: FRAME[name] for name in CELLS},
    "dask": lambda: Lazy("compute", pd.DataFrame(CELLS)),
    "spark": lambda: Lazy("toArrow", pa.table(CELLS)),
    "a lazy lazy frame": lambda: Lazy("collect", FRAME.lazy()),
    "narwhals": lambda: narwhals_of(lambda frame: frame),
    "narwhals, lazy": lambda: narwhals_of(pl.DataFrame.lazy),
    "narwhals of pandas": lambda: narwhals_of(pl.DataFrame.to_pandas),
}


@pytest.mark.parametrize("kind", list(SOURCES))
def test_every_library_gives_the_same_rows(kind: str) -> None:
    found = open_frame(SOURCES[kind]())
    assert (found.format, found.file) == ("frame", "frame")
    assert found.frame.equals(FRAME), found.frame
    assert [source.name for source in found.sources] == ["frame"]


def test_arrays_of_numbers() -> None:
    for dtype in (np.int8, np.int32, np.uint16, np.float32, np.float64, np.float16, np.longdouble):
        frame = open_frame({"run": np.array(["a", "b"]), "loss": np.array([3, 2], dtype=dtype)}).frame
        assert frame["loss"].to_list() == [3, 2]
        assert frame["loss"].dtype in (pl.Int64, pl.Float64)
        assert frame["run"].to_list() == ["a", "b"]
    records = [{"loss": np.float32(3.5), "tokens": np.int64(7), "done": np.bool_(True), "run": np.str_("a")}]
    assert open_frame(records).frame.rows() == [(3.5, 7, True, "a")]
    torch = pytest.importorskip("torch")
    assert open_frame([{"loss": torch.tensor(3.5)}]).frame["loss"].to_list() == [3.5]


def test_large_numbers_and_nulls() -> None:
    frame = open_frame({"n": np.array([2**64 - 1, 1], dtype=np.uint64)}).frame
    assert frame["n"].to_list() == [2.0**64, 1.0]
    nan = float("nan")
    assert open_frame(pd.DataFrame({"loss": [3.5, nan]})).frame["loss"].to_list() == [3.5, None]
    kept = open_frame({"loss": np.array([3.5, nan])}).frame["loss"]
    assert kept.is_nan().to_list() == [False, True]


def test_types_of_pandas() -> None:
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(["x", "y"]),
            "seconds_per_step": pd.to_timedelta([1.5, None], unit="s"),
            "started": pd.to_datetime(["2024-01-02", None]),
            "zoned": pd.to_datetime(["2024-01-02", None]).tz_localize("UTC"),
            "tokens": pd.array([1, None], dtype="Int64"),
            "mixed": [1, "x"],
        }
    )
    found = open_frame(frame)
    assert found.frame.to_dict(as_series=False) == {
        "kind": ["x", "y"],
        "seconds_per_step": [1.5, None],
        "started": ["2024-01-02 00:00:00.000000", None],
        "zoned": ["2024-01-02T00:00:00+00:00", None],
        "tokens": [1, None],
        "mixed": ["1", "x"],
    }


def test_an_index_that_names_the_runs_is_a_column() -> None:
    frame = pd.DataFrame({"tokens": [1, 2], "loss": [3.0, 2.9]})
    by_name = frame.set_axis(["a", "b"])
    assert open_frame(by_name).frame.columns == ["run", "tokens", "loss"]
    assert open_frame(by_name).frame["run"].to_list() == ["a", "b"]
    assert open_frame(by_name.rename_axis("name")).frame.columns == ["name", "tokens", "loss"]
    assert open_frame(by_name.assign(run="x")).frame.columns == ["index", "tokens", "loss", "run"]
    both = frame.assign(run=["a", "b"], step=[1, 2]).set_index(["run", "step"])
    assert open_frame(both).frame.rows() == [("a", 1, 1, 3.0), ("b", 2, 2, 2.9)]
    # A count of rows, and what is left of one, names nothing.
    for trivial in (frame, frame[frame["tokens"] > 1], pd.concat([frame, frame]), frame.set_axis([7, 5])):
        assert open_frame(trivial).frame.columns == ["tokens", "loss"]
    assert open_frame(frame.set_axis([7, 5]).rename_axis("seed")).frame.columns == ["seed", "tokens", "loss"]
    # A name that is taken is that column's already.
    assert open_frame(by_name.rename_axis("loss")).frame.columns == ["tokens", "loss"]


def test_headers_of_pandas() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("eval", "loss"), ("tokens", "")]))
    assert open_frame(frame).frame.columns == ["eval.loss", "tokens"]
    assert open_frame(pd.DataFrame([[1, 2]])).frame.columns == ["0", "1"]
    twice = pd.DataFrame([[1, 2]], columns=["loss", "loss"])
    assert refusal(lambda: open_frame(twice)).startswith("frame, column loss: is there twice")


def test_objects_in_a_polars_frame() -> None:
    frame = pl.DataFrame({"loss": pl.Series([Decimalish(), 3.0], dtype=pl.Object)})
    assert open_frame(frame).frame["loss"].to_list() == ["a decimal", "3.0"]


class Decimalish:
    def __str__(self) -> str:
        return "a decimal"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            17,
            "frame: a int holds no runs: give a path, a frame of polars, pandas or Arrow, a list of mappings, or",
        ),
        (None, "frame: a NoneType holds no runs"),
        (pl.DataFrame, "frame: a type holds no runs"),
        (io.StringIO("a"), "frame: a StringIO holds no runs"),
        (np.zeros((2, 2)), "frame: a ndarray holds no runs"),
        (pd.Series([1.0]), "frame: "),
        ([1, 2], "list, row 1: is a int: every item must be a mapping of columns to cells"),
        ([{"a": 1}, None], "list, row 2: is a NoneType"),
        ({"a": 1}, "mapping, column a: is a int: every column must be a list or an array"),
        ({"a": "text"}, "mapping, column a: is a str"),
        ({"a": [1], "b": [1, 2]}, "mapping: columns have different lengths"),
        ([], "frame: is empty"),
        ({}, "frame: is empty"),
        (pl.DataFrame(), "frame: is empty"),
    ],
)
def test_what_is_no_frame_is_one_line(source: Any, expected: str) -> None:
    assert refusal(lambda: open_frame(source)).startswith(expected)


def test_dates_in_records() -> None:
    records = [{"day": datetime.date(2024, 1, 2), "took": datetime.timedelta(seconds=2)}]
    assert open_frame(records).frame.rows() == [("2024-01-02", 2.0)]


def test_arrow_types_that_polars_lacks() -> None:
    """One line, whatever polars says of them."""
    odd = pa.table({"a": pa.array([(1, 2, 3)], type=pa.month_day_nano_interval())})
    try:
        assert open_frame(odd).frame.width == 1
    except ValueError as error:
        assert str(error).startswith("frame: cannot be read: ")
