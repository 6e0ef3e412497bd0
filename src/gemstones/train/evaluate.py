"""The loss over the held-out windows: the same windows every time, on every layout."""

from __future__ import annotations

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule

from gemstones.design.spec import RunSpec
from gemstones.train.corpus import Corpus, validation_windows
from gemstones.train.corpus.read import sequences
from gemstones.train.model import Transformer, token_losses
from gemstones.train.ranks import Ranks
from gemstones.train.step import autocast


@torch.no_grad()
def evaluate(
    model: Transformer, corpus: Corpus, spec: RunSpec, ranks: Ranks, micro_sequences: int | None = None
) -> tuple[float, int]:
    """Mean negative log likelihood per token in nats, and the number of windows it is over.

    Each data rank has every n-th window, all of them as many: what is too many counts nothing.
    """
    chosen = validation_windows(corpus, spec.context, spec.evaluate_sequences or None)
    share = -(-len(chosen) // ranks.data_count)
    places = np.arange(ranks.data_rank, share * ranks.data_count, ranks.data_count)
    counted = torch.from_numpy(places < len(chosen)).to(ranks.device)
    mine = chosen[np.minimum(places, len(chosen) - 1)]
    at_once = micro_sequences or max(1, spec.batch_sequences // ranks.data_count)
    total = torch.zeros((), dtype=torch.float64, device=ranks.device)
    for start in range(0, share, at_once):
        rows = sequences(corpus, "validation", mine[start : start + at_once], spec.context)
        tokens = torch.from_numpy(rows).to(ranks.device)
        with autocast(spec.precision, ranks.device):
            logits = model(tokens[:, :-1])
        losses = token_losses(logits, tokens[:, 1:]).double().sum(1)
        total += (losses * counted[start : start + at_once]).sum()
    if isinstance(model, FSDPModule):
        model.reshard()  # a backward pass would: whoever saves next must find shards
    ranks.sum_over_data(total)
    return float(total) / (len(chosen) * spec.context), len(chosen)
