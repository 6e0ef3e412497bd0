"""Products and other operations of a training step, with backward passes written by hand where that is faster.

Forward values are those of the plain PyTorch expression to the last bit, `summed_losses` and `quick` products
excepted, which differ from it in rounding. On a CPU, `x @ w` in float32 calls MKL, which reaches the rate of AVX2 on
processors that are not Intel's; oneDNN, which PyTorch ships too, takes the widest instructions there are: 2.3
times faster on a Zen 5. On tensors that are not plain float32 ones on a CPU (accelerators, tensor parallelism)
and under `torch.compile` every function is the plain expression. Under autocast, so are products.

Axes: T positions of all sequences, I inputs, O outputs, W width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

LOGITS_BYTES = 2**22
"""Logits are made, and their gradient taken, in pieces of about this size, which stay in the cache."""

_HAS_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def plain(*tensors: Tensor) -> bool:
    """Whether these are float32 tensors on a CPU, of this process alone, in eager mode."""
    return not torch.compiler.is_compiling() and all(
        type(t) in (Tensor, torch.nn.Parameter) and t.device.type == "cpu" and t.dtype == torch.float32
        for t in tensors
    )


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x·weightᵀ by oneDNN: (T, I), (O, I) → (T, O).

    Each is in order or transposed: slices of wider tensors were measured hundreds of times slower.
    In bfloat16 `@` is oneDNN's anyway.
    """
    if not _HAS_ONEDNN or x.dtype != torch.float32:
        return x @ weight.t()
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return out


def outer(gradient: Tensor, x: Tensor) -> Tensor:
    """gradientᵀ·x: (T, O), (T, I) → (O, I). Of the two, oneDNN wants the left one in order: copy the narrower."""
    if gradient.shape[1] <= x.shape[1]:
        return product(gradient.t().contiguous(), x.t())
    return product(x.t().contiguous(), gradient.t()).t()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, quick: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        if not quick:
            return functional.linear(x, weight)
        return product(x.contiguous().flatten(0, -2), weight).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        flat = gradient.contiguous().flatten(0, -2)
        return product(flat, weight.t()).view(x.shape), outer(flat, x.contiguous().flatten(0, -2)), None


def linear(x: Tensor, weight: Tensor, quick: bool = False) -> Tensor:
    """x·weightᵀ: (…, I), (O, I) → (…, O). `quick` takes oneDNN for the value too, not for the gradients only."""
    if torch.is_autocast_enabled("cpu") or not plain(x, weight):
        return functional.linear(x, weight)
    out: Tensor = _Linear.apply(x, weight, quick)  # type: ignore[no-untyped-call]
    return out


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
        normed = x * scale
        ctx.save_for_backward(normed, scale, gain)
        return normed * gain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, scale, gain = ctx.saved_tensors
        along = gradient * normed
        of_gain = along.flatten(0, -2).sum(0)
        # ∂L/∂x = s·(g·γ − n·mean(g·γ·n)), n = s·x; the mean is a product with γ/W.
        mean = (along @ (gain / gain.shape[0])).unsqueeze(-1)
        return torch.mul(gradient, gain).addcmul_(normed, mean, value=-1).mul_(scale), of_gain, None


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """x / √(mean x² + ε)·gain, in float32: (…, W), (W) → (…, W), in the type of x."""
    if plain(x, gain):
        out: Tensor = _RMSNorm.apply(x, gain, eps)  # type: ignore[no-untyped-call]
        return out
    exact = x.float()
    normed = exact * torch.rsqrt(exact.pow(2).mean(-1, keepdim=True) + eps)
    return (normed * gain.float()).type_as(x)


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(gradient, cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((second, first), dim=-1).mul_(sin).add_(x * cos)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, half-rotate: x·cos + (x₂, x₁)·(−sin, sin) for x = (x₁, x₂).

    x is (B, S, heads, D); cos and the signed sin are (S, 1, D), in float32.
    """
    if plain(x):
        out: Tensor = _Rotated.apply(x, cos, sin)  # type: ignore[no-untyped-call]
        return out
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((second, first), dim=-1) * sin.to(x.dtype)


class _SummedLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        flat, total = x.contiguous().flatten(0, -2), x.new_zeros(())
        of_x, of_turned = torch.empty_like(flat), x.new_zeros(weight.shape[::-1])
        flat, taken = flat.to(kind), weight.to(kind)
        rows = max(1, LOGITS_BYTES // (4 * weight.shape[0]))
        for at in range(0, len(flat), rows):
            piece, target = flat[at : at + rows], targets.flatten()[at : at + rows, None]
            logs = product(piece, taken).float().log_softmax(-1)
            total -= logs.gather(1, target).sum()
            # The gradient of the logits: softmax less one at the target.
            slope = logs.exp_().scatter_add_(1, target, logs.new_full((len(piece), 1), -1.0)).to(kind)
            of_x[at : at + rows] = product(slope, taken.t())
            of_turned += product(piece.t().contiguous(), slope.t())
        ctx.save_for_backward(of_x.view(x.shape), of_turned.t().contiguous())
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        of_x, of_weight = ctx.saved_tensors
        return of_x * gradient, of_weight * gradient, None


def summed_losses(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum of the negative log likelihoods of `targets`, in nats: (…, W), (V, W), (…) → (). Plain tensors only.

    The gradients are taken piece by piece on the way forward, so that the logits are never whole.
    """
    out: Tensor = _SummedLosses.apply(x, weight, targets)  # type: ignore[no-untyped-call]
    return out
