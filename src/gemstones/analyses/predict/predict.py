"""Predicted losses with both intervals, how far beyond the fitted runs they lie, and what was measured there.

The interval of a new run holds the loss of a run that was not fitted: it includes the error of the form, by backtests
inside the fitted runs. The interval of the fit is what remains if the form is right, and is narrower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.analyses.predict.shown import at_text, predict_card
from gemstones.arguments import checked
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import SHAPE_COLUMNS, column_symbol, table_columns
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.new_run import decades_beyond, law_flops, new_run_note
from gemstones.laws.published import FrontierLaw, given_law
from gemstones.planning.extrapolation import MOST_DECADES
from gemstones.planning.plan import of_groups
from gemstones.runs.given import Runs, selected_runs
from gemstones.runs.loss_units import LossUnit
from gemstones.runs.table import RunTable
from gemstones.shape import Shape, Shapes
from gemstones.units import Interval, parse_quantity

SIZE_TOLERANCE = 0.05
"""Of the shape that a law of shapes is given where a point has N alone."""
MOST_POINTS = 100_000
"""Of one answer: each has an interval of its own from all draws."""


@dataclass(frozen=True)
class Prediction:
    """One predicted loss."""

    at: dict[str, float | str]
    """What was asked for, by symbol or column; of runs also `run`."""
    loss: float
    interval: Interval | None
    """Of a new run; None without backtests of the fit."""
    interval_of_fit: Interval | None
    """Of the fit, if its form is right; None without draws."""
    decades_beyond: float | None
    """log10 of its FLOPs over the nearest end of the fitted range, 0 within; None where FLOPs are not known."""
    measured: float | None = None

    @property
    def error(self) -> float | None:
        """log(predicted / measured)."""
        return None if self.measured is None else float(np.log(self.loss / self.measured))

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


@dataclass(frozen=True, repr=False)
class Predictions:
    """Predicted losses under one law, in its unit, with their intervals; what `predict` returns.

    >>> predict("gemstones-refit", {"shape": "4096x32", "T": "1T"}).predictions[0].interval
    (2.231, 2.380)
    """

    law: Law
    law_name: str
    predictions: tuple[Prediction, ...]
    level: float | None
    """Of the intervals; None without."""
    intervals_note: str
    flags: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def loss_unit(self) -> LossUnit:
        """Of every loss."""
        return self.law.loss_unit

    @property
    def root_mean_square(self) -> float | None:
        """Of log(predicted / measured) over the points that were measured."""
        errors = [one.error for one in self.predictions if one.error is not None]
        return float(np.sqrt(np.mean(np.square(errors)))) if errors else None

    @property
    def held(self) -> float | None:
        """The share of measured losses inside the interval of a new run; None where there is none of either."""
        inside = [
            one.interval[0] <= one.measured <= one.interval[1]
            for one in self.predictions
            if one.measured is not None and one.interval is not None
        ]
        return float(np.mean(inside)) if inside else None

    def summary(self) -> dict[str, Any]:
        """Plain values: what `gemstones predict --json` prints."""
        return {
            "law": self.law_name,
            "form": self.law.form,
            "source": self.law.source,
            "params_convention": self.law.params_convention,
            "loss_unit": self.loss_unit,
            "predictions": [one.summary() for one in self.predictions],
            "level": self.level,
            "root_mean_square": self.root_mean_square,
            "held": self.held,
            "intervals_note": self.intervals_note,
            "flags": list(self.flags),
            "assumptions": list(self.assumptions),
        }

    def __repr__(self) -> str:
        return predict_card(self).text()

    def _repr_html_(self) -> str:
        return predict_card(self).html()


@checked
def predict(
    law: Fit | Law | FrontierLaw | str | Path,
    at: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    *,
    runs: Runs = None,
    of: Mapping[str, str] | None = None,
    force: bool = False,
    name: str | None = None,
) -> Predictions:
    """Predicted losses of `law` at points, and beside the measured losses of `runs`.

    `law` is a fit, a law, the name of a published one or a file of `gemstones fit --output`, `name` what it is called.
    A point of `at` gives the law's columns by symbol, like {"N": "7B", "T": "1T"}, or a shape, {"shape": "4096x32",
    "T": "1T"} or {"w": …, "d": …}, from which N and what else the law needs are counted with the fitted models'
    vocabulary and head size. Of N and T alone a law of shapes takes the best shape of about that N. `runs` are what
    `fit` takes: a prediction for every row. Of a law whose constants differ by a column, `of` says which value is
    meant. Points more than four decades of FLOPs from the fitted runs are refused unless `force` is True. Raises
    `InvalidRequest` for columns that are missing or unknown.

    >>> predict("chinchilla", {"N": "70B", "T": "1.4T"}).predictions[0].loss
    1.937
    """
    given = of_groups(given_law(law), of)
    if isinstance(given, FrontierLaw):
        raise InvalidRequest(f"law {name or given.name} predicts no loss: choose one with terms in N and T")
    bare = given.law if isinstance(given, Fit) else given
    points = [at] if isinstance(at, Mapping) else list(at)
    table = None if runs is None else selected_runs(runs)
    if not points and table is None:
        raise InvalidRequest(f"nothing to predict: give points like {_example(bare)} or runs")
    if len(points) + (0 if table is None else table.rows) > MOST_POINTS:
        raise InvalidRequest(
            f"more than {MOST_POINTS:,} points are asked for: choose rows with --where or --select"
        )
    if table is not None and table.loss_unit != bare.loss_unit:
        raise InvalidRequest(
            f"the law predicts {bare.loss_unit} and {table.origin} has {table.loss_unit}: read the runs with the same "
            "--loss-unit"
        )
    made = [_at(given, bare, point) for point in points]
    flags = list(given.flags) if isinstance(given, Fit) else []
    if table is not None:
        made += _of_runs(given, bare, table)
        flags += [flag for flag in table.warnings if flag not in flags]
    if not force:
        for one in made:
            if one.decades_beyond is not None and one.decades_beyond > MOST_DECADES:
                where = at_text(one.at)
                raise InvalidRequest(
                    f"{where} is {one.decades_beyond:.1f} decades of FLOPs from the fitted runs: beyond "
                    f"{MOST_DECADES:g} nothing supports a prediction; ask nearer by, or insist with --force"
                )
    has = isinstance(given, Fit) and given.has_intervals
    return Predictions(
        bare,
        name or bare.name,
        tuple(made),
        given.level if isinstance(given, Fit) and has else None,
        _note(given, made),
        tuple(flags),
        tuple(given.assumptions) if isinstance(given, Fit) else (),
    )


def _note(given: Fit | Law, made: Sequence[Prediction]) -> str:
    if not isinstance(given, Fit):
        return "no intervals: published constants come without resamples"
    if not given.has_intervals:
        return "no intervals: the law was fitted with too few resamples; fit it with --bootstrap 1000"
    known = [one.decades_beyond for one in made if one.decades_beyond is not None]
    return new_run_note(given.new_run_error, given.level, max(known) if known else None)


def _example(law: Law) -> str:
    values = {"N": "7B", "T": "1T", "w": "4096", "d": "32"}
    return ",".join(f"{symbol}={values.get(symbol, '1')}" for symbol in law.symbols)


def _columns(law: Law, point: Mapping[str, Any]) -> dict[str, Any]:
    """The law's columns of a point: what a shape determines is counted from it."""
    named = dict(point)
    shape = named.pop("shape", None)
    if shape is not None:
        parsed = Shape.parse(str(shape), **law.models.template().architecture)
        named |= {"width": parsed.width, "depth": parsed.depth}
    by_symbol = {column_symbol(key, law.params_convention): value for key, value in named.items()}
    if len(by_symbol) < len(named):
        raise InvalidRequest(f"a point has two values of one column: {', '.join(named)}")
    needed = [
        s for s, c in zip(law.symbols, law.columns, strict=True) if c in SHAPE_COLUMNS and s not in by_symbol
    ]
    if needed and {"w", "d"} <= by_symbol.keys():
        width, depth = (_number(by_symbol[s], s) for s in ("w", "d"))
        shapes = Shapes.of(np.array([width]), np.array([depth]), law.models.template())
        names = dict(zip(law.symbols, law.columns, strict=True))
        by_symbol |= {s: float(SHAPE_COLUMNS[names[s]](shapes)[0]) for s in needed}
    if {"w", "d"} & {*law.symbols} and not {"w", "d"} & by_symbol.keys() and {"N", "T"} <= by_symbol.keys():
        by_symbol |= _best_shape(law, _number(by_symbol["N"], "N"), _number(by_symbol["T"], "T"))
    if shape is not None or needed:
        extra = {"w", "d"} - {*law.symbols}
        by_symbol = {s: v for s, v in by_symbol.items() if s not in extra}
    return by_symbol


