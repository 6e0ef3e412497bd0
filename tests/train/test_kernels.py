"""Each kernel against the plain expression that it stands for: values, and gradients by autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gemstones.shape import Shape
from gemstones.train import kernels
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


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_is_its_plain_expression(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
