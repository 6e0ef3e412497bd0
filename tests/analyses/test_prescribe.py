"""Prescriptions under every convention: equal to `plan` where that has them, to brute force elsewhere."""

import itertools

import msgspec
import numpy as np
import pytest

from gemstones.accounting.flops import FLOPS_CONVENTIONS, FlopsConvention, flops_per_token
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, params
from gemstones.analyses.sensitivity.frontier_lines import FrontierLines, frontier_lines
from gemstones.analyses.sensitivity.prescribe import ends, prescribe_law, prescribe_lines, undominated
from gemstones.laws.envelope import envelope
from gemstones.laws.fit import Fit, Resampling
from gemstones.laws.law import Law, Models
from gemstones.laws.published import LAWS, refit
from gemstones.planning.by_params import ASPECT_RATIOS
from gemstones.planning.defaults import default_constraints
from gemstones.planning.plan import plan
from gemstones.runs import RunTable
from gemstones.runs.recount import recounted
from gemstones.shape import Shapes

BUDGETS = (1e20, 1e22)


def with_draws(law: Law, count: int, seed: int = 0) -> Fit:
    """A fit whose resamples are near the law."""
    rng = np.random.default_rng(seed)
    draws = law.theta * rng.normal(1, 0.02, (count, len(law.theta)))
    return msgspec.structs.replace(
        refit("gemstones-refit-plain"),
        law=law,
        drawn=tuple(map(tuple, draws.tolist())),
        resampling=Resampling("run", 0),
    )


def params_law(convention: str = "total") -> Law:
    law = LAWS["gemstones"]
    assert isinstance(law, Law)
    return msgspec.structs.replace(law, params_convention=convention)


def test_a_law_of_shapes_prescribes_what_its_plan_does() -> None:
    fit = msgspec.structs.replace(
        refit("gemstones-refit-plain"), drawn=refit("gemstones-refit-plain").drawn[:40]
    )
    (made,) = prescribe_law(fit, [("total", "gemstones")], BUDGETS)
    for position, budget in enumerate(BUDGETS):
        planned = plan(budget, fit)
        assert planned.shape is not None and planned.intervals is not None
        assert (made.w_opt[0, position], made.d_opt[0, position]) == (
            planned.shape.width,
            planned.shape.depth,
        )
        assert made.n_opt[0, position] == made.params_total[0, position] == planned.params_total
        assert made.t_opt[0, position] == pytest.approx(planned.tokens)
        for quantity, name in (
            ("n_opt", "params"),
            ("t_opt", "tokens"),
            ("w_opt", "width"),
            ("d_opt", "depth"),
        ):
            assert made.interval(quantity, position, 0.95) == pytest.approx(planned.intervals[name])  # type: ignore[arg-type]


@pytest.mark.parametrize("convention", PARAMS_CONVENTIONS)
def test_a_law_in_n_and_t_prescribes_what_its_plan_does(convention: str) -> None:
    fit = with_draws(params_law(convention), 40)
    (made,) = prescribe_law(fit, [(convention, f"6N_{convention}")], BUDGETS)  # type: ignore[list-item]
    for position, budget in enumerate(BUDGETS):
        planned = plan(budget, fit)
        assert planned.intervals is not None
        assert made.n_opt[0, position] == pytest.approx(planned.params)
        assert made.t_opt[0, position] == pytest.approx(planned.tokens)
        assert made.interval("n_opt", position, 0.95) == pytest.approx(planned.intervals["params"])
        assert made.interval("t_opt", position, 0.95) == pytest.approx(planned.intervals["tokens"])
    assert np.isnan(made.w_opt).all()
    assert np.isnan(made.params_total).all() == (convention != "total")


SEARCHED = [
    (flops, terms)
    for flops, terms in itertools.product(FLOPS_CONVENTIONS, ["w,d,N,T", "w,d,T", "T,N"])
    if (flops, terms) != ("6N_no_embedding", "T,N")  # a closed form
]


