"""Fingerprints, and Parquet files that give back what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstones.errors import InvalidPath
from gemstones.runs import RunTable, Source, build_table, load, read_runs
from gemstones.runs.schema import UNITS

Rows = list[dict[str, Any]]


def assert_same(first: RunTable, second: RunTable) -> None:
    assert first.frame.equals(second.frame)
    assert first.frame.schema == second.frame.schema
    for field in (
        "dataset",
        "selection",
        "assumptions",
        "flops_convention",
        "sources",
        "architecture",
        "fingerprint",
    ):
        assert getattr(first, field) == getattr(second, field), field


POSITIVE = st.floats(1e-3, 1e12)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    height = draw(st.integers(1, 6))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=height, max_size=height))

    has_shape, has_size = draw(st.booleans()), draw(st.booleans())
    return pl.DataFrame(
        {
            "run": [
                f"{i}-{text}"
                for i, text in enumerate(column(st.text(st.characters(codec="utf-8"), max_size=5)))
            ],
            "family": column(st.sampled_from(["main", "cooldown", None])),
            "width": column(st.sampled_from([256, 384, 512, None])) if has_shape else [None] * height,
            "depth": column(st.integers(1, 100)) if has_shape else [None] * height,
            "params_total": column(st.floats(1e8, 3e8)) if has_size and not has_shape else [None] * height,
            "tokens": column(st.floats(1e9, 1e12)),
            "loss": column(POSITIVE),
            "step": column(st.integers(0, 10**6) | st.none()),
            "seconds_per_step": column(POSITIVE | st.none()),
            "devices": column(st.integers(1, 4096) | st.none()),
            "own": column(st.text(max_size=3) | st.none()),
        },
        schema_overrides={"width": pl.Int64, "family": pl.String, "own": pl.String},
        strict=False,
    )


@pytest.mark.long
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(frame=frames(), assumptions=st.lists(st.text(max_size=20), unique=True), name=st.text(max_size=5))
def test_parquet_round_trip(tmp_path: Path, frame: pl.DataFrame, assumptions: list[str], name: str) -> None:
    table = build_table(
        frame,
        dataset=name,
        assumptions=tuple(assumptions),
        sources=(Source(name, "somewhere", "0" * 64, "MIT"),),
    )
    table.write_parquet(tmp_path / "t.parquet")
    assert_same(read_runs(tmp_path / "t.parquet"), table)


@pytest.mark.parametrize("selection", ["all", "chinchilla-reduced", "cooldown"])
def test_a_selection_of_gemstones_comes_back_as_it_is(
    gemstones: RunTable, selection: str, tmp_path: Path
) -> None:
    table = gemstones.select(selection, where="width >= 384")
    table.write_parquet(tmp_path / "t.parquet")
    again = load(tmp_path / "t.parquet")
    assert_same(again, table)
    assert again.select().rows == table.rows  # selected once is selected


def test_options_of_the_first_reading_are_kept(tmp_path: Path) -> None:
    """Small models would break rules at the defaults: head size 128 does not divide 48."""
    frame = pl.DataFrame(
        {"run": ["a", "b"], "width": [48, 32], "depth": [2, 2], "tokens": [1e4, 2e4], "loss": [3.0, 2.0]}
    )
    table = read_runs(frame, head_size=16, vocabulary=100, queries_per_kv=1)
    table.write_parquet(tmp_path / "t.parquet")
    assert_same(read_runs(tmp_path / "t.parquet"), table)


def test_far_apart_computed_flops_are_not_two_units(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"run": ["a", "b"], "params_total": [1e6, 1e9], "tokens": [1e7, 1e11], "loss": [5.0, 2.0]}
    )
    table = read_runs(frame)
    table.write_parquet(tmp_path / "t.parquet")
    assert_same(read_runs(tmp_path / "t.parquet"), table)


def test_the_file_declares_units_and_origin(gemstones: RunTable, tmp_path: Path) -> None:
    gemstones.select("cooldown").write_parquet(tmp_path / "t.parquet")
    metadata = pl.read_parquet_metadata(tmp_path / "t.parquet")
    assert json.loads(metadata["units"]) == dict(UNITS)
    fields = json.loads(metadata["gemstones"])
    assert fields["schema_version"] == 1
    assert fields["dataset"] == "gemstones"
    assert len(fields["sources"]) == 3


def test_writing_leaves_nothing_but_the_file(rows: Rows, tmp_path: Path) -> None:
    table = read_runs(pl.DataFrame(rows))
    table.write_parquet(tmp_path / "t.parquet")
    table.write_parquet(str(tmp_path / "t.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    with pytest.raises(InvalidPath, match="cannot be written: No such file or directory"):
        table.write_parquet(tmp_path / "no" / "t.parquet")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidPath, match="cannot be written: Is a directory"):
        table.write_parquet(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "t.parquet"]


def test_a_reader_of_the_old_file_never_sees_half_of_the_new(rows: Rows, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    read_runs(pl.DataFrame(rows)).write_parquet(path)
    before = path.read_bytes()
    with path.open("rb") as reader:
        read_runs(pl.DataFrame(rows[:2])).write_parquet(path)
        assert reader.read() == before
    assert read_runs(path).rows == 2


def test_fingerprint_is_of_the_schema_columns_alone(rows: Rows) -> None:
    frame = pl.DataFrame(rows)
    fingerprint = read_runs(frame).fingerprint
    assert read_runs(frame.drop("note").with_columns(other=pl.lit(1))).fingerprint == fingerprint
    assert read_runs(frame.select(reversed(frame.columns))).fingerprint == fingerprint
    assert read_runs(frame.reverse()).fingerprint != fingerprint
    assert read_runs(frame.with_columns(pl.col("loss") + 1e-12)).fingerprint != fingerprint
    assert read_runs(frame.with_columns(run="r" + pl.col("run"))).fingerprint != fingerprint
    zero = read_runs(frame.with_columns(step=pl.lit(0), device_hours=pl.lit(1.0)))
    null = read_runs(frame.with_columns(step=pl.lit(None), device_hours=pl.lit(1.0)))
    assert zero.fingerprint != null.fingerprint
