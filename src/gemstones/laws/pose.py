"""A form and the rows of a table as a problem for the solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gemstones.laws import dual
from gemstones.laws.dual import Dual
from gemstones.laws.evaluate import Values
from gemstones.laws.form import Codes, Form
from gemstones.laws.linear import Polynomial
from gemstones.laws.solver.problem import NO_LOSS, Problem, Term
from gemstones.laws.starts import fitted_alone, starts_of
from gemstones.laws.terms import TermOf
from gemstones.laws.tree import Expression, constants
from gemstones.laws.tree import columns as columns_of
from gemstones.shape import FloatArray, IntArray


def pose(
    form: Form,
    log_columns: Sequence[FloatArray],
    loss: FloatArray,
    codes: Codes | None = None,
    weights: FloatArray | None = None,
) -> Problem:
    """The problem of fitting `form` to n rows: `log_columns` (n,) in the order of its columns, and `loss` (n,)."""
    codes = codes or {}
    columns = {c: np.ascontiguousarray(x) for c, x in zip(form.columns, log_columns, strict=True)}
    entries, structure = form.entries, form.structure
    lower, upper = form.limits()
    n = len(loss)
    constant, constant_offset = None, None
    if isinstance(structure.constant, str):
        constant = _of_rows(form, structure.constant, codes, n)
    elif structure.constant is not None:
        constant_offset = np.full(n, np.log(structure.constant))
    else:
        constant_offset = np.full(n, NO_LOSS)
    outer = None
    kinds = [entry.kind for entry in entries]
    if isinstance(structure.outer, str):
        outer = form.index(structure.outer)
    elif structure.outer is not None:  # a parameter that cannot move
        outer = len(entries)
        kinds.append("outer")
        lower, upper = (np.append(bounds, np.log(structure.outer)) for bounds in (lower, upper))
    starts_from = np.arange(len(kinds))
    for i, entry in enumerate(entries):
        starts_from[i] = -1 if entry.parameter.free else form.index(entry.parameter.name)
    terms = tuple(_term(form, term, columns, codes, n) for term in structure.terms)
    return Problem(
        log_loss=np.log(loss),
        terms=_started(form, terms, columns, np.log(loss), lower, upper),
        kinds=tuple(kinds),
        lower=lower,
        upper=upper,
        constant=constant,
        constant_offset=constant_offset,
        outer=outer,
        starts_from=None if (starts_from == np.arange(len(kinds))).all() else starts_from,
        weights=weights,
    )


def _started(
    form: Form,
    terms: tuple[Term, ...],
    columns: Mapping[str, FloatArray],
    log_loss: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
) -> tuple[Term, ...]:
    """The terms, with starts fitted to the rows where all of them have one factor that is not linear."""
    first, *others = form.structure.terms
    inner = terms[0].inner
    if not isinstance(inner, FormulaInner) or any(term.rest != first.rest for term in others):
        return terms
    if any(form.entries[i].kind != "inner" for i in inner.index) or len(log_loss) <= 2 * len(inner.index):
        return terms
    plain = dict.fromkeys(
        column
        for term in form.structure.terms
        for polynomial in (term.offset, *(p for _, p in term.linear))
        for monomial in polynomial
        for atom in monomial
        for column in columns_of(atom)
    )
    starts = fitted_alone(
        inner, log_loss, [columns[c] for c in plain], lower[inner.index], upper[inner.index]
    )
    return tuple(replace(term, inner=replace(inner, starts=starts)) for term in terms)


def _of_rows(form: Form, name: str, codes: Codes, n: int) -> IntArray:
    """Position in θ of a constant in every row."""
    group = form.entries[form.index(name)].parameter.group
    return form.index(name) + (codes[group] if group else np.zeros(n, np.int64))


def _term(form: Form, term: TermOf, columns: Mapping[str, FloatArray], codes: Codes, n: int) -> Term:
    known = Values(columns, {}, frozenset())

    def by_row(polynomial: Polynomial) -> FloatArray:
        return np.broadcast_to(np.asarray(known.polynomial(polynomial), np.float64), n).copy()

    index: list[int] = []
    z: list[FloatArray] = []
    for name, polynomial in term.linear:
        values = by_row(polynomial)
        where = _of_rows(form, name, codes, n)
        for i in range(form.index(name), form.index(name) + form.count(name)):
            index.append(i)
            z.append(np.where(where == i, values, 0.0))
    return Term(
        np.array(index, np.int64),
        np.array(z).reshape(len(index), n),
        by_row(term.offset),
        FormulaInner.of(form, term, columns, codes, n) if term.rest else None,
    )


@dataclass(frozen=True, eq=False)
class FormulaInner:
    """What of a term's logarithm is not linear in its constants, with exact derivatives: an `Inner` of the solver."""

    parts: tuple[tuple[FloatArray, Expression], ...]
    """(n,) factors of expressions."""
    names: tuple[str, ...]
    """The constants in them."""
    positive: frozenset[str]
    columns: Mapping[str, FloatArray]
    """Logs of columns, (n,)."""
    rows: tuple[IntArray, ...]
    """For every constant, which of `index` it is in each row, (n,)."""
    index: IntArray
    starts: FloatArray

    @classmethod
    def of(
        cls, form: Form, term: TermOf, columns: Mapping[str, FloatArray], codes: Codes, n: int
    ) -> FormulaInner:
        """Of a term with parts that are not linear."""
        known = Values(columns, {}, frozenset())
        parts = tuple(
            (np.broadcast_to(np.asarray(known.polynomial(polynomial), np.float64), n), tree)
            for polynomial, tree in term.rest
        )
        names = tuple(dict.fromkeys(c.name for _, tree in parts for c in constants(tree)))
        index = np.concatenate([form.index(name) + np.arange(form.count(name)) for name in names])
        position = {int(i): k for k, i in enumerate(index)}
        rows = tuple(
            np.array([position[int(i)] for i in _of_rows(form, name, codes, n)], np.int64) for name in names
        )
        needed = {name for _, tree in parts for name in columns_of(tree)}
        starts = np.concatenate(
            [np.repeat(starts_of(form, name, columns)[:, None], form.count(name), 1) for name in names],
            axis=1,
        )
        return cls(
            parts,
            names,
            form.structure.positive,
            {c: x for c, x in columns.items() if c in needed},
            rows,
            index,
            starts,
        )

    def taken(self, rows: IntArray) -> FormulaInner:
        """The same of some rows."""
        return replace(
            self,
            parts=tuple((factor[rows], tree) for factor, tree in self.parts),
            columns={name: x[rows] for name, x in self.columns.items()},
            rows=tuple(which[rows] for which in self.rows),
        )

    def value(self, theta: FloatArray) -> FloatArray:
        """(B, n) for θ[index] (B, q)."""
        return dual.value_of(self._at([theta[:, which] for which in self.rows]))

    def derivatives(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient (B, q, n) and Hessian (B, q, q, n) for θ[index] (B, q)."""
        whole = self._at(dual.variables([theta[:, which] for which in self.rows]))
        assert isinstance(whole, Dual)
        b, q, n = len(theta), len(self.index), len(self.rows[0])
        gradient, hessian = np.zeros((b, q, n)), np.zeros((b, q, q, n))
        at = np.arange(n)
        shape = (b, n)
        for i, rows_i in enumerate(self.rows):
            gradient[:, rows_i, at] += np.broadcast_to(whole.gradient[i], shape)
            for j, rows_j in enumerate(self.rows):
                hessian[:, rows_i, rows_j, at] += np.broadcast_to(whole.hessian[i, j], shape)
        return gradient, hessian

    def _at(self, theta: Sequence[dual.Number]) -> dual.Number:
        values = Values(self.columns, dict(zip(self.names, theta, strict=True)), self.positive)
        total: dual.Number = 0.0
        for factor, tree in self.parts:
            total = total + values.value_of(tree) * factor
        return total
