"""FLOPs per token as a table of runs gave them, learned so that plans can count any model alike.

People count FLOPs in many ways: of real tables they are 0.36 to 1.07 times 6·N·T. A budget is in the FLOPs of its
owner, so a law that is fitted to such a table carries what was learned from it:

- for a law in N and T, F(N) = k·N^b, by least squares in logarithms, with b = 1 unless another predicts better;
- for a law of shapes, F(w, d) = a·d·w² + b·d·w + c·w, which every usual count is: 6·N, multiplications with attention
  over any context, and Appendix G (weights of a block grow with w², attention and norms with w, embedding and head
  with w alone); or a multiple of Appendix G, where the shapes do not tell the three apart.

Which one is kept, and how far off it is, is told by runs of sizes or shapes that were left out. A table whose FLOPs are
Appendix G's, or 6·N·T for a law in N and T, needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from gemstones.accounting.flops import flops_per_token, inference_flops_per_token
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, ParamsConvention, params
from gemstones.lazy import pl
from gemstones.shape import FloatArray, IntArray, Shapes
from gemstones.units import format_number

if TYPE_CHECKING:
    from gemstones.runs.table import RunTable

SAME = 5e-3
"""FLOPs that differ by less are the same count, rounded."""
BETTER = 0.9
"""The model with more constants is kept if, for what was left out, its error is less than this times the other's."""
EXACT = 5e-4
"""An error below this is none to people."""
LEAST_APART = 1e-3
"""Smallest singular value of the three columns of shapes, scaled to length 1, for which they can be told apart."""
MOST_FOLDS = 50
"""Sizes or shapes are left out one at a time, or where there are more of them in so many parts."""

Predictor = Callable[[FloatArray, FloatArray], Callable[[FloatArray], FloatArray]]
"""From columns (n, k) and log FLOPs (n,) of some runs: what gives log FLOPs for the columns of others."""


class FlopsModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """FLOPs to train on one token, as a function of N or of the shape."""

    kind: Literal["params", "ratio", "terms"]
    """k·N^b; r times Appendix G; a·d·w² + b·d·w + c·w."""
    constants: tuple[float, ...]
    """(k, b), (r,) or (a, b, c)."""
    error: float | None
    """Root mean square of the log error for sizes or shapes that were left out; None where there is one alone."""
    params_convention: ParamsConvention = "total"
    """Of N."""

    def per_token(self, shapes: Shapes) -> FloatArray:
        """To train on one token."""
        match self.kind:
            case "params":
                return self.of_params(params(shapes, self.params_convention))
            case "ratio":
                return np.asarray(self.constants[0] * flops_per_token(shapes))
            case "terms":
                a, b, c = self.constants
                width, depth = shapes.width, shapes.depth
                return np.asarray(a * depth * width**2 + b * depth * width + c * width)

    def inference_per_token(self, shapes: Shapes) -> FloatArray:
        """To read or write one token: a third of training, or Appendix G's share of it for a multiple of that."""
        if self.kind == "ratio":
            return np.asarray(self.constants[0] * inference_flops_per_token(shapes))
        return self.per_token(shapes) / 3.0

    def of_params(self, counted: FloatArray | float) -> FloatArray:
        """To train on one token a model of N parameters; for a model of kind `params`."""
        k, b = self.constants
        return np.asarray(k * np.asarray(counted, np.float64) ** b)

    @property
    def problem(self) -> str | None:
        """What in a model read from a file cannot have been learned."""
        length = {"params": 2, "ratio": 1, "terms": 3}[self.kind]
        usable = len(self.constants) == length and bool(np.isfinite(self.constants).all())
        usable = usable and min(self.constants) >= 0 and max(self.constants) > 0
        if usable and self.kind == "params":
            usable = min(self.constants) > 0
        return None if usable else f"FLOPs per token of {self.constants} are of no model"

    @property
    def function(self) -> str:
        """What was learned, as it is written: `0.83·6N^1.02`."""
        match self.kind:
            case "params":
                k, b = self.constants
                return f"{k / 6:.3g}·6N" + ("" if b == 1 else f"^{b:.4g}")
            case "ratio":
                return f"{self.constants[0]:.3g} × Appendix G"
            case "terms":
                names = ("d·w²", "d·w", "w")
                return " + ".join(
                    f"{format_number(c, 4)}·{name}"
                    for c, name in zip(self.constants, names, strict=True)
                    if c
                )

    @property
    def convention(self) -> str:
        """The convention of FLOPs, as outputs name it."""
        if self.error is None:
            off = f"from runs of one {'size' if self.kind == 'params' else 'shape'} alone"
        elif self.error < EXACT:
            off = "exact"
        else:
            off = f"{self.error:.1%} off" if self.error < 0.01 else f"{self.error:.0%} off"
        return f"given (learned from the runs: {self.function}, {off})"

    def __str__(self) -> str:
        return self.convention


SIX_N = FlopsModel("params", (6.0, 1.0), 0.0)
"""6·N, whichever N is meant."""


def gives_flops(table: RunTable) -> bool:
    """Whether a table gives FLOPs of its own: neither Appendix G's nor 6·N for any N that it knows."""
    runs = _by_run(table)
    return runs is not None and not any(
        runs.are(counted) for counted in (runs.appendix_g, *(6.0 * n for n in runs.params.values()))
    )


def learned_flops(table: RunTable, symbols: Sequence[str], convention: ParamsConvention) -> FlopsModel | None:
    """What the FLOPs of a table say of models, for a law in `symbols`; None where they are a usual count."""
    runs = _by_run(table)
    if runs is None or runs.are(runs.appendix_g):
        return None
    counted = runs.params[convention]
    if set(symbols) <= {"N", "T"} or not np.isfinite(runs.appendix_g).all():
        if runs.are(6.0 * counted) or not np.isfinite(counted).all():
            return None
        return _of_params(np.log(counted), np.log(runs.flops), convention)
    return _of_shapes(runs)


