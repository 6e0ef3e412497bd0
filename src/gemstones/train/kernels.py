"""Products and other operations of a training step, with backward passes written by hand where that is faster.

Forward values are those of the plain PyTorch expression to the last bit, `summed_losses`, `quick` products and
`quick` attention excepted, which differ from it in rounding. On a CPU, `x @ w` in float32 calls MKL; oneDNN, which
PyTorch ships too, is faster on some processors (`gemstones.train.ways`). In bfloat16 PyTorch takes oneDNN by
itself. On tensors that are not plain
ones on a CPU (accelerators, tensor parallelism) and under `torch.compile` every function is the plain expression,
but for GELU, float32 products by a weight and the losses of those. Under autocast, so are products by a weight.

Axes: B sequences, S positions, T positions of all sequences, I inputs, O outputs, W width, V vocabulary,
H query heads, K kv heads, G = H/K, D head size.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from gemstones.accounting.step_memory import LOGITS_BYTES, LONGEST_KEPT, QUERY_POSITIONS
from gemstones.runs.ledger import Products


@cache
def has_onednn() -> bool:
    """Whether this PyTorch ships oneDNN."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


_by_onednn = has_onednn()
"""Whether float32 products on a CPU are oneDNN's, else MKL's: see `use_products`."""
PIECES_COMPILED = 8
"""In so many at most a compiled graph takes the logits: each is compiled."""


def use_products(products: Products) -> None:
    """From now on, in this process, float32 products on a CPU are those of this library, where there is one."""
    global _by_onednn  # noqa: PLW0603  # of the process, like the number of its threads
    _by_onednn = products == "onednn" and has_onednn()


def plain(*tensors: Tensor, kind: torch.dtype = torch.float32, compiled: bool = False) -> bool:
    """Whether these are float32 tensors (or of `kind`) on a CPU, of this process alone.

    In eager mode; `compiled`: or in a compiled graph, outside autocast.
    """
    if torch.compiler.is_compiling() and (not compiled or torch.is_autocast_enabled("cpu")):
        return False
    return all(
        type(t) in (Tensor, torch.nn.Parameter) and t.device.type == "cpu" and t.dtype == kind
        for t in tensors
    )


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x·weightᵀ by oneDNN, or by MKL where `use_products` says so: (T, I), (O, I) → (T, O).

    Each is in order or transposed: slices of wider tensors were measured hundreds of times slower by oneDNN.
    In bfloat16 `@` is oneDNN's anyway.
    """
    if not _by_onednn or x.dtype != torch.float32:
        return x @ weight.t()
    return onednn_product(x, weight)


def onednn_product(x: Tensor, weight: Tensor) -> Tensor:
    """x·weightᵀ by oneDNN whatever `use_products` says, where there is one: (T, I), (O, I) → (T, O)."""
    if torch.compiler.is_compiling():
        made: Tensor = torch.ops.gemstones.product(x, weight)
        return made
    return _by_mkldnn(x, weight)


def _by_mkldnn(x: Tensor, weight: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return out


# An operator of our own in compiled graphs: there inductor takes PyTorch's for constant weights only.
_library = torch.library.Library("gemstones", "DEF")  # type: ignore[no-untyped-call]
_library.define("product(Tensor x, Tensor weight) -> Tensor")  # type: ignore[no-untyped-call]
_library.impl("product", _by_mkldnn, "CPU")  # type: ignore[no-untyped-call]
_library.impl("product", lambda x, weight: x.new_empty(len(x), len(weight)), "Meta")  # type: ignore[no-untyped-call]


def outer(gradient: Tensor, x: Tensor) -> Tensor:
    """gradientᵀ·x: (T, O), (T, I) → (O, I). Of the two, oneDNN wants the left one in order: copy the narrower.

    In compiled graphs it is MKL's.
    """
    if not _by_onednn or torch.compiler.is_compiling():
        return gradient.t() @ x
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
    """x·weightᵀ: (…, I), (O, I) → (…, O). `quick` takes oneDNN for the value too, not for the gradients only.

    Where products are MKL's it is PyTorch's own, backward pass included: narrow matrices are done before Python is.
    """
    if not _by_onednn or torch.is_autocast_enabled("cpu") or not plain(x, weight, compiled=True):
        return functional.linear(x, weight)
    out: Tensor = _Linear.apply(x, weight, quick)  # type: ignore[no-untyped-call]
    return out


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form. Compiled for a CPU it is `gelu_by_sigmoid`."""
    if torch.compiler.is_compiling() and x.device.type == "cpu":
        return gelu_by_sigmoid(x)
    return functional.gelu(x, approximate="tanh")


