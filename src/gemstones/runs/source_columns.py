"""The columns of a source by what they are called and what they hold, each read once."""

from __future__ import annotations

import numpy as np

from gemstones.lazy import pl
from gemstones.runs.cells import read_numbers
from gemstones.runs.known_names import names_of
from gemstones.shape import FloatArray


class SourceColumns:
    """Columns as numbers, where they hold numbers."""

    def __init__(self, frame: pl.DataFrame, free: list[str], *, decimal_comma: bool) -> None:
        self.frame, self.decimal_comma = frame, decimal_comma
        self.free = free
        """Names of columns that may be candidates."""
        self._numbers: dict[str, FloatArray | None] = {}

    def numbers(self, column: str) -> FloatArray | None:
        """The values of a column of the source, NaN where missing; None where it holds none or anything else."""
        if column not in self._numbers:
            self._numbers[column] = self._read(column)
        return self._numbers[column]

    def _read(self, column: str) -> FloatArray | None:
        series = self.frame[column]
        if series.dtype in (pl.Categorical, pl.Enum):
            series = series.cast(pl.String)
        if series.dtype == pl.String:
            found = read_numbers(series, decimal_comma=self.decimal_comma)
            if found.unreadable.any():
                return None
            series = found.values
        elif not series.dtype.is_numeric():
            return None
        values: FloatArray = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values if bool(np.isfinite(values).any()) else None

    def candidates(self, names: frozenset[str]) -> list[str]:
        """Columns of numbers called by one of the names; those that are all the same count once."""
        found: list[str] = []
        for column in names_of(self.free, names):
            values = self.numbers(column)
            if values is not None and not any(
                np.array_equal(values, self.numbers(other), equal_nan=True)  # type: ignore[arg-type]
                for other in found
            ):
                found.append(column)
        return found

    def fits(self, column: str, *, whole: bool, least: float) -> bool:
        """Whether every value of a column can be one."""
        values = self.numbers(column)
        if values is None:
            return False
        values = values[~np.isnan(values)]
        return bool(
            np.isfinite(values).all()
            and (values >= least).all()
            and (not whole or (values == np.floor(values)).all())
        )
