"""`Law`: a form with its constants, able to predict; frozen, comparable, serialisable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gemstones.accounting.parameters import ParamsConvention
from gemstones.display import few_lines
from gemstones.errors import InvalidRequest
from gemstones.laws.columns import column_name, column_symbol, group_codes, quantities, table_columns
from gemstones.laws.constants import law_html, law_notes
from gemstones.laws.dual import Dual, value_of
from gemstones.laws.flops_model import FlopsModel
from gemstones.laws.form import Form
from gemstones.laws.listed import tree_of
from gemstones.laws.prescribes import Prescribes
from gemstones.laws.tree import written
from gemstones.runs.loss_units import LossUnit
from gemstones.shape import Column, FloatArray, IntArray, Shape
from gemstones.units import Interval, format_number

if TYPE_CHECKING:
    from gemstones.runs.table import RunTable


class FittedRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the fitted runs span, [least, most]; None where it is not known."""

    flops: Interval | None = None
    """Counted as plans of the law are: 6·N·T for a law in N and T alone, unless the runs gave their own; as the run
    table has them else."""
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


class Formula(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A formula with its constants."""

    text: str
    """Canonical, like `E + A/N^a + B/T^b`."""
    constants: dict[str, float]
    """As θ has them: `a`, and `log A` for those that are positive; `log E[main]` for one value of a group."""
    levels: dict[str, tuple[str, ...]] = {}
    """The values of the columns between which constants differ."""

    def __hash__(self) -> int:
        return hash((self.text, *self.constants.items(), *self.levels.items()))

    @property
    def form(self) -> Form:
        """The formula, understood."""
        return Form(self.text, levels=tuple(self.levels.items()))


class Law(Prescribes, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """L̂ = (Σ_i exp(log_coefficients_i)·x_i^(−exponents_i))^outer_exponent + exp(log_irreducible), in `loss_unit`.

    Losses are in nats unless `loss_unit` says otherwise. A law that is no such sum is a `formula`, and these five are
    empty.

    >>> law = Law(("N", "T"), (0.34, 0.28), (6.007, 6.018), 0.525, name="Hoffmann et al. 2022")
    >>> law.irreducible_loss, law.plan(1e22).tokens_per_param
    (1.69, 62.6)
    """

    terms: tuple[str, ...] = ()
    exponents: tuple[float, ...] = ()
    log_coefficients: tuple[float, ...] = ()
    log_irreducible: float | None = None
    params_convention: ParamsConvention = "total"
    """How N is counted."""
    name: str = ""
    source: str = ""
    """Publication, or data and selection."""
    fitted: FittedRange = FittedRange()
    models: Models = Models()
    loss_unit: LossUnit = "nats"
    """Of predicted losses."""
    outer_exponent: float | None = None
    """None for 1."""
    formula: Formula | None = None
    flops: FlopsModel | None = None
    """FLOPs per token as the fitted runs gave them; None where they are Appendix G's, or 6·N for a law in N and T."""

    @classmethod
    def of_theta(
        cls,
        form: Form | Sequence[str],
        theta: FloatArray,
        *,
        params_convention: ParamsConvention = "total",
        name: str = "",
        source: str = "",
        fitted: FittedRange | None = None,
        models: Models | None = None,
        loss_unit: LossUnit = "nats",
        flops: FlopsModel | None = None,
    ) -> Law:
        """From θ (m,), as the solver has it, of a form or of a list of columns."""
        numbers = [float(x) for x in theta]
        if not isinstance(form, Form):
            form = Form(f"({','.join(form)})^p" if len(numbers) > 2 * len(form) + 1 else ",".join(form))
        known = {
            "params_convention": params_convention,
            "name": name,
            "source": source,
            "fitted": fitted or FittedRange(),
            "models": models or Models(),
            "loss_unit": loss_unit,
            "flops": flops,
        }
        if form.terms is None:
            keys = [entry.key for entry in form.entries]
            constants = dict(zip(keys, numbers, strict=True))
            return cls(formula=Formula(form.text, constants, dict(form.levels)), **known)  # type: ignore[arg-type]
        k = len(form.terms)
        outer = math.exp(numbers[2 * k + 1]) if form.has_outer else None
        return cls(
            form.terms,
            tuple(numbers[:k]),
            tuple(numbers[k : 2 * k]),
            numbers[2 * k],
            outer_exponent=outer,
            **known,  # type: ignore[arg-type]
        )

    @property
    def theta(self) -> FloatArray:
        """(m,): exponents, log coefficients, E, log p, as far as the form has them; see `gemstones.laws.form`."""
        if self.formula is not None:
            return np.array([self.formula.constants[entry.key] for entry in self.formula.form.entries])
        assert self.log_irreducible is not None
        outer = () if self.outer_exponent is None else (math.log(self.outer_exponent),)
        return np.array([*self.exponents, *self.log_coefficients, self.log_irreducible, *outer])

    @property
    def form(self) -> str:
        """The form as it is written: `w,d,N,T`, `(N,T)^p`, or a formula."""
        if self.formula is not None:
            return self.formula.text
        terms = ",".join(self.terms)
        return terms if self.outer_exponent is None else f"({terms})^p"

    @property
    def parsed_form(self) -> Form:
        """The form, understood."""
        return Form(self.form) if self.formula is None else self.formula.form

    @property
    def log_irreducible_loss(self) -> float | None:
        """E; None for a law without one, or with one for each value of a group."""
        return self.parsed_form.log_irreducible(self.theta)

    @property
    def irreducible_loss(self) -> float | None:
        """exp(E): the loss of an infinite model on infinite data, in `loss_unit`; None as `log_irreducible_loss`."""
        log = self.log_irreducible_loss
        return None if log is None else math.exp(log)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The columns that a prediction needs, by symbol: N, T, w, d, or a column's name."""
        return self.terms if self.formula is None else self.formula.form.columns

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of these columns in the run table."""
        return tuple(column_name(symbol, self.params_convention) for symbol in self.symbols)

    @property
    def constants(self) -> dict[str, float]:
        """The constants of a formula by name, as it has them; empty for a list of columns."""
        if self.formula is None:
            return {}
        with np.errstate(over="ignore"):
            return {
                entry.name: float(np.exp(x)) if entry.parameter.positive else float(x)
                for entry, x in zip(self.formula.form.entries, self.theta, strict=True)
            }

    def loss(self, columns: FloatArray | None = None, /, **named: Column) -> FloatArray:
        """Predicted loss for positive `columns` (…, k), in the order of `symbols`, or for columns by name.

        Quantities may have suffixes; a law that differs by a column takes a value of that.

        >>> law = Law(("N", "T"), (0.34, 0.28), (6.007, 6.018), 0.525)
        >>> round(float(law.loss(N="70B", T="1.4T")), 3)
        1.937
        """
        if columns is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.log(np.asarray(columns, np.float64))
            return np.exp(self.log_loss([*np.moveaxis(logs, -1, 0)]))
        law, values = self.with_columns(named)
        return np.exp(law.log_loss([np.log(values[symbol]) for symbol in law.symbols]))

    def losses(self, table: RunTable) -> FloatArray:
        """Predicted loss of every row of a table, (rows,)."""
        form = self.parsed_form
        columns = np.log(table_columns(form.columns, table, self.params_convention)).T
        codes = {group: group_codes(group, levels, table) for group, levels in form.levels}
        with np.errstate(over="ignore"):
            return np.exp(value_of(form.log_loss(self.theta, [*columns], codes)))

    def log_loss(self, log_columns: Sequence[FloatArray], theta: FloatArray | None = None) -> FloatArray:
        """log of the predicted loss for logs of columns, in the order of `symbols`, that broadcast to (…).

        For θ (D, m) in place of the law's own, such as the draws of a fit: (D, …).
        """
        return value_of(self.parsed_form.log_loss(self.theta if theta is None else theta, log_columns))

    def log_sum(self, log_columns: Sequence[FloatArray], theta: FloatArray | None = None) -> FloatArray:
        """As `log_loss`, of the sum of terms alone: whatever minimises it minimises loss."""
        return value_of(self.parsed_form.log_sum(self.theta if theta is None else theta, log_columns))

    def derivatives(self, log_columns: Sequence[FloatArray], theta: FloatArray | None = None) -> Dual:
        """log of the predicted loss, with gradient (q, …) and Hessian (q, q, …) in the logs of the q columns."""
        return self.parsed_form.derivatives(self.theta if theta is None else theta, log_columns)

    def of_group(self, **levels: str) -> tuple[Law, IntArray]:
        """The law of one value of each column between which constants differ, and where its θ stands in this one's."""
        form, index = self.parsed_form.at(levels)
        constants = {entry.key: float(x) for entry, x in zip(form.entries, self.theta[index], strict=True)}
        law = msgspec.structs.replace(
            self,
            formula=Formula(form.text, constants),
            source=", ".join([self.source, *(f"{group} {level}" for group, level in levels.items())]),
        )
        return law, index

    def with_columns(self, named: Mapping[str, Any]) -> tuple[Law, dict[str, FloatArray]]:
        """The law of the groups' values in `named`, and the values of columns in it by symbol."""
        groups = self.parsed_form.groups
        law = self.of_group(**{g: str(named[g]) for g in groups if g in named})[0] if groups else self
        values: dict[str, FloatArray] = {}
        for name, given in named.items():
            if name in groups:
                continue
            symbol = column_symbol(name, self.params_convention)
            if symbol not in self.symbols:
                raise InvalidRequest(
                    f"{name} is no column of law {self.form}: it has {', '.join((*self.symbols, *groups))}"
                )
            values[symbol] = quantities(given, name)
            if not (np.isfinite(values[symbol]) & (values[symbol] > 0)).all():
                raise InvalidRequest(f"{name} {given} must be positive and finite")
        missing = [symbol for symbol in self.symbols if symbol not in values]
        if missing:
            raise InvalidRequest(
                f"law {self.form} predicts from {', '.join(self.symbols)}: {missing[0]} is not given"
            )
        return law, values

    def __str__(self) -> str:
        if self.formula is not None:
            form = self.formula.form
            values = {
                entry.name: power_of_e(x) if entry.parameter.positive else format_number(x, 4)
                for entry, x in zip(form.entries, self.theta, strict=True)
            }
            if form.groups:
                return f"L = {form.text}"
            return f"L = {written(tree_of(form.text), values)}"
        powers = " + ".join(
            f"{power_of_e(c)}·{term}^{format_number(-e, 4)}"
            for term, e, c in zip(self.terms, self.exponents, self.log_coefficients, strict=True)
        )
        if self.outer_exponent is not None:
            powers = f"({powers})^{format_number(self.outer_exponent, 4)}"
        assert self.log_irreducible is not None
        return f"L = {powers} + {power_of_e(self.log_irreducible)}"

    def __repr__(self) -> str:
        return few_lines(f"Law {self.name} [{self.form}]: {self}", law_notes(self))

    def _repr_html_(self) -> str:
        return law_html(self)


def power_of_e(log: float) -> str:
    """exp(log) to four digits, for logs of any size."""
    if abs(log) < 300:
        return format_number(math.exp(log), 4)
    exponent = math.floor(log / math.log(10))
    return f"{10 ** (log / math.log(10) - exponent):.3f}e{exponent}"


def law_problem(law: Law) -> str | None:
    """What in a law read from a file cannot be, or None."""
    formula, k = law.formula, len(law.terms)
    try:
        if formula is not None:
            keys, groups = {e.key for e in formula.form.entries}, set(formula.form.groups)
            listed = law.terms or law.exponents or law.log_coefficients or law.log_irreducible
            fits = not listed and law.outer_exponent is None and keys == set(formula.constants)
            fits &= groups == set(formula.levels) and all(formula.levels.values())
        else:
            fits = k == len(set(law.terms)) == len(law.exponents) == len(law.log_coefficients) and k > 0
            fits &= law.log_irreducible is not None and (law.outer_exponent is None or law.outer_exponent > 0)
            fits = fits and law.parsed_form.terms == law.terms
    except InvalidRequest as error:
        return str(error)
    return None if fits else "terms and constants do not match"
