"""What is wanted, as weighted log losses around the optimum of a reference law at a budget.

With f the log loss at the budget as a function of z (log N of a law in N and T; log width and log depth of a law
of shapes, T what the budget leaves), a small change of f moves its minimum by −H⁻¹·∇f. The gradient is a difference of
f at points a factor apart, so that the shift is a weighted sum of log losses there: linear, as the experiment needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.analyses.compare.optima import optima, shape_columns
from gemstones.analyses.next_run.experiment import Points, Target
from gemstones.errors import InvalidRequest
from gemstones.laws.law import Law
from gemstones.planning.sight import sight
from gemstones.shape import FloatArray, Shapes

Want = Literal["n_opt", "shape", "loss", "compare"]
WANTS: tuple[Want, ...] = get_args(Want)
REACH_OF_SIZE, REACH_OF_SHAPE = float(np.log(2.0)), float(np.log(1.5))
"""How far from the optimum the points lie, in log N, or log width and log depth."""
NEWTON = 30


@dataclass(frozen=True, eq=False)
class Reference:
    """A law, a budget, and the optimum there."""

    law: Law
    budget: float
    optimum: FloatArray
    """z*: (log N,), or (log width, log depth)."""
    hessian: FloatArray
    """Of log loss in z, (q, q)."""

    @property
    def of_shapes(self) -> bool:
        """Whether z is width and depth."""
        return len(self.optimum) == 2

    @classmethod
    def of(cls, law: Law, budget: float) -> Reference:
        """Around the optimum of a law; raises `InvalidRequest` where it has none inside."""
        found = optima(law, law.theta[None], [budget])[0]
        if not np.isfinite(found.log_loss[0]):
            raise InvalidRequest(f"law {law.form} has no optimum for {budget:g} FLOPs: name another --law")
        start = found.log_params[:1]
        if sight(law) != "size":
            at = dict(zip(law.columns, found.log_columns[0], strict=True))
            if "width" not in at or "depth" not in at:
                raise InvalidRequest(
                    f"law {law.form} sees no width and depth: name one of N and T, or of shapes"
                )
            start = np.array([at["width"], at["depth"]])
        return _refined(law, budget, start)

    def points(self, z: FloatArray) -> Points:
        """At z (n, q), each with the tokens that the budget leaves."""
        columns, where = columns_at(self.law, z, np.log(self.budget))
        at = where if z.shape[1] == 1 else np.column_stack([where, z[:, 0] - z[:, 1]])
        return Points(columns, at)

    def target(self, want: Want) -> Target:
        """`n_opt`: log N*. `shape`: log width and log depth. `loss`, or of `compare` its difference: log loss at the
        optimum."""
        if want in ("loss", "compare"):
            return Target(self.points(self.optimum[None]), np.ones((1, 1)))
        if want == "shape" and not self.of_shapes:
            raise InvalidRequest(
                f"law {self.law.form} sees no shapes, so none can be wanted of it: want n_opt, or name a law with "
                "terms in w and d, like --law gemstones-refit"
            )
        steps, difference = _differences(len(self.optimum))
        shift = -np.linalg.solve(self.hessian, difference)
        if want == "n_opt" and self.of_shapes:
            shift = self._size_slope()[None] @ shift
        return Target(self.points(self.optimum + steps), np.asarray(shift, np.float64))

    def _size_slope(self) -> FloatArray:
        """∂ log N / ∂ (log width, log depth) at the optimum."""
        step = 1e-4 * np.eye(2)
        up, down = (np.log(_params(self.law, np.exp(self.optimum + sign * step))) for sign in (1, -1))
        return np.asarray((up - down) / 2e-4)


def best_sizes(law: Law, largest: float) -> Callable[[FloatArray], FloatArray]:
    """log N* of a law as a function of FLOPs, up to `largest` and seven decades below, interpolated."""
    budgets = largest * np.logspace(-7, 0, 15)
    found = np.array([one.log_params[0] for one in optima(law, law.theta[None], [float(b) for b in budgets])])
    known = np.isfinite(found)
    if not known.any():
        return lambda flops: 0.5 * np.log(flops / 120)
    logs, sizes = np.log(budgets)[known], found[known]
    return lambda flops: np.asarray(np.interp(np.log(flops), logs, sizes))


def columns_at(law: Law, z: FloatArray, log_flops: float | FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logs of the law's columns (n, k), and (log N, log T) (n, 2), of models z (n, q) trained for so many FLOPs."""
    if z.shape[1] == 1:
        per_token = np.log(law.flops.of_params(np.exp(z[:, 0])) if law.flops else 6.0) + (
            0 if law.flops else z[:, 0]
        )
        log_n, log_t = z[:, 0], np.asarray(log_flops) - per_token
        columns = np.stack([{"N": log_n, "T": log_t}[s] for s in law.symbols], axis=-1)
        return columns, np.stack([log_n, log_t], axis=-1)
    shapes = Shapes.of(np.exp(z[:, 0]), np.exp(z[:, 1]), law.models.template())
    per_token = flops_per_token(shapes) if law.flops is None else law.flops.per_token(shapes)
    log_t = np.asarray(log_flops) - np.log(per_token)
    return shape_columns(law, shapes, log_t), np.stack(
        [np.log(params(shapes, law.params_convention)), log_t], axis=-1
    )