@dataclass(frozen=True, eq=False)
class _Runs:
    """One number for each run that gives FLOPs, NaN where it is not known."""

    flops: FloatArray
    """Per token, as given."""
    width: FloatArray
    depth: FloatArray
    params: Mapping[ParamsConvention, FloatArray]
    appendix_g: FloatArray
    """FLOPs per token by Appendix G."""

    def are(self, counted: FloatArray) -> bool:
        """Whether the given FLOPs are these, as far as they were printed."""
        return bool((np.abs(self.flops / counted - 1) < SAME).all())


def _by_run(table: RunTable) -> _Runs | None:
    """None where no FLOPs were given."""
    if "given" not in table.flops_convention.split("+"):
        return None
    by_rule = flops_per_token(table.architecture.shapes(table.frame))
    columns = ["flops_per_token", "width", "depth", *(f"params_{c}" for c in PARAMS_CONVENTIONS)]
    runs = (
        table.frame.lazy()
        .select("run", pl.col(columns).cast(pl.Float64), pl.Series("appendix_g", by_rule).fill_nan(None))
        .filter(pl.col("flops_per_token") > 0)
        .group_by("run", maintain_order=True)
        .agg(pl.col([*columns, "appendix_g"]).median())
        .collect()
    )
    if runs.height == 0:
        return None
    known = {name: runs[name].fill_null(float("nan")).to_numpy() for name in (*columns, "appendix_g")}
    return _Runs(
        known["flops_per_token"],
        known["width"],
        known["depth"],
        {c: known[f"params_{c}"] for c in PARAMS_CONVENTIONS},
        known["appendix_g"],
    )


def _of_params(log_n: FloatArray, log_flops: FloatArray, convention: ParamsConvention) -> FlopsModel:
    groups = np.unique(log_n.round(6), return_inverse=True)[1].astype(np.int64)

    def power(x: FloatArray, y: FloatArray) -> Callable[[FloatArray], FloatArray]:
        slope, level = _line(x[:, 0], y)
        return lambda other: level + slope * other[:, 0]

    columns = log_n[:, None]
    error = _left_out(_proportional, columns, log_flops, groups)
    if error is not None and groups.max() >= 2:  # a line leaves two sizes no error of their own
        of_power = _left_out(power, columns, log_flops, groups)
        assert of_power is not None
        if error > EXACT / 10 and of_power < BETTER * error:
            slope, level = _line(log_n, log_flops)
            return FlopsModel("params", (float(np.exp(level)), slope), of_power, convention)
    k = float(np.exp((log_flops - log_n).mean()))
    return FlopsModel("params", (k, 1.0), error, convention)


def _of_shapes(runs: _Runs) -> FlopsModel:
    width, depth, log_counted, log_flops = runs.width, runs.depth, np.log(runs.appendix_g), np.log(runs.flops)
    groups = np.unique(np.column_stack([width, depth]), axis=0, return_inverse=True)[1]
    groups = groups.reshape(-1).astype(np.int64)

    def terms(x: FloatArray, y: FloatArray) -> Callable[[FloatArray], FloatArray]:
        constants = _terms(x[:, 1:], y)
        return lambda other: np.log(np.maximum(other[:, 1:] @ constants, np.finfo(float).tiny))

    columns = np.column_stack([log_counted, depth * width**2, depth * width, width])
    error = _left_out(_proportional, columns, log_flops, groups)
    relative = columns[:, 1:] / np.exp(log_flops)[:, None]
    scaled = relative / np.linalg.norm(relative, axis=0)
    if error is not None and groups.max() >= 3 and np.linalg.svd(scaled, compute_uv=False)[-1] > LEAST_APART:
        of_terms = _left_out(terms, columns, log_flops, groups)
        assert of_terms is not None
        if error > EXACT / 10 and of_terms < BETTER * error:
            a, b, c = (float(x) for x in _terms(columns[:, 1:], log_flops))
            return FlopsModel("terms", (a, b, c), of_terms)
    return FlopsModel("ratio", (float(np.exp((log_flops - log_counted).mean())),), error)


def _proportional(x: FloatArray, y: FloatArray) -> Callable[[FloatArray], FloatArray]:
    level = float((y - x[:, 0]).mean())
    return lambda other: level + other[:, 0]


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Slope and intercept of least squares."""
    centred = x - x.mean()
    slope = float(y @ centred / (centred @ centred))
    return slope, float(y.mean() - slope * x.mean())


def _terms(columns: FloatArray, log_flops: FloatArray) -> FloatArray:
    """Constants ≥ 0 (3,) of least Σ (predicted/given − 1)²."""
    from scipy.optimize import nnls

    relative = columns / np.exp(log_flops)[:, None]
    scale = np.linalg.norm(relative, axis=0)
    return np.asarray(nnls(relative / scale, np.ones(len(columns)))[0] / scale)


def _left_out(
    predictor: Predictor, columns: FloatArray, log_flops: FloatArray, groups: IntArray
) -> float | None:
    """Root mean square of the log error for groups of runs, predicted from the others; None for one group."""
    if groups.max() == 0:
        return None
    off = np.empty_like(log_flops)
    folds = groups % MOST_FOLDS
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        off[out] = predictor(columns[~out], log_flops[~out])(columns[out]) - log_flops[out]
    return float(np.sqrt(np.mean(off**2)))
