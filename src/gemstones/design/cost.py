"""What a suite costs, and what is wrong with it, before anything is spent.

Costs are of the training steps alone: evaluations depend on the held-out set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.memory import BYTES_PER_PARAM, memory_bytes
from gemstones.accounting.parameters import params
from gemstones.accounting.step_memory import step_bytes
from gemstones.design.divergence import LEVEL_STEPS
from gemstones.design.layout import tensor_parallel_degrees
from gemstones.design.recipe import effective_depth
from gemstones.design.schedule import step_of
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest

CHECKPOINT_BYTES_PER_PARAM = BYTES_PER_PARAM["float32"]["weights"] + BYTES_PER_PARAM["float32"]["optimizer"]
"""Float32 weights and AdamW's two moments: 4 + 8."""
KEPT_CHECKPOINTS = 2
"""Beside the permanent ones and those of the last steps: where a run that diverges goes back to."""
LEDGER_BYTES_PER_STEP = 250
FORWARD_SHARE = 1 / 3
"""Of a training step's FLOPs: the backward pass has twice those of the forward pass."""
MUCH_EVALUATION = 0.5
"""Cost of all evaluations, as a fraction of training, beyond which the suite's author should know."""
VOCABULARY_MULTIPLE = 64
"""What matrix products on accelerators want of their dimensions; the paper pads 50,277 to 50,304 = 64 · 786."""


@dataclass(frozen=True)
class RunCost:
    """One run's cost; what its parent trained is the parent's."""

    id: str
    family: str
    shape: str
    parent: str
    tokens: int
    """At the end of the run, the parent's included, in whole steps: the run table's `tokens`."""
    own_tokens: int
    own_steps: int
    learning_rate: float
    params_total: int
    params_non_embedding: int
    flops: float
    """Of the run's own tokens, by the paper's Appendix G."""
    flops_matmul: float
    """The same, multiplications alone (`accounting.flops`, convention `matmul`)."""
    memory_bytes: int
    """Of weights, gradients and AdamW's state, over all devices together."""
    step_bytes: int
    """The most at once in a step of the whole batch, activations included, on one process and a CPU."""
    checkpoints: int
    """Written in the course of the run."""
    checkpoints_kept: int
    """Of those, kept for good: where children branch off, and the last."""
    bytes_per_checkpoint: int
    checkpoints_passing: int
    """Kept beside them while the run is under way, at most, the one that is being written included."""
    device_hours: float
    """`flops_matmul` over the stated throughput of a device."""

    @property
    def bytes_kept(self) -> int:
        """Of the checkpoints that are kept for good."""
        return self.checkpoints_kept * self.bytes_per_checkpoint

    @property
    def bytes_passing(self) -> int:
        """Of those that are not, while the run is under way."""
        return self.checkpoints_passing * self.bytes_per_checkpoint


@dataclass(frozen=True)
class Finding:
    """Something about a suite that its author should know: a `warning` is likely a mistake, a `note` is not."""

    level: Literal["warning", "note"]
    message: str
    runs: tuple[str, ...]
    """Ids of the runs it is about."""


@dataclass(frozen=True)
class SuiteCost:
    """The cost of every run, their totals, and what was found."""

    runs: tuple[RunCost, ...]
    findings: tuple[Finding, ...]

    @property
    def own_tokens(self) -> int:
        """Trained on in all runs together."""
        return sum(run.own_tokens for run in self.runs)

    @property
    def flops(self) -> float:
        """Of all runs, by Appendix G."""
        return sum(run.flops for run in self.runs)

    @property
    def flops_matmul(self) -> float:
        """Of all runs, multiplications alone."""
        return sum(run.flops_matmul for run in self.runs)

    @property
    def device_hours(self) -> float:
        """Of all runs."""
        return sum(run.device_hours for run in self.runs)

    @property
    def memory_bytes(self) -> int:
        """Of the largest run's states."""
        return max((run.memory_bytes for run in self.runs), default=0)

    @property
    def step_bytes(self) -> int:
        """Of the run that needs most: its states and the activations of its whole batch."""
        return max((run.step_bytes for run in self.runs), default=0)

    @property
    def checkpoints(self) -> int:
        """Written by all runs."""
        return sum(run.checkpoints for run in self.runs)

    @property
    def bytes_written(self) -> int:
        """Of all checkpoints ever written."""
        return sum(run.checkpoints * run.bytes_per_checkpoint for run in self.runs)

    @property
    def bytes_kept(self) -> int:
        """Of the checkpoints kept for good; each run under way needs room for a few more."""
        return sum(run.bytes_kept for run in self.runs)


