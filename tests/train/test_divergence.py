"""Divergence: back to a checkpoint, on with other batches, all of it in the ledger and nothing of it in the run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gemstones.design.divergence import LEVEL_STEPS, MOST_ROLLBACKS
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Rollback, passed_over
from gemstones.train import loop
from gemstones.train.checkpoint import checkpoints
from gemstones.train.corpus import Corpus
from gemstones.train.loop import Setup
from gemstones.train.run import Options, train
from gemstones.train.step import StepResult
from tests.train.compare import SignalAt, trained
from tests.train.conftest import STEP, cooldown_of, spec_of

MakeRun = Callable[..., Path]
PLAIN = Options(threads=1)
STEPS = 100

Poison = Callable[[Callable[[int], float]], None]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Adds nats to the loss that is seen on the batch of a number, as a bad stretch of text would."""
    plain = loop._step

    def install(extra: Callable[[int], float]) -> None:
        def step(setup: Setup, number: int, rate: float) -> StepResult:
            result = plain(setup, number, rate)
            return replace(result, loss=result.loss + extra(number))

        monkeypatch.setattr(loop, "_step", step)

    return install


def test_a_bad_stretch_is_passed_over(make_run: MakeRun, poison: Poison) -> None:
    poison(lambda number: 3.0 if 60 <= number < 60 + LEVEL_STEPS else 0.0)
    folder = make_run(steps=STEPS, checkpoint_tokens=10 * STEP)
    assert train(folder, PLAIN).state == "finished"
    ledger = ledger_of(folder)
    (rollback,) = ledger.rollbacks
    # The median of 16 steps rises half of the way as soon as half of them are bad; step 61 reads batch 60.
    assert rollback.step == 60 + LEVEL_STEPS // 2
    assert rollback.to_step == 30  # the newest checkpoint of at least two levels before, 36
    assert rollback.skipped_batches == rollback.step - rollback.to_step + LEVEL_STEPS
    assert rollback.loss is not None
    assert "nats above" in rollback.reason
    # The rest of the stretch had not been read yet: it is passed over too.
    assert [s.step for s in ledger.steps] == list(range(1, STEPS + 1))
    assert [e.step for e in ledger.evaluations] == list(range(5, STEPS + 1, 5))
    assert [s.tokens for s in ledger.steps] == [n * STEP for n in range(1, STEPS + 1)]
    assert passed_over(ledger.rollbacks, 30) == 0
    assert passed_over(ledger.rollbacks, 31) == rollback.skipped_batches
    # From the checkpoint on, the run is one that never saw the stretch.
    state = checkpoints(folder)[-1].complete
    assert (state.step, state.skipped_batches) == (STEPS, rollback.skipped_batches)


@pytest.mark.long
@pytest.mark.parametrize("stop", [25, 40, 80])
def test_rollbacks_survive_interruptions(make_run: MakeRun, poison: Poison, stop: int) -> None:
    poison(lambda number: math.nan if number == 60 else 0.0)
    alone, stopped = (
        make_run(name, steps=STEPS, checkpoint_tokens=10 * STEP) for name in ("alone", "stopped")
    )
    assert train(alone, PLAIN).state == "finished"
    (rollback,) = ledger_of(alone).rollbacks
    assert (rollback.step, rollback.to_step, rollback.loss) == (61, 20, None)
    # Stops before the alarm, or after it, at steps that are trained twice, or once.
    while train(stopped, Options(threads=1, sinks=(SignalAt(stop),))).state != "finished":
        pass
    assert trained(stopped) == trained(alone)
    assert len(ledger_of(stopped).starts) > 1


@pytest.mark.long
def test_a_rollback_that_was_resumed_from_an_older_checkpoint_still_holds(
    make_run: MakeRun, poison: Poison
) -> None:
    poison(lambda number: math.nan if number == 60 else 0.0)
    alone, damaged = (
        make_run(name, steps=STEPS, checkpoint_tokens=10 * STEP) for name in ("alone", "damaged")
    )
    train(alone, PLAIN)
    train(damaged, Options(threads=1, sinks=(SignalAt(45),)))
    sink = SignalAt(25)
    train(damaged, Options(threads=1, sinks=(sink,)))  # rolls back to 20, stops at 25
    assert [r.to_step for r in ledger_of(damaged).rollbacks] == [20]
    for checkpoint in checkpoints(damaged):
        if checkpoint.step > 10:
            (checkpoint.folder / checkpoint.complete.files[0].name).unlink()
    said: list[str] = []
    train(damaged, Options(threads=1, say=said.append))
    assert ledger_of(damaged).starts[-1].step == 10
    assert ledger_of(damaged).starts[-1].skipped_batches == 0
    assert trained(damaged) == trained(alone)


def test_each_return_to_the_same_place_goes_further_back_and_then_the_run_is_given_up(
    make_run: MakeRun, poison: Poison
) -> None:
    poison(lambda number: math.inf if number >= 70 else 0.0)
    folder = make_run(steps=STEPS, checkpoint_tokens=10 * STEP)
    outcome = train(folder, PLAIN)
    assert outcome.state == "diverged"
    assert "the loss is inf" in outcome.reason
    ledger = ledger_of(folder)
    targets = [event.to_step for event in ledger.events if isinstance(event, Rollback)]
    assert len(targets) == MOST_ROLLBACKS
    assert targets == sorted(targets, reverse=True)
    # 71 is seen first; after a return to 30 the alarm is at 31, nothing is old enough to go back to but the start.
    assert targets == [30, 0, 0, 0]
    assert ledger.state == "diverged"
    # What is left is the run up to where it was given up: nothing of the stretch that diverged.
    assert all(math.isfinite(e.loss) for e in ledger.evaluations)
    assert ledger.last_step <= 40
    assert train(folder, PLAIN).state == "diverged"
    assert ledger_of(folder).events == ledger.events


def test_a_branch_goes_on_past_what_its_parent_passed_over(
    make_run: MakeRun, poison: Poison, corpus: Corpus
) -> None:
    poison(lambda number: math.nan if number == 50 else 0.0)
    parent = spec_of(corpus, steps=60, checkpoint_tokens=10 * STEP, permanent_tokens=(55 * STEP,))
    child = cooldown_of(parent, 55, 58)
    root, branch = make_run(spec=parent), make_run(spec=child)
    train(root, PLAIN)
    train(branch, PLAIN)
    main, cooled = ledger_of(root), ledger_of(branch)
    (rollback,) = main.rollbacks
    assert cooled.starts[0].skipped_batches == rollback.skipped_batches > 0
    assert cooled.steps[0].loss == main.steps[55].loss
    assert cooled.steps[1].loss == main.steps[56].loss
