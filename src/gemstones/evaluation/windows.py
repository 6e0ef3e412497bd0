"""Documents as tokens → the windows that a model sees, every token to be predicted in exactly one of them.

`document`: each document on its own, behind the token that begins one; its end is not predicted. The last window of a
document reaches back to be full (as `loglikelihood_rolling` of lm-evaluation-harness).

    b t0 t1 t2 t3 t4 t5      a document of 6 tokens, context 4, stride 4
    inputs  b  t0 t1 t2      targets that count  t0 t1 t2 t3
    inputs  t1 t2 t3 t4      targets that count        t4 t5

`stream`: documents one after the other, an end behind each, as models are trained; ends are predicted too, and whole
windows only are, as `gemstones train` evaluates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gemstones.errors import InvalidRequest

Kind = Literal["document", "stream"]
Ids: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Windows:
    """A set as one model's tokenizer has it.

    Window i has the inputs `tokens[start:end]` and as targets the tokens one further; those from `first` on count.
    """

    tokens: Ids
    document: Ids
    """Of which document each token is, (tokens,)."""
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]
    """Place in `tokens` of the first target that counts, (windows,)."""
    documents: int
    bytes: int
    """Of UTF-8 that the predicted tokens are, of a stream in proportion to its tokens."""

    @property
    def predicted(self) -> int:
        """Number of tokens that are predicted."""
        return int((self.end + 1 - self.first).sum())

    def batches(self, most_tokens: int) -> Iterator[NDArray[np.int64]]:
        """Windows that are evaluated together, the longest first, padded to the longest of them.

        One that would be a quarter padding waits for the next batch, unless this one is small yet.
        """
        lengths = self.end - self.start
        order = np.argsort(-lengths, kind="stable")
        at = 0
        while at < len(order):
            longest = int(lengths[order[at]])
            size, small = max(1, most_tokens // longest), max(1, most_tokens // 4 // longest)
            alike = int((lengths[order[at : at + size]] >= 0.75 * longest).sum())
            size = max(alike, min(size, small))
            yield order[at : at + size]
            at += size


def check_windows(context: int, stride: int) -> None:
    """Refuse windows that cannot be."""
    if context < 2:
        raise InvalidRequest(f"context {context} must be at least 2 tokens")
    if not 1 <= stride <= context:
        raise InvalidRequest(
            f"stride {stride} must be from 1 to the context, {context}: the tokens that a window adds"
        )


def of_documents(
    documents: Sequence[Ids], text_bytes: int, begin: int, *, context: int, stride: int
) -> Windows:
    """Every document on its own behind the token `begin`, its tokens each predicted once."""
    check_windows(context, stride)
    tokens = np.concatenate([part for ids in documents for part in ([begin], ids)]).astype(np.int32)
    lengths = np.array([len(ids) for ids in documents], dtype=np.int64)
    document = np.repeat(np.arange(len(documents), dtype=np.int32), lengths + 1)
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
    spans = [_spans(int(n), context, stride) + int(o) for n, o in zip(lengths, offsets, strict=True) if n]
    return _windows(tokens, document, spans, len(documents), text_bytes)


def of_stream(
    documents: Sequence[Ids], text_bytes: int, ends: int | None, *, context: int, stride: int
) -> Windows:
    """One document after the other, behind each the token `ends` (None where they have it): whole windows alone.

    Of less than a window, all of it.
    """
    check_windows(context, stride)
    parts = documents if ends is None else [np.append(ids, np.int32(ends)) for ids in documents]
    tokens = np.concatenate(parts).astype(np.int32)
    document = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    targets = len(tokens) - 1
    if targets < 1:
        raise InvalidRequest("a stream of one token has nothing to predict: give more text")
    whole = targets if targets < context else context + (targets - context) // stride * stride
    spans = [_spans(whole, context, stride)]
    return _windows(tokens, document, spans, len(parts), max(1, round(text_bytes * whole / len(tokens))))


def _windows(
    tokens: Ids, document: Ids, spans: Sequence[NDArray[np.int64]], documents: int, text_bytes: int
) -> Windows:
    if not spans:
        raise InvalidRequest("the text has no tokens: nothing can be predicted")
    start, end, first = np.concatenate(spans, axis=1)
    return Windows(tokens, document, start, end, first, documents, text_bytes)


def _spans(targets: int, context: int, stride: int) -> NDArray[np.int64]:
    """Starts, ends and first counted targets, (3, windows), of a row of `targets` + 1 tokens."""
    more = max(0, -(-(targets - context) // stride))
    end = np.minimum(context + stride * np.arange(more + 1, dtype=np.int64), targets)
    first = np.concatenate([[0], end[:-1]]) + 1
    return np.stack([np.maximum(end - context, 0), end, first])
