"""Whether `3,406` in a table is three and a bit, or three thousand: told by cells that can be only one of them."""

from __future__ import annotations

from gemstones.errors import InvalidTable
from gemstones.lazy import pl
from gemstones.runs.one_line import one_line

_MARKED = r"^[+-]?\d*{mark}\d+([eE][+-]?\d+)?$"
"""A number with one mark in it."""
_THOUSANDS = r"^[+-]?[1-9]\d{{0,2}}{mark}\d{{3}}$"
"""That can also be a whole number of thousands."""
_GROUPED = r"^[+-]?\d{{1,3}}({other}\d{{3}})+{mark}\d+$|^[+-]?\d{{1,3}}({other}\d{{3}}){{2,}}$"
"""A number with the other mark between thousands."""


def has_decimal_commas(frame: pl.DataFrame, likely: bool, file: str) -> bool:
    """Whether a comma is the decimal mark of the numbers in `frame`'s columns of text.

    Where every comma could also be that of thousands, `likely` decides. Raises `InvalidTable` for a column that has
    both decimal commas and decimal points.
    """
    comma, point, either = False, False, False
    for series in frame.get_columns():
        with_comma, with_point = _decisive(series, ",", r"\."), _decisive(series, r"\.", ",")
        if with_comma is not None and with_point is not None:
            raise InvalidTable(
                f"holds {one_line(series[with_comma], 40)!r} in row {with_comma + 1} and "
                f"{one_line(series[with_point], 40)!r} in row {with_point + 1}: write all numbers with the same "
                "decimal mark",
                file=file,
                column=one_line(series.name, 60),
            )
        comma |= with_comma is not None
        point |= with_point is not None
        either |= bool(series.str.contains(_MARKED.replace("{mark}", ",")).any())
    return comma or (likely and either and not point)


def _decisive(series: pl.Series, mark: str, other: str) -> int | None:
    """The first row (from 0) whose number has `mark` as its decimal mark, and can be nothing else."""
    marked = series.str.contains(_MARKED.replace("{mark}", mark)) & ~series.str.contains(
        _THOUSANDS.format(mark=mark)
    )
    rows = (marked | series.str.contains(_GROUPED.format(mark=mark, other=other))).fill_null(False).arg_true()
    return int(rows[0]) if len(rows) else None
