"""Where labels go that would overlap."""

from __future__ import annotations

from collections.abc import Sequence


def spaced(wanted: Sequence[float], gap: float, room: float) -> list[float]:
    """Positions in [0, `room`], `gap` or more apart, in the order of `wanted` (ascending), moved least (in squares).

    Positions less their place in the order, times the gap, must not fall: an isotonic regression, by pooling neighbours
    that would overlap into one block around the mean of what they want. Too many for the room come closer together.
    """
    count = len(wanted)
    gap = min(gap, room / max(count - 1, 1))
    blocks: list[tuple[float, int]] = []  # sum of what the members want, less their place; members
    for place, at in enumerate(wanted):
        blocks.append((at - place * gap, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1] = (blocks[-1][0] + total, blocks[-1][1] + members)
    last = room - (count - 1) * gap
    starts = [min(max(total / members, 0.0), last) for total, members in blocks for _ in range(members)]
    return [start + place * gap for place, start in enumerate(starts)]
