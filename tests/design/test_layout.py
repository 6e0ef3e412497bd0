"""Layouts: what divides, and what each rank holds, against counts done by hand (torch's are in test_dry_run)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.accounting.parameters import params, params_by_group
from gemstones.design.layout import Layout, device_bytes, local_params, tensor_parallel_degrees
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape

LARGE = Shape(2048, 27)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("256x23", (1,)),
        ("384x13", (1,)),
        ("768x3", (1,)),  # 3 kv heads, but 3 does not divide the sequence of 2048
        ("1792x7", (1,)),
        ("512x12", (1, 2)),
        ("1024x28", (1, 2, 4)),
        ("2048x27", (1, 2, 4, 8)),
        ("3072x12", (1, 2, 4)),
    ],
)
def test_tensor_parallel_degrees_of_the_paper(text: str, degrees: tuple[int, ...]) -> None:
    assert tensor_parallel_degrees(Shape.parse(text)) == degrees


@given(st.integers(1, 30), st.integers(1, 4), st.sampled_from([8, 16, 128]), st.sampled_from([96, 128, 2048]))
def test_every_split_is_even(kv_heads: int, ratio: int, head_size: int, context: int) -> None:
    shape = Shape(kv_heads * ratio * head_size, 2, head_size=head_size, queries_per_kv=ratio, context=context)
    split = (shape.kv_heads, shape.query_heads, shape.mlp_width, shape.context)
    allowed = {degree for degree in range(1, shape.width + 1) if all(n % degree == 0 for n in split)}
    assert set(tensor_parallel_degrees(shape)) == allowed


@given(
    st.sampled_from([Shape(1280, 3), Shape(96, 5, head_size=16, vocabulary=501, context=96)]),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_the_ranks_hold_the_model_once_and_norms_on_each_tensor_rank(
    shape: Shape, data: int, tensor: int
) -> None:
    layout = Layout(data, tensor)
    held = [local_params(shape, layout, rank) for rank in range(layout.processes)]
    assert sum(held) == params(shape) + (tensor - 1) * params_by_group(shape)["norm"]
    assert max(held) == held[0]


def test_an_embedding_of_50304_rows_over_256_ranks() -> None:
    first, last = (local_params(LARGE, Layout(256), rank) for rank in (0, 255))
    # Embedding and head are 255 times 197 rows and once 69; all else divides.
    assert first - last == 2 * (197 - 69) * 2048
    assert 255 * first + last == params(LARGE)


def test_bytes_of_a_device() -> None:
    held = device_bytes(LARGE, Layout(64, 4))
    count = local_params(LARGE, Layout(64, 4), 0)
    assert (held.weights, held.gradients, held.moments) == (4 * count, 4 * count, 8 * count)
    # A quarter of the matrices, and whole norms: embedding and head; then query and output, key and value, MLP.
    outer = 2 * 50_304 * 512 + 2048
    block = (2 * 2048 + 2 * 1024 + 3 * 8192) * 512 + 2 * 2048
    assert held.gathered == 4 * (outer + 2 * block) + 4 * (outer + block)
    assert held.total == held.states + held.gathered == 16 * count + held.gathered


def test_nothing_is_gathered_without_data_ranks() -> None:
    assert device_bytes(LARGE, Layout(1, 8)).gathered == 0
    assert device_bytes(LARGE, Layout()).total == 16 * params(LARGE)
    one, two = (device_bytes(Shape(2048, depth), Layout(2)).gathered for depth in (1, 2))
    assert two - one == 4 * (
        params(Shape(2048, 2)) - params(Shape(2048, 1))
    )  # there is no next block to fetch


@pytest.mark.parametrize("text", ["64x4", " 64 X 4 ", "64×4"])
def test_layouts_are_written_data_by_tensor(text: str) -> None:
    layout = Layout.parse(text)
    assert (layout, str(layout), layout.processes) == (Layout(64, 4), "64x4", 256)
    assert Layout.of_ranks(256, 4) == layout


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("64", "layout '64' is not DATAxTENSOR: write it like 64x4"),
        ("0x4", "layout 0x4 must be 1 to 4,096 processes: choose smaller degrees"),
        ("4096x2", "layout 4096x2 must be 1 to 4,096 processes: choose smaller degrees"),
    ],
)
def test_what_is_no_layout(text: str, rule: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{rule}$"):
        Layout.parse(text)


@pytest.mark.parametrize(
    ("ranks", "tensor", "rule"),
    [
        (256, 3, "tensor parallel degree 3 does not divide the 256 ranks: choose 2 or 4"),
        (4, 8, "tensor parallel degree 8 does not divide the 4 ranks: choose 4"),
        (0, 1, "ranks 0 and tensor 1 must be at least 1"),
        (4, -1, "ranks 4 and tensor -1 must be at least 1"),
    ],
)
def test_ranks_that_do_not_divide(ranks: int, tensor: int, rule: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{rule}$"):
        Layout.of_ranks(ranks, tensor)


@pytest.mark.parametrize(
    ("layout", "shape", "batch", "rule"),
    [
        (
            Layout(1, 2),
            Shape(768, 3),
            8,
            "tensor parallel degree 2 does not divide the 3 kv heads, 6 query heads and context 2048 of 768x3: "
            "choose from 1",
        ),
        (
            Layout(2, 16),
            LARGE,
            8,
            "tensor parallel degree 16 does not divide the 8 kv heads, 16 query heads and context 2048 of "
            "2048x27: choose from 1, 2, 4, 8",
        ),
        (
            Layout(3),
            LARGE,
            8,
            "data parallel degree 3 does not divide the batch of 8 sequences: choose 2 or 4",
        ),
        (
            Layout(256),
            LARGE,
            10,
            "data parallel degree 256 does not divide the batch of 10 sequences: choose 10",
        ),
    ],
)
def test_layouts_that_do_not_divide(layout: Layout, shape: Shape, batch: int, rule: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{rule}$"):
        layout.check(shape, batch)


def test_layouts_that_divide() -> None:
    Layout(256, 8).check(LARGE, 2048)
    Layout().check(Shape(768, 3), 1)
