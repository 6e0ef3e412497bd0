"""A stop is served wherever it comes: in an evaluation, in a save, before the first step; and nothing shows it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Evaluation, Event
from gemstones.train import loop
from gemstones.train.checkpoint import checkpoints
from gemstones.train.run import Options, Outcome, train
from tests.train.compare import SignalAt, trained

MakeRun = Callable[..., Path]
PLAIN = Options(threads=1)
evaluate_code = sys.modules["gemstones.train.evaluate"]


class Evaluating:
    """Does something in the middle of evaluations: the loss of a few windows is asked for the `n`-th time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.seconds, self.at = 0, 0.0, -1
        self.number = signal.SIGTERM
        plain = evaluate_code.token_losses

        def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
            self.calls += 1
            time.sleep(self.seconds)
            if self.calls == self.at:
                os.kill(os.getpid(), self.number)
            return plain(logits, targets)

        monkeypatch.setattr(evaluate_code, "token_losses", token_losses)


@pytest.fixture
def evaluating(monkeypatch: pytest.MonkeyPatch) -> Evaluating:
    return Evaluating(monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
@pytest.mark.parametrize("step", [5, 8, 10])
def test_a_signal_breaks_an_evaluation_off_and_the_next_session_begins_with_it(
    make_run: MakeRun,
    evaluating: Evaluating,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    step: int,
) -> None:
    monkeypatch.setattr(evaluate_code, "NEARLY_SECONDS", 0.0)
    # 12 windows by 4 are three calls, after steps 5 and 10, or after 4, 8 and 10, where the run is saved too.
    every = {"evaluate_tokens": (4 if step == 8 else 5) * 128, "evaluate_sequences": 12}
    alone, broken = (make_run(name, steps=10, **every) for name in ("alone", "broken"))
    train(alone, PLAIN)
    whole = evaluating.calls
    before = {5: 0, 8: 3, 10: 3}[step]
    evaluating.calls, evaluating.at, evaluating.number = 0, before + 2, number
    outcome = train(broken, PLAIN)
    assert outcome == Outcome("stopped", step, 10, number.name)
    assert evaluating.calls == before + 2  # not to the end
    assert checkpoints(broken)[-1].step == step
    assert step not in [e.step for e in ledger_of(broken).evaluations]
    assert train(broken, PLAIN).state == "finished"
    assert evaluating.calls == whole + 2
    assert trained(broken) == trained(alone)


def test_a_signal_at_the_end_of_an_evaluation_lets_it_end(make_run: MakeRun, evaluating: Evaluating) -> None:
    folder = make_run(steps=10, evaluate_sequences=12)
    evaluating.at = 2
    assert train(folder, PLAIN) == Outcome("stopped", 5, 10, "SIGTERM")
    assert [e.step for e in ledger_of(folder).evaluations] == [5]


@pytest.mark.long
def test_a_budget_counts_evaluations(make_run: MakeRun, evaluating: Evaluating) -> None:
    alone, short = (make_run(name, steps=6, evaluate_sequences=80) for name in ("alone", "short"))
    train(alone, PLAIN)
    evaluating.seconds = 0.2  # 20 times: 4 seconds
    began = time.monotonic()
    assert train(short, Options(threads=1, budget_seconds=2.0)) == Outcome("stopped", 5, 6, "the time budget")
    assert time.monotonic() - began < 4
    # A budget that is too short for it does not keep the run where it is.
    assert train(short, Options(threads=1, budget_seconds=0.0)).step == 5
    assert [e.step for e in ledger_of(short).evaluations] == [5]
    evaluating.seconds = 0.0
    train(short, PLAIN)
    assert trained(short) == trained(alone)


def test_a_signal_during_a_save_lets_it_end_and_no_step_follows(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, stopped = make_run("alone"), make_run("stopped")
    train(alone, PLAIN)
    plain = loop.begin_save

    def save(*arguments: object, **named: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return plain(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "begin_save", save)
    assert train(stopped, PLAIN) == Outcome("stopped", 4, 20, "SIGTERM")
    assert [c.step for c in checkpoints(stopped)] == [4]
    monkeypatch.setattr(loop, "begin_save", plain)
    train(stopped, PLAIN)
    assert trained(stopped) == trained(alone)


@pytest.mark.parametrize("done", [0, 7])
def test_a_signal_before_the_first_step_is_served_before_it(make_run: MakeRun, done: int) -> None:
    class AtStart(SignalAt):
        def start(self, spec: object, session: object) -> None:
            os.kill(os.getpid(), self.number)

        def log(self, event: Event) -> None:
            assert not isinstance(event, Evaluation)

    alone, stopped = make_run("alone"), make_run("stopped")
    train(alone, PLAIN)
    if done:
        train(stopped, Options(threads=1, sinks=(SignalAt(done),)))
    assert train(stopped, Options(threads=1, sinks=(AtStart(0),))) == Outcome("stopped", done, 20, "SIGTERM")
    train(stopped, PLAIN)
    assert trained(stopped) == trained(alone)
