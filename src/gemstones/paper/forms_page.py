"""`forms.md`: what the paper's conclusions become under the form that predicts.

The paper fits sums of powers. One exponent around the sum, `(w,d,N,T)^p`, predicts runs that were left out better, and
is what backtests choose on `all`; the law `gemstones-refit` has it. Both forms are refitted to the same runs and the
same resamples of them, so their difference is tested draw by draw. Sentences are computed, none is written down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gemstones.analyses.overtrain.overtrain import TYPICAL, Overtraining, compare_points
from gemstones.analyses.overtrain.paired import Paired, paired
from gemstones.laws.fit import Fit
from gemstones.laws.interval import DEFAULT_LEVEL, level_text, percentile_interval
from gemstones.numbers import flops_text
from gemstones.paper.claim import Claim, Write, between, cell, markdown_table, written
from gemstones.paper.fits import DELTA, PAPER_FORM, PREDICTS, SHAPED_SELECTIONS, FitKey
from gemstones.paper.forms import FORMS, HEADLINE, TABLED, Forms
from gemstones.paper.overtraining_claims import at_factor, overtraining_claims
from gemstones.paper.plan_claims import trends
from gemstones.paper.rainbow import series_words
from gemstones.units import Interval, format_quantity
from gemstones.words import resampled_words

PAGE = "forms.md"
WORDS = {"params": "N (total)", "tokens_per_param": "T/N", "aspect_ratio": "width / depth"}


def forms_page(
    fits: Mapping[FitKey, Fit],
    forms: Forms,
    overtrained: Mapping[str, Sequence[Overtraining]],
    captions: Mapping[int, str],
) -> str:
    """The whole page, in Markdown; `overtrained` is by form, `captions` are of its figures, by number."""
    theirs, ours = (fits[FitKey("all", form)] for form in (PAPER_FORM, PREDICTS))
    pairs = _pairs(_checked(theirs, overtrained[PAPER_FORM]), _checked(ours, overtrained[PREDICTS]))
    findings = [_tokens(forms), _aspect(forms), _overtraining(overtrained), _rainbow(forms), _verdicts(pairs)]
    parts = [
        "# What the paper's conclusions become under the form that predicts",
        f"The paper's Equation 2 is `{PAPER_FORM}`, a sum of powers. One exponent around the sum, `{PREDICTS}`, "
        "predicts runs that were left out better, and is what backtests choose on these runs (`gemstones fit gemstones "
        f"--law auto`). Both are refitted here to `all` ({ours.rows} rows of {ours.runs} runs, δ {DELTA:g}); "
        f"{resampled_words(ours.level, len(ours.drawn), 'run')}, the same runs in the same draw of both, so that "
        "differences are tested draw by draw. Shapes are the best feasible ones, FLOPs by Appendix G, N counts all "
        "parameters. Intervals cover the sampling of runs under a form, not the choice between the two.",
        _errors(theirs, ours),
        "## Findings",
        "\n".join(f"{number}. {finding}" for number, finding in enumerate(findings, 1)),
        "## Tokens per parameter and width over depth (Figure 5)",
        _link(5, captions),
        _tabled(forms),
        "## Overtraining (Figure 8)",
        _link(8, captions),
        _costs(overtrained),
        "## The rainbow (Figure 6)",
        _link(6, captions),
        _selections(forms),
        "## Conclusion by conclusion",
        "Each of the paper's statements, checked by the same condition on both fits.",
        markdown_table(("where", "conclusion", f"`{PAPER_FORM}`", f"`{PREDICTS}`"), _rows(pairs)),
    ]
    return "\n\n".join(parts) + "\n"


def _link(number: int, captions: Mapping[int, str]) -> str:
    path = f"figures/figure-{number:02d}-predicts"
    picture = f"[![Figure {number}, by both forms]({path}.png)]({path}.png)"
    return f"{picture}\n\n{captions[number]} [Its data]({path}.parquet)."


def _errors(theirs: Fit, ours: Fit) -> str:
    """What the name of the form rests on: the errors for rows that were held out."""
    by_distance = {one.decades: one for one in theirs.new_run_error}
    rows = [
        (
            "runs left out" if one.decades == 0 else f"up to {one.decades:g}",
            f"{by_distance[one.decades].error:.2%}",
            f"{one.error:.2%}",
        )
        for one in ours.new_run_error
        if one.decades in by_distance
    ]
    said = (
        f"{level_text(ours.level)} of the losses of rows that a form was not fitted to lay within this of its "
        "prediction (backtests inside these runs):"
    )
    header = ("decades of FLOPs beyond the fitted", f"`{PAPER_FORM}`", f"`{PREDICTS}`")
    return f"{said}\n\n{markdown_table(header, rows)}"


def _tokens(forms: Forms) -> str:
    def at(budget: float) -> str:
        ours, theirs = (_written(forms, form, "tokens_per_param", budget) for form in (PREDICTS, PAPER_FORM))
        agreed = _agreed(forms.ratio("tokens_per_param", budget))
        return f"{ours} instead of {theirs} at {flops_text(budget)} FLOPs ({agreed})"

    found = forms.ratio("params", HEADLINE)
    ends = None if found.interval is None else (math.exp(found.interval[0]), math.exp(found.interval[1]))
    factor = f"{math.exp(found.difference):.2g}{_ends(ends, '.2g')}"
    return (
        f"**Tokens per parameter.** The form that predicts prescribes {at(HEADLINE)} and {at(TABLED[-1])}. At "
        f"{flops_text(HEADLINE)} FLOPs its model has {factor} times the parameters of that of the paper's form."
    )


def _aspect(forms: Forms) -> str:
    ours, theirs = (_written(forms, form, "aspect_ratio", HEADLINE) for form in (PREDICTS, PAPER_FORM))
    found = forms.ratio("aspect_ratio", HEADLINE)
    settled = (
        "" if found.settled else ": the two forms do not differ in it beyond what other runs would change"
    )
    return (
        f"**Width over depth.** At {flops_text(HEADLINE)} FLOPs {ours} instead of {theirs} "
        f"({_agreed(found)}){settled}."
    )


def _overtraining(overtrained: Mapping[str, Sequence[Overtraining]]) -> str:
    parts = []
    for theirs, ours in zip(overtrained[PAPER_FORM], overtrained[PREDICTS], strict=True):
        a, b = (at_factor(one, TYPICAL) for one in (theirs, ours))
        found = None if a is None or b is None else compare_points(b, a, ours.level or DEFAULT_LEVEL)
        if a is None or b is None or found is None or a.loss_increase is None or b.loss_increase is None:
            continue
        parts.append(
            f"{b.loss_increase:+.2%} instead of {a.loss_increase:+.2%} at {flops_text(ours.budget)} ({_agreed(found)})"
        )
    optima = [
        f"{format_quantity(ours.optimum.tokens)} instead of {format_quantity(theirs.optimum.tokens)} at "
        f"{flops_text(ours.budget)}"
        for theirs, ours in zip(overtrained[PAPER_FORM], overtrained[PREDICTS], strict=True)
    ]
    return (
        f"**Overtraining.** {TYPICAL:g} times the optimal tokens raise the loss by {', '.join(parts)} FLOPs. The "
        f"optimal tokens that these are times are others too: {', '.join(optima)}."
    )


def _rainbow(forms: Forms) -> str:
    spreads = {form: forms.spread(form) for form in FORMS}
    words = []
    for form in reversed(FORMS):
        sizes = [forms.headline[form, selection][0] for selection in SHAPED_SELECTIONS]
        estimate, drawn = float(spreads[form][0]), spreads[form][1:]
        ends = percentile_interval(drawn[np.isfinite(drawn)], estimate, level=forms.level)
        words.append(
            f"{estimate:.3g}{_ends(ends, '.3g')} by `{form}` ({format_quantity(min(sizes))} to "
            f"{format_quantity(max(sizes))})"
        )
    ours, theirs = spreads[PREDICTS], spreads[PAPER_FORM]
    found = paired(ours[1:], theirs[1:], (float(ours[0]), float(theirs[0])), forms.level)
    return (
        f"**The rainbow.** Over {len(SHAPED_SELECTIONS)} selections of the same suite N* at {flops_text(HEADLINE)} "
        f"FLOPs spreads by a factor of {', '.join(words)}. That of the form that predicts is "
        f"{'smaller' if found.difference < 0 else 'larger'} than that of Equation 2 ({_agreed(found)}). Resampling "
        "adds noise to every selection, and so to the spread in every draw."
    )


Pairs = Sequence[tuple[Claim, Claim]]


def _checked(fit: Fit, overtrained: Sequence[Overtraining]) -> list[Claim]:
    """The paper's statements on one fit; what is ours has no verdict."""
    return [c for c in (*trends(fit), *overtraining_claims(overtrained)) if c.verdict != "ours"]