def suite_cost(
    specs: Iterable[RunSpec],
    flops_per_second_per_device: float,
    corpus_tokens: int | None = None,
    held_out_windows: int | None = None,
) -> SuiteCost:
    """The cost of `specs` on devices that do `flops_per_second_per_device` of matmul FLOPs in training.

    With `corpus_tokens`, the size of the training split, runs that read it more than once are noted; with
    `held_out_windows`, the number of windows of the other split, runs that spend much on evaluations.
    """
    if not 0 < flops_per_second_per_device < float("inf"):
        raise InvalidRequest(
            f"throughput {flops_per_second_per_device} must be a positive number of FLOP/s per device"
        )
    specs = tuple(specs)
    found: dict[tuple[Literal["warning", "note"], str], list[str]] = {}
    for spec in specs:
        for level, message in (*_findings(spec, corpus_tokens), *_on_evaluations(spec, held_out_windows)):
            found.setdefault((level, message), []).append(spec.id)
    findings = [Finding(level, message, tuple(runs)) for (level, message), runs in found.items()]
    return SuiteCost(
        tuple(run_cost(spec, flops_per_second_per_device) for spec in specs),
        tuple(sorted(findings, key=lambda finding: finding.level == "note")),
    )


def bytes_at_once(runs: Iterable[RunCost], slots: int) -> int:
    """Room that `runs` need on a disk, `slots` of them at a time: checkpoints and ledgers."""
    runs = tuple(runs)
    passing = sorted((run.bytes_passing for run in runs), reverse=True)[:slots]
    return sum(run.bytes_kept + run.own_steps * LEDGER_BYTES_PER_STEP for run in runs) + sum(passing)


