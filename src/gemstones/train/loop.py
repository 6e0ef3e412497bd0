"""The loop of a session: steps, evaluations, checkpoints, until the run ends, diverges or is to stop.

What it computes is a pure function of the run and the state it begins with; time, signals and sinks decide
only where it pauses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gemstones.accounting.flops import flops_per_token
from gemstones.design.divergence import HISTORY_STEPS, diverged
from gemstones.design.spec import RunSpec
from gemstones.runs.ledger import Evaluation, Event, Rollback, Saved, Step, passed_over
from gemstones.train.checkpoint import retire, save
from gemstones.train.corpus import Corpus, batch
from gemstones.train.evaluate import evaluate
from gemstones.train.model import Transformer
from gemstones.train.optimizer import set_rate
from gemstones.train.ranks import Ranks
from gemstones.train.step import StepResult, train_step
from gemstones.train.stopping import REASONS, Stopping


@dataclass(frozen=True)
class Setup:
    """What a session trains, on what."""

    folder: Path
    spec: RunSpec
    corpus: Corpus
    model: Transformer
    optimizer: torch.optim.Optimizer
    ranks: Ranks
    matmul_flops_per_second: float
    """Of one device."""
    micro_sequences: int | None = None

    @property
    def flops_per_step(self) -> float:
        """Matmul FLOPs of a step, all devices."""
        return float(flops_per_token(self.spec.shape, "matmul")) * self.spec.batch_tokens


@dataclass(frozen=True)
class Position:
    """Where a run stands: what the next step depends on beside weights and moments."""

    step: int
    """Steps done."""
    losses: tuple[float, ...] = ()
    """Of the last steps, for the divergence rule."""
    rollbacks: tuple[Rollback, ...] = ()
    """In force; ahead of `step` too, where an older checkpoint was resumed from."""
    inherited: int = 0
    """Batches passed over before the run's fork."""

    @property
    def skipped_batches(self) -> int:
        """Batches passed over before the next step, which reads batch `step + skipped_batches`."""
        return passed_over(self.rollbacks, self.step + 1, self.inherited)


@dataclass(frozen=True)
class Ended:
    """How the loop was left."""

    position: Position
    divergence: str = ""
    """Why the run has diverged, or nothing."""
    loss: float | None = None
    """That gave the alarm, if finite."""
    stop: str = ""
    """Why the session ends before the run, or nothing."""


def train_steps(
    setup: Setup,
    position: Position,
    stopping: Stopping,
    record: Callable[[Event], None],
    sync: Callable[[], None],
) -> Ended:
    """Train from `position` on. `record` writes events on rank 0; `sync` puts them on the disk."""
    spec, ranks = setup.spec, setup.ranks
    evaluations, saves = frozenset(spec.evaluation_steps), frozenset(spec.checkpoint_steps)
    step, losses, saved = position.step, list(position.losses), position.step

    def here() -> Position:
        return replace(position, step=step, losses=tuple(losses))

    def save_now() -> None:
        nonlocal saved
        if saved == step:
            return
        start = time.perf_counter()
        if ranks.first:
            sync()  # a checkpoint stands for a ledger up to its step
        complete = save(
            setup.folder,
            setup.model,
            setup.optimizer,
            ranks,
            run=spec.id,
            step=step,
            skipped_batches=here().skipped_batches,
        )
        if ranks.first:
            record(Saved(step=step, bytes=complete.bytes, seconds=time.perf_counter() - start))
            retire(setup.folder, spec, step)
        saved = step

    while step < spec.steps:
        start = time.perf_counter()
        rate = spec.learning_rate * spec.schedule.rate_factor(step * spec.batch_tokens, spec.batch_tokens)
        result = _step(setup, step + here().skipped_batches, rate)
        seconds = time.perf_counter() - start
        step += 1
        losses.append(result.loss)
        del losses[:-HISTORY_STEPS]
        if math.isfinite(result.loss) and math.isfinite(result.gradient_norm):
            done = Step(
                step=step,
                tokens=step * spec.batch_tokens,
                loss=result.loss,
                gradient_norm=result.gradient_norm,
                learning_rate=rate,
                seconds=seconds,
                utilisation=setup.flops_per_step / (seconds * setup.matmul_flops_per_second * ranks.count),
            )
            if ranks.first:
                record(done)
            reason = diverged(losses, spec.spike_nats)
        else:
            reason = diverged(losses) or f"the gradient norm is {result.gradient_norm}"
        if ranks.largest(int(bool(reason))):  # all go back, or none
            return Ended(
                here(), reason or "seen on another rank", result.loss if math.isfinite(result.loss) else None
            )
        if step in evaluations:
            start = time.perf_counter()
            loss, sequences = evaluate(setup.model, setup.corpus, spec, ranks, setup.micro_sequences)
            if ranks.first and math.isfinite(loss):
                record(
                    Evaluation(
                        step=step,
                        tokens=step * spec.batch_tokens,
                        loss=loss,
                        sequences=sequences,
                        seconds=time.perf_counter() - start,
                    )
                )
        if step in saves:
            save_now()
        if step < spec.steps and (code := ranks.largest(stopping.code(seconds))):
            save_now()
            return Ended(here(), stop=REASONS[code])
    save_now()
    return Ended(here())


def _step(setup: Setup, number: int, rate: float) -> StepResult:
    """A step on batch `number`, of which each data rank takes its share."""
    spec, ranks = setup.spec, setup.ranks
    share = spec.batch_sequences // ranks.data_count
    rows = slice(ranks.data_rank * share, (ranks.data_rank + 1) * share)
    tokens = batch(setup.corpus, spec.seed, number, spec.batch_sequences, spec.context, rows)
    set_rate(setup.optimizer, rate)
    return train_step(
        setup.model,
        setup.optimizer,
        torch.from_numpy(tokens).to(ranks.device),
        clip_norm=spec.clip_norm,
        micro_sequences=setup.micro_sequences,
        precision=spec.precision,
        mesh=ranks.mesh,
    )
