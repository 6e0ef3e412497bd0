"""The forms of laws: what is fitted, as a value, and the one function that all of them are.

    log L̂ = logaddexp( p·log Σᵢ exp(ηᵢ), E )

Every form is a formula (`gemstones.laws.formula`). A list of columns is short for the sum of their powers and a
constant: `N,T` is the paper's Equation 1 (McLeish et al. 2025), `w,d,N,T` Equation 2, `w,d,T` Equation 3, and
`(w,d,N,T)^p` has an exponent around the sum. θ is a vector of m numbers: exponents, log coefficients, the log of the
irreducible loss, the log of the outer exponent, and whatever else there is, each in the order of the formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.laws import dual
from gemstones.laws.dual import Dual
from gemstones.laws.entries import (
    Entry,
    entries_of,
    places_of,
    power_columns,
    structure_of_text,
    usual_bounds,
)
from gemstones.laws.evaluate import Values
from gemstones.laws.listed import as_list, tree_of
from gemstones.laws.terms import Structure
from gemstones.laws.tree import Constant, rebuilt, written
from gemstones.shape import FloatArray, IntArray

Codes = Mapping[str, IntArray]
"""For every column between whose values constants differ, the position of each row's value."""


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A family of laws, as it is written; `gemstones.laws.parse_form.parse_form` reads it, `fit` takes it.

    >>> from gemstones.laws.parse_form import parse_form
    >>> form = parse_form("E + A/N^a + B/T^b")
    >>> form.columns, [entry.name for entry in form.entries]
    (('N', 'T'), ['a', 'b', 'A', 'B', 'E'])
    """

    text: str
    """Canonical: `N,T`, `(w,d,N,T)^p`, `E + A/N^a + B/T^b`."""
    bounds: tuple[tuple[str, float, float], ...] = ()
    """Constants with their least and greatest value, where these are not the usual."""
    levels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The values of every column between which constants differ; known once there is a table."""

    @property
    def terms(self) -> tuple[str, ...] | None:
        """The columns of a list, as they are written; None for a formula."""
        listed = as_list(self.text)
        return None if listed is None else listed[0]

    @property
    def structure(self) -> Structure:
        """The formula, understood."""
        return structure_of_text(self.text)

    @property
    def columns(self) -> tuple[str, ...]:
        """Symbols of the columns that the form needs: the order of `log_columns` everywhere."""
        return self.structure.columns

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns between whose values constants differ."""
        return tuple(dict.fromkeys(p.group for p in self.structure.parameters if p.group))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What θ holds, (m,)."""
        return entries_of(self.text, self.levels)

    @property
    def has_outer(self) -> bool:
        """Whether there is an exponent around the sum."""
        return self.structure.outer is not None

    def index(self, name: str) -> int:
        """Position in θ of a constant, the first of a group's."""
        return places_of(self.text, self.levels)[name]

    def count(self, name: str) -> int:
        """How many numbers of θ a constant has: one for each value of its group."""
        return sum(entry.parameter.name == name for entry in self.entries)

    def at(self, levels: Mapping[str, str]) -> tuple[Form, IntArray]:
        """The form of one value of every group, and which numbers of θ are its own.

        >>> form = Form("E[family] + A/N^a", levels=(("family", ("a", "b")),))
        >>> plain, index = form.at({"family": "b"})
        >>> plain.text, index
        ('E + A/N^a', array([0, 1, 3]))
        """
        known = dict(self.levels)
        chosen = {}
        for group in self.groups:
            level = levels.get(group)
            if level is None or level not in known.get(group, ()):
                raise InvalidRequest(
                    f"law {self.text} differs by {group}: say which, {group}= one of {', '.join(known.get(group, ()))}"
                    + ("" if level is None else f"; not {level!r}")
                )
            chosen[group] = level
        index = [i for i, e in enumerate(self.entries) if e.level in (None, chosen.get(e.parameter.group))]
        tree = rebuilt(
            tree_of(self.text), lambda part: Constant(part.name) if isinstance(part, Constant) else part
        )
        return Form(written(tree), self.bounds), np.array(index)

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Bounds of θ, (m,) each."""
        given = {name: (low, high) for name, low, high in self.bounds}
        lower, upper = [], []
        for entry in self.entries:
            parameter = entry.parameter
            if parameter.name in given:
                low, high = given[parameter.name]
                if parameter.positive:
                    with np.errstate(divide="ignore"):
                        low, high = float(np.log(low)), float(np.log(high))
            else:
                low, high = usual_bounds(parameter)
            lower.append(low)
            upper.append(high)
        return np.array(lower), np.array(upper)

    # ------------------------------------------------------------------------------------- the law itself

    def log_terms(
        self,
        theta: FloatArray,
        log_columns: Sequence[dual.Number],
        codes: Codes | None = None,
        aligned: bool = False,
    ) -> list[dual.Number]:
        """log of every term: ηᵢ for θ (m,), shaped like the columns; for θ (D, m), (D, …).

        `log_columns` are in the order of `columns` and broadcast against each other, so that a column that varies
        along one axis costs no more than that. `codes` numbers the rows' values of each group.
        """
        values = self._values(theta, log_columns, codes, aligned)
        terms = []
        for term in self.structure.terms:
            eta: dual.Number = values.polynomial(term.offset)
            for name, polynomial in term.linear:
                eta = eta + values.constants[name] * values.polynomial(polynomial)
            for polynomial, tree in term.rest:
                eta = eta + values.polynomial(polynomial) * values.value_of(tree)
            terms.append(eta)
        return terms

    def log_sum(
        self,
        theta: FloatArray,
        log_columns: Sequence[dual.Number],
        codes: Codes | None = None,
        aligned: bool = False,
    ) -> dual.Number:
        """log Σ exp(ηᵢ): without outer exponent and irreducible loss. At a budget the best shape minimises it.

        With `aligned`, the first axis of the columns is that of θ (D, m): each θ has columns of its own.
        """
        return dual.logsumexp(self.log_terms(theta, log_columns, codes, aligned))

    def log_loss(
        self,
        theta: FloatArray,
        log_columns: Sequence[dual.Number],
        codes: Codes | None = None,
    ) -> dual.Number:
        """log L̂ for θ (m,), shaped like the columns; for θ (D, m), (D, …). Loss in the unit that was fitted."""
        return self.outside(theta, self.log_sum(theta, log_columns, codes), codes)

    def outside(self, theta: FloatArray, log_sum: dual.Number, codes: Codes | None = None) -> dual.Number:
        """log L̂ from the log of the sum of terms: the outer exponent and the irreducible loss."""
        structure = self.structure
        dims = np.ndim(log_sum.value if isinstance(log_sum, Dual) else log_sum) - (np.ndim(theta) - 1)
        total = log_sum
        if isinstance(structure.outer, str):
            total = total * np.exp(self._constant(theta, structure.outer, codes, dims))
        elif structure.outer is not None:
            total = total * structure.outer
        if isinstance(structure.constant, str):
            return dual.logaddexp(total, self._constant(theta, structure.constant, codes, dims))
        if structure.constant is not None:
            return dual.logaddexp(total, np.asarray(np.log(structure.constant)))
        return total

    def derivatives(self, theta: FloatArray, log_columns: Sequence[FloatArray]) -> Dual:
        """log L̂ with its gradient (q, …) and Hessian (q, q, …) in the logs of the q columns."""
        value = self.log_loss(theta, dual.variables(list(log_columns)))
        assert isinstance(value, Dual)
        return value

    @property
    def power_terms(self) -> tuple[tuple[str, str | float, str | float], ...] | None:
        """Column, exponent and log coefficient of every term of a sum of powers, each a constant's name or a number.

        None for other forms.
        """
        return power_columns(self.text)

    def powers(self, theta: FloatArray) -> tuple[tuple[str, ...], FloatArray, FloatArray] | None:
        """Columns, exponents (…, k) and log coefficients (…, k) of a law that is a sum of powers of one column each.

        None for other forms. θ is (m,) or (D, m).
        """
        columns = self.power_terms
        if columns is None:
            return None
        theta = np.asarray(theta)

        def filled(references: Sequence[str | float]) -> FloatArray:
            parts = [
                theta[..., self.index(r)] if isinstance(r, str) else np.full(theta.shape[:-1], r)
                for r in references
            ]
            return np.stack(parts, axis=-1)

        return (
            tuple(c for c, _, _ in columns),
            filled([e for _, e, _ in columns]),
            filled([c for _, _, c in columns]),
        )

    def log_irreducible(self, theta: FloatArray) -> float | None:
        """E of θ (m,), or None where there is none or it differs by group."""
        constant = self.structure.constant
        if constant is None:
            return None
        if not isinstance(constant, str):
            return float(np.log(constant))
        entry = self.entries[self.index(constant)]
        return float(theta[self.index(constant)]) if entry.level is None else None

    def outer_exponent(self, theta: FloatArray) -> float | None:
        """p of θ (m,), or None for a plain sum."""
        outer = self.structure.outer
        return float(np.exp(theta[self.index(outer)])) if isinstance(outer, str) else outer

    def _values(
        self,
        theta: FloatArray,
        log_columns: Sequence[dual.Number],
        codes: Codes | None,
        aligned: bool = False,
    ) -> Values:
        structure = self.structure
        dims = max((np.ndim(c.value if isinstance(c, Dual) else c) for c in log_columns), default=0) - aligned
        return Values(
            dict(zip(structure.columns, log_columns, strict=True)),
            {p.name: self._constant(theta, p.name, codes, dims) for p in structure.parameters},
            structure.positive,
        )

    def _constant(self, theta: FloatArray, name: str, codes: Codes | None, dims: int) -> FloatArray:
        """A constant as it is kept: a number, (D, 1, …), or by row where it differs between groups."""
        theta = np.asarray(theta)
        entry = self.entries[self.index(name)]
        if entry.level is None:
            value = theta[..., self.index(name)]
            return value.reshape(value.shape + (1,) * dims) if theta.ndim > 1 else value
        if codes is None or entry.parameter.group not in codes:
            raise InvalidRequest(
                f"law {self.text} differs by {entry.parameter.group}: say which of its values is meant"
            )
        return np.asarray(theta[..., self.index(name) + codes[entry.parameter.group]])
