"""The learning rate over a run, in tokens, and the steps on which its tokens fall (paper §3).

Linear warm-up, then constant; in a cooldown, linear to 0. A schedule knows no number of steps, so that runs
of any batch size compare; a step is where the batch puts it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemstones.errors import InvalidRequest


@dataclass(frozen=True)
class Schedule:
    """Warm-up and cooldown, in tokens from the start of training (a parent's included)."""

    warmup_tokens: int
    """0 for none."""
    cooldown_start: int | None = None
    cooldown_end: int | None = None

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

    def rate_factor(self, tokens_before: int, batch_tokens: int) -> float:
        """The fraction of the learning rate, 0 to 1, of the step that follows `tokens_before` tokens.

        Warm-up goes by the tokens at the end of the step, so the first step is not lost to a rate of 0;
        cooldown by those before it, so its first step still has the full rate and the rate 0 is reached
        where the run ends.
        """
        factor = 1.0
        if self.warmup_tokens:
            factor = min(1.0, (tokens_before + batch_tokens) / self.warmup_tokens)
        if self.cooldown_start is not None and self.cooldown_end is not None:
            left = (self.cooldown_end - tokens_before) / (self.cooldown_end - self.cooldown_start)
            factor *= min(1.0, max(0.0, left))
        return factor


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
