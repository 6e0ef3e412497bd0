"""Predicted losses of one fit at many points, and the points as callers have them: by name, a frame, a run table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gemstones.arguments import shown
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import column_symbol, group_values, table_columns
from gemstones.laws.interval import interval
from gemstones.laws.law import Law
from gemstones.laws.new_run import decades_beyond, error_at, law_flops, widened
from gemstones.lazy import pl
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.table import RunTable
from gemstones.shape import FloatArray

if TYPE_CHECKING:
    from gemstones.laws.fit import Fit


@dataclass(frozen=True, eq=False)
class PredictedLosses:
    """Predicted losses, with their intervals; as an array (`numpy.asarray`), the losses alone."""

    loss: FloatArray
    """(…), in `loss_unit`."""
    interval: FloatArray | None
    """(…, 2), of a new run: it includes the form's error (`Fit.new_run_error`). None without backtests or draws."""
    loss_unit: LossUnit
    interval_of_fit: FloatArray | None = None
    """(…, 2), of the fit, if its form is right: narrower. None without draws."""

    def __len__(self) -> int:
        return int(self.loss.size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        return np.array(self.loss, dtype=dtype, copy=copy)

    def to_frame(self) -> pl.DataFrame:
        """A polars frame, a row a point: `loss` in `loss_unit`, `low` and `high` of a new run, and of the fit.

        Ends that are not known are null.

        >>> from gemstones.laws.published import published
        >>> published("gemstones-refit").predict(w=2048, d=24, N="1.5B", T="300B").to_frame().columns
        ['loss', 'low', 'high', 'low_of_fit', 'high_of_fit']
        """

        def ends(pairs: FloatArray | None, side: int) -> pl.Series:
            values = [None] * len(self) if pairs is None else pairs.reshape(-1, 2)[:, side]
            return pl.Series(values, dtype=pl.Float64).fill_nan(None)

        return pl.DataFrame(
            {
                "loss": self.loss.ravel(),
                "low": ends(self.interval, 0),
                "high": ends(self.interval, 1),
                "low_of_fit": ends(self.interval_of_fit, 0),
                "high_of_fit": ends(self.interval_of_fit, 1),
            }
        )


def points_of(law: Law, at: Any) -> dict[str, Any]:
    """Columns by name that `law` needs, of a run table, of a frame, of a list of dicts, or of a mapping.

    Of tables and frames the other columns are left out. Raises `InvalidRequest` for what has no names.
    """
    if isinstance(at, RunTable):
        columns = table_columns(law.symbols, at, law.params_convention)
        groups = {group: group_values(group, at) for group in law.parsed_form.groups}
        return dict(zip(law.symbols, columns.T, strict=True)) | groups
    if isinstance(at, Mapping):
        return dict(at)
    if isinstance(at, list | tuple) and at and all(isinstance(one, Mapping) for one in at):
        at = {name: [one.get(name) for one in at] for name in dict.fromkeys(n for one in at for n in one)}
    names = at if isinstance(at, dict) else getattr(at, "column_names", getattr(at, "columns", None))
    if names is None or not hasattr(at, "__getitem__") or isinstance(at, np.ndarray):
        needs = ", ".join((*law.symbols, *law.parsed_form.groups))
        raise InvalidRequest(
            f"points {shown(at)} have no names: give columns by name, or a frame or a table with {needs}"
        )
    needed = {*law.symbols, *law.parsed_form.groups}
    found: dict[str, Any] = {}
    for name in map(str, names):
        symbol = column_symbol(name, law.params_convention)
        if symbol in needed and (symbol not in found or name == symbol):
            found[symbol] = np.asarray(at[name])
    return found


def predict_at(fit: Fit, named: Mapping[str, Any]) -> PredictedLosses:
    """Predicted losses of a fit for columns by name, which broadcast; a group's value may differ between points."""
    groups = fit.law.parsed_form.groups
    many = [g for g in groups if g in named and not isinstance(named[g], str) and np.size(named[g]) > 1]
    if not many:
        return _predicted(fit, {k: str(np.ravel(v)[0]) if k in groups else v for k, v in named.items()})
    full = _one_each(named, many[0])
    keys = list(zip(*(map(str, full[g]) for g in many), strict=True))
    rows = [np.array([i for i, one in enumerate(keys) if one == key]) for key in dict.fromkeys(keys)]
    parts = [
        _predicted(fit, {k: str(v[own[0]]) if k in groups else v[own] for k, v in full.items()})
        for own in rows
    ]
    order = np.argsort(np.concatenate(rows))

    def together(several: list[FloatArray | None]) -> FloatArray | None:
        known = [one for one in several if one is not None]
        return np.concatenate(known)[order] if known else None

    return PredictedLosses(
        np.concatenate([part.loss for part in parts])[order],
        together([part.interval for part in parts]),
        fit.law.loss_unit,
        together([part.interval_of_fit for part in parts]),
    )


def _one_each(named: Mapping[str, Any], many: str) -> dict[str, np.ndarray[Any, Any]]:
    """Every column with a value for each point."""
    values = {name: np.asarray(value) for name, value in named.items()}
    sizes = {value.size for value in values.values()} - {1}
    if len(sizes) > 1 or any(value.ndim > 1 for value in values.values()):
        raise InvalidRequest(f"{many} has several values: give the other columns one value, or as many")
    return {name: np.broadcast_to(value.ravel(), (max(sizes),)) for name, value in values.items()}


def _predicted(fit: Fit, named: Mapping[str, Any]) -> PredictedLosses:
    law, values = fit.law.with_columns(named)
    logs = [np.log(values[symbol]) for symbol in law.symbols]
    loss, unit = np.exp(law.log_loss(logs)), fit.law.loss_unit
    if not fit.has_intervals:
        return PredictedLosses(loss, None, unit)
    with np.errstate(over="ignore"):
        drawn = np.exp(law.log_loss(logs, fit.draws_of(named)))
    pairs = zip(drawn.reshape(len(drawn), -1).T, loss.ravel(), strict=True)
    flat = [interval(d, float(x), level=fit.level) or (np.nan, np.nan) for d, x in pairs]
    of_fit = np.array(flat).reshape(*loss.shape, 2)
    if not fit.new_run_error:
        return PredictedLosses(loss, None, unit, of_fit)
    errors = error_at(fit.new_run_error, decades_beyond(law, law_flops(law, values)))
    errors = np.broadcast_to(errors, loss.shape).ravel()
    wide = [widened(ends, float(x), float(e)) for ends, x, e in zip(flat, loss.ravel(), errors, strict=True)]
    return PredictedLosses(loss, np.array(wide).reshape(*loss.shape, 2), unit, of_fit)