def columns_of_point(
    law: Law, point: Mapping[str, Any]
) -> tuple[dict[str, float | str], list[float], float, float, float]:
    """A point as it is shown, logs of the law's columns in order, and its N, T and FLOPs.

    Raises `InvalidRequest` where the point does not give N and T, or does not determine the law's columns.
    """
    named = _columns(law, point)
    own, values = law.with_columns(named)
    if not {"N", "T"} <= values.keys():
        raise InvalidRequest(f"a point needs N and T, or a shape and T: {', '.join(point)} are given")
    size, tokens = float(values["N"]), float(values["T"])
    flops = law_flops(own, values)
    return (
        _shown(law, point, named),
        [float(np.log(values[s])) for s in law.symbols],
        size,
        tokens,
        6.0 * size * tokens if flops is None else float(flops),
    )


def _best_shape(law: Law, counted: float, tokens: float) -> dict[str, float]:
    """Width and depth of the feasible shape of about `counted` parameters that the law predicts the least loss for."""
    from gemstones.planning.by_params import ASPECT_RATIOS
    from gemstones.planning.defaults import default_constraints

    constraints = default_constraints(law)
    column, row = constraints.grid()
    width, depth = (x.ravel() for x in np.broadcast_arrays(column, row))
    shapes = Shapes.of(width, depth, constraints.template)
    sizes = params(shapes, law.params_convention)
    near = (np.abs(np.log(sizes / counted)) < np.log(1 + SIZE_TOLERANCE)) & (
        width / depth >= ASPECT_RATIOS[0]
    )
    near &= width / depth <= ASPECT_RATIOS[1]
    if not near.any() or not {*law.columns} <= {*SHAPE_COLUMNS, "tokens"}:
        raise InvalidRequest(
            f"law {law.form} predicts from {', '.join(law.symbols)}: give a shape, like shape=4096x32,T=1T"
        )
    kept = Shapes.of(width[near], depth[near], constraints.template)
    values = {
        c: np.full(len(kept.width), tokens) if c == "tokens" else SHAPE_COLUMNS[c](kept) for c in law.columns
    }
    best = int(law.loss(np.stack([values[c] for c in law.columns], axis=-1)).argmin())
    return {"w": float(kept.width[best]), "d": float(kept.depth[best])}


