"""How fast a run goes, from the end of its ledger: cheap enough to ask every second, while it trains."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gemstones.errors import InvalidTable
from gemstones.runs.ledger import LEDGER, Evaluation, Event, Rollback, Saved, Start, Step, parse

TAIL_BYTES = 1 << 16
"""Some 250 steps."""


@dataclass(frozen=True)
class Pace:
    """Where a run is, and its pace over its latest steps, of one session."""

    step: int = 0
    loss: float | None = None
    """Of the last step, nats/token."""
    tokens_per_second: float | None = None
    """Of the steps alone."""
    seconds_per_step: float | None = None
    """With the evaluations and saves among the steps."""


def pace(folder: Path) -> Pace:
    """The pace of the run in `folder`; where the ledger's end cannot be read, nothing is known."""
    try:
        with (folder / LEDGER).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            content = file.read()
        if size > TAIL_BYTES:
            content = content.partition(b"\n")[2]
        return pace_of(parse(content, LEDGER))
    except (OSError, InvalidTable):
        return Pace()


def pace_of(events: Iterable[Event]) -> Pace:
    """The pace by the last of `events`, whatever came before them."""
    step, loss = 0, None
    steps: list[Step] = []
    seconds = 0.0
    for event in events:
        match event:
            case Start():
                step, loss, steps, seconds = event.step, None, [], 0.0
            case Rollback():
                step, loss, steps, seconds = event.to_step, None, [], 0.0
            case Step():
                step, loss = event.step, event.loss
                steps.append(event)
                seconds += event.seconds
            case Evaluation() | Saved():
                # Before the first step of the tail, it belongs to a step that was cut off.
                seconds += event.seconds if steps else 0.0
    if not steps or seconds <= 0:
        return Pace(step, loss)
    timed = sum(event.seconds for event in steps[1:])
    tokens = steps[-1].tokens - steps[0].tokens
    return Pace(step, loss, tokens / timed if tokens and timed > 0 else None, seconds / len(steps))
