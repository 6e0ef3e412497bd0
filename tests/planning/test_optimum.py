"""The one optimum: of every form of law, against minima found by other means."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.design.feasible import Constraints
from gemstones.errors import InvalidRequest
from gemstones.laws.fit import Fit
from gemstones.laws.law import FittedRange, Law
from gemstones.laws.parse_form import parse_form
from gemstones.laws.published import LAWS, published
from gemstones.planning.cost import Cost
from gemstones.planning.optimum import size_optima
from gemstones.planning.plan import plan
from gemstones.planning.surface import EVERYWHERE, Surface
from gemstones.shape import Shapes

CHINCHILLA, WIDTH_DEPTH = LAWS["chinchilla"], LAWS["gemstones-width-depth"]
SMALL = Constraints(width_max=4096, depth_min=1, depth_max=100, width_multiple=256)


def law(text: str, **constants: float) -> Law:
    """A formula with constants by name."""
    form = parse_form(text)
    theta = [np.log(constants[e.name]) if e.parameter.positive else constants[e.name] for e in form.entries]
    return Law.of_theta(form, np.array(theta), name="planted", fitted=FittedRange(flops=(1e18, 1e22)))


SIZE_LAWS = [
    law("(A/N^a + B/T^b)^p + E", A=3e3, B=2e4, a=0.6, b=0.7, p=0.4, E=1.1),
    law("E + A/N^a + B/T^b + C/(N^c*T^d)", A=400, B=2000, C=5e4, a=0.35, b=0.36, c=0.3, d=0.3, E=1.7),
    law("E + A/T^a + B/N^b", A=2000, B=400, a=0.37, b=0.35, E=1.7),
    law("E + A/N^a + B/T^a", A=400, B=900, a=0.33, E=1.7),
    # As fitted to Chinchilla's runs: beyond N of 1e13 it falls again, below the minimum that is meant.
    law(
        "E + A/N^a + B*(N/1e9)^m/T^(b + g*log(N/1e9))",
        A=63.3, B=3337, a=0.2036, b=0.3889, g=-0.05172, m=-1.042, E=1.266,
    ),
]  # fmt: skip


@pytest.mark.parametrize("planted", SIZE_LAWS, ids=lambda one: one.form)
@pytest.mark.parametrize("inference", [0.0, 1e12])
def test_laws_of_sizes_have_the_minimum_in_one_dimension(planted: Law, inference: float) -> None:
    budget = 1e22
    counted, tokens = size_optima(planted, planted.theta[None], budget, inference)

    def loss(log_tokens: float) -> float:
        n = budget / (6 * np.exp(log_tokens) + 2 * inference)
        return float(planted.loss(N=n, T=np.exp(log_tokens)))

    found = scipy.optimize.minimize_scalar(
        loss, bounds=(np.log(1e9), np.log(1e14)), method="bounded", options={"xatol": 1e-10}
    )
    assert tokens[0] == pytest.approx(np.exp(found.x), rel=1e-4)
    assert counted[0] * (6 * tokens[0] + 2 * inference) == pytest.approx(budget, rel=1e-12)
    assert loss(float(np.log(tokens[0]))) <= found.fun * (1 + 1e-12)


def test_the_outer_exponent_does_not_move_the_optimum() -> None:
    assert isinstance(CHINCHILLA, Law)
    raised = Law.of_theta(parse_form("(N,T)^p"), np.array([*CHINCHILLA.theta, np.log(0.4)]))
    ours = size_optima(raised, raised.theta[None], 1e22)
    theirs = size_optima(CHINCHILLA, CHINCHILLA.theta[None], 1e22)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_law_that_does_not_fall_has_no_optimum() -> None:
    rising = law("(A/N^a + B/T^b)^p + E", A=3e3, B=2e4, a=-0.1, b=0.7, p=0.4, E=1.1)
    assert np.isnan(size_optima(rising, rising.theta[None], 1e22)).all()
    with pytest.raises(InvalidRequest, match="has no optimum"):
        plan(1e22, rising)


@pytest.mark.parametrize(
    "planted",
    [
        law(
            "(A/w^a + B/d^b + C/N^c + D/T^d1)^p + E",
            A=2, B=0.4, C=4e3, D=2e5, a=0.3, b=0.6, c=0.6, d1=0.7, p=0.4, E=1.0,
        ),
        law(
            "E + A/(w^a*d^b) + G/(w^g*T^h) + B/T^c + H/w^k",
            A=3, B=2e4, G=40, H=8, a=0.2, b=0.6, c=0.5, g=0.1, h=0.2, k=0.5, E=1.6,
        ),
    ],
    ids=["outer", "products"],
)  # fmt: skip
def test_laws_of_shapes_have_the_least_loss_of_all_shapes(planted: Law) -> None:
    budget = 1e20
    found = plan(budget, planted, constraints=SMALL)
    column, row = SMALL.grid()
    shapes = Shapes.of(column, row, SMALL.template)
    tokens = budget / flops_per_token(shapes)
    columns = {"w": shapes.width, "d": shapes.depth, "N": params(shapes), "T": tokens}
    loss = planted.loss(**{s: np.broadcast_to(columns[s], tokens.shape) for s in planted.symbols})
    i, j = np.unravel_index(int(loss.argmin()), loss.shape)
    assert found.shape is not None and found.loss == pytest.approx(float(loss[i, j]), rel=1e-12)
    assert (found.shape.width, found.shape.depth) == (column[i, 0], row[0, j])
    more = overtrain(budget, planted, [4.0], constraints=SMALL).points[0]
    enough = tokens >= 4 * found.tokens
    fixed = planted.loss(
        **{s: np.broadcast_to({**columns, "T": 4 * found.tokens}[s], tokens.shape) for s in planted.symbols}
    )
    assert more.loss == pytest.approx(float(np.where(enough, fixed, np.inf).min()), rel=1e-12)


@pytest.mark.parametrize("text", ["w,d,N,T", "(w,d,F,T)^p", "w,d,T", "E + A/w^a + B/d^b + C/N^c + D/T^c"])
@pytest.mark.parametrize("inference", [0.0, 1e12])
def test_blocks_that_are_passed_over_do_not_hold_the_optimum(text: str, inference: float) -> None:
    rng = np.random.default_rng(0)
    form = parse_form(text)
    some = Constraints(width_max=6144, depth_min=1, depth_max=90, width_multiple=128)
    passed_over = 0
    for case in range(60):
        theta = np.array([
            rng.uniform(-0.3 if case % 3 == 0 else 0.0, 0.9) if e.kind == "exponent"
            else rng.uniform(-1.0, 9.0) if e.kind == "coefficient" else 0.0
            for e in form.entries
        ])  # fmt: skip
        one = Law.of_theta(form, theta, name="planted", fitted=FittedRange(flops=(1e18, 1e22)))
        ratios = (10.0, 200.0) if case % 4 == 1 else None
        surface = Surface.searched(one, some, Cost(inference_tokens=inference), ratios)
        budget = 10.0 ** rng.uniform(18, 25)
        everywhere = surface.sum(theta, budget, EVERYWHERE, EVERYWHERE)
        least = np.unravel_index(int(everywhere.argmin()), everywhere.shape)
        np.testing.assert_array_equal(surface.least_of_all(theta, budget), least)
        bounds = None if surface.blocks is None else surface.blocks.bounds(one, theta, budget)
        if bounds is not None:
            passed_over += float((bounds <= everywhere.min()).mean()) < 0.5
    assert passed_over > 20  # else the test says nothing of passing over


def test_members_say_in_how_many_draws_they_are_near_optimal() -> None:
    refit = published("gemstones-refit")
    assert isinstance(refit, Fit)
    found = plan(1e22, refit)
    near = found.near_optimal
    assert near is not None and near.members[0].share is not None
    shares = [member.share for member in near.members]
    assert shares == sorted(shares, reverse=True)
    member, template = near.members[3], refit.law.models.template()
    column, row = Constraints(
        width_max=65_536, depth_min=1, depth_max=1024, width_multiple=256, template=template
    ).grid()
    shapes = Shapes.of(column, row, template)
    columns = [
        np.log(x) for x in (shapes.width, shapes.depth, params(shapes), 1e22 / flops_per_token(shapes))
    ]
    agreed = []
    for theta in refit.theta_draws[::8]:
        loss = np.exp(refit.law.log_loss(columns, theta))
        i, j = int(np.searchsorted(column[:, 0], member.width)), int(np.searchsorted(row[0], member.depth))
        agreed.append(loss[i, j] <= loss.min() * 1.005)
    assert member.share == pytest.approx(np.mean(agreed), abs=0.12)  # 50 of the 400 draws


def test_what_chinchilla_would_train_stands_beside_a_plan() -> None:
    found = plan(1e22, WIDTH_DEPTH)
    (other,) = found.compared
    theirs = plan(1e22, "chinchilla-epoch")
    assert (other.law, other.params_total, other.tokens) == ("chinchilla-epoch", theirs.params, theirs.tokens)
    assert other.loss_increase is not None and 0 < other.loss_increase < 0.05
    assert theirs.compared == ()


def test_reach() -> None:
    assert [plan(budget, WIDTH_DEPTH).extrapolation.reach for budget in (1e21, 2e22, 1e24)] == [
        "within",
        "near",
        "far",
    ]
    with pytest.raises(InvalidRequest, match=r"1e27 FLOPs is 5\.4 decades of FLOPs beyond .*force"):
        plan(1e27, "gemstones")
    assert plan(1e27, "gemstones", force=True).extrapolation.reach == "far"
    assert plan(1e22, "kaplan").extrapolation.reach is None


def test_a_law_with_groups_is_planned_for_one_of_them() -> None:
    form = parse_form("E + A[recipe]/N^a + B/T^b")
    form = type(form)(form.text, form.bounds, (("recipe", ("adam", "muon")),))
    theta = np.array([0.34, 0.28, np.log(406.4), np.log(300.0), np.log(410.7), np.log(1.69)])
    grouped = Law.of_theta(form, theta, name="grouped")
    with pytest.raises(InvalidRequest, match=r"of=\{'NAME': 'VALUE'\}"):
        plan(1e22, grouped)
    with pytest.raises(InvalidRequest, match="has no group optimizer: it differs by recipe"):
        plan(1e22, grouped, of={"optimizer": "muon"})
    adam, muon = (plan(1e22, grouped, of={"recipe": recipe}) for recipe in ("adam", "muon"))
    assert isinstance(CHINCHILLA, Law)
    assert adam.params == pytest.approx(plan(1e22, CHINCHILLA).params, rel=1e-9)
    assert muon.params < adam.params