def _number(value: Any, name: str) -> float:
    number = parse_quantity(value, name) if isinstance(value, str) else float(value)
    if not (np.isfinite(number) and number > 0):
        raise InvalidRequest(f"{name} {value} must be positive and finite")
    return number


def _shown(law: Law, point: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, float | str]:
    """A point's values as numbers, with the shape that was chosen for it."""
    shown: dict[str, float | str] = {
        key: str(value) if key in law.parsed_form.groups or key == "shape" else _number(value, key)
        for key, value in point.items()
    }
    if "w" in named and not {"w", "d", "width", "depth", "shape"} & shown.keys():
        shown["shape"] = f"{named['w']:.0f}x{named['d']:.0f}"
    return shown


def _at(given: Fit | Law, law: Law, point: Mapping[str, Any]) -> Prediction:
    named = _columns(law, point)
    own, values = law.with_columns(named)
    shown = _shown(law, point, named)
    beyond = decades_beyond(own, law_flops(own, values))
    decades = None if beyond is None else float(beyond)
    if not isinstance(given, Fit):
        return Prediction(shown, float(law.loss(**named)), None, None, decades)
    made = given.predict(**named)
    return Prediction(shown, float(made.loss), _pair(made.interval), _pair(made.interval_of_fit), decades)


def _of_runs(given: Fit | Law, law: Law, table: RunTable) -> list[Prediction]:
    """A prediction for every row, with its measured loss."""
    columns = table_columns(law.symbols, table, law.params_convention)
    values = {symbol: columns[:, i] for i, symbol in enumerate(law.symbols)}
    beyond = decades_beyond(law, law_flops(law, values))
    measured, names = table.numbers("loss"), table.frame["run"].to_list()
    if isinstance(given, Fit) and not law.parsed_form.groups:
        made = given.predict(**values)
        loss, ends, of_fit = made.loss, made.interval, made.interval_of_fit
    else:
        loss, ends, of_fit = law.losses(table), None, None
    return [
        Prediction(
            {"run": names[i], **{symbol: float(x[i]) for symbol, x in values.items()}},
            float(loss[i]),
            None if ends is None else _pair(ends[i]),
            None if of_fit is None else _pair(of_fit[i]),
            None if beyond is None else float(beyond[i]),
            float(measured[i]),
        )
        for i in range(table.rows)
    ]


def _pair(ends: Any) -> Interval | None:
    if ends is None or not np.isfinite(ends).all():
        return None
    return float(ends[0]), float(ends[1])
