"""Overtraining: exact over shapes, never beyond the budget, and at factor 1 the plan itself."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.accounting.flops import flops_per_token, inference_flops_per_token
from gemstones.accounting.parameters import params
from gemstones.analyses.overtrain.overtrain import FACTORS, overtrain
from gemstones.design.feasible import Constraints
from gemstones.errors import EdgeOfSearch, InvalidQuantity, InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS, published
from gemstones.planning.cost import FLOPS, Cost
from gemstones.planning.plan import plan
from gemstones.shape import Shape
from gemstones.timing.step_time import StepTime

WIDTH_DEPTH = LAWS["gemstones-width-depth"]
BY_PARAMS = LAWS["gemstones"]
assert isinstance(WIDTH_DEPTH, Law) and isinstance(BY_PARAMS, Law)
SMALL = Constraints(width_max=2048, depth_min=1, depth_max=60, width_multiple=256)
HOURS = StepTime(("flops_matmul", "depth"), (1e-14, 2e-6))


def loss_of(law: Law, shape: Shape, tokens: float) -> float:
    """Written out, one shape at a time."""
    value = {"w": shape.width, "d": shape.depth, "N": params(shape, law.params_convention), "T": tokens}
    return math.exp(law.log_irreducible) + sum(
        math.exp(c) * value[term] ** -e
        for term, e, c in zip(law.terms, law.exponents, law.log_coefficients, strict=True)
    )


def spent_on(cost: Cost, shape: Shape, tokens: float) -> float:
    """Of the budget; in device hours, inference at the training's rate of FLOPs."""
    forward = inference_flops_per_token(shape) * cost.inference_tokens
    if cost.step_time is None:
        return flops_per_token(shape) * tokens + forward
    per_token = (1e-14 * flops_per_token(shape, "matmul") + 2e-6 * shape.depth) / 3600
    return per_token * (tokens + forward / flops_per_token(shape))


@pytest.mark.parametrize(
    ("budget", "cost"),
    [(3e19, FLOPS), (6e19, Cost(inference_tokens=2e10)), (80.0, Cost(step_time=HOURS))],
)
def test_every_factor_is_the_best_of_all_that_the_budget_trains(budget: float, cost: Cost) -> None:
    """Against brute force over every shape, and its losses never below the optimum's."""
    found = overtrain(budget, WIDTH_DEPTH, constraints=SMALL, cost=cost)
    best = plan(budget, WIDTH_DEPTH, constraints=SMALL, cost=cost)
    shapes = [Shape(w, d) for w in range(256, 2049, 256) for d in range(1, 61)]
    designs = 0
    for point in found.points:
        assert point.tokens == pytest.approx(point.factor * best.tokens)
        within = [s for s in shapes if spent_on(cost, s, point.tokens) <= budget * (1 + 1e-12)]
        if not within:
            assert point.design is None and point.loss is None and "no shape" in (point.reason or "")
            continue
        designs += 1
        losses = {str(s): loss_of(WIDTH_DEPTH, s, point.tokens) for s in within}
        least = min(losses, key=losses.__getitem__)
        assert str(point.shape) == least and point.loss == pytest.approx(losses[least])
        assert point.design is not None and point.shape is not None
        assert point.design.spent == pytest.approx(spent_on(cost, point.shape, point.tokens))
        assert point.design.spent <= budget * (1 + 1e-12)
        assert point.loss_increase is not None and point.loss_increase >= -1e-12
        assert point.params == params(point.shape)
    assert designs > 8
    one = next(point for point in found.points if point.factor == 1)
    assert (one.shape, one.loss_increase) == (best.shape, 0.0)
    assert one.loss == pytest.approx(best.loss) and one.design is not None
    assert one.design.spent == pytest.approx(budget)


