"""Stands in for `gemstones train`: keeps its promises about ledger, lock, signals and parents, and only sleeps.

A file `behaviour` in a run's folder makes it misbehave: `fail 3` (every time), `crash 3` (the first time), `diverge 3`,
at that step; `limp 3` fails after every 3 steps, saved.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

from gemstones.errors import InvalidRequest
from gemstones.runs.folders import read_run
from gemstones.runs.ledger import (
    LEDGER,
    Diverged,
    Evaluation,
    Event,
    Finished,
    Start,
    Step,
    Stopped,
    line_of,
)
from gemstones.train.lock import RUN_LOCK, locked

CHECKPOINT_EVERY = 5


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--orphan-of", type=int)
    parser.add_argument("--layout", default="1x1")
    parser.add_argument("--budget", type=float, default=float("inf"))
    asked, further = parser.parse_known_args()
    (asked.folder / "arguments").write_text(" ".join(further))
    (asked.folder / "devices").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    threading.Thread(target=leave_with, args=(asked.orphan_of,), daemon=True).start()
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda caught, _: stopped.append(caught))
    assert os.environ["OMP_NUM_THREADS"] == str(asked.threads)
    with locked(asked.folder / RUN_LOCK, 10, lambda who: InvalidRequest(f"held by {who}")):
        return train(asked.folder, stopped, time.monotonic() + asked.budget)


def leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.05)
    os._exit(113)


def train(folder: Path, stopped: list[int], deadline: float) -> int:
    spec = read_run(folder).spec
    checkpoint = folder / "checkpoint"
    step = spec.fork_step
    with contextlib.suppress(FileNotFoundError):
        step = int(checkpoint.read_text())
    begun = step
    what, _, when = behaviour(folder).partition(" ")
    with (folder / LEDGER).open("ab", buffering=0) as ledger:

        def write(event: Event) -> None:
            ledger.write(line_of(event))

        write(
            Start(
                step=step,
                time="now",
                device="none",
                host=str(os.getpid()),
                matmul_flops_per_second=1,
                epochs=1,
            )
        )
        while step < spec.steps:
            if stopped or time.monotonic() > deadline:
                checkpoint.write_text(str(step))
                write(Stopped(step=step, reason=f"signal {stopped}"))
                return 128 + stopped[0] if stopped else 75
            if what and step == int(when) + (begun if what == "limp" else 0):
                if what == "diverge":
                    write(Diverged(step=step, reason="the loss went up"))
                    return 1
                if what == "limp":
                    checkpoint.write_text(str(step))
                if what == "crash":
                    (folder / "behaviour").unlink()
                print(f"a warning\ngemstones: {what} as told", file=sys.stderr)
                return 1
            time.sleep(float(os.environ.get("FAKE_SECONDS", "0.01")))
            step += 1
            write(
                Step(
                    step=step,
                    tokens=step * spec.batch_tokens,
                    loss=5 - step / 1000,
                    gradient_norm=1,
                    learning_rate=1e-3,
                    seconds=0.01,
                    utilisation=0.5,
                )
            )
            if step % CHECKPOINT_EVERY == 0:
                checkpoint.write_text(str(step))
        write(Evaluation(step=step, tokens=step * spec.batch_tokens, loss=4.5, sequences=1, seconds=0.01))
        write(Finished(step=step))
    return 0


def behaviour(folder: Path) -> str:
    try:
        return (folder / "behaviour").read_text()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InvalidRequest as error:
        print(f"gemstones: {error}", file=sys.stderr)
        sys.exit(2)