def _pairs(theirs: Sequence[Claim], ours: Sequence[Claim]) -> Pairs:
    by_says = {claim.says: claim for claim in ours}
    return [(claim, by_says[claim.says]) for claim in theirs if claim.says in by_says]


def _verdicts(pairs: Pairs) -> str:
    changed = [f"“{a.says}” ({a.verdict} → {b.verdict})" for a, b in pairs if a.verdict != b.verdict]
    alike = f"**Conclusions.** Of {len(pairs)} statements {len(pairs) - len(changed)} come out alike by both forms"
    return f"{alike}; otherwise come out {', '.join(changed)}." if changed else f"{alike}."


def _rows(pairs: Pairs) -> Iterator[tuple[str, ...]]:
    def of(claim: Claim) -> str:
        return f"**{claim.verdict}**: {cell(claim.ours)}; {cell(claim.interval)}"

    for a, b in pairs:
        yield cell(a.where), cell(a.says), of(a), of(b)


def _tabled(forms: Forms) -> str:
    header = ["FLOPs"] + [f"{words}, `{form}`" for words in WORDS.values() for form in (PAPER_FORM, PREDICTS)]
    rows = [
        (
            flops_text(budget),
            *(
                _written(forms, form, quantity, budget)
                for quantity in WORDS
                for form in (PAPER_FORM, PREDICTS)
            ),
        )
        for budget in TABLED
    ]
    return markdown_table(header, rows)


