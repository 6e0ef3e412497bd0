"""Prescriptions: the shapes of paper.md §5, the exact optimum against brute force, the edges."""

import dataclasses
import math

import msgspec
import numpy as np
import pytest
import scipy.optimize

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.feasible import Constraints
from gemstones.errors import EdgeOfSearch, InvalidQuantity, InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.fitting import fit
from gemstones.laws.law import FittedRange, Law, Models
from gemstones.laws.parse_form import parse_form
from gemstones.laws.published import LAWS, published
from gemstones.planning.defaults import default_constraints
from gemstones.planning.near import _spread, connected
from gemstones.planning.plan import curve_point, plan
from gemstones.planning.surface import Surface
from gemstones.runs import RunTable
from gemstones.shape import Shape, Shapes

WIDTH_DEPTH, CHINCHILLA = LAWS["gemstones-width-depth"], LAWS["chinchilla"]
assert isinstance(CHINCHILLA, Law)
assert isinstance(WIDTH_DEPTH, Law)

PRESCRIBED = {
    1e18: "512x6", 1e19: "768x16", 1e20: "1536x25", 1e21: "2560x45", 1e22: "4864x66", 1e23: "9728x93",
    1e24: "19712x133",
}  # fmt: skip


@pytest.mark.parametrize("budget", PRESCRIBED)
def test_published_prescriptions(budget: float) -> None:
    made = plan(budget, WIDTH_DEPTH)
    assert str(made.shape) == PRESCRIBED[budget]
    assert made.shape is not None
    assert made.tokens * flops_per_token(made.shape) == pytest.approx(budget)
    if budget == 1e22:
        assert made.tokens_per_param == pytest.approx(2.8, abs=0.05)


def loss_of(law: Law, shape: Shape, tokens: float) -> float:
    """Written out, one shape at a time."""
    value = {"w": shape.width, "d": shape.depth, "N": params(shape, law.params_convention), "T": tokens}
    total = math.exp(law.log_irreducible)
    for term, e, c in zip(law.terms, law.exponents, law.log_coefficients, strict=True):
        total += math.exp(c) * value[term] ** -e
    return total


SMALL = Constraints(width_max=2048, depth_min=1, depth_max=60, width_multiple=256)


@pytest.mark.parametrize("terms", ["w,d,N,T", "T,N,d,w", "w,d,T"])
def test_the_optimum_and_the_near_set_are_those_of_brute_force(terms: str) -> None:
    order = [WIDTH_DEPTH.terms.index(t) for t in terms.split(",")]
    law = Law(
        tuple(terms.split(",")),
        tuple(WIDTH_DEPTH.exponents[i] for i in order),
        tuple(WIDTH_DEPTH.log_coefficients[i] for i in order),
        0.43,
    )
    budget = 3e19
    every = {
        str(shape): loss_of(law, shape, budget / flops_per_token(shape))
        for w in range(256, 2049, 256)
        for d in range(1, 61)
        for shape in (Shape(w, d),)
    }
    best = min(every, key=every.__getitem__)
    made = plan(budget, law, constraints=SMALL, near=0.004, everything=True)
    assert str(made.shape) == best and made.loss == pytest.approx(every[best])
    near = {name: loss for name, loss in every.items() if loss <= every[best] * 1.004}
    assert made.near_optimal is not None
    assert {m.shape for m in made.near_optimal.members} == near.keys()
    assert made.near_optimal.count == len(near)
    for member in made.near_optimal.members:
        assert member.loss == pytest.approx(near[member.shape])
        assert member.loss_increase == pytest.approx(near[member.shape] / every[best] - 1, abs=1e-12)
    widths = [int(name.split("x")[0]) for name in near]
    assert made.near_optimal.width == (min(widths), max(widths))


def test_members_are_spread_and_at_most_fifty() -> None:
    made = plan(1e24, WIDTH_DEPTH)
    assert made.near_optimal is not None
    members, near = made.near_optimal.members, made.near_optimal
    assert len(members) == 50 < near.count
    assert members[0].shape == str(made.shape)
    assert min(m.width for m in members) <= near.width[0] * 1.1
    assert max(m.width for m in members) >= near.width[1] / 1.1
    assert list(_spread(np.arange(200.0), np.zeros(200), 3)) == [0, 99, 199]


