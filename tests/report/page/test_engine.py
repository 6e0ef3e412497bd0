"""What the page computes is what Python computes: hundreds of plans, in Chromium, to 1e-9."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gemstones.accounting.flops import flops_per_token, inference_flops_per_token
from gemstones.accounting.parameters import PARAMS_CONVENTIONS, params
from gemstones.analyses.overtrain.overtrain import overtrain
from gemstones.errors import UserError
from gemstones.laws.fit import Fit
from gemstones.laws.flops_model import FlopsModel
from gemstones.laws.interval import interval, percentile_interval
from gemstones.laws.law import FittedRange, Law
from gemstones.laws.new_run import new_run_note
from gemstones.laws.parse_form import parse_form
from gemstones.laws.published import LAW_NAMES, FrontierLaw, published
from gemstones.page.explorer import law_data
from gemstones.planning import by_params, sight, surface
from gemstones.planning.cost import Cost
from gemstones.planning.defaults import default_constraints, default_throughput
from gemstones.planning.extrapolation import Extrapolation
from gemstones.planning.plan import plan
from gemstones.report.result import Study
from gemstones.shape import Shape
from gemstones.timing.step_time import StepTime
from gemstones.units import format_quantity, parse_quantity
from tests.report.page.conftest import Reader

TOLERANCE = 1e-9

EVALUATE = """
(vectors) => vectors.map((v) => {
  const { laws, stepTimes, plan, intervals, newRunNote, Mistake } = gemstones;
  const law = v.data ?? laws.find((one) => one.id === v.law);
  const request = {
    law, budget: v.budget, resource: v.resource, stepTime: stepTimes[law.step_time] ?? null,
    inferenceTokens: v.inference, factor: v.factor, near: v.near, ranges: { ...law.ranges, ...v.ranges },
  };
  try {
    const made = plan(request);
    const steps = intervals(request, made);
    let step;
    do step = steps.next(); while (!step.done);
    const { shape, params, paramsTotal, tokens, tokensPerParam, loss, flops, inferenceFlops, deviceHours } = made;
    return {
      shape: shape && `${shape.width}x${shape.depth}`, params, paramsTotal, tokens, tokensPerParam, loss, flops,
      inferenceFlops, deviceHours, deviceHoursEnds: made.deviceHoursEnds, inferenceHours: made.inferenceDeviceHours,
      near: made.near, nearest: made.nearest.map((one) => `${one.width}x${one.depth}`),
      extrapolation: made.extrapolation, ends: step.value?.ends ?? null, note: step.value?.note ?? null,
      edges: made.edges ?? [], optimalLoss: made.optimum.loss,
      newRunNote: law.level ? newRunNote(law, made.extrapolation.flops_decades) : null,
    };
  } catch (error) {
    if (error instanceof Mistake) return { mistake: error.message };
    throw error;
  }
})
"""


@dataclass(frozen=True)
class Vector:
    law: str
    budget: float
    resource: str = "flops"
    inference: float = 0.0
    factor: float = 1.0
    near: float = 0.005
    ranges: dict[str, int] = field(default_factory=dict)


AnyLaw = Fit | Law | FrontierLaw


@pytest.fixture(scope="session")
def laws(stones_study: Study) -> dict[str, AnyLaw]:
    return {fit.law.name: fit for fit in stones_study.fits} | {name: published(name) for name in LAW_NAMES}


def vectors(names: list[str]) -> list[Vector]:
    made = [
        Vector(name, budget)
        for name in names
        for budget in (1e14, 2e15, 4e16, 1e17, 1e18, 3e18, 3.7e19, 5e20, 1e22, 2e25)
    ]
    made += [
        Vector(name, budget, inference=inference)
        for name, budget, inference in itertools.product(names, (1e21, 1e23), (2e9, 3e11, 1e13, 1e15))
    ]
    made += [Vector(name, hours, "device_hours") for name in names for hours in (300.0, 2.5e4, 1e6)]
    made += [Vector(name, 1e5, "device_hours", inference=1e12) for name in names]
    made += [Vector(name, 1e22, factor=f) for name in names for f in (1 / 16, 0.7, 2.0, 16.0)]
    made += [Vector(name, 1e22, factor=3.0, inference=1e11) for name in names]
    made += [Vector(name, 1e4, "device_hours", factor=0.5) for name in names]
    made += [
        Vector(name, 1e21, near=0.02, ranges=ranges)
        for name in names
        for ranges in (
            {"widthMax": 2048},
            {"widthMin": 2048, "widthMax": 2048},
            {"depthMin": 10, "depthMax": 40},
            {"depthMin": 24, "depthMax": 24},
            {"widthMin": 1000, "widthMax": 9000, "depthMin": 3, "depthMax": 90},
            {"widthMin": 257, "widthMax": 300},
            {"widthMin": 900, "widthMax": 800},
        )
    ]
    return made


def throughput_of(law: AnyLaw, study: Study) -> StepTime | None:
    """As on the page: a study's fits take its own step times, published laws those that come with the package."""
    return study.analyses.step_time if law in study.fits else default_throughput(law)


