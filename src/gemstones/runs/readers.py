"""Users' runs: Parquet, CSV, JSON lines, folders of ledgers, and frames of polars, pandas or Arrow → `RunTable`.

CSV and JSON lines are read cell by cell, so that what cannot be read is named by row; the format of a file
is its suffix.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.runs.architecture import Architecture
from gemstones.runs.building import build_table
from gemstones.runs.cells import inferred, series_of_cells
from gemstones.runs.mapping import parse_columns
from gemstones.runs.one_line import one_line
from gemstones.runs.parquet import check_units, parse_parquet, table_fields
from gemstones.runs.schema import COLUMNS
from gemstones.runs.table import RunTable, Source

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
"""Of the files that can be read."""


def read_runs(
    source: Any,
    *,
    columns: Mapping[str, str] | str | None = None,
    vocabulary: int | None = None,
    head_size: int | None = None,
    context: int | None = None,
    queries_per_kv: int | None = None,
    reserved: Iterable[str] = (),
) -> RunTable:
    """The runs in a file, in a folder of ledgers, or in a frame of polars, pandas, or of Arrow's protocols.

    `columns` maps schema names to names in the source, as a mapping or written like `loss=val_loss,…`. The
    other options describe the models where parameters or FLOPs have to be computed from width and depth; those
    not given are assumed to be the Gemstones', and the table says so. Ledgers tell all of that themselves, and
    take none of it. A file's table is called by its stem, or by its whole name where that stem is `reserved`
    for a known data set. Raises `InvalidTable`, in one line.
    """
    if isinstance(columns, str):
        columns = parse_columns(columns)
    architecture = Architecture(vocabulary, head_size, context, queries_per_kv)
    architecture.like()  # options that no model can have are refused before any file is read
    if not isinstance(source, str | Path):
        return build_table(
            _frame_of(source), columns=columns, architecture=architecture, sources=(Source("frame", ""),)
        )
    path, file = Path(source), one_line(source)
    if _is_folder(path):
        if columns or architecture != Architecture():
            raise InvalidRequest(
                f"columns, vocabulary and the like cannot be set for the folder {file}: its ledgers tell them"
            )
        from gemstones.runs.collect import collect

        return collect(path).table
    content = _content(path, file)
    # A table of a user's must not take the selections of a known data set by accident of its name.
    dataset = one_line(path.name if path.stem in reserved else path.stem)
    own = (Source(one_line(path.name), str(path), hashlib.sha256(content).hexdigest()),)
    if path.suffix.lower() != ".parquet":
        frame = parse_csv(content, file) if path.suffix.lower() == ".csv" else parse_json_lines(content, file)
        return build_table(
            frame, dataset=dataset, file=file, columns=columns, architecture=architecture, sources=own
        )
    frame, metadata = parse_parquet(content, file)
    check_units(metadata, columns or {}, file)
    fields = table_fields(metadata, file)
    if fields is None:
        return build_table(
            frame, dataset=dataset, file=file, columns=columns, architecture=architecture, sources=own
        )
    return build_table(
        frame,
        dataset=fields.dataset,
        file=file,
        columns=columns,
        architecture=fields.architecture.overridden(by=architecture),
        selection=fields.selection,
        assumptions=fields.assumptions,
        flops_convention=fields.flops_convention,
        sources=fields.sources,
        units_declared=True,
    )


def parse_csv(content: bytes, file: str) -> pl.DataFrame:
    """Columns of a CSV file with a header: the schema's as text, others as what all of their cells are."""
    import polars as pl

    reader = csv.reader(io.StringIO(_text(content, file), newline=""), strict=True)
    row, rows, header = 0, [], None
    try:
        for cells in reader:
            if not cells:  # an empty line
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                continue
            row += 1
            if len(cells) != len(header):
                raise InvalidTable(f"has {len(cells)} cells, the header {len(header)}", file=file, row=row)
            rows.append(cells)
    except csv.Error as error:
        raise InvalidTable(f"is no CSV: {one_line(error)}", file=file, row=row + 1) from None
    if header is None:
        raise InvalidTable("is empty: a header and rows are needed", file=file)
    _check_distinct(header, file)
    columns = {
        name: pl.Series(name, [cells[i] for cells in rows], dtype=pl.String) for i, name in enumerate(header)
    }
    # What the schema has is typed by `build_table`, which names the row of what is no number.
    return pl.DataFrame({name: text if name in COLUMNS else inferred(text) for name, text in columns.items()})


def parse_json_lines(content: bytes, file: str) -> pl.DataFrame:
    """Columns of a file with one JSON object on every line; a key that an object lacks is null there."""
    import msgspec
    import polars as pl

    decoder = msgspec.json.Decoder(dict[str, Any])
    objects: list[dict[str, Any]] = []
    # Not str.splitlines, which also splits at characters that may stand inside a JSON string.
    for line in _text(content, file).split("\n"):
        if not line.strip():
            continue
        try:
            objects.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidTable(
                f"is no JSON object: {one_line(error)}", file=file, row=len(objects) + 1
            ) from None
    if not objects:
        raise InvalidTable("is empty: one JSON object a line is needed", file=file)
    names = dict.fromkeys(name for item in objects for name in item)
    return pl.DataFrame({name: series_of_cells(name, [item.get(name) for item in objects]) for name in names})


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long a name, a null character: for the rules of files to tell
        return False


def _content(path: Path, file: str) -> bytes:
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidTable(
            f"has suffix {one_line(path.suffix)!r}: it must be one of {', '.join(SUFFIXES)}, or be a folder of "
            f"ledgers",
            file=file,
        )
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidTable(
            "does not exist: give the path of a file, or the name of a data set", file=file
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise InvalidTable(
            f"cannot be read: {one_line(getattr(error, 'strerror', error))}", file=file
        ) from None


def _text(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidTable(f"is not UTF-8 text: line {line}, byte {error.start}", file=file) from None


def _check_distinct(header: list[str], file: str) -> None:
    for name in header:
        if header.count(name) > 1:
            raise InvalidTable(
                "is there twice: give every column a name of its own",
                file=file,
                column=one_line(name) or "''",
            )


def _frame_of(source: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(source, pl.DataFrame):
        return source
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # pandas, without importing it
        header = [str(name) for name in source.columns]
        _check_distinct(header, "frame")
        cells = source.to_dict(orient="list")
        return pl.DataFrame(
            {
                name: series_of_cells(name, _without_pandas_nulls(name, cells[key]))
                for name, key in zip(header, cells, strict=True)
            }
        )
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source)
    if hasattr(source, "__dataframe__"):
        return pl.from_dataframe(source)
    raise InvalidTable(
        f"a {type(source).__name__} holds no runs: give a path, or a frame of polars, pandas or Arrow",
        file="frame",
    )


def _without_pandas_nulls(name: str, cells: list[Any]) -> list[Any]:
    """Cells with pandas' several nulls as None; a NaN of a required column stays, for its rule."""
    required = name in COLUMNS and COLUMNS[name].required
    return [
        None if type(cell).__name__ in ("NAType", "NaTType") or (not required and cell != cell) else cell  # noqa: PLR0124
        for cell in cells
    ]
