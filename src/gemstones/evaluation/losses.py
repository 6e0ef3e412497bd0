"""Windows → the negative log likelihood of every predicted token, and what a set's loss is made of.

A window is padded on its right: a causal model sees nothing of that. Losses are kept by token and added in the order
of the text, so that the batch does not change them beyond the rounding of a model's own arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gemstones.errors import Failure
from gemstones.evaluation.scoring import NOT_COUNTED
from gemstones.evaluation.windows import Windows

if TYPE_CHECKING:
    import torch

    from gemstones.evaluation.scoring import Score


@dataclass(frozen=True)
class SetLoss:
    """The loss of a model on a set."""

    loss: float
    """Nats per predicted token."""
    bits_per_byte: float
    """All nats over ln 2 and the bytes of UTF-8: the same for a text whatever the tokenizer's words are."""
    standard_error: float | None
    """Of `loss`, nats per token, by document; None of one document."""
    tokens: int
    bytes: int
    documents: int


def evaluate_windows(score: Score, windows: Windows, *, batch_tokens: int, device: torch.device) -> SetLoss:
    """The loss over all windows; `score` (`scoring.py`) takes inputs and targets, int64 (B, S), and gives losses.

    Where the device's memory is too small for `batch_tokens`, half as many are tried, and so on. Raises `Failure` for a
    loss that is not finite.
    """
    nats, tokens = nats_by_document(score, windows, batch_tokens=batch_tokens, device=device)
    return _of_set(nats, tokens, windows)


def nats_by_document(
    score: Score, windows: Windows, *, batch_tokens: int, device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Nats of every document and its predicted tokens, (documents,) each; see `evaluate_windows`."""
    losses = np.zeros(len(windows.tokens), dtype=np.float32)
    done = np.zeros(len(windows.start), dtype=bool)
    while True:
        try:
            for chosen in windows.batches(batch_tokens):
                if not done[chosen].all():
                    _score(score, windows, chosen, losses, device)
                    done[chosen] = True
            break
        except MemoryError:
            raise
        except RuntimeError as error:
            if "out of memory" not in str(error).lower() or batch_tokens < 2:
                raise
            batch_tokens //= 2
    predicted = np.zeros(len(windows.tokens) + 1, dtype=np.int64)
    np.add.at(predicted, windows.first, 1)
    np.add.at(predicted, windows.end + 1, -1)
    counted = np.cumsum(predicted)[:-1] > 0
    document, number = windows.document[counted], windows.documents
    nats = np.zeros(number)
    np.add.at(nats, document, losses[counted].astype(np.float64))
    tokens: NDArray[np.int64] = np.bincount(document, minlength=number).astype(np.int64)
    if not np.isfinite(nats).all():
        raise Failure(
            "the loss is not finite: the model's weights or its arithmetic overflow (--dtype float32)"
        )
    return nats, tokens


def _score(
    score: Score,
    windows: Windows,
    chosen: NDArray[np.int64],
    losses: NDArray[np.float32],
    device: torch.device,
) -> None:
    import torch

    starts, ends = windows.start[chosen], windows.end[chosen]
    places = starts[:, None] + np.arange(int((ends - starts).max()))
    inside = places < ends[:, None]
    counted = inside & (places + 1 >= windows.first[chosen][:, None])
    # What pads is any token at all.
    places = np.where(inside, places, starts[:, None])
    with torch.inference_mode():
        inputs = torch.from_numpy(windows.tokens[places].astype(np.int64)).to(device)
        targets = torch.from_numpy(
            np.where(counted, windows.tokens[places + 1], NOT_COUNTED).astype(np.int64)
        )
        found = score(inputs, targets.to(device)).float().cpu().numpy()
    losses[(places + 1)[counted]] = found[counted]


def _of_set(nats: NDArray[np.float64], tokens: NDArray[np.int64], windows: Windows) -> SetLoss:
    total, count = math.fsum(nats), int(tokens.sum())
    assert count == windows.predicted
    loss = total / count
    there = tokens > 0
    documents = int(there.sum())
    error = None
    if documents > 1:
        # Of a ratio of sums over documents that are drawn at random (Cochran, Sampling Techniques, §2.11).
        off = (nats - loss * tokens)[there]
        error = math.sqrt(documents / (documents - 1) * math.fsum(off**2)) / count
    return SetLoss(loss, total / math.log(2) / windows.bytes, error, count, windows.bytes, documents)
