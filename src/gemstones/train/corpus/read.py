"""Batches of windows, each a pure function of (seed, step): no state, whatever the number of processes.

A split is one stream of tokens. Window i has the tokens i·context .. (i+1)·context, both ends included:
context+1 tokens, of which the last is the first of the next window, so that every token but the first is
predicted exactly once per epoch. What is left at the end, fewer than context+1 tokens, is not read.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.manifest import SplitName
from gemstones.train.corpus.opened import Corpus
from gemstones.train.corpus.order import Indices, order

Batch: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.int64]]"


def windows(corpus: Corpus, split: SplitName, context: int) -> int:
    """Number of windows in a split; raises `InvalidRequest` where there is none."""
    if context < 1:
        raise InvalidRequest(f"context {context} must be at least 1")
    count = max(0, corpus.total(split) - 1) // context
    if count == 0:
        remedy = "give more text" if split == "train" else "hold out more with --validation"
        raise InvalidRequest(
            f"the {split} split of {corpus.folder} has {corpus.total(split)} tokens, fewer than one window of "
            f"{context + 1}: {remedy}, or take a shorter context"
        )
    return count


def sequences(corpus: Corpus, split: SplitName, indices: Indices, context: int) -> Batch:
    """Several windows: int64 (len(indices), context+1). Raises `IndexError` for one that does not exist.

    Raises `InvalidCorpus` for a token id beyond the vocabulary, which no model has a row for: shards are checked
    when a run starts (`gemstones.train.corpus.verify`), and may be damaged later.
    """
    count = windows(corpus, split, context)
    if len(indices) and not 0 <= min(indices) <= max(indices) < count:
        raise IndexError(f"windows must be within 0..{count - 1}")
    shards = corpus.tokens(split)
    ends = np.cumsum([len(shard) for shard in shards])
    found = np.empty((len(indices), context + 1), dtype=np.int64)
    for row, index in zip(found, indices, strict=True):
        start, filled = int(index) * context, 0
        number = int(np.searchsorted(ends, start, side="right"))
        while filled <= context:  # a window may span shards
            shard = shards[number]
            offset = start + filled - (int(ends[number]) - len(shard))
            piece = shard[offset : offset + context + 1 - filled]
            row[filled : filled + len(piece)] = piece
            filled, number = filled + len(piece), number + 1
    largest = int(found.max(initial=0))
    if largest >= corpus.manifest.vocabulary:
        raise InvalidCorpus(
            f"the {split} split has the token id {largest}, and the vocabulary has {corpus.manifest.vocabulary} ids "
            "from 0: copy the corpus again, or build it again with --force",
            file=corpus.folder,
        )
    return found


def batch(
    corpus: Corpus, seed: int, step: int, batch_sequences: int, context: int, rows: slice = slice(None)
) -> Batch:
    """The training batch of `step` (from 0): int64 (batch_sequences, context+1), or the `rows` of it.

    Steps read the epoch's order one after the other; a corpus shorter than the run is read again in another
    order, and a batch may end one epoch and begin the next.
    """
    if step < 0 or batch_sequences < 1:
        raise InvalidRequest(f"no batch of {batch_sequences} sequences at step {step}")
    numbers = step * batch_sequences + np.arange(batch_sequences, dtype=np.int64)[rows]
    return numbered(corpus, seed, numbers, context)


def numbered(corpus: Corpus, seed: int, numbers: Indices, context: int) -> Batch:
    """The training sequences of these numbers, counted from 0 through all epochs: int64 (len(numbers), context+1)."""
    count = windows(corpus, "train", context)
    epochs, positions = np.divmod(numbers, count)
    indices = np.empty_like(positions)
    for epoch in np.unique(epochs):
        of_epoch = epochs == epoch
        indices[of_epoch] = order(seed, int(epoch), count)(positions[of_epoch])
    return sequences(corpus, "train", indices, context)


def epochs_needed(corpus: Corpus, tokens: int, context: int) -> float:
    """How often a run of `tokens` reads the training split; above 1, it sees text again."""
    return tokens / (windows(corpus, "train", context) * context)


def validation_windows(corpus: Corpus, context: int, limit: int | None = None) -> Indices:
    """The windows to evaluate on, int64, the same every time: all, or `limit` evenly spread over the split."""
    count = windows(corpus, "validation", context)
    if limit is not None and limit < 1:
        raise InvalidRequest(f"limit {limit} of validation windows must be at least 1")
    chosen = count if limit is None else min(limit, count)
    return np.arange(chosen, dtype=np.int64) * count // chosen
