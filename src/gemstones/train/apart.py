"""What compiling gains, measured in a process of its own: a compiler asks nobody whether to go on, and can be ended.

python -m gemstones.train.apart     reads a `Question`, writes `Seconds`, both in JSON
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import asdict

import msgspec
import torch

from gemstones.shape import Shape
from gemstones.train import pass_seconds
from gemstones.train.pass_seconds import Seconds
from gemstones.train.step import Precision
from gemstones.train.stopping import BUDGET, StoppedError, Stopping, leave_with

POLL_SECONDS = 0.1


class Question(msgspec.Struct, frozen=True):
    """What is to be measured."""

    plain: Seconds
    shape: dict[str, int]
    sequences: int
    precision: Precision
    threads: int
    asks: int
    """Process id of who waits for the answer."""


def compiled_too(
    plain: Seconds, like: Shape, sequences: int, precision: Precision, stopping: Stopping
) -> Seconds:
    """`plain`, and what compiling one layer of `like` takes and gains; `plain` where the budget or a failure ended it.

    Raises `StoppedError` where a signal did, at once.
    """
    question = Question(plain, asdict(like), sequences, precision, torch.get_num_threads(), os.getpid())
    given: bytes | None = msgspec.json.encode(question)
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # with its compilers, to be ended together
    ) as process:
        try:
            while not (code := stopping.code()):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    answer, _ = process.communicate(given, timeout=POLL_SECONDS)
                    return msgspec.json.decode(answer, type=Seconds) if process.returncode == 0 else plain
                given = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if code == BUDGET:
        return plain
    raise StoppedError(code)


def main() -> None:
    """Answer the question on standard input."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    leave_with(question.asks)
    torch.set_num_threads(question.threads)
    seconds = pass_seconds.compiled_too(
        question.plain, Shape(**question.shape), question.sequences, question.precision
    )
    sys.stdout.buffer.write(msgspec.json.encode(seconds))


if __name__ == "__main__":
    main()
