"""Checkpoints that are written beside the training keep the promises of those that are waited for."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstones.errors import Failure
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Step
from gemstones.train import saving
from gemstones.train.checkpoint import CHECKPOINTS, Complete, checkpoints
from gemstones.train.run import Options, Outcome, train
from tests.train.compare import SignalAt, saves_are_beside_training, trained
from tests.train.conftest import STEP
from tests.train.test_divergence import Poison, poison

__all__ = ["poison"]  # the fixture

MakeRun = Callable[..., Path]
PLAIN = Options(threads=1)


class Slow:
    """Saves that take their time, and tell what was trained meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.threads, self.at_once, self.most = 0.3, set[int](), 0, 0
        plain = saving.save

        def save(*arguments: object, **named: object) -> Complete:
            self.threads.add(threading.get_ident())
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            time.sleep(self.seconds)
            try:
                return plain(*arguments, **named)  # type: ignore[arg-type]
            finally:
                self.at_once -= 1

        monkeypatch.setattr(saving, "save", save)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


def test_training_goes_on_while_a_checkpoint_is_written(make_run: MakeRun, slow: Slow) -> None:
    slow.seconds = 0.0
    alone, beside = make_run("alone"), make_run("beside")
    train(alone, PLAIN)
    slow.seconds = 0.3
    train(beside, PLAIN)
    assert trained(beside) == trained(alone)
    assert threading.get_ident() not in slow.threads
    assert slow.most == 1  # one at a time
    saves_are_beside_training(beside, [4, 8, 12, 16, 20])


@pytest.mark.parametrize("stop", [4, 5, 6, 8, 19])
def test_a_stop_waits_for_what_is_being_written(make_run: MakeRun, slow: Slow, stop: int) -> None:
    slow.seconds = 0.0
    alone, stopped = make_run("alone"), make_run("stopped")
    train(alone, PLAIN)
    slow.seconds = 0.3
    assert train(stopped, Options(threads=1, sinks=(SignalAt(stop),))) == Outcome(
        "stopped", stop, 20, "SIGTERM"
    )
    assert checkpoints(stopped)[-1].step == stop
    assert not [path for path in (stopped / CHECKPOINTS).iterdir() if path.name.startswith(".")]
    train(stopped, PLAIN)
    assert trained(stopped) == trained(alone)


@pytest.mark.long
def test_a_rollback_waits_for_it_and_goes_where_it_would_have(
    make_run: MakeRun,
    slow: Slow,
    poison: Poison,
) -> None:
    poison(lambda number: float("nan") if number == 60 else 0.0)
    slow.seconds = 0.0
    quick, beside = (make_run(name, steps=70, checkpoint_tokens=5 * STEP) for name in ("quick", "beside"))
    train(quick, PLAIN)
    slow.seconds = 0.2
    train(beside, PLAIN)
    assert trained(beside) == trained(quick)
    assert [r.to_step for r in ledger_of(beside).rollbacks] == [r.to_step for r in ledger_of(quick).rollbacks]
    assert [c.step for c in checkpoints(beside)] == [70]


def test_what_goes_wrong_in_the_thread_is_told(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> Complete:
        time.sleep(0.2)
        raise Failure("step-4 cannot be saved: No space left on device")

    folder = make_run(steps=400)
    with monkeypatch.context() as patch:
        patch.setattr(saving, "save", fail)
        with pytest.raises(Failure, match="step-4 cannot be saved: No space"):
            train(folder, PLAIN)
    assert ledger_of(folder).last_step < 400  # soon, and not at the next save
    assert not checkpoints(folder)


def test_another_error_lets_the_checkpoint_be_written(
    make_run: MakeRun, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullAt(SignalAt):
        def log(self, event: object) -> None:
            if isinstance(event, Step) and event.step == 5:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = make_run(steps=10)
    with pytest.raises(OSError, match="No space"):
        train(folder, Options(threads=1, sinks=(FullAt(0, signal.SIGTERM),)))
    assert [c.step for c in checkpoints(folder)] == [4]
    assert threading.active_count() == 1 or all("save-" not in t.name for t in threading.enumerate())
