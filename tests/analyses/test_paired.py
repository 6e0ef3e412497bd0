"""Differences on the same draws: settled where overlapping intervals would leave it open, open where draws disagree."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gemstones.analyses.overtrain.overtrain import compare_increases, overtrain
from gemstones.analyses.overtrain.paired import paired
from gemstones.laws.interval import interval
from gemstones.laws.published import refit


def test_what_is_uncertain_about_both_cancels() -> None:
    rng = np.random.default_rng(1)
    shared, own = rng.normal(0, 1, 400), rng.normal(0, 0.01, 400)
    one, other = 1.0 + shared, 1.1 + shared + own
    low, high = interval(other, 1.1), interval(one, 1.0)
    assert low is not None and high is not None and low[0] < high[1]  # they overlap
    found = paired(one, other, (1.0, 1.1))
    assert found.settled and found.below == 1.0 and found.difference == pytest.approx(-0.1)
    assert found.interval is not None and found.interval[1] < 0
    assert found.words == "in 100.0% of 400 draws, 95% needed"


def test_draws_that_disagree_settle_nothing() -> None:
    rng = np.random.default_rng(2)
    found = paired(rng.normal(0.1, 1, 400), np.zeros(400), (0.1, 0.0))
    assert not found.settled and found.interval is not None and found.interval[0] < 0 < found.interval[1]


def test_too_few_draws_are_said_and_infinite_ones_left_out() -> None:
    few = paired(np.ones(12), np.zeros(300), (1.0, 0.0))
    assert few.interval is None and not few.settled and "12 resamples are too few" in few.words
    found = paired(np.r_[np.full(10, np.inf), np.ones(50)], np.zeros(60), (1.0, 0.0))
    assert found.draws == 50 and found.below == 0.0 and found.settled


def test_overtraining_at_two_budgets_is_compared_draw_by_draw() -> None:
    fit = refit()
    low, high = (overtrain(budget, fit, [4]) for budget in (1e20, 1e22))
    found = compare_increases(high, low)
    assert found is not None and found.draws == len(fit.drawn)
    each = [p.increase_draws for p in (*high.points, *low.points)]
    assert each[0] is not None and each[1] is not None
    assert found.below == pytest.approx(np.mean(each[0] < each[1]))
    bare = [overtrain(budget, fit.law, [4]) for budget in (1e20, 1e22)]
    assert compare_increases(*bare) is None
    assert compare_increases(low, high, factor=3.0) is None
    few = msgspec.structs.replace(fit, drawn=fit.drawn[:12])
    assert compare_increases(overtrain(1e20, few, [4]), overtrain(1e22, few, [4])) is None


def test_fourfold_overtraining_costs_less_at_1e22_in_nearly_all_draws() -> None:
    """By the plain refit; the overlap of its two intervals would leave it open."""
    from gemstones.laws.fit import Fit
    from gemstones.laws.published import LAW_NAMES, published

    name = "gemstones-refit-plain" if "gemstones-refit-plain" in LAW_NAMES else "gemstones-refit"
    plain = published(name)
    assert isinstance(plain, Fit)
    low, high = (overtrain(budget, plain, [4]) for budget in (1e20, 1e22))
    found = compare_increases(high, low)
    assert found is not None and found.below is not None and found.below > 0.98 and found.settled
