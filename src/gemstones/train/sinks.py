"""Where else a run's events go, beside its ledger: one small protocol.

A sink sees the events of its own session as they happen; what it does can neither change the run nor is it
needed to resume it. Where a run goes back, because it diverged, trackers show each step once, the one that counts.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import msgspec

from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.runs.folders import ledger_of
from gemstones.runs.formats.wandb_offline import SUPERSEDED
from gemstones.runs.ledger import Diverged, Evaluation, Event, Ledger, Rollback, Start, Step

SINKS = ("tensorboard", "wandb")


class Sink(Protocol):
    """Sees a session from its start to its end, on rank 0."""

    def start(self, spec: RunSpec, session: Start) -> None:
        """The session begins."""

    def log(self, event: Event) -> None:
        """Something happened."""

    def finish(self, state: str) -> None:
        """The session ends: finished, stopped or diverged."""


def open_sink(name: str, run_folder: Path) -> Sink:
    """The sink called `name`: tensorboard or wandb."""
    check_sink(name)
    return TensorBoardSink(run_folder) if name == "tensorboard" else WandbSink(run_folder)


def check_sink(name: str) -> None:
    """Refuse a sink that is not known, or not installed."""
    if name not in SINKS:
        raise InvalidRequest(f"sink {name!r} is unknown: choose from {', '.join(SINKS)}")
    if find_spec(name) is None:
        raise MissingExtra("trackers", f"the sink {name}")


def scalars(event: Event) -> dict[str, float]:
    """The numbers of an event by name, as trackers show them; units are in the names or in nats/token."""
    match event:
        case Step():
            return {
                "train/loss": event.loss,
                "train/gradient_norm": event.gradient_norm,
                "train/learning_rate": event.learning_rate,
                "train/seconds_per_step": event.seconds,
                "train/utilisation": event.utilisation,
                "train/tokens": event.tokens,
            }
        case Evaluation():
            others = {f"validation/loss_{name}": loss for name, loss in event.losses.items()}
            return {"validation/loss": event.loss, "validation/tokens": event.tokens, **others}
        case Rollback():
            return {"train/rolled_back_to_step": event.to_step}
    return {}


class TensorBoardSink:
    """Event files in the run's `tensorboard`; steps that were done again, or discarded, are not shown."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / "tensorboard"
        self._writer: Any = None

    def start(self, spec: RunSpec, session: Start) -> None:
        """Open a writer that purges what comes after the session's first step."""
        self._begin(session.step)
        self._writer.add_text("spec", f"```\n{spec.to_json()}\n```", session.step)

    def log(self, event: Event) -> None:
        """Add its numbers."""
        if (back := goes_back_to(event)) is not None:
            self._writer.close()
            self._begin(back)
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, event.step if back is None else back)

    def finish(self, state: str) -> None:
        """Close the writer."""
        self._writer.close()

    def _begin(self, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._wait_for_a_later_name()
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    def _wait_for_a_later_name(self) -> None:
        """TensorBoard reads files, and purges, in the order of their names, not of time.

        `events.out.tfevents.SECOND.HOST.PROCESS.WRITER`: of one second, writer 10 comes before writer 9.
        """
        names = (path.name.split(".") for path in self._folder.glob("events.out.tfevents.*"))
        newest = max((int(parts[3]) for parts in names if parts[3].isdecimal()), default=0)
        if newest >= int(time.time()):
            time.sleep(1 - time.time() % 1)


class WandbSink:
    """A W&B run of the same id; offline unless WANDB_MODE says otherwise, to be synced with `wandb sync`.

    W&B takes no row back and none of a lower step. So steps are an axis of our own, `step`, and a rollback begins
    another W&B run, `ID-rollback-1`, with all that still counts; the one before says what came after it.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder
        self._run: Any = None
        self._spec: Any = None

    def start(self, spec: RunSpec, session: Start) -> None:
        """Begin or resume the W&B run."""
        self._spec = spec
        self._begin(ledger_of(self._folder))

    def log(self, event: Event) -> None:
        """Add its numbers."""
        if (back := goes_back_to(event)) is not None:
            ledger = ledger_of(self._folder)  # with this event
            self._run.summary["state"] = f"{SUPERSEDED} {self._id(ledger)}, from step {back} on"
            self._run.finish()
            self._begin(ledger)
            standing: list[Step | Evaluation] = [*ledger.steps, *ledger.evaluations]
            for done in sorted(standing, key=lambda done: (done.step, isinstance(done, Evaluation))):
                self._run.log({"step": done.step, **scalars(done)})
        if numbers := scalars(event):
            self._run.log({"step": event.step if back is None else back, **numbers})

    def finish(self, state: str) -> None:
        """Close the W&B run."""
        self._run.summary["state"] = state
        self._run.finish()

    def _id(self, ledger: Ledger) -> str:
        times = sum(goes_back_to(event) is not None for event in ledger.events)
        return f"{self._spec.id}-rollback-{times}" if times else str(self._spec.id)

    def _begin(self, ledger: Ledger) -> None:
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(
            project="gemstones",
            id=self._id(ledger),
            name=self._id(ledger),
            group=self._spec.family,
            dir=str(self._folder),
            config=msgspec.to_builtins(self._spec),
            mode=mode,
            resume="allow",
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")


def goes_back_to(event: Event) -> int | None:
    """The step after which everything is discarded by `event`; None if nothing is."""
    match event:
        case Rollback():
            return event.to_step
        case Diverged():
            return event.step
    return None
