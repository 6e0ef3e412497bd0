"""Step times: planted ones recovered, errors of shapes left out, the model that ships, what is refused."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.optimize

from gemstones.accounting.flops import flops_per_token
from gemstones.errors import InvalidRequest, InvalidTable
from gemstones.laws.fitting import fit
from gemstones.laws.solver.resample import draw_weights
from gemstones.runs import RunTable, load
from gemstones.shape import Shape, Shapes
from gemstones.timing.fit_step_time import fit_step_time
from gemstones.timing.step_time import FEATURES, STEP_TIME_COMMAND, StepTime, gemstones_step_time

SHAPES = [(256, 8), (256, 40), (512, 12), (512, 48), (1024, 6), (1024, 28), (2048, 10), (2048, 20)]
BATCH = 2048 * 512
PLANTED = {"flops_matmul": 1e-14, "width_depth": 2e-9, "depth": 3e-7, "constant": 4e-6}


def seconds_per_token(width: int, depth: int, planted: dict[str, float]) -> float:
    """Written out, for one device and one shape."""
    value = {
        "flops_matmul": flops_per_token(Shape(width, depth), "matmul"),
        "width_depth": width * depth,
        "depth": depth,
        "constant": 1.0,
    }
    return sum(coefficient * value[name] for name, coefficient in planted.items())


def timed(
    planted: dict[str, float],
    *,
    shapes: list[tuple[int, int]] = SHAPES,
    noise: float = 0.0,
    devices: tuple[int, ...] = (8, 16),
    **columns: Any,
) -> RunTable:
    """Two checkpoints of each run, its devices in turn; batch and devices do not change what a token takes."""
    rng = np.random.default_rng(0)
    rows = []
    for i, (width, depth) in enumerate(shapes):
        took = seconds_per_token(width, depth, planted) * float(np.exp(rng.normal(0, noise)))
        count = devices[i % len(devices)]
        rows += [
            {
                "run": f"run {i}",
                "width": width,
                "depth": depth,
                "tokens": step * BATCH,
                "step": step,
                "loss": 3.0,
                "seconds_per_step": took * BATCH / count,
                "devices": count,
                **columns,
            }
            for step in (2000, 1000)
        ]
    said = {"vocabulary": 50_304, "head_size": 128, "context": 2048, "queries_per_kv": 2}
    return load(pl.DataFrame(rows), **said).select()


@pytest.mark.parametrize(
    "features",
    [
        ("flops_matmul",),
        ("width_depth", "flops_matmul"),
        ("flops_matmul", "depth", "constant"),
        tuple(FEATURES),
    ],
)
def test_planted_step_times_are_recovered(features: tuple[str, ...]) -> None:
    planted = {name: PLANTED[name] for name in features}
    model = fit_step_time(timed(planted), features=features, bootstrap=40)
    assert model.features == features
    np.testing.assert_allclose(model.coefficients, [planted[f] for f in features], rtol=1e-6)
    assert model.held_out_error is not None and model.held_out_error < 1e-6
    assert model.peak_flops_per_second == pytest.approx(1e14, rel=1e-6)
    for width, depth in ((4096, 64), (128 * 3, 5)):
        hours = float(model.device_hours_per_token(Shapes.of(width, depth)))
        assert hours * 3600 == pytest.approx(seconds_per_token(width, depth, planted), rel=1e-6)
    # The same for a model of one narrow feature: every shape of a grid has its time.
    assert model.device_hours_per_token(Shapes.of([[256], [512]], [1, 2, 3])).shape == (2, 3)


def test_coefficients_are_not_negative_and_the_least_squares_in_relative_error() -> None:
    table = timed({"flops_matmul": 1e-14, "width_depth": 1e-9}, noise=0.3)
    model = fit_step_time(table, features=tuple(FEATURES), bootstrap=0)
    measured = np.array([o.seconds_per_token for o in model.observations])
    shapes = Shapes.of([o.width for o in model.observations], [o.depth for o in model.observations])
    relative = np.column_stack([FEATURES[f](shapes) for f in model.features]) / measured[:, None]
    scale = np.linalg.norm(relative, axis=0)
    other = scipy.optimize.lsq_linear(relative / scale, np.ones(len(measured)), (0, np.inf), tol=1e-14)
    np.testing.assert_allclose(np.array(model.coefficients) * scale, other.x, atol=1e-6)
    assert min(model.coefficients) == 0
    assert any(flag.startswith("feature_at_zero") for flag in model.flags)


def test_all_runs_of_a_shape_are_left_out_together() -> None:
    """Else its twin would give the answer away."""
    table = timed({"flops_matmul": 1e-14, "width_depth": 2e-9}, shapes=[*SHAPES, *SHAPES[:3]], noise=0.2)
    model = fit_step_time(table, bootstrap=0)
    errors = []
    for seen in model.observations:
        rest = table.select(where=f"NOT (width = {seen.width} AND depth = {seen.depth})")
        without = fit_step_time(rest, bootstrap=0)
        one = Shapes.of(seen.width, seen.depth)
        assert seen.left_out == pytest.approx(3600 * float(without.device_hours_per_token(one)))
        errors.append(np.log(seen.left_out / seen.seconds_per_token))  # type: ignore[operator]
    assert model.held_out_error == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert model.held_out_largest == pytest.approx(np.abs(errors).max())
    of_chosen = next(one for one in model.compared if one.features == model.features)
    assert (of_chosen.rms, of_chosen.largest) == (model.held_out_error, model.held_out_largest)
    assert [one.rms for one in model.compared] == sorted(one.rms for one in model.compared)


def test_resamples_are_of_the_runs_that_a_laws_are(gemstones: RunTable) -> None:
    """Resample i of both has the same runs, so that a plan may pair them."""
    table = gemstones.select("all")
    model = fit_step_time(table, bootstrap=40, seed=3)
    weights = draw_weights(table.run_codes, "run", 3, 0)
    first_rows = np.unique(table.run_codes, return_index=True)[1]
    runs = table.frame["run"].to_numpy()[first_rows]
    assert [o.run for o in model.observations] == list(runs)
    for i in range(5):
        counts = weights[i, first_rows].astype(int)
        drawn = [o for o, n in zip(model.observations, counts, strict=True) for _ in range(n)]
        shapes = Shapes.of([o.width for o in drawn], [o.depth for o in drawn])
        measured = np.array([o.seconds_per_token for o in drawn])
        relative = np.column_stack([FEATURES[f](shapes) for f in model.features]) / measured[:, None]
        scale = np.linalg.norm(relative, axis=0)
        found = scipy.optimize.lsq_linear(relative / scale, np.ones(len(drawn)), (0, np.inf), tol=1e-14)
        np.testing.assert_allclose(model.draws[i], found.x / scale, rtol=1e-5)
    assert model.resampling == fit(table, bootstrap=40, seed=3).resampling
    assert fit_step_time(table, bootstrap=70, seed=3).draws[:40] == model.draws


def test_the_shipped_model_is_made_by_its_command(gemstones: RunTable) -> None:
    shipped = gemstones_step_time()
    words = dict(pairwise(STEP_TIME_COMMAND.split()))
    table = gemstones.select(words["--select"])
    again = fit_step_time(table, bootstrap=int(words["--bootstrap"]), seed=int(words["--seed"]))
    np.testing.assert_allclose(again.coefficients, shipped.coefficients, rtol=1e-9)
    np.testing.assert_allclose(again.draws, shipped.draws, rtol=1e-9)
    for ours, theirs in zip(again.compared, shipped.compared, strict=True):
        assert ours.features == theirs.features
        assert (ours.rms, ours.largest) == pytest.approx((theirs.rms, theirs.largest))
    for seen, kept in zip(again.observations, shipped.observations, strict=True):
        assert (seen.run, seen.devices) == (kept.run, kept.devices)
        assert (seen.seconds_per_token, seen.left_out) == pytest.approx(
            (kept.seconds_per_token, kept.left_out)
        )
    for field in ("fingerprint", "dataset", "selection", "flags", "assumptions", "models", "resampling"):
        assert getattr(again, field) == getattr(shipped, field), field


def test_what_predicts_the_step_times_of_the_gemstones(gemstones: RunTable) -> None:
    model = gemstones_step_time()
    assert (len(model.observations), model.devices, model.widths, model.depths) == (
        22,
        (64, 512),
        (256, 3072),
        (3, 80),
    )
    main = gemstones.select("all").frame.filter(pl.col("step") == 2385)
    for seen in model.observations:
        row = main.row(by_predicate=pl.col("run") == seen.run, named=True)
        by_hand = row["seconds_per_step"] * row["devices"] / (2048 * 2048)
        assert seen.seconds_per_token == pytest.approx(by_hand)
    rms = {one.features: one.rms for one in model.compared}
    assert rms["flops_matmul",] == pytest.approx(0.373, abs=5e-4)
    assert rms["flops_matmul", "width_depth"] == pytest.approx(0.1036, abs=5e-5)
    assert min(rms.values()) > 0.95 * rms["flops_matmul", "width_depth"]  # nothing is much better
    assert model.held_out_largest == pytest.approx(0.263, abs=5e-4)
    # MI250X: 383 TFLOP/s a card of two devices, so half of what a device can do.
    assert model.peak_flops_per_second == pytest.approx(99.4e12, rel=1e-3)
    assert model.peak_interval is not None and model.peak_interval[1] < 383e12 / 2
    (flag,) = model.flags
    assert flag.startswith("devices_vary: from 64 to 512") and "+23% on 512 (2)" in flag


def test_the_documentation_has_the_shipped_models_numbers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "device-hours.md").read_text("utf-8")
    model = gemstones_step_time()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([\d.]+) \| ([\d.]+) \|", page, re.MULTILINE)
    written = {tuple(re.findall(r"`(\w+)`", names)): (rms, largest) for names, rms, largest in rows}
    assert written == {one.features: (f"{one.rms:.3f}", f"{one.largest:.3f}") for one in model.compared}
    runs = re.findall(r"^\| (\d+x\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|", page, re.MULTILINE)
    assert runs == [
        (
            f"{o.width}x{o.depth}",
            f"{o.devices}",
            f"{o.seconds_per_token * 1e6:.1f}",
            f"{(o.left_out or 0) / o.seconds_per_token:.2f}",
        )
        for o in sorted(model.observations, key=lambda o: (o.devices or 0, o.seconds_per_token))
    ]


def test_numbers_of_devices_that_matter_are_flagged() -> None:
    """Runs on 32 devices take half as long again per token as the others."""
    planted = {"flops_matmul": 1e-14, "width_depth": 2e-9}
    table = timed(planted, devices=(8, 8, 8, 32))
    slow = table.frame.with_columns(
        pl.when(pl.col("devices") == 32)
        .then(1.5 * pl.col("seconds_per_step"))
        .otherwise("seconds_per_step")
        .alias("seconds_per_step")
    ).drop("device_hours")
    said = {"vocabulary": 50_304, "head_size": 128, "context": 2048, "queries_per_kv": 2}
    flags = fit_step_time(load(slow, **said).select(), bootstrap=0).flags
    (flag,) = (f for f in flags if f.startswith("devices_vary"))
    on = {int(n): float(x) for x, n in re.findall(r"([+-]\d+)% on (\d+)", flag)}
    assert on[8] < 0 < on[32] and (1 + on[32] / 100) / (1 + on[8] / 100) == pytest.approx(1.5, abs=0.06)
    assert not fit_step_time(timed(planted, devices=(8,)), bootstrap=0).flags


def test_better_features_are_flagged() -> None:
    model = fit_step_time(timed({"flops_matmul": 1e-14, "depth": 1e-6}), bootstrap=0)
    (flag,) = (f for f in model.flags if f.startswith("better_features"))
    assert "depth are 0% off, these" in flag or "depth,constant are 0% off, these" in flag


def test_json_round_trip(tmp_path: Path) -> None:
    model = fit_step_time(timed(PLANTED, noise=0.1), bootstrap=64)
    assert len(model.draws) == 64 and model.peak_interval is not None
    model.save(tmp_path / "time.json")
    assert StepTime.load(tmp_path / "time.json") == model
    assert [p.name for p in tmp_path.iterdir()] == ["time.json"]
    bare = StepTime(("width_depth",), (1e-9,))
    assert StepTime.from_json(bare.to_json()) == bare
    assert (bare.held_out_error, bare.peak_flops_per_second, bare.peak_interval, bare.devices) == (None,) * 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": ["flops_matmul", "weights"]}, "'weights' is unknown"),
        ({"features": ["flops_matmul", "flops_matmul"]}, "each once"),
        ({"features": ["flops_matmul"]}, "coefficients do not match"),
        ({"coefficients": [1e-14, -1e-9]}, "not negative"),
        ({"coefficients": [0.0, 0.0]}, "positive"),
        ({"draws": [[1e-14]]}, "draws do not match"),
        ({"resampling": None}, "resampling"),
        ({"coefficients": "many"}, "Expected `array`"),
        ({"speed": 3}, "unknown field"),
        ({"models": {"head_size": 0}}, "width 0"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(change: dict[str, Any], said: str) -> None:
    model = fit_step_time(timed({"flops_matmul": 1e-14, "width_depth": 2e-9}), bootstrap=40)
    text = json.dumps(json.loads(model.to_json()) | change)
    with pytest.raises(InvalidRequest, match=said) as caught:
        StepTime.from_json(text, "mine.json")
    assert str(caught.value).startswith(
        "mine.json is not a throughput model written by `gemstones throughput"
    )
    assert "\n" not in str(caught.value)


def test_what_cannot_be_fitted(chinchilla: RunTable) -> None:
    with pytest.raises(InvalidTable, match="step times are not known: give seconds_per_step, devices and"):
        fit_step_time(chinchilla.select())
    few = timed({"flops_matmul": 1e-14}, shapes=SHAPES[:2])
    with pytest.raises(
        InvalidRequest, match=r"step times of 2 shape.s.: a throughput model of 2 features .* 3"
    ):
        fit_step_time(few)
    assert fit_step_time(few, features=["flops_matmul"]).draws == ()
    for features in (["flops"], [], ["depth", "depth"]):
        with pytest.raises(InvalidRequest, match="are not different ones of flops_matmul"):
            fit_step_time(few, features=features)
    with pytest.raises(InvalidRequest, match="bootstrap -1"):
        fit_step_time(timed(PLANTED), bootstrap=-1)


def test_a_table_that_says_nothing_of_its_models_assumes(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    timed({"flops_matmul": 1e-14, "width_depth": 2e-9}).frame.select(
        "run", "width", "depth", "tokens", "step", "loss", "seconds_per_step", "devices"
    ).write_csv(file)
    model = fit_step_time(load(file).select(), bootstrap=0)
    assert any("vocabulary 50,304 assumed" in a for a in model.assumptions)
    assert any("one kind of device" in a for a in model.assumptions)
    np.testing.assert_allclose(model.coefficients, [1e-14, 2e-9], rtol=1e-6)
