"""Parquet and Arrow: plain columns of every type, and damage that ends a child, never the caller."""

from __future__ import annotations

import datetime
import gzip
import io
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gemstones.runs import read_runs
from gemstones.runs.formats import arrow_child, open_frame, open_runs
from tests.runs.formats.written import opened, refusal, written


def everything() -> pl.DataFrame:
    """A column of every type that files of runs have, and of some that they have not."""
    return pl.DataFrame(
        {
            "run": ["a", "b"],
            "tokens": pl.Series([1, 2], dtype=pl.Int32),
            "loss": pl.Series([3.5, None], dtype=pl.Float32),
            "seconds_per_step": [datetime.timedelta(seconds=1.5), None],
            "started": [datetime.datetime(2024, 1, 2, 3, 4, 5), None],
            "day": [datetime.date(2024, 1, 2), None],
            "lr": [Decimal("0.001"), None],
            "flops": pl.Series([2**64 - 1, 1], dtype=pl.UInt64),
            "steps": pl.Series([7, None], dtype=pl.UInt64),
            "model": [{"width": 512, "heads": {"size": 64}}, None],
            "tags": [["x", "y"], None],
            "raw": [b"\xff", None],
            "nothing": pl.Series([None, None], dtype=pl.Null),
            "done": [True, None],
        }
    ).with_columns(kind=pl.col("run").cast(pl.Categorical), size=pl.col("run").cast(pl.Enum(["a", "b"])))


def expected() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "run": ["a", "b"],
            "tokens": [1, 2],
            "loss": [3.5, None],
            "seconds_per_step": [1.5, None],
            "started": ["2024-01-02 03:04:05.000000", None],
            "day": ["2024-01-02", None],
            "lr": [0.001, None],
            "flops": [2.0**64, 1.0],
            "steps": [7, None],
            "model.width": [512, None],
            "model.heads.size": [64, None],
            "tags": ['["x", "y"]', None],
            "raw": ["\\xff", None],
            "nothing": pl.Series([None, None], dtype=pl.Null),
            "done": [True, None],
            "kind": ["a", "b"],
            "size": ["a", "b"],
        }
    )


def as_parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def as_arrow(frame: pl.DataFrame, stream: bool = False) -> bytes:
    file = io.BytesIO()
    (frame.write_ipc_stream if stream else frame.write_ipc)(file)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream", "frame", "pyarrow"])
def test_every_type_becomes_a_plain_one(tmp_path: Path, kind: str) -> None:
    frame = everything()
    if kind == "frame":
        found = open_frame(frame)
    elif kind == "pyarrow":
        found = open_frame(frame.to_arrow())
    elif kind == "parquet":
        found = opened(tmp_path / "runs", as_parquet(frame))
        assert found.format == "parquet"
    else:
        found = opened(tmp_path / "runs", as_arrow(frame, stream=kind == "stream"))
        assert found.format == "arrow"
    assert_frame_equal(found.frame, expected())
    assert found.assumptions == ("durations of seconds_per_step read as seconds",)


def test_parquet_of_other_writers(tmp_path: Path) -> None:
    import pyarrow.parquet

    frame = pl.DataFrame({"run": ["a", "b"], "tokens": [1, 2], "loss": [3.0, 2.9]})
    for options in (
        {"version": "1.0", "compression": "gzip"},
        {"data_page_version": "2.0", "compression": "zstd"},
        {"use_dictionary": False, "compression": "none"},
        {"row_group_size": 1, "compression": "snappy"},
    ):
        file = io.BytesIO()
        pyarrow.parquet.write_table(frame.to_arrow(), file, **options)
        assert_frame_equal(opened(tmp_path / "runs.parquet", file.getvalue()).frame, frame)
    assert_frame_equal(opened(tmp_path / "runs.parquet.gz", gzip.compress(as_parquet(frame))).frame, frame)


