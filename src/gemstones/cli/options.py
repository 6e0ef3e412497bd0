"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from glob import glob
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import CoercionError, Parameter, Token

from gemstones.cli.numbers import check_text
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.parallel import check_workers
from gemstones.runs import DATASETS, RunTable, load, parse_columns
from gemstones.shape import Shape
from gemstones.units import parse_count

FLAG = Parameter(negative="", show_default=False)
"""A switch that is off, or a list that is empty, unless it is given."""
Json = Annotated[bool, FLAG, Parameter(name="--json", help="One JSON object on standard output.")]
Verbose = Annotated[
    bool,
    FLAG,
    Parameter(
        help="What the answer rests on too: every row and column, how intervals were made, cautions in full."
    ),
]
Runs = Annotated[
    tuple[str, ...],
    Parameter(
        negative="",
        help="A known data set (`gemstones data list`), files of runs, a pattern like 'logs/*.csv', or a folder of "
        "ledgers (docs/your-runs.md).",
    ),
]
Force = Annotated[
    bool,
    FLAG,
    Parameter(
        help="Take what is refused as implausible or inseparable, flagged; replace files that another wrote."
    ),
]
Replace = Annotated[bool, FLAG, Parameter(help="Replace files that another program wrote.")]


def _path(_: Any, tokens: Sequence[Token]) -> Path:
    if not tokens[0].value.strip():
        raise CoercionError(msg="'' names nothing: name a file or a folder")
    check_text(tokens[0].value)
    return Path(tokens[0].value)


OUTPUT = Parameter(converter=_path)
"""Of an option that names what is written: an empty text is not the current folder."""
HeldOut = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(
        name="--held-out",
        help="NAME=FOLDER: the corpus of a held-out set of the suite, instead of the file's; may be repeated.",
    ),
]

Sources = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(
        name="--source",
        help="NAME=FOLDER: the corpus of a source of the suite's mixtures, instead of the file's; may be repeated.",
    ),
]