@pytest.mark.parametrize(("flops", "terms"), SEARCHED)
def test_the_optimum_is_that_of_brute_force(flops: FlopsConvention, terms: str) -> None:
    whole = LAWS["gemstones-width-depth"] if "w" in terms else params_law("no_embedding")
    assert isinstance(whole, Law)
    order = [whole.terms.index(term) for term in terms.split(",")]
    law = Law(
        tuple(terms.split(",")),
        tuple(whole.exponents[i] for i in order),
        tuple(whole.log_coefficients[i] for i in order),
        whole.log_irreducible,
        params_convention="no_embedding",
    )
    convention = "no_embedding" if "N" in terms else "non_embedding"
    fit = with_draws(law, 2)
    (made,) = prescribe_law(fit, [(convention, flops)], BUDGETS)

    constraints = default_constraints(law)
    shapes = Shapes.of(*np.broadcast_arrays(*constraints.grid()), constraints.template)  # type: ignore[arg-type]
    columns = {"w": shapes.width, "d": shapes.depth, "N": params(shapes, "no_embedding")}
    ratio = shapes.width / shapes.depth
    for position, budget in enumerate(BUDGETS):
        columns["T"] = budget / flops_per_token(shapes, flops)
        logs = [np.log(columns[term]) for term in law.terms]
        for row, theta in enumerate([law.theta, *fit.theta_draws]):
            loss = np.exp(law.log_loss(logs, theta))
            if "w" not in terms:
                loss = np.where((ratio >= ASPECT_RATIOS[0]) & (ratio <= ASPECT_RATIOS[1]), loss, np.inf)
            at = np.unravel_index(int(loss.argmin()), loss.shape)
            assert made.n_opt[row, position] == params(shapes, convention)[at]
            assert made.t_opt[row, position] == pytest.approx(columns["T"][at])
            assert made.params_total[row, position] == params(shapes)[at]
            if "w" in terms:
                assert (made.w_opt[row, position], made.d_opt[row, position]) == (
                    shapes.width[at],
                    shapes.depth[at],
                )
            else:
                assert np.isnan(made.w_opt[row, position])


def test_no_shape_beats_one_that_is_not_dominated() -> None:
    law = params_law()
    _, counted, cost = undominated(default_constraints(law), "total", "gemstones")
    assert (np.diff(counted) > 0).all() and (np.diff(cost) > 0).all()
    constraints = default_constraints(law)
    every = Shapes.of(*np.broadcast_arrays(*constraints.grid()), constraints.template)  # type: ignore[arg-type]
    ordinary = (every.aspect_ratio >= ASPECT_RATIOS[0]) & (every.aspect_ratio <= ASPECT_RATIOS[1])
    n, f = params(every)[ordinary], flops_per_token(every)[ordinary]
    # The most N that as few FLOPs buy.
    best = counted[np.searchsorted(cost, f, side="right") - 1]
    assert (best >= n).all()
    assert np.isin(counted, n).all()


def test_where_there_is_no_optimum_nothing_is_prescribed() -> None:
    law = params_law()
    rising = msgspec.structs.replace(law, exponents=(-0.1, 0.5))
    half = with_draws(law, 4)
    draws = (half.drawn[0], tuple(rising.theta.tolist()), *half.drawn[2:]) * 15
    pairs: list[tuple[str, str]] = [("total", "6N_total"), ("total", "gemstones")]
    for made in prescribe_law(msgspec.structs.replace(half, drawn=draws), pairs, [1e21]):  # type: ignore[arg-type]
        assert np.isnan(made.n_opt[:, 0]).tolist() == [False, *[False, True, False, False] * 15]
        assert made.flags == (
            "draws_left_out: 25% of the resamples have no optimum, so the interval may be too narrow",
        )
        assert made.interval("n_opt", 0, 0.95) is not None
    for made in prescribe_law(with_draws(rising, 0), pairs, [1e21]):  # type: ignore[arg-type]
        assert np.isnan(made.n_opt).all() and made.flags[0].startswith("no_optimum")
        assert made.interval("n_opt", 0, 0.95) is None


