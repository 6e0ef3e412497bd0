"""Seeds as NumPy's users give them: a whole number, None, or a Generator. Results hold the number that was used."""

from __future__ import annotations

import numpy as np

Seed = int | np.random.Generator | None
"""A whole number gives the same draws again; None gives others every time; of a Generator the next number is taken."""

FRESH = 2**32
"""Numbers that a seed is drawn from where none was given."""


def seed_number(seed: Seed) -> int:
    """The whole number that stands for `seed`, which results keep: with it the same draws can be made again.

    >>> seed_number(7), seed_number(np.random.default_rng(0))
    (7, 3653403231)
    """
    if isinstance(seed, int):
        return seed
    return int(np.random.default_rng(seed).integers(FRESH))
