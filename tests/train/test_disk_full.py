"""A disk that is full: one line that says so, nothing half-saved, and the run goes on when there is room."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstones.errors import Failure
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import LEDGER
from gemstones.train import checkpoint, disk, queue
from gemstones.train.checkpoint import CHECKPOINTS, checkpoints
from gemstones.train.queue import FAILURE, run_queue
from gemstones.train.record import Recorder
from gemstones.train.run import Options, train
from gemstones.train.status import suite_status
from tests.cli.conftest import Cli, cli
from tests.train.compare import trained
from tests.train.fake_suite import FAKE, SUITE, folder_of, spec
from tests.train.test_queue import Seen, _importable  # noqa: F401

__all__ = ["cli"]  # the fixture

MakeRun = Callable[..., Path]
PLAIN = Options(threads=1)
Usage = namedtuple("Usage", "total used free")


def left(folder: Path) -> list[str]:
    """Names in the folder of checkpoints."""
    return sorted(path.name for path in (folder / CHECKPOINTS).iterdir())


@pytest.mark.long
@pytest.mark.parametrize("where", ["mkdir", "shard", "fsync", "marker", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_save_that_finds_no_room_leaves_nothing_of_it(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    alone, full = make_run("alone", steps=10), make_run("full", steps=10)
    train(alone, PLAIN)
    train(full, Options(threads=1, budget_seconds=0.0))  # one checkpoint there is

    def fail(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    target = {
        "mkdir": "gemstones.train.write_checkpoint._make_anew",
        "shard": "safetensors.torch.save",
        "fsync": "gemstones.train.write_checkpoint._sync",
        "marker": "gemstones.train.write_checkpoint.with_checksum",
        "rename": "pathlib.Path.rename",
    }[where]
    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        with pytest.raises(Failure) as caught:
            train(full, PLAIN)
    said = f"{full / CHECKPOINTS}/step-0000000004 cannot be saved: {os.strerror(number)}: make room, and the same"
    assert str(caught.value).startswith(said)
    assert caught.value.exit_status == 1
    assert left(full) == ["step-0000000001"]
    train(full, PLAIN)
    assert trained(full) == trained(alone)


@pytest.mark.long
def test_the_kernel_says_so(make_run: MakeRun) -> None:
    """No file may be larger than 100 kB, as under a quota: the shard is, the ledger is not."""
    folder = make_run(steps=10)
    done = subprocess.run(
        [sys.executable, "-m", "gemstones", "train", str(folder), "--threads", "1"],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "step-0000000004 cannot be saved: File too large: make room" in done.stderr
    assert left(folder) == []
    assert train(folder, PLAIN).state == "finished"


def test_a_ledger_that_finds_no_room_keeps_whole_lines(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, full = make_run("alone", steps=6), make_run("full", steps=6)
    train(alone, PLAIN)
    plain, calls = os.write, 0

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            return plain(descriptor, data[:10])  # what a full disk takes
        if calls == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr("gemstones.train.record.os.write", write)
        with pytest.raises(Failure, match=rf"{LEDGER} cannot be written: No space left on device: make room"):
            train(full, PLAIN)
    assert (full / LEDGER).read_bytes().endswith(b"}\n")
    assert ledger_of(full).last_step == 2
    train(full, PLAIN)
    assert trained(full) == trained(alone)


def test_a_ledger_that_cannot_be_flushed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Recorder(tmp_path / LEDGER) as recorder:
        monkeypatch.setattr("gemstones.train.record.os.fsync", fail)
        with pytest.raises(Failure, match="cannot be written: Input/output error"):
            recorder.sync()


# ---------------------------------------------------------------- the suite


@pytest.mark.usefixtures("_importable")
def test_the_queue_and_the_status_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = folder_of(tmp_path, spec(1), spec(2))
    (tasks[0].folder / "behaviour").write_text("fail 3")

    def no_room(path: Path, text: str) -> None:
        raise Failure(f"{path} cannot be written")

    monkeypatch.setattr(disk, "free_bytes", lambda path: 1000)
    monkeypatch.setattr(queue, "write_text", no_room)
    outcome = run_queue(tasks, 1, 1, Seen(tasks), trainer=FAKE)
    why = f"no space is left on the disk of {tasks[0].folder}: make room, and the same command goes on"
    assert outcome.failed == {tasks[0].id: why}
    assert outcome.finished == 1  # the other goes on
    assert not (tasks[0].folder / FAILURE).exists()
    status = suite_status(tmp_path)
    assert [(run.state, run.reason) for run in status.runs] == [("failed", why), ("finished", "")]
    monkeypatch.setattr(disk, "free_bytes", lambda path: 1 << 30)
    assert [run.state for run in suite_status(tmp_path).runs] == ["stopped", "finished"]


def test_plan_and_run_compare_what_is_needed_with_what_is_free(
    cli: Cli, tmp_path: Path, corpus: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "suite.toml"
    folder = corpus.folder  # type: ignore[attr-defined]
    file.write_text(f'corpus = "{folder}"\noutput = "runs"\n{SUITE}')
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 20, (1 << 20) - 100_000, 100_000))
    plan = cli("suite", "plan", file, "--throughput", "1T")
    assert "warning: checkpoints and ledgers will take" in plan.out
    assert f"more in {tmp_path / 'runs'}, where 100KB are free (all runs)" in plan.out
    summary = cli("suite", "plan", file, "--throughput", "1T", "--json").json["disk"]
    assert summary["bytes_needed"] > summary["bytes_free"] == 100_000
    run = cli("suite", "run", file)
    assert run.status == 1
    assert (
        "where 100KB are free: make room, name another --output, or train a part of the runs with --only"
        in run.err
    )
    assert not list((tmp_path / "runs").glob("*/ledger.jsonl"))
    # Just enough is enough.
    needed = summary["bytes_needed"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1, needed))
    assert "warning: checkpoints" not in cli("suite", "plan", file, "--throughput", "1T").out


@pytest.mark.long
def test_what_a_run_keeps_at_once_is_within_the_plan(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most bytes of checkpoints that ever lie there, in a run that is stopped by the way."""
    from gemstones.design.cost import bytes_at_once, run_cost
    from gemstones.runs.folders import read_run
    from gemstones.train import loop
    from tests.train.compare import SignalAt
    from tests.train.conftest import STEP

    for every, steps in ((4, 60), (10, 80), (50, 60)):
        folder = make_run(
            f"every-{every}", steps=steps, checkpoint_tokens=every * STEP, permanent_tokens=(20 * STEP,)
        )
        most = 0
        plain = loop.retire

        def retire(*arguments: object) -> None:
            nonlocal most
            most = max(most, sum(f.stat().st_size for f in (folder / CHECKPOINTS).rglob("*") if f.is_file()))  # noqa: B023
            plain(*arguments)  # type: ignore[arg-type]  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(loop, "retire", retire)
            for stop in (13, 47):
                train(folder, Options(threads=1, sinks=(SignalAt(stop),)))
            train(folder, PLAIN)
        planned = bytes_at_once([run_cost(read_run(folder).spec, 1.0)], 1)
        kept = len(checkpoints(folder))
        assert 0 < most <= planned * 1.02, (
            every,
            most,
            planned,
            kept,
        )  # headers of safetensors are beside it


def test_a_failed_load_is_one_line(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.checkpoint.api import CheckpointException

    folder = make_run(steps=6)
    train(folder, Options(threads=1, budget_seconds=0.0))

    def fail(*arguments: object, **named: object) -> None:
        raise CheckpointException("", {})

    monkeypatch.setattr(checkpoint, "load", fail)
    with pytest.raises(Failure, match="does not fit this run"):
        train(folder, PLAIN)
