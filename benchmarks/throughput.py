"""How fast a training step is on one CPU thread, against what people do today and against the machine, in one run.

    python benchmarks/throughput.py [--output throughput.md]

The reference is a plain PyTorch loop over `transformers`' GemmaForCausalLM of the same shape: SDPA, training mode,
no cache, no checkpointing, its own loss, `clip_grad_norm_` and the fused AdamW. Contenders and matrix products take
turns, round by round; each figure is the median round, in CPU seconds of this process. The machine's rate is that
of the best product of 1024x1024 matrices, once by `torch.mm` and once by oneDNN, which for float32 PyTorch does not
call by itself. FLOPs are the closed form `matmul`, in which attention counts whole.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import transformers
from torch.profiler import ProfilerActivity, profile
from transformers import GemmaConfig, GemmaForCausalLM

from gemstones.accounting.flops import flops_per_token
from gemstones.design.recipe import BETAS, WEIGHT_DECAY
from gemstones.runs.ledger import Products
from gemstones.shape import Shape
from gemstones.train.compiled import compile_model, same_bits
from gemstones.train.initialisation import initialise
from gemstones.train.kernels import onednn_product, use_products
from gemstones.train.model import NORM_EPS, Transformer
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.pass_seconds import step_seconds
from gemstones.train.step import Precision, autocast, train_step

LARGE = Shape(256, 4, head_size=64, queries_per_kv=2, vocabulary=4096, context=256)
SMALL = [
    Shape(width, depth, head_size=16, queries_per_kv=1, vocabulary=1024, context=256)
    for width, depth in ((32, 16), (48, 6), (64, 6), (96, 2))
]
CASES: list[tuple[Shape, Precision, int]] = [
    (LARGE, "float32", 8),
    (LARGE, "bfloat16", 8),
    *((shape, "float32", sequences) for shape in SMALL for sequences in (8, 4)),
    (SMALL[1], "bfloat16", 8),
]
"""Shape, precision and sequences of a step."""
ROUNDS, ROUND_SECONDS = 5, 0.8
RATE = 1e-3

PARTS = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "mkldnn::_linear_pointwise"),
    "attention kernel": ("aten::_scaled_dot_product_flash",),
    "softmax and loss": (
        "aten::_softmax",
        "aten::_log_softmax",
        "aten::exp_",
        "aten::gather",
        "aten::scatter",
    ),
    "GELU": ("aten::gelu",),
    "casts and copies": ("aten::copy_", "aten::cat"),
    "optimizer": ("aten::_fused_adamw", "aten::_foreach", "aten::linalg_vector_norm", "Optimizer"),
}


def ours(
    shape: Shape, precision: Precision, batch: torch.Tensor, compiled: bool = False
) -> tuple[Callable[[], object], str]:
    """A training step, and the library of its products, chosen as a run chooses it when it starts."""
    library: Products | None = None
    if precision == "float32":
        library = step_seconds(shape, len(batch)).products
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    optimizer = build_optimizer(model)
    set_rate(optimizer, RATE)
    if compiled:
        compile_model(model)

    def step() -> object:
        if library:
            use_products(library)
        with same_bits(batch.device) if compiled else nullcontext():
            return train_step(model, optimizer, batch, clip_norm=1.0, precision=precision)

    return step, library or ""


def theirs(shape: Shape, precision: Precision, batch: torch.Tensor) -> Callable[[], object]:
    model = GemmaForCausalLM(
        GemmaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.mlp_width,
            num_hidden_layers=shape.depth,
            num_attention_heads=shape.query_heads,
            num_key_value_heads=shape.kv_heads,
            head_dim=shape.head_size,
            max_position_embeddings=shape.context,
            tie_word_embeddings=False,
            rms_norm_eps=NORM_EPS,
            hidden_act="gelu_pytorch_tanh",
            hidden_activation="gelu_pytorch_tanh",
            attn_implementation="sdpa",
            pad_token_id=None,
        )
    )
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )
    tokens = batch[:, :-1]

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, tokens.device):
            loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return step


def cpu_seconds(work: Callable[[], object], at_least: float) -> float:
    """CPU seconds of one call, over as many as fill `at_least`."""
    began, calls = time.process_time(), 0
    while (elapsed := time.process_time() - began) < at_least or calls == 0:
        work()
        calls += 1
    return elapsed / calls


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def compare(shape: Shape, precision: Precision, sequences: int) -> str:
    torch.compiler.reset()  # a process compiles a function for eight shapes, then no more
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    batch = torch.randint(
        shape.vocabulary, (sequences, shape.context + 1), generator=torch.Generator().manual_seed(0)
    )
    matrix = torch.ones(1024, 1024, dtype=kind)
    step, library = ours(shape, precision, batch)
    work: dict[str, Callable[[], object]] = {
        "mm": lambda: matrix @ matrix,
        "oneDNN": (lambda: onednn_product(matrix, matrix))
        if precision == "float32"
        else lambda: matrix @ matrix,
        "ours": step,
        "compiled": ours(shape, precision, batch, compiled=True)[0],
        "theirs": theirs(shape, precision, batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for call in work.values():
        cpu_seconds(call, 0.3)
    for _ in range(ROUNDS):
        for name, call in work.items():
            seconds[name].append(cpu_seconds(call, 0.1 if name in ("mm", "oneDNN") else ROUND_SECONDS))
    tokens = sequences * shape.context
    rates = {name: tokens / median(seconds[name]) for name in ("ours", "compiled", "theirs")}
    reached = flops_per_token(shape, "matmul") * rates["ours"]
    mm, onednn = (2 * 1024**3 / min(seconds[name]) for name in ("mm", "oneDNN"))
    return (
        f"| {shape.width}x{shape.depth} | {shape.vocabulary} | {shape.head_size} | {shape.queries_per_kv} "
        f"| {precision} | {sequences} | {rates['theirs']:,.0f} | {rates['ours']:,.0f} | {library} "
        f"| {rates['ours'] / rates['theirs']:.2f} | {rates['compiled'] / rates['theirs']:.2f} | {reached / 1e9:.0f} "
        f"| {mm / 1e9:.0f} | {reached / mm:.2f} | {onednn / 1e9:.0f} | {reached / onednn:.2f} |"
    )


def split(shape: Shape, precision: Precision, sequences: int) -> str:
    """Shares of a step's time, by the profiler."""
    batch = torch.randint(shape.vocabulary, (sequences, shape.context + 1))
    step, _ = ours(shape, precision, batch)
    for _ in range(3):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(3):
            step()
    shares = dict.fromkeys([*PARTS, "other"], 0.0)
    for event in seen.key_averages():
        part = next((p for p, names in PARTS.items() if event.key.startswith(names)), "other")
        shares[part] += event.self_cpu_time_total
    whole = sum(shares.values())
    cells = " | ".join(f"{100 * share / whole:.0f}%" for share in shares.values())
    return f"| {shape.width}x{shape.depth} | {precision} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    lines = [
        "# Throughput of training on a CPU",
        "",
        f"torch {torch.__version__}, transformers {transformers.__version__}, {os.cpu_count()} cores, one thread; "
        "context 256; tokens per CPU second, GFLOP/s",
        "",
        "| shape | vocabulary | head size | queries per kv | precision | sequences | transformers | gemstones "
        "| products | ratio | ratio, compiled | GFLOP/s | torch.mm | of it | oneDNN | of it |",
        "|" + "---|" * 16,
    ]
    for case in CASES:
        lines.append(compare(*case))
        print(lines[-1], flush=True)
    lines += [
        "",
        "Where a step of gemstones goes, by the profiler, in wall-clock time. bfloat16 speeds up the products alone, "
        "in narrow shapes the least. Attention in bfloat16 is products and a softmax too "
        "(`gemstones.train.kernels.attention`), since PyTorch's kernel for it on a CPU is no faster than in float32. "
        "At 256x4 products remain the largest part of a step in bfloat16; the rest, which they cannot speed up, is "
        "element-wise work (GELU, softmax, casts, masks, norms). The transformers loop runs in the same process and so "
        "has the same setting of the allocator (`gemstones.memory`).",
        "",
        f"| shape | precision | {' | '.join([*PARTS, 'other'])} |",
        "|" + "---|" * (len(PARTS) + 3),
        *(split(shape, precision, 8) for shape in (LARGE, SMALL[1]) for precision in ("float32", "bfloat16")),
    ]
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if output is not None:
        output.write_text(text)


if __name__ == "__main__":
    main()
