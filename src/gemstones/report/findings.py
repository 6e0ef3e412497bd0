"""What each figure of a page shows, in a sentence with a number: its title. Everything in it is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from gemstones.analyses.backtest.backtest import Backtest
from gemstones.analyses.backtest.words import percent_text, predictor_words
from gemstones.analyses.overspend.overspend import Overspend
from gemstones.analyses.sensitivity.files import CHOICE_TITLES, QUANTITY_WORDS
from gemstones.analyses.sensitivity.sensitivity import Sensitivity
from gemstones.laws.envelope import Envelope
from gemstones.laws.fit import Fit
from gemstones.numbers import counted, estimate_text, flops_text, number_text
from gemstones.planning.plan import Plan
from gemstones.runs.loss_units import PER
from gemstones.runs.table import RunTable
from gemstones.units import format_quantity
from gemstones.words import PARAMS_WORDS, RESOURCE_WORDS, law_words


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


def frontier_growth(envelopes: Sequence[Envelope]) -> str:
    """How N of the runs' own frontier grows with the budget."""
    first = envelopes[0]
    line = first.fits["params"]
    ends = None if first.intervals is None else first.intervals["params"]["slope"]
    method = predictor_words(first.method, "").removeprefix("Approach 1 ")
    return (
        f"Along the frontier {method} N grows as {RESOURCE_WORDS[first.resource]} to the "
        f"{estimate_text('exponent', line.slope, ends)}"
    )


def misfit(fits: Sequence[Fit], table: RunTable) -> str:
    """How far fits are from the losses that they were fitted to."""
    errors = [math.sqrt(sum(x * x for x in fit.residuals_of(table)) / table.rows) for fit in fits]
    said = [f"{fit.law.form} to {percent_text(error)}" for fit, error in zip(fits, errors, strict=True)]
    return f"The laws meet the losses that they were fitted to: {', '.join(said)} (root mean square)"


def tokens_per_param(plan: Plan) -> str:
    """How many tokens a parameter gets."""
    ends = (plan.intervals or {}).get("tokens_per_param")
    return (
        f"For {flops_text(plan.budget_flops)} FLOPs {law_words(plan.law_name)} trains on "
        f"{estimate_text('tokens_per_param', plan.tokens_per_param, ends)} tokens per parameter "
        f"({PARAMS_WORDS[plan.params_convention]})"
    )


def analyses_spread(made: Sensitivity) -> str:
    """Over which range the analyses prescribe: the first clause of the sentence of all."""
    return made.sentence.partition(" (")[0].partition(";")[0]


def largest_share(made: Sensitivity) -> str:
    """Which choice moves N* most."""
    shares = [
        s for s in made.decompositions if s.budget == made.headline_budget and s.quantity.startswith("n")
    ]
    if not shares:
        shares = [s for s in made.decompositions if s.budget == made.headline_budget] or [
            *made.decompositions
        ]
    most = max(shares, key=lambda share: share.share)
    ends = "" if most.interval is None else f" ({most.interval[0]:.0%} to {most.interval[1]:.0%})"
    words = QUANTITY_WORDS[most.quantity]
    return (
        f"{CHOICE_TITLES[most.choice]} moves {words} most: {most.share:.0%}{ends} of its variance for "
        f"{flops_text(most.budget)} FLOPs"
    )


def least_error(made: Backtest) -> str:
    """Who predicts best what is held out."""
    scores = [s for s in made.scores if s.error is not None and s.target == "all"]
    scores = scores or [s for s in made.scores if s.error is not None]
    splits = list(dict.fromkeys((s.selection, s.split, s.cut) for s in scores))

    def best(of: object) -> str:
        least = min((s for s in scores if (s.selection, s.split, s.cut) == of), key=lambda s: s.error or 0.0)
        return predictor_words(least.approach, least.law)

    winners = [best(of) for of in splits]
    first = max(dict.fromkeys(winners), key=winners.count)
    return (
        f"{first} predicts what is held out best in {winners.count(first)} of {counted(len(splits), 'split')}"
    )


def drift(made: Backtest, selection: str) -> str:
    """How far predictions above the lowest cut in compute are off."""
    scores = [
        s
        for s in made.scores
        if (s.selection, s.split, s.target) == (selection, "compute", "all") and s.bias is not None
    ]
    cut = min(s.cut for s in scores if s.cut is not None)
    said = [f"{s.law} by {_signed(s.bias)}" for s in scores if s.cut == cut and s.bias is not None]
    return f"Fitted to less than {flops_text(cut)} FLOPs, laws are off beyond: {', '.join(said)} on average"


def _signed(share: float) -> str:
    text = f"{share:+.1%}"
    return "0.0%" if text in ("-0.0%", "+0.0%") else text


def typical_overspend(found: Overspend) -> str:
    """What the middle run, and the worst, used too much."""
    known = sorted((one.overspend, one.name) for one in found.shapes if one.overspend is not None)
    if not known:
        return f"No run's overspend in {RESOURCE_WORDS[found.resource]} is known: none has a loss of the frontier's"
    most, name = known[-1]
    middle = median(value for value, _ in known)
    return (
        f"Of {counted(len(known), 'run')} with a loss of the frontier's the middle one used "
        f"{number_text(100 * middle)}% more {RESOURCE_WORDS[found.resource]} than it needed, {name} "
        f"{number_text(100 * most)}%"
    )
