"""What a format hands on: a frame whose columns are called as in the file, and the facts that its format fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gemstones.lazy import pl
from gemstones.runs.dropped import Dropped
from gemstones.runs.provenance import Source

if TYPE_CHECKING:
    from gemstones.runs.parquet import TableFields


@dataclass(frozen=True, eq=False)
class Opened:
    """The rows of a file, of several, or of a frame, before any column is mapped, filtered or checked.

    Columns of text formats are all String, their cells stripped, empty ones null; those of typed formats are
    booleans, numbers or text. Nothing is guessed here: what `known` says follows from the format.
    """

    frame: pl.DataFrame
    format: str
    """Name of the format, as `--format` takes it; `frame` for a frame in memory."""
    file: str
    """What errors call the file."""
    dataset: str = "frame"
    """What the table is called: the file's stem."""
    one_run: bool = False
    """Whether all rows are of one run, which nothing but the file's name tells."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Expression by name of the schema, where the format defines it; `--columns` goes before it."""
    remedies: Mapping[str, str] = field(default_factory=dict)
    """What to write in `--columns` for a name of the schema that the format does not hold: `_step*BATCH_TOKENS`."""
    loss_unit: str | None = None
    """`nats`, `bits` or `bits_per_byte` where the format fixes it."""
    assumptions: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    decimal_comma: bool = False
    """Whether `3,406` is three and a bit."""
    sources: tuple[Source, ...] = ()
    fields: TableFields | None = None
    """What a table of this program's knows of itself."""
    joined_by: tuple[str, ...] = ()
    """Columns by which rows without a loss are joined to those of other files; empty where they are rows of runs."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units by column, where the file declares them."""
