"""A study in words, for a terminal: what was fitted, what it prescribes and how surely, what was left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gemstones.display import caution
from gemstones.laws.envelope import Envelope
from gemstones.laws.fit import Fit
from gemstones.numbers import (
    counted,
    estimate_text,
)
from gemstones.planning.prescriptions import by_law
from gemstones.planning.result import Plan
from gemstones.planning.shown import near_sentence, plan_rows, plan_sentence
from gemstones.printable import printable
from gemstones.report.analyses import analysis_sentences
from gemstones.report.answers import annealed_sentence, law_not_tried
from gemstones.report.result import Study
from gemstones.runs.loss_units import PER
from gemstones.runs.selections import ANNEALED
from gemstones.units import Interval
from gemstones.words import (
    PARAMS_WORDS,
    flops_words,
    frontier_resampled_words,
    intervals_words,
    law_words,
    models_words,
    resampled_words,
    resource_title,
)

QUANTITY_WORDS = {
    "params": "parameters",
    "tokens": "tokens",
    "tokens_per_param": "tokens per parameter",
}
"""What a frontier's line is of."""
BESIDE = ("width", "depth", "T/N")
"""Rows of a plan whose intervals its sentence does not have."""


def summary_text(study: Study) -> str:
    """The study as plain text, one fact a line."""
    parts = [
        ("Data", list(_data(study))),
        (_heading("Laws", "fitted with Huber's function", study), [x for f in study.fits for x in _fit(f)]),
        (
            "Frontiers of least loss (Approach 1): exponents of growth with the resource",
            [x for e in study.envelopes for x in _envelope(e)],
        ),
        ("Prescriptions", list(_prescriptions(study))),
        ("What the answer depends on", analysis_sentences(study.analyses)),
        ("Left out", list(study.notes)),
        ("Written", list(_written(study))),
    ]
    return "\n\n".join(
        "\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in parts if lines
    )


WITH_ANNEALED = f"--select {ANNEALED}"
MOST_BUDGETS, MOST_NOTES = 4, 4
"""Of the closing lines of a study."""


def closing_text(study: Study) -> str:
    """The study in ten lines or fewer: what was read, what the first law prescribes, how far to trust it, where it is.

    `summary_text` has the rest.
    """
    known = study.provenance
    lines = [
        f"{study.dataset}: {_rows(known['rows'], known['runs'])}; {counted(len(study.fits), 'fit')}, "
        f"{counted(len(study.envelopes), 'frontier')}, {counted(len(study.plans), 'plan')}"
    ]
    # Without a fit, plans are of published laws: no answer from these runs.
    plans = next(iter(by_law(study.plans).values()), []) if study.fits else []
    shown = plans if len(plans) <= MOST_BUDGETS else [*plans[: MOST_BUDGETS - 1], plans[-1]]
    lines += [f"  {printable(plan_sentence(plan))}; {plan.extrapolation.sentence()}" for plan in shown]
    if not plans:
        reasons = sorted(study.notes, key=lambda note: not note.startswith("no plan"))
        first, *others = reasons[:MOST_NOTES] or ["no law was fitted"]
        lines += [f"  nothing is prescribed: {printable(first)}", *(f"  {printable(why)}" for why in others)]
    elif plans[0].flags:
        first, *others = plans[0].flags
        lines.append(f"  caution: {caution(first)}" + (f"; and {len(others)} more" if others else ""))
    if plans and (annealed := annealed_sentence(study, WITH_ANNEALED)) is not None:
        lines.append(f"  {annealed}")
    if study.analyses.sensitivity is not None:
        beside = law_not_tried(study)
        lines.append(f"  {study.analyses.sensitivity.sentence}" + (f" {beside}" if beside else ""))
    left = f"; {counted(len(study.notes), 'note')} on what was left out" if study.notes else ""
    lines.append(f"  --verbose says all of it{left}")
    return "\n".join([*lines, *(f"  {line}" for line in _written(study))])


def _heading(what: str, how: str, study: Study) -> str:
    return f"{what}, {how}, delta {study.settings.delta:g}"


def _data(study: Study) -> Iterable[str]:
    known = study.provenance
    flops = f"; FLOPs {flops_words(known['flops_convention'])}" if known["flops_convention"] else ""
    yield f"{study.dataset}: {_rows(known['rows'], known['runs'])}{flops}"
    for one in known["selections"]:
        yield f"selection {one['selection']}: {_rows(one['rows'], one['runs'])}"
    if (annealed := annealed_sentence(study, WITH_ANNEALED)) is not None:
        yield annealed
    for sentence in known["assumptions"]:
        yield f"assumed: {sentence}"


