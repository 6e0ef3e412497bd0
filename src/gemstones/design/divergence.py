"""When a run has diverged: a rule on its own training losses, so that no list of spikes is kept by hand.

A step of high loss is no divergence: most spikes pass by themselves. A loss that is no number is, and so is a
level (the median of the last 16 steps) that lies `spike_nats` above the best level of the 256 steps before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SPIKE_NATS = 1.0
"""Nats per token."""
LEVEL_STEPS = 16
"""Steps whose median is a level."""
HISTORY_STEPS = 256
"""Steps that are looked back on; a whole number of levels."""
MOST_ROLLBACKS = 4
"""A run that needs more has a rate or a shape that does not train: it is given up."""


def diverged(losses: Sequence[float], spike_nats: float = SPIKE_NATS) -> str:
    """Why the run has diverged after the last of `losses` (nats, in the order of steps), or nothing.

    Only the last `HISTORY_STEPS` are looked at.
    """
    if not losses:
        return ""
    if not math.isfinite(losses[-1]):
        return f"the loss is {losses[-1]}"
    recent = losses[-HISTORY_STEPS:]
    blocks = len(recent) // LEVEL_STEPS
    if blocks < 2:
        return ""
    levels = np.median(np.reshape(recent[-blocks * LEVEL_STEPS :], (blocks, LEVEL_STEPS)), axis=1)
    rise = float(levels[-1] - levels[:-1].min())
    if rise <= spike_nats:
        return ""
    return (
        f"the median loss of {LEVEL_STEPS} steps is {levels[-1]:.3f}, {rise:.3f} nats above its best of the "
        f"{len(recent)} steps before (limit {spike_nats:g})"
    )
