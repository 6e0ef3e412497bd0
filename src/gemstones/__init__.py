"""Scaling laws of width, depth and tokens: design, fit and plan, with honest intervals.

    >>> import gemstones as gs
    >>> runs = gs.load("pebbles").select("all")  # or a file, or a frame
    >>> law = gs.fit(runs, "N,T", bootstrap=40)
    >>> law.plan(1e14).tokens
    2.35e+07

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
    from gemstones.analyses.compare.compare import compare, compare_by
    from gemstones.analyses.compare.result import Comparison
    from gemstones.analyses.isoflop.isoflop import isoflop
    from gemstones.analyses.isoflop.result import IsoFlop
    from gemstones.analyses.next_run.design import design_runs
    from gemstones.analyses.next_run.next_runs import NextRuns, next_runs
    from gemstones.analyses.next_run.result import Design
    from gemstones.analyses.predict.predict import Predictions, predict
    from gemstones.design.feasible import Constraints, feasible_shapes
    from gemstones.errors import GemstonesError, UserError
    from gemstones.laws.backtest import Backtest, backtest
    from gemstones.laws.envelope import Envelope, envelope
    from gemstones.laws.fit import Fit
    from gemstones.laws.fitting import fit
    from gemstones.laws.law import Law
    from gemstones.laws.published import published
    from gemstones.laws.solver.objective import Objective
    from gemstones.planning.choices import Levels
    from gemstones.planning.cost import Cost
    from gemstones.planning.overspend import Overspend, overspend
    from gemstones.planning.overtrain import Overtraining, compare_increases, overtrain
    from gemstones.planning.plan import Plan, plan
    from gemstones.planning.sensitivity import Sensitivity
    from gemstones.report.approach1 import approach1_figure
    from gemstones.report.backtest_figure import backtest_figure
    from gemstones.report.compare_figure import compare_figure
    from gemstones.report.interactive import approach3_figure, sensitivity
    from gemstones.report.isoflop_figure import isoflop_figure
    from gemstones.report.next_run_figure import design_figure
    from gemstones.report.overspend_figure import overspend_figure
    from gemstones.report.overtrain_figure import overtrain_figure
    from gemstones.report.paper.reproduce import reproduce
    from gemstones.report.rainbow import rainbow_figure
    from gemstones.report.sensitivity_figures import shares_figure, studies_figure
    from gemstones.report.study import Study, study
    from gemstones.runs import RunTable, load
    from gemstones.runs.industry import load_industry
    from gemstones.shape import Shape, Shapes
    from gemstones.timing.fit_step_time import fit_step_time
    from gemstones.timing.step_time import StepTime, gemstones_step_time

_HOME = {
    "Backtest": "laws.backtest",
    "Comparison": "analyses.compare.result",
    "Constraints": "design.feasible",
    "Cost": "planning.cost",
    "Design": "analyses.next_run.result",
    "Envelope": "laws.envelope",
    "Fit": "laws.fit",
    "GemstonesError": "errors",
    "IsoFlop": "analyses.isoflop.result",
    "Law": "laws.law",
    "Levels": "planning.choices",
    "NextRuns": "analyses.next_run.next_runs",
    "Objective": "laws.solver.objective",
    "Overspend": "planning.overspend",
    "Overtraining": "planning.overtrain",
    "Plan": "planning.plan",
    "Predictions": "analyses.predict.predict",
    "RunTable": "runs",
    "Sensitivity": "planning.sensitivity",
    "Shape": "shape",
    "Shapes": "shape",
    "StepTime": "timing.step_time",
    "Study": "report.study",
    "UserError": "errors",
    "approach1_figure": "report.approach1",
    "approach3_figure": "report.interactive",
    "backtest": "laws.backtest",
    "backtest_figure": "report.backtest_figure",
    "compare": "analyses.compare.compare",
    "compare_by": "analyses.compare.compare",
    "compare_figure": "report.compare_figure",
    "compare_increases": "planning.overtrain",
    "design_figure": "report.next_run_figure",
    "design_runs": "analyses.next_run.design",
    "envelope": "laws.envelope",
    "feasible_shapes": "design.feasible",
    "fit": "laws.fitting",
    "fit_step_time": "timing.fit_step_time",
    "flops_per_token": "accounting.flops",
    "gemstones_step_time": "timing.step_time",
    "isoflop": "analyses.isoflop.isoflop",
    "isoflop_figure": "report.isoflop_figure",
    "load": "runs",
    "load_industry": "runs.industry",
    "memory_bytes": "accounting.memory",
    "next_runs": "analyses.next_run.next_runs",
    "overspend": "planning.overspend",
    "overspend_figure": "report.overspend_figure",
    "overtrain": "planning.overtrain",
    "overtrain_figure": "report.overtrain_figure",
    "params": "accounting.parameters",
    "params_by_group": "accounting.parameters",
    "plan": "planning.plan",
    "predict": "analyses.predict.predict",
    "published": "laws.published",
    "rainbow_figure": "report.rainbow",
    "reproduce": "report.paper.reproduce",
    "sensitivity": "report.interactive",
    "shares_figure": "report.sensitivity_figures",
    "studies_figure": "report.sensitivity_figures",
    "study": "report.study",
}

__all__ = [
    "Backtest", "Comparison", "Constraints", "Cost", "Design", "Envelope", "Fit", "GemstonesError", "IsoFlop",
    "Law", "Levels", "NextRuns", "Objective", "Overspend", "Overtraining", "Plan", "Predictions", "RunTable",
    "Sensitivity", "Shape", "Shapes", "StepTime", "Study", "UserError", "approach1_figure",
    "approach3_figure", "backtest", "backtest_figure", "compare", "compare_by", "compare_figure",
    "compare_increases", "design_figure", "design_runs", "envelope", "feasible_shapes", "fit",
    "fit_step_time", "flops_per_token", "gemstones_step_time", "isoflop", "isoflop_figure", "load",
    "load_industry", "memory_bytes", "next_runs", "overspend", "overspend_figure", "overtrain",
    "overtrain_figure", "params", "params_by_group", "plan", "predict", "published", "rainbow_figure",
    "reproduce", "sensitivity", "shares_figure", "studies_figure", "study",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gemstones' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(f"gemstones.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted(__all__)
