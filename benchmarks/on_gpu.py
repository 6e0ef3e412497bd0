"""What only an accelerator can show: throughput and utilisation, exact resume, and the same losses as on a CPU.

    benchmarks/on_gpu.sh [--device cuda] [--small] [--minutes 9] [--output benchmarks/on_gpu.md]

- Throughput in bfloat16 of four shapes of the paper's kind (context 2048, vocabulary 50,304), compiled and not: tokens
  per second, matmul FLOPs (closed form `matmul`, attention whole, forward and backward) per second, the share of the
  best square product on this device, and the peak of allocated memory beside the 16 bytes a parameter of weights,
  gradients and moments that `gemstones suite plan` counts.
- 20 steps against 10, SIGTERM and 10 more in another session: losses, gradient norms and weights, bit for bit, in
  float32 and bfloat16, compiled and not.
- 20 steps in float32 on the device against the same on a CPU.

A case for which too little time is left is named and left out; one that does not fit in memory says so.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import gemstones
from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.design.spec import RunSpec
from gemstones.runs.folders import RunFile, ledger_of, write_run
from gemstones.runs.ledger import Event, Start, Step
from gemstones.shape import Shape
from gemstones.train import corpus
from gemstones.train.checkpoint import read_weights
from gemstones.train.compiled import compile_model
from gemstones.train.initialisation import initialise
from gemstones.train.model import Transformer
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.peak import matmul_flops_per_second
from gemstones.train.run import Options, train
from gemstones.train.start import device_name
from gemstones.train.step import Precision, train_step

SHAPES = [(512, 8), (1024, 12), (2048, 12), (3072, 14)]
WARM_STEPS, MEASURED_SECONDS = 5, 8.0
CASE_SECONDS = {False: 25.0, True: 90.0}
"""That a case may take, not compiled and compiled."""
STEPS, BATCH, CONTEXT = 20, 8, 128


@dataclass(frozen=True)
class Job:
    """Where and how large."""

    device: torch.device
    small: bool
    deadline: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny shapes, to try the script itself")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    began = time.monotonic()
    job = Job(torch.device(given.device), given.small, began + 60 * given.minutes)
    lines: list[str] = []
    for line in report(job):
        print(line, flush=True)
        lines.append(line)
    lines += ["", f"{time.monotonic() - began:.0f} s in all."]
    print(lines[-1])
    if given.output:
        given.output.write_text("\n".join(lines) + "\n")


def report(job: Job) -> Iterator[str]:
    """Markdown, line by line as it is measured: what must hold first, then how fast."""
    command = "benchmarks/on_gpu.sh" + (" --small" if job.small else "")
    yield "# Training on an accelerator"
    yield ""
    yield f"`{command}`: {device_name(job.device)}, torch {torch.__version__}, one process."
    yield ""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["GEMSTONES_CACHE"] = str(Path(scratch) / "cache")
        text = [Path(gemstones.__file__).parent / package for package in ("design", "laws", "planning")]
        built = corpus.build(
            text, Path(scratch) / "corpus", corpus.Options(vocabulary=512, validation=0.1)
        ).corpus
        yield f"## {STEPS} steps against {STEPS // 2}, SIGTERM and {STEPS // 2} more"
        yield ""
        yield "| precision | compiled | losses | gradient norms | final weights |"
        yield "|---|---|---|---|---|"
        for precision in ("float32", "bfloat16"):
            for compiled in (False, True):
                yield resumed(job, built, Path(scratch), precision, compiled)
        yield ""
        yield f"## {STEPS} steps in float32 against a CPU"
        yield ""
        yield against_cpu(job, built, Path(scratch))
    yield ""
    yield "## Throughput in bfloat16"
    yield ""
    peak = matmul_flops_per_second(job.device, "bfloat16")
    yield f"Best square product in bfloat16: {peak / 1e12:.3g} TFLOP/s."
    yield ""
    yield (
        "| shape | parameters | compiled | tokens/s | TFLOP/s | of the best product | peak memory "
        "| 16 bytes a parameter |"
    )
    yield "|---|---:|---|---:|---:|---:|---:|---:|"
    for width, depth in [(64, 2), (128, 2)] if job.small else SHAPES:
        for compiled in (False, True):
            yield throughput(job, width, depth, compiled, peak)


def throughput(job: Job, width: int, depth: int, compiled: bool, peak: float) -> str:
    """A row of the table."""
    small = {"head_size": 16, "vocabulary": 512, "context": 128} if job.small else {}
    shape = Shape(width, depth, **small)
    total = params(shape, "total")
    head = f"| {shape} | {total:,} | {'yes' if compiled else 'no'} |"
    if job.left < CASE_SECONDS[compiled]:
        return f"{head} not measured: {job.left:.0f} s were left | | | | |"
    try:
        tokens_per_second, memory = _measure(job, shape, compiled)
    except torch.OutOfMemoryError:
        return f"{head} does not fit in memory | | | | |"
    finally:
        torch.compiler.reset()
        if job.device.type == "cuda":
            torch.cuda.empty_cache()
    rate = tokens_per_second * flops_per_token(shape, "matmul")
    return (
        f"{head} {tokens_per_second:,.0f} | {rate / 1e12:.4g} | {rate / peak:.0%} | {memory / 2**30:.2f} GiB "
        f"| {16 * total / 2**30:.2f} GiB |"
    )


def _measure(job: Job, shape: Shape, compiled: bool) -> tuple[float, int]:
    """Tokens per second of training steps, and the most bytes that were allocated."""
    sequences = torch.randint(
        shape.vocabulary, (8, shape.context + 1), generator=torch.Generator().manual_seed(0)
    ).to(job.device)
    cuda = job.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    model.to(job.device)
    optimizer = build_optimizer(model)
    set_rate(optimizer, 1e-3)
    if compiled:
        compile_model(model)

    def steps(count: int) -> float:
        if cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            train_step(model, optimizer, sequences, clip_norm=1.0, precision="bfloat16")
        if cuda:
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / count

    steps(WARM_STEPS)
    count = max(3, int((1.0 if job.small else MEASURED_SECONDS) / steps(2)))
    return sequences[:, 1:].numel() / steps(count), torch.cuda.max_memory_allocated() if cuda else 0


class _Stop:
    """A sink that sends this process SIGTERM at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def start(self, spec: RunSpec, session: Start) -> None:
        """Nothing."""

    def log(self, event: Event) -> None:
        """Stop there."""
        if isinstance(event, Step) and event.step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)

    def finish(self, state: str) -> None:
        """Nothing."""


