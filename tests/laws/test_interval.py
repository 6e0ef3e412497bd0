import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.laws.interval import (
    check_draws,
    check_level,
    interval,
    interval_note,
    level_text,
    needed_draws,
    percentile_interval,
)

DRAWS = np.random.default_rng(0).normal(3.0, 2.0, 20_000)


def test_of_a_normal_around_its_centre() -> None:
    np.testing.assert_allclose(interval(DRAWS, 3.0), [3 - 1.96 * 2, 3 + 1.96 * 2], atol=0.1)
    np.testing.assert_allclose(interval(DRAWS, 3.0, level=0.68), [1, 5], atol=0.1)


def test_moves_with_the_estimate() -> None:
    np.testing.assert_allclose(interval(DRAWS, 4.0), [4 - 1.96 * 2, 4 + 1.96 * 2], atol=0.3)


def test_does_not_depend_on_the_scale() -> None:
    np.testing.assert_allclose(np.log(interval(np.exp(DRAWS), np.exp(3.5))), interval(DRAWS, 3.5), rtol=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=40, max_size=80).map(np.array), st.floats(-1e6, 1e6))
def test_contains_the_estimate(draws: np.ndarray, estimate: float) -> None:
    ends = interval(draws, estimate)
    assert ends is not None
    low, high = ends
    assert low <= estimate <= high


def test_of_what_is_discrete() -> None:
    """A best width that moves by one multiple does not move its interval."""
    draws = np.array([256.0] * 40 + [512.0] * 40 + [768.0] * 20)
    for estimate in (256.0, 512.0, 768.0):
        assert percentile_interval(draws, estimate) == (256.0, 768.0)
    assert percentile_interval(draws, 1024.0) == (256.0, 1024.0)
    assert percentile_interval(draws, 512.0, level=0.5) == (256.0, 512.0)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, np.nan])
def test_level_is_a_probability(level: float) -> None:
    with pytest.raises(InvalidRequest, match="level"):
        check_level(level)


@pytest.mark.parametrize("kind", [interval, percentile_interval])
@pytest.mark.parametrize(
    ("level", "needed"), [(0.5, 40), (0.9, 40), (0.95, 40), (0.96, 50), (0.99, 200), (0.999, 2000)]
)
def test_too_few_draws_have_no_interval(kind, level: float, needed: int) -> None:  # type: ignore[no-untyped-def]
    assert needed_draws(level) == needed
    assert kind(DRAWS[: needed - 1], 3.0, level=level) is None
    low, high = kind(DRAWS[:needed], 3.0, level=level)
    # One draw at least lies beyond each end, or on it.
    assert (DRAWS[:needed] <= low).sum() >= 1 and (DRAWS[:needed] >= high).sum() >= 1


@pytest.mark.parametrize(
    ("draws", "level", "said"),
    [
        (
            1,
            0.95,
            "bootstrap 1 is too few for intervals at level 0.95: give at least 40 (1000 is usual), or 0 for no",
        ),
        (39, 0.5, "give at least 40"),
        (100, 0.999, "give at least 2,000 (1000 is usual), or 0 for no intervals, or ask for a lower level"),
        (
            999_999,
            0.999999,
            "level 0.999999 is too high for intervals from bootstrap 999999: ask for 0.999998 at most",
        ),
    ],
)
def test_too_few_draws_are_refused(draws: int, level: float, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_draws(draws, level)
    assert said in str(caught.value)


def test_draws_that_are_enough() -> None:
    for draws, level in ((0, 0.95), (0, 0.999), (40, 0.95), (40, 0.1), (2000, 0.999)):
        check_draws(draws, level)
    assert interval_note(39, "run", 0.95).startswith(
        "no intervals: 39 resamples by run are too few for 95% intervals"
    )
    assert [*map(level_text, (0.95, 0.999, 0.5, 1 / 3))] == ["95%", "99.9%", "50%", "33.3333333333%"]