def test_the_relaxed_optimum_is_a_minimum_over_reals() -> None:
    made = plan(1e22, WIDTH_DEPTH)
    assert made.relaxed is not None and made.loss is not None
    assert made.relaxed["loss"] <= made.loss
    assert made.relaxed["width"] == pytest.approx(4864, rel=0.05)

    def loss(log_wd: np.ndarray) -> float:
        w, d = np.exp(log_wd)
        shapes = Shapes.of(w, d)
        columns = [w, d, float(params(shapes)), 1e22 / float(flops_per_token(shapes))]
        return float(WIDTH_DEPTH.loss(np.array(columns)))

    found = scipy.optimize.minimize(loss, np.log([5000, 60]), method="Nelder-Mead", options={"xatol": 1e-8})
    np.testing.assert_allclose(np.exp(found.x), [made.relaxed["width"], made.relaxed["depth"]], rtol=1e-3)


def test_an_optimum_on_the_edge_is_an_error_that_names_it() -> None:
    for budget, constraints, edge in (
        (1e30, None, "width 65536 .the largest.: allow wider models .constraints=Constraints.width_max"),
        (1e14, None, "width 256 .the smallest.: allow narrower"),
        (
            1e22,
            Constraints(width_max=65536, depth_min=1, depth_max=40, width_multiple=256),
            "depth 40 .the largest",
        ),
        (1e22, Constraints(width_max=4096, depth_min=1, depth_max=1024, width_multiple=256), "width 4096"),
        (
            1e22,
            Constraints(width_max=65536, depth_min=80, depth_max=1024, width_multiple=256),
            "depth 80 .the smal",
        ),
    ):
        with pytest.raises(EdgeOfSearch, match=edge) as caught:
            plan(budget, WIDTH_DEPTH, constraints=constraints, force=True)
        assert caught.value.exit_status == 2 and "\n" not in str(caught.value)


def test_hoffmanns_closed_form_is_the_optimum() -> None:
    for name in ("chinchilla", "chinchilla-unrounded", "chinchilla-epoch", "gemstones"):
        law = LAWS[name]
        assert isinstance(law, Law)
        made = plan(1e22, law)
        assert made.shape is None and made.flops_convention == "6N_total"
        assert 6 * made.params * made.tokens == pytest.approx(1e22)

        def loss(log_n: float, law: Law = law) -> float:
            n = math.exp(log_n)
            return float(law.loss(np.array([n, 1e22 / (6 * n)])))

        found = scipy.optimize.minimize_scalar(
            loss, bounds=(15, 35), method="bounded", options={"xatol": 1e-10}
        )
        assert math.log(made.params) == pytest.approx(found.x, abs=1e-5)
        assert made.loss == pytest.approx(found.fun)
        assert made.intervals is None and "no interval" in made.intervals_note
        assert [abs(params(s) / made.params - 1) < 0.05 for s in made.nearest_shapes] == [True] * 10


def test_terms_in_another_order_plan_the_same(gemstones: RunTable) -> None:
    table = gemstones.select("le100B")
    one, two = (plan(1e21, fit(table, law, bootstrap=40)) for law in ("N,T", "T,N"))
    assert one.params == pytest.approx(two.params, rel=1e-6)
    assert one.intervals is not None and two.intervals is not None
    assert one.intervals["tokens"] == pytest.approx(two.intervals["tokens"], rel=0.02)


def test_kaplan_has_no_loss() -> None:
    made = plan(1e22, LAWS["kaplan"])
    assert made.loss is None and made.near_optimal is None and made.params_total is None
    assert made.params_convention == "non_embedding"
    assert made.params == pytest.approx(1.6e9 * (1e22 / 8.64e19) ** 0.88)
    assert 6 * made.params * made.tokens == pytest.approx(1e22)
    # The FLOPs of its runs are not known: there is always something to say all the same.
    assert plan(1e18, LAWS["kaplan"]).extrapolation.sentence().startswith("within the fitted runs, as far")