def _passing(spec: RunSpec) -> int:
    """The two before the last `2 * LEVEL_STEPS` steps, those of these, one by the way, and the one being written."""
    every = step_of(spec.checkpoint_tokens, spec.batch_tokens)
    return min(KEPT_CHECKPOINTS + -(-2 * LEVEL_STEPS // every) + 1, len(spec.checkpoint_steps)) + 1


def run_cost(spec: RunSpec, flops_per_second_per_device: float) -> RunCost:
    """The cost of one run."""
    shape = spec.shape
    flops_matmul = flops_per_token(shape, "matmul") * spec.own_tokens
    return RunCost(
        id=spec.id,
        family=spec.family,
        shape=str(shape),
        parent=spec.parent,
        tokens=spec.trained_tokens,
        own_tokens=spec.own_tokens,
        own_steps=spec.steps - spec.fork_step,
        learning_rate=spec.learning_rate,
        params_total=params(shape),
        params_non_embedding=params(shape, "non_embedding"),
        flops=flops_per_token(shape) * spec.own_tokens,
        flops_matmul=flops_matmul,
        # Under autocast too, weights, gradients and moments are float32.
        memory_bytes=memory_bytes(shape, "float32")["total"],
        step_bytes=step_bytes(shape, spec.batch_sequences, spec.precision, document_mask=spec.document_mask),
        checkpoints=len(spec.checkpoint_steps),
        checkpoints_kept=len(spec.permanent_steps),
        bytes_per_checkpoint=CHECKPOINT_BYTES_PER_PARAM * params(shape),
        checkpoints_passing=_passing(spec),
        device_hours=flops_matmul / flops_per_second_per_device / 3600,
    )


def _findings(spec: RunSpec, corpus_tokens: int | None) -> Iterator[tuple[Literal["warning", "note"], str]]:
    shape, patch = spec.shape, spec.patch
    if spec.warmup_tokens >= spec.trained_tokens:
        yield "warning", f"the warm-up of {spec.warmup_tokens:,} tokens is as long as the run, or longer"
    if spec.parent and spec.fork_tokens < spec.warmup_tokens:
        yield (
            "warning",
            f"the fork at {spec.fork_tokens:,} tokens is before the end of the warm-up at {spec.warmup_tokens:,}",
        )
    if not spec.parent and len(spec.evaluation_steps) == 1:
        yield (
            "warning",
            f"one evaluation only, at the end: the interval is {spec.evaluate_tokens:,} tokens",
        )
    interval = step_of(spec.evaluate_tokens, spec.batch_tokens) * spec.batch_tokens
    if abs(interval - spec.evaluate_tokens) > 0.1 * spec.evaluate_tokens:
        yield (
            "warning",
            f"evaluations every {spec.evaluate_tokens:,} tokens are every {interval:,} in whole steps",
        )
    if effective_depth(shape, patch) < shape.depth:
        yield (
            "warning",
            f"the patch treats {shape} as shallower, depth {effective_depth(shape, patch)}: it raises the rate",
        )
    elif patch.applies(shape):
        yield (
            "note",
            f"{shape} is patched (Appendix F.2): treated as of depth {effective_depth(shape, patch)}",
        )
    if patch.mode == "rule" and shape.width == patch.threshold * shape.depth:
        treated = "patched" if patch.inclusive else "not patched"
        yield "note", f"{shape} is at the patch's threshold {patch.threshold:g} exactly, and {treated}"
    if spec.tokens != spec.trained_tokens:
        yield (
            "note",
            f"{spec.tokens:,} tokens are not a multiple of the batch's {spec.batch_tokens:,}: "
            f"{spec.steps:,} steps are {spec.trained_tokens:,}",
        )
    if shape.vocabulary % VOCABULARY_MULTIPLE:
        yield (
            "note",
            f"vocabulary {shape.vocabulary:,} is not a multiple of {VOCABULARY_MULTIPLE}: pad it for speed",
        )
    degrees = tensor_parallel_degrees(shape)
    if 2 not in degrees:
        how = f"only over {' or '.join(map(str, degrees[1:]))} devices" if degrees[1:] else "not at all"
        held = f"kv heads {shape.kv_heads} and context {shape.context}"
        yield "note", f"tensor parallelism splits {shape}, with {held}, {how}"
    if corpus_tokens is not None and not spec.mixture and spec.trained_tokens > corpus_tokens:
        epochs = spec.trained_tokens / corpus_tokens
        yield "note", f"the corpus of {corpus_tokens:,} tokens is read {epochs:.3g} times"


def _on_evaluations(
    spec: RunSpec, held_out_windows: int | None
) -> Iterator[tuple[Literal["warning", "note"], str]]:
    if held_out_windows is None:
        return
    if spec.evaluate_sequences > held_out_windows:
        yield (
            "note",
            f"an evaluation is of all {held_out_windows:,} held-out windows: {spec.evaluate_sequences:,} are asked for",
        )
    # Other held-out sets are taken to be as large.
    sets = 1 + len(spec.held_out)
    tokens = sets * min(spec.evaluate_sequences or held_out_windows, held_out_windows) * spec.context
    share = FORWARD_SHARE * tokens * len(spec.evaluation_steps) / spec.own_tokens
    if share > MUCH_EVALUATION:
        yield (
            "warning",
            f"evaluations cost {share:.0%} of the training on top, each of {tokens:,} held-out tokens: lower "
            "training.evaluate_sequences, or raise evaluate_every",
        )
