"""What every run table keeps: rules on values, on shapes, on identity, and against mixed units.

Each broken rule is one `InvalidTable` that names the file, the row, the column and the value.
"""

from __future__ import annotations

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.errors import InvalidShape
from gemstones.lazy import pl
from gemstones.runs.architecture import Architecture
from gemstones.runs.cells import RowNumbers, cell_error, first_index, row_number
from gemstones.runs.one_line import one_line
from gemstones.runs.schema import SCHEMA
from gemstones.shape import Shape
from gemstones.units import format_quantity

UNIT_GAP = 30_000
"""Neighbouring values further apart are in two units: suites span 10^3 in a step of theirs, billions 10^9."""
FLOPS_GAP = 900
"""Rows whose FLOPs/(6·N·T) are further from the others' are in other units: these differ by 1000 and more."""
FARTHEST_FROM_CLOSED_FORM = 20
"""Architectures differ by factors of a few for the same width and depth; units by 1000 and more."""


def check_present(frame: pl.DataFrame, file: str, rows: RowNumbers | None = None) -> None:
    """Required columns have a value in every row."""
    for column in SCHEMA:
        if column.required and (at := first_index(frame[column.name].is_null())) is not None:
            problem = f"is missing: fill it in, or leave such rows out: --where '{column.name} IS NOT NULL'"
            raise cell_error(problem, file, at, rows, column.name)


def check_numbers(frame: pl.DataFrame, file: str, rows: RowNumbers | None = None) -> None:
    """Numbers are finite and positive."""
    for column in SCHEMA:
        if column.dtype == "String":
            continue
        series = frame[column.name]
        if (at := first_index(~series.is_finite())) is not None:
            raise cell_error(f"{series[at]} must be finite", file, at, rows, column.name)
        low = series < 0 if column.zero_allowed else series <= 0
        if (at := first_index(low)) is not None:
            rule = "must not be negative" if column.zero_allowed else "must be positive"
            remedy = "" if column.name == "loss" else f" (--where '{column.name} > 0' leaves such rows out)"
            if column.zero_allowed:
                remedy = ""
            raise cell_error(f"{series[at]:g} {rule}{remedy}", file, at, rows, column.name)


def check_one_unit(frame: pl.DataFrame, file: str, rows: RowNumbers | None = None) -> None:
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
        at = int(np.flatnonzero(odd)[0])
        other = known[widest + 1] if below else known[widest]
        problem = f"mixed units: {values[at]:g} beside {other:g}: give the whole column in {column.unit}"
        raise cell_error(problem, file, at, rows, column.name)
    _check_rows_agree(frame, file, rows)


def _check_rows_agree(frame: pl.DataFrame, file: str, rows: RowNumbers | None) -> None:
    """No row whose N, T and FLOPs are in other units than those of the other rows."""
    params, tokens, flops = (
        frame[name].fill_null(float("nan")).to_numpy() for name in ("params_total", "tokens", "flops")
    )
    with np.errstate(all="ignore"):
        off = np.log(flops / (6 * params * tokens))
    known = off[np.isfinite(off)]
    if known.size < 2:
        return
    typical = float(np.median(known))
    away = np.abs(np.where(np.isfinite(off), off, typical) - typical) > np.log(FLOPS_GAP)
    if not away.any():
        return
    at = int(np.flatnonzero(away)[0])
    problem = (
        f"mixed units: FLOPs are {np.exp(off[at]):.2g} of 6·N·T here, {np.exp(typical):.2g} in other rows: "
        "give every row of params_total, tokens and flops in one unit"
    )
    raise cell_error(problem, file, at, rows, "flops")


def check_shapes(
    frame: pl.DataFrame, architecture: Architecture, file: str, rows: RowNumbers | None = None
) -> None:
    """Widths and depths can be built.

    Where models differ in what `architecture` leaves open, a column of that name tells it of each row.
    """
    own = architecture.open_fields(frame)
    like = architecture.like()
    shaped = frame.select("width", "depth", *own).with_row_index("_index")
    shaped = (
        shaped.drop_nulls(["width", "depth"]).unique(["width", "depth", *own], keep="first").sort("_index")
    )
    for values in shaped.iter_rows(named=True):
        fields = {
            **like.architecture,
            **{name: int(values[name]) for name in own if values[name] is not None},
        }
        try:
            Shape(int(values["width"]), int(values["depth"]), **fields)
        except InvalidShape as error:
            divides = values["width"] % fields["head_size"] == 0
            option = "--head-size or --queries-per-kv" if divides else "--head-size"
            raise cell_error(f"{error} ({option})", file, values["_index"], rows, "width") from None


def check_sizes(
    frame: pl.DataFrame, architecture: Architecture, file: str, rows: RowNumbers | None = None
) -> None:
    """Given parameters are of the size that the shapes of their rows imply."""
    given = frame["params_total"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    shapes = architecture.shapes(frame)
    expected = params(shapes, "total")
    with np.errstate(invalid="ignore"):
        off = np.abs(np.log(given / expected))  # NaN where either is unknown, and no NaN is above a limit
    far = np.flatnonzero(off > np.log(FARTHEST_FROM_CLOSED_FORM))
    if far.size:
        at = int(far[0])
        vocabulary = np.broadcast_to(shapes.vocabulary, given.shape)[at]
        problem = (
            f"{given[at]:g} is more than {FARTHEST_FROM_CLOSED_FORM} times off the "
            f"{format_quantity(float(expected[at]))} of shape {frame['width'][at]:.0f}x"
            f"{frame['depth'][at]:.0f} at vocabulary {vocabulary:.0f}: "
            "give it in parameters, or set --vocabulary"
        )
        raise cell_error(problem, file, at, rows, "params_total")


def check_identity(frame: pl.DataFrame, file: str, rows: RowNumbers | None = None) -> None:
    """A run has one loss at one number of tokens."""
    at = first_index(~frame.select("run", "tokens").to_struct().is_first_distinct())
    if at is None:
        return
    run, tokens = frame["run"][at], frame["tokens"][at]
    first = first_index((frame["run"] == run) & (frame["tokens"] == tokens))
    assert first is not None
    problem = (
        f"run {one_line(run, 60)!r} has {tokens:.17g} tokens in row {row_number(first, rows)} already: "
        "give every run a name of its own"
    )
    raise cell_error(problem, file, at, rows, "tokens")
