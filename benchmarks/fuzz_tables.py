"""A planted table as plain tables: CSV, JSON, Parquet and Arrow in their variants. Inputs of fuzz_readers.py."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

Cells = dict[str, list[Any]]
Files = dict[str, bytes]

BATCH = 524_288
SIZES = {"20M": 20e6, "45M": 45e6, "90M": 90e6, "180M": 180e6, "410M": 410e6, "800M": 800e6}
STEPS = range(1000, 9000, 1000)


def planted() -> Cells:
    """Six runs of eight checkpoints: E + A/N^α + B/T^β with 1.7, 400, 0.34, 900, 0.31."""
    rows = [
        {
            "run": f"ladder-{name}",
            "step": step,
            "tokens": step * BATCH,
            "params_total": int(size),
            "flops": 6 * size * step * BATCH,
            "loss": round(1.7 + 400 / size**0.34 + 900 / (step * BATCH) ** 0.31, 5),
        }
        for name, size in SIZES.items()
        for step in STEPS
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


@dataclass(frozen=True)
class Shape:
    """A shape of files: how a table is written in it, and the options that read it."""

    write: Callable[[Cells], Files]
    options: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    """What is given to the command, of the folder of the files: a pattern, or `.`; nothing for the one file."""
    units: bool = False
    """Whether it has every column of the planted table, so that units can be planted in it."""
    weight: float = 1.0


def csv_of(cells: Cells, separator: str = ",", decimal: str = ".") -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator="\n")
    writer.writerow(cells)
    for row in zip(*cells.values(), strict=True):
        writer.writerow(["" if x is None else _number(x, decimal) for x in row])
    return written.getvalue().encode()


def _number(cell: Any, decimal: str) -> str:
    return repr(cell).replace(".", decimal) if isinstance(cell, float) else str(cell)


def rows_of(cells: Cells) -> list[dict[str, Any]]:
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def frame_of(cells: Cells) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in cells.items()})


def _binary(act: Callable[[pl.DataFrame, io.BytesIO], object]) -> Callable[[Cells], bytes]:
    def write(cells: Cells) -> bytes:
        buffer = io.BytesIO()
        act(frame_of(cells), buffer)
        return buffer.getvalue()

    return write


def one_file(name: str, write: Callable[[Cells], bytes]) -> Callable[[Cells], Files]:
    return lambda cells: {name: write(cells)}


def _odd_parquet(cells: Cells) -> bytes:
    """Columns as decimals, categories, dates, durations and lists beside the usual ones."""
    frame = frame_of(cells).with_columns(
        pl.col("run").cast(pl.Categorical),
        pl.col("step").cast(pl.UInt64),
        took=pl.duration(seconds=pl.int_range(pl.len())),
        when=pl.datetime(2024, 1, 1) + pl.duration(hours=pl.int_range(pl.len())),
        rate=pl.lit("0.0003").cast(pl.Decimal(10, 6)),
        shape=pl.concat_list(pl.lit(1), pl.lit(2)),
        both=pl.struct(a=pl.lit(1), b=pl.lit("x")),
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _own_parquet(cells: Cells) -> bytes:
    from gemstones.runs import read_runs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.parquet"
        try:
            read_runs(frame_of(cells)).write_parquet(path)
        except ValueError:  # what cannot be a table is written by somebody else
            frame_of(cells).write_parquet(path)
        return path.read_bytes()


def _several(cells: Cells) -> Files:
    files = {}
    for run in dict.fromkeys(cells["run"]):
        rows = [row for row in rows_of(cells) if row["run"] == run]
        stem = "".join("_" if c in "/\0" else c for c in str(run))[:100]
        files[f"{stem}.csv"] = csv_of(
            {name: [row[name] for row in rows] for name in cells if name not in ("run", "params_total")}
        )
    return files


def _ends(cells: Cells) -> Cells:
    keep = [i for i, step in enumerate(cells["step"]) if step == 8000]
    return {name: [values[i] for i in keep] for name, values in cells.items()}


def zstd_of(data: bytes) -> bytes:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        from backports import zstd
    return bytes(zstd.compress(data))


TABLES: dict[str, Shape] = {
    "csv": Shape(one_file("runs.csv", csv_of), units=True, weight=3),
    "tsv": Shape(one_file("runs.tsv", lambda c: csv_of(c, "\t")), units=True),
    "semicolons": Shape(one_file("runs.csv", lambda c: csv_of(c, ";", ",")), units=True),
    "csv of ends": Shape(one_file("runs.csv", lambda c: csv_of(_ends(c))), units=True),
    "json lines": Shape(one_file("runs.jsonl", lambda c: lines_of(rows_of(c))), units=True, weight=2),
    "json records": Shape(one_file("runs.json", lambda c: json.dumps(rows_of(c)).encode()), units=True),
    "json columns": Shape(one_file("runs.json", lambda c: json.dumps(c).encode()), units=True),
    "csv.gz": Shape(one_file("runs.csv.gz", lambda c: gzip.compress(csv_of(c), mtime=0)), units=True),
    "csv.zst": Shape(one_file("runs.csv.zst", lambda c: zstd_of(csv_of(c))), units=True),
    "jsonl.gz": Shape(
        one_file("runs.jsonl.gz", lambda c: gzip.compress(lines_of(rows_of(c)), mtime=0)), units=True
    ),
    "parquet": Shape(
        one_file("runs.parquet", _binary(lambda f, b: f.write_parquet(b))), units=True, weight=1.5
    ),
    "parquet, plain": Shape(
        one_file("runs.parquet", _binary(lambda f, b: f.write_parquet(b, compression="uncompressed"))),
        units=True,
    ),
    "parquet, odd types": Shape(one_file("runs.parquet", _odd_parquet), units=True),
    "parquet, ours": Shape(one_file("runs.parquet", _own_parquet)),
    "arrow": Shape(one_file("runs.arrow", _binary(lambda f, b: f.write_ipc(b))), units=True),
    "arrow stream": Shape(one_file("runs.arrow", _binary(lambda f, b: f.write_ipc_stream(b))), weight=0.5),
    "several csv": Shape(_several, {"columns": "params_total=size(run)"}, "*.csv"),
}
