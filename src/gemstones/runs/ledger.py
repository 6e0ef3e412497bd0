"""The ledger of a run: what happened, one JSON object a line, only ever appended to.

Interruptions and rollbacks leave lines that were superseded; `Ledger` has the run as if there had been none.
A line without its end of line was cut by a crash and does not count: the step it told of is done again. Every line
has its own checksum (`gemstones.runs.checksum`): a number that was changed later is refused, not fitted. Ledgers of
before there were checksums can be read, and gone on with.

    start      a session begins, after `step`: machine, layout, versions
    step       an optimizer step: loss, gradient norm, rate, seconds
    evaluation a pass over the held-out windows
    saved      a checkpoint was completed
    rollback   the loss diverged: back to `to_step`, past the batches that had been read
    stopped    a session ended early, to be resumed
    finished   the run is done
    diverged   the run is given up
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gemstones.errors import InvalidTable
from gemstones.files import read_bytes, unreadable
from gemstones.runs.checksum import with_checksum, without_checksum
from gemstones.runs.one_line import one_line

LEDGER = "ledger.jsonl"
"""Name of the file in a run's folder."""

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
NotNegative = Annotated[float, Meta(ge=0, le=1e300)]
State = Literal["begun", "stopped", "finished", "diverged"]
"""`begun`: a session is at work, or was killed."""


Recompute = Literal["none", "attention", "block"]
"""Activations that are computed again in the backward pass and not kept."""
Products = Literal["mkl", "onednn"]
"""The library of float32 matrix products on a CPU."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="event"):
    """A line of the ledger."""

    step: Count
    """Steps done from the start of training, a parent's included."""


class Start(Record, frozen=True, kw_only=True, tag="start"):
    """A session begins, after `step`."""

    time: str
    """UTC, ISO 8601."""
    resumed_from: str = ""
    """Name of the checkpoint, a parent's at a fork; nothing at the start of training."""
    skipped_batches: Count = 0
    """Batches passed over before `step`, by rollbacks of this run or its parents."""
    host: str = ""
    device: str
    """Name of the processor."""
    data_parallel: Positive = 1
    tensor_parallel: Positive = 1
    threads: Positive = 1
    """Per process."""
    matmul_flops_per_second: NotNegative
    """Peak measured on one device at the start, in the run's precision."""
    compiled: bool = False
    recompute: Recompute = "none"
    products: Products | Literal[""] = ""
    """Of float32 matrices on a CPU; nothing where there is no choice."""
    micro_sequences: Count = 0
    """Sequences at a time on a process; 0 for its whole share of the batch."""
    epochs: NotNegative
    """How often the whole run reads the corpus's training split: above 1, text is seen again."""
    versions: dict[str, str] = {}
    bytes_per_token: dict[str, NotNegative] = {}
    """UTF-8 bytes of text over tokens, of each held-out set: "validation" is the corpus's own."""

    @property
    def devices(self) -> int:
        """Processes at work, one device each."""
        return self.data_parallel * self.tensor_parallel


class Step(Record, frozen=True, kw_only=True, tag="step"):
    """An optimizer step; `step` counts it."""

    tokens: Positive
    """Seen after it."""
    loss: Finite
    """Of the batch before the step, nats/token."""
    gradient_norm: NotNegative
    """Before clipping."""
    learning_rate: NotNegative
    seconds: NotNegative
    utilisation: NotNegative
    """Matmul FLOPs per second of the step over those measured at the start, all devices."""


class Evaluation(Record, frozen=True, kw_only=True, tag="evaluation"):
    """Mean loss over the held-out windows, after `step`."""

    tokens: Positive
    loss: Finite
    """Nats/token."""
    sequences: Positive
    """Windows evaluated."""
    losses: dict[str, Finite] = {}
    """Nats/token of the other held-out sets, by name."""
    seconds: NotNegative


class Saved(Record, frozen=True, kw_only=True, tag="saved"):
    """A checkpoint is complete: that of `step`, which later steps may have followed meanwhile."""

    bytes: Count
    seconds: NotNegative
    """In which nothing was trained for it."""


class Rollback(Record, frozen=True, kw_only=True, tag="rollback"):
    """Divergence, seen at `step`: the run went back to `to_step` and on with later batches."""

    to_step: Count
    loss: Finite | None
    """That gave the alarm; null if it was not finite."""
    reason: str
    skipped_batches: Positive
    """Batches passed over in all, from `to_step` on: step n reads batch n − 1 + skipped_batches."""


class Stopped(Record, frozen=True, kw_only=True, tag="stopped"):
    """A session ended before the run did, its work saved."""

    reason: str


class Finished(Record, frozen=True, kw_only=True, tag="finished"):
    """The last step is done, evaluated and saved."""


class Diverged(Record, frozen=True, kw_only=True, tag="diverged"):
    """Rolled back too often: given up. What is left is the run up to `step`."""

    reason: str


