"""The order of windows in an epoch: a permutation that is computed, never stored.

A Feistel network (Luby and Rackoff, 1988) permutes the numbers of b bits, 2^(b-1) < n <= 2^b, whatever its
round function is; results outside 0..n-1 are permuted again until they fall inside (cycle walking, Black and
Rogaway, 2002, "Ciphers with arbitrary finite domains"), fewer than two rounds of it on average.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Indices: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
_Words: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.uint64]]"

ROUNDS = 8
"""Four make a Feistel network a strong pseudorandom permutation of many bits; more mix few bits."""

FEWEST_BITS = 6
"""Halves of fewer than three bits mix badly; the price is some more walking for fewer than 64 windows."""


@dataclass(frozen=True)
class Order:
    """A permutation of 0..windows-1."""

    windows: int
    keys: tuple[int, ...]

    def __call__(self, positions: Indices | int) -> Indices:
        """The windows at these positions of the epoch (any shape, int64).

        Raises `IndexError` for a position that the epoch does not have.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < self.windows:
            raise IndexError(f"positions must be within 0..{self.windows - 1}")
        values = self._permute(wanted.astype(np.uint64).ravel())
        outside = np.flatnonzero(values >= self.windows)
        while outside.size:
            values[outside] = self._permute(values[outside])
            outside = outside[values[outside] >= self.windows]
        return values.astype(np.int64).reshape(wanted.shape)

    def _permute(self, values: _Words) -> _Words:
        bits = max(FEWEST_BITS, (self.windows - 1).bit_length())
        low_bits = np.uint64(bits // 2)
        low_mask = np.uint64((1 << (bits // 2)) - 1)
        high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
        high, low = values >> low_bits, values & low_mask
        for i, key in enumerate(self.keys):
            # Each half is changed by a function of the other: undone by doing it again, so a bijection.
            if i % 2:
                high = high ^ (_mix(low, key) & high_mask)
            else:
                low = low ^ (_mix(high, key) & low_mask)
        permuted: _Words = (high << low_bits) | low
        return permuted


def order(seed: int, epoch: int, windows: int) -> Order:
    """The order of `windows` windows in `epoch` (from 0): a pure function of the three."""
    if windows < 1 or epoch < 0:
        raise ValueError(f"no order of {windows} windows in epoch {epoch}")
    digest = hashlib.shake_256(f"{seed} {epoch} {windows}".encode()).digest(8 * ROUNDS)
    return Order(
        windows, tuple(int.from_bytes(digest[i : i + 8], "little") for i in range(0, len(digest), 8))
    )


def _mix(values: _Words, key: int) -> _Words:
    # The finaliser of splitmix64 (Steele, Lea and Flood, 2014); products wrap on purpose.
    z = values ^ np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: _Words = z ^ (z >> np.uint64(31))
    return mixed
