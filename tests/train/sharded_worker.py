"""One process of two that train a run sharded, as torchrun starts it, with saves that are slow or find no room.

python sharded_worker.py FOLDER [slow SECONDS] [stop STEP] [full RANK]
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist

from gemstones.cli.app import run
from gemstones.train import loop, saving, write_checkpoint
from gemstones.train.checkpoint import Complete


def main() -> None:
    folder, *words = sys.argv[1:]
    for kind, number in zip(words[::2], words[1::2], strict=True):
        {"slow": slow, "stop": stop, "full": full}[kind](float(number))
    status = run(["train", folder, "--layout", "2x1", "--threads", "1"])
    sys.exit(status)


def slow(seconds: float) -> None:
    """Saves take their time, one rank's more than the other's, and are never two at once nor in the way of training."""
    plain, under_way, main_thread = saving.save, threading.Lock(), threading.get_ident()

    def save(*arguments: Any, **named: Any) -> Complete:
        assert threading.get_ident() != main_thread
        assert under_way.acquire(blocking=False)
        time.sleep(seconds * (1 + dist.get_rank()))
        try:
            return plain(*arguments, **named)
        finally:
            under_way.release()

    saving.save = save


def stop(step: float) -> None:
    """A signal comes to the second rank after `step`."""
    plain = loop._step

    def step_and_signal(*arguments: Any) -> Any:
        done = plain(*arguments)
        if arguments[1] + 1 == step and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return done

    loop._step = step_and_signal


def full(rank: float) -> None:
    """The shard of one rank finds no room, a while after its save has begun."""

    def written(path: Path) -> None:
        time.sleep(0.3)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if int(os.environ["RANK"]) == rank:
        write_checkpoint._written = written  # type: ignore[assignment]


if __name__ == "__main__":
    main()
