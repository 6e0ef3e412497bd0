"""The known data sets, and `load`, which takes the name of one or a path.

- `gemstones`: the three run files of the paper as the families `main`, `lr-ablation` and `cooldown`.
- `gemstones-fineweb-edu`, `gemstones-dclm`: the main runs' losses on two other validation sets, every 10B tokens.
- `gemstones-benchmarks`: nine accuracies of the main runs every 10B tokens, with their standard errors, beside the
  losses on the runs' own and on the two other validation sets.
- `chinchilla`: the runs of Hoffmann et al., read off their Figure 4 by Epoch AI (Besiroglu et al., 2024).
- `pebbles`: a suite of our own, `studies/pebbles.toml`, as `gemstones runs collect` made a table of its ledgers;
  it comes with the package, and `studies/pebbles/README.md` makes it again; `pebbles-2`, a second one, is designed
  for a law: `studies/pebbles-2.toml` and `studies/pebbles/second.md`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from gemstones.accounting.parameters import params
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.lazy import pl
from gemstones.runs.architecture import GEMSTONES_ARCHITECTURE
from gemstones.runs.benchmarks import KEY, read_benchmarks
from gemstones.runs.building import build_table
from gemstones.runs.fetch import ENTRIES, Entry, Packaged, fetch
from gemstones.runs.formats import SUFFIXES
from gemstones.runs.formats.delimited import typed_csv
from gemstones.runs.one_line import one_line
from gemstones.runs.provenance import Source
from gemstones.runs.readers import filtered, read_runs
from gemstones.runs.selections import default_selection
from gemstones.runs.table import RunTable
from gemstones.shape import Shape

DEVICES_PER_NODE = 8
"""Of the machine that trained the Gemstones: MI250X cards, of which each is two devices (paper §3)."""

_RUN_NAME = re.compile(r"(?:cooler_)?PyGemma-(\d+x\d+)_pretrain|Gemstone-(\d+x\d+)")


@dataclass(frozen=True)
class Dataset:
    """A known data set: what it is, which files it is made of, and how they are read."""

    name: str
    description: str
    entries: tuple[Entry | Packaged, ...]
    licence: str
    read: Callable[[Dataset], RunTable]

    @property
    def default_selection(self) -> str:
        """What is selected where nothing is said."""
        return default_selection(self.name)


class GemstonesRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One line of a run file of the Gemstones."""

    run_name: str
    params_active_precise: int
    width: int
    depth: int
    tokens: int
    step: int
    num_nodes: int | None
    seconds_per_step: float | None
    """None, as `num_nodes`, in the files of other validation sets: step times are of the run, not of a loss."""
    final_loss: float


def _read_gemstones(dataset: Dataset) -> RunTable:
    return _gemstones_table(
        dataset, {entry: entry.name.removeprefix("gemstones-") for entry in _published(dataset)}
    )


def _read_gemstones_losses(dataset: Dataset) -> RunTable:
    return _gemstones_table(dataset, dict.fromkeys(_published(dataset), "main"))


def _gemstones_table(dataset: Dataset, families: Mapping[Entry, str]) -> RunTable:
    """The rows of run files, each of one family, as one table."""
    table = build_table(
        pl.concat([_gemstones_family(entry, family) for entry, family in families.items()]),
        dataset=dataset.name,
        file=dataset.name,
        architecture=GEMSTONES_ARCHITECTURE,
        sources=_sources(dataset),
    )
    # Completion leaves given totals alone: hold them against the closed form here.
    closed_form = table.frame.select("width", "depth", "params_total").with_row_index("row", offset=1)
    for row, width, depth, total in (
        closed_form.unique(["width", "depth", "params_total"]).sort("row").iter_rows()
    ):
        expected = params(Shape(width, depth))
        if total != expected:
            raise InvalidTable(
                f"{total:.0f} differs from the closed form {expected} of {width}x{depth}",
                file=dataset.name,
                row=row,
                column="params_total",
            )
    return table


def _gemstones_family(entry: Entry, family: str) -> pl.DataFrame:
    decoder = msgspec.json.Decoder(GemstonesRow)
    rows = []
    for number, line in enumerate(fetch(entry).read_bytes().splitlines(), start=1):
        try:
            row = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise InvalidTable(one_line(error), file=entry.name, row=number) from None
        name = _RUN_NAME.fullmatch(row.run_name)
        if name is None or f"{row.width}x{row.depth}" not in name.groups():
            raise InvalidTable(
                f"{row.run_name!r} is not named by its shape", file=entry.name, row=number, column="run_name"
            )
        rows.append(row)
    if len(rows) != entry.rows:
        raise InvalidTable(f"has {len(rows)} rows, expected {entry.rows}", file=entry.name)
    devices = [None if row.num_nodes is None else row.num_nodes * DEVICES_PER_NODE for row in rows]
    return pl.DataFrame(
        {
            "run": [f"{family}/{row.width}x{row.depth}" for row in rows],
            "family": [family] * len(rows),
            "width": [row.width for row in rows],
            "depth": [row.depth for row in rows],
            "params_total": [row.params_active_precise for row in rows],
            "tokens": [row.tokens for row in rows],
            "step": [row.step for row in rows],
            "loss": [row.final_loss for row in rows],
            "seconds_per_step": [row.seconds_per_step for row in rows],
            "devices": devices,
            "run_name": [row.run_name for row in rows],
            "num_nodes": [row.num_nodes for row in rows],
        }
    )


