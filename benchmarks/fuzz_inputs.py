"""Inputs of fuzz_readers.py: a planted table in every shape that is read, wrong units planted in it, and damage.

Everything follows from the number of an input; nothing is kept as a file.
"""

from __future__ import annotations

import gzip
import math
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fuzz_tables import TABLES, Cells, Files, Shape, csv_of, planted, zstd_of
from fuzz_tools import TOOLS

SHAPES: dict[str, Shape] = {**TABLES, **TOOLS}

# ---------------------------------------------------------------- wrong units


def _scaled(name: str, factor: float, whole: bool = True) -> Callable[[Cells, random.Random], Cells]:
    def plant(cells: Cells, choice: random.Random) -> Cells:
        rows = range(len(cells[name])) if whole else _of_one_run(cells, choice)
        values = list(cells[name])
        for row in rows:
            values[row] = values[row] * factor
        return {**cells, name: values}

    return plant


def _of_one_run(cells: Cells, choice: random.Random) -> list[int]:
    run = choice.choice(sorted(set(cells["run"])))
    return [row for row, name in enumerate(cells["run"]) if name == run]


def _commas(cells: Cells, choice: random.Random) -> Cells:
    del choice
    return {
        **cells,
        "loss": [f"{loss:.3f}".replace(".", ",") for loss in cells["loss"]],
        "flops": _none(cells),
    }


def _none(cells: Cells) -> list[None]:
    return [None] * len(cells["run"])


PLANTS: Mapping[str, Callable[[Cells, random.Random], Cells]] = {
    "N in millions": _scaled("params_total", 1e-6),
    "N in billions": _scaled("params_total", 1e-9),
    "T in millions": _scaled("tokens", 1e-6),
    "T in billions": _scaled("tokens", 1e-9),
    "gigaFLOPs": _scaled("flops", 1e-9),
    "teraFLOPs": _scaled("flops", 1e-12),
    "exaFLOPs": _scaled("flops", 1e-18),
    "steps as tokens": lambda cells, choice: {**cells, "tokens": cells["step"], "flops": _none(cells)},
    "perplexity as loss": lambda cells, choice: {**cells, "loss": [math.exp(x) for x in cells["loss"]]},
    "one run's N in millions": _scaled("params_total", 1e-6, whole=False),
    "one run's T in billions": _scaled("tokens", 1e-9, whole=False),
}
"""What a reader has to refuse, by what is wrong with it."""

# ---------------------------------------------------------------- damage

ODD_CELLS: tuple[Any, ...] = (
    *(
        "",
        "NaN",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0",
        "1e-300",
        "N/A",
        "-",
        "null",
        "true",
        "ladder",
        "3,406",
        "1,000,000",
    ),
    *(
        "0x10",
        "1_000",
        "１２",
        "٣",
        "3.5 nats",
        "10B",
        "2M",
        "1e400",
        "9" * 400,
        "-0",
        "1e5e5",
        "=1+1",
        "@x",
        "\x1b[31mred",
    ),
    *(
        "a\nb",
        'a"b',
        "a,b",
        "a;b",
        "a\tb",
        "\x00",
        "\ufeff",
        "👍",
        "\u202e",
        "x" * 5000,
        "2024-01-01",
        "[1]",
        "{}",
        "#",
        "'",
    ),
    *(None, True, False, 2**64, -(2**63), 10**400, 1.5, math.nan, math.inf, [1, 2], {"a": 1}),
)