def in_python(vector: Vector, law: AnyLaw, throughput: StepTime | None) -> dict[str, Any]:
    bare = law.law if isinstance(law, Fit) else law
    names = {
        "widthMin": "width_min",
        "widthMax": "width_max",
        "depthMin": "depth_min",
        "depthMax": "depth_max",
    }
    if vector.resource == "device_hours" and throughput is None:
        return {"error": "no step times"}
    try:
        constraints = replace(
            default_constraints(bare), **{names[name]: value for name, value in vector.ranges.items()}
        )
        cost = Cost(
            step_time=throughput if vector.resource == "device_hours" else None,
            inference_tokens=vector.inference,
        )
        if vector.factor != 1:
            made = overtrain(
                vector.budget, law, [vector.factor], constraints=constraints, cost=cost, name=vector.law
            )
            (point,) = made.points
            if point.design is None:
                return {"error": point.reason}
            return {
                "shape": str(point.shape) if point.shape else None,
                "params": point.params,
                "tokens": point.tokens,
                "loss": point.loss,
                "increase": point.loss_increase,
                "ends": named_ends(
                    {
                        "loss": point.loss_interval,
                        "loss_of_fit": point.loss_interval_of_fit,
                        "lossIncrease": point.increase_interval,
                    }
                )
                if point.loss_interval_of_fit
                else None,
                "newRunNote": new_run_note_of(law, point.extrapolation),
                "edges": list(point.edges),
                "extrapolation": point.extrapolation,
            }
        best = plan(
            vector.budget,
            law,
            cost=cost,
            throughput=throughput,
            constraints=constraints,
            near=vector.near,
            name=vector.law,
        )
    except UserError as error:
        return {"error": str(error)}
    ends = best.intervals
    return {
        "shape": None if best.shape is None else str(best.shape),
        "params": best.params,
        "paramsTotal": best.params_total,
        "tokens": best.tokens,
        "tokensPerParam": best.tokens_per_param,
        "loss": best.loss,
        "flops": best.flops,
        "inferenceFlops": best.inference_flops,
        "deviceHours": best.device_hours,
        "deviceHoursEnds": best.device_hours_interval,
        "inferenceHours": best.inference_device_hours,
        "near": best.near_optimal,
        "nearest": [str(shape) for shape in best.nearest_shapes],
        "extrapolation": best.extrapolation,
        "note": best.intervals_note.replace("; the relaxed optimum has none", ""),
        "ends": None if ends is None else named_ends(ends),
        "newRunNote": new_run_note_of(law, best.extrapolation),
    }


def named_ends(ends: Mapping[str, Any]) -> dict[str, Any]:
    """As the page names them; only those that there are."""
    names = {
        "params_total": "paramsTotal",
        "tokens_per_param": "tokensPerParam",
        "loss_of_fit": "lossOfFit",
    }
    return {names.get(n, n): pair for n, pair in ends.items() if n != "aspect_ratio" and pair is not None}


def new_run_note_of(law: AnyLaw, extrapolation: Extrapolation | None) -> str | None:
    """What the page says of the interval of a new run."""
    if not isinstance(law, Fit) or not law.has_intervals or extrapolation is None:
        return None
    return new_run_note(law.new_run_error, law.level, extrapolation.distance)


