"""Predictions: the law's own losses, both intervals, distances, and points that a law cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest

from gemstones.analyses.predict.predict import predict
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.published import published
from gemstones.runs import RunTable


@pytest.fixture(scope="module")
def fitted(pebbles: RunTable) -> Fit:
    return fit(pebbles.select("all"), "N,T", bootstrap=40)


def test_published_constants() -> None:
    made = predict("chinchilla", [{"N": "70B", "T": "1.4T"}, {"N": 1e9, "tokens": 2e10}])
    first, second = made.predictions
    assert first.loss == pytest.approx(1.69 + 406.4 / 70e9**0.34 + 410.7 / 1.4e12**0.28, rel=1e-12)
    assert (first.interval, first.interval_of_fit, first.measured) == (None, None, None)
    assert first.decades_beyond == pytest.approx(np.log10(6 * 70e9 * 1.4e12 / 1.2956022673438285e22))
    assert second.decades_beyond == 0
    assert "no intervals" in made.intervals_note


def test_shapes_are_counted_as_the_fitted_models_are() -> None:
    law = published("gemstones-refit").law
    made = predict("gemstones-refit", [{"shape": "1024x28", "T": "100B"}, {"w": 1024, "d": 28, "T": 1e11}])
    expected = float(law.loss(w=1024, d=28, N=543_482_880, T=1e11))
    assert [one.loss for one in made.predictions] == pytest.approx([expected] * 2, rel=1e-12)
    of_size = predict("chinchilla", {"shape": "1024x28", "T": "100B"}).predictions[0]
    assert of_size.loss == pytest.approx(float(published("chinchilla").loss(N=543_482_880, T=1e11)))


def test_of_n_and_t_alone_a_law_of_shapes_takes_the_best_shape() -> None:
    made = predict("gemstones-refit", {"N": "1B", "T": "100B"}).predictions[0]
    width, depth = map(int, str(made.at["shape"]).split("x"))
    for other in (f"{width}x{depth - 1}", f"{width}x{depth + 1}"):
        there = predict("gemstones-refit", {"shape": other, "T": "100B"}).predictions[0]
        assert there.loss > made.loss * (1 - 0.01)
    assert made.interval is not None and made.interval_of_fit is not None
    assert (
        made.interval[0] <= made.interval_of_fit[0] < made.loss < made.interval_of_fit[1] <= made.interval[1]
    )


def test_runs_stand_beside_what_was_measured(fitted: Fit, pebbles: RunTable) -> None:
    table = pebbles.select("all")
    made = predict(fitted, runs=table)
    assert len(made.predictions) == table.rows
    np.testing.assert_allclose([one.measured for one in made.predictions], table.numbers("loss"))
    np.testing.assert_allclose([one.loss for one in made.predictions], fitted.law.losses(table))
    errors = np.log(fitted.law.losses(table) / table.numbers("loss"))
    assert made.root_mean_square == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert made.held is not None and made.held > 0.9


def test_far_points_are_refused_unless_forced(fitted: Fit) -> None:
    far = {"N": "1T", "T": "10T"}
    with pytest.raises(InvalidRequest, match=r"decades of FLOPs from the fitted runs.*force=True"):
        predict(fitted, far)
    forced = predict(fitted, far, force=True).predictions[0]
    assert forced.decades_beyond is not None and forced.decades_beyond > 4


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"N": "7B"}, "T is not given"),
        ({"N": "7B", "T": "1T", "Q": 3}, "Q is no column"),
        ({"N": -1, "T": 1e9}, "must be positive"),
        ({"N": "7B", "params_total": 1e9, "T": "1T"}, "two values of one column"),
        ({"shape": "7", "T": "1T"}, "7"),
    ],
)
def test_points_that_a_law_cannot_be_asked(point: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) if said != "7" else pytest.raises(Exception, match=said):
        predict("chinchilla", point)


def test_a_law_of_the_optimum_alone_predicts_nothing() -> None:
    with pytest.raises(InvalidRequest, match="predicts no loss"):
        predict("kaplan", {"N": 1e9, "T": 1e9})
