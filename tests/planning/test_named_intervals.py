"""Intervals are named what they cover, wherever plans, step times and frontiers print them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.laws.envelope import OF_FRONTIER, envelope
from gemstones.laws.new_run import error_at, widened
from gemstones.laws.published import published, refit
from gemstones.planning.plan import plan
from gemstones.planning.shown import plan_rows
from gemstones.runs import RunTable
from gemstones.shape import Shapes
from gemstones.timing.step_time import gemstones_step_time


def test_a_plans_loss_has_an_interval_of_a_new_run_and_one_of_the_fit() -> None:
    fit = refit()
    assert fit.new_run_error and fit.new_run_error[0].decades == 0  # the shipped fit was backtested
    made = plan(1e22, fit)
    assert made.intervals is not None and made.loss is not None
    decades = made.extrapolation.distance
    assert decades is not None and decades > 0
    error = float(error_at(fit.new_run_error, decades))
    assert made.intervals["loss"] == pytest.approx(widened(made.intervals["loss_of_fit"], made.loss, error))
    names = [row[0] for row in plan_rows(made)]
    assert "predicted loss (nats), of a new run" in names
    assert "the same, of the fit, if its form is right" in names
    assert any(f"the error of the form, {error:.2%} by backtests" in note for note in made.notes)
    assert "of a new run" in repr(made)


def test_a_fit_without_backtests_has_the_narrower_one_under_its_own_name_alone() -> None:
    made = plan(1e22, msgspec.structs.replace(refit(), new_run_error=()))
    assert made.intervals is not None
    assert "loss" not in made.intervals and "loss_of_fit" in made.intervals
    assert any("there is none of a new run" in note for note in made.notes)
    assert "of the fit, if its form is right" in repr(made)
    assert plan(1e22, published("chinchilla")).intervals is None


def test_the_farther_the_wider_and_what_nothing_tested_is_said() -> None:
    near, far = (plan(budget, refit()) for budget in (1e22, 1e25))
    assert near.intervals is not None and far.intervals is not None and far.loss is not None
    assert not any("nothing was tested" in note for note in near.notes)
    assert any("decades beyond, as here, nothing was tested" in note for note in far.notes)
    ratios = [made.intervals["loss"][1] / made.intervals["loss"][0] for made in (near, far) if made.intervals]
    assert ratios[1] > ratios[0]


def test_overtraining_prints_both() -> None:
    found = overtrain(1e22, refit(), [1, 4])
    for point in found.points:
        assert point.loss_interval is not None and point.loss_interval_of_fit is not None
        (low, high), (a, b) = point.loss_interval, point.loss_interval_of_fit
        assert low < a < b < high
    assert found.summary()["intervals"]["losses_of_fit"][1] == found.points[1].loss_interval_of_fit


def test_device_hours_include_the_error_for_shapes_left_out() -> None:
    model = gemstones_step_time()
    errors = sorted(abs(o.error) for o in model.observations if o.error is not None)
    assert model.new_shape_error is not None
    assert np.mean([e <= model.new_shape_error for e in errors]) >= 0.95
    one, tokens = Shapes.of(4096.0, 32.0), 1e11
    hours = tokens * float(model.device_hours_per_token(one))
    printed = model.hours_interval(one, tokens, hours)
    alone = msgspec.structs.replace(model, observations=()).hours_interval(one, tokens, hours)
    assert printed is not None and alone is not None
    assert printed == pytest.approx(widened(alone, hours, model.new_shape_error))
    assert msgspec.structs.replace(model, draws=()).hours_interval(one, tokens, hours) is None


def test_intervals_of_approach_1_are_of_the_frontier(pebbles: RunTable) -> None:
    made = envelope(pebbles, bootstrap=40)
    assert OF_FRONTIER in made.interval_note and OF_FRONTIER in repr(made)
    assert made.summary()["intervals_of"] == OF_FRONTIER
    assert envelope(pebbles).summary()["intervals_of"] is None


def test_a_near_optimal_set_says_on_how_many_members_the_draws_agree() -> None:
    made = plan(1e22, refit())
    assert made.near_optimal is not None
    shares = [member.share for member in made.near_optimal.members]
    assert shares == sorted(shares, key=lambda s: -(s or 0))
    agreed = sum((s or 0) >= 0.9 for s in shares)
    assert (
        f"{agreed} of the {len(shares)} that are kept stay so in 90% or more of the law's resamples"
        in repr(made)
    )
