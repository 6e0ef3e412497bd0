"""Overspend as rows of text: the same in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstones.display import Card, interval_text, labelled
from gemstones.planning.shown import flops_convention
from gemstones.runs.loss_units import SHORT
from gemstones.units import format_quantity

if TYPE_CHECKING:
    from gemstones.analyses.overspend.overspend import Overspend


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


def overspend_notes(found: Overspend) -> list[str]:
    """What must be read with it."""
    return labelled(
        ("no overspend", [f"{one.name}: {one.reason}" for one in found.shapes if one.reason]),
        ("note", found.notes),
        ("assumed", found.assumptions),
    )
