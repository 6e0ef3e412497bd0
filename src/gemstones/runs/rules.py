"""What every run table keeps: rules on values, on shapes, on identity, and against mixed units.

Each broken rule is one `InvalidTable` that names the file, the row, the column and the value.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.errors import InvalidShape, InvalidTable
from gemstones.runs.architecture import Architecture
from gemstones.runs.cells import first_row
from gemstones.runs.one_line import one_line
from gemstones.runs.schema import SCHEMA
from gemstones.shape import FloatArray, Shape, Shapes
from gemstones.units import format_quantity

if TYPE_CHECKING:
    import polars as pl

UNIT_GAP = 30_000
"""Neighbouring values further apart are in two units: suites span 10^3 in a step of theirs, billions 10^9."""
FARTHEST_FROM_CLOSED_FORM = 20
"""Architectures differ by factors of a few for the same width and depth; units by 1000 and more."""


def check_present(frame: pl.DataFrame, file: str) -> None:
    """Required columns have a value in every row."""
    for column in SCHEMA:
        if column.required and (row := first_row(frame[column.name].is_null())) is not None:
            raise InvalidTable("is missing", file=file, row=row, column=column.name)


def check_numbers(frame: pl.DataFrame, file: str) -> None:
    """Numbers are finite and positive."""
    for column in SCHEMA:
        if column.dtype == "String":
            continue
        series = frame[column.name]
        if (row := first_row(~series.is_finite())) is not None:
            raise InvalidTable(f"{series[row - 1]} must be finite", file=file, row=row, column=column.name)
        low = series < 0 if column.zero_allowed else series <= 0
        if (row := first_row(low)) is not None:
            rule = "must not be negative" if column.zero_allowed else "must be positive"
            raise InvalidTable(f"{series[row - 1]:g} {rule}", file=file, row=row, column=column.name)


def check_one_unit(frame: pl.DataFrame, file: str) -> None:
    """No jump between sorted neighbours of a column that only a second unit explains."""
    for column in SCHEMA:
        if not column.one_unit:
            continue
        values = frame[column.name].fill_null(float("nan")).to_numpy()
        known = np.sort(values[~np.isnan(values)])
        if known.size < 2:
            continue
        gaps = np.diff(np.log(known))
        widest = int(np.argmax(gaps))
        if gaps[widest] <= np.log(UNIT_GAP):
            continue
        # The odd ones out are the fewer; of two equal groups the low one, for who writes 10 meant billions.
        below = widest + 1 <= known.size - widest - 1
        odd = values <= known[widest] if below else values >= known[widest + 1]
        row = int(np.flatnonzero(odd)[0]) + 1
        other = known[widest + 1] if below else known[widest]
        raise InvalidTable(
            f"mixed units: {values[row - 1]:g} beside {other:g}: give the whole column in {column.unit}",
            file=file,
            row=row,
            column=column.name,
        )


def check_shapes(frame: pl.DataFrame, architecture: Architecture, file: str) -> None:
    """Widths and depths can be built, and given parameters are of the size that they imply.

    Where models differ in what `architecture` leaves open, a column of that name tells it of each row.
    """
    own = [name for name, said in asdict(architecture).items() if said is None and _holds_counts(frame, name)]
    # Selected first: a column of the source may be called `row` too.
    rows = frame.select("width", "depth", "params_total", *own).with_row_index("row", offset=1)
    for alike in rows.partition_by(own, maintain_order=True) if own else [rows]:
        of_rows = Architecture(**{name: int(alike[name][0]) for name in own})
        _check_shapes(alike, architecture.overridden(by=of_rows).like(), file)


def _holds_counts(frame: pl.DataFrame, name: str) -> bool:
    if name not in frame.columns or not frame[name].dtype.is_integer() or frame[name].null_count():
        return False
    return bool((frame[name] >= 1).all())


def _check_shapes(rows: pl.DataFrame, like: Shape, file: str) -> None:
    pairs = rows.select("row", "width", "depth").drop_nulls()
    for row, width, depth in pairs.unique(["width", "depth"], keep="first").sort("row").iter_rows():
        try:
            Shape(int(width), int(depth), **like.architecture)
        except InvalidShape as error:
            option = "--head-size" if width % like.head_size else "--head-size or --queries-per-kv"
            raise InvalidTable(f"{error} ({option})", file=file, row=row, column="width") from None

    given = _floats(rows, "params_total")
    expected = params(Shapes.of(_floats(rows, "width"), _floats(rows, "depth"), like), "total")
    off = np.abs(np.log(given / expected))  # NaN where either is unknown, and no NaN is above a limit
    far = np.flatnonzero(off > np.log(FARTHEST_FROM_CLOSED_FORM))
    if far.size:
        at = int(far[0])
        raise InvalidTable(
            f"{given[at]:g} is more than {FARTHEST_FROM_CLOSED_FORM} times off the "
            f"{format_quantity(float(expected[at]))} of shape {rows['width'][at]:.0f}x"
            f"{rows['depth'][at]:.0f} at vocabulary {like.vocabulary}: "
            "give it in parameters, or set --vocabulary",
            file=file,
            row=rows["row"][at],
            column="params_total",
        )


def check_identity(frame: pl.DataFrame, file: str) -> None:
    """A run has one loss at one number of tokens."""
    row = first_row(~frame.select("run", "tokens").to_struct().is_first_distinct())
    if row is None:
        return
    run, tokens = frame["run"][row - 1], frame["tokens"][row - 1]
    first = first_row((frame["run"] == run) & (frame["tokens"] == tokens))
    raise InvalidTable(
        f"run {one_line(run, 60)!r} has {tokens:.17g} tokens in row {first} already: "
        "give every run a name of its own",
        file=file,
        row=row,
        column="tokens",
    )


def _floats(frame: pl.DataFrame, column: str) -> FloatArray:
    values: FloatArray = frame[column].fill_null(float("nan")).to_numpy()
    return values
