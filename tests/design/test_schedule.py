"""Schedules by hand and by their pieces; token points on steps, as in the published runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.design.schedule import Schedule, points, step_of
from gemstones.errors import InvalidRequest

BATCH = 2048 * 2048


def factors(schedule: Schedule, batch: int, steps: int) -> list[float]:
    return [schedule.rate_factor(step * batch, batch) for step in range(steps)]


def test_warm_up_by_the_end_of_the_step() -> None:
    assert factors(Schedule(40), 10, 6) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors(Schedule(45), 10, 6) == pytest.approx([10 / 45, 20 / 45, 30 / 45, 40 / 45, 1, 1])
    assert factors(Schedule(0), 10, 2) == [1, 1]
    # 80M tokens at the paper's batch: full rate from the 20th step on.
    paper = factors(Schedule(80_000_000), BATCH, 21)
    assert paper[0] == pytest.approx(BATCH / 80e6)
    assert paper[18] < 1
    assert paper[19:] == [1, 1]


def test_cooldown_by_the_start_of_the_step() -> None:
    schedule = Schedule(20, 100, 140)
    assert factors(schedule, 10, 15)[9:] == [1, 1, 0.75, 0.5, 0.25, 0]
    assert schedule.rate_factor(1000, 10) == 0
    # Before the warm-up has ended both act.
    assert Schedule(40, 20, 40).rate_factor(20, 10) == 0.75


@given(
    warmup=st.integers(0, 500),
    start=st.integers(0, 1000),
    length=st.integers(1, 500),
    batch=st.integers(1, 97),
    cools=st.booleans(),
)
def test_pieces(warmup: int, start: int, length: int, batch: int, cools: bool) -> None:
    start = max(start, warmup)
    schedule = Schedule(warmup, start, start + length) if cools else Schedule(warmup)
    tokens = range(0, start + length + 2 * batch)
    rates = [schedule.rate_factor(t, batch) for t in tokens]
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[0] > 0 or (cools and start == 0 and length == 0)
    up, down = rates[: start + 1], rates[start:]
    assert up == sorted(up)
    assert up[-1] == 1
    if cools:
        assert down == sorted(down, reverse=True)
        assert rates[start + length :] == [0] * (2 * batch)
        assert all(rate > 0 for rate in rates[start : start + length])
        middle = schedule.rate_factor(start + length // 2, batch)
        assert middle == pytest.approx(1 - (length // 2) / length)
    else:
        assert set(down) == {1.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((-1,), "warmup_tokens -1 must be at least 0"),
        ((0, 5), "a cooldown needs both cooldown_start and cooldown_end"),
        ((0, None, 5), "a cooldown needs both cooldown_start and cooldown_end"),
        ((0, 5, 5), "a cooldown from 5 to 5 tokens must start at 0 or later and then end"),
        ((0, -5, 5), "a cooldown from -5 to 5 tokens must start at 0 or later and then end"),
    ],
)
def test_meaningless_schedules(fields: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Schedule(*fields)
    assert str(caught.value) == message


def test_steps_of_the_paper() -> None:
    assert step_of(2_000_000_000, BATCH) == 477
    every_2b = points(2_000_000_000, 350_000_000_000, BATCH)
    assert every_2b[:5] == (477, 954, 1431, 1908, 2385)  # the published rows, 10B at 2385
    assert len(every_2b) == 175
    assert every_2b[-1] == step_of(350_000_000_000, BATCH) == 83_447


def test_nearest_step() -> None:
    assert [step_of(t, 10) for t in (0, 1, 14, 15, 24, 25, 100)] == [1, 1, 1, 2, 2, 3, 10]
    assert step_of(14.999, 10) == 1


def test_no_point_just_before_the_last() -> None:
    # 300K at 4,096 a step are 73.24 steps: twenty times 73 would end five steps early, and add a point.
    steps = points(300_000, 6_000_000, 4096)
    assert len(steps) == 20
    assert steps[-2:] == (19 * 73, 1465)
    assert points(1000, 6_000_000, 1_000_000) == (1, 2, 3, 4, 5, 6)
    assert points(10**9, 6_000_000, 4096) == (1465,)


@given(every=st.integers(1, 5000), total=st.integers(1, 20_000), batch=st.integers(1, 300))
def test_points(every: int, total: int, batch: int) -> None:
    steps = points(every, total, batch)
    interval, last = step_of(every, batch), step_of(total, batch)
    assert steps[-1] == last
    assert list(steps) == sorted(set(steps))
    assert steps[0] >= 1
    assert list(steps[:-1]) == [interval * k for k in range(1, len(steps))]
    assert len(steps) <= -(-total // every)
