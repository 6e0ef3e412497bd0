"""Damaged Parquet and Arrow files, each opened as a user's: rows, or one line; the process that opens them lives on.

    python benchmarks/damaged_parquet.py [--inputs 5000] [--first 0]
    python benchmarks/damaged_parquet.py --inputs 30000 --here     without a child, in a process that may die

A file follows from its number: whole ones of polars and of pyarrow, in every compression, with bits, bytes, pieces and
footers changed. Measured on 2026-11-28, polars 2.1.0 and pyarrow 26.0.1, two cores that others used too:

| | inputs | rows | one line | aborts |
|---|---|---|---|---|
| polars, here (inputs 20,000 to 120,000) | 100,000 | 15,089 | 84,909 | 2: 21770, 59904 |
| pyarrow, here (another set) | 30,000 | 6,706 | 23,294 | 0 |

So pyarrow would have done, at 170 MB installed and 0.2 s of import; a child costs 0.3 to 0.4 s a file and holds
whatever is in it, memory and time included.
"""

from __future__ import annotations

import argparse
import datetime
import io
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import polars as pl


def whole_files() -> list[tuple[str, bytes]]:
    """Suffix and content of files that nothing is wrong with."""
    import pyarrow.parquet as pq

    frame = pl.DataFrame(
        {
            "run": ["a", "b", "b", "c"] * 20,
            "tokens": [1e9, 2e9, 3e9, 4e9] * 20,
            "loss": [3.0, 2.9, 2.8, 2.7] * 20,
            "width": [512, 1024, None, 64] * 20,
            "done": [True, None, False, True] * 20,
            "took": [datetime.timedelta(seconds=1.5)] * 80,
            "at": [datetime.datetime(2024, 1, 1)] * 80,
            "tags": [[1, 2], [3], [], None] * 20,
            "model": [{"x": 1, "y": "a"}] * 80,
            "lr": [Decimal("0.001")] * 80,
        }
    ).with_columns(kind=pl.col("run").cast(pl.Categorical))
    files = []
    for compression in ("zstd", "snappy", "gzip", "lz4", "uncompressed", "brotli"):
        file = io.BytesIO()
        frame.write_parquet(file, compression=compression, metadata={"gemstones": "{}", "units": "{}"})
        files.append((".parquet", file.getvalue()))
    table = frame.drop("kind").to_arrow()
    for version in ("1.0", "2.6"):
        for pages in ("1.0", "2.0"):
            file = io.BytesIO()
            pq.write_table(table, file, version=version, data_page_version=pages, compression="snappy")
            files.append((".parquet", file.getvalue()))
    file = io.BytesIO()
    pl.DataFrame({"run": ["a"], "tokens": [1.0], "loss": [3.0]}).write_parquet(file)
    files.append((".parquet", file.getvalue()))
    file = io.BytesIO()
    frame.write_ipc(file)
    files.append((".arrow", file.getvalue()))
    return files


def damaged(content: bytes, choice: random.Random) -> bytes:
    data, size = bytearray(content), len(content)
    footer = max(4, size - 8 - int.from_bytes(content[-8:-4], "little"))
    kind = choice.randrange(7)
    if kind == 0:
        data[choice.randrange(size)] ^= 1 << choice.randrange(8)
    elif kind == 1:
        for _ in range(choice.randrange(1, 20)):
            data[choice.randrange(size)] = choice.randrange(256)
    elif kind in (2, 3):  # the footer, which says where everything is
        for _ in range(choice.randrange(1, 4)):
            data[choice.randrange(footer, size - 8)] = choice.choice(
                [0, 1, 0x7F, 0x80, 0xFF, choice.randrange(256)]
            )
    elif kind == 4:
        del data[choice.randrange(size) :]
    elif kind == 5:
        place = choice.randrange(size)
        data[place : place + choice.randrange(1, 30)] = b""
    else:
        place = choice.randrange(size)
        data[place:place] = bytes(choice.randrange(256) for _ in range(choice.randrange(1, 30)))
    return bytes(data)


def make(number: int, files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    suffix, content = files[number % len(files)]
    return suffix, damaged(content, random.Random(number))


def through_the_product(numbers: range) -> Counter[str]:
    from gemstones.errors import UserError
    from gemstones.runs.formats import open_runs

    files, counts = whole_files(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            suffix, content = make(number, files)
            path = Path(folder, f"runs{suffix}")
            path.write_bytes(content)
            started = time.monotonic()
            try:
                outcome = "rows" if open_runs(path).frame.width else "no columns"
            except UserError as error:
                outcome = "one line" if str(error).isprintable() else f"NOT ONE LINE {number}"
            if time.monotonic() - started > 20:
                outcome = f"OVER 20 s {number}"
            counts[outcome] += 1
    return counts


def without_a_child(numbers: range) -> Counter[str]:
    """In processes that take the place of those that die."""
    counts, next_one = Counter[str](), numbers.start
    while next_one < numbers.stop:
        child = [
            sys.executable,
            __file__,
            "--serve",
            "--first",
            str(next_one),
            "--inputs",
            str(numbers.stop - next_one),
        ]
        done = subprocess.run(child, capture_output=True, text=True, check=False)
        lines = done.stdout.split("\n")
        counts.update(line.split(" ", 1)[1] for line in lines if " " in line)
        if done.returncode == 0:
            break
        died = int(lines[-2].split()[0]) + 1 if len(lines) > 1 else next_one
        counts[f"ABORT {died} ({done.returncode})"] += 1
        next_one = died + 1
    return counts


def serve(numbers: range) -> None:
    from gemstones.runs.formats.arrow_child import read

    files = whole_files()
    for number in numbers:
        suffix, content = make(number, files)
        try:
            read(suffix[1:], content)
            outcome = "rows"
        except BaseException:
            outcome = "one line"
        print(number, outcome, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--here", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.inputs)
    if arguments.serve:
        serve(numbers)
        return
    started = time.monotonic()
    counts = (without_a_child if arguments.here else through_the_product)(numbers)
    print(f"{len(numbers):,} files in {time.monotonic() - started:.0f} s: {dict(counts)}")
    sys.exit(any(name not in ("rows", "one line") for name in counts) and not arguments.here)


if __name__ == "__main__":
    main()