def check(vector: Vector, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """`ours` is Python's."""
    if "error" in ours:
        assert "mistake" in theirs, (vector, ours, theirs)
        edge = re.search(r"(width|depth) \d+ \(the (largest|smallest)\)", ours["error"])
        assert edge is None or edge[0] in theirs["mistake"], (vector, ours, theirs)
        return
    assert "mistake" not in theirs, (vector, theirs)
    for name, value in ours.items():
        where = f"{vector}: {name}"
        if name in ("shape", "nearest", "edges", "newRunNote"):
            assert theirs[name] == value, where
        elif name == "note":
            assert theirs[name] is None or theirs[name].replace("×", "x") == value, where
        elif name == "increase":
            close(theirs["loss"] / theirs["optimalLoss"] - 1, value, where, absolute=1e-12)
        elif name == "extrapolation":
            assert isinstance(value, Extrapolation)
            for part, number in vars(value).items():
                close(theirs[name][part], number, f"{where}.{part}", absolute=1e-9)
            assert theirs[name]["sentence"].replace("×", "x") == value.sentence(), where
        elif name == "near":
            check_near(theirs["near"], value, where)
        elif name == "ends":
            assert (theirs["ends"] is None) == (value is None), where
            for part, pair in (value or {}).items():
                for a, b in zip(theirs["ends"][part], pair, strict=True):
                    close(a, b, f"{where}.{part}", absolute=1e-12)
        elif name == "deviceHoursEnds":
            for a, b in zip(theirs[name] or (), value or (), strict=True):
                close(a, b, where)
        else:
            close(theirs[name], value, where)


def check_near(theirs: Any, ours: Any, where: str) -> None:
    assert (theirs is None) == (ours is None), where
    if ours is not None:
        assert theirs["count"] == ours.count, where
        assert theirs["width"] == list(ours.width) and theirs["depth"] == list(ours.depth), where
        assert theirs["truncatedBy"] == list(ours.truncated_by), where


def close(theirs: float | None, ours: float | None, where: str, absolute: float = 0.0) -> None:
    if ours is None:
        assert theirs is None, where
    else:
        assert theirs == pytest.approx(ours, rel=TOLERANCE, abs=absolute), where


@pytest.mark.long
def test_hundreds_of_plans_agree(
    stones_page: Path, stones_study: Study, laws: dict[str, AnyLaw], reader: Reader
) -> None:
    wanted = vectors(list(laws))
    page = reader.open(stones_page)
    theirs = page.evaluate(EVALUATE, [vars(vector) for vector in wanted])
    answered = 0
    for vector, found in zip(wanted, theirs, strict=True):
        law = laws[vector.law]
        ours = in_python(vector, law, throughput_of(law, stones_study))
        check(vector, found, ours)
        answered += "error" not in ours
    assert answered > 250


def general_fits() -> dict[str, Fit]:
    """Laws of forms that are no list of columns, each with draws around it."""
    texts = {
        "raised sizes": ("(A/N^a + B/T^b)^p + E", {"A": 3e3, "B": 2e4, "a": 0.6, "b": 0.7, "p": 0.4, "E": 1.1}),
        "interaction": (
            "E + A/N^a + B/T^b + C/(N^c*T^d)",
            {"A": 400, "B": 2000, "C": 5e4, "a": 0.35, "b": 0.36, "c": 0.3, "d": 0.3, "E": 1.7},
        ),
        "tied": ("1.7 + A/N^a + B/T^a", {"A": 400, "B": 900, "a": 0.33}),
        "growing": (
            "E + A/N^a + B/T^(b + c*log(N))",
            {"A": 400, "B": 2000, "a": 0.35, "b": 0.3, "c": 0.002, "E": 1.7},
        ),
        "falling again": (
            "E + A/N^a + B*(N/1e9)^m/T^(b + g*log(N/1e9))",
            {"A": 63.3, "B": 3337, "a": 0.2036, "b": 0.3889, "g": -0.05172, "m": -1.042, "E": 1.266},
        ),
        "raised shapes": (
            "(A/w^a + B/d^b + C/N^c + D/T^d1)^p + E",
            {"A": 2, "B": 0.4, "C": 4e3, "D": 2e5, "a": 0.3, "b": 0.6, "c": 0.6, "d1": 0.7, "p": 0.4, "E": 1.0},
        ),
        "products": (
            "E + A/(w^a*d^b) + G/(w^g*T^h) + B/T^c + H/w^k",
            {"A": 3, "B": 2e4, "G": 40, "H": 8, "a": 0.2, "b": 0.6, "c": 0.5, "g": 0.1, "h": 0.2, "k": 0.5, "E": 1.6},
        ),
        "counts": ("(A/P^a + B/T^b)^p + E", {"A": 3e3, "B": 2e4, "a": 0.6, "b": 0.7, "p": 0.4, "E": 1.1}),
    }  # fmt: skip
    refit = published("gemstones-refit-plain")
    assert isinstance(refit, Fit)
    rng = np.random.default_rng(0)
    fits = {}
    for name, (text, constants) in texts.items():
        form = parse_form(text)
        theta = np.array(
            [np.log(constants[e.name]) if e.parameter.positive else constants[e.name] for e in form.entries]
        )
        draws = theta * (1 + 0.01 * rng.standard_normal((40, len(theta))))
        law = Law.of_theta(form, theta, name=name, fitted=FittedRange(flops=(1e18, 1e22)))
        fits[name] = msgspec.structs.replace(refit, law=law, drawn=tuple(map(tuple, draws.tolist())))
    return fits


@pytest.mark.long
def test_every_form_that_can_be_planned_agrees(small_page: Path, reader: Reader) -> None:
    """Sums raised to a power, products, ties, fixed constants, exponents that vary."""
    fits = general_fits()
    data = {
        name: law_data(name, fit) | {"theta": fit.law.theta.tolist(), "draws": fit.theta_draws.tolist()}
        for name, fit in fits.items()
    }
    wanted = [Vector(name, budget) for name in fits for budget in (1e19, 2e22)]
    wanted += [Vector(name, 1e21, inference=1e12) for name in fits]
    wanted += [Vector(name, 1e21, factor=factor) for name in fits for factor in (0.5, 4.0)]
    wanted += [Vector(name, 1e27) for name in fits]
    page = reader.open(small_page)
    theirs = page.evaluate(EVALUATE, [vars(vector) | {"data": data[vector.law]} for vector in wanted])
    answered = 0
    for vector, found in zip(wanted, theirs, strict=True):
        ours = in_python(vector, fits[vector.law], None)
        check(vector, found, ours)
        answered += "error" not in ours
    assert answered >= 25


def test_shapes_are_counted_alike(stones_page: Path, reader: Reader) -> None:
    page = reader.open(stones_page)
    shapes = [
        Shape(384, 13),  # with the exception of kv heads
        Shape(1024, 28),
        Shape(2560, 8),
        Shape(96, 5, head_size=16, queries_per_kv=3, mlp_expansion=3, vocabulary=1000, context=77),
    ]
    counted = page.evaluate(
        """(shapes) => shapes.map(({ models, width, depth }) => [
          ...["total", "no_embedding", "non_embedding"].map((c) => gemstones.params(models, width, depth, c)),
          gemstones.flopsPerToken(models, width, depth),
          gemstones.appendixG(models, width, depth)[0],
          gemstones.matmulFlopsPerToken(models, width, depth),
        ])""",
        [{"models": s.architecture, "width": s.width, "depth": s.depth} for s in shapes],
    )
    for shape, numbers in zip(shapes, counted, strict=True):
        expected = [params(shape, convention) for convention in PARAMS_CONVENTIONS]
        expected += [
            flops_per_token(shape),
            inference_flops_per_token(shape),
            flops_per_token(shape, "matmul"),
        ]
        assert numbers == pytest.approx(expected, rel=1e-13)


def test_intervals_are_made_alike(stones_page: Path, reader: Reader) -> None:
    page = reader.open(stones_page)
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=400), np.exp(rng.normal(size=60)), np.repeat([1.0, 2.0, 3.0], 20)]
    for draws in samples:
        for estimate in (float(np.median(draws)), float(draws.max() + 1), float(draws.min()), 2.0):
            for level in (0.5, 0.9, 0.95):
                theirs = page.evaluate(
                    "([d, e, l]) => [gemstones.interval(d, e, l), gemstones.percentileInterval(d, e, l)]",
                    [draws.tolist(), estimate, level],
                )
                ours = [f(draws, estimate, level=level) for f in (interval, percentile_interval)]
                assert theirs == [pytest.approx(pair, rel=1e-11, abs=1e-13) for pair in ours]