Event: TypeAlias = Start | Step | Evaluation | Saved | Rollback | Stopped | Finished | Diverged
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class Ledger:
    """A run as if it had never been interrupted or rolled back."""

    events: tuple[Event, ...] = ()
    """Everything that was written, superseded or not."""
    steps: tuple[Step, ...] = ()
    """One for each step, ascending, without gaps."""
    sessions: tuple[Start, ...] = ()
    """Of each of `steps`, the session that did it."""
    evaluations: tuple[Evaluation, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()
    """Those whose passing over of batches is still in force, by `to_step`."""
    state: State | None = None
    """None before the first session."""

    @property
    def starts(self) -> tuple[Start, ...]:
        """Every session, in order."""
        return tuple(event for event in self.events if isinstance(event, Start))

    @property
    def last_step(self) -> int:
        """Steps that stand, a parent's included; 0 before the first."""
        if self.steps:
            return self.steps[-1].step
        return self.starts[0].step if self.starts else 0


def passed_over(rollbacks: Iterable[Rollback], step: int, inherited: int = 0) -> int:
    """Batches passed over before step number `step`, which reads batch step − 1 + this many.

    `inherited` are those of the run's parents up to its fork.
    """
    return max([inherited, *(r.skipped_batches for r in rollbacks if r.to_step < step)])


def read_ledger(path: Path) -> Ledger:
    """The ledger in the file at `path`, which may not exist yet; `InvalidTable` names a line that is wrong."""
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise unreadable(error, InvalidTable, file=str(path)) from None
    return stitched(parse(content, str(path)), str(path))


def line_of(event: Event) -> bytes:
    """The line that tells of `event`, with its checksum and its end."""
    return with_checksum(_ENCODER.encode(event)) + b"\n"


def parse(content: bytes, file: str) -> list[Event]:
    """The records of `content`, all but a last one that was cut.

    Raises `InvalidTable`, which names the line, for what is no record, or is not as it was written.
    """
    lines = content.split(b"\n")
    events: list[Event] = []
    for number, whole in enumerate(lines[:-1], start=1):
        line, right = without_checksum(whole)
        if right is False:
            raise _broken(number, "is not as it was written: its checksum is another's", file)
        try:
            events.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeError) as error:
            raise _broken(number, f"is no record of a ledger: {one_line(error)}", file) from None
    return events


def stitched(events: Iterable[Event], file: str = "ledger") -> Ledger:
    """The run that `events` tell of, superseded stretches left out.

    A session that starts after step s, and a rollback to s, supersede all steps and evaluations beyond s. What
    leaves a gap, or goes back behind the first session, is an `InvalidTable` that names the line.
    """
    events = tuple(events)
    steps: list[Step] = []
    sessions: list[Start] = []
    evaluations: list[Evaluation] = []
    rollbacks: list[Rollback] = []
    state: State | None = None
    first = done = 0
    for line, event in enumerate(events, start=1):
        if isinstance(event, Start) and state is None:
            first = done = event.step
        elif state is None:
            raise _broken(line, "comes before any session", file)
        if problem := _misplaced(event, first, done):
            raise _broken(line, problem, file)
        match event:
            case Start():
                session, state, done = event, "begun", event.step
            case Step():
                steps.append(event)
                sessions.append(session)
                done = event.step
            case Evaluation():
                if evaluations and evaluations[-1].step == done:
                    evaluations.pop()  # made again, of the same weights on the same windows
                evaluations.append(event)
            case Rollback():
                done = event.to_step
                rollbacks = [r for r in rollbacks if r.to_step < done] + [event]
            case Diverged():
                state, done = "diverged", min(done, event.step)
            case Stopped() | Finished():
                state = "stopped" if isinstance(event, Stopped) else "finished"
        _cut(done, steps, sessions, evaluations)
    return Ledger(events, tuple(steps), tuple(sessions), tuple(evaluations), tuple(rollbacks), state)


def _misplaced(event: Event, first: int, done: int) -> str:
    """What is wrong with `event` after step `done` of a run that began after step `first`, or nothing."""
    match event:
        case Start() if not first <= event.step <= done:
            return f"starts after step {event.step}, and there are {first} to {done}"
        case Step() if event.step != done + 1:
            return f"is step {event.step}, and follows step {done}"
        case Evaluation() if event.step != done:
            return f"evaluates step {event.step}, and follows step {done}"
        case Rollback() if not first <= event.to_step <= done:
            return f"goes back to step {event.to_step}, and there are {first} to {done}"
    return ""


def _broken(line: int, what: str, file: str) -> InvalidTable:
    return InvalidTable(
        f"line {line} {what}: restore the file, or delete the run's folder to train it again", file=file
    )


def _cut(step: int, steps: list[Step], sessions: list[Start], evaluations: list[Evaluation]) -> None:
    """Drop what came after `step`."""
    while steps and steps[-1].step > step:
        steps.pop()
        sessions.pop()
    while evaluations and evaluations[-1].step > step:
        evaluations.pop()
