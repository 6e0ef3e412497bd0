"""How a comparison is said, in a terminal and in a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gemstones.display import Card, Row, cautions, interval_text, labelled, with_interval
from gemstones.laws.interval import level_text
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_flops, format_quantity

if TYPE_CHECKING:
    from gemstones.analyses.compare.result import At, Comparison

SURE = 0.999


def compare_card(made: Comparison) -> Card:
    """All of it, for a terminal and for a notebook."""
    unit, level = SHORT[made.loss_unit], level_text(made.level)
    header = ("at", f"loss A ({unit})", "loss B", "B over A", f"{level} interval", "P(B lower)")
    return Card(compare_heading(made), header, [_row(one) for one in made.at], compare_notes(made))


def _row(one: At) -> Row:
    known = one.interval is not None
    return (
        where_text(one),
        *(f"{loss:.4f}" if known else "-" for loss in one.losses),
        f"{one.difference:+.2%}" if known else "-",
        interval_text(one.interval, "{:+.2%}".format),
        "-" if one.probability_lower is None else probability_text(one.probability_lower),
    )


def compare_heading(made: Comparison) -> str:
    """What is compared with what, from which runs."""
    how = f"{made.pairs} pairs of runs" if made.pairs else f"{made.runs[0]} and {made.runs[1]} unpaired runs"
    return (
        f"B = {made.names[1]} against A = {made.names[0]}: {how}, pooled law {made.fit.law.form}, N counts "
        f"{made.fit.law.params_convention} parameters"
    )


def where_text(one: At) -> str:
    """The budget, or the point."""
    if one.budget is not None:
        return f"{format_flops(one.budget)} FLOPs"
    assert one.point is not None
    return ", ".join(f"{k}={v if isinstance(v, str) else format_quantity(v)}" for k, v in one.point.items())


def times(value: float) -> str:
    """A compute multiplier."""
    return "∞" if math.isinf(value) else f"{value:.3g}"


def probability_text(value: float) -> str:
    """A probability from draws: never 0 or 1.

    >>> probability_text(0.0), probability_text(0.17), probability_text(0.9986)
    ('< 0.001', '0.17', '0.999')
    """
    if value < 1 - SURE:
        return "< 0.001"
    if value > SURE:
        return "> 0.999"
    return text if (text := f"{value:.2g}") != "1" else f"{value:.3f}"


def about(made: Comparison) -> str:
    """Which recipe is compared with which."""
    return f"{made.names[1]} (B) against {made.names[0]} (A)"


def sentence(one: At, level: float, names: tuple[str, str] = ("A", "B")) -> str:
    """Which recipe is better, by how much and how surely, or that this is not decided.

    `names` are those of A and B; `A` and `B` themselves where a heading has said which these are.
    """
    a, b = names
    where = where_text(one)
    if one.interval is None or one.probability_lower is None:
        return f"At {where}: no answer from so few runs"
    low, high = one.interval
    size = "lower" if one.difference < 0 else "higher"
    within = f"{level_text(level)} {interval_text(one.interval, '{:+.2%}'.format)}"
    chance = f"P({b} lower) {probability_text(one.probability_lower)}"
    if not one.decided:
        text = (
            f"At {where}: not decided; {b} could be {-low:.2%} better to {high:.2%} worse ({within} of {a}'s loss); "
            f"{chance}"
        )
    else:
        than = "" if names == ("A", "B") else f" than {a}'s"
        text = f"At {where}: {b}'s loss is {abs(one.difference):.2%} {size}{than} ({within}); {chance}"
    if one.multiplier is not None and one.multiplier_interval is not None:
        text += f"; compute multiplier of {b} {with_interval(one.multiplier, one.multiplier_interval, times)}"
    return text


def decisive_sentence(one: At) -> str:
    """The further pair of runs that would decide it, or that none would; empty where it is decided."""
    found = one.decisive
    if found is None:
        return ""
    model = f"{format_quantity(found.params)} parameters" + (f" ({found.shape})" if found.shape else "")
    pair = f"{model} on {format_quantity(found.tokens)} tokens, {format_flops(found.flops)} FLOPs for each recipe"
    if found.enough:
        return (
            f"At {where_text(one)}: the run that would decide it, in both recipes: {pair}; with probability "
            f"{found.probability:.2g}"
        )
    return (
        f"At {where_text(one)}: no one further pair of runs would probably decide it; likeliest to, with probability "
        f"{probability_text(found.probability)}: {pair}"
    )


def compare_answer(made: Comparison) -> list[str]:
    """The answer in words, what was measured, and what the intervals are."""
    said = [text for one in made.at for text in (sentence(one, made.level), decisive_sentence(one)) if text]
    if made.reason:
        said = [made.reason]
    if made.measured is not None:
        found = made.measured
        ends = ""
        if found.interval is not None:
            within = interval_text(found.interval, "{:+.2%}".format)
            ends = f" ({level_text(made.level)} of the mean, by run: {within})"
        fitted = "" if found.fitted is None else f"; the regression there {found.fitted:+.2%}"
        said.append(
            f"measured, the {found.checkpoints} largest pairs of checkpoints, of {found.runs} pairs of runs: "
            f"B {found.difference:+.2%}{ends}{fitted}"
        )
    said.append(
        f"{level_text(made.level)} intervals of the expected difference, with the form's error as a smooth misfit and "
        "noise by run; a compute multiplier of 2 means that A needs twice the FLOPs for B's loss (docs/compare.md)"
    )
    return said


def reach_text(made: Comparison) -> str:
    """How far each budget or point is from the runs."""
    return "; ".join(f"{where_text(one)} is {one.extrapolation.sentence()}" for one in made.at)


def compare_notes(made: Comparison) -> list[str]:
    """The answer, how far it reaches, flags and assumptions."""
    return [
        *compare_answer(made),
        f"extrapolation: {reach_text(made)}",
        *labelled(("caution", cautions(made.flags)), ("assumed", made.assumptions)),
    ]