def test_tables_of_this_program_come_back_as_they_were(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    table = read_runs(pl.DataFrame(rows))
    path = tmp_path / "table.parquet"
    table.write_parquet(path)
    found = open_runs(path)
    assert found.format == "gemstones"
    assert found.fields is not None
    assert (found.assumptions, found.sources) == ((), table.sources)
    assert_frame_equal(found.frame, table.frame)
    again = read_runs(path)
    assert_frame_equal(again.frame, table.frame)
    assert (again.fingerprint, again.assumptions) == (table.fingerprint, table.assumptions)


def test_files_in_the_package_are_read_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Path(arrow_child.__file__).parent.parent
    monkeypatch.setattr("gemstones.runs.formats.arrow_files.read_in_child", pytest.fail)
    assert open_runs(package / "pebbles.parquet").fields is not None
    with pytest.raises(pytest.fail.Exception):
        opened(tmp_path / "copy.parquet", (package / "pebbles.parquet").read_bytes())


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("runs.parquet", b"", "is no whole Parquet file: it does not begin and end as one"),
        ("runs.parquet", b"PAR1", "is no whole Parquet file: it does not begin and end as one"),
        (
            "runs.csv",
            b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
            "is no whole Parquet file: it does not begin and end",
        ),
        (
            "runs.parquet",
            as_parquet(everything())[:-1],
            "is no whole Parquet file: it does not begin and end as one",
        ),
        ("runs.arrow", b"ARROW1", "is no whole Arrow file: "),
        ("runs.arrow", as_arrow(everything())[:-40], "is no whole Arrow file: "),
        (
            "runs.feather",
            b"FEA1",
            "is a Feather file of version 1: write it again as Feather version 2 or Parquet",
        ),
        ("runs.parquet", as_parquet(pl.DataFrame()), "is empty: it has no columns"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    assert expected in refusal(lambda: opened(tmp_path / name, content))


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("os.abort()", "it breaks the reader"),
        ("os.kill(os.getpid(), 9)", "it breaks the reader"),
        ("os._exit(1)", "it breaks the reader"),
        ("import time; time.sleep(60)", "reading it does not end"),
        ("bytearray(1 << 36)", ""),
    ],
)
def test_whatever_ends_the_child_is_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, told: str
) -> None:
    """A polars that aborts, is killed, hangs or asks for 64 GiB."""
    written(tmp_path / "polars.py", f"import os\n{ending}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(arrow_child, "SECONDS", 3.0)
    with pytest.raises(arrow_child.Unreadable) as caught:
        arrow_child.read_in_child("parquet", b"")
    assert told in str(caught.value)


def test_a_polars_in_the_working_directory_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "polars.py", "import os\nos._exit(7)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    frame, _, _ = arrow_child.read_in_child("parquet", as_parquet(pl.DataFrame({"a": [1]})))
    assert frame.rows() == [(1,)]


def test_a_few_damaged_files(tmp_path: Path) -> None:
    """Rows, or one line; `benchmarks/damaged_parquet.py` reads thousands."""
    whole, choice = as_parquet(everything()), random.Random(20261128)
    for _ in range(12):
        damaged = bytearray(whole)
        for _ in range(choice.randrange(1, 5)):
            damaged[choice.randrange(4, len(whole) - 8)] = choice.choice(
                [0, 0x7F, 0xFF, choice.randrange(256)]
            )
        path = written(tmp_path / "runs.parquet", bytes(damaged))
        try:
            assert open_runs(path).frame.width
        except ValueError as error:
            assert str(error).isprintable()


def test_a_warning_filter_does_not_reach_the_child() -> None:
    """`-W error` of a caller's would make the child's imports fail."""
    code = (
        "import io, polars as pl; from gemstones.runs.formats.arrow_child import read_in_child; file = io.BytesIO(); "
        "pl.DataFrame({'a': [1]}).write_parquet(file); print(read_in_child('parquet', file.getvalue())[0].rows())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[(1,)]"
