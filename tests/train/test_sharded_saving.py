"""Checkpoints that two ranks write beside the training keep the promises of those of one process."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstones.runs.folders import ledger_of
from gemstones.train.checkpoint import CHECKPOINTS, checkpoints
from tests.train.compare import saves_are_beside_training, trained
from tests.train.conftest import STEP

MakeRun = Callable[..., Path]
WORKER = Path(__file__).with_name("sharded_worker.py")
SHAPE = "64x2"
pytestmark = pytest.mark.long


def started(folder: Path, *words: object) -> list[subprocess.Popen[str]]:
    """The two ranks, each a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return [
        subprocess.Popen(
            [sys.executable, WORKER, folder, *map(str, words)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]


def ended(ranks: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit status of each, and what it said."""
    said = [rank.communicate(timeout=120)[1] for rank in ranks]
    return [(rank.returncode, text) for rank, text in zip(ranks, said, strict=True)]


def train(folder: Path, *words: object) -> None:
    assert [status for status, _ in ended(started(folder, *words))] == [0, 0]


def left(folder: Path) -> list[str]:
    root = folder / CHECKPOINTS
    return sorted(path.name for path in root.iterdir()) if root.is_dir() else []


def test_training_goes_on_and_a_stop_waits(make_run: MakeRun) -> None:
    alone, beside, stopped = (make_run(name, shape=SHAPE) for name in ("alone", "beside", "stopped"))
    train(alone)
    train(beside, "slow", 0.2)
    assert trained(beside) == trained(alone)
    saves_are_beside_training(beside, [4, 8, 12, 16, 20])
    assert len(checkpoints(beside)[-1].complete.files) == 2

    # A signal to one of them, while both are still writing the checkpoint of step 4.
    said = ended(started(stopped, "slow", 0.5, "stop", 5))
    assert [status for status, _ in said] == [128 + signal.SIGTERM] * 2, said
    assert left(stopped) == ["step-0000000004", "step-0000000005"]
    train(stopped)
    assert ledger_of(stopped).starts[-1].step == 5
    assert trained(stopped) == trained(alone)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_full_disk_of_one_rank_is_told_by_both_and_leaves_nothing(make_run: MakeRun, rank: int) -> None:
    folder = make_run(shape=SHAPE, steps=2000)
    said = ended(started(folder, "full", rank))
    for status, text in said:
        assert (status, text.count("\n")) == (1, 1), said
        assert "step-0000000004 cannot be saved: No space left on device: make room" in text
    assert left(folder) == []
    assert ledger_of(folder).last_step < 2000


def test_sigkill_at_random_moments_loses_only_what_was_not_saved(make_run: MakeRun) -> None:
    """Both ranks, or one of them, while they train, and while they save."""
    steps = 300
    alone, broken = (
        make_run(name, shape=SHAPE, steps=steps, checkpoint_tokens=10 * STEP) for name in ("alone", "broken")
    )
    train(alone)
    chance = random.Random(4)
    found = []
    for kill in range(4):
        ranks = started(broken)
        before = ledger_of(broken).last_step
        while ledger_of(broken).last_step <= before and ranks[0].poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.2, 1.2))
        deadline = time.monotonic() + 2
        while kill % 2 and not is_saving(broken):
            assert time.monotonic() < deadline
        found.append(is_saving(broken))
        for rank in (ranks, ranks[::-1], ranks[1:], ranks[:1])[kill]:
            rank.kill()
        # Whoever is left ends by himself, in a line, and takes no half of a checkpoint for a whole.
        for status, said in ended(ranks):
            assert status == -signal.SIGKILL or (
                status,
                said.count("another process of this run is gone"),
            ) == (1, 1), said
        assert ledger_of(broken).last_step < steps, "killed too late to test anything"
    assert any(found)
    train(broken)
    assert trained(broken) == trained(alone)
    starts = [start.step for start in ledger_of(broken).starts]
    assert starts == sorted(starts)
    assert starts[-1] > 0
    assert all(name.startswith("step-") for name in left(broken))


def is_saving(folder: Path) -> bool:
    return any("saving" in name for name in left(folder))
