"""Parameters against the published sizes, and against a model written out as a list of its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.accounting.parameters import (
    PARAMS_CONVENTIONS,
    params,
    params_by_group,
    params_convention,
)
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape, Shapes

SHAPES = st.builds(
    lambda heads, depth, head_size, ratio, **others: Shape(
        heads * ratio * head_size, depth, head_size=head_size, queries_per_kv=ratio, **others
    ),
    st.integers(1, 32),
    st.integers(1, 255),
    st.sampled_from([16, 64, 128]),
    st.integers(1, 4),
    mlp_expansion=st.integers(1, 8),
    vocabulary=st.integers(1, 300_000),
    context=st.integers(1, 10_000),
) | st.builds(Shape, st.just(384), st.integers(1, 255))


def weights(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every weight of the model: its group and its dimensions."""
    width, head_size = shape.width, shape.head_size
    yield "embedding", (shape.vocabulary, width)
    for _ in range(shape.depth):
        yield "norm", (width,)
        yield "attention", (width, shape.query_heads * head_size)  # queries
        yield "attention", (width, shape.kv_heads * head_size)  # keys
        yield "attention", (width, shape.kv_heads * head_size)  # values
        yield "attention", (shape.query_heads * head_size, width)  # output
        yield "norm", (width,)
        yield "mlp", (width, shape.mlp_width)  # gate
        yield "mlp", (width, shape.mlp_width)  # up
        yield "mlp", (shape.mlp_width, width)  # down
    yield "norm", (width,)
    yield "head", (width, shape.vocabulary)


@pytest.mark.parametrize(
    ("text", "total"),
    [("1024x28", 543_482_880), ("2048x27", 1_904_850_944), ("768x3", 103_814_400), ("384x13", 66_758_784)],
)
def test_published_sizes(text: str, total: int) -> None:
    shape = Shape.parse(text)
    embedding = 50_304 * shape.width
    assert params(shape) == params(shape, "total") == total
    assert params(shape, "no_embedding") == total - embedding
    assert params(shape, "non_embedding") == total - 2 * embedding


def test_groups_of_a_gemstone() -> None:
    assert params_by_group(Shape(1024, 28)) == {
        "embedding": 51_511_296,
        "head": 51_511_296,
        "attention": 88_080_384,
        "mlp": 352_321_536,
        "norm": 58_368,
    }


@given(SHAPES)
def test_every_weight_is_counted_once_in_its_group(shape: Shape) -> None:
    counted = dict.fromkeys(("embedding", "head", "attention", "mlp", "norm"), 0)
    for group, dimensions in weights(shape):
        counted[group] += math.prod(dimensions)
    assert params_by_group(shape) == counted
    assert params(shape) == sum(counted.values())
    assert params(shape, "no_embedding") == params(shape) - counted["embedding"]
    assert params(shape, "non_embedding") == params(shape) - counted["embedding"] - counted["head"]
    assert {type(count) for count in params_by_group(shape).values()} == {int}


@given(SHAPES, st.lists(st.integers(1, 255), min_size=1, max_size=5))
def test_arrays_agree_with_single_shapes(like: Shape, depths: list[int]) -> None:
    step = like.head_size * like.queries_per_kv
    singles = [
        [dataclasses.replace(like, width=width, depth=depth) for depth in depths]
        for width in (like.width, step, 3 * step)
    ]
    arrays = Shapes.of(np.array([[like.width], [step], [3 * step]]), depths, like)
    for convention in PARAMS_CONVENTIONS:
        expected = [[params(shape, convention) for shape in row] for row in singles]
        np.testing.assert_array_equal(params(arrays, convention), expected, convention)
    for group, counts in params_by_group(arrays).items():
        expected = [[params_by_group(shape)[group] for shape in row] for row in singles]
        np.testing.assert_array_equal(np.broadcast_to(counts, (3, len(depths))), expected, group)


def test_relaxed_widths_lie_between_their_neighbours() -> None:
    sizes = params(Shapes.of([1024, 1100.5, 1280], 28.0))
    assert sizes[0] < sizes[1] < sizes[2]
    # Queries and output w² each, keys and values half of that each, MLP 3·4·w²: 15·w² in a block.
    w = 1100.5
    assert sizes[1] == pytest.approx(2 * 50_304 * w + 28 * (15 * w**2 + 2 * w) + w, rel=1e-15)


def test_an_unknown_convention() -> None:
    message = "parameter convention 'bare' is unknown: choose from total, no_embedding, non_embedding"
    for call in (lambda: params(Shape(1024, 28), "bare"), lambda: params_convention("bare")):  # type: ignore[call-overload]
        with pytest.raises(InvalidRequest) as caught:
            call()
        assert str(caught.value) == message
        assert caught.value.exit_status == 2
    assert [params_convention(name) for name in PARAMS_CONVENTIONS] == list(PARAMS_CONVENTIONS)
