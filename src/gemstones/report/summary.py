"""A study in words, for a terminal: what was fitted, what it prescribes and how surely, what was left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gemstones.laws.envelope import Envelope
from gemstones.laws.fit import Fit
from gemstones.laws.law import Interval
from gemstones.plan.plan import Plan
from gemstones.report.prescriptions import by_law
from gemstones.report.study import Study
from gemstones.report.words import (
    PARAMS_WORDS,
    flops_text,
    flops_words,
    interval_text,
    law_words,
    number_text,
    resource_title,
)

QUANTITY_WORDS = {
    "width": "width",
    "depth": "depth",
    "params": "parameters",
    "tokens": "tokens",
    "tokens_per_param": "tokens per parameter",
    "loss": "loss",
}
"""What an interval of a plan is of, in the order of the sentence."""
_WRITTEN = {"width": ".0f", "depth": ".0f", "loss": "#.4g"}


def summary_text(study: Study) -> str:
    """The study as plain text, one fact a line."""
    parts = [
        ("Data", list(_data(study))),
        (_heading("Laws", "fitted with Huber's function", study), [x for f in study.fits for x in _fit(f)]),
        (
            "Frontiers of least loss (Approach 1): exponents of growth with the resource",
            [x for e in study.envelopes for x in _envelope(e)],
        ),
        ("Prescriptions", [line for plans in by_law(study.plans).values() for line in _plans(plans)]),
        ("Left out", list(study.notes)),
        ("Written", [f"{len(study.files)} files in {study.output}: tables, figures, study.json"]),
    ]
    return "\n\n".join(
        "\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in parts if lines
    )


def _heading(what: str, how: str, study: Study) -> str:
    return f"{what}, {how}, delta {study.settings.delta:g}"


def _data(study: Study) -> Iterable[str]:
    known = study.provenance
    flops = f"; FLOPs {flops_words(known['flops_convention'])}" if known["flops_convention"] else ""
    yield f"{study.dataset}: {known['rows']:,} checkpoints of {known['runs']:,} runs{flops}"
    for one in known["selections"]:
        yield f"selection {one['selection']}: {one['rows']:,} checkpoints of {one['runs']:,} runs"
    for sentence in known["assumptions"]:
        yield f"assumed: {sentence}"


def _fit(fit: Fit) -> Iterable[str]:
    law, intervals = fit.law, fit.intervals or {}
    named = zip(law.terms, law.exponents, strict=True)
    exponents = ", ".join(f"{t} {_with(e, intervals.get('exponents', {}).get(t))}" for t, e in named)
    convention = f", {PARAMS_WORDS[law.params_convention]} N" if "N" in law.terms else ""
    yield (
        f"{law.name} ({fit.rows:,} checkpoints, {fit.runs:,} runs{convention}): "
        f"{'converged' if fit.status == 'converged' else 'NOT CONVERGED'}"
    )
    yield f"  exponents {exponents}"
    yield f"  irreducible loss {_with(law.irreducible_loss, intervals.get('irreducible_loss'))} nats/token"
    if (optimal := fit.optimal_exponents) is not None:
        ends = intervals.get("optimal_exponents", {})
        yield (
            f"  best N grows as FLOPs (6·N·T) to the power {_with(optimal['params'], ends.get('params'))}, "
            f"T to {_with(optimal['tokens'], ends.get('tokens'))}"
        )
    yield f"  {_how(fit.level, len(fit.draws), fit.resampling.unit if fit.resampling else '')}"
    yield from (f"  caution: {flag}" for flag in fit.flags)


def _envelope(envelope: Envelope) -> Iterable[str]:
    intervals: dict[str, Any] = envelope.intervals or {}
    points = f"{'lower hull' if envelope.method == 'hull' else 'bins'}, {len(envelope.frontier)} points"
    powers = ", ".join(
        f"{QUANTITY_WORDS[name]} {_with(line.slope, intervals.get(name, {}).get('slope'))}"
        for name, line in envelope.fits.items()
    )
    title = resource_title(envelope.resource, envelope.resource_convention).replace("Device", "device")
    yield f"{envelope.selection}, {title}, {points}: {powers}"
    yield (
        f"  {PARAMS_WORDS[envelope.params_convention]} parameters; "
        f"{_how(envelope.level, len(envelope.draws.get('params', ())), envelope.unit)}"
    )
    yield from (f"  caution: {flag}" for flag in envelope.flags)


def _plans(plans: list[Plan]) -> Iterable[str]:
    first = plans[0]
    yield f"{law_words(first.law_name)}:"
    for plan in plans:
        head, *rest = _facts(plan)
        yield f"  {head}"
        yield from (f"    {fact}" for fact in rest)
    yield from (f"  caution: {flag}" for flag in first.flags)


def plan_sentence(plan: Plan) -> str:
    """A prescription in words, with its interval, how much of a choice there is, and how far it reaches."""
    return "; ".join(_facts(plan))


def _facts(plan: Plan) -> list[str]:
    shape = "" if plan.shape is None else f"{plan.shape}, "
    loss = "" if plan.loss is None else f", loss {plan.loss:#.4g} nats/token"
    facts = [
        f"For {flops_text(plan.budget_flops)} FLOPs ({flops_words(plan.flops_convention)}): {shape}"
        f"{number_text(plan.params)} parameters ({PARAMS_WORDS[plan.params_convention]}), "
        f"{number_text(plan.tokens)} tokens ({number_text(plan.tokens_per_param)} per parameter){loss}",
        _intervals(plan),
    ]
    if (near := plan.near_optimal) is not None:
        sizes = f"width {near.width[0]}–{near.width[1]}, depth {near.depth[0]}–{near.depth[1]}"
        cut = ", and more beyond the search" if near.truncated_by else ""
        facts.append(
            f"{near.count:,} shapes lie within {100 * near.tolerance:.3g}% of its loss ({sizes}{cut})"
        )
    return [*facts, plan.extrapolation.sentence()]


def _intervals(plan: Plan) -> str:
    if plan.intervals is None:
        return plan.intervals_note
    ends = ", ".join(
        f"{words} {_ends(name, plan.intervals[name])}"
        for name, words in QUANTITY_WORDS.items()
        if name in plan.intervals
    )
    how, _, caveat = plan.intervals_note.partition("; ")
    return f"{how}: {ends}" + (f" ({caveat})" if caveat else "")


def _ends(quantity: str, ends: Interval) -> str:
    """An interval to as many digits as its quantity is known to: losses differ in their third."""
    if (written := _WRITTEN.get(quantity)) is None:
        return interval_text(ends)
    low, high = (format(end, written) for end in ends)
    return f"{low}–{high}"


def _with(value: float, ends: Interval | None) -> str:
    return number_text(value) + (f" ({interval_text(ends)})" if ends is not None else "")


def _how(level: float, draws: int, unit: str) -> str:
    return (
        f"{level:.0%} intervals from {draws} resamples by {unit}" if draws else "no intervals: no resamples"
    )