def test_draws_give_the_exact_optimum_of_each() -> None:
    """The two passes of `minimise` against the minimum over every shape."""
    refit = published("gemstones-refit-plain")
    assert isinstance(refit, Fit)
    constraints = default_constraints(refit.law)
    column, row = constraints.grid()
    surface = Surface.of(refit.law, column[:, 0], row[0], constraints)
    draws = refit.theta_draws[::2]
    at = surface.minimise(draws, 1e22)
    assert len({tuple(one) for one in at}) > 10  # they are not all the same
    for theta, (i, j) in zip(draws, at, strict=True):
        everywhere = surface.loss(theta, 1e22, slice(None), slice(None))
        assert everywhere[i, j] == everywhere.min()
    assert surface.minimise(draws[:0], 1e22).shape == (0, 2)


@pytest.mark.parametrize("name", ["gemstones-refit", "chinchilla", "kaplan"])
def test_a_point_of_a_curve_is_the_plan_without_what_stands_beside_it(name: str) -> None:
    law = published(name)
    of_curve, whole = curve_point(1e21, law, name), plan(1e21, law, name=name)
    beside = {"near_optimal": None, "nearest_shapes": (), "compared": (), "as_good": None}
    assert of_curve == dataclasses.replace(whole, **beside)
    assert whole != of_curve


def test_a_steep_draw_overflows_nothing() -> None:
    constraints = Constraints(depth_min=1, template=Shape(32, 1, head_size=16, vocabulary=1024))
    column, row = constraints.grid()
    surface = Surface.of(CHINCHILLA, column[:, 0], row[0], constraints)
    # N's term is 1 at 10^6 parameters, and about e^1000 at 40 thousand.
    steep = np.array([300.0, 0.3, 300.0 * np.log(1e6), 3.0, 0.0])
    loss = surface.loss(steep, 1e13, slice(None), slice(None))
    assert np.isfinite(loss).all() and loss.max() > 1e200
    ((i, j),) = surface.minimise(steep[None], 1e13)
    assert loss[i, j] == loss.min() < 100


def test_the_refits_plan_has_intervals_around_it() -> None:
    refit = published("gemstones-refit-plain")
    made = plan(1e22, refit)
    assert made.intervals is not None and "400 resamples by run" in made.intervals_note
    assert made.shape is not None and made.params_total is not None
    for name, value in (
        ("width", made.shape.width),
        ("depth", made.shape.depth),
        ("params_total", made.params_total),
        ("tokens", made.tokens),
        ("tokens_per_param", made.tokens_per_param),
        ("loss", made.loss),
    ):
        low, high = made.intervals[name]
        assert value is not None and low <= value <= high and low < high


def test_extrapolation() -> None:
    inside, beyond = plan(1e20, WIDTH_DEPTH), plan(1e24, WIDTH_DEPTH)
    assert inside.extrapolation.flops_decades == 0 and inside.extrapolation.params_ratio == 1
    assert "within" in inside.extrapolation.sentence()
    assert beyond.extrapolation.flops_decades == pytest.approx(math.log10(1e24 / 4.46717e21), abs=1e-4)
    assert beyond.extrapolation.params_ratio == pytest.approx(beyond.params / 2_007_837_696)
    assert "2.3 decades of FLOPs beyond" in beyond.extrapolation.sentence()
    assert plan(1e17, LAWS["chinchilla"]).extrapolation.flops_decades == pytest.approx(-1.1453, abs=1e-3)


def test_a_dimension_that_was_chosen_is_no_edge() -> None:
    fixed = Constraints(width_min=4096, width_max=4096, depth_min=1, depth_max=1024, width_multiple=256)
    made = plan(1e22, WIDTH_DEPTH, constraints=fixed)
    assert made.shape is not None and made.shape.width == 4096 and 66 < made.shape.depth < 120


def test_extrapolation_counts_as_the_plan_does(gemstones: RunTable) -> None:
    table = gemstones.select("all")
    largest = float((6 * table.numbers("params_total") * table.numbers("tokens")).max())
    assert plan(10 * largest, fit(table)).extrapolation.flops_decades == pytest.approx(1.0)
    assert plan(10 * largest, LAWS["gemstones"]).extrapolation.flops_decades == pytest.approx(1.0)


