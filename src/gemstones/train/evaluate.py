"""The loss over the held-out windows: the same windows every time, on every layout."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule

from gemstones.design.spec import RunSpec
from gemstones.train.compiled import uncompiled
from gemstones.train.corpus import Corpus, validation_windows
from gemstones.train.corpus.read import sequences
from gemstones.train.model import Transformer, token_losses
from gemstones.train.ranks import Ranks
from gemstones.train.step import autocast

NEARLY_SECONDS = 1.0
"""An evaluation that is done so soon is not broken off."""


class BrokenOffError(Exception):
    """The session is to end: the evaluation is for the next one."""


@torch.no_grad()
def evaluate(
    model: Transformer,
    corpus: Corpus,
    spec: RunSpec,
    ranks: Ranks,
    micro_sequences: int | None = None,
    stop: Callable[[float], bool] = lambda seconds: False,
) -> tuple[float, int]:
    """Mean negative log likelihood per token in nats, and the number of windows it is over.

    The windows are of the held-out split of `corpus`, that of the run or of another held-out set.

    `stop` is asked before every few windows, with the seconds that they will take; every rank gets the same answer.
    Raises `BrokenOffError` where it is yes, and more than a second of work is left.

    Each data rank has every n-th window, all of them as many: what is too many counts nothing.
    """
    chosen = validation_windows(corpus, spec.context, spec.evaluate_sequences or None)
    share = -(-len(chosen) // ranks.data_count)
    places = np.arange(ranks.data_rank, share * ranks.data_count, ranks.data_count)
    counted = torch.from_numpy(places < len(chosen)).to(ranks.device)
    mine = chosen[np.minimum(places, len(chosen) - 1)]
    at_once = micro_sequences or max(1, spec.batch_sequences // ranks.data_count)
    total = torch.zeros((), dtype=torch.float64, device=ranks.device)
    began = time.perf_counter()
    for start in range(0, share, at_once):
        pace = (time.perf_counter() - began) / start if start else 0.0
        nearly = pace * (share - start) <= NEARLY_SECONDS
        # Ranks have paces of their own, and must do the same.
        if start and stop(pace * at_once) and not ranks.smallest(int(nearly)):
            _reshard(model)
            raise BrokenOffError
        rows = sequences(corpus, "validation", mine[start : start + at_once], spec.context)
        tokens = torch.from_numpy(rows).to(ranks.device)
        with uncompiled(model), autocast(spec.precision, ranks.device):
            logits = model(tokens[:, :-1])
        losses = token_losses(logits, tokens[:, 1:]).double().sum(1)
        total += (losses * counted[start : start + at_once]).sum()
    _reshard(model)
    ranks.sum_over_data(total)
    return float(total) / (len(chosen) * spec.context), len(chosen)


def _reshard(model: Transformer) -> None:
    """What a backward pass would do: whoever saves next must find shards."""
    if isinstance(model, FSDPModule):
        model.reshard()
