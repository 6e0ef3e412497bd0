"""The divergence rule on planted losses: what it must see, and what it must let pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.design.divergence import HISTORY_STEPS, LEVEL_STEPS, SPIKE_NATS, diverged

NOISE = 0.15
"""Standard deviation of the training loss of one step, nats: that of a small batch."""


def first_alarm(losses: Sequence[float], spike_nats: float = SPIKE_NATS) -> int | None:
    """The number of the step, from 1, after which the rule gives its first alarm."""
    for step in range(1, len(losses) + 1):
        # As a trainer that keeps no more than the rule looks at.
        if diverged(losses[max(0, step - HISTORY_STEPS) : step], spike_nats):
            return step
    return None


def noisy(level: Sequence[float], seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(x) for x in np.asarray(level) + rng.normal(0, NOISE, len(level))]


def flat(steps: int, level: float = 3.0) -> list[float]:
    return [level] * steps


def test_nothing_yet() -> None:
    assert diverged([]) == ""
    assert diverged([1e9]) == ""


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("before", [0, 1, 31, 300])
def test_what_is_no_number_at_once(loss: float, before: int) -> None:
    assert diverged([*flat(before), loss]) == f"the loss is {loss}"


@pytest.mark.parametrize("seed", range(3))
def test_noise_never(seed: int) -> None:
    assert first_alarm(noisy(flat(10_000), seed)) is None


@pytest.mark.parametrize("vocabulary", [512, 50_304])
@pytest.mark.parametrize("seed", range(2))
def test_a_warm_up_never(vocabulary: int, seed: int) -> None:
    """From ln(V), at first slowly, then steeply, then by a power law; and the same without noise."""
    steps = np.arange(2000)
    fall = np.minimum(1, (steps / 40) ** 2)
    level = math.log(vocabulary) * (1 - fall) + fall * (2.5 + 3 * (1 + steps / 30) ** -0.5)
    assert first_alarm(level.tolist()) is None
    assert first_alarm(noisy(level, seed)) is None


@given(st.lists(st.integers(0, 300), max_size=4), st.floats(1.01, 1e6), st.integers(0, 99))
def test_single_spikes_pass(at: list[int], height: float, seed: int) -> None:
    """Of 3 steps each, however high, as long as they are not within one level of each other."""
    starts: list[int] = []
    for start in sorted(at):
        if not starts or start >= starts[-1] + 2 * LEVEL_STEPS:
            starts.append(start)
    losses = noisy(flat(340), seed)
    for start in starts:
        losses[start : start + 3] = [loss + height for loss in losses[start : start + 3]]
    assert first_alarm(losses) is None


@given(st.integers(2 * LEVEL_STEPS, 600), st.floats(1.5, 1e6), st.integers(0, 99))
def test_a_lasting_jump_within_a_level(before: int, height: float, seed: int) -> None:
    losses = noisy([*flat(before), *flat(LEVEL_STEPS + 1, 3.0 + height)], seed)
    alarm = first_alarm(losses)
    assert alarm is not None
    # A median moves when half of its steps have.
    assert before + LEVEL_STEPS // 2 <= alarm <= before + LEVEL_STEPS + 1


def test_jumps_by_less_than_the_limit_pass_and_the_limit_is_the_callers() -> None:
    def jump(height: float) -> list[float]:
        return [*flat(100), *flat(200, 3.0 + height)]

    assert first_alarm(jump(0.99)) is None
    assert first_alarm(jump(1.01)) == 109
    assert first_alarm(jump(0.99), spike_nats=0.5) == 109
    assert first_alarm(jump(1.01), spike_nats=2.0) is None
    # Exactly at the limit is not above it.
    assert first_alarm(jump(1.0)) is None


def test_a_slow_rise_passes_and_a_fast_one_does_not() -> None:
    """By less than the limit within what is looked back on: a rate too high, not a divergence."""
    slow = np.linspace(3.0, 3.0 + 0.9 * SPIKE_NATS * 2000 / HISTORY_STEPS, 2000)
    assert slow[-1] > 3 + 5 * SPIKE_NATS
    assert first_alarm(slow.tolist()) is None
    fast = np.linspace(3.0, 3.0 + 2 * SPIKE_NATS * 2000 / HISTORY_STEPS, 2000)
    alarm = first_alarm(fast.tolist())
    assert alarm is not None
    assert alarm <= HISTORY_STEPS


def test_too_young_to_tell() -> None:
    """A level and one to hold it against are needed: 32 steps."""
    losses = [*flat(LEVEL_STEPS), *flat(LEVEL_STEPS, 9.0)]
    assert first_alarm(losses) == 2 * LEVEL_STEPS


def test_only_the_history_counts() -> None:
    """A level that was left longer ago is forgotten; and steps before the history change nothing."""
    assert diverged([*flat(50, 1.0), *flat(HISTORY_STEPS, 3.0)]) == ""
    assert diverged([*flat(LEVEL_STEPS, 1.0), *flat(HISTORY_STEPS - LEVEL_STEPS, 3.0)]) != ""


def test_the_reason_in_numbers() -> None:
    assert diverged([*flat(32, 2.0), *flat(16, 4.5)]) == (
        "the median loss of 16 steps is 4.500, 2.500 nats above its best of the 48 steps before (limit 1)"
    )
