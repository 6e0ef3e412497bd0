"""Plans for device hours and with inference, against shapes gone through one by one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.optimize

from gemstones.accounting.flops import flops_per_token, inference_flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints
from gemstones.errors import EdgeOfSearch, InvalidQuantity, InvalidRequest
from gemstones.laws.fit import Fit, Resampling
from gemstones.laws.interval import interval, percentile_interval
from gemstones.laws.law import FittedRange, Law, Models
from gemstones.laws.new_run import widened
from gemstones.laws.published import LAWS, FrontierLaw, published, refit
from gemstones.planning.cost import FLOPS, Cost
from gemstones.planning.defaults import default_constraints, default_throughput
from gemstones.planning.flop_optimal import flop_optimal
from gemstones.planning.optimum import size_optima
from gemstones.planning.plan import plan
from gemstones.planning.surface import Surface
from gemstones.shape import Shape
from gemstones.timing.step_time import StepTime, gemstones_step_time

WIDTH_DEPTH, BY_PARAMS, CHINCHILLA = LAWS["gemstones-width-depth"], LAWS["gemstones"], LAWS["chinchilla"]
assert isinstance(WIDTH_DEPTH, Law) and isinstance(BY_PARAMS, Law) and isinstance(CHINCHILLA, Law)
HOURS = Cost(step_time=gemstones_step_time())
SMALL = Constraints(width_max=2560, depth_min=1, depth_max=60, width_multiple=256)
"""600 shapes."""


def every_shape() -> Iterator[Shape]:
    for width in range(256, 2561, 256):
        for depth in range(1, 61):
            yield Shape(width, depth)


def hours_per_token(shape: Shape, coefficients: tuple[float, ...]) -> float:
    """Of the default features, written out."""
    a, b = coefficients
    return (a * flops_per_token(shape, "matmul") + b * shape.width * shape.depth) / 3600


def tokens_of(shape: Shape, budget: float, cost: Cost, coefficients: tuple[float, ...] = ()) -> float:
    """T = (B - inference) / per token, of one shape."""
    per_token = flops_per_token(shape, cost.flops_convention)
    forward = inference_flops_per_token(shape, cost.flops_convention)
    if cost.step_time is not None:
        seconds_per_flop = hours_per_token(shape, coefficients or cost.step_time.coefficients) / per_token
        per_token, forward = per_token * seconds_per_flop, forward * seconds_per_flop
    return (budget - cost.inference_tokens * forward) / per_token


def loss_of(terms: tuple[str, ...], theta: Any, shape: Shape, tokens: float) -> float:
    if tokens <= 0:
        return math.inf
    value = {"w": shape.width, "d": shape.depth, "N": params(shape), "T": tokens}
    k = len(terms)
    return math.exp(theta[2 * k]) + sum(
        math.exp(theta[k + i]) * value[term] ** -theta[i] for i, term in enumerate(terms)
    )


OTHER = StepTime(("depth", "flops_matmul", "constant"), (4e-7, 1e-14, 1e-6))
COSTS = {
    "hours": (500.0, HOURS),
    "flops and inference": (3e20, Cost(inference_tokens=2e11)),
    "hours and inference": (1500.0, Cost(step_time=gemstones_step_time(), inference_tokens=2e11)),
    "matmul": (3e19, Cost("matmul")),
    "hours of another machine": (100.0, Cost(step_time=OTHER)),
}


@pytest.mark.parametrize("name", [*COSTS][:4])
def test_the_optimum_and_the_near_set_are_those_of_brute_force(name: str) -> None:
    budget, cost = COSTS[name]
    every = {
        str(s): loss_of(WIDTH_DEPTH.terms, WIDTH_DEPTH.theta, s, tokens_of(s, budget, cost))
        for s in every_shape()
    }
    best = min(every, key=every.__getitem__)
    made = plan(budget, WIDTH_DEPTH, cost=cost, constraints=SMALL, near=0.01, everything=True)
    assert str(made.shape) == best and made.shape is not None
    assert made.loss == pytest.approx(every[best], rel=1e-12)
    assert made.tokens == pytest.approx(tokens_of(made.shape, budget, cost), rel=1e-12)
    assert (made.budget, made.resource) == (budget, cost.resource)
    near = {shape for shape, loss in every.items() if loss <= every[best] * 1.01}
    assert made.near_optimal is not None and {m.shape for m in made.near_optimal.members} == near
    for member in made.near_optimal.members:
        of_shape = tokens_of(Shape.parse(member.shape), budget, cost)
        assert (member.loss, member.tokens) == pytest.approx((every[member.shape], of_shape))
    # Nothing of the budget is left, and FLOPs and hours are those of the tokens.
    forward = inference_flops_per_token(made.shape, cost.flops_convention)
    assert made.flops == pytest.approx(made.tokens * flops_per_token(made.shape, cost.flops_convention))
    assert made.inference_flops == pytest.approx(cost.inference_tokens * forward)
    assert made.flops_convention == cost.flops_convention
    if cost.resource == "flops":
        assert made.flops + made.inference_flops == pytest.approx(budget) == made.budget_flops
        assert made.device_hours is None and made.throughput is None
    else:
        assert cost.step_time is not None
        hours = made.tokens * hours_per_token(made.shape, cost.step_time.coefficients)
        assert made.device_hours == pytest.approx(hours)
        assert made.total_device_hours == pytest.approx(budget)


def test_any_features_price_every_shape() -> None:
    budget, cost = COSTS["hours of another machine"]
    made = plan(budget, WIDTH_DEPTH, cost=cost, constraints=SMALL)

    def loss(shape: Shape) -> float:
        seconds = 4e-7 * shape.depth + 1e-14 * flops_per_token(shape, "matmul") + 1e-6
        tokens = budget * 3600 / seconds
        return loss_of(WIDTH_DEPTH.terms, WIDTH_DEPTH.theta, shape, tokens)

    assert str(made.shape) == str(min(every_shape(), key=loss))
    assert made.device_hours_interval is None and "how far they are off" in made.notes[0]


def test_the_quickest_shape_is_wider_than_that_of_least_flops() -> None:
    for budget in (1e3, 1e4, 1e5, 1e6):
        for law in (refit("gemstones-refit-plain").law, WIDTH_DEPTH):
            made = plan(budget, law, cost=HOURS)
            beside = flop_optimal(made, law)
            other = beside.flop_optimal
            assert other is not None and made.shape is not None and other.shape is not None
            assert other.budget == pytest.approx(made.flops, rel=1e-12) and other.resource == "flops"
            # Were it quicker, it would have been the plan for these hours.
            assert other.loss is not None and made.loss is not None and other.device_hours is not None
            assert other.loss <= made.loss and other.device_hours >= made.budget
            assert other.shape.aspect_ratio < made.shape.aspect_ratio
            assert beside.device_hours_ratio == pytest.approx(other.device_hours / budget)
            assert beside.loss_change == pytest.approx(other.loss / made.loss - 1)
            # And the other way round: with the hours of the plan for FLOPs, the loss is lower still.
            assert plan(other.device_hours, law, cost=HOURS).loss <= other.loss  # type: ignore[operator]


def test_inference_of_no_tokens_is_no_inference() -> None:
    none = Cost(inference_tokens=0.0)
    for law in (refit("gemstones-refit-plain"), published("kaplan"), BY_PARAMS):
        assert plan(1e22, law, cost=none) == plan(1e22, law)
    without = plan(1e5, refit("gemstones-refit-plain"), cost=HOURS)
    assert (
        plan(
            1e5,
            refit("gemstones-refit-plain"),
            cost=Cost(step_time=gemstones_step_time(), inference_tokens=0),
        )
        == without
    )
    few = plan(1e22, WIDTH_DEPTH, cost=Cost(inference_tokens=1.0))
    assert few.shape == plan(1e22, WIDTH_DEPTH).shape and few.tokens < plan(1e22, WIDTH_DEPTH).tokens


def test_step_times_beside_a_plan_for_flops_change_nothing_in_it() -> None:
    for law in (refit("gemstones-refit-plain"), WIDTH_DEPTH):
        bare, made = plan(1e21, law), plan(1e21, law, throughput=gemstones_step_time())
        added = {"device_hours", "device_hours_interval", "inference_device_hours", "throughput", "notes"}
        assert {k: v for k, v in made.summary().items() if k not in added} == {
            k: v for k, v in bare.summary().items() if k not in added
        }
        assert made.shape is not None and made.device_hours is not None
        model = gemstones_step_time()
        assert made.device_hours == pytest.approx(
            made.tokens * hours_per_token(made.shape, model.coefficients)
        )
        drawn = np.array([made.tokens * hours_per_token(made.shape, draw) for draw in model.draws])  # type: ignore[arg-type]
        ends = interval(drawn, made.device_hours)
        assert ends is not None and model.new_shape_error is not None
        assert made.device_hours_interval == pytest.approx(
            widened(ends, made.device_hours, model.new_shape_error)
        )
        measured = [
            note for note in made.notes if note.startswith("device hours from the step times of gemstones")
        ]
        assert "(all): 10% off" in measured[0] and "which their interval includes" in measured[0]
    assert plan(1e21, BY_PARAMS, throughput=gemstones_step_time()).device_hours is None


# ---------------------------------------------------------------- intervals


def small_fit(law: Law, draws: int = 40) -> Fit:
    """A fit with made-up draws near its law."""
    rng = np.random.default_rng(1)
    theta = law.theta * np.exp(rng.normal(0, 0.02, (draws, len(law.theta))))
    return msgspec.structs.replace(
        refit("gemstones-refit-plain"),
        law=law,
        drawn=tuple(tuple(float(x) for x in draw) for draw in theta),
        resampling=Resampling("run", 0),
    )


@pytest.mark.parametrize("name", ["hours", "flops and inference", "hours and inference"])
def test_intervals_are_those_of_the_plans_of_all_draws(name: str) -> None:
    """Draw i of the law with draw i of the step times, the plan of each by brute force."""
    budget, cost = COSTS[name]
    fitted = small_fit(WIDTH_DEPTH)
    made = plan(budget, fitted, cost=cost, constraints=SMALL)
    assert made.shape is not None and made.intervals is not None and made.loss is not None
    found: dict[str, list[float]] = {"width": [], "depth": [], "tokens": [], "flops": []}
    for i, theta in enumerate(fitted.theta_draws):
        own = () if cost.step_time is None else cost.step_time.draws[i]

        def loss(s: Shape, theta: Any = theta, own: tuple[float, ...] = own) -> float:
            return loss_of(WIDTH_DEPTH.terms, theta, s, tokens_of(s, budget, cost, own))

        best = min(every_shape(), key=loss)
        tokens = tokens_of(best, budget, cost, own)
        for quantity, value in zip(
            found, (best.width, best.depth, tokens, tokens * flops_per_token(best)), strict=True
        ):
            found[quantity].append(value)
    estimates = {
        "width": made.shape.width,
        "depth": made.shape.depth,
        "tokens": made.tokens,
        "flops": made.flops,
    }
    for quantity, values in found.items():
        expected = percentile_interval(np.array(values), estimates[quantity], level=fitted.level)
        assert made.intervals[quantity] == pytest.approx(expected, rel=1e-12), quantity
    of_this = [loss_of(WIDTH_DEPTH.terms, theta, made.shape, made.tokens) for theta in fitted.theta_draws]
    of_fit = interval(np.array(of_this), made.loss, level=fitted.level)
    assert made.intervals["loss_of_fit"] == pytest.approx(of_fit)
    assert made.intervals["loss"][0] < made.intervals["loss_of_fit"][0]
    assert ("each with a resample of the step times" in made.intervals_note) == (cost.resource != "flops")


@pytest.mark.parametrize("law", [refit("gemstones-refit-plain").law, BY_PARAMS])
def test_draws_give_the_exact_optimum_of_each_at_its_own_cost(law: Law) -> None:
    """The two passes of `minimise` against the minimum over every shape, as many draws as take a second."""
    constraints = default_constraints(law)
    column, row = constraints.grid()
    blind = set(law.terms) == {"N", "T"}
    grid = (law, column[:, 0], row[0], constraints)
    bounds = (256 / 80, 2560 / 8) if blind else None
    surface = Surface.of(*grid, HOURS, aspect_ratios=bounds)
    draws = small_fit(law, 12).theta_draws if blind else refit("gemstones-refit-plain").theta_draws[::40]
    for i, theta in enumerate(draws):
        own = Cost(step_time=gemstones_step_time(), inference_tokens=1e11).of_draw(i)
        priced = Surface.of(*grid, own, aspect_ratios=bounds)
        everywhere = priced.loss(theta, 1e5, slice(None), slice(None))
        ((row, depth),) = surface.minimise(theta[None], 1e5, own)
        assert everywhere[row, depth] <= everywhere.min() * (1 + 1e-9)


def test_without_resampled_step_times_the_draws_are_of_the_law_alone() -> None:
    made = plan(100.0, small_fit(WIDTH_DEPTH), cost=Cost(step_time=OTHER), constraints=SMALL)
    assert made.intervals is not None and made.device_hours_interval is None
    assert "of the law alone: the throughput model has none" in made.intervals_note
    assert plan(500.0, WIDTH_DEPTH, cost=HOURS, constraints=SMALL).intervals is None


def test_resamples_that_cannot_pay_for_the_inference_are_left_out() -> None:
    """One of the draws of the step times is slower, and inference alone takes its budget."""
    model = gemstones_step_time()
    slow = tuple(30 * c for c in model.coefficients)
    mixed = msgspec.structs.replace(model, draws=(slow, *model.draws[:7]))
    cost = Cost(step_time=mixed, inference_tokens=2e12)
    made = plan(1500.0, small_fit(WIDTH_DEPTH, 48), cost=cost, constraints=SMALL)
    assert made.intervals is not None and "12.5% of the resamples cannot pay" in made.intervals_note
    assert made.intervals["tokens"][0] > 0
    all_slow = Cost(step_time=msgspec.structs.replace(model, draws=(slow,)), inference_tokens=2e12)
    made = plan(1500.0, small_fit(WIDTH_DEPTH, 48), cost=all_slow, constraints=SMALL)
    assert made.intervals is None
    assert made.intervals_note == "no interval: 100.0% of 48 resamples cannot pay for the inference"
    # 39 that are left are too few.
    mixed = msgspec.structs.replace(model, draws=(slow, *model.draws[:39]))
    cost = Cost(step_time=mixed, inference_tokens=2e12)
    made = plan(1500.0, small_fit(WIDTH_DEPTH, 40), cost=cost, constraints=SMALL)
    assert made.intervals is None and "2.5% of 40 resamples cannot pay" in made.intervals_note


# ---------------------------------------------------------------- laws in N and T


@pytest.mark.parametrize(
    ("budget", "tokens"), [(1e20, 1e8), (1e20, 1.8e12), (1e24, 1e8), (1e24, 1e12), (1e24, 1e14)]
)
def test_n_and_t_with_inference_are_the_minimum_in_one_dimension(budget: float, tokens: float) -> None:
    for law in (CHINCHILLA, BY_PARAMS):
        made = plan(budget, law, cost=Cost(inference_tokens=tokens))
        assert made.loss is not None and made.flops_convention == "6N_total"
        spent = 6 * made.params * made.tokens + 2 * made.params * tokens
        assert spent == pytest.approx(budget, rel=1e-12)
        assert made.flops == pytest.approx(6 * made.params * made.tokens, rel=1e-9)

        def loss(log_tokens: float, law: Law = law) -> float:
            t = math.exp(log_tokens)
            return float(law.loss(np.array([budget / (6 * t + 2 * tokens), t])))

        found = scipy.optimize.minimize_scalar(
            loss, bounds=(5, 60), method="bounded", options={"xatol": 1e-12}
        )
        assert made.loss == pytest.approx(found.fun, rel=1e-13)
        assert math.log(made.tokens) == pytest.approx(found.x, abs=1e-5)
        # To full precision: the derivative is zero to rounding.
        (a, b), (log_a, log_b) = law.exponents, law.log_coefficients
        by_size = a * math.exp(log_a) * made.params**-a * 6 * made.tokens * made.params / budget
        by_tokens = b * math.exp(log_b) * made.tokens**-b
        assert by_size == pytest.approx(by_tokens, rel=1e-12)


def test_n_and_t_with_little_inference_tend_to_hoffmanns_closed_form() -> None:
    closed = plan(1e22, CHINCHILLA)
    nearly = plan(1e22, CHINCHILLA, cost=Cost(inference_tokens=1.0))
    assert (nearly.params, nearly.tokens) == pytest.approx((closed.params, closed.tokens), rel=1e-9)
    # More inference: smaller models, for longer (Sardana et al. 2024, Figure 1).
    sizes = [plan(1e23, CHINCHILLA, cost=Cost(inference_tokens=t)).params for t in (1e10, 1e11, 1e12, 1e13)]
    assert sizes == sorted(sizes, reverse=True)
    theta = np.array([[0.3, 0.3, 6.0, 6.0, 0.5], [-0.1, 0.3, 6.0, 6.0, 0.5]])
    counted, tokens = size_optima(CHINCHILLA, theta, 1e22, 1e12)
    assert np.isfinite([counted[0], tokens[0]]).all() and np.isnan([counted[1], tokens[1]]).all()


def test_n_and_t_with_inference_have_intervals_and_a_near_set() -> None:
    fitted, cost = small_fit(CHINCHILLA), Cost(inference_tokens=1e12)
    made = plan(1e22, fitted, cost=cost)
    each = [plan(1e22, CHINCHILLA.of_theta(("N", "T"), theta), cost=cost) for theta in fitted.theta_draws]
    assert made.intervals is not None and made.near_optimal is not None and made.loss is not None
    for name in ("params", "tokens"):
        values = np.array([getattr(one, name) for one in each])
        expected = interval(values, getattr(made, name), level=fitted.level)
        assert made.intervals[name] == pytest.approx(expected, rel=1e-9)
    for member in made.near_optimal.members:
        n = params(Shape.parse(member.shape))
        assert 6 * n * member.tokens + 2 * n * 1e12 == pytest.approx(1e22)
        assert member.loss == pytest.approx(float(CHINCHILLA.loss(np.array([n, member.tokens]))))


def test_a_law_in_n_and_t_is_given_shapes_of_ordinary_aspect_ratio_for_device_hours() -> None:
    ordinary = [s for s in every_shape() if 256 / 80 <= s.aspect_ratio <= 2560 / 8]

    def loss(shape: Shape) -> float:
        return loss_of(("N", "T"), BY_PARAMS.theta, shape, tokens_of(shape, 60.0, HOURS))

    made = plan(60.0, small_fit(BY_PARAMS), cost=HOURS, constraints=SMALL, near=0.01, everything=True)
    assert str(made.shape) == str(min(ordinary, key=loss)) and made.shape is not None
    assert made.relaxed is None and "relaxed" not in made.intervals_note
    assert any("sees no shapes" in note for note in made.notes)
    assert made.near_optimal is not None and made.intervals is not None
    near = {str(s) for s in ordinary if loss(s) <= loss(made.shape) * 1.01}
    assert {m.shape for m in made.near_optimal.members} == near
    assert made.intervals["aspect_ratio"][1] <= 320
    # Its runs were counted as 6·N·T, and so are the FLOPs of the plan beside it.
    beside = flop_optimal(made, BY_PARAMS, constraints=SMALL)
    assert beside.flop_optimal is not None
    assert beside.flop_optimal.budget == pytest.approx(6 * made.params * made.tokens)
    assert beside.flop_optimal.shape is None and beside.device_hours_ratio is None
    assert "no shape" in beside.note and beside.summary()["device_hours"] is None
    tiny = msgspec.structs.replace(BY_PARAMS, fitted=FittedRange(flops=(1e15, 1e16)))
    beyond = plan(60.0, tiny, cost=HOURS, constraints=SMALL).extrapolation.flops_decades
    assert beyond == pytest.approx(math.log10(6 * made.params * made.tokens / 1e16))


# ---------------------------------------------------------------- edges and errors


def test_large_budgets() -> None:
    made = plan(1e7, refit("gemstones-refit-plain").law, cost=HOURS, force=True)
    assert made.shape is not None and made.shape.width > 20_000
    with pytest.raises(EdgeOfSearch, match="for 1B device hours lies on the edge of the search, width 65536"):
        plan(1e9, refit("gemstones-refit-plain").law, cost=HOURS, force=True)
    for budget in (1e18, 1e20):
        with pytest.raises(EdgeOfSearch):
            plan(budget, refit("gemstones-refit-plain"), cost=HOURS, force=True)
    most = plan(1e40, CHINCHILLA, cost=Cost(inference_tokens=1e13), force=True)
    assert most.params == pytest.approx(plan(1e40, CHINCHILLA, force=True).params, rel=1e-6)


def test_an_edge_beside_the_plan_is_said_and_not_an_error() -> None:
    # Deep enough for the hours, not for the FLOPs.
    constraints = Constraints(width_max=65536, depth_min=1, depth_max=64, width_multiple=256)
    made = plan(1e5, refit("gemstones-refit-plain").law, cost=HOURS, constraints=constraints)
    beside = flop_optimal(made, refit("gemstones-refit-plain").law, constraints=constraints)
    assert beside.flop_optimal is None and "depth 64 (the largest)" in beside.note
    assert beside.summary() == {"shape": None, "note": beside.note}


def test_inference_that_takes_the_whole_budget_is_one_line() -> None:
    for law, budget, cost in (
        (WIDTH_DEPTH, 1e20, Cost(inference_tokens=1e13)),
        (CHINCHILLA, 1e20, Cost(inference_tokens=1e13)),
        (WIDTH_DEPTH, 1e3, Cost(step_time=gemstones_step_time(), inference_tokens=1e13)),
        (CHINCHILLA, 1e3, Cost(step_time=gemstones_step_time(), inference_tokens=1e13)),
    ):
        unit = "FLOPs" if cost.resource == "flops" else "device hours"
        rule = rf"inference on 10T tokens alone takes more than \S+ {unit} for every shape searched: raise"
        with pytest.raises(InvalidRequest, match=rule) as caught:
            plan(budget, law, cost=cost)
        assert "\n" not in str(caught.value) and caught.value.exit_status == 2


def test_requests_without_meaning() -> None:
    kaplan = LAWS["kaplan"]
    assert isinstance(kaplan, FrontierLaw)
    for cost, what in ((HOURS, "device hours"), (Cost(inference_tokens=1e9), "inference")):
        with pytest.raises(InvalidRequest, match=f"law kaplan .* cannot weigh {what}"):
            plan(1e12, kaplan, cost=cost)
    for tokens in (-1.0, math.inf, math.nan):
        with pytest.raises(InvalidQuantity, match="inference tokens"):
            Cost(inference_tokens=tokens)
    with pytest.raises(InvalidQuantity, match="device hours"):
        plan(0.0, WIDTH_DEPTH, cost=HOURS)
    with pytest.raises(InvalidRequest, match="count them as 6N_total"):
        plan(1e22, CHINCHILLA, cost=Cost("matmul"))
    flat = Constraints(width_min=4096, width_max=8192, depth_min=1, depth_max=4)
    with pytest.raises(InvalidRequest, match=r"no shape searched has width/depth 3.2 to 320"):
        plan(1e4, CHINCHILLA, cost=HOURS, constraints=flat)
    assert plan(1e22, CHINCHILLA, cost=Cost("6N_total")) == plan(1e22, CHINCHILLA)


def test_models_that_were_not_timed_are_told_apart() -> None:
    assert (
        default_throughput(refit("gemstones-refit-plain"))
        == gemstones_step_time()
        == default_throughput(WIDTH_DEPTH)
    )
    assumed = msgspec.structs.replace(
        refit("gemstones-refit-plain"), models_assumed=("vocabulary 50,304 assumed",)
    )
    others = msgspec.structs.replace(WIDTH_DEPTH, models=Models(vocabulary=32_000))
    assert default_throughput(assumed) is default_throughput(others) is None
    assert default_throughput(LAWS["kaplan"]) is None
    assert any("other models" in note for note in plan(1e4, others, cost=HOURS).notes)
    assert not any("other models" in note for note in plan(1e4, WIDTH_DEPTH, cost=HOURS).notes)


@pytest.mark.long
def test_laws_plan() -> None:
    for law in (refit("gemstones-refit-plain"), WIDTH_DEPTH, CHINCHILLA, LAWS["kaplan"]):
        assert law.plan(1e22) == plan(1e22, law) == law.plan("1e22")
    made = refit("gemstones-refit-plain").plan(1e5, cost=HOURS, near=0.01)
    assert made == plan(1e5, refit("gemstones-refit-plain"), cost=HOURS, near=0.01)
    assert repr(made).startswith("<Plan 100K device hours by fit [w,d,N,T]: 7936x60, 57.5B [")
    assert FLOPS.resource == "flops"
    assert "FLOPs (6·N·T, N_non_embedding) by kaplan" in repr(LAWS["kaplan"].plan(1e22))


def test_the_documentation_says_how_much_longer_the_best_for_the_flops_takes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "device-hours.md").read_text("utf-8")
    (sentence,) = re.findall(r"takes\s+(\d+%.*?)\.\s+A\s+plan\s+for\s+FLOPs", page, re.DOTALL)
    said = {float(hours): int(more) for more, hours in re.findall(r"(\d+)%.*?at (1e\d)", sentence)}
    assert [*said] == [1e3, 1e4, 1e5, 1e6]
    for hours, more in said.items():
        ratio = flop_optimal(plan(hours, refit().law, cost=HOURS), refit().law).device_hours_ratio
        assert ratio is not None and round(100 * (ratio - 1)) == more