@settings(max_examples=40)
@given(st.floats(19.3, 20.3), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_no_factor_is_better_than_the_optimum_or_beyond_the_budget(
    exponent: float, factors: list[float]
) -> None:
    budget = 10.0**exponent
    found = overtrain(budget, WIDTH_DEPTH, factors, constraints=SMALL)
    for point in found.points:
        if point.design is not None:
            assert point.loss_increase is not None and point.loss_increase >= -1e-12
            assert point.design.spent <= budget * (1 + 1e-12)


def test_more_tokens_train_a_smaller_model_and_both_sides_cost_loss() -> None:
    found = overtrain(1e22, WIDTH_DEPTH)
    assert [p.factor for p in found.points] == list(FACTORS) and len(FACTORS) == 17 and FACTORS[8] == 1.0
    flops = [flops_per_token(p.shape) for p in found.points if p.shape is not None]
    assert all(a > b for a, b in itertools.pairwise(flops)) and len(flops) == 17
    increases = [p.loss_increase or 0.0 for p in found.points]
    assert all(a > b for a, b in itertools.pairwise(increases[:9]))
    assert all(a < b for a, b in itertools.pairwise(increases[8:]))
    # The paper: curves are flat, and the flatter the larger the budget.
    by_budget = [overtrain(b, WIDTH_DEPTH, [4]).points[0].loss_increase or 0.0 for b in (1e20, 1e22, 1e24)]
    assert by_budget == sorted(by_budget, reverse=True) and by_budget[-1] < 0.02


def test_laws_in_n_and_t_have_a_closed_form() -> None:
    found = overtrain(1e22, BY_PARAMS, [0.5, 1, 4])
    best = plan(1e22, BY_PARAMS)
    for point, factor in zip(found.points, (0.5, 1, 4), strict=True):
        assert point.shape is None and not point.edges
        assert point.params == pytest.approx(best.params / factor)
        assert point.params * point.tokens * 6 == pytest.approx(1e22)
        assert point.loss == pytest.approx(float(BY_PARAMS.loss(np.array([point.params, point.tokens]))))
    assert found.points[1].loss_increase == pytest.approx(0.0, abs=1e-15)
    assert found.optimum.flops_convention == "6N_total"
    with_inference = overtrain(1e22, BY_PARAMS, [0.5, 1, 2], cost=Cost(inference_tokens=1e12))
    assert min(p.loss_increase or 0.0 for p in with_inference.points) == pytest.approx(0.0, abs=1e-12)
    for point in with_inference.points:
        assert point.params is not None
        assert point.params * (6 * point.tokens + 2e12) == pytest.approx(1e22)
    # For device hours such a law is given shapes, and the same ones as its plan.
    hours = overtrain(2000.0, BY_PARAMS, [1, 2], cost=Cost(step_time=HOURS))
    assert hours.points[0].shape == hours.optimum.shape is not None
    assert hours.points[0].loss_increase == 0 and (hours.points[1].loss_increase or 0) > 0


def test_intervals_are_paired() -> None:
    """Of the same draw here and at the optimum: written out from the draws."""
    refit = published("gemstones-refit-plain")
    assert isinstance(refit, Fit)
    found = overtrain(1e22, refit, [1, 4])
    assert found.optimum.shape is not None and found.level == 0.95
    optimum, four = found.points
    assert optimum.increase_interval == (0.0, 0.0)
    assert optimum.loss_interval == pytest.approx((found.optimum.intervals or {})["loss"])

    def columns(shape: Shape | None, tokens: float) -> list[float]:
        assert shape is not None
        return [shape.width, shape.depth, params(shape), tokens]

    increases = []
    for theta in refit.theta_draws:
        e, c, log_irreducible = theta[:4], theta[4:8], theta[8]
        here, there = (
            float(np.sum(np.exp(c) * np.array(columns(p.shape, p.tokens)) ** -e) + np.exp(log_irreducible))
            for p in (four, optimum)
        )
        increases.append(here / there - 1)
    assert four.increase_interval is not None and four.loss_interval is not None
    low, high = four.increase_interval
    share = np.mean([low <= x <= high for x in increases])
    assert 0.9 <= share <= 0.98 and low < (four.loss_increase or 0) < high
    # Unpaired, the two losses' own spreads would swamp the difference.
    assert high - low < four.loss_interval[1] / four.loss_interval[0] - 1 + 0.05
    assert "4 times the optimal tokens raises predicted loss by 2.23% (95% interval" in (found.sentence or "")
    assert "saves 76% of the parameters" in (found.sentence or "")


def test_the_edges_of_the_search_are_said() -> None:
    narrow = Constraints(width_min=2048, width_max=65_536, depth_min=1, depth_max=1024, width_multiple=256)
    found = overtrain(1e22, WIDTH_DEPTH, [1, 16, 1e6], constraints=narrow)
    assert [p.edges for p in found.points] == [(), ("width_min",), ()]
    assert any("edge of the search at factor 16 (least width)" in note for note in found.notes)
    assert found.points[2].reason is not None
    # Depth 1 is no edge: no model is shallower. Nor is a width that was asked for.
    fixed = Constraints(width_min=4096, width_max=4096, depth_min=1, depth_max=1024, width_multiple=256)
    assert [p.edges for p in overtrain(1e22, WIDTH_DEPTH, [1, 40], constraints=fixed).points] == [(), ()]


def test_requests_without_meaning() -> None:
    with pytest.raises(InvalidRequest, match="law kaplan predicts no loss"):
        overtrain(1e22, LAWS["kaplan"])
    with pytest.raises(InvalidRequest, match="no factor was given"):
        overtrain(1e22, WIDTH_DEPTH, [])
    for factors in ([0.0], [-1.0], [math.nan], [math.inf]):
        with pytest.raises(InvalidQuantity, match="factor"):
            overtrain(1e22, WIDTH_DEPTH, factors)
    with pytest.raises(EdgeOfSearch, match="width 65536"):
        overtrain(1e30, WIDTH_DEPTH, force=True)
    with pytest.raises(InvalidRequest, match=r"8\.3 decades of FLOPs beyond .* force"):
        overtrain(1e30, WIDTH_DEPTH)
