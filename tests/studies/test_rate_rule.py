"""The rule of the rate: a planted one comes back from the bowls, in words, table and figure."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.design.suite import load_suite, suite_shapes
from gemstones.errors import InvalidRequest


def _load() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "studies" / "rate_rule.py"
    spec = importlib.util.spec_from_file_location("rate_rule", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rate_rule"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


study = _load()


def bowl(width: int, tokens: int, best: float, bases: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)) -> object:
    """Losses that are least at the rate `best`."""
    rates = tuple(base / (width * math.sqrt(3)) for base in bases)
    losses = tuple(3 + 0.1 * math.log(rate / best) ** 2 for rate in rates)
    return study.Bowl("gemstones", width, 3, tokens, rates, losses, bases)


def planted(width: int, tokens: int) -> float:
    return 0.3 / (width * math.sqrt(3)) ** 0.6 * (tokens / 10**6) ** -0.2


BOWLS = [
    bowl(width, tokens, planted(width, tokens)) for width in (32, 64) for tokens in (2 * 10**6, 8 * 10**6)
]


def test_a_planted_rule_comes_back() -> None:
    assert all(found.inside for found in BOWLS)
    rule = study.rule_of(BOWLS)
    assert (rule.power, rule.tokens_power) == (pytest.approx(0.6), pytest.approx(-0.2))
    for found in BOWLS:
        assert rule.rate(found.scale, found.tokens) == pytest.approx(planted(found.width, found.tokens))


def test_the_suite_s_rule_is_through_the_rates_of_its_shapes_at_their_horizons() -> None:
    rule = study.rule_of(BOWLS)
    of_suite = study.suite_rule(rule)
    for shape in suite_shapes(load_suite(study.SUITE)):
        if str(shape) in study.LARGEST:
            rate, flops = of_suite.largest / study.scale_of(shape) ** of_suite.rate_power, study.LARGEST_FLOPS
        else:
            rate, flops = of_suite.rate(study.scale_of(shape)), study.MIDDLE_FLOPS
        at = rule.rate(study.scale_of(shape), flops / flops_per_token(shape))
        assert rate == pytest.approx(at, rel=0.15)
    # Without a horizon it is the rule itself.
    flat = study.suite_rule(study.Rule(0.3, 0.6, 0.0))
    assert (flat.lr_base, flat.rate_power, flat.largest) == (0.3, 0.6, 0.3)


def test_an_optimum_at_the_end_of_a_grid_is_not_used() -> None:
    outside = bowl(64, 8 * 10**6, planted(64, 8 * 10**6), (2.0, 4.0, 8.0))
    assert not outside.inside
    with pytest.raises(InvalidRequest, match="two shapes and two horizons"):
        study.rule_of([*BOWLS[:1], outside])
    assert "| no |" in list(study.table([outside]))[-1]


def test_the_figure_has_every_trial_and_every_vertex() -> None:
    rows = study.figure(BOWLS, "title").to_dict()["datasets"]["sweep"]
    assert sum(row["kind"] == "trial" for row in rows) == 16
    assert sum(row["kind"] == "best" for row in rows) == 4
