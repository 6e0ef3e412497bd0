"""Parquet and Arrow files, read in a process of their own: a damaged file cannot end the caller's.

polars' readers are in Rust, where a fault that is not foreseen aborts the interpreter: of 30,000 damaged Parquet
files two did. Here an abort, a hang or a lack of memory ends the child, and is told as the file's fault.

Run as a program (and, to start fast, without the package around it), this module reads a file from standard input
and writes to standard output a JSON object and, as an Arrow IPC file, its columns made plain.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from typing import Any

from gemstones.lazy import pl

SECONDS, BYTES_A_SECOND = 15.0, 10e6
"""A child is given so long, and a second more for so many bytes."""
MEMORY, MEMORY_A_BYTE = 8 << 30, 64
"""Address space of a child, in bytes, and how much more for each byte of the file."""
REFUSED = 3
"""Exit status of a child that says what is wrong with the file."""


class Unreadable(Exception):
    """What is wrong with a file, in the reader's words."""


def read_in_child(kind: str, data: bytes) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """Plain columns of a `parquet` or `arrow` file, its key-value metadata, and what was changed, in sentences.

    Raises `Unreadable`.
    """
    searched = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(
            [sys.executable, "-P", __file__, kind],
            input=data,
            capture_output=True,
            check=False,
            timeout=SECONDS + len(data) / BYTES_A_SECOND,
            env={**os.environ, "PYTHONPATH": searched, "POLARS_MAX_THREADS": "2", "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        raise Unreadable("reading it does not end") from None
    if done.returncode == REFUSED:
        raise Unreadable(done.stdout.decode(errors="replace"))
    if done.returncode:
        raise Unreadable("it breaks the reader")
    size = int.from_bytes(done.stdout[:8], "little")
    head = json.loads(done.stdout[8 : 8 + size])
    frame = pl.read_ipc(io.BytesIO(memoryview(done.stdout)[8 + size :]))
    return frame, head["metadata"], head["notes"]


def read(kind: str, data: bytes) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """As `read_in_child`, here: of files that are known to be whole."""
    metadata: dict[str, str] = {}
    if kind == "parquet":
        metadata = pl.read_parquet_metadata(io.BytesIO(data))
        frame = pl.read_parquet(io.BytesIO(data), hive_partitioning=False, glob=False)
    elif data.startswith(b"ARROW1"):
        frame = pl.read_ipc(io.BytesIO(data))
    else:
        frame = pl.read_ipc_stream(io.BytesIO(data))
    frame, notes = plain(frame)
    return frame, metadata, notes


def plain(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """`frame` with columns of booleans, 64-bit numbers and text only, and sentences on what that changed.

    Whole numbers are widened, for narrow ones overflow in silence when they are multiplied. Structs become a column
    a field, `parent.field`.
    """
    notes = []
    for _ in range(8):
        structs = [name for name, dtype in frame.schema.items() if dtype == pl.Struct]
        if not structs:
            break
        frame = frame.unnest(structs, separator=".")
    columns = []
    for place, series in enumerate(frame.get_columns(), start=1):
        named = series if series.name else series.alias(f"column_{place}")
        if series.dtype == pl.Duration:
            notes.append(f"durations of {_shown(named.name)} read as seconds")
        columns.append(_plain(named))
    return pl.DataFrame(columns), notes


def _plain(series: pl.Series) -> pl.Series:  # noqa: PLR0911
    dtype = series.dtype
    if dtype in (pl.Boolean, pl.Int64, pl.Float64, pl.String, pl.Null):
        return series
    if dtype == pl.UInt64 or dtype.is_decimal() or dtype in (pl.Int128, getattr(pl, "UInt128", pl.Int128)):
        whole = None if dtype.is_decimal() else series.cast(pl.Int64, strict=False)
        fits = whole is not None and whole.null_count() == series.null_count()
        return whole if fits and whole is not None else series.cast(pl.Float64)
    if dtype.is_integer():
        return series.cast(pl.Int64)
    if dtype.is_float():
        return series.cast(pl.Float64)
    if isinstance(dtype, pl.Duration):
        nanoseconds = dtype.time_unit == "ns"
        whole = series.dt.total_nanoseconds() if nanoseconds else series.dt.total_microseconds()
        return whole.cast(pl.Float64) / (1e9 if nanoseconds else 1e6)
    if dtype in (pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Time):
        return series.cast(pl.String)
    cells = [None if cell is None else _text(cell) for cell in series.to_list()]
    return pl.Series(series.name, cells, dtype=pl.String)


def _text(cell: Any) -> str:
    if isinstance(cell, bytes):
        return cell.decode(errors="backslashreplace")
    with contextlib.suppress(TypeError, ValueError):
        return json.dumps(cell, default=str, ensure_ascii=False)
    return str(cell)


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in name)[:60]


def _main(kind: str) -> int:
    data = sys.stdin.buffer.read()
    with contextlib.suppress(ImportError, OSError, ValueError):  # where the system cannot set limits
        import resource

        bound = MEMORY + MEMORY_A_BYTE * len(data)
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stderr.close()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Rust tells its panics there
    try:
        frame, metadata, notes = read(kind, data)
        body = io.BytesIO()
        frame.write_ipc(body)
    except BaseException as error:
        sys.stdout.buffer.write(f"{error}".encode(errors="replace")[:2000])
        sys.stdout.buffer.flush()
        return REFUSED
    head = json.dumps({"metadata": metadata, "notes": notes}).encode()
    sys.stdout.buffer.write(len(head).to_bytes(8, "little") + head + body.getbuffer())
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    os._exit(_main(sys.argv[1]))  # without the destructors of what may be broken