@pytest.mark.parametrize("budget", [0, -1e20, float("nan"), float("inf")])
def test_budgets_are_positive(budget: float) -> None:
    for law in (WIDTH_DEPTH, LAWS["chinchilla"], LAWS["kaplan"]):
        with pytest.raises(InvalidQuantity, match="budget"):
            plan(budget, law)


def test_plans_count_with_the_models_that_were_fitted() -> None:
    law = msgspec.structs.replace(WIDTH_DEPTH, models=Models(head_size=16, vocabulary=2048, context=256))
    made = plan(1e16, law)
    assert made.shape is not None
    assert (made.shape.head_size, made.shape.vocabulary, made.shape.context) == (16, 2048, 256)
    assert made.shape.width % 32 == 0 and made.tokens * flops_per_token(made.shape) == pytest.approx(1e16)


def test_requests_without_meaning() -> None:
    with pytest.raises(InvalidRequest, match="cannot prescribe"):
        plan(1e20, Law(("N", "T", "batch"), (0.3,) * 3, (1.0,) * 3, 0.5))
    with pytest.raises(InvalidRequest, match="cannot prescribe"):
        plan(1e20, Law(("w", "d"), (0.3,) * 2, (1.0,) * 2, 0.5))
    with pytest.raises(InvalidRequest, match="has no optimum"):
        plan(1e20, Law(("N", "T"), (-0.1, 0.3), (1.0, 2.0), 0.5))
    with pytest.raises(InvalidRequest, match="near"):
        plan(1e20, WIDTH_DEPTH, near=1.0)


def test_near_sets_end_where_the_loss_falls_again() -> None:
    """A law whose exponents vary with N falls again, lower still, where no run is: as fitted to Chinchilla's runs."""
    form = parse_form("E + A/N^a + B*(N/1e9)^m/T^(b + g*log(N/1e9))")
    constants = {"A": 63.3, "B": 3337, "a": 0.2036, "b": 0.3889, "g": -0.05172, "m": -1.042, "E": 1.266}
    theta = [np.log(constants[e.name]) if e.parameter.positive else constants[e.name] for e in form.entries]
    law = Law.of_theta(form, np.array(theta), name="planted", fitted=FittedRange(flops=(1e18, 1e22)))
    sizes = np.geomspace(1e8, 1e15, 100_001)
    along = law.loss(N=sizes, T=1e22 / (6 * sizes))
    for tolerance in (0.005, 0.05, 0.5):
        made = plan(1e22, law, near=tolerance, everything=True)
        assert made.near_optimal is not None and made.loss is not None
        # By brute force: the sizes around the optimum up to where the loss is too high, or has its crest.
        start = int(np.abs(sizes - made.params).argmin())
        good = along <= made.loss * (1 + tolerance)
        crest = start + int(along[start : np.searchsorted(sizes, 1e13)].argmax())
        above = np.flatnonzero(~good[start:])
        high = sizes[min(start + above[0] if len(above) else len(sizes) - 1, crest)]
        below = np.flatnonzero(~good[:start])
        low = sizes[below[-1]] if len(below) else 0.0
        counted = [params(Shape.parse(member.shape)) for member in made.near_optimal.members]
        assert low * 0.98 <= min(counted) and max(counted) <= high * 1.02
        assert max(counted) >= high * 0.9
        assert all(member.loss_increase >= -1e-12 for member in made.near_optimal.members)
    # There are others as good by the law, far away: they are what is left out.
    far = sizes > 1e14
    assert (along[far] <= made.loss).any()


def test_what_is_near_hangs_together_across_widths_that_are_far_apart() -> None:
    widths, depths = np.array([256.0, 512.0, 768.0, 4096.0]), np.arange(2.0, 60.0)
    size = widths[:, None] ** 2 * depths
    near = (size > 512**2 * 8) & (size < 512**2 * 9.5) | (size > 4096**2 * 20)
    found = connected(widths, depths, near, int(np.ravel_multi_index((1, 7), near.shape)))
    expected = near & (size < 512**2 * 10)
    assert expected[:3].any(1).all()
    np.testing.assert_array_equal(found, expected)
