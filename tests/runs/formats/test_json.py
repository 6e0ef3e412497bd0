"""JSON in the shapes that pandas, polars and people write tables in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstones.errors import GemstonesError
from tests.runs.formats.written import opened, refusal

RECORDS = [{"run": "a", "tokens": 1, "loss": 3.1}, {"run": "b", "tokens": 2, "loss": 3.0}]
COLUMNS: dict[str, list[Any]] = {name: [record[name] for record in RECORDS] for name in RECORDS[0]}
FRAME = pl.DataFrame(RECORDS)


@pytest.mark.parametrize(
    "value",
    [
        RECORDS,
        {"data": RECORDS},
        {"meta": {"by": "me"}, "history": RECORDS, "empty": []},
        COLUMNS,
        {"columns": list(COLUMNS), "index": [0, 1], "data": [list(record.values()) for record in RECORDS]},
        {name: dict(enumerate(cells)) for name, cells in COLUMNS.items()},
    ],
    ids=["records", "under a key", "beside others", "columns", "split", "by index"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_shapes_of_tables(tmp_path: Path, value: Any, indent: int | None) -> None:
    for name in ("runs.json", "runs"):
        found = opened(tmp_path / name, json.dumps(value, indent=indent))
        assert found.format == "json"
        assert found.frame.equals(FRAME)


def test_pandas_and_polars_write_them(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(RECORDS)
    for orient in ("columns", "records", "split", "table"):
        text = frame.to_json(orient=orient)
        assert opened(tmp_path / "runs.json", text).frame.select(FRAME.columns).equals(FRAME), orient
    assert opened(tmp_path / "runs.json", FRAME.write_json()).frame.equals(FRAME)


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.ndjson", "runs.json", "runs"])
def test_lines_are_told_by_the_content(tmp_path: Path, name: str) -> None:
    text = "".join(json.dumps(record) + "\n" for record in RECORDS)
    for written in (text, text.replace("\n", "\r\n"), "\n" + text + "\n\n", text.rstrip()):
        found = opened(tmp_path / name, written)
        assert (found.format, found.frame.equals(FRAME)) == ("jsonl", True)


def test_one_object_is_one_row(tmp_path: Path) -> None:
    for name, format_name in (("runs.json", "json"), ("runs.jsonl", "jsonl")):
        found = opened(tmp_path / name, json.dumps(RECORDS[0]))
        assert (found.format, found.frame.equals(FRAME.head(1))) == (format_name, True)


def test_a_list_in_a_file_for_lines(tmp_path: Path) -> None:
    assert opened(tmp_path / "runs.jsonl", json.dumps(RECORDS)).frame.equals(FRAME)


def test_nested_objects_and_lacking_keys(tmp_path: Path) -> None:
    records = [
        {"run": "a", "model": {"width": 4, "heads": {"size": 2}}, "tags": ["x"]},
        {"loss": 3.0, "run": "b"},
    ]
    frame = opened(tmp_path / "runs.json", json.dumps(records)).frame
    assert frame.to_dict(as_series=False) == {
        "run": ["a", "b"],
        "model.width": [4, None],
        "model.heads.size": [2, None],
        "tags": ['["x"]', None],
        "loss": [None, 3.0],
    }


def test_numbers_that_json_has_and_has_not(tmp_path: Path) -> None:
    """What Python's own encoder writes, and whole numbers of any size."""
    text = '[{"a": NaN, "b": Infinity, "c": 18446744073709551616, "d": 9223372036854775807, "e": 1e999}, {"a": 1.5}]'
    (row, _) = opened(tmp_path / "runs.json", text).frame.rows(named=True)
    assert row["a"] != row["a"]
    assert (row["b"], row["c"], row["d"], row["e"]) == (float("inf"), 2.0**64, 2**63 - 1, float("inf"))
    lines = '{"a": 1, "loss": NaN}\n{"a": 18446744073709551616, "loss": 3}\n'
    assert opened(tmp_path / "runs.jsonl", lines).frame["a"].to_list() == [1.0, 2.0**64]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("runs.json", "3", "is a int, not a list of objects"),
        ("runs.json", "[]", "has no rows"),
        ("runs.json", "[{}]", "has no rows"),
        ("runs.json", "[1, 2]", "row 1: is a int, not an object"),
        ("runs.json", '[{"a": 1}, [2]]', "row 2: is a list, not an object"),
        ("runs.json", '{"a": [1, 2], "b": [3]}', "column b: has 1 cells, another column 2"),
        (
            "runs.json",
            '{"train": [{"a": 1}], "val": [{"a": 2}]}',
            "has rows under train, val: keep one of them",
        ),
        ("runs.json", '{"a": [1, ', "is no JSON: "),
        ("runs.json", '{"a": "\\ud800"}', "is no JSON: "),
        ("runs.json", "[" * 100_000, "is no JSON: maximum recursion depth exceeded"),
        ("runs.json", '{"a":' + "1" * 5000 + "}", "is no JSON: "),
        ("runs.json", '[{"a": 1, " a": 2}]', "column a: is there twice"),
        ("runs.jsonl", '{"a": 1}\n{"a": ', "row 2: is no JSON object: "),
        ("runs.jsonl", '{"a": 1}\n\n7\n', "row 2: is no JSON object: Expected `object`, got a int"),
        ("runs.jsonl", "\n", "is empty"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert expected in refusal(lambda: opened(tmp_path / name, text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(VALUES, st.sampled_from(["runs.json", "runs.jsonl", "runs"]))
@pytest.mark.long
def test_any_json_is_rows_or_one_line(tmp_path: Path, value: Any, name: str) -> None:
    try:
        assert opened(tmp_path / name, json.dumps(value)).frame.width
    except GemstonesError as error:
        assert str(error).isprintable()
