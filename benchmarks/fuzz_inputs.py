"""Inputs of fuzz_readers.py: a planted table in every shape that is read, wrong units planted in it, and damage.

Everything follows from the number of an input; nothing is kept as a file.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import random
import struct
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

# ---------------------------------------------------------------- shapes


@dataclass(frozen=True)
class Shape:
    """A shape of files: how a table is written in it, and the options that read it."""

    write: Callable[[Cells], Files]
    options: Mapping[str, str] = field(default_factory=dict)
    units: bool = False
    """Whether it has every column of the planted table, so that units can be planted in it."""
    weight: float = 1.0


def _text(cells: Cells, separator: str = ",", decimal: str = ".") -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator="\n")
    writer.writerow(cells)
    for row in zip(*cells.values(), strict=True):
        writer.writerow(["" if x is None else _number(x, decimal) for x in row])
    return written.getvalue().encode()


def _number(cell: Any, decimal: str) -> str:
    return repr(cell).replace(".", decimal) if isinstance(cell, float) else str(cell)


def _rows(cells: Cells) -> list[dict[str, Any]]:
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _frame(cells: Cells) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in cells.items()})


def _binary(act: Callable[[pl.DataFrame, io.BytesIO], object]) -> Callable[[Cells], bytes]:
    def write(cells: Cells) -> bytes:
        buffer = io.BytesIO()
        act(_frame(cells), buffer)
        return buffer.getvalue()

    return write


def _one(name: str, write: Callable[[Cells], bytes]) -> Callable[[Cells], Files]:
    return lambda cells: {name: write(cells)}


def _odd_parquet(cells: Cells) -> bytes:
    """Columns as decimals, categories, dates, durations and lists beside the usual ones."""
    frame = _frame(cells).with_columns(
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
            read_runs(_frame(cells)).write_parquet(path)
        except ValueError:  # what cannot be a table is written by somebody else
            _frame(cells).write_parquet(path)
        return path.read_bytes()


def _wide(cells: Cells) -> bytes:
    """A chart exported from W&B: a column a run, with those of its band."""
    runs = list(dict.fromkeys(cells["run"]))
    loss = {(r["run"], r["step"]): r["loss"] for r in _rows(cells)}
    steps = sorted({s for s in cells["step"] if s is not None})
    wide: Cells = {"Step": steps}
    for run in runs:
        for suffix in ("", "__MIN", "__MAX"):
            wide[f"{run} - eval/loss{suffix}"] = [loss.get((run, step)) for step in steps]
    return _text(wide)


def _history(cells: Cells) -> bytes:
    """A history of W&B: rows of training without a loss of evaluation."""
    rows = []
    for row in _rows(cells):
        here = {
            "run": row["run"],
            "_step": row["step"],
            "tokens": row["tokens"],
            "params_total": row["params_total"],
        }
        rows.append({**here, "train/loss": row["loss"], "eval/loss": "NaN"})
        rows.append({**here, "train/loss": "", "eval/loss": row["loss"]})
    return _text({name: [row[name] for row in rows] for name in rows[0]})


def _lightning(cells: Cells) -> bytes:
    rows = []
    for row in _rows(cells)[:8]:
        rows.append({"epoch": 0, "step": row["step"], "train_loss": row["loss"], "val_loss": None})
        rows.append({"epoch": 0, "step": row["step"], "train_loss": None, "val_loss": row["loss"]})
    return _text({name: [row[name] for row in rows] for name in rows[0]})


def _trainer_state(cells: Cells) -> bytes:
    rows = _rows(cells)[:8]
    history: list[dict[str, Any]] = []
    for row in rows:
        history.append({"epoch": 0.1, "learning_rate": 3e-4, "loss": row["loss"], "step": row["step"]})
        history.append(
            {
                "epoch": 0.1,
                "eval_loss": row["loss"],
                "step": row["step"],
                "num_input_tokens_seen": row["tokens"],
            }
        )
    state = {
        "best_metric": None,
        "epoch": 1.0,
        "global_step": 8000,
        "log_history": history,
        "is_world_process_zero": True,
    }
    return json.dumps(state, indent=2).encode()


def _trainer_log(cells: Cells) -> bytes:
    return _lines(
        [
            {
                "current_steps": r["step"],
                "total_steps": 8000,
                "loss": r["loss"],
                "eval_loss": r["loss"],
                "percentage": 1.0,
            }
            for r in _rows(cells)[:8]
        ]
    )


def _nanochat(cells: Cells) -> bytes:
    rows = [row for row in _rows(cells) if row["step"] in (4000, 8000)]
    made = [
        {
            "flops_budget": 1e18 if row["step"] == 4000 else 2e18,
            "depth": 10 + 2 * i,
            "model_dim": 640 + 128 * i,
            "params_wte": 1000,
            "params_value_embeds": 5000,
            "params_lm_head": 1000,
            "params_transformer": row["params_total"],
            "params_scalars": 20,
            "params_total": (row["params_total"] or 0) + 7020,
            "num_iterations": row["step"],
            "tokens_trained": row["tokens"],
            "val_bpb": row["loss"],
            "core_score": 0.1,
            "train_time_sec": 1000,
        }
        for i, row in enumerate(rows)
    ]
    return _text({name: [row[name] for row in made] for name in made[0]} if made else {"val_bpb": []})


def _olmo(cells: Cells) -> Files:
    """A file a run, without its size."""
    files = {}
    for name in ("90M", "180M"):
        rows = [row for row in _rows(cells) if row["run"] == f"ladder-{name}"]
        files[f"olmo_{name}-1xC.csv"] = _text(
            {
                "throughput/total_tokens": [row["tokens"] for row in rows],
                "throughput/total_training_Gflops": [
                    None if row["flops"] is None else row["flops"] / 1e9 for row in rows
                ],
                "eval/c4_en-validation/CrossEntropyLoss": [row["loss"] for row in rows],
                "batch_size_in_tokens": [BATCH] * len(rows),
            }
        )
    return files


def _several(cells: Cells) -> Files:
    files = {}
    for run in dict.fromkeys(cells["run"]):
        rows = [row for row in _rows(cells) if row["run"] == run]
        files[f"{run}.csv"] = _text({name: [row[name] for row in rows] for name in cells if name != "run"})
    return files


def _ends(cells: Cells) -> Cells:
    keep = [i for i, step in enumerate(cells["step"]) if step == 8000]
    return {name: [values[i] for i in keep] for name, values in cells.items()}


SHAPES: dict[str, Shape] = {
    "csv": Shape(_one("runs.csv", _text), units=True, weight=3),
    "tsv": Shape(_one("runs.tsv", lambda c: _text(c, "\t")), units=True),
    "semicolons": Shape(_one("runs.csv", lambda c: _text(c, ";", ",")), units=True),
    "csv of ends": Shape(_one("runs.csv", lambda c: _text(_ends(c))), units=True),
    "json lines": Shape(_one("runs.jsonl", lambda c: _lines(_rows(c))), units=True, weight=2),
    "json records": Shape(_one("runs.json", lambda c: json.dumps(_rows(c)).encode()), units=True),
    "json columns": Shape(_one("runs.json", lambda c: json.dumps(c).encode()), units=True),
    "csv.gz": Shape(_one("runs.csv.gz", lambda c: gzip.compress(_text(c), mtime=0)), units=True),
    "csv.zst": Shape(_one("runs.csv.zst", lambda c: _zstd(_text(c))), units=True),
    "jsonl.gz": Shape(_one("runs.jsonl.gz", lambda c: gzip.compress(_lines(_rows(c)), mtime=0)), units=True),
    "parquet": Shape(_one("runs.parquet", _binary(lambda f, b: f.write_parquet(b))), units=True, weight=1.5),
    "parquet, plain": Shape(
        _one("runs.parquet", _binary(lambda f, b: f.write_parquet(b, compression="uncompressed"))), units=True
    ),
    "parquet, odd types": Shape(_one("runs.parquet", _odd_parquet), units=True),
    "parquet, ours": Shape(_one("runs.parquet", _own_parquet)),
    "arrow": Shape(_one("runs.arrow", _binary(lambda f, b: f.write_ipc(b))), units=True),
    "arrow stream": Shape(_one("runs.arrow", _binary(lambda f, b: f.write_ipc_stream(b))), weight=0.5),
    "several csv": Shape(_several, units=False),
    "wandb wide": Shape(_one("wide.csv", _wide), {"columns": "tokens=Step*524288,params_total=size(run)"}),
    "wandb history": Shape(_one("history.csv", _history)),
    "lightning": Shape(_one("metrics.csv", _lightning), {"columns": "tokens=step*524288,params_total=20M"}),
    "trainer_state": Shape(_one("trainer_state.json", _trainer_state), {"columns": "params_total=20M"}),
    "trainer_log": Shape(
        _one("trainer_log.jsonl", _trainer_log), {"columns": "params_total=20M,tokens=current_steps*524288"}
    ),
    "nanochat": Shape(_one("results.csv", _nanochat)),
    "olmo": Shape(
        _olmo,
        {
            "columns": "loss=eval/c4_en-validation/CrossEntropyLoss,params_total=size(run)",
        },
    ),
}


def _zstd(data: bytes) -> bytes:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        from backports import zstd
    return bytes(zstd.compress(data))


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
    lambda data, at, choice: choice.choice((gzip.compress(data, mtime=0), _zstd(data))),
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
        text = _is_text(data)
        if act == 0:
            data = gzip.compress(data, mtime=0)
        elif act == 1:
            data = _zstd(data)
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
            return {"runs.csv": _text(cells)}
        except Exception:
            return {"runs.csv": b""}