def _read_gemstones_benchmarks(dataset: Dataset) -> RunTable:
    main, edu, dclm, accuracies, errors = _published(dataset)
    table = _gemstones_table(dataset, {main: "main"})
    found = table.frame.join(
        read_benchmarks(accuracies, errors), on=KEY, validate="1:1", maintain_order="left"
    )
    for name, entry in (("loss_fineweb_edu", edu), ("loss_dclm", dclm)):
        losses = _gemstones_family(entry, "main").select(*KEY, loss="loss").rename({"loss": name})
        found = found.join(losses, on=KEY, validate="1:1", maintain_order="left")
    if found.height != accuracies.rows:
        raise InvalidTable(
            f"has {found.height} checkpoints with accuracies and three losses, expected {accuracies.rows}",
            file=dataset.name,
        )
    return replace(table, frame=found)


def _read_chinchilla(dataset: Dataset) -> RunTable:
    (entry,) = dataset.entries
    frame = typed_csv(fetch(entry).read_bytes(), entry.name)
    size, flops = frame["Model Size"], frame["Training FLOP"]
    frame = frame.with_columns(
        pl.Series("run", [f"chinchilla/{row:03d}" for row in range(1, frame.height + 1)]),
        # The figure has FLOPs on its axis, by their own rule 6·N·T (Hoffmann et al., Appendix F).
        (flops / (6 * size)).alias("tokens"),
    )
    return build_table(
        frame,
        dataset=dataset.name,
        file=entry.name,
        columns={"params_total": "Model Size", "flops": "Training FLOP"},
        assumptions=("tokens taken as FLOPs / (6 x params_total): the figure has model size and FLOPs only",),
        sources=_sources(dataset),
    )


def _read_pebbles(dataset: Dataset) -> RunTable:
    (entry,) = dataset.entries
    path = fetch(entry)
    table = read_runs(path)
    sources = [Source(entry.name, f"{path.name} in the package", entry.sha256, entry.licence)]
    # What it was collected from: the digest of its ledgers, not where they were.
    ledgers = f"ledgers of the runs of studies/{dataset.name}.toml"
    sources += [
        Source(f"{dataset.name}-ledgers", ledgers, folder.sha256, entry.licence) for folder in table.sources
    ]
    return replace(table, dataset=dataset.name, sources=tuple(sources))


def _published(dataset: Dataset) -> tuple[Entry, ...]:
    return tuple(entry for entry in dataset.entries if isinstance(entry, Entry))


def _sources(dataset: Dataset) -> tuple[Source, ...]:
    return tuple(Source(entry.name, entry.url, entry.sha256, entry.licence) for entry in dataset.entries)


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (
            Dataset(
                "gemstones",
                "Gemstones: 22 shapes to 350B tokens, 20 with half the learning rate, 20 cooled down",
                (ENTRIES["gemstones-main"], ENTRIES["gemstones-lr-ablation"], ENTRIES["gemstones-cooldown"]),
                "MIT",
                _read_gemstones,
            ),
            Dataset(
                "gemstones-fineweb-edu",
                "Gemstones on FineWeb-Edu: the losses of the 22 main runs on another validation set, every 10B tokens",
                (ENTRIES["gemstones-fineweb-edu"],),
                "MIT",
                _read_gemstones_losses,
            ),
            Dataset(
                "gemstones-dclm",
                "Gemstones on DCLM: the losses of the 22 main runs on another validation set, every 10B tokens",
                (ENTRIES["gemstones-dclm"],),
                "MIT",
                _read_gemstones_losses,
            ),
            Dataset(
                "gemstones-benchmarks",
                "Gemstones on nine benchmarks: accuracies of the 22 main runs, every 10B tokens, beside three losses",
                (
                    ENTRIES["gemstones-main"],
                    ENTRIES["gemstones-fineweb-edu"],
                    ENTRIES["gemstones-dclm"],
                    ENTRIES["gemstones-accuracies"],
                    ENTRIES["gemstones-accuracy-errors"],
                ),
                "MIT",
                _read_gemstones_benchmarks,
            ),
            Dataset(
                "chinchilla",
                "Chinchilla: 245 runs read off a figure of Hoffmann et al. by Epoch AI",
                (ENTRIES["chinchilla-epoch"],),
                "none stated",
                _read_chinchilla,
            ),
            Dataset(
                "pebbles",
                "Pebbles: 13 shapes of 0.1M to 0.5M to 6M tokens, 9 with half the learning rate, 5 cooled down",
                (Packaged("pebbles", "pebbles.parquet", "MIT"),),
                "MIT",
                _read_pebbles,
            ),
            Dataset(
                "pebbles-2",
                "Pebbles, the second: 20 shapes of 0.02M to 2.2M, cooled down at equal FLOPs; two recipes, two seeds",
                (Packaged("pebbles-2", "pebbles-2.parquet", "MIT"),),
                "MIT",
                _read_pebbles,
            ),
        )
    }
)
"""Known data sets by name."""


