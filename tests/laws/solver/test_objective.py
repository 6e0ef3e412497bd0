import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.laws.solver.objective import Objective, huber

residuals = st.lists(st.floats(-1, 1), min_size=1, max_size=30).map(np.array)


@given(residuals, st.floats(1e-6, 10))
def test_huber_is_scipys(r: np.ndarray, delta: float) -> None:
    np.testing.assert_allclose(huber(r, delta), scipy.special.huber(delta, r), rtol=1e-12, atol=1e-300)


@given(residuals)
def test_squared_and_absolute_are_hubers_limits(r: np.ndarray) -> None:
    assert Objective("squared").value(r) == pytest.approx(huber(r, 1e6).sum(), rel=1e-12)
    n_delta = len(r) * 1e-9
    assert Objective("absolute").value(r) == pytest.approx(huber(r, 1e-9).sum() / 1e-9, abs=n_delta)


def test_weights_count_rows() -> None:
    r = np.array([[0.1, -0.2, 0.3]])
    twice = Objective().value(np.array([[0.1, 0.1, 0.3]]))
    np.testing.assert_allclose(Objective().value(r, np.array([2.0, 0.0, 1.0])), twice)


@pytest.mark.parametrize("delta", [0.0, -1.0, np.nan, np.inf])
def test_delta_must_be_positive(delta: float) -> None:
    with pytest.raises(InvalidRequest, match="delta"):
        Objective("huber", delta)


def test_unknown_kind() -> None:
    with pytest.raises(InvalidRequest, match="huber, squared, absolute"):
        Objective("cauchy")  # type: ignore[arg-type]
