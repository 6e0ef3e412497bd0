"""Every rule that a table can break, as the one line that a user sees."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gemstones.errors import InvalidTable
from gemstones.runs import read_runs

Rows = list[dict[str, Any]]


def cell(row: int, **values: Any) -> Any:
    """A change of the fixture `rows`: the cells of data row `row`, counted from 1."""

    def change(rows: Rows) -> Rows:
        rows[row - 1] |= values
        return rows

    return change


def column(name: str, *values: Any) -> Any:
    def change(rows: Rows) -> Rows:
        return [row | {name: value} for row, value in zip(rows, values, strict=True)]

    return change


def without(*names: str) -> Any:
    return lambda rows: [{name: value for name, value in row.items() if name not in names} for row in rows]


BROKEN: dict[str, tuple[Any, str]] = {
    "no number": (cell(3, loss="high"), "runs.csv, row 3, column loss: 'high' is not a number"),
    "no number in one line": (
        cell(3, loss="hi\ngh"),
        "runs.csv, row 3, column loss: 'hi gh' is not a number",
    ),
    "infinite": (cell(4, tokens="inf"), "runs.csv, row 4, column tokens: inf must be finite"),
    "zero loss": (cell(2, loss=0), "runs.csv, row 2, column loss: 0 must be positive"),
    "negative loss": (cell(2, loss=-3.5), "runs.csv, row 2, column loss: -3.5 must be positive"),
    "zero tokens": (
        cell(1, tokens=0),
        "runs.csv, row 1, column tokens: 0 must be positive (--where 'tokens > 0' leaves such rows out)",
    ),
    "no parameters": (
        column("params_total", 2e8, 0, 6e8, 6e8),
        "runs.csv, row 2, column params_total: 0 must be positive (--where 'params_total > 0' leaves such rows out)",
    ),
    "missing run": (
        cell(4, run=" "),
        "runs.csv, row 4, column run: is missing: fill it in, or leave such rows out: --where 'run IS NOT NULL'",
    ),
    "missing tokens": (
        cell(4, tokens="N/A"),
        "runs.csv, row 4, column tokens: is missing: fill it in, or leave such rows out: "
        "--where 'tokens IS NOT NULL'",
    ),
    "no loss at all": (
        column("loss", "", "-", "NaN", "n/a"),
        "runs.csv, column loss: is missing in every row: map the column that has it with --columns loss=…",
    ),
    "half a block": (cell(2, depth=12.5), "runs.csv, row 2, column depth: 12.5 must be a whole number"),
    "no width": (
        cell(2, width=0),
        "runs.csv, row 2, column width: 0 must be positive (--where 'width > 0' leaves such rows out)",
    ),
    "width and heads": (
        cell(2, width=500),
        "runs.csv, row 2, column width: width 500 is not a multiple of the head size 128: choose 384 "
        "or 512, or set another head size (--head-size)",
    ),
    "odd heads": (
        cell(2, width=640),
        "runs.csv, row 2, column width: width 640 has 5 query heads of size 128, which 2 queries per kv head "
        "do not divide: choose a multiple of 256 as width, or another ratio "
        "(--head-size or --queries-per-kv)",
    ),
    "negative steps": (cell(1, step=-1), "runs.csv, row 1, column step: -1 must not be negative"),
    "duplicate": (
        cell(4, tokens=477 * 2048 * 2048),
        "runs.csv, row 4, column tokens: run 'b' has 2000683008 tokens in row 3 already: "
        "keep the later rows with --duplicates last, the earlier with --duplicates first, or "
        "give every run a name of its own",
    ),
    "missing column": (
        lambda rows: [{"closs" if name == "loss" else name: v for name, v in row.items()} for row in rows],
        "runs.csv, column loss: is missing; required are tokens and loss, and run or width and depth; found "
        "are run, width, depth, tokens, step, closs, seconds_per_step, devices, note; "
        "map it with --columns loss=closs",
    ),
    "missing column, nothing like it": (
        without("tokens", "step"),
        "runs.csv, column tokens: is missing; required are tokens and loss, and run or width and depth; "
        "found are run, width, depth, loss, seconds_per_step, devices, note; "
        "map it with --columns tokens=ITS_NAME",
    ),
    "steps, and no tokens": (
        without("tokens"),
        "runs.csv, column tokens: is missing; required are tokens and loss, and run or width and depth; "
        "found are run, width, depth, step, loss, seconds_per_step, devices, note; "
        "--columns 'tokens=step*524288', if a step is 524,288 tokens",
    ),
    "some suffixes": (
        column("tokens", "2B", "4B", 2e9, "4B"),
        "runs.csv, row 3, column tokens: mixed units: '2000000000.0' beside '2B': "
        "give every value a suffix, or none",
    ),
    "one suffix": (
        column("tokens", 2e9, 4e9, 2e9, "4B"),
        "runs.csv, row 4, column tokens: mixed units: '4B' beside '2000000000.0': "
        "give every value a suffix, or none",
    ),
    "negative suffix": (
        column("tokens", "2B", "-4B", "2B", "4B"),
        "runs.csv, row 2, column tokens: -4e+09 must be positive (--where 'tokens > 0' leaves such rows out)",
    ),
    "billions beside ones": (
        column("tokens", 2e9, 4, 2e9, 4e9),
        "runs.csv, row 2, column tokens: mixed units: 4 beside 2e+09: give the whole column in tokens",
    ),
    "ones beside billions": (
        column("tokens", 2, 4, 2, 4e9),
        "runs.csv, row 4, column tokens: mixed units: 4e+09 beside 4: give the whole column in tokens",
    ),
    "FLOPs in two units": (
        column("flops", 1e18, 2e18, 3.0, 4e18),
        "runs.csv, row 3, column flops: mixed units: 3 beside 1e+18: give the whole column in FLOPs",
    ),
    "one row's FLOPs in another unit": (
        # Near enough to the others for a suite: only 6·N·T tells.
        lambda rows: [
            {**row, "params_total": 1e8, "flops": 6e8 * row["tokens"] / (1e4 if i == 1 else 1)}
            for i, row in enumerate(rows)
        ],
        "runs.csv, row 2, column flops: mixed units: FLOPs are 0.0001 of 6·N·T here, 1 in other rows: "
        "give every row of params_total, tokens and flops in one unit",
    ),
    "parameters in millions": (
        column("params_total", 105, 105, 543, 543),
        "runs.csv: parameters are 105 to 543; there are 1.3e+07 tokens per parameter; parameters are 1e-06 times "
        "those of the shapes: --columns 'params_total=params_total*1e6' reads params_total in millions "
        "(--force takes it as it is)",
    ),
    "parameters of another shape": (
        column("params_total", 5e9, 5e9, 543e6, 543e6),
        "runs.csv, row 1, column params_total: 5e+09 is more than 20 times off the 98.7M of shape 512x12 "
        "at vocabulary 50304: give it in parameters, or set --vocabulary",
    ),
}


def csv_of(rows: Rows, path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def message_of(source: Any, **options: Any) -> str:
    with pytest.raises(InvalidTable) as caught:
        read_runs(source, **options)
    assert caught.value.exit_status == 2
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_rule_is_one_line(
    rows: Rows, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, expected = BROKEN[case]
    monkeypatch.chdir(tmp_path)
    csv_of(change(rows), tmp_path / "runs.csv")
    assert message_of("runs.csv") == expected


def test_fewer_parameters_than_embeddings(rows: Rows) -> None:
    message = message_of(pl.DataFrame(column("params_total", 2e8, 2e8, 6e7, 6e7)(rows)))
    assert message.startswith(
        "frame, row 3, column params_non_embedding: -43022592 is not positive: 60000000 param"
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("runs.csv", b"", "is empty: a header and rows are needed"),
        ("runs.csv", b"run,tokens,loss\n", "has no rows"),
        ("runs.jsonl", b"\n", "is empty: one JSON object a line is needed"),
        ("runs.csv", b"run,tokens,loss\na,1,3\nb,2\n", "row 2: has 2 cells, the header 3"),
        ("runs.csv", b"run,tokens,loss,loss\na,1,3,3\n", "column loss: is there twice"),
        ("runs.csv", b"run,tokens,loss\na,1,\xff\n", "is not UTF-8 text: line 2, byte 20"),
        ("runs.csv", b'run,tokens,loss\na,1,"3', "row 1: is no CSV: unexpected end of data"),
        (
            "runs.jsonl",
            b'{"run":"a","tokens":1,"loss":3}\n[1]\n',
            "row 2: is no JSON object: Expected `object`",
        ),
        ("runs.jsonl", b'{"run":"a","tokens":1,"loss":', "row 1: is no JSON object: "),
        ("runs.jsonl", b'{"run":"a","tokens":true,"loss":3}', "row 1, column tokens: True is not a number"),
        ("runs.jsonl", b'{"run":"a","tokens":[1],"loss":3}', "row 1, column tokens: '[1]' is not a number"),
        ("runs.parquet", b"PAR1", "is no whole Parquet file: "),
        ("runs.txt", b"", "is empty: a header and rows are needed"),
        ("runs", b"one\ntwo\n", "is of no format that is told by its content: choose one with --format, of "),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert message_of(path).removeprefix(str(path)).lstrip(":, ").startswith(expected)


def test_a_truncated_parquet_file_is_one_line(rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    read_runs(pl.DataFrame(rows)).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert message_of(path).startswith(f"{path}: is no whole Parquet file: ")


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    assert message_of(tmp_path).startswith(f"{tmp_path}: is a folder without suite.json, run.json, or runs'")
    assert message_of(tmp_path / "no.csv").startswith(f"{tmp_path / 'no.csv'}: does not exist")
    assert message_of(17) == (
        "frame: a int holds no runs: give a path, a frame of polars, pandas or Arrow, a list of mappings, or a "
        "mapping of columns"
    )


def test_declared_units_are_held_against_the_schema(rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    pl.DataFrame(rows).rename({"tokens": "n"}).write_parquet(
        path, metadata={"units": '{"n": "billions of tokens"}'}
    )
    assert message_of(path, columns={"tokens": "n"}) == (
        f"{path}, column tokens: mixed units: the file declares 'billions of tokens', the schema 'tokens': "
        "convert the column, and declare it so"
    )


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"units": "tokens"}, "has unreadable metadata 'units'"),
        (
            {"gemstones": "{}"},
            "has unreadable metadata 'gemstones': Object missing required field `schema_version`",
        ),
    ],
)
def test_unreadable_metadata(rows: Rows, tmp_path: Path, metadata: dict[str, str], expected: str) -> None:
    path = tmp_path / "runs.parquet"
    pl.DataFrame(rows).write_parquet(path, metadata=metadata)
    assert message_of(path).startswith(f"{path}: {expected}")


def test_mapped_columns_that_are_missing(rows: Rows) -> None:
    assert message_of(pl.DataFrame(rows), columns={"loss": "val"}).startswith(
        "frame, column val: is missing, and loss is mapped to it; found are run, width, "
    )


def test_numbers_names_the_column_and_the_first_null_row(rows: Rows) -> None:
    table = read_runs(pl.DataFrame(rows)).select()
    for name, expected in {
        "nope": "frame (all), column nope: is needed but not known; known in every row are width",
        "note": "frame (all), column note: holds String: numbers are needed",
    }.items():
        with pytest.raises(InvalidTable) as caught:
            table.numbers(name)
        assert str(caught.value).startswith(expected)
    holed = [row | ({"step": None} if i else {}) for i, row in enumerate(rows)]
    with pytest.raises(InvalidTable, match=r"^frame, row 2, column device_hours: is needed but missing"):
        read_runs(pl.DataFrame(holed)).numbers("device_hours")
