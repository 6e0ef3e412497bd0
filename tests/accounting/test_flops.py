"""FLOPs per token: the paper's own function, PyTorch's counter, and six per parameter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.accounting.flops import FLOPS_CONVENTIONS, flops_per_token
from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest
from gemstones.shape import Shape, Shapes

GEMSTONES = """
    256x23 256x27 256x71 256x80 384x13 384x36 512x11 512x12 512x13 512x14 512x16
    768x3 768x45 1024x28 1280x15 1280x36 1536x50 1792x7 1792x18 2048x27 2560x8 3072x12
"""


def published(
    width: float, depth: float, vocab_size: int = 50_304, queries_per_group: int = 2, seq_len: int = 2048
) -> float:
    """`flops_per_token_gqa` of Appendix G, line by line, with HEAD_SIZE 128 and EXPAND_FACTOR 4 put in."""
    num_qheads = width / 128
    num_kvheads = 2 * num_qheads / queries_per_group
    attention = 2.0 * seq_len * (num_qheads + num_kvheads) * width * 128
    attention += 3.5 * seq_len * (num_qheads + num_kvheads / 2) * 128
    kq_logits = 1.0 * seq_len * seq_len * 128 * num_qheads
    softmax = 3.0 * seq_len * seq_len * num_qheads
    softmax_q_red = 2.0 * seq_len * seq_len * 128 * num_qheads
    final_linear = 2.0 * seq_len * width * 128 * num_qheads
    attn_bwd = 2.0 * attention + 2.5 * (kq_logits + softmax + softmax_q_red) + 2.0 * final_linear
    attn_bwd *= depth
    attention += kq_logits + softmax + softmax_q_red + final_linear
    ffw_size = 4.0 * width
    dense_block = 6.0 * seq_len * width * ffw_size
    dense_block += 10 * seq_len * ffw_size
    dense_block += 2.0 * width * seq_len
    rmsnorm = 2 * 7.0 * width * seq_len
    final_rms_norm = 7.0 * width * seq_len
    final_logits = 2.0 * seq_len * width * vocab_size
    nonattn_bwd = 2.0 * (depth * (dense_block + rmsnorm) + final_rms_norm + final_logits)
    forward_pass = depth * (attention + dense_block + rmsnorm) + final_rms_norm + final_logits
    return (forward_pass + attn_bwd + nonattn_bwd) / seq_len


def test_golden() -> None:
    assert flops_per_token(Shape(1024, 28)) == flops_per_token(Shape(1024, 28), "gemstones") == 3_578_148_864


@pytest.mark.parametrize("text", GEMSTONES.split())
def test_appendix_g_of_the_released_shapes(text: str) -> None:
    shape = Shape.parse(text)
    expected = published(shape.width, shape.depth)
    assert flops_per_token(shape, "gemstones") == pytest.approx(expected, rel=1e-14)


@given(
    width=st.floats(1, 1e5),
    depth=st.floats(1, 1e4),
    vocabulary=st.integers(1, 10**6),
    ratio=st.integers(1, 16),
    context=st.integers(1, 10**6),
)
def test_appendix_g_of_relaxed_shapes(
    width: float, depth: float, vocabulary: int, ratio: int, context: int
) -> None:
    like = Shape(128 * ratio, 1, queries_per_kv=ratio, vocabulary=vocabulary, context=context)
    expected = published(width, depth, vocabulary, ratio, context)
    found = flops_per_token(Shapes.of(width, depth, like), "gemstones")
    assert found == pytest.approx(expected, rel=1e-14)


# Per token: PyTorch 2.13's FlopCounterMode over forward and backward of transformers' GemmaForCausalLM with
# eager attention, on the meta device.
COUNTED = [
    (Shape(1024, 28), 3_656_122_368),
    (Shape(384, 13), 407_273_472),
    (Shape(256, 23), 357_629_952),
    (Shape(768, 3), 447_676_416),
    (Shape(3072, 12), 12_025_331_712),
    (Shape(64, 5, head_size=16, vocabulary=1024, context=256, mlp_expansion=3), 2_850_816),
]


@pytest.mark.parametrize(("shape", "counted"), COUNTED, ids=str)
def test_matmul_is_what_pytorch_counts(shape: Shape, counted: int) -> None:
    assert flops_per_token(shape, "matmul") == counted


def test_six_per_parameter() -> None:
    shape = Shape(1024, 28)
    assert flops_per_token(shape, "6N_total") == 6 * 543_482_880
    assert flops_per_token(shape, "6N_no_embedding") == 6 * (543_482_880 - 51_511_296)
    assert flops_per_token(shape, "6N_non_embedding") == 6 * (543_482_880 - 2 * 51_511_296)


@given(st.integers(1, 60), st.integers(1, 255), st.integers(1, 10**6), st.integers(1, 10**5))
def test_matmul_is_six_per_multiplied_weight_and_attention(
    heads: int, depth: int, vocabulary: int, context: int
) -> None:
    shape = Shape(heads * 256, depth, vocabulary=vocabulary, context=context)
    norms = (2 * depth + 1) * shape.width
    scores_and_values = 2 * 2 * context * shape.width  # multiply and add, QKᵀ and AV, forward
    assert flops_per_token(shape, "matmul") == (
        6 * (params(shape, "no_embedding") - norms) + 3 * depth * scores_and_values
    )


@given(
    st.lists(st.tuples(st.integers(1, 32), st.integers(1, 255)), min_size=1, max_size=6),
    st.sampled_from([Shape(1024, 28), Shape(1024, 28, head_size=64, queries_per_kv=1, mlp_expansion=3)]),
)
def test_arrays_agree_with_single_shapes(multiples: list[tuple[int, int]], like: Shape) -> None:
    singles = [dataclasses.replace(like, width=256 * multiple, depth=depth) for multiple, depth in multiples]
    singles += [Shape(384, 13)] if like.head_size == 128 else []
    arrays = Shapes.of([s.width for s in singles], [s.depth for s in singles], like)
    for convention in FLOPS_CONVENTIONS:
        expected = [flops_per_token(shape, convention) for shape in singles]
        np.testing.assert_array_equal(flops_per_token(arrays, convention), expected, convention)


def test_an_unknown_convention() -> None:
    with pytest.raises(InvalidRequest) as caught:
        flops_per_token(Shape(1024, 28), "6ND")  # type: ignore[call-overload]
    assert str(caught.value) == (
        "FLOP convention '6ND' is unknown: "
        "choose from gemstones, matmul, 6N_total, 6N_no_embedding, 6N_non_embedding"
    )
    assert caught.value.exit_status == 2
