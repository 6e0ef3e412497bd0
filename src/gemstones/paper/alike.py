"""Which of Figures 12 to 19 and 21, which look alike, shows what, and what is each one's own."""

from __future__ import annotations

from dataclasses import dataclass

from gemstones.paper.fits import EPOCH_DELTA, FitKey, power
from gemstones.words import selection_words


@dataclass(frozen=True)
class Extended:
    """What one of Figures 12 to 19 and 21 shows."""

    shapes: FitKey
    """The law of shapes."""
    params: FitKey | None
    """The law in N and T beside it."""
    whole_heads: bool = False
    """Whether the best shapes that can be built are shown, and the law in N and T searched over shapes too."""


def _pair(selection: str, delta: float, *, whole_heads: bool = False) -> Extended:
    return Extended(
        FitKey(selection, "w,d,N,T", delta), FitKey(selection, "N,T", delta), whole_heads=whole_heads
    )


EXTENDED: dict[int, Extended] = {
    12: _pair("all", 1e-4, whole_heads=True),
    13: _pair("lr-ablation", 1e-4),
    14: _pair("cooldown", 1e-4),
    15: _pair("gt120B", 1e-4),
    16: _pair("all", 1e-4),
    17: _pair("all", EPOCH_DELTA),
    18: _pair("lr-ablation", EPOCH_DELTA),
    19: _pair("cooldown", EPOCH_DELTA),
    21: Extended(FitKey("all", "w,d,T"), None),
}
PAIRS = {13: 18, 14: 19, 16: 17}
"""Figures of one selection for two δ, which the paper compares: they have the same axes."""


ALIKE = ("figure", "runs", "δ", "laws", "heads")
"""What a row of `what_differs` has."""


def what_differs() -> list[tuple[int, str, str, str, str]]:
    """One row for each of the figures that look alike: number, runs, δ, laws, and how heads are counted."""
    return [
        (
            number,
            selection_words("gemstones", shown.shapes.selection).partition(", ")[2],
            power(shown.shapes.delta),
            " and ".join(key.law for key in (shown.shapes, shown.params) if key is not None),
            "whole, an even number" if shown.whole_heads else "real numbers",
        )
        for number, shown in EXTENDED.items()
    ]


def own_words(number: int) -> str:
    """What is this figure's own, of those that look alike."""
    rows = {row[0]: row[1:] for row in what_differs()}
    first = next(iter(rows))
    if number not in rows or number == first:
        return ""
    own = [
        f"{name}: {ours}"
        for name, ours, theirs in zip(ALIKE[1:], rows[number], rows[first], strict=True)
        if ours != theirs
    ]
    return f"Unlike Figure {first}: {'; '.join(own)}"