def damage_table(cells: Cells, choice: random.Random) -> Cells:
    """One change that an editor, a script or a spreadsheet makes."""
    names, rows = list(cells), len(next(iter(cells.values())))
    cells = {name: list(values) for name, values in cells.items()}

    def keep(order: list[int]) -> Cells:
        return {name: [values[i] for i in order] for name, values in cells.items()}

    act = choice.randrange(10)
    if act == 0:
        return keep([i for i in range(rows) if choice.random() < choice.choice((0.05, 0.5, 0.95))])
    if act == 1:
        return keep(
            sorted(list(range(rows)) + choice.choices(range(rows), k=choice.randint(1, 10))) if rows else []
        )
    if act == 2:
        return keep(choice.sample(range(rows), rows))
    if act == 3:  # two columns swapped
        one, other = choice.sample(names, 2)
        cells[one], cells[other] = cells[other], cells[one]
    elif act == 4:
        cells.pop(choice.choice(names))
    elif act == 5:
        old = choice.choice(names)
        new = choice.choice(
            ("Loss", "N", "D", "tokens", "loss", "run", "", " ", "params", "x" * 3000, "a,b", "\x00", "_step")
        )
        return {new if name == old else name: values for name, values in cells.items()}
    elif act == 6:
        cells[choice.choice(("family", "width", "vocabulary", "note", "parent", "seed"))] = [
            choice.choice(ODD_CELLS) for _ in range(rows)
        ]
    elif act == 7:
        cells[choice.choice(names)] = [choice.choice(ODD_CELLS)] * rows
    elif rows:
        for _ in range(choice.choice((1, 1, 1, 5, 40))):
            cells[choice.choice(names)][choice.randrange(rows)] = choice.choice(ODD_CELLS)
    return cells


TOKENS = (
    *(
        b"NaN",
        b"Infinity",
        b"1e999",
        b"\x00",
        b'"',
        b"'",
        b",",
        b";",
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"PAR1",
        b"ARROW1",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
        b"null",
        b"-",
    ),
    *(
        b"9" * 400,
        b"[" * 5000,
        b'{"a":' * 3000,
        b"\\ud800",
        b"\\u0000",
        b"#",
        b"=",
        b"\xe2\x80\xae",
        b"x" * 200_000,
    ),
    *(b"1,5", b"::", b"step", b"loss:", b"e", b"E+", b"0" * 50),
)


def _flipped(data: bytes, at: int, choice: random.Random) -> bytes:
    changed, size = bytearray(data), len(data)
    # Often near an end: headers, footers and lengths are there.
    near, from_end = choice.choice((size, min(size, 400))), choice.random() < 0.5
    for _ in range(choice.choice((1, 1, 2, 5, 20))):
        place = choice.randrange(near)
        changed[size - 1 - place if from_end else place] ^= 1 << choice.randrange(8)
    return bytes(changed)


