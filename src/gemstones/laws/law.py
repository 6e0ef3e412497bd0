"""`Law`: a form with its constants, able to predict; frozen, comparable, serialisable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.display import few_lines
from gemstones.laws.constants import law_html, law_notes
from gemstones.laws.form import column_name
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import FloatArray, Shape

if TYPE_CHECKING:
    from gemstones.plan.plan import Plan

Interval = tuple[float, float]


class FittedRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the fitted runs span, [least, most]; None where it is not known."""

    flops: Interval | None = None
    """Counted as plans of the law are: 6·N·T for a law in N and T alone, as the run table has them else."""
    params: Interval | None = None
    """In the law's convention."""
    tokens: Interval | None = None
    width: Interval | None = None
    depth: Interval | None = None


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the fitted models had in common beside width and depth: a plan counts with the same."""

    head_size: int = 128
    queries_per_kv: int = 2
    mlp_expansion: int = 4
    vocabulary: int = 50_304
    context: int = 2048

    @classmethod
    def of(cls, shape: Shape) -> Models:
        """Those of a shape."""
        return cls(**shape.architecture)

    def __str__(self) -> str:
        return (
            f"vocabulary {self.vocabulary:,}, head size {self.head_size}, "
            f"{self.queries_per_kv} {'query' if self.queries_per_kv == 1 else 'queries'} per kv head, "
            f"MLP expansion {self.mlp_expansion}, context {self.context:,}"
        )

    def template(self) -> Shape:
        """A narrow shape of these models: only its fields beside width and depth matter."""
        return Shape(2 * self.head_size * self.queries_per_kv, 1, **msgspec.structs.asdict(self))


class Law(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """L̂ = Σ_i exp(log_coefficients_i)·x_i^(−exponents_i) + exp(log_irreducible), in `loss_unit`."""

    terms: tuple[str, ...]
    exponents: tuple[float, ...]
    log_coefficients: tuple[float, ...]
    log_irreducible: float
    params_convention: ParamsConvention = "total"
    """How N is counted."""
    name: str = ""
    source: str = ""
    """Publication, or data and selection."""
    fitted: FittedRange = FittedRange()
    models: Models = Models()
    loss_unit: LossUnit = "nats"
    """Of predicted losses."""

    @classmethod
    def of_theta(
        cls,
        terms: Sequence[str],
        theta: FloatArray,
        *,
        params_convention: ParamsConvention = "total",
        name: str = "",
        source: str = "",
        fitted: FittedRange | None = None,
        models: Models | None = None,
        loss_unit: LossUnit = "nats",
    ) -> Law:
        """From θ = (exponents, log coefficients, E), as the solver has it."""
        k = len(terms)
        numbers = [float(x) for x in theta]
        return cls(
            tuple(terms),
            tuple(numbers[:k]),
            tuple(numbers[k : 2 * k]),
            numbers[2 * k],
            params_convention,
            name,
            source,
            fitted or FittedRange(),
            models or Models(),
            loss_unit,
        )

    @property
    def theta(self) -> FloatArray:
        """(m,): exponents, log coefficients, E."""
        return np.array([*self.exponents, *self.log_coefficients, self.log_irreducible])

    @property
    def form(self) -> str:
        """The form as it is written: `w,d,N,T`."""
        return ",".join(self.terms)

    @property
    def irreducible_loss(self) -> float:
        """exp(E): the loss of an infinite model on infinite data."""
        return math.exp(self.log_irreducible)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the terms' columns in the run table."""
        return tuple(column_name(term, self.params_convention) for term in self.terms)

    def loss(self, columns: FloatArray) -> FloatArray:
        """Predicted loss for positive `columns` (…, k), in the order of the terms."""
        return predict(self.theta, np.log(columns))

    def plan(self, budget: float | str, **options: Any) -> Plan:
        """What to train for `budget` FLOPs under this law; see `gemstones.plan.plan.plan`."""
        from gemstones.plan.plan import plan

        return plan(budget, self, **options)

    def __str__(self) -> str:
        powers = " + ".join(
            f"{_power_of_e(c)}·{term}^{-e:.4g}"
            for term, e, c in zip(self.terms, self.exponents, self.log_coefficients, strict=True)
        )
        return f"L = {powers} + {_power_of_e(self.log_irreducible)}"

    def __repr__(self) -> str:
        return few_lines(f"Law {self.name} [{self.form}]: {self}", law_notes(self))

    def _repr_html_(self) -> str:
        return law_html(self)


def _power_of_e(log: float) -> str:
    """exp(log) to four digits, for logs of any size."""
    if abs(log) < 300:
        return f"{math.exp(log):.4g}"
    exponent = math.floor(log / math.log(10))
    return f"{10 ** (log / math.log(10) - exponent):.3f}e{exponent:+d}"


def predict(theta: FloatArray, log_columns: FloatArray) -> FloatArray:
    """Predicted loss for one θ (m,) and logs of columns (…, k)."""
    k = (len(theta) - 1) // 2
    powers: FloatArray = np.exp(theta[k : 2 * k] - theta[:k] * log_columns)
    return np.asarray(powers.sum(-1) + np.exp(theta[2 * k]))
