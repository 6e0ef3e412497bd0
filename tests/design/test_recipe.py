"""The recipe: values worked out by hand from the paper's formulas, and what follows from them."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.design.recipe import (
    BETAS,
    CLIP_NORM,
    TRUNCATION,
    WEIGHT_DECAY,
    Patch,
    TensorKind,
    decayed,
    effective_depth,
    learning_rate,
    sigma,
)
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

KINDS: tuple[TensorKind, ...] = get_args(TensorKind)
INCLUSIVE = Patch(inclusive=True)


def test_constants_of_the_paper() -> None:
    assert (BETAS, WEIGHT_DECAY, CLIP_NORM, TRUNCATION) == ((0.9, 0.95), 0.1, 1.0, 3.0)


@pytest.mark.parametrize(
    ("text", "by_rule", "inclusive"),
    [
        ("768x3", 3, 8),
        ("1792x7", 7, 18),
        ("3072x12", 12, 31),
        ("2560x8", 26, 26),
        ("1792x18", 18, 18),
        ("1024x28", 28, 28),
        ("256x80", 80, 80),
    ],
)
def test_depth_of_the_patch(text: str, by_rule: int, inclusive: int) -> None:
    shape = Shape.parse(text)
    assert effective_depth(shape) == by_rule
    assert effective_depth(shape, INCLUSIVE) == inclusive
    assert effective_depth(shape, Patch(mode="off")) == shape.depth
    assert effective_depth(shape, Patch(inclusive=True, mode="off")) == shape.depth
    assert effective_depth(shape, Patch(mode="on")) == math.ceil(shape.width / 100)


def test_the_threshold_is_a_field() -> None:
    shape = Shape(1024, 28)  # ratio 36.57
    assert effective_depth(shape, Patch(36.5)) == 11
    assert effective_depth(shape, Patch(36.6)) == 28
    with pytest.raises(InvalidRequest, match=r"^threshold: -1\.?0? must be a positive number$"):
        Patch(-1)


def test_learning_rates() -> None:
    assert learning_rate(Shape(1024, 28)) == pytest.approx(5 / (1024 * math.sqrt(28)), rel=1e-15)
    assert learning_rate(Shape(1024, 28), 2.5) == learning_rate(Shape(1024, 28)) / 2
    assert learning_rate(Shape(2560, 8)) == pytest.approx(5 / (2560 * math.sqrt(26)), rel=1e-15)
    assert learning_rate(Shape(768, 3)) == pytest.approx(5 / (768 * math.sqrt(3)), rel=1e-15)
    assert learning_rate(Shape(768, 3), 5, INCLUSIVE) == pytest.approx(5 / (768 * math.sqrt(8)), rel=1e-15)


def test_sigmas_unpatched() -> None:
    shape = Shape(1024, 28)
    for kind in KINDS:
        if kind not in ("attention_output", "mlp_output"):
            assert sigma(shape, kind) == sigma(shape, kind, 5) == 1 / 32
    assert sigma(shape, "attention_output", 0) == pytest.approx(1 / math.sqrt(2 * 1024))
    assert sigma(shape, "attention_output", 27) == pytest.approx(1 / math.sqrt(2 * 1024 * 28))
    assert sigma(shape, "mlp_output", 0) == pytest.approx(1 / math.sqrt(2 * 4096))
    assert sigma(shape, "mlp_output", 9) == pytest.approx(1 / math.sqrt(2 * 4096 * 10))


def test_the_mlp_output_counts_the_real_mlp_width() -> None:
    shape = Shape(1024, 4, mlp_expansion=3)
    assert sigma(shape, "mlp_output", 1) == pytest.approx(1 / math.sqrt(2 * 3072 * 2))


def test_sigmas_patched() -> None:
    shape = Shape(2560, 8)  # depth' = 26: layer 4 counts as 4 · 26/8 = 13
    assert sigma(shape, "attention_output", 4) == pytest.approx(1 / math.sqrt(2 * 2560 * 14))
    assert sigma(shape, "mlp_output", 4) == pytest.approx(1 / math.sqrt(2 * 10240 * 14))
    assert sigma(shape, "attention_output", 4, Patch(mode="off")) == pytest.approx(
        1 / math.sqrt(2 * 2560 * 5)
    )
    # l' is not rounded: layer 1 counts as 3.25.
    assert sigma(shape, "attention_output", 1) == pytest.approx(1 / math.sqrt(2 * 2560 * 4.25))
    assert sigma(shape, "query", 4) == sigma(shape, "embedding") == pytest.approx(1 / math.sqrt(2560))


@pytest.mark.parametrize("layer", [None, -1, 8])
def test_output_projections_name_their_layer(layer: int | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sigma(Shape(2560, 8), "mlp_output", layer)
    assert str(caught.value) == f"layer {layer} of mlp_output must be 0 to 7 in shape 2560x8"


def test_matrices_decay_and_norms_do_not() -> None:
    assert len(KINDS) == 9
    assert all(decayed(kind) for kind in KINDS)
    assert not decayed("norm")


@given(
    heads=st.integers(1, 40),
    depth=st.integers(1, 100),
    patch=st.builds(Patch, st.floats(1, 1000), st.booleans(), st.sampled_from(["rule", "off"])),
)
def test_the_rate_and_the_last_layers_follow_one_depth(heads: int, depth: int, patch: Patch) -> None:
    shape = Shape(heads * 256, depth)
    deep = effective_depth(shape, patch)
    assert learning_rate(shape, 5, patch) * shape.width * math.sqrt(deep) == pytest.approx(5)
    # The first layer is never rescaled, and later ones start smaller.
    sigmas = [sigma(shape, "attention_output", layer, patch) for layer in range(depth)]
    assert sigmas[0] == pytest.approx(1 / math.sqrt(2 * shape.width))
    assert sigmas == sorted(sigmas, reverse=True)
    assert len(set(sigmas)) == depth
