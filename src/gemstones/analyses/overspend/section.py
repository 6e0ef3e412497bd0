"""The section of a study's page: what a shape off the frontier costs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from gemstones.analyses.overspend.figure import around_value, overspend_figure
from gemstones.analyses.overspend.overspend import Overspend
from gemstones.figures.table import Table
from gemstones.numbers import number_text
from gemstones.page.page import Figure, Section
from gemstones.page.rows import typed_frame, with_ends
from gemstones.page.table import TableBlock
from gemstones.units import format_quantity
from gemstones.words import RESOURCE_WORDS


def overspend_section(overspends: Sequence[Overspend]) -> Section:
    """What a shape off the frontier costs, by resource."""
    at = format_quantity(overspends[0].tokens_used)
    return Section(
        "overspend",
        "Overspend",
        (
            "Overspend is what a run used beyond what the frontier of all of them needed for the same loss, here after "
            f"{at} tokens.",
        ),
        figures=(
            Figure(
                "overspend",
                f"Overspend of every shape after {at} tokens",
                "Filled: how much more the shape used than the frontier needs for its loss.",
                overspend_figure(overspends),
                typical_overspend(overspends[0]),
                f"overspend-{overspends[0].resource}",
            ),
        ),
        tables=tuple(
            TableBlock(
                f"overspend-{one.resource}",
                f"Overspend in {RESOURCE_WORDS[one.resource]}",
                _overspend(one),
                first=("shape", "overspend", "loss"),
            )
            for one in overspends
        ),
        notes=tuple(dict.fromkeys(note for one in overspends for note in (*one.notes, *one.left_out))),
    )


def _overspend(found: Overspend) -> Table:
    rows = [
        {
            "shape": one.name,
            "tokens": one.tokens,
            "loss": one.loss,
            found.resource: one.resource,
            **with_ends("overspend", one.overspend, around_value(one)),
            "frontier": "yes" if one.on_frontier else "",
            "reason": one.reason or "",
        }
        for one in found.shapes
    ]
    notes = (
        "overspend is a fraction; below it its range with all runs of the frontier or any one of them left out",
    )
    return Table(typed_frame(rows, {"shape", "frontier", "reason"}), notes=notes)


def typical_overspend(found: Overspend) -> str:
    """What the middle run, and the worst, used too much."""
    known = sorted((one.overspend, one.name) for one in found.shapes if one.overspend is not None)
    if not known:
        return f"No run's overspend in {RESOURCE_WORDS[found.resource]} is known: none has a loss of the frontier's"
    most, name = known[-1]
    middle = median(value for value, _ in known)
    resource = RESOURCE_WORDS[found.resource]
    if len(known) == 1:
        return f"{name} used {number_text(100 * most)}% more {resource} than the frontier needs for its loss"
    half = f"half of them used at most {number_text(100 * middle)}% more"
    return (
        f"{name} used {number_text(100 * most)}% more {resource} than the frontier needs for its loss, the most of "
        f"the {len(known)} runs whose loss the frontier reaches; {half}"
    )