def _params(law: Law, shapes: FloatArray) -> FloatArray:
    return params(Shapes.of(shapes[:, 0], shapes[:, 1], law.models.template()), law.params_convention)


def _differences(dimensions: int) -> tuple[FloatArray, FloatArray]:
    """Steps from the optimum (2q, q), and the central difference that gives the gradient from losses there (q, 2q)."""
    reach = REACH_OF_SIZE if dimensions == 1 else REACH_OF_SHAPE
    steps = np.concatenate([reach * np.eye(dimensions), -reach * np.eye(dimensions)])
    return steps, np.concatenate([np.eye(dimensions), -np.eye(dimensions)], axis=1) / (2 * reach)


def _refined(law: Law, budget: float, start: FloatArray) -> Reference:
    """Newton's steps to the real-valued optimum, and the curvature over the reach of the points."""
    log_flops = float(np.log(budget))

    def loss(z: FloatArray) -> FloatArray:
        return law.log_loss([*columns_at(law, np.atleast_2d(z), log_flops)[0].T])

    q = len(start)
    z = start.copy()
    for _ in range(NEWTON):
        gradient, hessian = _curvature(loss, z, 1e-3)
        if not (np.linalg.eigvalsh(hessian) > 0).all():
            raise InvalidRequest(
                f"law {law.form} has no minimum inside for {budget:g} FLOPs: name another --law"
            )
        step = np.clip(np.linalg.solve(hessian, gradient), -0.5, 0.5)
        z = z - step
        if np.abs(step).max() < 1e-9:
            break
    reach = REACH_OF_SIZE if q == 1 else REACH_OF_SHAPE
    return Reference(law, budget, z, _curvature(loss, z, reach)[1])


def _curvature(
    loss: Callable[[FloatArray], FloatArray], z: FloatArray, h: float
) -> tuple[FloatArray, FloatArray]:
    """Gradient (q,) and Hessian (q, q) by differences of step h."""
    q = len(z)
    e = h * np.eye(q)
    centre = float(loss(z)[0])
    up, down = loss(z + e), loss(z - e)
    hessian = np.diag((up - 2 * centre + down) / h**2)
    for i in range(q):
        for j in range(i):
            corners = loss(np.stack([z + e[i] + e[j], z + e[i] - e[j], z - e[i] + e[j], z - e[i] - e[j]]))
            hessian[i, j] = hessian[j, i] = float(corners @ [1, -1, -1, 1]) / (4 * h**2)
    return (up - down) / (2 * h), hessian
