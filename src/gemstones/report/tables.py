"""A study's fits, envelopes and plans as tables: one row each, intervals as `x_low` and `x_high` beside x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemstones.laws.envelope import QUANTITIES, Envelope
from gemstones.laws.fit import Fit
from gemstones.laws.law import Interval
from gemstones.plan.plan import Plan
from gemstones.report.words import PARAMS_WORDS, flops_words, law_words

if TYPE_CHECKING:
    import polars as pl

UNITS = {
    "irreducible_loss": "nats/token",
    "budget": "FLOPs",
    "width": "channels",
    "depth": "blocks",
    "params": "parameters",
    "params_total": "parameters",
    "tokens": "tokens",
    "tokens_per_param": "tokens/parameter",
    "loss": "nats/token",
    "flops_beyond_fitted": "decades",
}
"""Of the columns below; the ends of an interval have the unit of what they enclose."""

Row = dict[str, Any]


def fits_table(fits: Sequence[Fit]) -> pl.DataFrame:
    """One row per fit; exponents of terms that a law does not have are null."""
    terms = list(
        dict.fromkeys(term for fit in sorted(fits, key=_terms, reverse=True) for term in fit.law.terms)
    )
    return _frame([_fit_row(fit, terms) for fit in fits])


def envelopes_table(envelopes: Sequence[Envelope]) -> pl.DataFrame:
    """One row per envelope and quantity: log y = slope · log resource + intercept, in natural logs."""
    return _frame([_envelope_row(e, quantity) for e in envelopes for quantity in QUANTITIES])


def plans_table(plans: Sequence[Plan]) -> pl.DataFrame:
    """One row per plan."""
    return _frame([_plan_row(plan) for plan in plans])


def _terms(fit: Fit) -> int:
    return len(fit.law.terms)


def _fit_row(fit: Fit, terms: list[str]) -> Row:
    law, intervals = fit.law, fit.intervals or {}
    exponents = dict(zip(law.terms, law.exponents, strict=True))
    optimal, of_optimal = fit.optimal_exponents or {}, intervals.get("optimal_exponents", {})
    return {
        "selection": fit.selection,
        "law": law.form,
        "delta": fit.delta,
        "params_convention": PARAMS_WORDS[law.params_convention] if "N" in law.terms else None,
        "rows": fit.rows,
        "runs": fit.runs,
        **_spread(
            {f"exponent_{t}": (exponents.get(t), intervals.get("exponents", {}).get(t)) for t in terms}
        ),
        **_spread({"irreducible_loss": (law.irreducible_loss, intervals.get("irreducible_loss"))}),
        **_spread(
            {f"optimal_{n}_exponent": (optimal.get(n), of_optimal.get(n)) for n in ("params", "tokens")}
        ),
        "objective": fit.objective,
        "interval": _how(fit.level, len(fit.draws), fit.resampling.unit if fit.resampling else ""),
        "status": fit.status,
        "flags": "; ".join(fit.flags),
    }


def _envelope_row(envelope: Envelope, quantity: str) -> Row:
    line, intervals = envelope.fits[quantity], (envelope.intervals or {}).get(quantity, {})
    flops = envelope.resource == "flops"
    return {
        "selection": envelope.selection,
        "resource": envelope.resource,
        "flops_convention": flops_words(envelope.resource_convention) if flops else "",
        "method": envelope.method,
        "bins": envelope.bins,
        "rows": envelope.rows,
        "runs": envelope.runs,
        "points": len(envelope.frontier),
        "quantity": quantity,
        "params_convention": PARAMS_WORDS[envelope.params_convention],
        **_spread({"slope": (line.slope, intervals.get("slope"))}),
        **_spread({"intercept": (line.intercept, intervals.get("intercept"))}),
        "interval": _how(envelope.level, len(envelope.draws.get(quantity, ())), envelope.unit),
        "flags": "; ".join(envelope.flags),
    }


def _plan_row(plan: Plan) -> Row:
    intervals, shape, near = plan.intervals or {}, plan.shape, plan.near_optimal
    values = {
        "width": None if shape is None else float(shape.width),
        "depth": None if shape is None else float(shape.depth),
        "aspect_ratio": None if shape is None else shape.aspect_ratio,
        "params": plan.params,
        "tokens": plan.tokens,
        "tokens_per_param": plan.tokens_per_param,
        "loss": plan.loss,
    }
    return {
        "budget": plan.budget_flops,
        "flops_convention": flops_words(plan.flops_convention),
        "law": law_words(plan.law_name),
        "shape": None if shape is None else str(shape),
        "params_convention": PARAMS_WORDS[plan.params_convention],
        **_spread({name: (value, intervals.get(name)) for name, value in values.items()}),
        "interval": plan.intervals_note,
        "near_optimal_tolerance": None if near is None else near.tolerance,
        "near_optimal_shapes": None if near is None else near.count,
        "near_optimal_width_least": None if near is None else near.width[0],
        "near_optimal_width_most": None if near is None else near.width[1],
        "near_optimal_depth_least": None if near is None else near.depth[0],
        "near_optimal_depth_most": None if near is None else near.depth[1],
        "flops_beyond_fitted": plan.extrapolation.flops_decades,
        "extrapolation": plan.extrapolation.sentence(),
        "flags": "; ".join(plan.flags),
    }


def _how(level: float, draws: int, unit: str) -> str:
    return f"{level:.0%} from {draws} resamples by {unit}" if draws else "none"


def _spread(values: dict[str, tuple[float | None, Interval | None]]) -> Row:
    """x, x_low and x_high of every x."""
    row: Row = {}
    for name, (value, ends) in values.items():
        row |= {name: value, f"{name}_low": ends and ends[0], f"{name}_high": ends and ends[1]}
    return row


_TEXT = {
    "selection", "law", "params_convention", "interval", "status", "flags", "resource", "flops_convention",
    "method", "quantity", "shape", "extrapolation",
}  # fmt: skip
_COUNTS = {
    "rows", "runs", "bins", "points", "near_optimal_shapes", "near_optimal_width_least",
    "near_optimal_width_most", "near_optimal_depth_least", "near_optimal_depth_most",
}  # fmt: skip


def _frame(rows: list[Row]) -> pl.DataFrame:
    """Typed by column and not by content, so that a study without one kind of value has the same table."""
    import polars as pl

    names = list(rows[0]) if rows else []
    schema = {n: pl.String if n in _TEXT else pl.Int64 if n in _COUNTS else pl.Float64 for n in names}
    return pl.DataFrame(rows, schema=schema)
