"""How long a run is, in tokens, and what follows from that: its cooldown, and where it is evaluated and saved."""

from __future__ import annotations

import math
from typing import Any

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.schedule import step_of
from gemstones.design.suite_file import ScheduleTable, Training
from gemstones.shape import Shape


def horizons(training: Training, shape: Shape) -> tuple[int, ...]:
    """Tokens of the runs of `shape`, one or, with several budgets, one each, in whole steps but where they are given.

    FLOPs are the paper's Appendix G, parameters are total. `most_flops` cuts what is longer.
    """
    per_token, batch_tokens = flops_per_token(shape), training.batch_sequences * shape.context
    most = training.most_flops / per_token if isinstance(training.most_flops, float) else math.inf
    if isinstance(training.tokens, int) and training.tokens <= most:
        return (int(training.tokens),)
    if isinstance(training.tokens, int):
        wanted = [most]
    elif isinstance(training.tokens_per_param, float | int):
        wanted = [training.tokens_per_param * params(shape)]
    else:
        assert isinstance(training.flops, tuple)
        wanted = [budget / per_token for budget in training.flops]
    return tuple(step_of(min(tokens, most), batch_tokens) * batch_tokens for tokens in wanted)


def intervals(training: Training, tokens: int, batch_tokens: int) -> tuple[int, int]:
    """Tokens between evaluations and between checkpoints of a run of `tokens`, in steps of `batch_tokens`."""
    if isinstance(training.evaluate_every, int):
        evaluate = int(training.evaluate_every)
    else:
        assert isinstance(training.evaluations, int)
        evaluate = -(-step_of(tokens, batch_tokens) // training.evaluations) * batch_tokens
    every = training.checkpoint_every
    return evaluate, int(every) if isinstance(every, int) else evaluate


def falling(training: Training, tokens: int, batch_tokens: int) -> dict[str, Any]:
    """The fields of a `RunSpec` of `tokens` that say how its rate falls, if it does."""
    schedule = training.schedule
    if not isinstance(schedule, ScheduleTable):
        return {}
    steps = step_of(tokens, batch_tokens)
    warm = -(-int(training.warmup_tokens) // batch_tokens)
    fall = min(step_of(schedule.fraction * steps, 1), max(1, steps - warm))
    return {"decay_tokens": fall * batch_tokens, "decay": schedule.decay, "floor": schedule.floor}
