"""What two runs must have in common, and how a session is stopped from within."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from gemstones.design.spec import RunSpec
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Event, Saved, Start, Step
from gemstones.train.checkpoint import read_weights


def trained(folder: Path) -> dict[str, Any]:
    """Everything of a run but timings and provenance."""
    ledger = ledger_of(folder)
    _, weights = read_weights(folder)
    return {
        "steps": [(s.step, s.tokens, s.loss, s.gradient_norm, s.learning_rate) for s in ledger.steps],
        "evaluations": [(e.step, e.tokens, e.loss, e.sequences) for e in ledger.evaluations],
        "state": ledger.state,
        "weights": {name: tensor.numpy().tobytes() for name, tensor in weights.items()},
    }


class SignalAt:
    """A sink that signals its own process after a step."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.step, self.number = step, number

    def start(self, spec: RunSpec, session: Start) -> None:
        self.session = session

    def log(self, event: Event) -> None:
        if isinstance(event, Step) and event.step == self.step:
            os.kill(os.getpid(), self.number)

    def finish(self, state: str) -> None:
        self.state = state


def saves_are_beside_training(folder: Path, steps: list[int]) -> None:
    """Checkpoints are of these steps, and the line of one at least comes after steps that were done meanwhile."""
    events = ledger_of(folder).events
    saved = [event for event in events if isinstance(event, Saved)]
    assert [event.step for event in saved] == steps
    last_steps = [
        max(before.step for before in events[:place] if isinstance(before, Step))
        for place, event in enumerate(events)
        if isinstance(event, Saved)
    ]
    assert any(last > event.step for last, event in zip(last_steps, saved, strict=True))
