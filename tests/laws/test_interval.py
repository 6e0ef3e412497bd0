import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.laws.interval import check_level, interval, percentile_interval

DRAWS = np.random.default_rng(0).normal(3.0, 2.0, 20_000)


def test_of_a_normal_around_its_centre() -> None:
    np.testing.assert_allclose(interval(DRAWS, 3.0), [3 - 1.96 * 2, 3 + 1.96 * 2], atol=0.1)
    np.testing.assert_allclose(interval(DRAWS, 3.0, level=0.68), [1, 5], atol=0.1)


def test_moves_with_the_estimate() -> None:
    np.testing.assert_allclose(interval(DRAWS, 4.0), [4 - 1.96 * 2, 4 + 1.96 * 2], atol=0.3)


def test_does_not_depend_on_the_scale() -> None:
    np.testing.assert_allclose(np.log(interval(np.exp(DRAWS), np.exp(3.5))), interval(DRAWS, 3.5), rtol=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50).map(np.array), st.floats(-1e6, 1e6))
def test_contains_the_estimate(draws: np.ndarray, estimate: float) -> None:
    low, high = interval(draws, estimate)
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
