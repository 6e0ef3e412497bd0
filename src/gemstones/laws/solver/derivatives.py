"""The objective of many θ at once, its gradient and its exact Hessian.

Letters of axes: B problems, k terms, l linear parameters, m parameters, n rows.

With shares sᵢ = exp(ηᵢ)/S, q = S^p/L̂, and the law's gradient G = ∇log L̂, which is q·p·Σ sᵢ∇ηᵢ for a parameter of the
terms, 1 − q for a constant and q·p·log S for log p, the objective Σ w·Huber_δ(r) has, with ψ = w·clip(r, ±δ) and
a = w·1[|r| ≤ δ],

    gradient  −Σ ψ G
    Hessian   Σ (a + ψ·(1 − (1 − 1/p)/q)) G Gᵀ − Σ ψ q p Σ sᵢ (∇ηᵢ∇ηᵢᵀ + ∇²ηᵢ)    among parameters of the terms,
              Σ (a + ψ) G (1 − q) and Σ ((a + ψ)(1 − q)² − ψ(1 − q))                of constants,
              Σ (a + ψ) G G_p − Σ ψ (1 + p·log S)·G, for G_p itself −Σ ψ q p·log S (1 + p·log S)   of log p.

in a form that needs one product of two (l, n) matrices: all second moments of G are in it. zᵢzᵢᵀ does not depend on θ,
so the second moments of z under ψ·q·p·sᵢ are one product for all problems of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.laws.solver.system import CompiledTerm, System
from gemstones.shape import FloatArray, IntArray

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A law at B values of θ."""

    terms: FloatArray
    """(B, k, n): exp(η)."""
    inner_sum: FloatArray
    """(B, n): S."""
    log_power: FloatArray | None
    """(B, n): p·log S; None where p is 1."""
    power: FloatArray
    """(B, n): S^p."""
    total: FloatArray
    """(B, n): L̂."""
    residuals: FloatArray
    """(B, n): log L − log L̂."""

    def taken(self, which: IntArray) -> Evaluation:
        """Those of some θ."""
        log_power = None if self.log_power is None else self.log_power[which]
        power = None if self.log_power is None else self.power[which]
        inner = self.inner_sum[which]
        return Evaluation(
            self.terms[which],
            inner,
            log_power,
            inner if power is None else power,
            self.total[which],
            self.residuals[which],
        )


class Workspace:
    """Memory that every call reuses: arrays of this size are otherwise mapped and faulted in anew at every step,
    which takes longer than the arithmetic."""

    def __init__(self, system: System, batch: int) -> None:
        n, k = system.rows, len(system.terms)
        self.terms = np.empty((batch, k, n))
        self.shared = np.empty((batch, system.foreign + system.linear, n))
        self.gradients = self.shared[:, system.foreign :]
        self.weighted = np.empty((batch, max(k, system.parameters + 1), n))


def evaluate(system: System, theta: FloatArray, workspace: Workspace | None = None) -> Evaluation:
    """The law at θ (B, m). With a `workspace` the terms are valid until its next use."""
    b, n = len(theta), system.rows
    terms = np.empty((b, len(system.terms), n)) if workspace is None else workspace.terms[:b]
    for i, term in enumerate(system.terms):
        _fill(term, theta, terms[:, i])
    inner = terms[:, 0] if len(system.terms) == 1 else terms.sum(1)
    constant = constants(system, theta)
    if not system.outer and system.power == 1.0:
        total = inner if constant is None else inner + constant
        return Evaluation(terms, inner, None, inner, total, system.log_loss - np.log(total))
    log_power = np.log(np.maximum(inner, TINY))
    log_power *= outer_power(system, theta)
    power = np.exp(log_power)
    if constant is None:
        return Evaluation(terms, inner, log_power, power, power, system.log_loss - log_power)
    total = power + constant
    return Evaluation(terms, inner, log_power, power, total, system.log_loss - np.log(total))


def _fill(term: CompiledTerm, theta: FloatArray, out: FloatArray) -> None:
    """exp(η) (B, n) of a term into `out`."""
    eta = _log_distinct(term, theta)
    np.exp(eta, out=eta if term.inverse is not None else out)
    if term.inverse is not None:
        np.take(eta, term.inverse, axis=1, out=out, mode="clip")


def log_terms(term: CompiledTerm, theta: FloatArray) -> FloatArray:
    """η (B, n) of a term at natural θ (B, m)."""
    eta = _log_distinct(term, theta)
    return eta if term.inverse is None else eta[:, term.inverse]


def _log_distinct(term: CompiledTerm, theta: FloatArray) -> FloatArray:
    """η of a term's distinct values, (B, v)."""
    eta: FloatArray = theta[:, term.index] @ term.z
    eta += term.offset
    if term.inner is not None:
        eta += term.inner.value(inner_theta(term, theta))
    return eta


