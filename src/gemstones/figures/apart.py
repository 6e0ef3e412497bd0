"""Labels that do not overlap: each as near to its point as the others allow."""

from __future__ import annotations

from collections.abc import Sequence

ROUNDS = 200


def apart(x: Sequence[float], y: Sequence[float], width: float, height: float) -> list[float]:
    """Where to put labels of points (x, y) up or down, so that no two boxes of `width` and `height` overlap.

    Everything in pixels. Overlapping labels push each other away by half of what is missing, again and again.

    >>> apart([0, 0, 90], [10, 14, 12], 40, 12)
    [6.0, 18.0, 12.0]
    """
    at = [float(value) for value in y]
    # By height, so that labels keep the order of their points.
    pairs = [
        (i, j)
        for i in range(len(at))
        for j in range(len(at))
        if (y[i], i) < (y[j], j) and abs(x[i] - x[j]) < width
    ]
    for _ in range(ROUNDS):
        moved = False
        for i, j in pairs:
            missing = height - (at[j] - at[i])
            if missing > 1e-6:
                at[i] -= missing / 2
                at[j] += missing / 2
                moved = True
        if not moved:
            break
    return at
