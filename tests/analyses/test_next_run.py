"""Designs of runs: the model against a direct Gaussian computation, the search against all designs, targets by law."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest

import gemstones as gs
from gemstones.analyses.compare.optima import jacobian
from gemstones.analyses.next_run.beliefs import Beliefs
from gemstones.analyses.next_run.candidates import (
    CHECKPOINTS,
    Runs,
    checkpoints,
    flops_of,
    ordinary,
    points_of,
    shares_of,
)
from gemstones.analyses.next_run.design import design_runs
from gemstones.analyses.next_run.existing import Existing, estimated_noise, existing, information
from gemstones.analyses.next_run.experiment import (
    DECADE,
    Candidates,
    Learned,
    Model,
    Noise,
    Points,
    scaled_rows,
)
from gemstones.analyses.next_run.next_runs import next_runs
from gemstones.analyses.next_run.pilot import pilot_of
from gemstones.analyses.next_run.search import AFFORDABLE, Limits, after, score, search, value
from gemstones.analyses.next_run.suite import suite_text
from gemstones.analyses.next_run.wanted import Reference
from gemstones.design.feasible import Constraints
from gemstones.design.suite import expand, load_suite
from gemstones.errors import InvalidRequest
from gemstones.laws.law import Law
from gemstones.laws.published import LAWS, refit
from gemstones.planning.optimum import size_optima
from gemstones.shape import FloatArray, Shape
from tests.analyses import planted

NT = LAWS["chinchilla-epoch"]
assert isinstance(NT, Law)
SHAPES = refit("gemstones-refit-plain").law
SMALL = Constraints(
    width_max=1024,
    depth_min=2,
    depth_max=32,
    width_multiple=64,
    template=Shape(64, 1, head_size=32, vocabulary=4096),
)
SCALES = np.array([0.15, 0.15, 1.0, 1.0, 0.15])


def some_runs(count: int, seed: int = 0) -> Runs:
    models = ordinary(SMALL)
    rng = np.random.default_rng(seed)
    index = np.sort(rng.integers(0, models.count, count))
    return models.taken(index).trained_to(models.params()[index] * np.exp(rng.uniform(0.5, 5, count)))


def experiment(runs: Runs, noise: Noise | None = None) -> tuple[Model, Candidates, Reference]:
    reference = Reference.of(NT, 1e20)
    candidates = Candidates(points_of(NT, checkpoints(NT, runs)), CHECKPOINTS, flops_of(NT, runs))
    target = reference.target("n_opt")
    points = Points.joined([candidates.points, target.points])
    return Model.wide(NT, SCALES, noise or Noise(), points), candidates, reference


def direct(
    model: Model, candidates: Candidates, reference: Reference, bought: list[int], want: str
) -> FloatArray:
    """Variance of the target by the textbook, without features."""
    target = reference.target(want)  # type: ignore[arg-type]
    rows = np.concatenate([np.arange(i * CHECKPOINTS, (i + 1) * CHECKPOINTS) for i in bought])

    def covariance(a: Points, b: Points) -> FloatArray:
        prior = np.diag(SCALES**2)
        squares = np.square((a.at[:, None] - b.at[None]) / model.noise.length).sum(-1)
        own = jacobian(NT, a.columns) @ prior @ jacobian(NT, b.columns).T
        return np.asarray(own + model.noise.misfit**2 * np.exp(-0.5 * squares))

    seen = Points(candidates.points.columns[rows], candidates.points.at[rows])
    inside = covariance(seen, seen)
    for k in range(len(bought)):
        block = slice(k * CHECKPOINTS, (k + 1) * CHECKPOINTS)
        inside[block, block] += model.noise.of_run(CHECKPOINTS)
    across = covariance(seen, target.points) @ target.weights.T
    before = target.weights @ covariance(target.points, target.points) @ target.weights.T
    return np.asarray(before - across.T @ np.linalg.solve(inside, across))


@pytest.mark.parametrize("want", ["n_opt", "loss"])
def test_updates_are_those_of_a_direct_gaussian_computation(want: str) -> None:
    model, candidates, reference = experiment(some_runs(9))
    now = Learned.nothing(model, candidates, reference.target(want))  # type: ignore[arg-type]
    bought = [0, 4, 8, 4]  # a run twice: another seed
    for count, run in enumerate(bought, start=1):
        gain = now.gains()[run, 0]
        before = float(now.variance[0, 0])
        now = now.bought(run)
        truth = float(direct(model, candidates, reference, bought[:count], want)[0, 0])
        assert before - gain == pytest.approx(float(now.variance[0, 0]), rel=1e-6)
        assert float(now.variance[0, 0]) == pytest.approx(truth, rel=0.02)
    undone = now.returned(4).returned(4)
    kept = after(Learned.nothing(model, candidates, reference.target(want)), [0, 8])  # type: ignore[arg-type]
    np.testing.assert_allclose(undone.variance, kept.variance, rtol=1e-6)
    np.testing.assert_allclose(undone.gains(), kept.gains(), rtol=1e-4)


def exhaustive(start: Learned, cost: FloatArray, limits: Limits) -> tuple[int, ...]:
    """The best design of all, by trying every one."""
    designs = [
        one
        for count in range(1, limits.runs + 1)
        for one in combinations_with_replacement(range(len(cost)), count)
        if cost[list(one)].sum() <= limits.spend * AFFORDABLE
    ]
    return min(designs, key=lambda one: value(start, one))


@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_what_trying_every_design_finds(seed: int) -> None:
    runs = some_runs(9, seed)
    model, candidates, reference = experiment(runs)
    start = Learned.nothing(model, candidates, reference.target("n_opt"))
    limits = Limits(float(np.median(candidates.cost)) * 3, 4)
    found = search(start, candidates.cost, limits)
    best = exhaustive(start, candidates.cost, limits)
    assert candidates.cost[list(found)].sum() <= limits.spend * (1 + 1e-6) and len(found) <= limits.runs
    assert value(start, found) <= value(start, best) + np.log(1.03)  # of the standard deviation


def test_what_is_wanted_moves_as_the_optimum_of_the_law_does() -> None:
    reference = Reference.of(NT, 1e22)
    target = reference.target("n_opt")
    rng = np.random.default_rng(0)
    for _ in range(5):
        change = rng.normal(0, [0.002, 0.002, 0.02, 0.02, 0.005])
        moved = NT.theta + change
        counted, _ = size_optima(NT, moved[None], 1e22)
        truth = float(np.log(counted[0]) - reference.optimum[0])
        linear = float((target.weights @ jacobian(NT, target.points.columns) @ change)[0])
        assert linear == pytest.approx(truth, rel=0.12, abs=0.005)
        loss = reference.target("loss")
        columns = np.log(np.stack([counted, 1e22 / 6 / counted], -1))
        found = NT.log_loss([*columns.T], moved[None]).ravel()[0] - NT.log_loss([*loss.points.columns.T])[0]
        assert float((jacobian(NT, loss.points.columns) @ change)[0]) == pytest.approx(
            found, rel=0.1, abs=2e-4
        )


def test_so_does_the_best_shape() -> None:
    law = refit("gemstones-refit").law
    reference = Reference.of(law, 1e21)
    target = reference.target("shape")
    rng = np.random.default_rng(1)
    kinds = [entry.kind for entry in law.parsed_form.entries]
    for _ in range(3):
        change = np.array(
            [rng.normal(0, {"exponent": 5e-4, "coefficient": 5e-3}.get(kind, 0.0)) for kind in kinds]
        )
        moved = Law.of_theta(law.parsed_form, law.theta + change)
        truth = Reference.of(moved, 1e21).optimum - reference.optimum
        linear = target.weights @ jacobian(law, target.points.columns) @ change
        np.testing.assert_allclose(linear, truth, rtol=0.2, atol=0.01)


def test_checkpoints_are_not_before_a_token_per_parameter() -> None:
    runs = some_runs(20, 3)
    shares = shares_of(NT, runs)
    assert (shares[:, -1] == 1).all() and (np.diff(shares) >= 0).all()
    assert (shares[:, 0] * runs.tokens >= runs.params() * (1 - 1e-9)).all()
    long = runs.tokens > 33 * runs.params()
    np.testing.assert_allclose(
        shares[long], np.broadcast_to(0.5 ** np.arange(5, -1, -1.0), shares[long].shape)
    )


def test_a_design_keeps_its_limits_and_is_no_worse_than_what_people_do() -> None:
    design = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=35)
    flops = [run.flops for run in design.runs]
    assert sum(flops) <= 1e18 * (1 + 1e-6) and len(flops) <= 35
    assert max(flops) <= 0.25e18 * (1 + 1e-6)
    np.testing.assert_allclose([run.cumulative_flops for run in design.runs], np.cumsum(flops))
    factors = [run.interval_factor for run in design.runs]
    assert (np.diff(factors) < 0).all() and factors[-1] == design.interval_factor < design.before
    names = {one.name for one in design.conventional}
    assert names == {"equal tokens", "20 tokens per parameter", "isoFLOP grid", "isoFLOP grid, ends only"}
    for one in design.conventional:
        assert 0.5e18 <= one.flops <= 1e18 * (1 + 1e-6)
        assert np.log(design.interval_factor) <= 1.03 * np.log(one.interval_factor)
    ladder = next(x for x in design.conventional if x.name.startswith("20"))
    assert np.log(design.interval_factor) <= 0.6 * np.log(ladder.interval_factor)
    assert [spend for spend, _ in design.curve] == sorted(spend for spend, _ in design.curve)
    assert (np.diff([factor for _, factor in design.curve]) <= 0).all()
    capped = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=6, largest=1e17)
    assert len(capped.runs) <= 6 and max(run.flops for run in capped.runs) <= 1e17
    assert capped.interval_factor > design.interval_factor


@pytest.mark.long
def test_twenty_four_runs_of_five_thousand_candidates_take_seconds() -> None:
    before = time.process_time()
    design = design_runs(1e22, 2e20, law="gemstones-refit", runs=24)
    assert time.process_time() - before < 20 and len(design.runs) <= 24


@pytest.mark.long
def test_shapes_are_told_apart_by_designs_for_shapes_alone() -> None:
    design = design_runs(1e20, 1e18, want="shape", law=SHAPES, constraints=SMALL, runs=16)
    assert design.by_quantity.keys() == {"width", "depth"}
    ratios = [run.shape.aspect_ratio for run in design.runs]
    assert max(ratios) / min(ratios) > 8
    conventional = [one for one in design.conventional if not one.name.startswith("three")]
    assert np.log(design.interval_factor) <= 0.7 * min(np.log(one.interval_factor) for one in conventional)


@pytest.mark.long
def test_seeds_branches_and_pairs_cost_what_they_are() -> None:
    plain = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=8)
    seeds = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=8, seeds=2)
    assert len(seeds.runs) <= 4 and seeds.flops <= 1e18 * (1 + 1e-6)
    annealed = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=8, annealed=True)
    run = max(annealed.runs, key=lambda one: len(one.annealed_at))
    single = 6 * run.params_total * run.tokens
    assert run.flops == pytest.approx(single * (1 + 0.1 * sum(run.annealed_at)) / 1.1, rel=1e-3)
    pairs = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=8, want="compare")
    assert pairs.runs[0].flops == pytest.approx(12 * pairs.runs[0].params_total * pairs.runs[0].tokens)
    assert 1 < pairs.interval_factor < plain.interval_factor


@pytest.mark.long
def test_device_hours_are_those_of_the_throughput_model() -> None:
    design = design_runs(1e21, device_hours=200, law=SHAPES, runs=8)
    assert design.resource == "device_hours" and design.runs[-1].cumulative_cost <= 200 * (1 + 1e-6)
    step_time = gs.gemstones_step_time()
    for run in design.runs:
        hours = (
            float(step_time.device_hours_per_token(gs.Shapes.of(run.shape.width, run.shape.depth)))
            * run.tokens
        )
        assert run.cost == pytest.approx(hours, rel=1e-6)


def suite_of(rows: list[dict[str, float]]) -> gs.RunTable:
    return gs.load([row | {"run": f"r{i}"} for i, row in enumerate(rows)])


@pytest.mark.long
def test_runs_that_exist_are_not_bought_again() -> None:
    rows = planted.grid(sizes=3)
    without = design_runs(1e22, 1e18, law="chinchilla", runs=6)
    having = design_runs(1e22, 1e18, law="chinchilla", runs=6, existing=suite_of(rows))
    assert having.before < without.before and having.interval_factor < without.interval_factor
    after_ = design_runs(1e22, 1e18, after=suite_of(rows), runs=6)
    assert after_.before < without.before and any("draws of the pilot" in one for one in after_.assumptions)


def test_other_runs_than_the_pilots_tell_of_the_constants_too() -> None:
    table, more = suite_of(planted.grid(sizes=4)), suite_of(planted.grid(5, sizes=5))
    fit = gs.fit(table, "N,T", bootstrap=60, backtests=False)
    reference = Reference.of(fit.law, 1e23)
    runs = ordinary(SMALL).taken(np.arange(3)).trained_to(np.array([1e9, 1e9, 1e9]))
    candidates = Candidates(
        points_of(fit.law, checkpoints(fit.law, runs)), CHECKPOINTS, flops_of(fit.law, runs)
    )

    def left(beliefs: Beliefs) -> float:
        return float(beliefs.start(reference, "n_opt", candidates, reference.target("n_opt")).variance[0, 0])

    alone = Beliefs.of(fit, pilot=fit, pilot_runs=table)
    with_more = Beliefs.of(fit, pilot=fit, pilot_runs=table, have=more)
    assert with_more.noise == alone.noise and left(with_more) < 0.7 * left(alone)
    # The pilot's own runs are no others, given beside its runs or beside the bare fit.
    for twice in (
        Beliefs.of(fit, pilot=fit, pilot_runs=table, have=table),
        Beliefs.of(fit, pilot=fit, have=table),
    ):
        assert left(twice) == left(alone) and twice.assumptions == alone.assumptions


@pytest.mark.long
def test_runs_are_given_as_to_a_fit(tmp_path: Path) -> None:
    table = suite_of(planted.grid(sizes=4))
    table.write_parquet(tmp_path / "runs.parquet")
    before = set()
    for given in (table, table.frame, table.frame.to_dicts(), tmp_path / "runs.parquet"):
        having = design_runs(1e22, 1e18, law=NT, existing=given, runs=1, constraints=SMALL)
        assert "exist and cost nothing" in having.assumptions[2]
        pilot = pilot_of(given, "N,T")
        assert pilot.runs is not None
        before.add((having.before, pilot.runs.fingerprint))
    assert len(before) == 1


def simulated(noise: Noise, count: int, seed: int) -> Existing:
    """Runs of `NT` with that misfit and noise."""
    models, rng = ordinary(SMALL), np.random.default_rng(seed)
    tokens = np.exp(rng.uniform(18, 24, count))
    runs = models.taken(rng.integers(0, models.count, count)).trained_to(tokens)
    points = points_of(NT, checkpoints(NT, runs))
    features = Model.wide(NT, SCALES, noise, points).features(points, law=False)
    log_loss = NT.log_loss([*points.columns.T]) + features @ rng.standard_normal(features.shape[1])
    log_loss += np.repeat(rng.normal(0, noise.run, count), CHECKPOINTS)
    log_loss += rng.normal(0, noise.row, count * CHECKPOINTS)
    return Existing(points, log_loss, np.repeat(np.arange(count), CHECKPOINTS))


def test_noise_and_misfit_are_found_again() -> None:
    found = []
    for seed in range(3):
        rows = simulated(Noise(misfit=0.004, run=0.008, row=0.001), 60, seed)
        estimate = estimated_noise(NT, rows)
        assert estimate is not None
        found.append((estimate.misfit, estimate.run, estimate.row))
    misfit, run, row = np.mean(found, axis=0)
    assert (
        0.002 <= misfit <= 0.007
        and run == pytest.approx(0.008, rel=0.35)
        and row == pytest.approx(0.001, rel=0.3)
    )
    assert estimated_noise(NT, rows.of_runs(np.arange(4))) is None


def test_a_short_misfit_is_told_from_a_long_one() -> None:
    lengths: dict[float, list[float]] = {}
    for decades in (0.5, 1.0, 2.0):
        planted_noise = Noise(misfit=0.006, run=0.002, row=0.001, length=decades * DECADE)
        estimates = [estimated_noise(NT, simulated(planted_noise, 60, seed)) for seed in range(6)]
        lengths[decades] = [one.length / DECADE for one in estimates if one is not None]
    assert max(lengths[0.5]) < 0.65 < min(lengths[1.0]) <= max(lengths[1.0]) < 1.3
    # Of a long one the constants take up most: each is called longer than a short one, all together than a decade.
    assert min(lengths[2.0]) > 1.0 and np.mean(lengths[2.0]) > 1.25 * np.mean(lengths[1.0])
    # Runs with no misfit at all say nothing of its length: the decade that is taken without runs.
    without = estimated_noise(NT, simulated(Noise(misfit=0.0, run=0.002, row=0.001), 60, 0))
    assert without is not None and without.length == pytest.approx(DECADE, rel=0.15)


def test_misfit_and_noise_are_assumed_without_a_pilot_and_told_with_one() -> None:
    beliefs = Beliefs.of(NT, have=suite_of(planted.grid(sizes=4)))
    assert beliefs.noise == Noise() and "0.40% of loss over 1 decade, noise" in beliefs.assumptions[1]
    table = suite_of(planted.grid(sizes=4))
    fit = gs.fit(table, "N,T", bootstrap=60, backtests=False)
    told = Beliefs.of(fit, pilot=fit, pilot_runs=table)
    assert told.noise == estimated_noise(fit.law, existing(fit.law, table))
    assert f"over {told.noise.length / DECADE:.2g} decade" in told.assumptions[1]


def test_the_runs_of_a_pilot_tell_of_the_misfit_beside_the_draws() -> None:
    table = suite_of(planted.grid(sizes=3))
    fit = gs.fit(table, "N,T", bootstrap=60, backtests=False)
    rows = existing(fit.law, table)
    reference = Reference.of(fit.law, 1e21)
    target = reference.target("loss")
    model = Model.of_draws(fit.law, fit.theta_draws, Noise(), Points.joined([target.points, rows.points]))
    # The spread of the draws themselves, at every row.
    drawn = fit.law.log_loss([*rows.points.columns.T], fit.theta_draws).std(0, ddof=1)
    own = np.sqrt(np.square(model.features(rows.points, misfit=False)).sum(1))
    np.testing.assert_allclose(own, drawn, rtol=0.01)
    told = information(model, rows, misfit_alone=True)
    assert len(told) == rows.count and all(not one[:, : model.spread.shape[1]].any() for one in told)


@pytest.mark.parametrize("annealed", [False, True])
def test_a_design_is_a_suite_file(annealed: bool, tmp_path: Path) -> None:
    design = design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=10, annealed=annealed, seeds=2)
    path = tmp_path / "suite.toml"
    path.write_text(suite_text(design))
    runs = expand(load_suite(path))
    main = [run for run in runs if run.family.startswith("main")]
    assert len(main) == 2 * len(design.runs) and len({run.id for run in main}) == len(main)
    step = main[0].batch_sequences * main[0].shape.context
    share = 1 / 1.1 if annealed else 1.0
    wanted = Counter(str(run.shape) for run in design.runs for _ in range(2))
    assert Counter(str(run.shape) for run in main) == wanted
    for run in design.runs:
        assert any(
            str(one.shape) == str(run.shape) and abs(one.tokens - share * run.tokens) <= step for one in main
        )
    for shape in wanted:  # no two runs of a shape share their beginning
        seeds = [one.seed for one in main if str(one.shape) == shape]
        assert len(set(seeds)) == len(seeds)
    cooled = [run for run in runs if run.family.startswith("cooldown")]
    assert bool(cooled) == annealed and len(cooled) == 2 * sum(len(run.annealed_at) for run in design.runs)


def test_what_a_candidate_explains_is_what_buying_it_leaves() -> None:
    table = suite_of(planted.grid(sizes=4))
    offered = [("512x8", "1B"), ("512x8", "10B"), ("1024x16", "10B"), ("2048x24", "40B")]
    found = next_runs(table, 1e22, offered)
    by = {(str(one.shape), one.tokens): one for one in found.candidates}
    assert len(by) == 4
    assert all(0 <= share <= 1 for one in found.candidates for share in one.variance_explained.values())
    fit = gs.fit(table, "N,T", bootstrap=200, backtests=False)
    beliefs, reference = Beliefs.of(fit, pilot=fit, pilot_runs=table), Reference.of(fit.law, 1e22)
    runs = Runs(np.array([512.0, 2048.0]), np.array([8.0, 24.0]), np.array([1e10, 4e10]), Shape(256, 1))
    candidates = Candidates(
        points_of(fit.law, checkpoints(fit.law, runs)), CHECKPOINTS, flops_of(fit.law, runs)
    )
    for name in ("n_opt", "loss"):
        start = beliefs.start(reference, "n_opt", candidates, reference.target(name))  # type: ignore[arg-type]
        for i, key in enumerate((("512x8", 1e10), ("2048x24", 4e10))):
            left = float(start.bought(i).variance[0, 0] / start.variance[0, 0])
            assert by[key].variance_explained[name] == pytest.approx(1 - left, abs=0.01)
    assert found.best.value == 1 and [x.value for x in found.candidates] == sorted(
        (x.value for x in found.candidates), reverse=True
    )
    auto = next_runs(gs.fit(table, "N,T", bootstrap=60, backtests=False), 1e22)
    assert 3 <= len(auto.candidates) <= 13
    dearest = max(table.numbers("flops"))
    assert all(1e-3 * dearest <= one.flops * (1 + 1e-9) <= 4.01 * dearest for one in auto.candidates)
    assert any("a thousandth to four times the dearest so far" in one for one in auto.assumptions)
    assert not any("thousandth" in one for one in found.assumptions)


def test_candidates_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "candidates.csv"
    path.write_text('"tokens","shape"\n10B,512x8\n"20,000,000,000",1024x16,\n')
    fit = gs.fit(suite_of(planted.grid(sizes=4)), "N,T", bootstrap=60, backtests=False)
    found = next_runs(fit, 1e22, path)
    assert {(str(one.shape), one.tokens) for one in found.candidates} == {("512x8", 1e10), ("1024x16", 2e10)}
    for text, says in (
        ("shape\n512x8\n", "has no column tokens"),
        ("shape,tokens\n512x8,lots\n", "candidate 1: "),
        ("shape,tokens\n512,1B\n", "candidate 1: "),
        ("shape,tokens\n", "there is no candidate"),
        ("shape,tokens\n512x8,-1\n", "must be positive"),
        ("shape,tokens\n512x8,20,000,000\n", "candidate 1 has more values than there are columns"),
        ("shape,tokens\n500x8,1B\n", "not a multiple of the head size"),
        ("shape,tokens\n" + 200_000 * "x" + ",1B\n", "no CSV file"),
        ("", "has no column shape"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidRequest, match=says):
            next_runs(fit, 1e22, path)
    pairs = next_runs(fit, 1e22, [("512x8", 1e10), ("1024x16", "20B"), (Shape(512, 4), 1_000_000_000)])
    assert {one.tokens for one in pairs.candidates} == {1e10, 2e10, 1e9}
    for wrong in (
        [("512x8",)],
        [("512x8", 1e9, 3)],
        ["512x8,1B"],
        [3],
        [("512x8", None)],
        [("512x8", float("nan"))],
    ):
        with pytest.raises(InvalidRequest, match="candidates: candidate 1"):
            next_runs(fit, 1e22, wrong)


@pytest.mark.parametrize(("options", "says"), [
    ({"want": "fame"}, "want 'fame' is unknown: choose from n_opt, shape, loss, compare"),
    ({"want": "shape"}, "sees no shapes"),
    ({"runs": 0}, "runs 0 must be 1 to 200"),
    ({"seeds": 50}, "seeds 50 must be 1 to the number of runs, 35"),
    ({"law": "kaplan"}, "predicts no loss"),
    ({"spend": 1e9}, "spend more"),
    ({"spend": None}, "give either a spend in FLOPs or device hours"),
    ({"largest": 7.0}, "largest run"),
    ({"device_hours": 5}, "give either a spend in FLOPs or device hours"),
])  # fmt: skip
def test_wrong_requests_are_refused_with_the_remedy(options: dict[str, object], says: str) -> None:
    given: dict[str, object] = {"budget": 1e22, "spend": 1e18, "law": NT, "constraints": SMALL}
    with pytest.raises(InvalidRequest) as caught:
        design_runs(**(given | options))  # type: ignore[arg-type]
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_runs_of_counts_alone_teach_no_law_of_shapes() -> None:
    runs = suite_of(planted.grid(sizes=3))
    for want in ("n_opt", "loss", "compare"):
        made = design_runs(1e22, 1e18, want=want, law=NT, existing=runs, runs=2, constraints=SMALL)
        assert made.interval_factor < made.before
        without = design_runs(1e22, 1e18, want=want, law=NT, runs=2, constraints=SMALL)
        assert (made.before == without.before) is (
            want == "compare"
        )  # one recipe's runs tell of no difference
        assert any("exist and cost nothing" in one for one in made.assumptions) is (want != "compare")
    assert made.noise == Noise(0.002, 0.006, 0.002).times(2**0.5) and "0.85% by run" in made.assumptions[1]
    assert "# They are of one recipe" in suite_text(made)
    with pytest.raises(InvalidRequest, match="in N and T, like chinchilla"):
        design_runs(1e22, 1e18, law=SHAPES, existing=runs, runs=2, constraints=SMALL)
    with pytest.raises(InvalidRequest, match="sees no shapes"):
        design_runs(1e22, 1e18, want="shape", law=NT, existing=runs, runs=2, constraints=SMALL)


def test_few_runs_may_cost_the_whole_spend() -> None:
    for count, share in ((1, 1.0), (2, 0.5)):
        made = design_runs(1e22, 1e18, want="loss", law=NT, runs=count, constraints=SMALL)
        assert max(run.flops for run in made.runs) == pytest.approx(share * 1e18, rel=1e-6)


def test_a_doubtful_pilot_is_called_so() -> None:
    fit = gs.fit(suite_of(planted.grid(sizes=3)[:5]), "N,T", bootstrap=60, backtests=False, force=True)
    assert any(flag.startswith("too_few_runs") for flag in fit.flags)
    design = design_runs(1e21, 1e18, after=fit, runs=1, constraints=SMALL)
    found = next_runs(fit, 1e21, [("512x8", "1B")])
    for made in (design, found):
        assert made.flags == fit.flags and made.summary()["flags"] == list(fit.flags)
        assert "caution about the pilot: " in repr(made)
    assert design_runs(1e21, 1e18, law=NT, runs=1, constraints=SMALL).flags == ()


def test_a_fit_without_draws_is_no_pilot() -> None:
    fit = gs.fit(suite_of(planted.grid(sizes=3)), "N,T")
    with pytest.raises(InvalidRequest, match="bootstrap=200"):
        design_runs(1e22, 1e18, after=fit)


@pytest.mark.long
def test_more_noise_is_more_unknown() -> None:
    factors = [
        design_runs(1e21, 1e18, law=NT, constraints=SMALL, runs=8, noise=Noise().times(x)).interval_factor
        for x in (0.5, 1.0, 2.0)
    ]
    assert factors == sorted(factors)
    assert replace(Noise(), misfit=0.01).times(2.0) == Noise(0.01, 0.012, 0.004)
    assert score(np.eye(2)) == 0 and scaled_rows(np.eye(2), 4 * np.eye(2))[0, 0, 0] == 0.5
