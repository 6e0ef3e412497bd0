"""Trackers see what the ledger has, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.runs.folders import ledger_of
from gemstones.train.run import Options, train
from gemstones.train.sinks import open_sink
from tests.train.compare import SignalAt, trained

MakeRun = Callable[..., Path]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_every_step_once(make_run: MakeRun) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, alone = make_run("tracked"), make_run("alone")
    train(alone, Options(threads=1))
    train(folder, Options(threads=1, sinks=(open_sink("tensorboard", folder), SignalAt(7))))
    train(folder, Options(threads=1, sinks=(open_sink("tensorboard", folder),)))
    assert trained(folder) == trained(alone)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    ledger = ledger_of(folder)
    shown = events.Scalars("train/loss")
    assert [e.step for e in shown] == list(range(1, 21))
    assert [e.value for e in shown] == pytest.approx([s.loss for s in ledger.steps], rel=1e-6)
    assert [e.step for e in events.Scalars("validation/loss")] == [5, 10, 15, 20]


def test_wandb_writes_an_offline_run(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder = make_run(steps=5)
    train(folder, Options(threads=1, sinks=(open_sink("wandb", folder),)))
    (run,) = (folder / "wandb").glob("offline-run-*")
    assert list(run.glob("run-*.wandb"))
    assert ledger_of(folder).state == "finished"


def test_unknown_sinks_and_missing_packages_are_said(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    with pytest.raises(InvalidRequest, match="sink 'mlflow' is unknown: choose from tensorboard, wandb"):
        open_sink("mlflow", folder)
    monkeypatch.setattr("gemstones.train.sinks.find_spec", lambda name: None)
    for name in ("wandb", "tensorboard"):
        with pytest.raises(MissingExtra, match=r"the sink .* needs .*gemstones\[trackers\]"):
            open_sink(name, folder)