def test_quantities_are_read_alike(stones_page: Path, reader: Reader) -> None:
    page = reader.open(stones_page)
    texts = ["1e22", "3.2E21", "500E", "0.3B", "2_048", "1,000", "7k", ".5G", "1.e3", "9007199254740993",
             "1,000,000", "3_200", "12,500K", "1,5e22", "1,5", "1_5", "1,234.5", "1.234,5", "0,500",
             "1,000_000", "1,00,000", "1,000e3", "", "e22", "1e", "1x", "-3", "0", "1e999", "1 000",
             "nan", "--1", "1e22 FLOPs", "<b>"]  # fmt: skip
    for text in texts:
        theirs = page.evaluate(
            "(t) => { try { return gemstones.parseQuantity(t, 'budget'); } catch (e) { return e.message; } }",
            text,
        )
        try:
            assert theirs == parse_quantity(text, "budget")
        except UserError as error:
            assert str(error).partition("'")[0] == theirs.partition("‘")[0]
            assert str(error).rpartition("'")[2] == theirs.rpartition("’")[2]
    numbers = [543_482_880, 1e22, 350.1e9, 999.9999e6, 0.00123, 12.0, 100.0, 1e15, 3.456e14, 0.5]
    theirs = page.evaluate("(xs) => xs.map((x) => gemstones.formatQuantity(x))", numbers)
    assert theirs == [format_quantity(x) for x in numbers]