def _costs(overtrained: Mapping[str, Sequence[Overtraining]]) -> str:
    def of(one: Overtraining, factor: float) -> str:
        point = at_factor(one, factor)
        if point is None or point.loss_increase is None:
            return "no design"
        return f"{point.loss_increase:+.2%}{_ends(point.increase_interval, '+.2%')}"

    factors = (1 / TYPICAL, 2.0, TYPICAL, 16.0)
    header = ("FLOPs", "form", "optimum", *(f"{factor:g} times the tokens" for factor in factors))
    rows = [
        (
            flops_text(one.budget),
            f"`{form}`",
            f"{one.optimum.shape} on {format_quantity(one.optimum.tokens)}",
            *(of(one, factor) for factor in factors),
        )
        for budget in zip(*(overtrained[form] for form in (PAPER_FORM, PREDICTS)), strict=True)
        for form, one in zip((PAPER_FORM, PREDICTS), budget, strict=True)
    ]
    said = "Increase of the predicted loss over that of the optimum, with its interval:"
    return f"{said}\n\n{markdown_table(header, rows)}"


def _selections(forms: Forms) -> str:
    def of(form: str, selection: str) -> str:
        values = forms.headline[form, selection]
        ends = percentile_interval(values[1:][values[1:] > 0], float(values[0]), level=forms.level)
        return (
            "none" if math.isnan(values[0]) else f"{format_quantity(values[0])}{_ends(ends, format_quantity)}"
        )

    said = f"N* at {flops_text(HEADLINE)} FLOPs:"
    rows = [
        (f"`{selection}`", series_words("gemstones", selection), *(of(form, selection) for form in FORMS))
        for selection in SHAPED_SELECTIONS
    ]
    header = ("selection", "runs", *(f"`{form}`" for form in FORMS))
    return f"{said}\n\n{markdown_table(header, rows)}"


def _written(forms: Forms, form: str, quantity: str, budget: float) -> str:
    value, ends = forms.value(form, quantity, budget)
    if math.isnan(value):
        return "none: on the edge of the search"
    write: Write = format_quantity if quantity == "params" else ".3g"
    return f"{written(value, write)}{_ends(ends, write)}"


def _ends(ends: Interval | None, write: Write) -> str:
    return " (no interval)" if ends is None else f" {between(ends, write)}"


def _agreed(found: Paired) -> str:
    """In which share of the draws a difference has the sign that it has by the estimates."""
    if found.below is None:
        return "no draws"
    words = "less" if found.difference < 0 else "more"
    share = found.below if found.difference < 0 else 1 - found.below
    return f"{words} in {share:.0%} of the draws" + ("" if found.settled else ", not settled")
