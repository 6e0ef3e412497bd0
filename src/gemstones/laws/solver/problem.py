"""The optimisation problem of a law: what the solver is given, in the law's own parameters.

    log L̂ = logaddexp( p·log Σᵢ exp(ηᵢ), E ),   ηᵢ = offsetᵢ + θ[indexᵢ] @ zᵢ (+ innerᵢ(θ))

A term is the exponential of a function that is linear in θ: z holds −log x for an exponent, 1 for a log
coefficient, 0 or 1 for the coefficient of a group, a product of logs for an interaction. What is fixed is in the
offset. Sums and products of powers, tied and fixed exponents, groups, an outer exponent p and an irreducible loss
exp(E) that is absent, fixed, fitted or one per group are all of this family. A term that is not linear in some
parameter (effective tokens of repeated data, the centre of a bowl) brings an `Inner`.

Nothing here knows of tables, columns or names. θ is (m,) throughout: of the law, not centred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from gemstones.shape import FloatArray, IntArray

Kind = Literal["exponent", "coefficient", "constant", "outer", "inner"]
"""What a parameter is: an exponent, a log coefficient (only ever times 0 or 1), a log irreducible loss, the log of
the outer exponent, or anything else that terms depend on in a way of their own."""

NO_LOSS = -np.inf
"""log of an irreducible loss that the law does not have."""
EXPONENTS = (0.0, 20.0)
"""Default bounds of exponents: a term with a larger one has vanished after the least value of its column."""
RESAMPLED_EXPONENT = 4.0
"""Default upper bound of exponents in resamples, or twice the estimate where that is more: without one, resamples of
few runs end at powers that mean nothing, and intervals of coefficients at 1e260. The estimate itself has room: on the
Gemstones of width 512 the exponent of N is 4.9, on `pebbles` that of N in `w,d,N,T` 11."""
LOG_OUTER = (float(np.log(0.01)), float(np.log(10.0)))
"""Default bounds of log p."""
FREE = (-np.inf, np.inf)


class Inner(Protocol):
    """The part of η that is not linear in its parameters, for many θ at once.

    B is the number of θ, q that of the parameters it depends on, n that of rows.
    """

    @property
    def index(self) -> IntArray:
        """(q,): the parameters in θ it depends on; no log coefficients."""
        ...

    @property
    def starts(self) -> FloatArray:
        """(s, q): values worth starting from; of an exponent (which has a grid of its own) the value does not matter
        beyond being typical, of parameters of kind `inner` the rows are tried one by one."""
        ...

    def value(self, theta: FloatArray) -> FloatArray:
        """(B, n) for θ[index] (B, q)."""
        ...

    def derivatives(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient (B, q, n) and Hessian (B, q, q, n) for θ[index] (B, q)."""
        ...

    def taken(self, rows: IntArray) -> Inner:
        """The same of some rows."""
        ...


@dataclass(frozen=True, eq=False)
class Term:
    """exp(η) with η = offset + θ[index] @ z, plus `inner` if there is one."""

    index: IntArray
    """(q,): parameters that η is linear in."""
    z: FloatArray
    """(q, n)"""
    offset: FloatArray
    """(n,); −inf in rows where there is no such term."""
    inner: Inner | None = None

    def taken(self, rows: IntArray) -> Term:
        """The term in some rows."""
        inner = None if self.inner is None else self.inner.taken(rows)
        return Term(self.index, self.z[:, rows], self.offset[rows], inner)

    def log_value(self, theta: FloatArray) -> FloatArray:
        """η (B, n) of θ (B, m)."""
        eta: FloatArray = theta[:, self.index] @ self.z + self.offset
        return eta if self.inner is None else eta + self.inner.value(theta[:, self.inner.index])


@dataclass(frozen=True, eq=False)
class Problem:
    """n rows of log losses, and the law that is to explain them."""

    log_loss: FloatArray
    """(n,)"""
    terms: tuple[Term, ...]
    kinds: tuple[Kind, ...]
    """(m,)"""
    lower: FloatArray
    """(m,); equal to `upper` where a parameter is fixed."""
    upper: FloatArray
    """(m,)"""
    constant: IntArray | None = None
    """(n,): the parameter that is E of each row, −1 where `constant_offset` has it; None: of every row."""
    constant_offset: FloatArray | None = None
    """(n,): E where it is no parameter; −inf (or None) where the law has no irreducible loss."""
    outer: int | None = None
    """The parameter log p; None where p is 1."""
    starts_from: IntArray | None = None
    """(m,): what each parameter equals in the simpler law that it starts from: itself (or None: all of them), another
    parameter (a group's coefficient that of the first group), or −1 for zero (an interaction)."""
    weights: FloatArray | None = None
    """(n,): how often each row counts; None: once."""

    @classmethod
    def simple(cls, columns: FloatArray, loss: FloatArray, outer: bool = False) -> Problem:
        """A sum of powers of positive `columns` (n, k) and a constant, with default bounds.

        θ is the exponents, the log coefficients, E and, with `outer`, log p.
        """
        n, k = columns.shape
        one, nothing = np.ones(n), np.zeros(n)
        terms = tuple(
            Term(np.array([i, k + i]), np.stack([-np.log(columns[:, i]), one]), nothing) for i in range(k)
        )
        powers: list[Kind] = [*["exponent"] * k, *["coefficient"] * k, "constant"]  # type: ignore[list-item]
        kinds = (*powers, "outer") if outer else tuple(powers)
        lower, upper = default_bounds(kinds)
        constant = np.full(n, 2 * k)
        return cls(np.log(loss), terms, kinds, lower, upper, constant, outer=2 * k + 1 if outer else None)

    @property
    def parameters(self) -> int:
        """m."""
        return len(self.kinds)

    @property
    def rows(self) -> int:
        """n."""
        return len(self.log_loss)

    def log_constant(self, theta: FloatArray) -> FloatArray:
        """E of each row, (B, n), for θ (B, m)."""
        offset = np.full(self.rows, NO_LOSS) if self.constant_offset is None else self.constant_offset
        if self.constant is None:
            return np.broadcast_to(offset, (len(theta), self.rows))
        return np.where(self.constant >= 0, theta[:, self.constant], offset)

    def log_prediction(self, theta: FloatArray) -> FloatArray:
        """log L̂ (B, n) of θ (B, m)."""
        log_sum = np.logaddexp.reduce([term.log_value(theta) for term in self.terms])
        if self.outer is not None:
            log_sum = np.exp(theta[:, self.outer, None]) * log_sum
        return np.asarray(np.logaddexp(log_sum, self.log_constant(theta)))

    def residuals(self, theta: FloatArray) -> FloatArray:
        """log L − log L̂ (B, n) of θ (B, m)."""
        return np.asarray(self.log_loss - self.log_prediction(theta))

    def taken(self, rows: IntArray) -> Problem:
        """The problem of some rows."""
        return replace(
            self,
            log_loss=self.log_loss[rows],
            terms=tuple(term.taken(rows) for term in self.terms),
            constant=None if self.constant is None else self.constant[rows],
            constant_offset=None if self.constant_offset is None else self.constant_offset[rows],
            weights=None if self.weights is None else self.weights[rows],
        )


def default_bounds(kinds: Sequence[Kind]) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds (m,) of parameters of these kinds, where nobody asked for others."""
    bounds = np.array([{"exponent": EXPONENTS, "outer": LOG_OUTER}.get(kind, FREE) for kind in kinds])
    return bounds[:, 0].copy(), bounds[:, 1].copy()