def gelu_by_sigmoid(x: Tensor) -> Tensor:
    """x·σ(2u), u = √(2/π)·(x + 0.044715x³), in float32, in the type of x: equal to x·(1 + tanh u)/2.

    Compilers for CPUs make a quicker exponential than tanh: a compiled step at 48x6 takes 0.95 of the time.
    """
    exact = x.float()
    twice = 2 * (2 / math.pi) ** 0.5
    return (exact * torch.sigmoid(exact * (twice + 0.044715 * twice * (exact * exact)))).type_as(x)


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


class _Attention(torch.autograd.Function):
    """Scores and softmax in float32; the other products, and what they take, in bfloat16."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        b, s, h, d = q.shape
        groups = h // k.shape[2]
        # Heads that share keys are further rows of one product: (B·K, G, S, D) with (B·K, S, D).
        queries = (q * d**-0.5).transpose(1, 2).reshape(-1, groups, s, d)
        keys, values = (t.transpose(1, 2).reshape(-1, s, d) for t in (k, v))
        mixed = v.new_empty(b, s, h, d)
        into = mixed.view(b, s, -1, groups, d).permute(0, 2, 3, 1, 4)
        future = q.new_full((QUERY_POSITIONS, QUERY_POSITIONS), -torch.inf).triu_(1)
        kept = []
        for at in range(0, s, QUERY_POSITIONS):
            to = min(at + QUERY_POSITIONS, s)
            scores = _quick_bmm(queries[:, :, at:to].reshape(-1, groups * (to - at), d), keys[:, :to].mT)
            scores.view(-1, groups, to - at, to)[..., at:] += future[: to - at, : to - at]
            weights = scores.softmax(-1).to(v.dtype)
            into[:, :, :, at:to] = (weights @ values[:, :to]).view(b, -1, groups, to - at, d)
            kept.append(weights)
        ctx.save_for_backward(queries.to(v.dtype), keys.to(v.dtype), values, *kept)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, values, *kept = ctx.saved_tensors
        b, s, _, d = gradient.shape
        groups = queries.shape[1]
        given = gradient.view(b, s, -1, groups, d).permute(0, 2, 3, 1, 4)
        of_q = torch.empty(gradient.shape)
        into = of_q.view(b, s, -1, groups, d).permute(0, 2, 3, 1, 4)
        of_k, of_v = torch.zeros(keys.shape), torch.zeros(values.shape)
        for at, weights in zip(range(0, s, QUERY_POSITIONS), kept, strict=True):
            to = min(at + QUERY_POSITIONS, s)
            rows = given[:, :, :, at:to].reshape(-1, groups * (to - at), d)
            of_weights = rows @ values[:, :to].mT
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            into[:, :, :, at:to] = (of_scores @ keys[:, :to]).view(b, -1, groups, to - at, d)
            of_k[:, :to] += of_scores.mT @ queries[:, :, at:to].reshape(rows.shape)
            of_v[:, :to] += weights.mT @ rows
        back_k, back_v = (t.view(b, -1, s, d).transpose(1, 2) for t in (of_k, of_v))
        return of_q.mul_(d**-0.5), back_k, back_v.to(values.dtype)


def _quick_bmm(x: Tensor, y: Tensor) -> Tensor:
    """x·y by oneDNN, in float32 under autocast too: (N, P, Q), (N, Q, R) → (N, P, R).

    The setting lets float32 products go to oneDNN, and inside it to bfloat16 tiles on processors that have them.
    """
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        with torch.autocast("cpu", enabled=False):
            return x @ y
    finally:
        backend.fp32_precision = before


def document_mask(tokens: Tensor, end_of_document: int) -> Tensor:
    """Which position may attend to which: those up to it of its own document, (B, S) → (B, 1, S, S), true or false.

    `end_of_document` is the last token of a document, and belongs to it.
    """
    ends = tokens == end_of_document
    document = ends.cumsum(1) - ends.long()
    same = document[:, None, :, None] == document[:, None, None, :]
    return same.tril()


def attention(q: Tensor, k: Tensor, v: Tensor, quick: bool = False, mask: Tensor | None = None) -> Tensor:
    """Causal grouped-query attention: (B, S, H, D), (B, S, K, D), (B, S, K, D) → (B, S, H, D).

    Given a `mask`, (B, 1, S, S), it says which position attends to which, by PyTorch's kernel.

    `quick`, for q and k in float32 and v in bfloat16, is products and a softmax in place of PyTorch's kernel, which
    on a CPU is no faster in bfloat16 than in float32. Forward and backward together, on a Zen 5 and contexts of 256,
    it is 2.5 times as fast for head size 64, and 1.3 to 1.6 times for head size 16.
    """
    if (
        mask is None
        and quick
        and plain(q, k)
        and plain(v, kind=torch.bfloat16)
        and q.shape[1] <= LONGEST_KEPT
    ):
        out: Tensor = _Attention.apply(q, k, v)  # type: ignore[no-untyped-call]
        return out
    q, k, v = (t.transpose(1, 2) for t in (q, k, v.type_as(q)))
    mixed = scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=q.shape[1] != k.shape[1]
    )
    return mixed.transpose(1, 2)


class _SummedLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        flat, total = x.contiguous().flatten(0, -2), x.new_zeros(())
        # The weight's gradient is summed transposed in float32, as oneDNN wants it (see `outer`).
        turned = kind == torch.float32
        of_x, of_weight = torch.empty_like(flat), x.new_zeros(weight.shape[::-1] if turned else weight.shape)
        flat, taken = flat.to(kind), weight.to(kind)
        rows = max(1, LOGITS_BYTES // (4 * weight.shape[0]))
        if torch.compiler.is_compiling():
            rows = max(rows, -(-len(flat) // PIECES_COMPILED))
        for at in range(0, len(flat), rows):
            piece, target = flat[at : at + rows], targets.flatten()[at : at + rows, None]
            logs, slope = _log_likelihood(product(piece, taken), target)
            total -= logs
            of_x[at : at + rows] = product(slope, taken.t())
            of_weight += outer(piece, slope) if turned else slope.t() @ piece
        if turned:
            of_weight = of_weight.t().contiguous()
        ctx.save_for_backward(of_x.view(x.shape), of_weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        of_x, of_weight = ctx.saved_tensors
        return of_x * gradient, of_weight * gradient, None


def _log_likelihood(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Their sum, and its gradient by the logits with the sign turned: softmax less one at the target."""
    if torch.compiler.is_compiling():
        whole = logits.logsumexp(-1, keepdim=True)
        logs = logits.gather(1, target) - whole
        chosen = torch.arange(logits.shape[1]) == target
        return logs.sum(), (logits - whole).exp() - chosen.to(logits.dtype)
    # Quicker than by logarithms, and differs in rounding: log p = x − max x + log max p.
    likely = logits.softmax(-1, dtype=torch.float32)
    largest = likely.amax(-1, keepdim=True).log_() - logits.amax(-1, keepdim=True).float()
    logs = logits.gather(1, target).float() + largest
    return logs.sum(), likely.to(logits.dtype).scatter_(1, target, logs.expm1().to(logits.dtype))


def summed_losses(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum of the negative log likelihoods of `targets`, in nats: (…, W), (V, W), (…) → (). Plain tensors, or compiled.

    The gradients are taken piece by piece on the way forward, so that the logits are never whole.
    """
    out: Tensor = _SummedLosses.apply(x, weight, targets)  # type: ignore[no-untyped-call]
    return out
