"""The learning rate over a run, in tokens, and the steps on which its tokens fall (paper §3).

Linear warm-up, then constant; in a cooldown, falling: linearly to 0 in the paper, otherwise if asked for. A schedule
knows no number of steps, so that runs of any batch size compare; a step is where the batch puts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gemstones.errors import InvalidRequest

Decay = Literal["linear", "1-sqrt", "cosine"]
"""How the rate falls over a cooldown, x from 0 to 1: 1 - x, 1 - √x (Hägele et al. 2024), (1 + cos πx)/2."""


@dataclass(frozen=True)
class Schedule:
    """Warm-up and cooldown, in tokens from the start of training (a parent's included)."""

    warmup_tokens: int
    """0 for none."""
    cooldown_start: int | None = None
    cooldown_end: int | None = None
    decay: Decay = "linear"
    floor: float = 0.0
    """Fraction of the rate that the cooldown ends at."""

    def __post_init__(self) -> None:
        if self.warmup_tokens < 0:
            raise InvalidRequest(f"warmup_tokens {self.warmup_tokens} must be at least 0")
        start, end = self.cooldown_start, self.cooldown_end
        if (start is None) != (end is None):
            raise InvalidRequest("a cooldown needs both cooldown_start and cooldown_end")
        if start is not None and end is not None and not 0 <= start < end:
            raise InvalidRequest(
                f"a cooldown from {start} to {end} tokens must start at 0 or later and then end"
            )
        if not 0 <= self.floor < 1:
            raise InvalidRequest(f"floor {self.floor} must be at least 0 and below 1")

    def rate_factor(self, tokens_before: int, batch_tokens: int) -> float:
        """The fraction of the learning rate, 0 to 1, of the step that follows `tokens_before` tokens.

        Warm-up goes by the tokens at the end of the step, so the first step is not lost to a rate of 0;
        cooldown by those before it, so its first step still has the full rate and the rate 0 is reached
        where the run ends.

        >>> wsd = Schedule(warmup_tokens=100, cooldown_start=800, cooldown_end=1000, decay="1-sqrt", floor=0.1)
        >>> [round(wsd.rate_factor(tokens, 50), 3) for tokens in (0, 500, 800, 850, 950)]
        [0.5, 1.0, 1.0, 0.55, 0.221]
        """
        factor = 1.0
        if self.warmup_tokens:
            factor = min(1.0, (tokens_before + batch_tokens) / self.warmup_tokens)
        if self.cooldown_start is not None and self.cooldown_end is not None:
            left = (self.cooldown_end - tokens_before) / (self.cooldown_end - self.cooldown_start)
            left = min(1.0, max(0.0, left))
            factor *= self.floor + (1 - self.floor) * _fallen(self.decay, left)
        return factor


def _fallen(decay: Decay, left: float) -> float:
    """The fraction of the rate where the fraction `left` of the cooldown is to come."""
    match decay:
        case "1-sqrt":
            return 1 - math.sqrt(1 - left)
        case "cosine":
            return (1 - math.cos(math.pi * left)) / 2
    return left


def step_of(tokens: float, batch_tokens: int) -> int:
    """The number of steps nearest to `tokens`, at least 1; a tie goes to the later step.

    >>> step_of(2_000_000_000, 2048 * 2048)
    477
    """
    whole, rest = divmod(tokens, batch_tokens)
    return max(1, int(whole) + (2 * rest >= batch_tokens))


def points(every_tokens: int, total_tokens: int, batch_tokens: int) -> tuple[int, ...]:
    """Steps at which a run of `total_tokens` is evaluated, or saved, every `every_tokens`; the last is its end.

    The interval is rounded once, to whole steps: every 2B tokens at 4,194,304 a step is every 477 steps, so
    10B is step 2385, as in the published runs. There are as many points as intervals in the total, the last
    one moved to the end: rounding leaves no extra point just before it.
    """
    interval, last = step_of(every_tokens, batch_tokens), step_of(total_tokens, batch_tokens)
    before_last = min((total_tokens - 1) // every_tokens, (last - 1) // interval)
    return (*range(interval, before_last * interval + 1, interval), last)
