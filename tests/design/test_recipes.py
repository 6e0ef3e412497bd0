"""Recipes: rates and initial values of each, and what they have in common."""

from __future__ import annotations

import math

import pytest

from gemstones.design.recipe import learning_rate, sigma
from gemstones.design.recipes import ADAMW_OVER_MUON, MUP_BASE_WIDTH, RECIPES, AnyTensor
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

TENSORS: tuple[AnyTensor, ...] = (
    *("embedding", "head", "norm", "query", "key", "value", "attention_output"),
    *("mlp_gate", "mlp_up", "mlp_output"),
)
GEMSTONES, MUP, MUON = (RECIPES[name] for name in ("gemstones", "mup", "muon"))


def shape(width: int, depth: int = 4) -> Shape:
    return Shape(width, depth, head_size=16, vocabulary=512, context=64)


def test_gemstones_is_the_paper_s() -> None:
    for width in (64, 1024):
        assert GEMSTONES.learning_rate(shape(width), 5.0) == learning_rate(shape(width), 5.0)
        assert {GEMSTONES.rate_factor(shape(width), tensor) for tensor in TENSORS} == {1.0}
    assert (GEMSTONES.betas, GEMSTONES.weight_decay, GEMSTONES.lr_base) == ((0.9, 0.95), 0.1, 5.0)


def test_mup_is_gemstones_at_its_base_width() -> None:
    base = shape(MUP_BASE_WIDTH)
    for tensor in TENSORS:
        assert MUP.rate_factor(base, tensor) == 1.0
        if tensor != "norm":
            assert MUP.sigma(base, tensor, 1, MUP.patch) == pytest.approx(sigma(base, tensor, 1))


@pytest.mark.parametrize("widths", [2, 4, 8])
def test_mup_scales_rates_and_initial_values_with_the_width(widths: int) -> None:
    # Tensor Programs V, Table 8, Adam: matrices 1/n, vectors and embedding constant; here the embedding is
    # multiplied by sqrt(n) in the model, so that its initial value and its rate go as 1/sqrt(n).
    base, wide = shape(MUP_BASE_WIDTH), shape(MUP_BASE_WIDTH * widths)
    rates = {t: MUP.learning_rate(wide, 1.0) * MUP.rate_factor(wide, t) for t in TENSORS}
    before = {t: MUP.learning_rate(base, 1.0) * MUP.rate_factor(base, t) for t in TENSORS}
    for tensor in TENSORS:
        expected = {"norm": 1.0, "embedding": 1 / math.sqrt(widths)}.get(tensor, 1 / widths)
        assert rates[tensor] / before[tensor] == pytest.approx(expected)
    assert MUP.sigma(wide, "head", None, MUP.patch) == pytest.approx(
        MUP.sigma(base, "head", None, MUP.patch) / widths
    )


def test_muon_s_rate_knows_no_width_and_adamw_s_beside_it_does() -> None:
    assert MUON.learning_rate(shape(64, 9), 0.02) == pytest.approx(0.02 / 3)
    assert MUON.learning_rate(shape(1024, 9), 0.02) == MUON.learning_rate(shape(64, 9), 0.02)
    for tensor in TENSORS:
        beside = tensor in {"embedding", "head", "norm"}
        assert MUON.rate_factor(shape(256), tensor) == (ADAMW_OVER_MUON / 256 if beside else 1.0)


@pytest.mark.parametrize("name", RECIPES)
def test_the_power_of_the_rate_is_of_the_scale(name: str) -> None:
    recipe = RECIPES[name]
    one, half, none = (
        recipe.learning_rate(shape(64, 9), 1.0, recipe.patch, power) for power in (1.0, 0.5, 0.0)
    )
    assert (half, none) == (pytest.approx(math.sqrt(one)), 1.0)


def test_a_run_s_rate_is_checked_by_its_recipe() -> None:
    fields = {"family": "main", "tokens": 10**6, "batch_sequences": 4, "warmup_tokens": 0}
    every = {"evaluate_tokens": 10**5, "checkpoint_tokens": 10**5}
    run = RunSpec.of(shape(64), recipe="muon", lr_base=0.02, **fields, **every)
    assert run.learning_rate == 0.01
    with pytest.raises(InvalidRequest, match=r"learning_rate: 0\.01 is not the "):
        RunSpec.from_json(run.to_json().replace('"muon"', '"mup"'))
    with pytest.raises(InvalidRequest, match="recipe: 'sgd' is not known"):
        RunSpec.from_json(run.to_json().replace('"muon"', '"sgd"'))
    with pytest.raises(InvalidRequest, match="recipe: 'sgd' is not known: choose from gemstones, mup, muon"):
        RunSpec.of(shape(64), recipe="sgd", **fields, **every)  # type: ignore[arg-type]
