"""`gemstones suite status`, and what `suite run` says in JSON: from planted ledgers, and beside a run at work."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import msgspec
import pytest

from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import (
    LEDGER,
    Diverged,
    Evaluation,
    Event,
    Finished,
    Rollback,
    Saved,
    Start,
    Step,
    Stopped,
)

pytest.importorskip("torch")

from gemstones.train.lock import RUN_LOCK, locked
from gemstones.train.progress import TAIL_BYTES, pace
from gemstones.train.queue import FAILURE
from gemstones.train.status import suite_status
from gemstones.train.suite_folder import RunTask, tasks_of
from tests.cli.conftest import Cli
from tests.train.conftest import corpus  # noqa: F401  (a fixture)
from tests.train.fake_suite import BATCH, SUITE, cooldown, folder_of, spec, start, until


def begin(step: int = 0) -> Start:
    return Start(step=step, time="now", device="none", matmul_flops_per_second=1, epochs=1)


def steps(first: int, last: int, seconds: float = 2.0) -> list[Event]:
    return [
        Step(
            step=step,
            tokens=step * BATCH,
            loss=6 - step / 10,
            gradient_norm=1,
            learning_rate=1e-3,
            seconds=seconds,
            utilisation=0.5,
        )
        for step in range(first, last + 1)
    ]


def evaluation(step: int, loss: float) -> Evaluation:
    return Evaluation(step=step, tokens=step * BATCH, loss=loss, sequences=1, seconds=1)


def write(task: RunTask, *events: Event) -> None:
    (task.folder / LEDGER).write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))


def test_every_state_from_planted_ledgers(cli: Cli, tmp_path: Path) -> None:
    done, diverged, failed = spec(1), spec(2), spec(3)
    stopped, killed, fresh = spec(4), spec(5), spec(6)
    children = [cooldown(run, 5) for run in (done, diverged, failed, fresh)]
    tasks = folder_of(tmp_path, done, diverged, failed, stopped, killed, fresh, *children)
    write(
        tasks[0],
        begin(),
        *steps(1, 10),
        evaluation(10, 4.5),
        Saved(step=10, bytes=1, seconds=3),
        Finished(step=10),
    )
    write(
        tasks[1],
        begin(),
        *steps(1, 6),
        Rollback(step=6, to_step=2, loss=None, reason="nan", skipped_batches=4),
        *steps(3, 4),
        Diverged(step=2, reason="nan again"),
    )
    (tasks[2].folder / FAILURE).write_text("out of memory\n")
    write(tasks[3], begin(), *steps(1, 4), Stopped(step=4, reason="SIGTERM"))
    write(tasks[4], begin(), *steps(1, 6), begin(3), *steps(4, 5))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    found = cli("suite", "status", tmp_path, "--json").json
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    runs = found["runs"]
    assert [run["state"] for run in runs] == [
        *("finished", "diverged", "failed", "stopped", "stopped", "ready"),
        *("ready", "blocked", "waiting", "waiting"),
    ]
    assert [run["id"] for run in runs] == [task.id for task in tasks]
    assert (found["state"], found["finished"], found["total"]) == ("failed", 1, 10)
    first = runs[0]
    assert (first["step"], first["steps"], first["tokens"]) == (10, 10, 160)
    assert (first["train_loss"], first["loss"], first["seconds"]) == (5.0, 4.5, 24.0)
    assert first["learning_rate"] == tasks[0].spec.learning_rate
    assert first["remaining_seconds"] == 0
    assert (runs[1]["rollbacks"], runs[1]["reason"]) == (1, "nan again")
    assert runs[2]["reason"] == "out of memory"
    assert (runs[3]["step"], runs[3]["remaining_seconds"]) == (4, 12)
    # What was done twice was spent; what was superseded is not where it stands.
    assert (runs[4]["sessions"], runs[4]["step"], runs[4]["seconds"]) == (2, 5, 16)
    assert (runs[6]["step"], runs[6]["parent"], runs[6]["family"]) == (5, done.id, "cooldown")
    assert runs[5]["remaining_seconds"] > runs[6]["remaining_seconds"] > 0
    assert found["remaining_seconds"] == pytest.approx(sum(run["remaining_seconds"] for run in runs))

    table = cli("suite", "status", tmp_path)
    assert table.status == 0
    assert "1 of 10 runs finished" in table.out
    assert f"{failed.id}: out of memory" in table.out


def test_the_state_of_a_suite(cli: Cli, tmp_path: Path) -> None:
    tasks = folder_of(tmp_path, spec(1), spec(2))
    assert suite_status(tmp_path).state == "ready"
    assert suite_status(tmp_path).remaining_seconds is None
    with locked(tasks[0].folder / RUN_LOCK, 0, RuntimeError):
        assert [run.state for run in suite_status(tmp_path).runs] == ["running", "ready"]
        assert suite_status(tmp_path).state == "running"
    write(tasks[0], begin(), *steps(1, 10), Finished(step=10))
    assert suite_status(tmp_path).state == "stopped"
    write(tasks[1], begin(), *steps(1, 3), Diverged(step=3, reason="nan"))
    assert suite_status(tmp_path).state == "finished"
    (tasks[0].folder / LEDGER).write_bytes(b"{}\n")
    broken = cli("suite", "status", tmp_path, "--json").json
    assert (broken["state"], broken["runs"][0]["state"]) == ("failed", "failed")
    assert "line 1" in broken["runs"][0]["reason"]
    nothing = cli("suite", "status", tmp_path / "nowhere")
    assert (nothing.status, "has no suite.json" in nothing.err) == (2, True)


def test_the_pace_is_that_of_the_end_of_a_ledger(tmp_path: Path) -> None:
    (task,) = folder_of(tmp_path, spec(1, steps=10**4))
    assert pace(task.folder).step == 0
    write(task, begin(), *steps(1, 2000, seconds=100), *steps(2001, 3000, seconds=2))
    assert (task.folder / LEDGER).stat().st_size > 2 * TAIL_BYTES
    now = pace(task.folder)
    assert (now.step, now.seconds_per_step, now.tokens_per_second) == (3000, 2.0, BATCH / 2)
    with (task.folder / LEDGER).open("ab") as ledger:
        ledger.write(msgspec.json.encode(begin(2500)) + b'\n{"cut')
    assert (pace(task.folder).step, pace(task.folder).seconds_per_step) == (2500, None)


def test_status_while_a_suite_trains_and_the_json_of_its_end(
    cli: Cli,
    tmp_path: Path,
    corpus: object,  # noqa: F811
) -> None:
    runs = tmp_path / "runs"
    (tmp_path / "suite.toml").write_text(SUITE)
    command = ["suite", "run", tmp_path / "suite.toml", "--corpus", corpus.folder, "--output", runs, "--json"]  # type: ignore[attr-defined]
    first = start(*command)
    until(lambda: (runs / "suite.json").exists() and len(ledger_of(tasks_of(runs)[0].folder).steps) > 2)
    found = cli("suite", "status", runs, "--json").json
    assert found["state"] == "running"
    assert [run["state"] for run in found["runs"]] == ["running", "ready", "ready", "waiting"]
    assert found["runs"][0]["remaining_seconds"] > 0
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=20)
    ended = json.loads(out)
    assert (first.returncode, ended["finished"], ended["total"]) == (143, 0, 4)
    assert ended["runs"][0]["state"] == "stopped"
    assert [*ended["runs"][0]] == ["id", "state", "step", "steps", "loss", "reason"]

    out, err = start(*command, "--only", "cooldown", seconds=0).communicate(timeout=20)
    ended = json.loads(out)  # and its parent
    assert ([run["state"] for run in ended["runs"]], err) == (["finished"] * 2, "")
    assert (ended["finished"], ended["total"], ended["runs"][0]["loss"]) == (2, 2, 4.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--slots", 0), "slots 0 must be at least 1"),
        (("--threads", 0), "threads 0 must be at least 1"),
        (("--partition", "gpu"), "give --executor slurm too"),
        (("--executor", "slurm", "--slots", 2), "limit SLURM's jobs with --array-parallelism"),
        (
            ("--executor", "slurm", "--sbatch", "mem"),
            "'mem' is no option with a value: write it like mem=64G",
        ),
        (("--executor", "slurm", "--time", 1), "minutes 1 must be at least 2"),
        ((), "names no output: give a folder with --output"),
        (("--output", "suite.toml"), "is a file: name a folder"),
        (("--output", "runs", "--only", "x"), "no run is called 'x'"),
        (("--output", "runs", "--corpus", "nowhere"), "nowhere: does not exist"),
    ],
)
def test_mistakes_are_one_line(
    cli: Cli,
    tmp_path: Path,
    corpus: object,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suite.toml").write_text(f'corpus = "{corpus.folder}"\n' + SUITE)  # type: ignore[attr-defined]
    refused = cli("suite", "run", "suite.toml", *options)
    assert (refused.status, refused.out) == (2, "")
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["suite.toml"]


def test_slurm_without_slurm_is_a_failure(
    cli: Cli,
    tmp_path: Path,
    corpus: object,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "suite.toml").write_text(SUITE)
    refused = cli(
        *("suite", "run", tmp_path / "suite.toml", "--corpus", corpus.folder),  # type: ignore[attr-defined]
        *("--output", tmp_path / "runs", "--executor", "slurm"),
    )
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "there is no sbatch here" in refused.err
