"""`RunTable`: validated runs, with where they come from and what was assumed about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gemstones.display import html_table, labelled
from gemstones.errors import InvalidTable, extra
from gemstones.lazy import pl
from gemstones.runs.architecture import ASSUMED, Architecture
from gemstones.runs.dropped import Dropped
from gemstones.runs.loss_units import WORDS, LossUnit
from gemstones.runs.one_line import listed, one_line
from gemstones.runs.provenance import Source
from gemstones.runs.schema import SCHEMA

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]


GLANCE = ("run", "family", "width", "depth", "params_total", "tokens", "loss", "flops", "device_hours")
"""Columns that a notebook shows."""
GLANCED = 5
"""Rows that it shows."""


@dataclass(frozen=True, eq=False, repr=False)
class RunTable:
    """Validated runs, one row per (run, checkpoint), in base units: tokens, parameters, FLOPs, losses per token.

    What `gemstones.load` returns; made by `build_table` only, which checks every rule. `len(runs)` counts rows and
    `runs["loss"]` is a column. `frame` has the columns of `gemstones.runs.schema.SCHEMA` in order, then those of the
    source.

    >>> from gemstones.runs import load
    >>> runs = load("pebbles")
    >>> len(runs), runs.runs, runs["tokens"].max()
    (690, 37, 6758400.0)
    """

    frame: pl.DataFrame
    dataset: str
    """Known data set, or the user's file or frame."""
    selection: str = ""
    """What was selected, e.g. `all where width >= 512`; empty before any selection."""
    assumptions: tuple[str, ...] = ()
    """A plain sentence about everything that the data did not say."""
    flops_convention: str = ""
    """`gemstones` (Appendix G), `6N_…`, or `given`; joined by `+` where rows differ, empty where unknown."""
    sources: tuple[Source, ...] = ()
    architecture: Architecture = ASSUMED
    """What was said about the models beside width and depth."""
    loss_unit: LossUnit = "nats"
    """Of `loss`; nothing is converted."""
    format: str = "frame"
    """What the runs were read from: `csv`, `nanochat`, `frame`, …"""
    mapped: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Column → the expression over columns of the source that it is; only those that are not simply there."""
    where: str = ""
    """The condition that rows were kept for when they were read, before any rule."""
    dropped: tuple[Dropped, ...] = ()
    """Rows of the source that are not here, by reason."""
    warnings: tuple[str, ...] = ()
    """What looks wrong and was accepted; a fit to these rows carries them as flags."""

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, column: str) -> pl.Series:
        """A column, one value per row; `InvalidTable` where there is none of that name."""
        if not isinstance(column, str) or column not in self.frame.columns:
            raise InvalidTable(
                f"is no column of the runs: they have {listed(self.frame.columns, 20)}; rows are chosen by "
                "select(where=…)",
                file=self.origin,
                column=one_line(column, 60),
            )
        return self.frame[column]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: those of `gemstones.runs.schema.SCHEMA`, with their units, then those of the source.

        >>> from gemstones.runs import load
        >>> load("pebbles").columns[:4]
        ('run', 'family', 'width', 'depth')
        """
        return tuple(self.frame.columns)

    def to_polars(self) -> pl.DataFrame:
        """The rows as a polars frame, base units; see `gemstones.runs.schema.SCHEMA`.

        >>> from gemstones.runs import load
        >>> load("pebbles").to_polars()["loss"].min()
        3.181
        """
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame, base units. Raises `MissingExtra` without pandas and pyarrow.

        >>> from gemstones.runs import load
        >>> float(load("pebbles").to_pandas()["loss"].min())
        3.181
        """
        with extra("pandas", "a frame of pandas"):
            return self.frame.to_pandas()

    @property
    def rows(self) -> int:
        """Number of checkpoints."""
        return self.frame.height

    @property
    def runs(self) -> int:
        """Number of runs."""
        return int(self.frame["run"].n_unique())

    @property
    def origin(self) -> str:
        """The file or data set, and its selection, as errors name it."""
        name = self.sources[0].name if len(self.sources) == 1 else self.dataset
        return f"{name} ({one_line(self.selection)})" if self.selection else name

    @property
    def run_codes(self) -> NDArray[np.int64]:
        """Runs as 0, 1, … in order of first appearance, one per row: the clusters of resampling."""
        names = self.frame["run"].unique(maintain_order=True)
        codes = np.arange(len(names), dtype=np.int64)
        return self.frame["run"].replace_strict(names, codes).to_numpy()

    def knows(self, column: str) -> bool:
        """Whether `column` has a value in every row; `tokens` and `loss` always do.

        >>> from gemstones import load
        >>> load("pebbles").knows("width"), load("pebbles").knows("accuracy")
        (True, False)
        """
        return column in self.frame.columns and not self.frame[column].null_count()

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A numeric column as floats, one per row; `InvalidTable` where it is absent or has a null."""
        name = one_line(column, 60)
        if column not in self.frame.columns or self.frame[column].null_count() == self.rows:
            known = [
                c
                for c in self.frame.columns
                if self.frame[c].null_count() == 0 and self.frame[c].dtype.is_numeric()
            ]
            raise InvalidTable(
                f"is needed but not known; known in every row are {listed(known, 20)}; add the column, "
                f"or map it with --columns {name}=ITS_NAME",
                file=self.origin,
                column=name,
            )
        series = self.frame[column]
        if not series.dtype.is_numeric():
            raise InvalidTable(f"holds {series.dtype}: numbers are needed", file=self.origin, column=name)
        if series.null_count():
            raise InvalidTable(
                f"is needed but missing: fill it in, or leave the row out: --where '{name} IS NOT NULL'",
                file=self.origin,
                row=int(series.is_null().arg_true()[0]) + 1,
                column=name,
            )
        values: NDArray[np.float64] = series.cast(pl.Float64).to_numpy()
        return values

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the schema's columns: names, nulls and little-endian values, rows in their order.

        Columns of the source, the data set's name and what was assumed are not part of it.
        """
        return self.fingerprint_with(())

    def fingerprint_with(self, columns: Iterable[str]) -> str:
        """The fingerprint of the schema's columns and of those of the source among `columns`, each once."""
        digest = hashlib.sha256()
        of_schema = {column.name: str(column.dtype) for column in SCHEMA}
        others = {
            name: "Float64" if self.frame[name].dtype.is_numeric() else "String"
            for name in sorted({*columns})
            if name in self.frame.columns and name not in of_schema
        }
        for name, dtype in (of_schema | others).items():
            series = self.frame[name]
            digest.update(f"{name}:{dtype}:{len(series)};".encode())
            digest.update(series.is_null().to_numpy().astype("u1").tobytes())
            if dtype == "String":
                # Names repeat: a million rows have a few thousand.
                values = series.to_list()
                encoded = {value: ("" if value is None else str(value)).encode() for value in {*values}}
                framed = {value: len(text).to_bytes(8, "little") + text for value, text in encoded.items()}
                digest.update(b"".join([framed[value] for value in values]))
            else:
                kind = "<i8" if dtype == "Int64" else "<f8"
                digest.update(series.fill_null(0).to_numpy().astype(kind).tobytes())
        return digest.hexdigest()

    def select(self, name: str | None = None, where: str | None = None) -> RunTable:
        """The rows of a named selection, or of the data set's default, for which `where` holds.

        `where` is a polars SQL condition on the columns, e.g. `width >= 512 AND tokens > 1e10`. Raises
        `InvalidRequest` for an unknown name or an unreadable condition, `InvalidTable` if no row is left.
        """
        from gemstones.runs.selections import select

        return select(self, name, where)

    def write_parquet(self, path: str | Path) -> None:
        """Write the table to `path`, whole or not at all; `read_runs` gives it back exactly."""
        from gemstones.runs.parquet import write_parquet

        write_parquet(self, Path(path))

    def __repr__(self) -> str:
        selection = f", selection {one_line(self.selection)}" if self.selection else ""
        flops = f", FLOPs {self.flops_convention}" if self.flops_convention else ""
        known = [c for c in self.frame.columns if self.frame[c].null_count() < self.rows]
        flops += f", loss in {WORDS[self.loss_unit]}"
        said = [*labelled(("warning", self.warnings)), *self.assumptions]
        assumed = "".join(f"\n  {sentence}" for sentence in said)
        return (
            f"<RunTable {self.dataset}{selection}: {self.rows:,} rows, {self.runs:,} runs{flops}; "
            f"{listed(known, 20)}{assumed}>"
        )

    def _repr_html_(self) -> str:
        known = [c for c in self.frame.columns if self.frame[c].null_count() < self.rows]
        shown = [c for c in GLANCE if c in known]
        others = [c for c in known if c not in shown]
        selection = f", {one_line(self.selection)}" if self.selection else ""
        return html_table(
            f"{self.dataset}{selection}: {self.rows:,} checkpoints of {self.runs:,} runs",
            shown,
            [[_cell(row[c]) for c in shown] for row in self.frame.head(GLANCED).iter_rows(named=True)],
            (
                f"the first {min(GLANCED, self.rows)} of {self.rows:,} rows"
                + (f"; also known: {listed(others, 20)}" if others else ""),
                *([f"FLOPs: {self.flops_convention}"] if self.flops_convention else []),
                f"loss in {WORDS[self.loss_unit]}",
                *labelled(("warning", self.warnings), ("assumed", self.assumptions)),
            ),
        )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return one_line(value, 60)
    return f"{value:,.0f}" if 1e3 <= value < 1e9 else f"{value:.5g}"
