"""A trainer that computes nothing: it writes the ledger of a run as the real one does, and dies when told to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gemstones.design.spec import RunSpec
from gemstones.runs.folders import RunFile, SuiteFolder, write_run, write_suite
from gemstones.runs.ledger import (
    LEDGER,
    Evaluation,
    Event,
    Finished,
    Ledger,
    Rollback,
    Saved,
    Start,
    Step,
    parse,
    passed_over,
    stitched,
)
from gemstones.shape import Shape

BATCH_TOKENS = 4 * 32


def spec_of(shape: str = "64x2", *, family: str = "main", head_size: int = 16, **others: Any) -> RunSpec:
    """A run of 24 steps, evaluated every 4, saved every 5."""
    models = {
        name: others.pop(name)
        for name in ("queries_per_kv", "mlp_expansion", "vocabulary", "context")
        if name in others
    }
    fields: dict[str, Any] = {
        "tokens": 24 * BATCH_TOKENS,
        "batch_sequences": 4,
        "warmup_tokens": 0,
        "evaluate_tokens": 4 * BATCH_TOKENS,
        "checkpoint_tokens": 5 * BATCH_TOKENS,
    }
    of = Shape.parse(shape, head_size=head_size, **{"vocabulary": 512, "context": 32, **models})
    return RunSpec.of(of, family=family, **{**fields, **others})


def cooldown_of(parent: RunSpec, fork_step: int, steps: int) -> RunSpec:
    fork = fork_step * parent.batch_tokens
    return msgspec.structs.replace(
        parent,
        family="cooldown",
        parent=parent.id,
        fork_tokens=fork,
        tokens=fork + steps * parent.batch_tokens,
        cooldown=True,
    )


def noise(step: int, batch: int) -> float:
    """A loss that tells of which step and batch it is, in digits that a shorter float would lose."""
    return 3.0 + step / 7 + batch / 1e6


@dataclass(frozen=True)
class Kill:
    """SIGKILL after so many lines of a session, in the middle of the next one."""

    lines: int
    torn: int = 0
    """Bytes of the next line that were written."""
    older: int = 0
    """The next session finds so many of the newest checkpoints unusable."""


class Killed(Exception):
    pass


@dataclass
class Trainer:
    """Trains one run, session by session."""

    spec: RunSpec
    loss: Callable[[int, int], float] = noise
    """Training loss of (step, batch)."""
    held_out: Callable[[int], float] = lambda step: 2.5 + 1 / 3 / step
    bad: frozenset[int] = frozenset()
    """Batches on which the run diverges."""
    back: int = 0
    """Intervals of checkpoints that it goes back by, beyond the last."""
    inherited: int = 0
    start: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.5
    content: bytes = b""
    checkpoints: set[int] = field(default_factory=set)
    _left: int = 0
    _kill: Kill | None = None

    def train(self, *kills: Kill) -> Ledger:
        """Sessions that are killed, and one that is not."""
        for kill in kills:
            try:
                self._session(kill)
            except Killed:
                continue
            break
        else:
            self._session(None)
        return self.ledger

    def stop_after(self, lines: int) -> Ledger:
        """A session that is killed after so many lines; nothing after it."""
        with contextlib.suppress(Killed):
            self._session(Kill(lines))
        return self.ledger

    @property
    def ledger(self) -> Ledger:
        return stitched(parse(self.content, "ledger"))

    def write(self, event: Event) -> None:
        line = msgspec.json.encode(event) + b"\n"
        if self._kill is not None:
            if self._left == 0:
                self.content += line[: min(self._kill.torn, len(line) - 1)]
                raise Killed
            self._left -= 1
        self.content += line

    def _session(self, kill: Kill | None) -> None:
        # What the last session was killed with decides what this one finds.
        older = self._kill.older if self._kill else 0
        self._kill, self._left = kill, kill.lines if kill else 0
        self.content = self.content[: self.content.rfind(b"\n") + 1]
        spec, ledger = self.spec, self.ledger
        last = ledger.last_step if ledger.state else spec.fork_step
        self.checkpoints = {step for step in self.checkpoints if step <= last}
        # What is unusable stays so: if it came back, an evaluation that was cut might not be made again.
        self.checkpoints = set(sorted(self.checkpoints)[: max(0, len(self.checkpoints) - older)])
        step = max(self.checkpoints, default=spec.fork_step)
        skipped = passed_over(ledger.rollbacks, step + 1, self.inherited)
        self.write(
            Start(
                step=step,
                skipped_batches=skipped,
                **{
                    "time": f"session {len(ledger.starts)}",
                    "device": "abacus",
                    "matmul_flops_per_second": 1e9,
                    "epochs": 0.25,
                    "versions": {"gemstones": "0.1.0", "torch": "2.9.0"},
                    **self.start,
                },
            )
        )
        while step < spec.steps:
            if step + skipped in self.bad:
                interval = spec.checkpoint_tokens // spec.batch_tokens
                to = max(spec.fork_step, (step // interval - self.back) * interval)
                self.checkpoints = {saved for saved in self.checkpoints if saved <= to}
                passed = skipped + step + 1 - to
                self.write(
                    Rollback(step=step + 1, to_step=to, loss=None, reason="bad", skipped_batches=passed)
                )
                step, skipped = to, passed_over(self.ledger.rollbacks, to + 1, self.inherited)
                assert skipped == passed
                continue
            loss = self.loss(step + 1, step + skipped)
            step, tokens = step + 1, (step + 1) * spec.batch_tokens
            self.write(
                Step(
                    step=step,
                    tokens=tokens,
                    loss=loss,
                    gradient_norm=loss / 3,
                    learning_rate=spec.learning_rate,
                    seconds=self.seconds,
                    utilisation=0.5,
                )
            )
            # Where a session begins, step by step, the batches to pass over are those that this one passed.
            skipped = passed_over(self.ledger.rollbacks, step + 1, self.inherited)
            if step in spec.evaluation_steps:
                self.write(
                    Evaluation(step=step, tokens=tokens, loss=self.held_out(step), sequences=8, seconds=0.25)
                )
            if step in spec.checkpoint_steps:
                self.checkpoints.add(step)
                self.write(Saved(step=step, bytes=1000, seconds=0.125))
        self.write(Finished(step=step))


def put(folder: Path, trainer: Trainer) -> Path:
    """The run's folder in `folder`, with the ledger as it stands."""
    run = folder / trainer.spec.id
    write_run(run, RunFile(corpus="corpus", spec=trainer.spec))
    if trainer.content:
        (run / LEDGER).write_bytes(trainer.content)
    return run


def put_suite(folder: Path, trainers: Sequence[Trainer], absent: Sequence[str] = ()) -> Path:
    """A suite's folder of runs in this order."""
    write_suite(
        folder,
        SuiteFolder(suite="made-up.toml", corpus="corpus", runs=(*(t.spec.id for t in trainers), *absent)),
    )
    for trainer in trainers:
        put(folder, trainer)
    return folder