def _run(built: corpus.Corpus, folder: Path, precision: Precision) -> Path:
    step = BATCH * CONTEXT
    spec = RunSpec.of(
        Shape(128, 4, head_size=32, vocabulary=512, context=CONTEXT),
        family="main",
        lr_base=0.5,
        tokens=STEPS * step,
        batch_sequences=BATCH,
        warmup_tokens=5 * step,
        evaluate_tokens=10 * step,
        evaluate_sequences=16,
        checkpoint_tokens=10 * step,
        corpus_fingerprint=built.fingerprint,
        precision=precision,
    )
    write_run(folder / spec.id, RunFile(corpus=str(built.folder), spec=spec))
    return folder / spec.id


def resumed(job: Job, built: corpus.Corpus, scratch: Path, precision: Precision, compiled: bool) -> str:
    """A row: an undisturbed run against one in two sessions."""
    head = f"| {precision} | {'yes' if compiled else 'no'} |"
    if job.left < CASE_SECONDS[compiled]:
        return f"{head} not measured: {job.left:.0f} s were left | | |"
    options: dict[str, Any] = {"device": job.device.type, "compiled": compiled}
    whole, halves = (
        _run(built, scratch / f"{name}-{precision}-{compiled}", precision) for name in ("whole", "halves")
    )
    assert train(whole, Options(**options)).state == "finished"
    assert train(halves, Options(**options, sinks=(_Stop(STEPS // 2),))).state == "stopped"
    torch.compiler.reset()
    assert train(halves, Options(**options)).state == "finished"
    one, other = ledger_of(whole).steps, ledger_of(halves).steps
    (_, left), (_, right) = read_weights(whole), read_weights(halves)
    found = (
        _largest([s.loss for s in one], [s.loss for s in other]),
        _largest([s.gradient_norm for s in one], [s.gradient_norm for s in other]),
        max(float((left[name] - right[name]).abs().max()) for name in left),
    )
    return head + "".join(
        f" {'bit-identical' if most == 0 else f'differ by up to {most:.2g}'} |" for most in found
    )


def against_cpu(job: Job, built: corpus.Corpus, scratch: Path) -> str:
    """The largest difference of a loss, and of a gradient norm."""
    here, there = (_run(built, scratch / f"on-{name}", "float32") for name in ("device", "cpu"))
    train(here, Options(device=job.device.type))
    train(there, Options(device="cpu"))
    one, other = ledger_of(here).steps, ledger_of(there).steps
    loss = _largest([s.loss for s in one], [s.loss for s in other])
    norm = _largest([s.gradient_norm for s in one], [s.gradient_norm for s in other])
    return f"Losses differ by up to {loss:.2g} nats/token, gradient norms by up to {norm:.2g}."


def _largest(one: list[float], other: list[float]) -> float:
    assert len(one) == len(other) == STEPS, (len(one), len(other))
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
