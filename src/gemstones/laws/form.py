"""The forms of laws: what is fitted, as a value, and the one function that all of them are.

    log L̂ = logaddexp( p·log Σᵢ exp(ηᵢ), E )

Every form is a formula (`gemstones.laws.formula`). A list of columns is short for the sum of their powers and a
constant: `N,T` is the paper's Equation 1 (McLeish et al. 2025), `w,d,N,T` Equation 2, `w,d,T` Equation 3, and
`(w,d,N,T)^p` has an exponent around the sum. θ is a vector of m numbers: exponents, log coefficients, the log of the
irreducible loss, the log of the outer exponent, and whatever else there is, each in the order of the formula.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import msgspec
import numpy as np

from gemstones.accounting.parameters import ParamsConvention
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
from gemstones.laws.formula import parse_formula
from gemstones.laws.listed import as_list, canonical, tree_of
from gemstones.laws.literature import NAMED
from gemstones.laws.terms import Structure
from gemstones.laws.tree import Constant, Expression, Number, constants, rebuilt, written
from gemstones.shape import FloatArray, IntArray
from gemstones.units import read_number

Codes = Mapping[str, IntArray]
"""For every column between whose values constants differ, the position of each row's value."""


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A family of laws, as it is written; `parse_form` reads it."""

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

        >>> form = msgspec.structs.replace(parse_form("E[family] + A/N^a"), levels=(("family", ("a", "b")),))
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


# ---------------------------------------------------------------------------------------------- reading forms


def law_text(law: str | Sequence[str]) -> str:
    """A law as it is written: `N,T` for that, and for the list of its terms."""
    return law if isinstance(law, str) else ",".join(map(str, law))


def parse_form(
    text: str,
    convention: ParamsConvention = "total",
    *,
    fix: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Form:
    """A form from a list of columns or a formula; `InvalidRequest` where it cannot be read.

    A name of `gemstones.laws.literature.NAMED` is the form of that name. `fix` gives constants a value, `bounds` a
    range. The constants of a list of columns are E, p, and for each column the exponent `a_N` and coefficient `A_N`.

    >>> parse_form("width,depth,N,T").text, parse_form("( N, T )**p").text
    ('w,d,N,T', '(N,T)^p')
    >>> parse_form("E + A/N^a + B/tokens^a", fix={"E": 1.69}).text
    '1.69 + A/N^a + B/T^a'
    """
    named = NAMED.get(text.strip())
    if named is None:
        _check_name(text.strip())
    form = Form(canonical(text if named is None else named.text, convention))
    _ = form.structure
    if named is not None:
        form = msgspec.structs.replace(form, bounds=_bounds(form, named.bounds))
    return with_constants(form, fix, bounds)


def _check_name(text: str) -> None:
    """Refuse what is nearly the name of a form, or can only be meant as one."""
    near = get_close_matches(text, NAMED, 1, 0.8)
    if near or re.fullmatch(r"[A-Za-z]\w+(-\w+)+", text):
        meant = f"did you mean {near[0]}" if near else f"choose from {', '.join(NAMED)}"
        raise InvalidRequest(f"law {text!r} is no form by name: {meant}, or write columns or a formula")


def with_constants(
    form: Form,
    fix: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Form:
    """A form with constants given a value, or a range."""
    for name in {*(fix or {})} & {*(bounds or {})}:
        raise InvalidRequest(f"{name} is fixed and bounded: do one of the two")
    if fix:
        kept = tuple(bound for bound in form.bounds if bound[0] not in fix)
        form = msgspec.structs.replace(_fixed(form, fix), bounds=kept)
        _ = form.structure
    if bounds:
        others = {name: (low, high) for name, low, high in form.bounds}
        form = msgspec.structs.replace(form, bounds=_bounds(form, {**others, **bounds}))
    return form


def parse_fixed(text: str) -> tuple[str, float]:
    """Name and value of `E=1.69`.

    >>> parse_fixed("E=1.69"), parse_fixed("a = -0.3")
    (('E', 1.69), ('a', -0.3))
    """
    name, sign, value = text.partition("=")
    if not (sign and name.strip()) or (number := _number(value)) is None:
        raise InvalidRequest(
            f"fix {text!r} is not a constant with a value: write it like E=1.69, with a decimal point"
        )
    return name.strip(), number


def parse_bound(text: str) -> tuple[str, tuple[float, float]]:
    """Name and range of `a=0.1..0.6`; an end that is left out is infinite, for positive constants zero.

    >>> parse_bound("a=0.1..0.6"), parse_bound("a=..0.6")
    (('a', (0.1, 0.6)), ('a', (-inf, 0.6)))
    """
    name, sign, ends = text.partition("=")
    low, dots, high = ends.partition("..")
    least = _number(low) if low.strip() else -np.inf
    greatest = _number(high) if high.strip() else np.inf
    if not (sign and dots and name.strip()) or least is None or greatest is None or not (low + high).strip():
        raise InvalidRequest(
            f"bound {text!r} is not a constant with a range: write it like a=0.1..0.6, with decimal points"
        )
    return name.strip(), (least, greatest)


def _number(text: str) -> float | None:
    """A finite number, written as quantities are, or None for what is none."""
    value = read_number(text)
    return value if value is not None and np.isfinite(value) else None


def _fixed(form: Form, values: Mapping[str, float]) -> Form:
    tree = tree_of(form.text)
    names = {c.name for c in constants(tree)}
    for name, value in values.items():
        if name not in names:
            raise InvalidRequest(
                f"fix {name}={value:g}: law {form.text} has no {name}: it has {', '.join(sorted(names))}"
            )
        positive = next(p for p in form.structure.parameters if p.name == name).positive
        if not np.isfinite(value) or (positive and value <= 0):
            raise InvalidRequest(
                f"fix {name}={value:g}: {name} must be {'positive' if positive else 'finite'}"
            )

    def change(part: Expression) -> Expression:
        if isinstance(part, Constant) and part.name in values:
            value = values[part.name]
            return Number(value) if value >= 0 else rebuilt(parse_formula(f"-{-value!r}"), lambda p: p)
        return part

    return Form(written(rebuilt(tree, change)))


def _bounds(form: Form, bounds: Mapping[str, tuple[float, float]]) -> tuple[tuple[str, float, float], ...]:
    parameters = {p.name: p for p in form.structure.parameters}
    for name, ends in bounds.items():
        if not (
            isinstance(ends, tuple | list)
            and len(ends) == 2
            and all(isinstance(x, int | float) for x in ends)
        ):
            raise InvalidRequest(
                f"bound of {name}, {ends!r}, must be a least and a greatest value, like (0.1, 0.6)"
            )
        low, high = ends
        given = f"bound {name}={low:g}..{high:g}"
        if name not in parameters:
            raise InvalidRequest(f"{given}: law {form.text} has no {name}: it has {', '.join(parameters)}")
        if not low < high:
            raise InvalidRequest(
                f"{given}: the least value must be below the greatest; for one value use fix {name}="
            )
        if parameters[name].positive and (-np.inf < low < 0 or high <= 0):
            raise InvalidRequest(f"{given}: {name} is positive, so its least value is at least 0")
    bounds = {
        n: (max(low, 0.0) if parameters[n].positive else low, high) for n, (low, high) in bounds.items()
    }
    return tuple(sorted((name, float(low), float(high)) for name, (low, high) in bounds.items()))
