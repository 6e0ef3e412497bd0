"""Run tables as Parquet files: everything a `RunTable` holds, with the units beside the numbers.

Two entries of the file's key-value metadata: `gemstones`, the table's own fields, and `units`, a JSON object
of units by column that any program can write, and that is held against the schema when a file is read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gemstones.errors import InvalidTable
from gemstones.files import write_bytes
from gemstones.lazy import pl
from gemstones.runs.architecture import Architecture
from gemstones.runs.dropped import Dropped
from gemstones.runs.loss_units import PER, LossUnit, unit_of
from gemstones.runs.one_line import one_line
from gemstones.runs.provenance import Source
from gemstones.runs.schema import SCHEMA_VERSION, UNITS

if TYPE_CHECKING:
    from gemstones.runs.table import RunTable


class TableFields(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a file keeps of a `RunTable` beside its frame."""

    schema_version: int
    dataset: str
    selection: str
    assumptions: tuple[str, ...]
    flops_convention: str
    sources: tuple[Source, ...]
    architecture: Architecture
    loss_unit: LossUnit = "nats"
    format: str = "gemstones"
    mapped: dict[str, str] = {}
    where: str = ""
    dropped: tuple[Dropped, ...] = ()
    warnings: tuple[str, ...] = ()


def fields_of(table: RunTable) -> TableFields:
    """What is kept of `table` beside its frame."""
    own = {name: getattr(table, name) for name in TableFields.__struct_fields__ if hasattr(table, name)}
    return TableFields(schema_version=SCHEMA_VERSION, **own | {"mapped": dict(table.mapped)})


def write_parquet(table: RunTable, path: Path) -> None:
    """Write under a temporary name in the same folder, then rename: a reader never sees half a file."""
    metadata = {
        "gemstones": msgspec.json.encode(fields_of(table)).decode(),
        "units": msgspec.json.encode({**UNITS, "loss": PER[table.loss_unit]}).decode(),
    }
    buffer = io.BytesIO()
    try:
        table.frame.write_parquet(buffer, metadata=metadata)
    except pl.exceptions.PolarsError as error:
        raise InvalidTable(f"cannot be written as Parquet: {one_line(error)}", file=one_line(path)) from None
    write_bytes(path, buffer.getvalue())


def is_run_table(content: bytes) -> bool:
    """Whether `write_parquet` wrote it: by the names in the footer, which need not be read for that."""
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        return False
    size = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - size : -8]
    return b"gemstones" in footer and b'"schema_version"' in footer


def table_fields(metadata: Mapping[str, str], file: str) -> TableFields | None:
    """What `write_parquet` kept, or `None` for a file of another program."""
    if "gemstones" not in metadata:
        return None
    try:
        fields = msgspec.json.decode(metadata["gemstones"], type=TableFields)
    except msgspec.DecodeError as error:
        raise InvalidTable(f"has unreadable metadata 'gemstones': {one_line(error)}", file=file) from None
    if fields.schema_version != SCHEMA_VERSION:
        raise InvalidTable(
            f"has schema version {fields.schema_version}, this program reads {SCHEMA_VERSION}: "
            "write the file again, or install the version that wrote it",
            file=file,
        )
    return fields


def declared_units(metadata: Mapping[str, str], file: str) -> Mapping[str, str]:
    """Units by column that the file declares, none where it does not."""
    try:
        return msgspec.json.decode(metadata.get("units", "{}"), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise InvalidTable(f"has unreadable metadata 'units': {one_line(error)}", file=file) from None


def check_units(declared: Mapping[str, str], columns: Mapping[str, str], file: str) -> None:
    """Units that a file declares are the schema's; `columns` maps schema names to names in the file.

    The loss may be in any unit of `loss_units.PER`.
    """
    for name, unit in UNITS.items():
        found = declared.get(columns.get(name, name), unit)
        if found != unit and not (name == "loss" and unit_of(found)):
            raise InvalidTable(
                f"mixed units: the file declares {one_line(found, 40)!r}, the schema {unit!r}: "
                "convert the column, and declare it so",
                file=file,
                column=name,
            )