def inner_theta(term: CompiledTerm, theta: FloatArray) -> FloatArray:
    """The parameters of a term's inner, (B, q), out of θ (B, m)."""
    return np.where(term.inner_index >= 0, theta[:, term.inner_index], term.inner_fixed)


def outer_power(system: System, theta: FloatArray) -> FloatArray:
    """p, (B, 1)."""
    return np.exp(theta[:, -1:]) if system.outer else np.full((len(theta), 1), system.power)


def constants(system: System, theta: FloatArray) -> FloatArray | None:
    """exp(E), (B, 1) where it is the same in every row, or (B or 1, n); None where there is none."""
    if not system.constants:
        return None if system.fixed_constant is None else system.fixed_constant[None]
    values = theta[:, system.linear : system.linear + system.constants]
    if system.group is None:
        return values
    fixed = 0.0 if system.fixed_constant is None else system.fixed_constant
    return np.where(system.group >= 0, values[:, system.group], fixed)


def huber_sum(
    residuals: FloatArray, delta: FloatArray, weights: FloatArray | None, above: float = 1.0
) -> FloatArray:
    """Σ w·Huber_δ(r), (B,), with a δ for each problem; positive residuals count `above` times."""
    psi = _clipped(residuals, delta)
    inner = _weighted(psi, residuals, weights, above)
    return np.asarray(np.vecdot(inner, residuals) - 0.5 * np.vecdot(inner, psi))


def _clipped(residuals: FloatArray, delta: FloatArray) -> FloatArray:
    """ψ of unit weights, (B, n)."""
    bound = delta[:, None]
    return np.minimum(np.maximum(residuals, -bound), bound)


def _weighted(
    values: FloatArray, residuals: FloatArray, weights: FloatArray | None, above: float
) -> FloatArray:
    if above != 1.0:
        values = np.where(residuals > 0, above * values, values)
    return values if weights is None else values * weights