def _cut(data: bytes, at: int, choice: random.Random) -> bytes:
    return data[:at] + data[at + choice.randint(1, max(1, len(data) // 4)) :]


def _repeated(data: bytes, at: int, choice: random.Random) -> bytes:
    end = at + choice.randint(1, 2000)
    return data[:end] + data[at:end] * choice.randint(1, 3) + data[end:]


def _zeroed(data: bytes, at: int, choice: random.Random) -> bytes:
    end = min(len(data), at + choice.randint(1, 500))
    return data[:at] + bytes(end - at) + data[end:]


def _appended(data: bytes, at: int, choice: random.Random) -> bytes:
    return data + choice.choice((data, b"\n", bytes(choice.randint(1, 1000)), b"\x1a"))


def _counted(data: bytes, at: int, choice: random.Random) -> bytes:
    """Four bytes that may be a length or a count; those before the end are, in Parquet."""
    value = choice.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, choice.getrandbits(32)))
    place = choice.choice((at, max(0, len(data) - 8)))
    return data[:place] + struct.pack("<I", value) + data[place + 4 :]


def _reversed(data: bytes, at: int, choice: random.Random) -> bytes:
    low, high = sorted((at, choice.randrange(len(data))))
    return data[:low] + data[low:high][::-1] + data[high:]


_DAMAGE: tuple[Callable[[bytes, int, random.Random], bytes], ...] = (
    _flipped,
    _flipped,
    _cut,
    _repeated,
    _zeroed,
    _appended,
    _counted,
    _reversed,
    lambda data, at, choice: data[:at],
    lambda data, at, choice: data[at:],
    lambda data, at, choice: data[:at] + choice.choice(TOKENS) + data[at:],
    lambda data, at, choice: data[:at] + choice.randbytes(choice.randint(1, 64)) + data[at:],
    lambda data, at, choice: choice.choice((gzip.compress(data, mtime=0), zstd_of(data))),
)


def damage_bytes(data: bytes, choice: random.Random) -> bytes:
    """One change that a disk, a network or a wrong program makes."""
    if not data:
        return choice.randbytes(choice.randint(0, 100))
    return choice.choice(_DAMAGE)(data, choice.randrange(len(data)), choice)


def damage_encoding(data: bytes, choice: random.Random) -> bytes:
    """Text in another encoding, or with other line ends."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return damage_bytes(data, choice)
    act = choice.randrange(8)
    if act < 5:
        return text.encode(
            ("utf-16", "utf-16-le", "utf-8-sig", "utf-32", "utf-7")[act], errors="surrogatepass"
        )
    if act == 5:
        return text.replace("ladder", "lädder").encode("latin-1", errors="replace")
    return text.replace("\n", ("\r\n", "\r")[act - 6]).encode()


RENAMED = (
    "x.csv",
    "x.parquet",
    "x.json",
    "x.jsonl",
    "x.tsv",
    "x.txt",
    "x.log",
    "x",
    "x.gz",
    "x.zst",
    "x.arrow",
    "x.xlsx",
    "x.md",
)


@dataclass(frozen=True)
class Input:
    """One file or several, how they are read, and what was done to them."""

    number: int
    shape: str
    files: Files
    options: Mapping[str, str]
    planted: str = ""
    """The wrong unit in it."""
    whole: bool = False
    """Whether nothing that is read was changed: the table is that of the shape."""


def make(number: int) -> Input:
    """The input of this number."""
    choice = random.Random(number)
    name = choice.choices(list(SHAPES), [shape.weight for shape in SHAPES.values()])[0]
    shape = SHAPES[name]
    kind = choice.random()
    cells = planted()
    if shape.units and kind < 0.15:
        plant = choice.choice(list(PLANTS))
        files = shape.write(PLANTS[plant](cells, choice))
        return Input(number, name, files, shape.options, planted=plant)
    if kind < 0.2:
        return _whole(number, name, choice)
    if kind < 0.5:
        for _ in range(choice.choice((1, 1, 2, 3))):
            cells = damage_table(cells, choice) if cells else cells
        files = _written(shape, cells)
    else:
        files = shape.write(cells)
    if kind >= 0.45:
        damaged = choice.choice(sorted(files))
        for _ in range(choice.choice((1, 1, 1, 2, 3))):
            act = damage_encoding if choice.random() < 0.12 else damage_bytes
            files = {**files, damaged: act(files[damaged], choice)}
    if choice.random() < 0.06 and len(files) == 1:
        files = {choice.choice(RENAMED): next(iter(files.values()))}
    return Input(number, name, files, shape.options)


def _whole(number: int, name: str, choice: random.Random) -> Input:
    """What is another writing of the same table."""
    shape = SHAPES[name]
    files = shape.write(planted())
    if len(files) == 1:
        ((file, data),) = files.items()
        act = choice.randrange(5)
        text, packed = _is_text(data), data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))
        if packed:  # twice is refused
            pass
        elif act == 0:
            data = gzip.compress(data, mtime=0)
        elif act == 1:
            data = zstd_of(data)
        elif act == 2 and text:
            data = b"\xef\xbb\xbf" + data
        elif act == 3 and text:
            data = data.decode().encode("utf-16")
        elif act == 4 and text:
            data = data.replace(b"\n", b"\r\n")
        files = {file: data}
    return Input(number, name, files, shape.options, whole=True)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _written(shape: Shape, cells: Cells) -> Files:
    """The damaged table in this shape, or as CSV where the shape cannot hold it."""
    try:
        return shape.write(cells)
    except Exception:
        try:
            return {"runs.csv": csv_of(cells)}
        except Exception:
            return {"runs.csv": b""}