def test_constants_are_those_of_python(stones_page: Path, reader: Reader) -> None:
    page = reader.open(stones_page)
    assert page.evaluate("[gemstones.COARSE_RATIO, gemstones.REACH, gemstones.STEEPEST]") == [
        surface.COARSE_RATIO,
        surface.REACH,
        sight.STEEPEST,
    ]
    assert page.evaluate("gemstones.ASPECT_RATIOS") == list(by_params.ASPECT_RATIOS)
    assert page.evaluate("gemstones.NEAREST") == by_params.NEAREST


def test_extrapolation_without_a_range_says_so(stones_page: Path, reader: Reader) -> None:
    page = reader.open(stones_page)
    said = page.evaluate("gemstones.extrapolation({}, { flops: 1, params: 1, tokens: 1 }).sentence")
    assert said == Extrapolation.of(FittedRange(), flops=1, params=1, tokens=1).sentence()


@pytest.mark.long
def test_laws_that_count_flops_as_their_runs_do_plan(small_page: Path, reader: Reader) -> None:
    """By what was learned of N, of the shape, and a multiple of Appendix G."""
    forms = general_fits()
    models = {
        "raised sizes": [FlopsModel("params", (12.0, 0.9), 0.02), FlopsModel("params", (3.1, 1.0), 0.0)],
        "tied": [FlopsModel("params", (5.0, 1.02), 0.01)],
        "falling again": [FlopsModel("params", (4.0, 1.03), 0.01)],
        "counts": [FlopsModel("ratio", (0.8,), 0.0)],
        "raised shapes": [
            FlopsModel("terms", (40.0, 9000.0, 2e5), 0.001),
            FlopsModel("ratio", (1.3,), None),
            FlopsModel("params", (7.0, 0.98), 0.03, "non_embedding"),
        ],
    }
    fits = {
        f"{name} {i}": msgspec.structs.replace(
            forms[name], law=msgspec.structs.replace(forms[name].law, flops=model), models_assumed=()
        )
        for name, several in models.items()
        for i, model in enumerate(several)
    }
    step_times = {name: default_throughput(fit) for name, fit in fits.items()}
    data = {
        name: law_data(name, fit)
        | {"theta": fit.law.theta.tolist(), "draws": fit.theta_draws.tolist()}
        | {"step_time": None if step_times[name] is None else step_times[name].source}
        for name, fit in fits.items()
    }
    wanted = [Vector(name, budget) for name in fits for budget in (1e20, 2e22)]
    wanted += [Vector(name, 1e21, inference=inference) for name in fits for inference in (1e10, 1e12)]
    wanted += [Vector(name, 1e21, factor=factor) for name in fits for factor in (0.5, 4.0)]
    wanted += [Vector(name, 1e21, factor=2.0, inference=1e11) for name in fits]
    wanted += [Vector(name, 3e4, "device_hours", inference=i) for name in fits for i in (0.0, 1e12)]
    page = reader.open(small_page)
    theirs = page.evaluate(EVALUATE, [vars(vector) | {"data": data[vector.law]} for vector in wanted])
    answered = 0
    for vector, found in zip(wanted, theirs, strict=True):
        ours = in_python(vector, fits[vector.law], step_times[vector.law])
        check(vector, found, ours)
        answered += "error" not in ours
    assert answered >= 50


def test_near_sets_end_where_the_loss_falls_again(small_page: Path, reader: Reader) -> None:
    """Of a law whose exponents vary with N: however much loss is allowed, nothing beyond the crest is near."""
    name = "falling again"
    bare = msgspec.structs.replace(general_fits()[name], drawn=())
    data = law_data(name, bare) | {"theta": bare.law.theta.tolist(), "draws": []}
    wanted = [Vector(name, 9e21, near=near) for near in (0.001, 0.005, 0.05, 0.3, 0.9)]
    page = reader.open(small_page)
    theirs = page.evaluate(EVALUATE, [vars(vector) | {"data": data} for vector in wanted])
    for vector, found in zip(wanted, theirs, strict=True):
        ours = in_python(vector, bare, None)
        check(vector, found, ours)
        assert ours["near"].width[1] < 65_536
