"""What each figure of a page shows, in a sentence with a number: its title. Everything in it is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gemstones.analyses.backtest.words import percent_text
from gemstones.laws.envelope import Envelope
from gemstones.laws.fit import Fit
from gemstones.numbers import counted, estimate_text, flops_text
from gemstones.planning.result import Plan
from gemstones.runs.loss_units import PER
from gemstones.runs.table import RunTable
from gemstones.units import format_quantity
from gemstones.words import PARAMS_WORDS, RESOURCE_WORDS, law_words

GROWING = {"params": "N grows", "tokens_per_param": "tokens per parameter go"}
"""What quantities of a frontier do with the budget."""
MANY = 10
"""Shapes about as good as the best from which on an optimum is called flat."""


def least_measured(runs: RunTable) -> str:
    """Which run reached the least loss."""
    row = runs.frame.sort("loss", maintain_order=True).row(0, named=True)
    shape = f"{row['width']}x{row['depth']}, " if row["width"] and row["depth"] else ""
    size = (
        "" if row["params_total"] is None else f" ({shape}{format_quantity(row['params_total'])} parameters)"
    )
    return (
        f"The least loss of {counted(runs.runs, 'run')} is {row['loss']:.4f} {PER[runs.loss_unit]}, reached by "
        f"{row['run']}{size} after {format_quantity(row['tokens'])} tokens"
    )


def frontier_growth(envelopes: Sequence[Envelope], quantity: str = "params") -> str:
    """How N of the runs' own frontier, or tokens per parameter, go with the budget."""
    first = envelopes[0]
    line = first.fits[quantity]
    ends = None if first.intervals is None else first.intervals[quantity]["slope"]
    method = "lower convex hull of the runs" if first.method == "hull" else "least loss in each bin"
    return (
        f"Along the {method} {GROWING[quantity]} as {RESOURCE_WORDS[first.resource]} to the power "
        f"{estimate_text('exponent', line.slope, ends)}"
    )


def misfit(fits: Sequence[Fit], table: RunTable) -> str:
    """How far fits are from the losses that they were fitted to."""
    errors = [math.sqrt(sum(x * x for x in fit.residuals_of(table)) / table.rows) for fit in fits]
    said = [f"{fit.law.form} to {percent_text(error)}" for fit, error in zip(fits, errors, strict=True)]
    return f"The laws meet the losses that they were fitted to: {', '.join(said)} (root mean square)"


def flatness(plans: Sequence[Plan]) -> str:
    """How many shapes are about as good as the best, by the plans whose law tells shapes apart; empty without any."""
    near = [plan.near_optimal for plan in plans if plan.shape is not None and plan.near_optimal is not None]
    if not near:
        return ""
    least, most = min(one.count for one in near), max(one.count for one in near)
    tolerance = f"{100 * near[0].tolerance:.3g}% of the least loss"
    come = f"{least:,} to {most:,} shapes come" if least < most else f"{counted(most, 'shape')} come"
    come = "no shape but the best comes" if most == 1 else come
    by = ", by law and budget" if least < most else ""
    if least >= MANY:
        return f"The optimum is flat: {come} within {tolerance}{by}, and other reasons may choose among them"
    if most >= MANY:
        return f"How flat the optimum is depends on the law and the budget: {come} within {tolerance}"
    return f"Few shapes are about as good: {come} within {tolerance}{by}"


def tokens_per_param(plan: Plan) -> str:
    """How many tokens a parameter gets."""
    ends = (plan.intervals or {}).get("tokens_per_param")
    return (
        f"For {flops_text(plan.budget_flops)} FLOPs {law_words(plan.law_name)} trains on "
        f"{estimate_text('tokens_per_param', plan.tokens_per_param, ends)} tokens per parameter "
        f"({PARAMS_WORDS[plan.params_convention]})"
    )
