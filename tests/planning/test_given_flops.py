"""Plans in the FLOPs that the runs gave: the budget is met in these, and the best is the best on their line."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import gemstones as gs
from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.analyses.sensitivity.prescribe import prescribe_law
from gemstones.laws.flops_model import FlopsModel, learned_flops
from gemstones.laws.law import FittedRange, Law
from gemstones.laws.published import LAWS, refit
from gemstones.planning.cost import Cost
from gemstones.planning.defaults import default_constraints
from gemstones.planning.flop_optimal import flop_optimal
from gemstones.planning.plan import plan
from gemstones.shape import FloatArray, Shapes
from tests.laws.test_flops_model import SIZES, by_shape, by_size, shapes, with_context

BUDGET = 1e21
N_T = Law(("N", "T"), (0.34, 0.28), (6.0, 6.0), 0.5, name="planted", fitted=FittedRange(flops=(1e18, 1e21)))
WIDTH_DEPTH = LAWS["gemstones-width-depth"]
HALVES = 0.5 * 6 * params(shapes())
HALF = FlopsModel("params", (3.0, 1.0), 0.0)
POWER = FlopsModel("params", (2.0, 1.05), 0.02)


def with_flops(law: Law, flops: FlopsModel | None) -> Law:
    return msgspec.structs.replace(law, flops=flops)


@pytest.mark.parametrize("flops", [HALF, POWER])
@pytest.mark.parametrize("inference", [0.0, 1e12])
def test_a_law_in_n_and_t_has_its_best_on_the_line_of_its_own_flops(
    flops: FlopsModel, inference: float
) -> None:
    made = plan(BUDGET, with_flops(N_T, flops), cost=Cost(inference_tokens=inference))
    per_token = float(flops.of_params(made.params))
    assert per_token * (made.tokens + inference / 3) == pytest.approx(BUDGET)
    assert made.flops == pytest.approx(per_token * made.tokens)
    assert made.inference_flops == pytest.approx(per_token * inference / 3)
    assert made.flops_convention == flops.convention
    for factor in (0.97, 1.03):  # beside it on the line, loss is higher
        counted = made.params * factor
        tokens = BUDGET / float(flops.of_params(counted)) - inference / 3
        assert made.loss is not None and float(N_T.loss(np.array([counted, tokens]))) > made.loss


def test_half_the_flops_are_twice_the_budget() -> None:
    own, usual = plan(BUDGET, with_flops(N_T, HALF)), plan(2 * BUDGET, N_T)
    assert (own.params, own.tokens) == (pytest.approx(usual.params), pytest.approx(usual.tokens))
    as_asked = plan(BUDGET, with_flops(N_T, HALF), cost=Cost("6N_total"))
    assert as_asked.summary() == plan(BUDGET, N_T, cost=Cost("6N_total")).summary()


def test_six_n_learned_is_six_n() -> None:
    six = with_flops(N_T, FlopsModel("params", (6.0, 1.0), 0.0))
    own, usual = plan(BUDGET, six), plan(BUDGET, N_T)
    assert (own.params, own.tokens, own.loss, own.flops) == (
        usual.params,
        usual.tokens,
        usual.loss,
        usual.flops,
    )


def test_overtraining_spends_the_budget_in_its_own_flops() -> None:
    found = overtrain(BUDGET, with_flops(N_T, POWER), [0.25, 1, 4])
    for point in found.points:
        assert point.params is not None
        assert float(POWER.of_params(point.params)) * point.tokens == pytest.approx(BUDGET)
    increases = [point.loss_increase for point in found.points]
    assert increases[1] == pytest.approx(0, abs=1e-12) and min(increases[0] or 0, increases[2] or 0) > 0


def test_a_fit_to_runs_with_half_the_flops_plans_in_them() -> None:
    made = gs.fit(by_size(3.0 * SIZES), "N,T", bootstrap=40)
    planned = made.plan(1e20)
    assert 3.0 * planned.params * planned.tokens == pytest.approx(1e20)
    assert planned.flops_convention == "given (learned from the runs: 0.5·6N, exact)"
    assert planned.flops_convention in repr(planned)
    assert planned.extrapolation.flops_decades == pytest.approx(
        np.log10(1e20 / (3 * 3e9 * 32e9)), abs=1e-6
    ) or (planned.extrapolation.flops_decades == 0)
    ends = planned.intervals
    assert ends is not None and ends["params"][0] <= planned.params <= ends["params"][1]


@pytest.mark.parametrize("per_token", [HALVES, 0.83 * with_context(8192)], ids=["half", "context"])
def test_a_law_of_shapes_meets_the_budget_in_the_tables_own_flops(per_token: FloatArray) -> None:
    """Against a search by hand over the true FLOPs of every feasible shape."""
    model = learned_flops(by_shape(per_token), ("w", "d", "N", "T"), "total")
    law = with_flops(WIDTH_DEPTH, model)
    planned = plan(1e20, law)
    assert planned.shape is not None and model is not None
    assert planned.flops_convention == model.convention

    def true(of: Shapes) -> FloatArray:
        if per_token is HALVES:
            return 3.0 * params(of)
        return 0.83 * flops_per_token(replace(of, context=8192), "matmul")

    one = Shapes.of(planned.shape.width, planned.shape.depth)
    assert float(true(one)) * planned.tokens == pytest.approx(1e20, rel=2e-3)
    column, row = default_constraints(law).grid()
    grid = Shapes.of(column, row)
    tokens = 1e20 / true(grid)
    columns = [np.broadcast_to(x, tokens.shape) for x in (column, row, params(grid), tokens)]
    loss = law.loss(np.stack(columns, axis=-1))
    i, j = np.unravel_index(int(loss.argmin()), loss.shape)
    assert (planned.shape.width, planned.shape.depth) == (int(column[i, 0]), int(row[0, j]))
    assert planned.loss == pytest.approx(float(loss.min()), rel=1e-4)


def test_prescriptions_of_a_study_count_by_it_too() -> None:
    model = learned_flops(by_shape(HALVES), ("w", "d", "N", "T"), "total")
    assert model is not None
    made = msgspec.structs.replace(
        refit("gemstones-refit-plain"), drawn=refit("gemstones-refit-plain").drawn[:5]
    )
    (own,), (usual,) = (prescribe_law(made, [one], [at]) for one, at in (
        (("total", model), 1e20), (("total", "6N_total"), 2e20),
    ))  # fmt: skip
    np.testing.assert_array_equal(own.w_opt, usual.w_opt)
    np.testing.assert_allclose(own.t_opt, usual.t_opt, rtol=1e-3)


def test_device_hours_and_the_plan_beside_them_count_alike() -> None:
    law = with_flops(N_T, HALF)
    in_hours = plan(1e5, law, cost=Cost(step_time=gs.gemstones_step_time()), force=True)
    assert in_hours.flops == pytest.approx(3.0 * in_hours.params * in_hours.tokens)
    beside = flop_optimal(in_hours, law)
    assert beside.flop_optimal is not None
    assert beside.flop_optimal.flops_convention == HALF.convention
    assert 3.0 * beside.flop_optimal.params * beside.flop_optimal.tokens == pytest.approx(in_hours.flops)


def test_sensitivity_counts_first_as_the_runs_do() -> None:
    table = by_size(3.0 * SIZES)
    found = gs.sensitivity(table, [1e20], levels=gs.Levels(laws=("N,T",), params=("total",)), bootstrap=0)
    of = {
        study.choices.flops_convention: study.prescribed.n_opt[0, 0]
        for study in found.studies
        if study.choices.approach == "approach3" and study.choices.delta == 1e-4
    }
    assert found.base.choices.flops_convention == "given"
    assert of["given"] == pytest.approx(gs.fit(table, "N,T").plan(1e20).params)
    assert of["6N"] == pytest.approx(gs.fit(table, "N,T").plan(1e20, cost=Cost("6N_total")).params)
    lines = {s.choices.flops_convention for s in found.studies if s.choices.approach == "hull"}
    assert lines == {"given", "6N"}


@pytest.mark.long
def test_sensitivity_of_usual_tables_has_no_such_level(pebbles: gs.RunTable) -> None:
    found = gs.sensitivity(pebbles, [1e14], levels=gs.Levels(laws=("N,T",)), selections=["all"], bootstrap=0)
    assert "given" not in {study.choices.flops_convention for study in found.studies}
    asked = gs.Levels(flops=("given",), laws=("N,T",))
    with pytest.raises(gs.UserError, match="the runs give no FLOPs of their own"):
        gs.sensitivity(pebbles, [1e14], levels=asked, selections=["all"], bootstrap=0)
