"""A suite as SLURM jobs: what is asked of SLURM, and, with submitit's local executor, how a job behaves."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gemstones.errors import Failure, InvalidRequest, Unavailable
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Start, Stopped
from gemstones.train import slurm
from gemstones.train.queue import FAILURE
from gemstones.train.slurm import SlurmOptions, Submitted, TrainJob, parameters, submit, submit_suite
from gemstones.train.suite_folder import RunTask
from tests.train.fake_suite import FAKE, alive, cooldown, folder_of, spec, trainers, until

submitit = pytest.importorskip("submitit")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the processes that tests start."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


# ---------------------------------------------------------------- what is asked


def test_parameters_of_an_array() -> None:
    assert parameters(SlurmOptions(), "gemstones-runs") == {
        "job_name": "gemstones-runs",
        "time": 60,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": 1,
        "array_parallelism": 256,
        "signal_delay_s": 120,
        "srun_args": ["--cpus-per-task=1", "--kill-on-bad-exit=1"],
        "additional_parameters": {"requeue": True},
    }
    options = SlurmOptions(
        partition="gpu",
        account="me",
        minutes=4,
        nodes=2,
        gpus_per_node=4,
        threads=8,
        layout="4x2",
        chain=3,
        sbatch={"mem": "64G"},
    )
    asked = parameters(options, "name", after="17")
    assert asked["dependency"] == "afterany:17"
    assert (asked["partition"], asked["account"], asked["gpus_per_node"]) == ("gpu", "me", 4)
    assert (asked["nodes"], asked["ntasks_per_node"], asked["cpus_per_task"]) == (2, 4, 8)
    assert asked["additional_parameters"] == {"requeue": True, "mem": "64G"}
    # A chained job leaves by itself before SLURM warns it; one that is requeued does not.
    assert (options.budget_seconds, options.save_seconds) == (120, 60)
    assert SlurmOptions().budget_seconds is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 1}, "minutes 1 must be at least 2"),
        ({"chain": 0}, "chain 0 must be at least 1"),
        ({"chain": 10**6}, "chain 1000000 must be at most 1000 jobs"),
        ({"gpus_per_node": -1}, "gpus-per-node -1 must be at least 0"),
        ({"gpus_per_node": 4, "layout": "2x1"}, "layout 2x1 is of 2 processes, and there are 4"),
        ({"sbatch": {"a b": "c"}}, "'a b' is no long option of sbatch"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        SlurmOptions(**options)  # type: ignore[arg-type]


def test_generations_and_chains_wait_for_each_other(tmp_path: Path) -> None:
    parent, done = spec(1), spec(2)
    child, grandchild = cooldown(parent, 5), cooldown(done, 5)
    tasks = folder_of(tmp_path, parent, done, child, grandchild)
    assert TrainJob(tasks[1], SlurmOptions(), FAKE)() == "finished"
    calls: list[tuple[list[str], str]] = []

    def submit_array(works: Sequence[TrainJob], after: str) -> str:
        calls.append(([work.task.id for work in works], after))
        return str(100 + len(calls))

    submitted = submit(tasks, SlurmOptions(chain=2), submit_array)
    first, second = (parent.id, grandchild.id), (child.id,)  # whose parent is done is ready
    assert submitted == [
        Submitted("101", first),
        Submitted("102", first),
        Submitted("103", second),
        Submitted("104", second),
    ]
    assert calls == [([*first], ""), ([*first], "101"), ([*second], "102"), ([*second], "103")]


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match="there is no sbatch here: submit from a login node"):
        submit_suite(tmp_path, folder_of(tmp_path, spec(1)), SlurmOptions())


def test_sbatch_files_and_a_second_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    record = tmp_path / "submitted"
    record.mkdir()
    scripts = {
        "sbatch": f'n=$(ls {record} | wc -l); [ $n -lt 3 ] || {{ echo "sbatch: error: QOSMax" >&2; exit 1; }}\n'
        f'cp "$1" {record}/$((n + 101)); echo "Submitted batch job $((n + 101))"',
        "srun": "exit 1",
        "squeue": f"cat {tmp_path}/queue",
    }
    for name, text in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "queue").write_text("7\n")
    parent = spec(1)
    runs = tmp_path / "runs"
    tasks = folder_of(runs, parent, spec(2), cooldown(parent, 5))
    options = SlurmOptions(partition="long", array_parallelism=9, sbatch={"mem": "4G"})

    with pytest.raises(InvalidRequest, match="degree 3 does not divide the batch of 1 sequences"):
        submit_suite(runs, tasks, SlurmOptions(nodes=3))
    submitted = submit_suite(runs, tasks, options)
    assert [(array.id, len(array.runs)) for array in submitted] == [("101", 2), ("102", 1)]
    first, second = ((record / number).read_text().splitlines() for number in ("101", "102"))
    for line in ("array=0-1%2", "job-name=gemstones-runs", "partition=long", "mem=4G", "requeue", "time=60"):
        assert f"#SBATCH --{line}" in first
    assert "#SBATCH --signal=USR2@120" in first
    assert "#SBATCH --dependency=afterany:101" in second
    assert not any(line.startswith("#SBATCH --dependency") for line in first)

    (tmp_path / "queue").write_text("7\n102\n")
    with pytest.raises(InvalidRequest, match="wait for 102, or call scancel 102 first"):
        submit_suite(runs, tasks, options)
    (tmp_path / "queue").write_text("7\n")
    with pytest.raises(
        Failure, match=r"sbatch refused a job array: .*QOSMax; jobs 103 were submitted before"
    ):
        submit_suite(runs, tasks, options)


# ---------------------------------------------------------------- a job


def local_jobs(folder: Path, minutes: float = 60, timeouts: int = 20) -> submitit.LocalExecutor:
    executor = submitit.LocalExecutor(folder=folder / "slurm" / "%j", max_num_timeout=timeouts)
    executor.update_parameters(timeout_min=minutes)
    return executor


def job_of(task: RunTask, options: SlurmOptions | None = None) -> TrainJob:
    return TrainJob(task, options or SlurmOptions(), FAKE)


def test_a_suite_in_order_by_the_local_executor(tmp_path: Path) -> None:
    parent = spec(1)
    tasks = folder_of(tmp_path, parent, spec(2), cooldown(parent, 5))
    jobs: list[submitit.LocalJob[str]] = []

    def submit_array(works: Sequence[TrainJob], after: str) -> str:
        assert after == ("done" if jobs else "")
        new = local_jobs(tmp_path).submit_array(list(works))
        jobs.extend(new)
        for job in new:
            job._process.wait()  # `result` looks every second
        assert [job.result() for job in new] == ["finished"] * len(new)
        return "done"

    submit(tasks, SlurmOptions(), submit_array, trainer=FAKE)
    assert len(jobs) == 3
    assert [ledger_of(task.folder).state for task in tasks] == ["finished"] * 3


def warned(task: RunTask) -> None:
    """Send a job what SLURM sends before it ends it; a run's process alone has the job's process for a parent."""
    until(lambda: len(ledger_of(task.folder).steps) > 3)
    (process,) = trainers(ledger_of(task.folder))
    job = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(process, signal.SIGUSR2)  # SLURM signals every process of a job
    os.kill(job, signal.SIGUSR2)


@pytest.mark.long
@pytest.mark.parametrize(
    "minutes", [60, 5]
)  # preempted after seconds; of so short a job, submitit says: timed out
def test_a_job_that_is_preempted_or_out_of_time_is_requeued_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.02")
    (task,) = folder_of(tmp_path, spec(1, steps=60))
    job = local_jobs(tmp_path, minutes).submit(job_of(task))
    warned(task)
    job._process.wait()
    assert job.result() == "finished"
    assert ("timed-out" in job.stderr(), "preempted" in job.stderr()) == (minutes == 5, minutes == 60)
    ledger = ledger_of(task.folder)
    assert [step.step for step in ledger.steps] == [*range(1, 61)]
    ends = [type(event).__name__.lower() for event in ledger.events if isinstance(event, Start | Stopped)]
    assert ends == ["start", "stopped", "start"]
    assert ledger.starts[1].step == next(e.step for e in ledger.events if isinstance(e, Stopped))
    assert not any(alive(process) for process in trainers(ledger))


def test_a_job_that_may_not_be_requeued_saves_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.02")
    (task,) = folder_of(tmp_path, spec(1, steps=60))
    job = local_jobs(tmp_path, minutes=5, timeouts=0).submit(job_of(task, SlurmOptions(chain=2)))
    warned(task)
    job._process.wait()
    assert "timed-out too many times" in job.stderr()
    assert ledger_of(task.folder).state == "stopped"


def test_a_chained_job_leaves_in_time_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.03")
    monkeypatch.setattr(SlurmOptions, "budget_seconds", 1.5)
    (task,) = folder_of(tmp_path, spec(1, steps=70))
    job = job_of(task, SlurmOptions(chain=2))
    assert job() == "stopped"
    assert 0 < ledger_of(task.folder).last_step < 70
    while (state := job()) == "stopped":
        pass
    assert state == "finished"
    assert [step.step for step in ledger_of(task.folder).steps] == [*range(1, 71)]
    assert job() == "finished"  # a link too many leaves at once


def test_a_run_stopped_alone_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(slurm, "AGAIN_SECONDS", 0.1)
    (task,) = folder_of(tmp_path, spec(1, steps=60))

    def stop() -> None:
        until(lambda: len(ledger_of(task.folder).steps) > 3)
        os.kill(trainers(ledger_of(task.folder))[0], signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    assert job_of(task)() == "finished"
    thread.join()
    assert len(ledger_of(task.folder).starts) == 2


def test_failures_of_a_job(tmp_path: Path) -> None:
    broken, crashing, diverging = spec(1), spec(2), spec(3)
    child = cooldown(broken, 5)
    tasks = folder_of(tmp_path, broken, crashing, diverging, child)
    for run, behaviour in ((broken, "fail 0"), (crashing, "crash 7"), (diverging, "diverge 2")):
        (tmp_path / run.id / "behaviour").write_text(behaviour)
    with pytest.raises(Failure, match=f"^{broken.id}: fail as told$"):
        job_of(tasks[0])()
    assert (tasks[0].folder / FAILURE).read_text() == "fail as told\n"
    assert job_of(tasks[1])() == "finished"
    assert job_of(tasks[2])() == "diverged"
    with pytest.raises(Failure, match=f"its parent {broken.id} is not finished, but begun"):
        job_of(tasks[3])()


def test_several_processes_find_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task of a job hands on what torchrun would say, and the layout."""
    trainer = tmp_path / "show.py"
    trainer.write_text(
        "import os, sys, pathlib\n"
        "names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT', 'MASTER_ADDR')\n"
        "pathlib.Path(sys.argv[1], 'rank' + os.environ['RANK']).write_text(\n"
        "    ' '.join([*(os.environ[name] for name in names), *sys.argv[-2:]]))\n"
        "sys.exit(3)\n"
    )
    (task,) = folder_of(tmp_path, spec(1))
    executor = submitit.LocalExecutor(folder=tmp_path / "slurm" / "%j")
    executor.update_parameters(timeout_min=5, tasks_per_node=2)
    options = SlurmOptions(gpus_per_node=2)
    job = executor.submit(TrainJob(task, options, (sys.executable, str(trainer))))
    until(lambda: len([*task.folder.glob("rank*")]) == 2)
    time.sleep(0.1)
    job._process.wait()
    first, second = ((task.folder / f"rank{rank}").read_text().split() for rank in (0, 1))
    assert first[:3] == ["0", "2", "0"]
    assert second[:3] == ["1", "2", "1"]
    assert first[3:] == second[3:]
    assert first[5:] == ["--layout", "2x1"]
