"""Batches of several corpora with weights, each a pure function of (seed, step), as of one.

Of every 1,024 sequences in a row each source has its share, rounded to whole sequences (largest remainders), in an
order that is drawn anew for each 1,024. The sequences of a source come in its own order of an epoch, as if it were
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.train.corpus.opened import Corpus
from gemstones.train.corpus.order import order
from gemstones.train.corpus.read import Batch, numbered, windows

BLOCK = 1024
"""Sequences of which every source has its exact share."""
_BLOCK_SEED = 0x6D697874
"""Keeps the order of sources apart from the order of windows."""


@dataclass(frozen=True)
class Mixture:
    """Corpora with the same tokenizer, and their weights, positive and in any unit."""

    corpora: tuple[Corpus, ...]
    weights: tuple[float, ...]

    @property
    def quotas(self) -> tuple[int, ...]:
        """Sequences of each source among every `BLOCK`."""
        return quotas(self.weights)

    def batch(
        self, seed: int, step: int, batch_sequences: int, context: int, rows: slice = slice(None)
    ) -> Batch:
        """The training batch of `step` (from 0): int64 (batch_sequences, context+1), or the `rows` of it."""
        if step < 0 or batch_sequences < 1:
            raise InvalidRequest(f"no batch of {batch_sequences} sequences at step {step}")
        numbers = step * batch_sequences + np.arange(batch_sequences, dtype=np.int64)[rows]
        blocks, places = np.divmod(numbers, BLOCK)
        drawn = np.empty_like(places)
        for block in np.unique(blocks):
            of_block = blocks == block
            drawn[of_block] = order(seed ^ _BLOCK_SEED, int(block), BLOCK)(places[of_block])
        found = np.empty((len(numbers), context + 1), dtype=np.int64)
        first = 0
        for corpus, quota in zip(self.corpora, self.quotas, strict=True):
            mine = (first <= drawn) & (drawn < first + quota)
            if mine.any():
                found[mine] = numbered(corpus, seed, blocks[mine] * quota + drawn[mine] - first, context)
            first += quota
        return found

    def epochs_needed(self, tokens: int, context: int) -> float:
        """How often a run of `tokens` reads the source that it reads most often."""
        return max(
            tokens * quota / BLOCK / (windows(corpus, "train", context) * context)
            for corpus, quota in zip(self.corpora, self.quotas, strict=True)
        )


def quotas(weights: Sequence[float]) -> tuple[int, ...]:
    """Whole sequences of `BLOCK` in proportion to `weights`, by largest remainders.

    >>> quotas([0.5, 0.25, 0.25]), sum(quotas([1, 1, 1]))
    ((512, 256, 256), 1024)
    """
    total = sum(weights)
    exact = [BLOCK * weight / total for weight in weights]
    whole = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for i in by_remainder[: BLOCK - sum(whole)]:
        whole[i] += 1
    return tuple(whole)