def named_folders(given: Sequence[str], option: str) -> dict[str, Path]:
    """Folders by name, of `option`s like prose=corpora/prose."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not (equals and name and folder.strip()):
            raise InvalidRequest(
                f"{option} {text!r} must be a name and a folder: write it like prose=corpora/prose"
            )
        if name in found:
            raise InvalidRequest(f"{option} {name!r} is given twice: leave one out")
        found[name] = Path(folder)
    return found


Params = Annotated[str, Parameter(help="What N counts: total, no_embedding or non_embedding.")]
Delta = Annotated[
    float, Parameter(help="Where the Huber function turns from squared to absolute, in log loss.")
]
Seed = Annotated[int, Parameter(help="Seed of the resampling.")]
Level = Annotated[float, Parameter(help="Probability of the intervals.")]
Budgets = Annotated[
    str | None,
    Parameter(help="FLOPs to plan for, like 1e20,1e22 (default: from within the runs to 100 times beyond)."),
]
Workers = Annotated[
    str | None,
    Parameter(
        help="Processes (default: all cores), or the scheduler of a Dask cluster, tcp://host:8786. Results do not "
        "depend on it."
    ),
]

Device = Annotated[
    str, Parameter(help="cpu or cuda (default: an accelerator if there is one).", show_default=False)
]
MicroBatch = Annotated[
    int | None, Parameter(help="Sequences at a time on a process, to save memory (default: all).")
]
Compiled = Annotated[
    bool | None,
    Parameter(
        name="--compile",
        negative="--no-compile",
        show_default=False,
        help="Compile the model with torch.compile, or do not (default: what the run's ledger says, else, on a CPU, "
        "where a measurement says that it pays for a run of 10 minutes or more).",
    ),
]
Recomputed = Annotated[
    Literal["none", "attention", "block"],
    Parameter(
        name="--recompute",
        help="Activations that are not kept for the backward pass but computed again, to save memory; the run is the "
        "same to the bit.",
    ),
]
MatrixProducts = Annotated[
    Literal["mkl", "onednn"] | None,
    Parameter(
        name="--products",
        help="Library of float32 matrix products on a CPU (default: what the run's ledger says, else the faster one "
        "here, measured once).",
    ),
]
Sinks = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(help="tensorboard or wandb (offline), beside the ledger; may be repeated."),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """How to read a table of your own, and which of its rows to use."""

    select: Annotated[str | None, Parameter(help="Named selection (`gemstones data show RUNS`).")] = None
    where: Annotated[
        str | None,
        Parameter(help="Condition on columns, before any rule, e.g. 'width >= 512 AND tokens > 2B'."),
    ] = None
    columns: Annotated[
        str | None,
        Parameter(help="What columns are over those of your file, e.g. loss=val_loss,tokens=_step*524288."),
    ] = None
    format: Annotated[
        str | None, Parameter(help="Format of the files, where their content does not tell it.")
    ] = None
    run_from: Annotated[
        str | None,
        Parameter(help="Regular expression that finds a run's name in a file's, e.g. 'olmo_(.+).csv'."),
    ] = None
    loss_unit: Annotated[
        str | None, Parameter(help="nats (the default), bits, both per token, or bits_per_byte.")
    ] = None
    duplicates: Annotated[
        str | None, Parameter(help="Of two rows of a run at the same tokens: last, first or refuse.")
    ] = None
    vocabulary: Annotated[int | None, Parameter(help="Vocabulary of the models, to count parameters.")] = None
    head_size: Annotated[int | None, Parameter(help="Head size of the models.")] = None
    context: Annotated[int | None, Parameter(help="Sequence length of the models, to count FLOPs.")] = None
    queries_per_kv: Annotated[int | None, Parameter(help="Query heads per key-value head.")] = None
    force: Force = False

    @property
    def given(self) -> str | None:
        """The first option that was given, but for `--force`."""
        names = (f.name for f in fields(self) if f.name != "force" and getattr(self, f.name) != f.default)
        return next((f"--{name.replace('_', '-')}" for name in names), None)

    def load(self, runs: Sequence[str]) -> RunTable:
        """The table, not yet selected from; of a file of your own the rows for which `--where` holds."""
        if not runs:
            raise InvalidRequest("runs: name a data set (gemstones data list) or a file of runs")
        if runs[0] in DATASETS and len(runs) == 1:
            return load(runs[0], **self._described())
        return load(list(runs), where=self.where, force=self.force, **self._described())

    def _described(self) -> dict[str, Any]:
        """What describes files of your own."""
        plain = (
            "format",
            "run_from",
            "loss_unit",
            "duplicates",
            "vocabulary",
            "head_size",
            "context",
            "queries_per_kv",
        )
        columns = None if self.columns is None else parse_columns(self.columns)
        return {"columns": columns, **{name: getattr(self, name) for name in plain}}

    def selected(self, runs: Sequence[str]) -> RunTable:
        """The rows asked for."""
        table = self.load(runs)
        # Selections of a published data set are of its rows, whatever else is asked for.
        published = len(runs) == 1 and runs[0] in DATASETS
        return table.select(self.select, self.where if published else None)


def files_of(runs: Sequence[str]) -> list[Path]:
    """The files that RUNS names, so that none of them is written over; a known data set has none."""
    return [Path(file) for text in runs for file in (glob(text) or [text])]  # noqa: PTH207


@Parameter(name="*")
@dataclass(frozen=True)
class Resampled:
    """How intervals are made."""

    bootstrap: Annotated[int, Parameter(help="Resamples for intervals; 0 for none.")] = 0
    resample: Annotated[str, Parameter(help="What is resampled: run (whole runs) or row.")] = "run"
    seed: Seed = 0
    level: Level = 0.95
    workers: Workers = None

    def arguments(self, progress: Callable[[int], None]) -> dict[str, Any]:
        """What `fit` and `envelope` take of it."""
        return {
            "bootstrap": self.bootstrap,
            "unit": self.resample,
            "seed": self.seed,
            "level": self.level,
            "workers": worker_count(self.workers),
            "progress": progress,
        }


def count_of(text: str | None, option: str) -> int | None:
    """A whole number as an option writes it, like 50M; None where it was not given."""
    return None if text is None else parse_count(text, option)


def at_least_one(value: int | None, option: str) -> int | None:
    """What an option gives, if anything; refused below 1."""
    if value is not None and value < 1:
        raise InvalidRequest(f"{option} {value} must be at least 1")
    return value


def core_count() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(workers: str | None) -> int | str:
    """What `--workers` says: a number of processes, by default that of cores, or the address of a cluster."""
    if workers is None:
        return core_count()
    if "://" in workers:
        check_workers(workers)
        return workers
    return parse_count(workers, "workers")


@Parameter(name="*")
@dataclass(frozen=True)
class Architecture:
    """Fields of a shape beside width and depth."""

    head_size: Annotated[int, Parameter(help="Size of a head.")] = 128
    queries_per_kv: Annotated[int, Parameter(help="Query heads per key-value head.")] = 2
    mlp_expansion: Annotated[int, Parameter(help="MLP width over width.")] = 4
    vocabulary: Annotated[int, Parameter(help="Rows of the embedding, padding included.")] = 50_304
    context: Annotated[int, Parameter(help="Sequence length in tokens.")] = 2048

    def shape(self, text: str) -> Shape:
        """The shape written as WxD with these fields."""
        return Shape.parse(text, **asdict(self))

    def template(self) -> Shape:
        """A narrow shape with these fields."""
        return Shape(max(2 * self.head_size * self.queries_per_kv, 1), 1, **asdict(self))


@Parameter(name="*")
@dataclass(frozen=True)
class Ranges:
    """The search over shapes."""

    min_width: Annotated[int | None, Parameter(help="Narrowest width.")] = None
    max_width: Annotated[int | None, Parameter(help="Widest width.")] = None
    min_depth: Annotated[int | None, Parameter(help="Fewest blocks.")] = None
    max_depth: Annotated[int | None, Parameter(help="Most blocks.")] = None
    width_multiple: Annotated[int | None, Parameter(help="Widths are multiples of it.")] = None
    even_heads: Annotated[bool, Parameter(help="Only even numbers of query heads.")] = True

    def over(self, default: Constraints) -> Constraints:
        """`default`, with what was given."""
        return Constraints(
            width_min=default.width_min if self.min_width is None else self.min_width,
            width_max=default.width_max if self.max_width is None else self.max_width,
            depth_min=default.depth_min if self.min_depth is None else self.min_depth,
            depth_max=default.depth_max if self.max_depth is None else self.max_depth,
            even_heads=self.even_heads,
            width_multiple=default.width_multiple if self.width_multiple is None else self.width_multiple,
            template=default.template,
        )