def derivatives(
    system: System,
    theta: FloatArray,
    at: Evaluation,
    delta: FloatArray,
    weights: FloatArray | None,
    above: float = 1.0,
    workspace: Workspace | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Gradient (B, m) and Hessian (B, m, m); the gradients (B, l, n) of log L̂ stay in `workspace.gradients`.

    `weights` are (n,) or (B, n); `at` is the evaluation at θ (B, m).
    """
    b, k, _ = at.terms.shape
    foreign, linear, m = system.foreign, system.linear, system.parameters
    if workspace is None:
        workspace = Workspace(system, b)
    residuals = at.residuals
    psi = _clipped(residuals, delta)
    curvature = _weighted(psi + (psi == residuals), residuals, weights, above)
    psi = _weighted(psi, residuals, weights, above)

    shared, slopes = _gradients(system, theta, at, workspace)
    weighted = workspace.weighted[:b]
    gradients, shares = shared[:, foreign:], shared[:, :k]
    among = curvature
    if at.log_power is not None:
        share = at.power / at.total
        among = curvature - psi * ((1 - 1 / outer_power(system, theta)) / np.maximum(share, TINY))

    # One product: second moments of the gradients, their moments with the constants and log p, and the gradient.
    right = weighted[:, : m + 1]
    np.multiply(gradients, among[:, None], out=right[:, :linear])
    if system.constants:
        rest = 1.0 / at.total
        own = curvature * rest
        if system.group is None:
            right[:, linear] = own
        else:
            for g in range(system.constants):
                np.multiply(own, system.group == g, out=right[:, linear + g])
    if system.outer:
        assert at.log_power is not None
        slope = share * at.log_power
        right[:, m - 1] = curvature * slope - psi * (1.0 + at.log_power)
    right[:, m] = psi
    product = np.matmul(gradients, right.transpose(0, 2, 1))

    gradient = np.empty((b, m))
    hessian = np.empty((b, m, m))
    hessian[:, :linear] = product[:, :, :m]
    hessian[:, linear:, :linear] = product[:, :, linear:m].transpose(0, 2, 1)
    hessian[:, linear:, linear:] = 0.0
    gradient[:, :linear] = -product[:, :, m]
    for g in range(system.constants):
        mine = slice(None) if system.group is None else system.group == g
        hessian[:, linear + g, linear + g] = np.vecdot(own[:, mine], rest[:, mine])
        gradient[:, linear + g] = -np.vecdot(psi[:, mine], rest[:, mine])
        if system.outer:
            hessian[:, linear + g, -1] = hessian[:, -1, linear + g] = np.vecdot(own[:, mine], slope[:, mine])
    if system.outer:
        hessian[:, -1, -1] = np.vecdot(slope, right[:, m - 1])
        gradient[:, -1] = -np.vecdot(slope, psi)

    pull = np.multiply(shares, psi[:, None], out=weighted[:, :k])
    moments = [pull[:, i] @ term.products for i, term in enumerate(system.terms)]
    hessian -= (np.concatenate(moments, axis=1) @ system.places_of_pairs).reshape(b, m, m)
    for i, term in enumerate(system.terms):
        if (slope_of_inner := slopes[i]) is not None:
            _subtract_curvature(term, theta, pull[:, i], slope_of_inner, hessian)
    return gradient, hessian


def metric(
    system: System,
    at: Evaluation,
    delta: FloatArray,
    weights: FloatArray | None,
    gradients: FloatArray,
    above: float = 1.0,
) -> FloatArray:
    """The Gauss–Newton matrix Σ w·min(1, δ/|r|)·G Gᵀ, (B, m, m): never singular where the data say anything.

    `gradients` (B, l, n) are those that `derivatives` left in its workspace.
    """
    b, linear, n = gradients.shape
    with np.errstate(divide="ignore"):
        robust = np.minimum(1.0, delta[:, None] / np.abs(at.residuals))
    robust = _weighted(robust, at.residuals, weights, above)
    every = np.empty((b, system.parameters, n))
    every[:, :linear] = gradients
    if system.constants:
        rest = 1.0 / at.total
        for g in range(system.constants):
            every[:, linear + g] = rest if system.group is None else rest * (system.group == g)
    if system.outer:
        assert at.log_power is not None
        every[:, -1] = at.power / at.total * at.log_power
    return np.asarray(np.matmul(every * robust[:, None], every.transpose(0, 2, 1)))


def _gradients(
    system: System, theta: FloatArray, at: Evaluation, workspace: Workspace
) -> tuple[FloatArray, list[FloatArray | None]]:
    """q·p·Σ s·∂η of the terms and all linear parameters, (B, foreign + l, n), and the inner parts' slopes."""
    k = len(system.terms)
    shared = workspace.shared[: len(at.terms)]
    if at.log_power is None:
        np.divide(at.terms, at.total[:, None], out=shared[:, :k])
    else:
        factor = outer_power(system, theta) * at.power / (at.total * np.maximum(at.inner_sum, TINY))
        np.multiply(at.terms, factor[:, None], out=shared[:, :k])
    slopes = [_inner_slopes(term, theta) for term in system.terms]
    _other_gradients(system, shared, slopes)
    return shared, slopes


def _inner_slopes(term: CompiledTerm, theta: FloatArray) -> FloatArray | None:
    """∇ of a term's inner, (B, q, n)."""
    return None if term.inner is None else term.inner.derivatives(inner_theta(term, theta))[0]


def _other_gradients(system: System, shared: FloatArray, slopes: list[FloatArray | None]) -> None:
    """Rows of `shared` beyond the terms' shares: Σ share·∂η of each parameter that is no term's own coefficient."""
    begun: set[int] = set()

    def add(parameter: int, share: FloatArray, slope: FloatArray) -> None:
        row = shared[:, system.foreign + parameter]
        if parameter in begun:
            row += share * slope
        else:
            np.multiply(share, slope, out=row)
            begun.add(parameter)

    for i, term in enumerate(system.terms):
        for parameter, z in term.rows:
            add(parameter, shared[:, i], z)
        if (slope := slopes[i]) is not None:
            for j, parameter in enumerate(term.inner_index):
                if parameter >= 0:
                    add(int(parameter), shared[:, i], slope[:, j])


def _subtract_curvature(
    term: CompiledTerm, theta: FloatArray, pull: FloatArray, slopes: FloatArray, hessian: FloatArray
) -> None:
    """−Σ pull·(∇η∇ηᵀ + ∇²η) of one term's inner, `pull` (B, n) being ψ·q·p·s, added to the Hessian."""
    assert term.inner is not None
    curved = np.einsum("bn,bijn->bij", pull, term.inner.derivatives(inner_theta(term, theta))[1])
    curved += np.einsum("bn,bin,bjn->bij", pull, slopes, slopes)
    crossed = {int(i): np.einsum("bn,n,bjn->bj", pull, z, slopes) for i, z in term.every_row()}
    for j, parameter in enumerate(term.inner_index):
        if parameter < 0:
            continue
        for other, k in enumerate(term.inner_index):
            if k >= 0:
                hessian[:, parameter, k] -= curved[:, j, other]
        for i, cross in crossed.items():
            hessian[:, i, parameter] -= cross[:, j]
            hessian[:, parameter, i] -= cross[:, j]