_FRAMES = ("columns", "__arrow_c_stream__", "__dataframe__")
"""What a frame has one of, whatever library it is of."""


@checked
def load(
    name_or_path: Any,
    *,
    columns: Mapping[str, str] | str | None = None,
    where: str | None = None,
    format: str | None = None,  # noqa: A002
    run_from: str | None = None,
    loss_unit: str | None = None,
    duplicates: str | None = None,
    force: bool = False,
    vocabulary: int | None = None,
    head_size: int | None = None,
    context: int | None = None,
    queries_per_kv: int | None = None,
) -> RunTable:
    """The data set of that name, else the runs of that path, frame or list of dicts: `name_or_path`.

    `columns` says what a column of the table is over those of the source, as a mapping or written like
    `loss=val_loss,tokens=_step*524288`; `where` keeps the rows for which a condition holds. `format` is that of files
    whose content does not tell it, `run_from` a regular expression that finds the name of a run in that of a file;
    `loss_unit` is `nats`, `bits` or `bits_per_byte`; `duplicates` says which of two rows at the same tokens is kept,
    `last`, `first` or `refuse`; `force` takes what cannot be in the units of the table, with a warning. `vocabulary`,
    `head_size`, `context` (tokens) and `queries_per_kv` describe models whose parameters or FLOPs are counted from
    width and depth.

    Raises `InvalidTable` for rows that cannot be used, `InvalidRequest` for what is no runs at all, and for options
    beside a name or a table: what they describe is known of it.

    >>> load([{"N": 1e8, "T": 2e9, "val_loss": 3.1}, {"N": 1e8, "T": 4e9, "val_loss": 2.9}])["loss"].to_list()
    [3.1, 2.9]
    """
    options: dict[str, Any] = {
        "columns": columns, "where": where, "format": format, "run_from": run_from, "loss_unit": loss_unit,
        "duplicates": duplicates, "force": force, "vocabulary": vocabulary, "head_size": head_size,
        "context": context, "queries_per_kv": queries_per_kv,
    }  # fmt: skip
    if isinstance(name_or_path, list | tuple) and len(name_or_path) == 1 and isinstance(name_or_path[0], str):
        (name_or_path,) = name_or_path
    known = isinstance(name_or_path, RunTable) or (isinstance(name_or_path, str) and name_or_path in DATASETS)
    if known:
        options.pop("where")
    given = sorted(option for option, value in options.items() if value is not None and value is not False)
    if known and given:
        name = name_or_path.dataset if isinstance(name_or_path, RunTable) else name_or_path
        raise InvalidRequest(
            f"{', '.join(given)} cannot be set for the data set {name}: they describe files of your own"
        )
    if isinstance(name_or_path, RunTable):
        return filtered(name_or_path, where)
    if known:
        dataset = DATASETS[name_or_path]
        return filtered(dataset.read(dataset), where)
    holds_rows = isinstance(name_or_path, str | Path | list | tuple | Mapping)
    if not holds_rows and not any(hasattr(name_or_path, name) for name in _FRAMES):
        raise InvalidRequest(
            f"a value of type {type(name_or_path).__name__} holds no runs: give the name of a data set "
            f"({', '.join(DATASETS)}), a path, a frame (polars, pandas, Arrow) or a list of dicts"
        )
    if isinstance(name_or_path, str) and "/" not in name_or_path and name_or_path != "-":
        path = Path(name_or_path)
        there = os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a name is too long
        if not path.suffix and not there and not glob.has_magic(name_or_path):
            raise InvalidRequest(
                f"data set {one_line(name_or_path)!r} is unknown: choose from {', '.join(DATASETS)}, "
                f"or give the path of a file ({', '.join(SUFFIXES)}) or of a folder of ledgers"
            )
    return read_runs(name_or_path, reserved=DATASETS, **options)
