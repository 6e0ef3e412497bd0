"""Files and frames of the same runs give the same table; what is missing is completed or assumed aloud."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.errors import GemstonesError, InvalidRequest, InvalidShape
from gemstones.runs import RunTable, load, parse_columns, read_runs
from gemstones.runs.schema import COLUMNS, SCHEMA
from gemstones.shape import Shape, Shapes

Rows = list[dict[str, Any]]


def write_csv(rows: Rows, path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json_lines(rows: Rows, path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sources(rows: Rows, folder: Path) -> dict[str, Any]:
    import pandas as pd

    frame = pl.DataFrame(rows)
    frame.write_parquet(folder / "runs.parquet")
    return {
        "csv": write_csv(rows, folder / "runs.csv"),
        "jsonl": write_json_lines(rows, folder / "runs.jsonl"),
        "ndjson": str(write_json_lines(rows, folder / "runs.ndjson")),
        "parquet": folder / "runs.parquet",
        "polars": frame,
        "pandas": pd.DataFrame(rows),
        "arrow": frame.to_arrow(),
    }


def test_every_source_gives_the_same_table(rows: Rows, tmp_path: Path) -> None:
    tables = {kind: read_runs(source) for kind, source in sources(rows, tmp_path).items()}
    expected = tables["polars"]
    for kind, table in tables.items():
        assert table.frame.equals(expected.frame), kind
        assert table.frame.schema == expected.frame.schema, kind
        assert table.fingerprint == expected.fingerprint, kind
        assert table.assumptions == expected.assumptions, kind
    assert {table.dataset for table in tables.values()} == {"runs", "frame"}
    assert tables["csv"].sources[0].sha256
    assert expected.sources[0].sha256 == ""


def test_the_schema_comes_first_and_in_order(rows: Rows) -> None:
    table = read_runs(pl.DataFrame(rows))
    assert table.frame.columns == [*COLUMNS, "note"]
    assert [str(table.frame[column.name].dtype) for column in SCHEMA] == [column.dtype for column in SCHEMA]


def test_completion_is_the_closed_form(rows: Rows) -> None:
    table = read_runs(pl.DataFrame(rows))
    shapes = Shapes.of(table.numbers("width"), table.numbers("depth"))
    np.testing.assert_array_equal(table.numbers("params_total"), params(shapes, "total"))
    np.testing.assert_array_equal(table.numbers("params_no_embedding"), params(shapes, "no_embedding"))
    np.testing.assert_array_equal(table.numbers("params_non_embedding"), params(shapes, "non_embedding"))
    np.testing.assert_array_equal(table.numbers("flops"), flops_per_token(shapes) * table.numbers("tokens"))
    np.testing.assert_array_equal(table.numbers("device_hours"), 1.5 * table.numbers("step") * 8 / 3600)
    assert table.flops_convention == "gemstones"
    assert table.run_codes.tolist() == [0, 0, 1, 1]


def test_run_codes_follow_first_appearance() -> None:
    frame = pl.DataFrame({"run": ["z", "a", "z", "m"], "tokens": [1e9, 1e9, 2e9, 1e9], "loss": [3.0] * 4})
    assert read_runs(frame).run_codes.tolist() == [0, 1, 0, 2]


def test_options_are_used_and_then_not_assumed(rows: Rows) -> None:
    frame = pl.DataFrame(rows)
    shape = Shape(512, 12, vocabulary=32_000, head_size=64, context=4096, queries_per_kv=1)
    table = read_runs(frame, vocabulary=32_000, head_size=64, context=4096, queries_per_kv=1)
    assert table.numbers("params_total")[0] == params(shape)
    assert table.numbers("flops_per_token")[0] == flops_per_token(shape)
    assert table.assumptions == (
        "gated MLPs of 4 widths and an untied head assumed for parameters and FLOPs "
        "(give params_total and flops where they differ)",
    )


def test_assumptions_are_made_only_when_needed(rows: Rows) -> None:
    assert read_runs(pl.DataFrame(rows)).assumptions == (
        "vocabulary 50,304 assumed for parameters and FLOPs (set it with --vocabulary)",
        "head size 128 assumed for FLOPs (set it with --head-size)",
        "context 2,048 assumed for FLOPs (set it with --context)",
        "2 query heads per kv head assumed for parameters and FLOPs (set it with --queries-per-kv)",
        "gated MLPs of 4 widths and an untied head assumed for parameters and FLOPs "
        "(give params_total and flops where they differ)",
    )
    complete = read_runs(pl.DataFrame(rows)).frame
    assert read_runs(complete).assumptions == ()
    assert read_runs(complete).flops_convention == "given"
    assert read_runs(complete.drop("flops", "flops_per_token"), vocabulary=50_304).assumptions[:2] == (
        "head size 128 assumed for FLOPs (set it with --head-size)",
        "context 2,048 assumed for FLOPs (set it with --context)",
    )


def test_flops_without_shapes_are_six_n_t() -> None:
    frame = pl.DataFrame(
        {"run": ["a", "b"], "params_total": [1e8, 2e8], "tokens": [1e9, 2e9], "loss": [3.0, 2.9]}
    )
    table = read_runs(frame)
    assert table.numbers("flops").tolist() == [6e17, 2.4e18]
    assert table.flops_convention == "6N_total"
    assert table.assumptions == (
        "FLOPs per token taken as 6 x params_total, for want of width and depth (give flops to set them)",
    )
    table = read_runs(frame.rename({"params_total": "params_non_embedding"}))
    assert table.numbers("flops").tolist() == [6e17, 2.4e18]
    assert table.flops_convention == "6N_non_embedding"


def test_given_numbers_are_never_changed(rows: Rows) -> None:
    frame = pl.DataFrame(rows).with_columns(
        params_total=pl.lit(2e8), flops=pl.lit(1e19), device_hours=pl.lit(7.0)
    )
    frame = frame.with_columns(params_total=pl.when(pl.col("width") == 512).then(2e8).otherwise(6e8))
    table = read_runs(frame)
    for column in ("params_total", "flops", "device_hours"):
        assert table.frame[column].equals(frame[column])
    assert table.numbers("params_non_embedding")[0] == 2e8 - 2 * 512 * 50_304
    assert table.numbers("flops_per_token")[0] == 1e19 / table.numbers("tokens")[0]


def test_rows_may_differ_in_what_they_know() -> None:
    frame = pl.DataFrame(
        {
            "run": ["shape", "size", "flops", "none"],
            "width": [512, None, None, None],
            "depth": [12, None, None, None],
            "params_total": [None, 1e8, None, None],
            "flops": [None, None, 1e18, None],
            "tokens": [1e9] * 4,
            "loss": [3.0] * 4,
        }
    )
    table = read_runs(frame)
    assert table.flops_convention == "given+gemstones+6N_total"
    assert table.frame["flops"].null_count() == 1
    with pytest.raises(GemstonesError, match=r"^frame, row 4, column flops: is needed but missing"):
        table.numbers("flops")


@pytest.mark.parametrize(
    ("drop", "runs", "assumption"),
    [
        (
            [],
            ["512x12", "512x12", "1024x28", "1024x28"],
            "rows of the same width and depth assumed to be one run",
        ),
        (
            ["depth"],
            ["10000000", "10000000", "20000000", "20000000"],
            "rows of the same params_total assumed to be one run",
        ),
        (
            ["depth", "params_total"],
            [f"row/{i}" for i in (1, 2, 3, 4)],
            "each row assumed to be a run of its own",
        ),
    ],
)
def test_runs_without_names(rows: Rows, drop: list[str], runs: list[str], assumption: str) -> None:
    sizes = [1e7, 1e7, 2e7, 2e7] if drop else [2e8, 2e8, 6e8, 6e8]
    frame = pl.DataFrame(rows).with_columns(pl.Series("params_total", sizes)).drop("run", *drop)
    table = read_runs(frame)
    assert table.frame["run"].to_list() == runs
    assert any(sentence.startswith(assumption) for sentence in table.assumptions)


def test_suffixes_are_read_where_every_cell_has_one(rows: Rows, tmp_path: Path) -> None:
    for row, tokens in zip(rows, ("2B", "4B", "2000M", "0.3T"), strict=True):
        row["tokens"] = tokens
    for path in (write_csv(rows, tmp_path / "r.csv"), write_json_lines(rows, tmp_path / "r.jsonl")):
        assert read_runs(path).numbers("tokens").tolist() == [2e9, 4e9, 2e9, 3e11]


def test_mapping_takes_columns_by_name_and_keeps_the_others(rows: Rows) -> None:
    frame = pl.DataFrame(rows).with_columns(val_loss=pl.col("loss") + 1).rename({"tokens": "n tokens"})
    table = read_runs(frame, columns=parse_columns("loss=val_loss, tokens=n tokens"))
    assert table.numbers("loss").tolist() == [4.5, 4.25, 4.0, 3.75]
    assert table.numbers("source_loss").tolist() == [3.5, 3.25, 3.0, 2.75]
    assert table.numbers("val_loss").tolist() == [4.5, 4.25, 4.0, 3.75]
    assert table.mapped == {"loss": "val_loss", "tokens": "n tokens"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss", "columns 'loss': 'loss' is not NAME=EXPRESSION"),
        ("", "columns '': '' is not NAME=EXPRESSION"),
        ("loss=a,loss=b", "columns 'loss=a,loss=b': loss is given twice"),
    ],
)
def test_mapping_errors(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_columns(text)
    assert str(caught.value).startswith(message)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("name", "near"), [("lss", "loss"), ("token", "tokens"), ("params_totl", "params_total")]
)
def test_what_is_nearly_a_name_of_ours_is_refused(rows: Rows, name: str, near: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^columns: '{name}' is no column of a run table: {near} is"):
        read_runs(pl.DataFrame(rows), columns={name: "loss"})


NAMES = (
    st.text(st.characters(exclude_characters=",()'\"`", exclude_categories=("Cs",)), min_size=1)
    .map(str.strip)
    .filter(len)
)


@given(st.dictionaries(st.sampled_from(list(COLUMNS)), NAMES, min_size=1))
def test_mappings_are_read_as_they_are_written(columns: dict[str, str]) -> None:
    assert parse_columns(",".join(f"{name}={source}" for name, source in columns.items())) == columns


def test_mappings_are_split_outside_parentheses_and_quotes() -> None:
    assert parse_columns("loss=min(a, b), run='x,(y', tokens=\"n, (t\"*2,flops=`a,b`") == {
        "loss": "min(a, b)",
        "run": "'x,(y'",
        "tokens": '"n, (t"*2',
        "flops": "`a,b`",
    }


@given(st.text())
def test_mappings_are_read_or_refused_in_one_line(text: str) -> None:
    try:
        assert all(name and source for name, source in parse_columns(text).items())
    except GemstonesError as error:
        assert len(str(error).splitlines()) == 1


CELLS = st.one_of(
    st.sampled_from(
        ["", "1", "2.5", "10B", "nan", "-1", "1e400", "a", '"', "\x00", "é", "512", "28", "\r", "1\n2"]
    ),
    st.text(max_size=4),
    st.floats().map(str),
)
HEADERS = st.lists(
    st.sampled_from(["run", "tokens", "loss", "width", "depth", "params_total", "x"]), min_size=1
)
LINES = st.builds(
    lambda header, lines: "\n".join(",".join(line) for line in [header, *lines]).encode(errors="replace"),
    HEADERS,
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=5),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    st.lists,
    max_leaves=3,
)
OBJECTS = st.lists(st.dictionaries(st.sampled_from(list(COLUMNS)) | st.text(max_size=3), JSON), max_size=4)


def assert_table_or_one_line(path: Path) -> None:
    try:
        table = load(path)
        assert table.rows > 0
        assert np.all(table.numbers("loss") > 0)
        assert len(table.fingerprint) == 64
        table.write_parquet(path.with_suffix(".out.parquet"))
    except GemstonesError as error:
        assert len(str(error).splitlines()) == 1
        assert error.exit_status == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(content=st.binary(max_size=60) | LINES)
def test_any_bytes_are_a_table_or_one_line(tmp_path: Path, content: bytes) -> None:
    for suffix in (".csv", ".jsonl", ".parquet"):
        path = tmp_path / f"any{suffix}"
        path.write_bytes(content)
        assert_table_or_one_line(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(rows=OBJECTS)
@pytest.mark.long
def test_any_json_is_a_table_or_one_line(tmp_path: Path, rows: Rows) -> None:
    assert_table_or_one_line(write_json_lines(rows, tmp_path / "any.jsonl"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(cut=st.data())
def test_a_damaged_parquet_file_is_a_table_or_one_line(tmp_path: Path, cut: st.DataObject) -> None:
    path = tmp_path / "any.parquet"
    pl.DataFrame({"run": ["a"], "tokens": [1.0], "loss": [3.0]}).write_parquet(path)
    content = bytearray(path.read_bytes())
    position = cut.draw(st.integers(0, len(content) - 1))
    content[position] ^= cut.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert_table_or_one_line(path)


def test_pandas_nulls_are_nulls(rows: Rows) -> None:
    import pandas as pd

    frame = pd.DataFrame(rows)
    frame["devices"] = pd.array([8, None, 8, 8], dtype="Int64")
    frame["seconds_per_step"] = [1.5, 1.5, float("nan"), 1.5]
    table = read_runs(frame)
    assert table.frame["device_hours"].is_null().to_list() == [False, True, True, False]


def test_a_table_does_not_take_the_name_of_a_data_set(rows: Rows, tmp_path: Path) -> None:
    table = load(write_csv(rows, tmp_path / "gemstones.csv"))
    assert table.dataset == "gemstones.csv"
    assert table.select().rows == 4


def test_all_of_a_users_table_is_its_family_main(rows: Rows) -> None:
    frame = pl.DataFrame(rows).with_columns(pl.Series("family", ["main", "main", "cooldown", "cooldown"]))
    assert read_runs(frame).select().rows == 2
    with pytest.raises(
        GemstonesError, match=r"has no rows of 4: its family is cooldown, so take --select cooldown$"
    ):
        read_runs(frame.with_columns(family=pl.lit("cooldown"))).select()


@pytest.mark.parametrize(
    "families", [["pythia", "pythia", "opt", "opt"], [None, None, "opt", "opt"], ["main", "opt"] * 2]
)
def test_families_that_are_not_a_suites_select_nothing(rows: Rows, families: list[str | None]) -> None:
    frame = pl.DataFrame(rows).with_columns(pl.Series("family", families))
    assert read_runs(frame).select().rows == 4
    assert read_runs(frame).select(where="family = 'opt'").rows == 2


def test_options_that_no_model_can_have_are_refused(rows: Rows) -> None:
    with pytest.raises(InvalidShape, match="vocabulary 0 of a shape"):
        read_runs(pl.DataFrame(rows), vocabulary=0)


def test_representations(rows: Rows) -> None:
    table = read_runs(pl.DataFrame(rows)).select(where="loss < 9")
    assert repr(table).startswith(
        "<RunTable frame, selection all where loss < 9: 4 rows, 2 runs, FLOPs gemstones, loss in nats per token; "
    )
    assert "all where loss &lt; 9" in table._repr_html_()
    assert isinstance(table, RunTable)


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, gemstones.runs; print(sorted({'polars', 'pooch', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
