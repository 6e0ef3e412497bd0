"""Scaling laws of width, depth and tokens: design, fit and plan, with honest intervals.

    >>> import gemstones as gs
    >>> runs = gs.load("gemstones").select("all")  # doctest: +SKIP
    >>> law = gs.fit(runs, "w,d,N,T", bootstrap=400)  # doctest: +SKIP
    >>> gs.plan_for(1e22, law)  # doctest: +SKIP

What is offered here is loaded when it is first used: `import gemstones` itself loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gemstones.version import __version__ as __version__

if TYPE_CHECKING:
    from gemstones.accounting.flops import flops_per_token
    from gemstones.accounting.memory import memory_bytes
    from gemstones.accounting.parameters import params, params_by_group
    from gemstones.design.feasible import Constraints, feasible_shapes
    from gemstones.errors import GemstonesError, UserError
    from gemstones.laws.envelope import Envelope, envelope
    from gemstones.laws.fit import Fit, fit
    from gemstones.laws.law import Law
    from gemstones.laws.objective import Objective
    from gemstones.laws.published import published
    from gemstones.plan.plan import Plan
    from gemstones.plan.plan import plan as plan_for
    from gemstones.report.study import study
    from gemstones.runs import RunTable, load
    from gemstones.shape import Shape, Shapes

_HOME = {
    "Constraints": "design.feasible",
    "Envelope": "laws.envelope",
    "Fit": "laws.fit",
    "GemstonesError": "errors",
    "Law": "laws.law",
    "Objective": "laws.objective",
    "Plan": "plan.plan",
    "RunTable": "runs",
    "Shape": "shape",
    "Shapes": "shape",
    "UserError": "errors",
    "envelope": "laws.envelope",
    "feasible_shapes": "design.feasible",
    "fit": "laws.fit",
    "flops_per_token": "accounting.flops",
    "load": "runs",
    "memory_bytes": "accounting.memory",
    "params": "accounting.parameters",
    "params_by_group": "accounting.parameters",
    "plan_for": "plan.plan:plan",  # `gemstones.plan` is the package
    "published": "laws.published",
    "study": "report.study",
}

__all__ = [
    "Constraints", "Envelope", "Fit", "GemstonesError", "Law", "Objective", "Plan", "RunTable", "Shape",
    "Shapes", "UserError", "envelope", "feasible_shapes", "fit", "flops_per_token", "load", "memory_bytes",
    "params", "params_by_group", "plan_for", "published", "study",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gemstones' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(f"gemstones.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted(__all__)
