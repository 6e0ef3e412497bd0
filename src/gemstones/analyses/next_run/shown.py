"""How designs of runs, and values of single ones, are said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gemstones.display import Card, Row, cautions, labelled
from gemstones.laws.interval import level_text
from gemstones.numbers import counted
from gemstones.planning.cost import amount_text
from gemstones.units import format_flops, format_quantity
from gemstones.words import flops_words

if TYPE_CHECKING:
    from gemstones.analyses.next_run.next_runs import NextRuns
    from gemstones.analyses.next_run.result import Design
    from gemstones.laws.law import Law

WANTED = {
    "n_opt": "the best N",
    "shape": "the best width and depth",
    "loss": "the loss of the best model",
    "compare": "the difference of two recipes' losses",
}


UNKNOWN = 1e3
"""Intervals that reach further either way say nothing."""


def factor_text(factor: float) -> str:
    """`×1.36`; of losses, whose intervals are narrow, more digits; none where it says nothing."""
    if factor > UNKNOWN:
        return "unknown"
    if factor < 1.1:
        return f"±{factor - 1:.2%}"
    return f"×{factor:.2f}" if factor < 10 else f"×{factor:.0f}"


def design_card(design: Design) -> Card:
    """All of it, for a terminal and for a notebook."""
    hours = design.resource != "flops"
    header = (
        "", "shape", "total parameters", "tokens", "T/N", "FLOPs", *(("device hours",) if hours else ()),
        "FLOPs so far", "interval after",
    )  # fmt: skip
    rows = [
        (
            f"{i}",
            str(run.shape),
            format_quantity(run.params_total),
            format_quantity(run.tokens),
            f"{run.tokens / run.params_total:.3g}",
            format_flops(run.flops),
            *((format_quantity(run.cost),) if hours else ()),
            format_flops(run.cumulative_flops),
            factor_text(run.interval_factor),
        )
        for i, run in enumerate(design.runs, 1)
    ]
    return Card(design_heading(design), header, rows, design_notes(design))


def design_heading(design: Design) -> str:
    """What is bought, and what it leaves."""
    one, level = len(design.runs) == 1, level_text(design.level)
    each = f" with {design.seeds} seeds each" if design.seeds > 1 else ""
    cost = amount_text(design.runs[-1].cumulative_cost, design.resource)
    bought = f"{counted(len(design.runs), 'run')}{each} for {cost}"
    wanted = f"{WANTED[design.want]} at {format_flops(design.budget)} FLOPs"
    if design.interval_factor > UNKNOWN:
        return (
            f"{bought} {'tells' if one else 'tell'} nothing of {wanted}: its {level} interval reaches more than "
            f"×{UNKNOWN:.0f} either way"
        )
    return (
        f"{bought} {'leaves' if one else 'leave'} {'an' if level[0] == '8' else 'a'} {level} interval of "
        f"{factor_text(design.interval_factor)} either way on {wanted}"
    )


RIVALS_HEADER: Row = ("at the same cost", "runs", "FLOPs", "interval")
"""Of the table of conventional designs."""


def rivals_rows(design: Design) -> list[Row]:
    """The design, then the conventional ones, the narrowest first."""
    beside = sorted(design.conventional, key=lambda one: one.interval_factor)
    designs = [
        ("this design", len(design.runs), design.flops, design.interval_factor),
        *((one.name, one.runs, one.flops, one.interval_factor) for one in beside),
    ]
    return [(name, f"{runs}", format_flops(flops), factor_text(x)) for name, runs, flops, x in designs]


def design_notes(design: Design) -> list[str]:
    """Quantities, the curve, and what all of it assumes."""
    notes = []
    if len(design.by_quantity) > 1:
        each = ", ".join(f"{name} {factor_text(f)}" for name, f in design.by_quantity.items())
        notes.append(f"of each: {each} (the table has the geometric mean)")
    curve = ", ".join(f"{amount_text(spend, design.resource)} {factor_text(x)}" for spend, x in design.curve)
    notes.append(f"interval by spend: {curve}")
    if (stop := stops_paying(design)) is not None:
        notes.append(stop)
    return [*notes, *_cautions(design.flags), *(f"assumes: {one}" for one in design.assumptions)]


def _cautions(flags: Sequence[str]) -> list[str]:
    return labelled(("caution about the pilot", cautions(flags)))


def stops_paying(design: Design) -> str | None:
    """From which spend on four times as much narrows the interval by less than a tenth."""
    import math

    for (spend, factor), (_, more) in zip(design.curve, design.curve[1:], strict=False):
        if factor > 1 and math.log(more) > 0.9 * math.log(factor):
            return (
                f"beyond {amount_text(spend, design.resource)} four times the spend narrows the interval by less than "
                "a tenth: what is left is the law's misfit, which only larger runs lower"
            )
    return None


def next_card(found: NextRuns) -> Card:
    """All of it, for a terminal and for a notebook."""
    header = ("shape", "total parameters", "tokens", "FLOPs", "explains of N*", "of the loss", "for its cost")
    rows = [
        (
            str(one.shape),
            format_quantity(one.params_total),
            format_quantity(one.tokens),
            format_flops(one.flops),
            f"{one.variance_explained['n_opt']:.1%}",
            f"{one.variance_explained['loss']:.1%}",
            f"{one.value:.0%}",
        )
        for one in found.candidates
    ]
    now, *assumed = next_notes(found)
    return Card(next_heading(found), header, rows, [now, *_cautions(found.flags), *assumed])


def next_heading(found: NextRuns) -> str:
    """Which run teaches most for its cost."""
    best = found.best
    return (
        f"The run that would teach most per FLOP about the best N at {format_flops(found.budget)} FLOPs: "
        f"{best.shape} on {format_quantity(best.tokens)} tokens, {format_flops(best.flops)} FLOPs, explains "
        f"{best.variance_explained['n_opt']:.0%} of its variance and {best.variance_explained['loss']:.0%} of that of "
        "the loss there"
    )


def next_notes(found: NextRuns) -> list[str]:
    """How sure the quantities are now, and what this assumes."""
    now = (
        f"{level_text(found.level)} intervals now: {factor_text(found.interval_factors['n_opt'])} either way on N*, "
        f"{factor_text(found.interval_factors['loss'])} on the loss there"
    )
    return [now, *(f"assumes: {one}" for one in found.assumptions)]


SHORT_RUNS = 8
"""Rows of a short answer."""


def design_short(design: Design) -> Card:
    """The first runs, and what other designs and other spends would leave."""
    card = design_card(design)
    cost = card.header.index("FLOPs" if design.resource == "flops" else "device hours")
    kept = (0, 1, 2, 3, cost, len(card.header) - 1)
    rows = [tuple(row[i] for i in kept) for row in card.rows]
    notes = (
        [] if len(rows) <= SHORT_RUNS + 1 else [f"and {len(rows) - SHORT_RUNS} more runs, of the same kind"]
    )
    if (named := design.best_conventional) is not None:
        worst = max(design.conventional, key=lambda one: one.interval_factor)
        notes.append(
            f"conventional designs at the same cost: {factor_text(named.interval_factor)} ({named.name}) at best, "
            f"{factor_text(worst.interval_factor)} ({worst.name}) at worst"
        )
    notes += [note for note in design_notes(design) if not note.startswith(("assumes: ", "caution "))]
    return Card(
        card.heading,
        tuple(card.header[i] for i in kept),
        rows if len(rows) <= SHORT_RUNS + 1 else rows[:SHORT_RUNS],
        [*notes, f"FLOPs: {flops_words(design.flops_convention)}"],
    )


def next_short(found: NextRuns) -> Card:
    """The candidates that teach most for their cost, and what is not known now."""
    card = next_card(found)
    more = len(card.rows) - SHORT_RUNS
    notes = [f"and {counted(more, 'candidate')} that teach less for their cost"] if more > 0 else []
    now = f"{next_notes(found)[0]}; FLOPs: {flops_words(law_flops(found.law))}"
    return card._replace(rows=card.rows[:SHORT_RUNS], notes=[*notes, now])


def law_flops(law: Law) -> str:
    """The convention of the FLOPs that a law's designs cost."""
    from gemstones.planning.sight import sight

    if law.flops is not None:
        return law.flops.convention
    return f"6N_{law.params_convention}" if sight(law) == "size" else "gemstones"
