"""The best value of a column under a law: the learning rate or batch of least loss at given parameters and tokens.

Loss rises with the sum of terms, and the log of that sum is convex in the logs of columns where the terms are powers,
and quadratic for bowls: Newton's method on it finds the least loss from anywhere, for all draws of a fit together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemstones.display import few_lines, with_interval
from gemstones.errors import InvalidRequest
from gemstones.laws import dual
from gemstones.laws.columns import column_symbol
from gemstones.laws.dual import Dual
from gemstones.laws.form import Form
from gemstones.laws.law import Law
from gemstones.shape import FloatArray
from gemstones.units import Interval, format_quantity


@dataclass(frozen=True)
class Optimum:
    """Columns at the least predicted loss."""

    values: dict[str, float]
    intervals: dict[str, Interval] | None
    """From the draws that have a least loss; None without draws."""
    at: dict[str, float]
    """The other columns."""
    without: float
    """Share of the draws that have none."""

    def sentence(self) -> str:
        """For people."""
        ends = self.intervals or {}
        best = ", ".join(f"{s} {with_interval(x, ends.get(s))}" for s, x in self.values.items())
        held = ", ".join(f"{s} {format_quantity(x)}" for s, x in self.at.items())
        missing = f"; {self.without:.1%} of the resamples have none and are left out" if self.without else ""
        return f"least loss at {best}, for {held}{missing}"

    def summary(self) -> dict[str, Any]:
        """As plain values: what `gemstones fit --json` prints."""
        return {"values": self.values, "intervals": self.intervals, "at": self.at, "without": self.without}

    def __repr__(self) -> str:
        return few_lines(f"Optimum: {self.sentence()}")


STEPS = 100
LONGEST_STEP = 5.0
"""Of a column's log in one step."""
AT_REST = 1e-10
"""Step in the log at which it has been found."""
FARTHEST = 100.0
"""Log of a column beyond which there is no least loss."""


def held(law: Law, of: Sequence[str], at: Mapping[str, Any]) -> tuple[Law, list[str], dict[str, float]]:
    """The law of the groups' values in `at`, the symbols of the columns `of`, and the values of all other columns."""
    symbols = [column_symbol(name, law.params_convention) for name in of]
    if unknown := [name for name, s in zip(of, symbols, strict=True) if s not in law.symbols]:
        raise InvalidRequest(f"{unknown[0]} is no column of law {law.form}: it has {', '.join(law.symbols)}")
    if not symbols or len(set(symbols)) < len(symbols):
        raise InvalidRequest("optimum needs the names of different columns, like lr,batch")
    named = {**at, **dict.fromkeys(symbols, 1.0)}
    for name in at:
        if column_symbol(name, law.params_convention) in symbols:
            raise InvalidRequest(f"{name} is looked for and given: do one of the two")
    plain, values = law.with_columns(named)
    return plain, symbols, {s: float(x) for s, x in values.items() if s not in symbols}


def best_columns(form: Form, theta: FloatArray, of: Sequence[str], given: Mapping[str, float]) -> FloatArray:
    """Logs (D, q) of the columns `of` at the least loss for θ (D, m), others as `given`; NaN where there is none."""
    plain: dict[str, dual.Number] = {c: np.full(len(theta), np.log(x)) for c, x in given.items()}
    at, step = np.zeros((len(theta), len(of))), np.full((len(theta), len(of)), np.inf)

    def log_sum(logs: FloatArray) -> Dual:
        columns = plain | dict(zip(of, dual.variables([*logs.T]), strict=True))
        value = form.log_sum(theta, [columns[c] for c in form.columns], aligned=True)
        assert isinstance(value, Dual)
        return value

    with np.errstate(all="ignore"):
        here = log_sum(at)
        for _ in range(STEPS):
            gradient = np.broadcast_to(here.gradient, (len(of), len(theta))).T
            hessian = np.broadcast_to(here.hessian, (len(of), len(of), len(theta))).transpose(2, 0, 1)
            step = _downhill(gradient, hessian)
            if not (np.abs(step) > AT_REST).any():
                break
            for _ in range(30):  # halved until it does not climb
                trial = log_sum(at + step)
                climbs = ~(trial.value <= here.value + 1e-13)
                if not climbs.any():
                    break
                step[climbs] /= 2
            at = at + step
            here = log_sum(at)
        curved = np.linalg.eigvalsh(
            np.broadcast_to(here.hessian, (len(of), len(of), len(theta))).transpose(2, 0, 1)
        ).min(-1)
    found = (np.abs(step).max(1) < 1e-6) & (np.abs(at).max(1) < FARTHEST) & (curved > 1e-12)
    return np.where(found[:, None], at, np.nan)


def _downhill(gradient: FloatArray, hessian: FloatArray) -> FloatArray:
    """Newton's step, or down the gradient where the Hessian is not positive; no longer than `LONGEST_STEP`."""
    values, vectors = np.linalg.eigh(np.nan_to_num(hessian))
    turned = np.einsum("dij,di->dj", vectors, np.nan_to_num(gradient))
    step = -np.einsum("dij,dj->di", vectors, turned / np.maximum(np.abs(values), 1e-8))
    size = np.abs(step).max(1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, LONGEST_STEP / np.maximum(size, 1e-300)))