def test_an_estimate_on_the_edge_is_none_and_draws_there_are_told() -> None:
    law = LAWS["gemstones-width-depth"]
    assert isinstance(law, Law)
    (made,) = prescribe_law(with_draws(law, 3), [("total", "gemstones")], [1e22, 1e30])
    assert np.isfinite(made.n_opt[:, 0]).all() and np.isnan(made.n_opt[0, 1])
    assert any(flag.startswith("edge_of_search") and "for 1e30 FLOPs" in flag for flag in made.flags)
    assert np.isnan(made.of("w_opt")[0, 1]) and made.interval("w_opt", 1, 0.95) is None
    # Depth that goes on to pay: every deeper model is better.
    deeper = (
        *law.exponents[:1],
        0.1,
        *law.exponents[2:],
        law.log_coefficients[0],
        3.0,
        *law.log_coefficients[2:],
    )
    some = msgspec.structs.replace(
        with_draws(law, 4), drawn=((*deeper, 0.0), *(tuple(law.theta.tolist()),) * 3)
    )
    (made,) = prescribe_law(some, [("total", "gemstones")], [1e24])
    assert made.d_opt[1, 0] == 1024 and made.d_opt[0, 0] == made.d_opt[2, 0] < 200
    assert any(flag.startswith("draws_on_edge: 25% of the resamples") for flag in made.flags)


def test_models_of_the_law_are_counted_with() -> None:
    small = Models(head_size=16, vocabulary=512, context=256)
    law = msgspec.structs.replace(params_law(), models=small)
    shapes, counted, _ = undominated(default_constraints(law), "total", "gemstones")
    assert shapes.head_size == 16 and shapes.vocabulary == 512
    assert counted[0] < 1e5


# ---------------------------------------------------------------- frontiers


@pytest.mark.parametrize(
    ("method", "flops"), [*itertools.product(["hull", "bins"], ["gemstones", "6N_non_embedding"])]
)
def test_lines_are_those_of_the_envelope(gemstones: RunTable, method: str, flops: FlopsConvention) -> None:
    table = recounted(gemstones.select("chinchilla-reduced"), flops)
    lines = frontier_lines(table, method, 70, 3)  # type: ignore[arg-type]
    for convention in PARAMS_CONVENTIONS:
        found = envelope(table, method=method, params=convention, bootstrap=70, seed=3)  # type: ignore[arg-type]
        for quantity, name in ((f"params_{convention}", "params"), ("tokens", "tokens")):
            line = found.fits[name]
            assert lines.of(quantity)[0] == pytest.approx([line.slope, line.intercept])
            np.testing.assert_allclose(lines.of(quantity)[1:], found.draws[name], atol=1e-9)
        made = prescribe_lines(lines, convention, [1e21])
        assert made.n_opt[0, 0] == pytest.approx(float(found.fits["params"].at(1e21)))
        assert made.interval("n_opt", 0, 0.95) == pytest.approx(found.interval_at("params", 1e21))
        assert made.interval("t_opt", 0, 0.95) == pytest.approx(found.interval_at("tokens", 1e21))
    assert lines.points == len(found.frontier)
    assert FrontierLines.from_json(msgspec.json.encode(lines)) == lines


def test_a_resample_without_a_line_keeps_its_place(gemstones: RunTable) -> None:
    # A resample of one run only, with one checkpoint, has a frontier of one point.
    table = gemstones.select("all", "step = 2385 AND width = 512 AND depth < 15")
    lines = frontier_lines(table, "hull", 128, 0)
    missing = np.isnan(lines.of("tokens")).any(1)
    assert not missing[0] and 0 < missing.sum() < 64
    made = prescribe_lines(lines, "total", [1e21])
    assert np.isnan(made.n_opt[:, 0]).tolist() == missing.tolist()
    assert "have a frontier of one point" in made.flags[0]
    assert len(envelope(table, bootstrap=128).draws["params"]) == 128 - missing.sum()


def test_ends_leave_out_what_is_not_finite() -> None:
    draws = np.array([1.0, 2.0, np.nan, 3.0, np.inf])
    assert ends(draws, 2.0, discrete=True, level=0.5) is None  # three are left
    low, high = ends(np.tile(draws, 14), 2.0, discrete=True, level=0.5) or (0, 0)
    assert (low, high) == (1.0, 3.0)
    assert ends(draws, np.nan, discrete=False, level=0.5) is None
    assert ends(np.array([np.nan]), 1.0, discrete=False, level=0.5) is None
