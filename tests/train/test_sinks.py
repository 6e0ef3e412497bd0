"""Trackers see what the ledger has, and change nothing."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.runs.folders import ledger_of, read_run
from gemstones.runs.formats import open_runs
from gemstones.runs.ledger import Diverged, Start, Step
from gemstones.train.checkpoint import checkpoints
from gemstones.train.run import Options, train
from gemstones.train.sinks import open_sink
from tests.train.compare import SignalAt, trained
from tests.train.conftest import STEP
from tests.train.test_divergence import Poison, poison

PATIENCE = 30.0
"""Seconds."""

__all__ = ["poison"]  # the fixture

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


def tensorboard_shows(folder: Path, tag: str) -> dict[int, list[float]]:
    """All values of each step, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    shown: dict[int, list[float]] = {}
    for event in events.Scalars(tag):
        shown.setdefault(event.step, []).append(event.value)
    return shown


def wandb_rows(folder: Path, last: int) -> dict[str, list[dict[str, float]]]:
    """The rows of each W&B run that was written offline, by its id, sessions in order.

    W&B's own process writes them, at times only after its `finish` has returned: step `last` is waited for.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        rows = _wandb_rows(folder)
        shown = [counts(of_run, "validation/loss") for of_run in rows.values()]  # the last row of a run
        if time.monotonic() > deadline or (shown and last in shown[-1]):
            return rows
        time.sleep(0.2)


def _wandb_rows(folder: Path) -> dict[str, list[dict[str, float]]]:
    from gemstones.runs.formats.wandb_offline import _run

    rows: dict[str, list[dict[str, float]]] = {}
    files = (folder / "wandb").glob("offline-run-*/*.wandb")
    for file in sorted(files, key=lambda path: path.stat().st_mtime_ns):
        run = _run(file.read_bytes(), file.name, [])
        rows.setdefault(run.id, []).extend(run.rows)
    return rows


def counts(rows: list[dict[str, float]], name: str) -> dict[int, list[float]]:
    """The values of each step by our own axis."""
    shown: dict[int, list[float]] = {}
    for row in rows:
        if name in row:
            shown.setdefault(int(row["step"]), []).append(row[name])
    return shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("stop", [None, 25, 50])
@pytest.mark.long
def test_after_a_rollback_each_step_is_shown_once(
    make_run: MakeRun,
    poison: Poison,
    monkeypatch: pytest.MonkeyPatch,
    stop: int | None,
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    poison(lambda number: math.nan if number == 60 else 0.0)
    folder = make_run(steps=70, checkpoint_tokens=10 * STEP)
    while (
        True
    ):  # a run that is stopped by the way, before the rollback or after, is shown as one that was not
        sinks = (open_sink("tensorboard", folder), open_sink("wandb", folder))
        extra = (SignalAt(stop),) if stop else ()
        if train(folder, Options(threads=1, sinks=(*sinks, *extra))).state == "finished":
            break
    ledger = ledger_of(folder)
    assert [rollback.to_step for rollback in ledger.rollbacks] == [20]
    losses = {step.step: [pytest.approx(step.loss, rel=1e-6)] for step in ledger.steps}
    held_out = {e.step: [pytest.approx(e.loss, rel=1e-6)] for e in ledger.evaluations}
    assert list(losses) == list(range(1, 71))
    assert tensorboard_shows(folder, "train/loss") == losses
    assert tensorboard_shows(folder, "validation/loss") == held_out
    assert tensorboard_shows(folder, "train/rolled_back_to_step") == {20: [20.0]}
    rows = wandb_rows(folder, last=70)
    assert list(rows) == [folder.name, f"{folder.name}-rollback-1"]
    assert counts(rows[f"{folder.name}-rollback-1"], "train/loss") == losses
    assert counts(rows[f"{folder.name}-rollback-1"], "validation/loss") == held_out
    assert set(counts(rows[folder.name], "train/loss")) == set(range(1, 61))  # what had been seen
    if stop is None:  # and read back, only what counts is there
        table = open_runs([folder / "wandb"])
        assert set(table.frame["run"]) == {f"{folder.name}-rollback-1"}
        assert any(f"{folder.name} is left out: it is superseded by" in said for said in table.assumptions)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_of_a_run_that_is_given_up_only_what_stands_is_shown(make_run: MakeRun, poison: Poison) -> None:
    poison(lambda number: math.inf if number >= 40 else 0.0)
    folder = make_run(steps=60, checkpoint_tokens=5 * STEP)
    assert train(folder, Options(threads=1, sinks=(open_sink("tensorboard", folder),))).state == "diverged"
    ledger = ledger_of(folder)
    assert list(tensorboard_shows(folder, "train/loss")) == [step.step for step in ledger.steps]


def test_tensorboard_purges_in_the_order_of_time(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the files of one second it reads the tenth writer's before the ninth's."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    folder = make_run(steps=3)
    sink = open_sink("tensorboard", folder)
    sink.start(
        read_run(folder).spec,
        Start(step=0, time="2026-11-29T12:00:00Z", device="a CPU", matmul_flops_per_second=1e9, epochs=0.1),
    )
    for number in (1, 2, 3):
        sink.log(
            Step(
                step=number,
                tokens=number * STEP,
                loss=5.0,
                gradient_norm=1.0,
                learning_rate=0.01,
                seconds=0.1,
                utilisation=0.1,
            )
        )
    sink.log(Diverged(step=1, reason="loss"))
    sink.finish("diverged")
    assert list(tensorboard_shows(folder, "train/loss")) == [1]


def test_wandb_gets_an_axis_of_our_own(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B drops rows of a lower step: none of ours has one, after a crash either."""
    import wandb

    class Run:
        def __init__(self, **named: object) -> None:
            self.id, self.rows, self.metrics = named["id"], [], []
            self.summary: dict[str, object] = {}

        def define_metric(self, name: str, **named: object) -> None:
            self.metrics.append((name, named))

        def log(self, row: dict[str, float]) -> None:  # no step=
            self.rows.append(row)

        def finish(self) -> None:
            pass

    runs: list[Run] = []
    monkeypatch.setattr(wandb, "init", lambda **named: runs.append(Run(**named)) or runs[-1])
    folder = make_run(steps=12)
    train(folder, Options(threads=1, sinks=(SignalAt(10),)))
    for checkpoint in checkpoints(folder)[-1:]:  # as after a crash: gone on with from step 8
        shutil.rmtree(checkpoint.folder)
    train(folder, Options(threads=1, sinks=(open_sink("wandb", folder),)))
    (run,) = runs
    assert run.id == folder.name
    assert run.metrics == [("step", {}), ("*", {"step_metric": "step"})]
    assert [row["step"] for row in run.rows if "train/loss" in row] == [9, 10, 11, 12]
