"""A study's fits, envelopes and plans as tables: one row each, intervals as `x_low` and `x_high` beside x.

A table keeps every column for machines; for people it shows some of them, and says below what is the same in
many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gemstones.display import caution
from gemstones.figures.table import Row, Table
from gemstones.laws.envelope import QUANTITIES, Envelope
from gemstones.laws.fit import Fit
from gemstones.numbers import flops_text
from gemstones.page.rows import typed_frame, with_ends
from gemstones.planning.result import Plan
from gemstones.words import (
    PARAMS_WORDS,
    flops_words,
    frontier_resampled_words,
    intervals_words,
    law_words,
    models_words,
    resampled_words,
)

if TYPE_CHECKING:
    import polars as pl


LOSS_INTERVALS = (
    "intervals of the loss are of a new run, with the error of the form by backtests; the whole table has those of the "
    "fit too, if its form is right"
)


def fits_table(fits: Sequence[Fit]) -> Table:
    """One row per fit, with every constant; those of terms that a law does not have are null."""
    by_terms = sorted(fits, key=lambda fit: len(fit.law.terms), reverse=True)
    terms = list(dict.fromkeys(term for fit in by_terms for term in fit.law.terms))
    outer = any(fit.law.parsed_form.has_outer for fit in fits)
    constants = list(dict.fromkeys(name for fit in fits for name in fit.law.constants))
    notes = [
        f"L = {formula_words(fits)}, the irreducible loss; "
        + ("a formula has its constants by name; " if constants else "")
        + "every digit is in the Parquet file",
        *_notes((fit.law.name, _how(fit), fit.flags) for fit in fits),
    ]
    return Table(
        _frame([_fit_row(fit, terms, constants, outer) for fit in fits]),
        frozenset({"interval", "flags"}),
        tuple(notes) if fits else (),
        fits[0].law.loss_unit if fits else "nats",
    )


def formula_words(fits: Sequence[Fit]) -> str:
    """What the loss is by laws of sums, with the power p around the sum where one of them has it."""
    total = "sum of exp(log coefficient) · x^(-exponent) over the terms x"
    if any(fit.law.parsed_form.has_outer for fit in fits):
        total = f"({total})^p, p the outer exponent of a law that has one and else 1,"
    else:
        total += ","
    return f"{total} plus exp(E)"


def envelopes_table(envelopes: Sequence[Envelope]) -> Table:
    """One row per envelope and quantity: log y = slope · log resource + intercept, in natural logs."""
    notes = [
        "log quantity = slope · log resource + intercept, natural logarithms",
        *_notes((e.selection, frontier_resampled_words(e), e.flags) for e in envelopes),
    ]
    return Table(
        _frame([_envelope_row(e, quantity) for e in envelopes for quantity in QUANTITIES]),
        frozenset({"interval", "flags"}),
        tuple(notes) if envelopes else (),
    )


def plans_table(plans: Sequence[Plan]) -> Table:
    """One row per plan."""
    notes = list(_notes((law_words(p.law_name), intervals_words(p)[0], p.flags) for p in plans))
    notes += [
        f"{law_words(plan.law_name)}, {flops_text(plan.budget_flops)} FLOPs: {caveat}"
        for plan in plans
        if (caveat := intervals_words(plan)[1])
    ]
    loss_notes = [LOSS_INTERVALS] if any("loss_of_fit" in (plan.intervals or {}) for plan in plans) else []
    return Table(
        _frame([_plan_row(plan) for plan in plans]),
        frozenset({"aspect_ratio", "interval", "loss_of_fit", "flops_beyond_fitted", "flags"}),
        (*notes, *loss_notes, *models_words(plans)),
        plans[0].loss_unit if plans else "nats",
    )


def near_optimal_table(plans: Sequence[Plan]) -> Table:
    """One row per plan whose law predicts losses: how many shapes are about as good, and what they span."""
    near = [plan for plan in plans if plan.near_optimal is not None]
    # Of a law without terms of shape every shape of the right size is as good.
    blind = "; ".join(dict.fromkeys(law_words(p.law_name) for p in near if p.shape is None))
    notes = [f"laws to which all shapes of one size are the same: {blind}"] if blind else []
    return Table(_frame([_near_row(plan) for plan in near]), notes=(*notes, *models_words(near)))


def _notes(said: Iterable[tuple[str, str, tuple[str, ...]]]) -> Iterable[str]:
    """How intervals were made, once where it is the same for all, and the flags of each."""
    named = list(said)
    hows: dict[str, list[str]] = {}
    for name, how, _ in named:
        hows.setdefault(how, []).append(name)
    for how, names in hows.items():
        # Names of laws have commas in them.
        yield how if len(hows) == 1 else f"{'; '.join(dict.fromkeys(names))}: {how}"
    yield from dict.fromkeys(
        f"{name}: caution: {caution(flag)}" for name, _, flags in named for flag in flags
    )


def _how(fit: Fit) -> str:
    return resampled_words(fit.level, len(fit.drawn), fit.resampling.unit if fit.resampling else "")


def _fit_row(fit: Fit, terms: list[str], constants: list[str], outer: bool) -> Row:
    """`terms` and `constants` are those of all fits in the table; `outer` is whether any has an outer exponent."""
    law, intervals = fit.law, fit.intervals or {}
    exponents = dict(zip(law.terms, law.exponents, strict=True))
    coefficients = dict(zip(law.terms, law.log_coefficients, strict=True))
    optimal, of_optimal = fit.optimal_exponents or {}, intervals.get("optimal_exponents") or {}
    return {
        "selection": fit.selection,
        "law": law.form,
        "delta": fit.delta,
        "params_convention": PARAMS_WORDS[law.params_convention] if "N" in law.terms else None,
        "rows": fit.rows,
        "runs": fit.runs,
        **_spread({t: exponents.get(t) for t in terms}, intervals.get("exponents") or {}, "exponent_"),
        **_spread(
            {t: coefficients.get(t) for t in terms},
            intervals.get("log_coefficients") or {},
            "log_coefficient_",
        ),
        **_spread({"outer_exponent": law.parsed_form.outer_exponent(law.theta)} if outer else {}, intervals),
        **_spread(
            {n: law.constants.get(n) for n in constants}, intervals.get("constants") or {}, "constant_"
        ),
        **with_ends("log_irreducible", law.log_irreducible_loss, intervals.get("log_irreducible")),
        **with_ends("irreducible_loss", law.irreducible_loss, intervals.get("irreducible_loss")),
        **with_ends("optimal_params_exponent", optimal.get("params"), of_optimal.get("params")),
        **with_ends("optimal_tokens_exponent", optimal.get("tokens"), of_optimal.get("tokens")),
        "objective": fit.objective,
        "interval": _how(fit),
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
        **with_ends("slope", line.slope, intervals.get("slope")),
        **with_ends("intercept", line.intercept, intervals.get("intercept")),
        "interval": frontier_resampled_words(envelope),
        "flags": "; ".join(envelope.flags),
    }


def _plan_row(plan: Plan) -> Row:
    intervals, shape = plan.intervals or {}, plan.shape
    sizes = {
        "width": None if shape is None else float(shape.width),
        "depth": None if shape is None else float(shape.depth),
        "aspect_ratio": None if shape is None else shape.aspect_ratio,
        "params": plan.params,
    }
    rest = {"tokens": plan.tokens, "tokens_per_param": plan.tokens_per_param, "loss": plan.loss}
    of_fit = intervals.get("loss_of_fit")
    return {
        "budget": plan.budget_flops,
        "flops_convention": flops_words(plan.flops_convention),
        "law": law_words(plan.law_name),
        "shape": None if shape is None else str(shape),
        **_spread(sizes, intervals),
        "params_convention": PARAMS_WORDS[plan.params_convention],
        **_spread(rest, intervals),
        **with_ends("loss_of_fit", of_fit and plan.loss, of_fit),
        "interval": "; ".join(words for words in intervals_words(plan) if words),
        "flops_beyond_fitted": plan.extrapolation.flops_decades,
        "extrapolation": plan.extrapolation.sentence(),
        "flags": "; ".join(plan.flags),
    }


def _near_row(plan: Plan) -> Row:
    near = plan.near_optimal
    assert near is not None
    return {
        "budget": plan.budget_flops,
        "flops_convention": flops_words(plan.flops_convention),
        "law": law_words(plan.law_name),
        "shape": None if plan.shape is None else str(plan.shape),
        "tolerance": near.tolerance,
        "shapes": near.count,
        "width_least": near.width[0],
        "width_most": near.width[1],
        "depth_least": near.depth[0],
        "depth_most": near.depth[1],
        "cut_by_search_at": ", ".join(near.truncated_by),
    }


def _spread(values: Mapping[str, float | None], ends: Mapping[str, Any], prefix: str = "") -> Row:
    """x, x_low and x_high of every x, called so behind `prefix`."""
    row: Row = {}
    for name, value in values.items():
        row |= with_ends(prefix + name, value, ends.get(name))
    return row


_TEXT = {
    "selection", "law", "params_convention", "interval", "status", "flags", "resource", "flops_convention",
    "method", "quantity", "shape", "extrapolation", "cut_by_search_at",
}  # fmt: skip
_COUNTS = {
    "rows", "runs", "bins", "points", "shapes", "width_least", "width_most", "depth_least", "depth_most",
}  # fmt: skip


def _frame(rows: list[Row]) -> pl.DataFrame:
    """Typed by column and not by content, so that a study without one kind of value has the same table."""
    return typed_frame(rows, _TEXT, _COUNTS)
