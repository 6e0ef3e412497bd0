"""Overspend as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.display import Card, interval_text, labelled
from gemstones.numbers import counted
from gemstones.planning.shown import flops_convention
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.analyses.overspend.overspend import Overspend


MOST_SHOWN = 8
"""Runs in a short answer, those that overspent most."""


def overspend_unit(found: Overspend) -> str:
    """What was spent, with its convention."""
    if found.resource == "device_hours":
        return "device hours"
    return f"FLOPs ({flops_convention(found.resource_convention)})"


def overspend_card(found: Overspend) -> Card:
    """All of it, for a terminal and for a notebook."""
    header = ("run", f"loss ({SHORT[found.loss_unit]})", overspend_unit(found), "overspend", "leave one out")
    rows = [
        (
            one.name,
            f"{one.loss:.4f}",
            f"{one.resource:.4g}",
            "-" if one.overspend is None else "frontier" if one.on_frontier else f"{one.overspend:.1%}",
            "-" if one.on_frontier else interval_text(one.leave_one_out, "{:.1%}".format),
        )
        for one in found.shapes
    ]
    return Card(overspend_heading(found), header, rows, overspend_notes(found))


def overspend_heading(found: Overspend) -> str:
    """What was compared."""
    selection = f" ({found.selection})" if found.selection else ""
    return (
        f"{found.dataset}{selection}: {len(found.shapes)} runs after {format_quantity(found.tokens_used, 4)} "
        f"tokens, method {found.method}; frontier over {overspend_unit(found)}: "
        f"{', '.join(one.name for one in found.frontier)}"
    )


def overspend_short(found: Overspend) -> Card:
    """The runs that overspent most, and how many others there are."""
    card = overspend_card(found)
    above = [one for one in found.shapes if one.overspend and not one.on_frontier]
    others = above[MOST_SHOWN:]
    unknown = sum(one.overspend is None for one in found.shapes)
    notes = []
    if others:
        ends = sorted(one.overspend or 0.0 for one in others)
        notes.append(f"{len(others)} more by {ends[0]:.1%} to {ends[-1]:.1%}")
    if unknown:
        notes.append(f"{counted(unknown, 'run')} without a loss of the frontier's: no overspend")
    if found.left_out:
        notes.append(
            f"{counted(len(found.left_out), 'run')} without a checkpoint near these tokens: left out"
        )
    notes = ["; ".join(notes)] if notes else []
    notes += [note for note in found.notes[1:] if not note.startswith("left out: ")]
    notes += labelled(("assumed", found.assumptions))
    rows = card.rows[: min(len(above), MOST_SHOWN)]
    return card._replace(header=card.header if rows else (), rows=rows, notes=notes)


SHORT_TRUST = (
    "each run was trained once, so no interval: leave one out is the range without one run of the frontier"
)


def overspend_notes(found: Overspend) -> list[str]:
    """What must be read with it."""
    return labelled(
        ("no overspend", [f"{one.name}: {one.reason}" for one in found.shapes if one.reason]),
        ("note", found.notes),
        ("assumed", found.assumptions),
    )
