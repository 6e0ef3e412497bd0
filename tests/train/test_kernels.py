"""Each kernel against the plain expression that it stands for: values, and gradients by autograd."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from gemstones.shape import Shape
from gemstones.train import kernels
from gemstones.train.compiled import compile_model
from gemstones.train.initialisation import initialise
from gemstones.train.model import Transformer, rotary_tables, token_losses

COS, SIN = rotary_tables(24, 8, torch.device("cpu"))
TARGETS = torch.randint(0, 50, (3, 24), generator=torch.Generator().manual_seed(5))


def drawn(*size: int, seed: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def plain_norm(x: Tensor, gain: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * gain


def half_rotation(x: Tensor) -> Tensor:
    sin = torch.cat((SIN[..., 4:], SIN[..., 4:]), dim=-1)
    first, second = x.chunk(2, dim=-1)
    return (x * COS) + (torch.cat((-second, first), dim=-1) * sin)


def plain_losses(x: Tensor, weight: Tensor) -> Tensor:
    return functional.cross_entropy((x @ weight.t()).flatten(0, 1), TARGETS.flatten(), reduction="sum")


CASES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], list[Tensor], bool]] = {
    "linear, wider": (
        kernels.linear,
        functional.linear,
        [drawn(3, 24, 16, seed=0), drawn(40, 16, seed=1)],
        True,
    ),
    "linear, narrower": (
        kernels.linear,
        functional.linear,
        [drawn(3, 24, 40, seed=0), drawn(16, 40, seed=1)],
        True,
    ),
    "linear, quick": (
        lambda x, w: kernels.linear(x, w, quick=True),
        functional.linear,
        [drawn(3, 24, 16, seed=0), drawn(40, 16, seed=1)],
        False,
    ),
    "GELU, as compiled": (
        kernels.gelu_by_sigmoid,
        lambda x: functional.gelu(x, approximate="tanh"),
        [drawn(3, 24, 16, seed=0) * 4],
        False,
    ),
    "norm": (
        lambda x, gain: kernels.rms_norm(x, gain, 1e-5),
        plain_norm,
        [drawn(3, 24, 16, seed=0), drawn(16, seed=1)],
        True,
    ),
    "rotation": (
        lambda x: kernels.rotated(x, COS, SIN),
        half_rotation,
        [drawn(3, 24, 2, 8, seed=0)],
        True,
    ),
    "losses": (
        lambda x, w: kernels.summed_losses(x, w, TARGETS),
        plain_losses,
        [drawn(3, 24, 16, seed=0), drawn(50, 16, seed=1)],
        False,
    ),
}


@pytest.mark.parametrize("by_onednn", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_a_kernel_is_its_plain_expression(
    name: str, by_onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_by_onednn", by_onednn)
    monkeypatch.setattr(kernels, "LOGITS_BYTES", 4 * 50 * 7)  # several pieces, the last one shorter
    kernel, expression, inputs, exact = CASES[name]
    seen, expected = [], []
    for function, into in ((kernel, seen), (expression, expected)):
        leaves = [x.clone().requires_grad_() for x in inputs]
        value = function(*leaves)
        # A gradient whose memory is not in order.
        value.backward(drawn(*value.shape[::-1], seed=9).permute(tuple(range(value.ndim))[::-1]))
        into += [value.detach(), *(leaf.grad for leaf in leaves)]
    if exact:
        assert torch.equal(seen[0], expected[0])
    for got, wanted in zip(seen, expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_the_sum_of_losses_is_that_of_the_logits() -> None:
    shape = Shape(64, 2, head_size=16, vocabulary=128, context=32)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    tokens = torch.randint(0, 128, (4, 33), generator=torch.Generator().manual_seed(0))
    summed = model(tokens[:, :-1], tokens[:, 1:])
    summed.backward()
    gradients = [p.grad for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    whole = token_losses(model(tokens[:, :-1]), tokens[:, 1:]).sum()
    whole.backward()
    torch.testing.assert_close(summed, whole, rtol=1e-6, atol=0)
    for got, parameter in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-4)


def test_a_compiled_gelu_is_by_an_exponential() -> None:
    called: list[object] = []

    def seen(graph: torch.fx.GraphModule, inputs: object) -> object:
        called.extend(node.target for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    torch.compile(kernels.gelu, backend=seen)(drawn(3, 16, seed=0))
    torch.compiler.reset()
    assert torch.sigmoid in called and not {torch.tanh, functional.gelu} & set(called)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, in its own modules
@pytest.mark.parametrize("by_onednn", [True, False])
def test_a_compiled_step_is_the_plain_one(by_onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_by_onednn", by_onednn)
    monkeypatch.setattr(kernels, "PIECES_COMPILED", 3)  # the last one shorter
    monkeypatch.setattr(kernels, "LOGITS_BYTES", 1)
    shape = Shape(64, 1, head_size=16, vocabulary=128, context=32)
    plain, compiled = Transformer(shape), Transformer(shape)
    for model in (plain, compiled):
        initialise(model, shape, seed=0)
    compile_model(compiled)
    tokens = torch.randint(0, 128, (5, 33), generator=torch.Generator().manual_seed(0))
    compiled(tokens[:, :-1], tokens[:, 1:]).backward()  # compiling calls products too
    compiled.zero_grad(set_to_none=True)
    sums = []
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for model in (plain, compiled):
            sums.append(model(tokens[:, :-1], tokens[:, 1:]))
            sums[-1].backward()
    torch.compiler.reset()
    # The head's logits and their gradient, the projections, and the gradients by what these take.
    called = sum(event.count for event in seen.key_averages() if event.key == "gemstones::product")
    assert called == (2 * 3 + 2 * 7 if by_onednn else 0)
    torch.testing.assert_close(sums[0], sums[1], rtol=1e-6, atol=0)
    for got, wanted in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got.grad, wanted.grad, rtol=1e-4, atol=1e-4)


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    k, v = (t.repeat_interleave(q.shape[2] // t.shape[2], dim=2) for t in (k, v))
    scores = torch.einsum("bshd,bthd->bhst", q, k) * q.shape[-1] ** -0.5
    scores = scores + torch.full(scores.shape[-2:], -torch.inf).triu(1)
    return torch.einsum("bhst,bthd->bshd", scores.softmax(-1), v)


def relative(got: Tensor, wanted: Tensor) -> float:
    return float(((got.float() - wanted).norm() / wanted.norm()).detach())


@pytest.mark.parametrize("query_positions", [7, 24, 128])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_attention_in_bfloat16_is_the_plain_one(
    query_positions: int, kv_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "QUERY_POSITIONS", query_positions)
    inputs = [drawn(3, 24, heads, 8, seed=i) for i, heads in enumerate((4, kv_heads, kv_heads))]
    inputs[2] = inputs[2].bfloat16().float()
    exact = [t.clone().requires_grad_() for t in inputs]
    expected = plain_attention(*exact)
    leaves = [t.clone().requires_grad_() for t in inputs]
    before = torch.backends.mkldnn.matmul.fp32_precision
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = kernels.attention(leaves[0], leaves[1], leaves[2].bfloat16(), quick=True)
    assert mixed.dtype == torch.bfloat16
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    gradient = drawn(8, 4, 24, 3, seed=9).permute(3, 2, 1, 0)
    mixed.backward(gradient.bfloat16())
    expected.backward(gradient)
    # bfloat16 has 8 bits: 2⁻⁹ = 0.002 for each rounding, of which there are a few one after another.
    assert relative(mixed, expected) < 0.004
    for leaf, wanted in zip(leaves, exact, strict=True):
        assert leaf.grad.dtype == torch.float32
        assert relative(leaf.grad, wanted.grad) < 0.008


def test_attention_over_a_long_context_keeps_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = (drawn(3, 24, heads, 8, seed=heads) for heads in (4, 2, 2))
    whole = kernels.attention(q, k, v)
    assert torch.equal(kernels.attention(q, k, v, quick=True), whole)  # float32 is PyTorch's kernel
    monkeypatch.setattr(kernels, "LONGEST_KEPT", 23)
    mixed = kernels.attention(q.requires_grad_(), k, v.bfloat16(), quick=True)
    assert "_Attention" not in str(mixed.grad_fn.next_functions)
    assert relative(mixed, whole) < 0.004


def test_scores_are_float32_under_autocast() -> None:
    # A quarter of a unit beside a thousand: bfloat16 has no such scores.
    q, k = torch.full((1, 2, 1, 8), 8**0.5), torch.tensor([128.0, 128.25]).view(1, 2, 1, 1).expand(1, 2, 1, 8)
    v = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 1, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = kernels.attention(q, k, v, quick=True)
    torch.testing.assert_close(mixed[0, 1, 0, 0].float(), torch.tensor(2.0).sigmoid(), rtol=0.004, atol=0)


@pytest.mark.parametrize("scale", [1.0, 32.0])  # 32: targets as unlikely as e⁻¹⁰⁰, others all but certain
def test_losses_in_bfloat16_are_the_plain_ones(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "LOGITS_BYTES", 4 * 50 * 7)
    x, weight = drawn(3, 24, 16, seed=0).bfloat16().float(), drawn(50, 16, seed=1).bfloat16().float() * scale
    logits = (x @ weight.t()).bfloat16().float().requires_grad_()
    expected = functional.cross_entropy(logits.flatten(0, 1), TARGETS.flatten(), reduction="sum")
    expected.backward()
    leaves = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        summed = kernels.summed_losses(*leaves, TARGETS)
    summed.backward()
    torch.testing.assert_close(summed, expected, rtol=1e-6, atol=1e-5)
    slope = logits.grad.flatten(0, 1)
    assert relative(leaves[0].grad.flatten(0, 1), slope @ weight) < 0.006
    assert relative(leaves[1].grad, slope.t() @ x.flatten(0, 1)) < 0.006


def test_a_step_in_bfloat16_is_close_to_one_in_float32_and_repeats() -> None:
    shape = Shape(64, 3, head_size=16, vocabulary=128, context=160)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    tokens = torch.randint(0, 128, (4, 161), generator=torch.Generator().manual_seed(0))
    losses, gradients = [], []
    for enabled in (False, True, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            summed = model(tokens[:, :-1], tokens[:, 1:])
        model.zero_grad(set_to_none=True)
        summed.backward()
        losses.append(summed.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=0)
    assert relative(gradients[1], gradients[0]) < 0.02
    assert torch.equal(losses[1], losses[2])
    assert torch.equal(gradients[1], gradients[2])