def _written(study: Study) -> Iterable[str]:
    page = next((path for path in study.files if path.suffix == ".html"), None)
    if page is not None:
        yield f"{printable(page)}: the page to open, with everything above and an explorer"
    yield f"{counted(len(study.files), 'file')} in {printable(study.output)}: tables, figures, study.json"


def _rows(rows: int, runs: int) -> str:
    return f"{counted(rows, 'checkpoint')} of {counted(runs, 'run')}"


def _fit(fit: Fit) -> Iterable[str]:
    law, intervals = fit.law, fit.intervals or {}
    if law.formula is None:
        what, of_each = "exponents", intervals.get("exponents") or {}
        named = [*zip(law.terms, law.exponents, strict=True)]
    else:
        what, of_each = "constants", intervals.get("constants") or {}
        named = [*law.constants.items()]
    each = ", ".join(f"{name} {_exponent(value, of_each.get(name))}" for name, value in named)
    convention = f", {PARAMS_WORDS[law.params_convention]} N" if "N" in law.terms else ""
    yield (
        f"{law.name} ({_rows(fit.rows, fit.runs)}{convention}): "
        f"{'converged' if fit.status == 'converged' else 'NOT CONVERGED'}"
    )
    yield f"  {what} {each}"
    if (outer := law.outer_exponent) is not None:
        yield f"  exponent around the sum {_exponent(outer, intervals.get('outer_exponent'))}"
    irreducible = estimate_text(
        "irreducible_loss", law.irreducible_loss or 0.0, intervals.get("irreducible_loss")
    )
    yield f"  irreducible loss {irreducible} {PER[law.loss_unit]}"
    if (optimal := fit.optimal_exponents) is not None:
        ends = intervals.get("optimal_exponents") or {}
        yield (
            f"  best N grows as FLOPs (6·N·T) to the power {_exponent(optimal['params'], ends.get('params'))}, "
            f"T to {_exponent(optimal['tokens'], ends.get('tokens'))}"
        )
    yield f"  {resampled_words(fit.level, len(fit.drawn), fit.resampling.unit if fit.resampling else '')}"
    yield from (f"  caution: {caution(flag)}" for flag in fit.flags)


def _envelope(envelope: Envelope) -> Iterable[str]:
    intervals: dict[str, Any] = envelope.intervals or {}
    points = (
        f"{'lower hull' if envelope.method == 'hull' else 'bins'}, {counted(len(envelope.frontier), 'point')}"
    )
    powers = ", ".join(
        f"{QUANTITY_WORDS[name]} {_exponent(line.slope, intervals.get(name, {}).get('slope'))}"
        for name, line in envelope.fits.items()
    )
    title = resource_title(envelope.resource, envelope.resource_convention).replace("Device", "device")
    yield f"{envelope.selection}, {title}, {points}: {powers}"
    yield (f"  {PARAMS_WORDS[envelope.params_convention]} parameters; {frontier_resampled_words(envelope)}")
    yield from (f"  caution: {caution(flag)}" for flag in envelope.flags)


def _prescriptions(study: Study) -> Iterable[str]:
    yield from models_words(study.plans)
    for plans in by_law(study.plans).values():
        first = plans[0]
        yield f"{law_words(first.law_name)}:"
        # Before the numbers, which are not to be used without it.
        yield from (f"  caution: {caution(flag)}" for flag in first.flags)
        for plan in plans:
            head, *rest = _facts(plan)
            yield f"  {head}"
            yield from (f"    {fact}" for fact in rest)


def _facts(plan: Plan) -> list[str]:
    """A prescription with its intervals, how much of a choice there is, and how far it reaches."""
    how, caveat = intervals_words(plan)
    more = [
        f"{name} {ends}" for name, _, ends in plan_rows(plan) if ends[:1] == "[" and name.startswith(BESIDE)
    ]
    how += (f"; {', '.join(more)}" if more else "") + (f" ({caveat})" if caveat else "")
    near = [] if plan.near_optimal is None else [near_sentence(plan.near_optimal)]
    return [plan_sentence(plan), how, *near, plan.extrapolation.sentence()]


def _exponent(value: float, ends: Interval | None) -> str:
    return estimate_text("exponent", value, ends)
