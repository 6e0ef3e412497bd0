"""Recipes compared: planted differences, equal recipes, few runs, and the same answer however it is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gemstones.analyses.compare import regression
from gemstones.analyses.compare.by import compare_by, ranks
from gemstones.analyses.compare.compare import compare
from gemstones.analyses.compare.decisive import would_decide
from gemstones.analyses.compare.optima import jacobian, optima
from gemstones.analyses.compare.pairs import pairs_of, thinned
from gemstones.analyses.compare.regression import Difference, cells
from gemstones.analyses.compare.result import Comparison
from gemstones.analyses.compare.rows import rows_of
from gemstones.errors import InvalidRequest
from gemstones.laws.fitting import fit
from gemstones.runs import RunTable, load
from gemstones.runs.given import selected_runs
from tests.analyses import planted

BUDGETS = (1e22, 1e23)


def of(effect: float, **options: object) -> Comparison:
    a, b = planted.suite(0.0, recipe="a"), planted.suite(effect, 1, recipe="b")
    return compare(a, b, budgets=BUDGETS, law="N,T", bootstrap=40, **options)  # type: ignore[arg-type]


def test_a_planted_difference_is_found_and_sure() -> None:
    made = of(-0.01)
    assert made.pairs == 6 and made.reason == ""
    for at in made.at:
        assert at.interval is not None and at.interval[0] < np.expm1(-0.01) < at.interval[1] < 0.003
    assert made.at[0].decided
    assert made.at[0].probability_lower is not None and made.at[0].probability_lower > 0.975
    assert made.at[0].multiplier is not None and made.at[0].multiplier > 1
    assert made.measured is not None and made.measured.difference == pytest.approx(np.expm1(-0.01), abs=1e-3)
    assert made.at[0].losses[1] / made.at[0].losses[0] - 1 == pytest.approx(made.at[0].difference)


def test_equal_recipes_are_not_decided() -> None:
    for at in of(0.0).at:
        assert at.decided is False and at.probability_lower is not None
        assert 0.05 < at.probability_lower < 0.95


@pytest.mark.long
def test_the_run_that_would_decide_does_so_as_often_as_is_said() -> None:
    """Its result drawn from the posterior, and the regression made again with it."""
    tables = (
        selected_runs(planted.suite(0.0, recipe="a")),
        selected_runs(planted.suite(-0.002, 1, recipe="b")),
    )
    fitted = fit(planted.suite(0.0, recipe="a"), "N,T")
    rows = rows_of(fitted, tables, pairs_of(*tables, "total"), "total")
    before = cells(rows)
    there = optima(fitted.law, fitted.law.theta[None], [1e22])[0]
    target = there.log_columns, np.stack([there.log_params, there.log_tokens], axis=1)
    slope = jacobian(fitted.law, target[0])
    values, _ = regression.sample(rows, before, slope, target[1], 4000, 0)
    low, high = (float(x) for x in np.quantile(values, [0.025, 0.975]))
    assert low < 0 < high
    found = would_decide(
        fitted.law, rows, before, target, fitted.law.theta[None][:0], (low, high), 0.95, 1e22
    )
    assert found is not None and 0.2 < found.probability < 0.999
    at = np.log([[found.params, found.tokens]])
    assert found.flops == pytest.approx(6 * found.params * found.tokens, rel=1e-6)
    new = jacobian(fitted.law, at)
    rng = np.random.default_rng(0)
    weights = np.exp([cell.log_weight for cell in before])
    decided = []
    for _ in range(60):
        cell = before[rng.choice(len(before), p=weights / weights.sum())]
        mean, variance = cell.predict(rows, new, at)
        noise = variance[0] + cell.noise**2 + rows.row_noise**2
        more = replace(
            rows,
            y=np.append(rows.y, mean[0] + np.sqrt(noise) * rng.standard_normal()),
            jacobian=np.vstack([rows.jacobian, new]),
            weight=np.append(rows.weight, 1.0),
            at=np.vstack([rows.at, at]),
            runs=np.append(rows.runs, rows.runs.max() + 1),
            inflated=None if rows.inflated is None else np.append(rows.inflated, 1.0),
        )
        after, _ = regression.sample(more, cells(more), slope, target[1], 1000, 0)
        ends = np.quantile(after, [0.025, 0.975])
        decided.append(bool(ends[0] > 0 or ends[1] < 0))
    assert np.mean(decided) == pytest.approx(found.probability, abs=0.2)


def test_what_is_not_decided_says_what_would_decide_it() -> None:
    at = of(0.0).at[0]
    assert at.decisive is not None and at.budget is not None and at.decisive.flops <= at.budget
    assert at.summary()["would_decide"]["flops"] == at.decisive.flops
    assert at.decisive.enough == (at.decisive.probability >= 0.8)
    sure = of(-0.01).at[0]
    assert sure.decisive is None and sure.summary()["would_decide"] is None


def test_swapping_the_recipes_turns_the_sign() -> None:
    a, b = planted.suite(0.0, recipe="a"), planted.suite(0.01, 1, recipe="b")
    one, other = (compare(*pair, budgets=[1e22], law="N,T", bootstrap=40).at[0] for pair in ((a, b), (b, a)))
    assert np.log1p(one.difference) == pytest.approx(-np.log1p(other.difference), abs=5e-4)
    assert one.probability_lower is not None and other.probability_lower is not None
    assert one.probability_lower + other.probability_lower == pytest.approx(1, abs=0.02)


def test_the_multiplier_is_the_compute_that_gives_the_same_loss() -> None:
    """Of a difference d at C, loss* (m·C) = loss*(C)·e^d under the law that was fitted."""
    at = of(-0.004).at[0]
    assert at.multiplier is not None and at.budget is not None

    def optimum(flops: float) -> float:
        n = planted.best(flops)
        return float(planted.loss(n, flops / 6 / n))

    assert optimum(at.multiplier * at.budget) == pytest.approx(
        optimum(at.budget) * (1 + at.difference), rel=5e-4
    )


def test_few_runs_have_no_probability() -> None:
    a, b = planted.suite(0.0, recipe="a", runs=3), planted.suite(0.01, 1, recipe="b", runs=3)
    made = compare(a, b, budgets=[1e22], law="N,T", bootstrap=40)
    assert made.reason == "3 pairs of runs are too few for a probability: 4 are needed"
    assert (made.at[0].interval, made.at[0].probability_lower) == (None, None)
    assert made.summary()["paired"]["checkpoints"] == 6
    unlike = planted.suite(0.01, 1, recipe="b", runs=5, sizes=7)
    assert "unpaired" in compare(a, unlike, budgets=[1e22], law="N,T", bootstrap=40).__repr__()


def test_unpaired_recipes_are_wider() -> None:
    a = planted.suite(0.0, recipe="a", runs=8)
    b = planted.suite(-0.02, 1, recipe="b", runs=8)
    apart = planted.suite(-0.02, 1, recipe="b", runs=8, sizes=5)
    paired, unpaired = (compare(a, x, budgets=[1e22], law="N,T", bootstrap=40) for x in (b, apart))
    assert (paired.pairs, unpaired.pairs, unpaired.measured) == (8, 0, None)
    widths = []
    for made in (paired, unpaired):
        low, high = made.at[0].interval or (np.nan, np.nan)
        assert low < np.expm1(-0.02) < high
        widths.append(high - low)
    assert widths[1] > widths[0]


def test_runs_are_paired_by_size_shape_and_tokens() -> None:
    a, b = (load(planted.suite(0.0, recipe=r)) for r in "ab")
    pairs = pairs_of(a, b, "total")
    assert pairs.count == 6
    np.testing.assert_array_equal(a.numbers("params_total")[pairs.a], b.numbers("params_total")[pairs.b])
    np.testing.assert_allclose(a.numbers("tokens")[pairs.a], b.numbers("tokens")[pairs.b])
    shifted = [row | {"tokens": row["tokens"] + 9e10 / 7} for row in planted.suite(0.0, recipe="b")]
    few = pairs_of(a, load(shifted), "total")
    assert (few.count, len(few.a)) == (6, 6 * 7)


def test_thinned_rows_are_even_and_keep_the_last() -> None:
    runs, tokens = np.repeat([0, 1], [200, 3]), np.concatenate([np.linspace(1, 5, 200), [1.0, 2.0, 3.0]])
    kept = thinned(runs, tokens, 20)
    assert {0, 199, 200, 201, 202} <= {*kept.tolist()} and len(kept) == 13


def test_the_mixture_is_the_exact_gaussian_of_each_cell() -> None:
    """Weights and posterior of one cell against the dense formulas."""
    rng = np.random.default_rng(0)
    n, m = 12, 3
    rows = Difference(
        y=rng.normal(0, 0.01, n), jacobian=rng.normal(size=(n, m)), weight=np.ones(n), at=rng.normal(size=(n, 2)),
        runs=np.repeat(np.arange(4), 3), row_noise=0.001, scales=np.array([0.01, 0.02, 0.005]),
        structures=((0,), (0, 1, 2)),
    )  # fmt: skip
    found = cells(rows)
    assert sum(np.exp(cell.log_weight) for cell in found) == pytest.approx(1, abs=0.05)
    cell = found[0]
    index = list(cell.structure)
    kernel = regression._kernel(rows.at, rows.at)
    point, where = rng.normal(size=(1, m)), rng.normal(size=(1, 2))
    noises = []
    for noise in regression.RUN_NOISE:
        own = rows.jacobian[:, index] * rows.scales[index]
        covariance = cell.tau**2 * own @ own.T + cell.kappa**2 * kernel
        covariance += noise**2 * (rows.runs[:, None] == rows.runs) + np.eye(n) * (rows.row_noise**2 + 1e-12)
        there = point[:, index] * rows.scales[index]
        cross = cell.tau**2 * own @ there.T + cell.kappa**2 * regression._kernel(rows.at, where)
        solved = np.linalg.solve(covariance, np.column_stack([rows.y, cross]))
        mean = float((cross.T @ solved[:, 0])[0])
        variance = cell.tau**2 * float((there**2).sum()) + cell.kappa**2 - float((cross.T @ solved[:, 1])[0])
        noises.append((mean, variance))
    got = cell.predict(rows, point, where)
    assert any(np.allclose([got[0][0], got[1][0]], pair, rtol=1e-6) for pair in noises)


def test_an_outlying_run_counts_less() -> None:
    b = planted.suite(-0.01, 1, recipe="b", runs=10)
    odd = [row | {"loss": row["loss"] * (1.05 if row["run"] == "b4" else 1.0)} for row in b]
    a = planted.suite(0.0, recipe="a", runs=10)
    clean, spoiled = (compare(a, x, budgets=[1e22], law="N,T", bootstrap=40).at[0] for x in (b, odd))
    assert spoiled.difference == pytest.approx(clean.difference, abs=4e-3)


def test_several_recipes_have_a_reference_and_ranks() -> None:
    rows = [
        *planted.suite(0.0, recipe="base"),
        *planted.suite(-0.012, 1, recipe="good"),
        *planted.suite(0.012, 2, recipe="worse"),
    ]
    made = compare_by(rows, "recipe", budgets=[1e22], law="N,T", bootstrap=40)
    assert [one.names for one in made] == [("base", "good"), ("base", "worse")]
    assert ranks(made)[0]["good"] > 0.9
    turned = compare_by(rows, "recipe", reference="good", budgets=[1e22], law="N,T", bootstrap=40)
    assert [one.names for one in turned] == [("good", "base"), ("good", "worse")]
    with pytest.raises(InvalidRequest, match="reference 'none' is no value of recipe"):
        compare_by(rows, "recipe", reference="none")
    with pytest.raises(InvalidRequest, match="has one value"):
        compare_by(planted.suite(0.0), "recipe")


@pytest.mark.long
def test_laws_of_shapes(pebbles: RunTable) -> None:
    a, b = pebbles.select("all"), pebbles.select("lr-ablation")
    made = compare(a, b, budgets=[5e13], law="w,d,N,T", bootstrap=40)
    assert made.pairs >= 4 and made.fit.law.form == "w,d,N,T"
    assert made.at[0].interval is not None


def test_units_must_agree() -> None:
    a, b = (load(planted.suite(0.0, recipe=r)) for r in "ab")
    with pytest.raises(InvalidRequest, match=r"losses of A are in nats and of B in bits.*loss_unit=…"):
        compare(a, replace(b, loss_unit="bits"))
