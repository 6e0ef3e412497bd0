"""Suites of runs that only sleep, and how to watch them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemstones.design.spec import RunSpec
from gemstones.runs.folders import RunFile, SuiteFolder, write_run, write_suite
from gemstones.runs.ledger import Ledger
from gemstones.shape import Shape
from gemstones.train.suite_folder import RunTask, tasks_of

FAKE = (sys.executable, str(Path(__file__).with_name("fake_trainer.py")))
BATCH = 16
"""Tokens of a step."""

SUITE = """
[models]
head_size = 8
context = 16
[shapes]
explicit = ["16x1", "16x2", "32x1"]
[training]
tokens = 640
batch_sequences = 1
warmup_tokens = 16
evaluate_every = 160
[[families]]
family = "cooldown"
shapes = ["16x1"]
forks = [320]
length = 0.25
"""
"""Three runs of 40 steps, and a cooldown of 5 from step 20 of the first."""

DRIVER = """
import sys
from gemstones.cli.app import run
from gemstones.train import queue
queue.gemstones_train = lambda: sys.argv[1:3]
sys.exit(run(sys.argv[3:]))
"""


def spec(depth: int, steps: int = 10, **others: Any) -> RunSpec:
    return RunSpec.of(
        Shape(16, depth, head_size=8, vocabulary=64, context=16),
        **{
            "family": "main",
            "tokens": steps * BATCH,
            "batch_sequences": 1,
            "warmup_tokens": 0,
            "evaluate_tokens": 10**6,
            "checkpoint_tokens": 10**6,
        }
        | others,
    )


def cooldown(parent: RunSpec, fork_step: int, steps: int = 10) -> RunSpec:
    return spec(
        parent.depth,
        steps,
        family="cooldown",
        parent=parent.id,
        fork_tokens=fork_step * BATCH,
        cooldown=True,
    )


def folder_of(folder: Path, *specs: RunSpec) -> tuple[RunTask, ...]:
    for one in specs:
        write_run(folder / one.id, RunFile(corpus="nowhere", spec=one))
    write_suite(folder, SuiteFolder(suite="test", corpus="nowhere", runs=tuple(one.id for one in specs)))
    return tasks_of(folder)


def start(*arguments: object, seconds: float = 0.05) -> subprocess.Popen[str]:
    """`gemstones ARGUMENTS` with the fake trainer, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *FAKE, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "FAKE_SECONDS": str(seconds)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def until(what: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def trainers(ledger: Ledger) -> list[int]:
    """Process ids of a run's sessions."""
    return [int(begun.host) for begun in ledger.starts]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
