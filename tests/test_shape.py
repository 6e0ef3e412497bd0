"""What is written is what is read, what breaks a rule is refused, and arrays agree with single shapes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gemstones.errors import InvalidShape
from gemstones.shape import Shape, Shapes

FIELDS = [field.name for field in dataclasses.fields(Shape)]
FAR = st.integers(1, 10**6)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Valid by construction: width = kv heads x ratio x head size."""
    head_size, ratio = draw(st.sampled_from([1, 16, 64, 96, 128])), draw(st.integers(1, 8))
    return Shape(
        draw(st.integers(1, 40)) * ratio * head_size,
        draw(st.integers(1, 255)),
        head_size=head_size,
        queries_per_kv=ratio,
        mlp_expansion=draw(st.integers(1, 8)),
        vocabulary=draw(FAR),
        context=draw(FAR),
    )


def refusal(*args: Any, **fields: Any) -> str:
    with pytest.raises(InvalidShape) as caught:
        Shape(*args, **fields)
    assert caught.value.exit_status == 2
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@given(shapes())
def test_written_and_read(shape: Shape) -> None:
    others = {name: getattr(shape, name) for name in FIELDS[2:]}
    for text in (str(shape), f" {shape.width} X {shape.depth} ", f"{shape.width}×{shape.depth}"):
        assert Shape.parse(text, **others) == shape
    assert str(shape) == f"{shape.width}x{shape.depth}"


def test_defaults_are_the_papers() -> None:
    shape = Shape.parse("1024x28")
    assert dataclasses.astuple(shape) == (1024, 28, 128, 2, 4, 50_304, 2048)
    assert (shape.query_heads, shape.kv_heads, shape.mlp_width) == (8, 4, 4096)
    assert shape.aspect_ratio == 1024 / 28


@given(shapes())
def test_heads_share_the_width(shape: Shape) -> None:
    assert shape.query_heads * shape.head_size == shape.width
    assert shape.kv_heads * shape.queries_per_kv == shape.query_heads
    assert shape.mlp_width == shape.width * shape.mlp_expansion


def test_width_384_is_an_exception_by_name() -> None:
    shape = Shape(384, 13)
    assert (shape.query_heads, shape.kv_heads) == (3, 1)
    assert Shape(384, 13, queries_per_kv=3).kv_heads == 1
    assert Shape(384, 13, queries_per_kv=1).kv_heads == 3
    # Neither of another head size nor of another odd number of heads.
    message = refusal(192, 13, head_size=64)
    assert message.startswith(
        "width 192 has 3 query heads of size 64, which 2 queries per kv head do not divide"
    )
    assert "multiple of 128" in message
    for odd in (1, 5, 7, 9):
        assert refusal(odd * 128, 13).startswith(
            f"width {odd * 128} has {odd} query heads of size 128, which "
        )


def test_the_nearest_widths_are_offered() -> None:
    assert refusal(1000, 28) == (
        "width 1000 is not a multiple of the head size 128: choose 896 or 1024, or set another head size"
    )
    assert refusal(100, 28).endswith("choose 128, or set another head size")


@given(st.integers(1, 4096), st.integers(1, 255), st.sampled_from([16, 64, 128]), st.integers(1, 8))
@example(384, 13, 128, 2)
@example(384, 13, 128, 4)
def test_a_shape_is_valid_exactly_when_its_heads_divide(
    width: int, depth: int, head_size: int, ratio: int
) -> None:
    exception = (width, head_size, ratio) == (384, 128, 2)
    if width % head_size == 0 and (width // head_size % ratio == 0 or exception):
        assert Shape(width, depth, head_size=head_size, queries_per_kv=ratio).width == width
    else:
        assert refusal(width, depth, head_size=head_size, queries_per_kv=ratio).startswith(f"width {width} ")


@given(
    st.sampled_from(FIELDS),
    st.integers(max_value=0) | st.floats() | st.text() | st.none() | st.booleans() | st.just(np.int64(0)),
)
def test_fields_are_whole_numbers_of_at_least_one(name: str, value: Any) -> None:
    fields = dataclasses.asdict(Shape(1024, 28)) | {name: value}
    assert refusal(**fields) == f"{name} {value!r} of a shape must be a whole number of at least 1"


def test_numpy_integers_become_plain_ones() -> None:
    shape = Shape(np.int64(1024), np.int32(28))  # type: ignore[arg-type]
    assert {type(value) for value in dataclasses.astuple(shape)} == {int}
    assert (shape, hash(shape)) == (Shape(1024, 28), hash(Shape(1024, 28)))


@given(st.text("0123456789xX× .-٣\n", max_size=10) | st.text())
@example("1" * 5000 + "x28")
@example("0x28")
def test_any_text_is_a_shape_or_one_line(text: str) -> None:
    try:
        shape = Shape.parse(text)
    except InvalidShape as error:
        assert error.exit_status == 2
        assert len(str(error).splitlines()) == 1
    else:
        assert Shape.parse(str(shape)) == shape


@pytest.mark.parametrize("text", ["", "1024", "1024x", "x28", "1024x28x2", "1024*28", "-128x2", "1e3x28"])
def test_what_is_not_written_as_a_shape(text: str) -> None:
    with pytest.raises(InvalidShape) as caught:
        Shape.parse(text)
    assert str(caught.value) == f"shape {text!r} is not WIDTHxDEPTH: write it like 1024x28"


@given(shapes(), st.lists(st.tuples(st.integers(1, 40), st.integers(1, 255)), min_size=1, max_size=8))
def test_arrays_agree_with_single_shapes(like: Shape, multiples: list[tuple[int, int]]) -> None:
    step = like.head_size * like.queries_per_kv
    singles = [dataclasses.replace(like, width=step * m, depth=depth) for m, depth in multiples]
    arrays = Shapes.of([s.width for s in singles], [s.depth for s in singles], like)
    for name in FIELDS[2:]:
        assert getattr(arrays, name) == getattr(like, name)
    for name in ("width", "depth", "query_heads", "kv_heads", "mlp_width", "aspect_ratio"):
        np.testing.assert_array_equal(getattr(arrays, name), [getattr(s, name) for s in singles], name)


def test_arrays_have_the_defaults_and_the_exception() -> None:
    arrays = Shapes.of([256, 384, 512], [[2], [3]])
    one = Shape(256, 2)
    assert [getattr(arrays, name) for name in FIELDS[2:]] == [getattr(one, name) for name in FIELDS[2:]]
    np.testing.assert_array_equal(arrays.kv_heads, [1, 1, 2])
    assert arrays.aspect_ratio.shape == (2, 3)
    # Neither at another ratio nor of another head size.
    assert Shapes.of(384, 2, Shape(128, 2, queries_per_kv=1)).kv_heads == 3
    assert Shapes.of(192, 2, Shape(128, 2, head_size=64)).kv_heads == 1.5


@given(st.floats(1, 1e5))
def test_relaxed_widths_have_fractions_of_heads(width: float) -> None:
    assume(width != 384)
    assert Shapes.of(width, 1.5).kv_heads == width / 256
