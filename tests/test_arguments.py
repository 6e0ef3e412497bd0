"""Every public function refuses what is of the wrong type in one line that names the argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gemstones as gs
from gemstones.arguments import accepted, checked
from gemstones.errors import InvalidRequest, UserError
from tests.analyses import planted

OWN: dict[str, Callable[[], dict[str, Any]]] = {
    "Constraints": dict,
    "Cost": dict,
    "Levels": dict,
    "Objective": dict,
    "Shape": lambda: {"width": 1024, "depth": 28},
    "approach1_figure": lambda: {"runs": "pebbles", "envelopes": gs.envelope("pebbles")},
    "approach3_figure": lambda: {"laws": "chinchilla", "budgets": [1e20]},
    "backtest": lambda: {"runs": "pebbles", "laws": ["N,T"], "splits": ["compute"], "draws": 40},
    "envelope": lambda: {"runs": "pebbles"},
    "feasible_shapes": lambda: {"size": 1e8},
    "fit": lambda: {"runs": "pebbles", "law": "N,T"},
    "fit_step_time": lambda: {"runs": "pebbles"},
    "flops_per_token": lambda: {"shape": gs.Shape(1024, 28)},
    "load": lambda: {"name_or_path": "pebbles"},
    "memory_bytes": lambda: {"shape": gs.Shape(1024, 28)},
    "overspend": lambda: {"runs": "pebbles", "tokens": "4M"},
    "overtrain": lambda: {"budget": 1e22, "law": "chinchilla"},
    "params": lambda: {"shape": gs.Shape(1024, 28)},
    "params_by_group": lambda: {"shape": gs.Shape(1024, 28)},
    "plan": lambda: {"budget": 1e22, "law": "chinchilla"},
    "predict": lambda: {"law": "chinchilla", "at": {"N": 1e9, "T": 2e10}},
    "downstream": lambda: {
        "runs": planted.tasks(runs=5, checkpoints=4),
        "task": "exam",
        "form": "gadre",
        "bootstrap": 0,
        "law": "T",
    },
    "isoflop": lambda: {"runs": planted.grid(), "bootstrap": 40},
    "published": lambda: {"name": "chinchilla"},
}
"""Public callables, with the least that each is content with."""
NOT_CALLED = {
    # values that functions return, errors, and functions without arguments
    "Backtest", "Comparison", "Design", "Downstream", "Envelope", "Fit", "FrontierLaw", "GemstonesError", "IsoFlop",
    "Law", "NextRuns", "Overspend", "Overtraining", "Plan", "PlanOptions", "Plans", "Predictions", "RunTable",
    "Sensitivity", "Shapes", "StepTime", "Study", "UserError", "gemstones_step_time", "load_industry",
    # these work for minutes, or on what those do: by their annotations, below
    "backtest_figure", "compare", "compare_by", "compare_figure", "compare_increases", "design_figure",
    "design_runs", "downstream_figure", "evaluate", "isoflop_figure", "next_runs", "overspend_figure",
    "overtrain_figure", "rainbow_figure", "reproduce", "sensitivity", "shares_figure",
    "studies_figure", "study",
}  # fmt: skip
WRONG: tuple[Any, ...] = (
    None, True, "a", "", -1, 0, 1.5, float("nan"), float("inf"), 10**400, [], ["a"], [None], {}, {"a": 1}, object(),
    np.array([1.0, -1.0]), b"x", int,
)  # fmt: skip


def test_every_public_name_is_tried_or_known_not_to_be() -> None:
    assert set(OWN) | NOT_CALLED == set(gs.__all__), "add it to OWN, or to NOT_CALLED"


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long) if n in ("backtest", "downstream") else n for n in OWN],
)
def test_wrong_values_are_refused_in_one_line(name: str) -> None:
    function, given = getattr(gs, name), OWN[name]()
    function(**given)
    tried = 0
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        for value in WRONG:
            if value is argument.default:
                continue
            try:
                function(**{**given, argument.name: value})
            except UserError as error:
                assert "\n" not in str(error) and len(str(error)) < 500
                tried += 1
            # What is refused otherwise fails here: TypeError, AttributeError, ValueError, RuntimeWarning, …
    assert tried > 3


@pytest.mark.parametrize("name", [
    "backtest_figure", "compare_figure", "design_figure", "isoflop_figure", "overspend_figure", "overtrain_figure",
    "rainbow_figure", "shares_figure", "studies_figure",
])  # fmt: skip
@pytest.mark.parametrize("value", [None, 3, "a", {}])
def test_figures_refuse_what_they_do_not_draw(name: str, value: Any) -> None:
    with pytest.raises(UserError):
        getattr(gs, name)(value)


@pytest.mark.parametrize(("options", "says"), [
    ({"budgets": "1e22"}, "budgets '1e22' must be a list of numbers or text"),
    ({"budgets": ["x"]}, "budget 'x' is not a number: write it like 2048, 1e22, 50M or 100B"),
    ({"bootstrap": "a"}, "bootstrap 'a' must be a whole number"),
    ({"workers": 1.5}, "workers 1.5 must be a whole number or text"),
    ({"levels": 3}, "levels 3 must be of type Levels"),
    ({"output": 3}, "output 3 must be a path"),
    ({"selections": "all"}, "selections 'all' must be a list of text"),
    ({"where": 3}, "where 3 must be text"),
])  # fmt: skip
def test_long_analyses_refuse_before_they_start(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        gs.sensitivity("pebbles", **options)
    assert str(caught.value) == says
    shared = {name: value for name, value in options.items() if name in ("budgets", "bootstrap", "workers")}
    if shared:
        with pytest.raises(UserError) as caught:
            gs.study("pebbles", tmp_path / "study", **shared)
        assert str(caught.value) == says
        assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(("call", "says"), [
    (lambda: gs.fit(5), "a value of type int holds no runs: give the name of a data set (gemstones, gemstones-"),
    (lambda: gs.fit(None), "a value of type NoneType holds no runs: give the name of a data set (gemstones, "),
    (lambda: gs.fit("pebbles", law=3), "law 3 must be text or a list of text"),  # type: ignore[arg-type]
    (lambda: gs.fit("pebbles", ["N", 3]), "law ['N', 3] must be text or a list of text"),  # type: ignore[list-item]
    (lambda: gs.fit("pebbles", bootstrap="a"), "bootstrap 'a' must be a whole number"),  # type: ignore[arg-type]
    (lambda: gs.fit("pebbles", level="a"), "level 'a' must be a number"),  # type: ignore[arg-type]
    (lambda: gs.fit("pebbles", level=2), "level 2 must lie between 0 and 1, like 0.95"),
    (lambda: gs.fit("pebbles", objective="huber"), "objective 'huber' must be of type Objective"),  # type: ignore[arg-type]
    (lambda: gs.fit("pebbles", progress=3), "progress 3 must be a function"),  # type: ignore[arg-type]
    (lambda: gs.plan({"a": 1}, "chinchilla"), "budget {'a': 1} must be a number or text or a list of numbers or text"),  # type: ignore[call-overload]
    (lambda: gs.plan([], "chinchilla"), "budget [] is empty: give one budget or a list of them, like [1e20, 1e22]"),
    (lambda: gs.fit("pebbles", seed="a"), "seed 'a' must be a whole number or a numpy Generator"),  # type: ignore[arg-type]
    (lambda: gs.fit("pebbles", random_state=1), "fit has no argument random_state: it is called seed"),  # type: ignore[call-arg]
    (lambda: gs.fit("pebbles", bootstraps=1), "fit has no argument bootstraps: it is called bootstrap"),  # type: ignore[call-arg]
    (lambda: gs.plan(1e22, colour=1), "plan has no argument colour: it has budget, law, cost, throughput, "),  # type: ignore[call-overload]
    (lambda: gs.Objective(delta="x"), "delta 'x' must be a number"),  # type: ignore[arg-type]
    (lambda: gs.Constraints(width_max=1.5), "width_max 1.5 must be a whole number"),  # type: ignore[arg-type]
    (lambda: gs.params(5), "a value of type int is no Shape or Shapes: give one like Shape(1024, 28)"),  # type: ignore[call-overload]
])  # fmt: skip
def test_what_is_said(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert str(caught.value).startswith(says)


@pytest.mark.long
def test_numbers_of_numpy_are_plain_in_what_is_made() -> None:
    made = gs.fit("pebbles", "w,d,T", bootstrap=np.int64(40), seed=np.int32(1), level=np.float32(0.5))
    assert made == gs.Fit.from_json(made.to_json())
    assert type(made.level) is float
    assert gs.Objective(delta=np.float64(1e-3)) == gs.Objective(delta=1e-3)


def test_what_is_accepted() -> None:
    @checked
    def call(several: tuple[float, ...], *more: int, output: Path | None = None, **rest: Any) -> Any:
        return several, more, output, rest

    assert call([1, 2.5], np.int64(3), output="x", other="y") == ((1, 2.5), (3,), Path("x"), {"other": "y"})
    with pytest.raises(InvalidRequest, match=r"^more 'a' must be a whole number$"):
        call([1.0], 2, "a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing"):  # in Python's own words
        call()  # type: ignore[call-arg]


def test_long_values_are_named_by_their_type() -> None:
    with pytest.raises(InvalidRequest, match=r"^x of type list must be a whole number$"):
        accepted("x", list(range(100)), int)
    with pytest.raises(InvalidRequest, match=r"^x of type ndarray must be a whole number$"):
        accepted("x", np.zeros(99), int)
