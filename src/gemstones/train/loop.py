"""The loop of a session: steps, evaluations, checkpoints, until the run ends, diverges or is to stop.

What it computes is a pure function of the run and the state it begins with; time, signals and sinks decide
only where it pauses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gemstones.accounting.flops import flops_per_token
from gemstones.design.divergence import HISTORY_STEPS, diverged
from gemstones.design.spec import RunSpec
from gemstones.runs.ledger import Evaluation, Event, Rollback, Saved, Step, passed_over
from gemstones.train.beside import Texts
from gemstones.train.checkpoint import retire, state_of
from gemstones.train.evaluate import BrokenOffError, evaluate
from gemstones.train.model import Transformer
from gemstones.train.optimizer import set_rate
from gemstones.train.ranks import Ranks
from gemstones.train.saving import Saving, begin_save
from gemstones.train.step import StepResult, train_step
from gemstones.train.stopping import REASONS, Stopping


@dataclass(frozen=True)
class Setup:
    """What a session trains, on what."""

    folder: Path
    spec: RunSpec
    texts: Texts
    model: Transformer
    optimizer: torch.optim.Optimizer
    ranks: Ranks
    savers: Ranks
    """The same, as they write checkpoints beside the training."""
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
    evaluated: bool = True
    """Whether the evaluation after `step`, if there is to be one, is done: a stop may have broken it off."""

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
    """Train from `position` on. `record` writes events on rank 0; `sync` puts them on the disk.

    A session that is asked to stop saves and leaves: after a step, or in the middle of an evaluation, which the next
    session then begins with. Whatever the budget, it gets further by a step or an evaluation.
    """
    spec, ranks = setup.spec, setup.ranks
    evaluations, saves = frozenset(spec.evaluation_steps), frozenset(spec.checkpoint_steps)
    loop = _Loop(setup, stopping, record, sync, position, position.step, list(position.losses), position.step)

    def train() -> Ended:
        code = loop.signalled()  # while it was being made ready
        if not code and loop.step in evaluations and not position.evaluated:
            code = loop.evaluate(loop.signalled) or (loop.asked() if loop.step < spec.steps else 0)
        if code:
            return Ended(loop.here(), stop=REASONS[code])
        while loop.step < spec.steps:
            seconds, loss, reason = loop.train()
            if ranks.largest(int(bool(reason))):  # all go back, or none
                known = loss if math.isfinite(loss) else None
                return Ended(loop.here(), reason or "seen on another rank", known)
            code = loop.evaluate(loop.asked) if loop.step in evaluations else 0
            if loop.step in saves or code:
                loop.save()
            if code or (loop.step < spec.steps and (code := loop.asked(seconds))):
                loop.save()
                return Ended(loop.here(), stop=REASONS[code])
        loop.save()
        return Ended(loop.here())

    try:
        ended = train()
    except Exception:
        with suppress(Exception):  # the first is told
            loop.settle()
        raise
    loop.settle()
    return ended


@dataclass
class _Loop:
    """Where the loop is, and what it does there; every rank does the same."""

    setup: Setup
    stopping: Stopping
    record: Callable[[Event], None]
    sync: Callable[[], None]
    position: Position
    """Where it began."""
    step: int
    losses: list[float]
    saved: int
    """Step of the newest checkpoint."""
    save_seconds: float = 0.0
    """Of the last save, from its beginning to its end."""
    still_seconds: float = 0.0
    """Of these, the ones in which nothing was trained."""
    saving: Saving | None = None
    """The checkpoint that is being written."""

    def here(self) -> Position:
        return replace(self.position, step=self.step, losses=tuple(self.losses))

    def train(self) -> tuple[float, float, str]:
        """One step: its seconds, its loss, and why the run has diverged, or nothing."""
        self.settle(wait=False)
        setup, spec = self.setup, self.setup.spec
        start = time.perf_counter()
        rate = spec.learning_rate * spec.schedule.rate_factor(
            self.step * spec.batch_tokens, spec.batch_tokens
        )
        result = _step(setup, self.step + self.here().skipped_batches, rate)
        seconds = time.perf_counter() - start
        self.step += 1
        self.losses.append(result.loss)
        del self.losses[:-HISTORY_STEPS]
        if not (math.isfinite(result.loss) and math.isfinite(result.gradient_norm)):
            reason = diverged(self.losses) or f"the gradient norm is {result.gradient_norm}"
            return seconds, result.loss, reason
        done = Step(
            step=self.step,
            tokens=self.step * spec.batch_tokens,
            loss=result.loss,
            gradient_norm=result.gradient_norm,
            learning_rate=rate,
            seconds=seconds,
            utilisation=setup.flops_per_step / (seconds * setup.matmul_flops_per_second * setup.ranks.count),
        )
        if setup.ranks.first:
            self.record(done)
        return seconds, result.loss, diverged(self.losses, spec.spike_nats)

    def evaluate(self, stop: Callable[[float], int]) -> int:
        """Evaluate; the code of the stop that broke it off, or 0."""
        setup, spec = self.setup, self.setup.spec
        start = time.perf_counter()
        code = 0

        def broken_off(seconds: float) -> bool:
            nonlocal code
            code = stop(seconds)
            return code > 0

        try:
            loss, sequences = evaluate(
                setup.model, setup.texts.corpus, spec, setup.ranks, setup.micro_sequences, broken_off
            )
            others = {
                name: evaluate(setup.model, held_out, spec, setup.ranks, setup.micro_sequences, broken_off)[0]
                for name, held_out in setup.texts.held_out.items()
            }
        except BrokenOffError:
            return code
        if setup.ranks.first and math.isfinite(loss):
            self.record(
                Evaluation(
                    step=self.step,
                    tokens=self.step * spec.batch_tokens,
                    loss=loss,
                    sequences=sequences,
                    losses={name: value for name, value in others.items() if math.isfinite(value)},
                    seconds=time.perf_counter() - start,
                )
            )
        return 0

    def save(self) -> None:
        """Save beside the next steps, unless this step is saved already."""
        if self.saved == self.step:
            return
        self.settle()
        setup, start = self.setup, time.perf_counter()
        if setup.ranks.first:
            self.sync()  # a checkpoint stands for a ledger up to its step
        self.saving = begin_save(
            setup.folder,
            state_of(setup.model, setup.optimizer),
            setup.savers,
            run=setup.spec.id,
            step=self.step,
            skipped_batches=self.here().skipped_batches,
        )
        self.saved = self.step
        self.still_seconds = time.perf_counter() - start

    def settle(self, *, wait: bool = True) -> None:
        """Record the checkpoint that is being written, when it is; raise what went wrong with it."""
        if self.saving is None:
            return
        # Ranks go on together, or are told together of what went wrong.
        if not wait and not self.setup.ranks.smallest(int(self.saving.finished)):
            return
        saving, self.saving = self.saving, None
        start = time.perf_counter()
        complete = saving.result()
        self.save_seconds = saving.seconds
        self.still_seconds += time.perf_counter() - start
        if self.setup.ranks.first:
            self.record(Saved(step=complete.step, bytes=complete.bytes, seconds=self.still_seconds))
            retire(self.setup.folder, self.setup.spec, complete.step)

    def asked(self, next_seconds: float = 0.0) -> int:
        """The code of a stop that all ranks agree on; 0 if there is time for something of `next_seconds`."""
        return self.setup.ranks.largest(self.stopping.code(next_seconds + self.save_seconds))

    def signalled(self, next_seconds: float = 0.0) -> int:
        """The same of signals alone."""
        return self.setup.ranks.largest(self.stopping.signalled)


def _step(setup: Setup, number: int, rate: float) -> StepResult:
    """A step on batch `number`, of which each data rank takes its share."""
    spec, ranks = setup.spec, setup.ranks
    share = spec.batch_sequences // ranks.data_count
    rows = slice(ranks.data_rank * share, (ranks.data_rank + 1) * share)
    tokens = setup.texts.batch(spec.seed, number, spec.batch_sequences, spec.context, rows)
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
