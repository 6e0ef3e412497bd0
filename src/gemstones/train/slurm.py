"""A suite as SLURM jobs, by submitit: an array for each generation of runs, parents first.

A job trains one run in a child process, as the local queue does. When its time is over, or it is preempted,
submitit has SIGUSR2 sent to it and asks it for a checkpoint: the child saves and leaves, and the job goes back into
SLURM's queue. Where sites do not let jobs do that, a chain of short jobs, one after the other, gets as far.
"""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gemstones.design.layout import Layout
from gemstones.errors import Failure, InvalidRequest, Unavailable, extra
from gemstones.files import write_text
from gemstones.runs.one_line import listed, one_line
from gemstones.train.command import PLAIN, TrainOptions, gemstones_train, train_command
from gemstones.train.queue import ASK_TO_STOP, FAILURE, LOG, note_failure, standing, why_failed
from gemstones.train.stopping import STOPPED_STATUSES
from gemstones.train.suite_folder import RunTask, generations

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

JOBS = "slurm"
"""Folder of submitit's files in a suite's: pickles that it makes and reads itself, and the jobs' output."""
SUBMITTED = "submitted.json"
"""In that folder: the ids of the arrays."""
SAVE_SECONDS = 120
"""Between SLURM's signal and the end of a job's time: to finish a step, save, and be queued again."""
MOST_TIMEOUTS = 1000
"""A job that is requeued ends with its run, not after a number of times."""
MOST_CHAINED = 1000
AGAIN_SECONDS = 60.0
"""A run that was stopped by a signal to it alone waits so long for its job to be stopped too."""
POLL_SECONDS = 0.2
ALONE = "1x1"
"""The layout of one process."""


@dataclass(frozen=True)
class SlurmOptions:
    """What to ask of SLURM, for each run."""

    partition: str | None = None
    account: str | None = None
    minutes: int = 60
    """Of a job."""
    array_parallelism: int = 256
    """Jobs of an array that may run at once."""
    chain: int = 1
    """Arrays one after the other, each going on where the last stopped; 1 for one that is requeued."""
    nodes: int = 1
    gpus_per_node: int = 0
    threads: int = 1
    """CPUs of a process; there is one for each GPU, or one on each node."""
    layout: str = ""
    """DATAxTENSOR; all processes share the batch if it is not said."""
    sbatch: Mapping[str, str] = field(default_factory=dict)
    """Further options of sbatch, by their long names."""
    training: TrainOptions = PLAIN

    def __post_init__(self) -> None:
        for name, least in (
            ("minutes", 2),
            ("array_parallelism", 1),
            ("chain", 1),
            ("nodes", 1),
            ("threads", 1),
        ):
            if getattr(self, name) < least:
                raise InvalidRequest(
                    f"{name.replace('_', '-')} {getattr(self, name)} must be at least {least}"
                )
        if self.gpus_per_node < 0:
            raise InvalidRequest(f"gpus-per-node {self.gpus_per_node} must be at least 0")
        if self.layout and Layout.parse(self.layout).processes != self.nodes * self.tasks_per_node:
            raise InvalidRequest(
                f"layout {self.layout} is of {Layout.parse(self.layout).processes} processes, and there are "
                f"{self.nodes * self.tasks_per_node}: one for each GPU, or one on each node"
            )
        for key in self.sbatch:
            if not re.fullmatch(r"[a-z][a-z-]*", key):
                raise InvalidRequest(f"sbatch {key!r} is no long option of sbatch: write it like mem=64G")
        if self.chain > MOST_CHAINED:
            raise InvalidRequest(
                f"chain {self.chain} must be at most {MOST_CHAINED} jobs: give each more minutes"
            )

    @property
    def tasks_per_node(self) -> int:
        """Processes."""
        return max(1, self.gpus_per_node)

    @property
    def save_seconds(self) -> int:
        """Before a job's end, for saving; a quarter of a very short job."""
        return min(SAVE_SECONDS, self.minutes * 60 // 4)

    @property
    def budget_seconds(self) -> int | None:
        """After which a chained job leaves by itself, before SLURM has to stop it."""
        return self.minutes * 60 - 2 * self.save_seconds if self.chain > 1 else None

    @property
    def processes(self) -> str:
        """The layout, as it is written."""
        return self.layout or f"{self.nodes * self.tasks_per_node}x1"


@dataclass(frozen=True)
class Submitted:
    """An array that waits in SLURM's queue."""

    id: str
    runs: tuple[str, ...]


def parameters(options: SlurmOptions, name: str, after: str = "") -> dict[str, Any]:
    """What submitit's `SlurmExecutor` is told for one array; `after` is the array that must have ended before.

    Ended in whatever way: a child whose parent did not finish says so and leaves, and the others train.
    """
    asked: dict[str, Any] = {
        "job_name": name,
        "time": options.minutes,
        "nodes": options.nodes,
        "ntasks_per_node": options.tasks_per_node,
        "cpus_per_task": options.threads,
        "array_parallelism": options.array_parallelism,
        "signal_delay_s": options.save_seconds,
    }
    optional = {
        "partition": options.partition,
        "account": options.account,
        "gpus_per_node": options.gpus_per_node or None,
        "dependency": f"afterany:{after}" if after else None,
    }
    return {
        **asked,
        **{key: value for key, value in optional.items() if value is not None},
        # srun does not take the CPUs from sbatch (since 22.05); and without one of its ranks a run waits in vain.
        "srun_args": [f"--cpus-per-task={options.threads}", "--kill-on-bad-exit=1"],
        "additional_parameters": {"requeue": True, **options.sbatch},
    }


def submit_suite(folder: Path, tasks: Sequence[RunTask], options: SlurmOptions) -> list[Submitted]:
    """Submit what is to be done of `tasks` in the suite's folder, which the nodes must see too.

    Called under `suite_locked`. Raises `Unavailable` without SLURM, `InvalidRequest` where jobs of this suite are
    in its queue already, `Failure` where sbatch refuses.
    """
    with extra("cluster", "--executor slurm"):
        import submitit
        from submitit.core.utils import FailedSubmissionError, UncompletedJobError
    missing = [tool for tool in ("sbatch", "srun", "squeue") if shutil.which(tool) is None]
    if missing:
        raise Unavailable(
            f"--executor slurm needs SLURM's commands, and there is no {missing[0]} here: submit from a login node"
        )
    for task in tasks:
        Layout.parse(options.processes).check(task.spec.shape, task.spec.batch_sequences)
    jobs = (folder / JOBS).absolute()
    if still := [job for job in _submitted(jobs) if job in _queued()]:
        raise InvalidRequest(
            f"{folder} has jobs in SLURM's queue: wait for {listed(still)}, or call scancel {' '.join(still)} first"
        )
    known: list[str] = []

    def submit_array(works: Sequence[TrainJob], after: str) -> str:
        executor = submitit.SlurmExecutor(
            folder=jobs / "%j", max_num_timeout=0 if options.chain > 1 else MOST_TIMEOUTS
        )
        executor.update_parameters(**parameters(options, f"gemstones-{folder.absolute().name}", after))
        # A job that is submitted from within a job must not take its environment for its own.
        with submitit.helpers.clean_env(), contextlib.redirect_stderr(io.StringIO()):
            job = executor.submit_array(list(works))[0]
        known.append(str(job.job_id).partition("_")[0])
        # At once: what has been submitted must be known if the next array is refused.
        write_text(jobs / SUBMITTED, msgspec.json.encode(known).decode() + "\n")
        return known[-1]

    try:
        return submit(tasks, options, submit_array)
    except (FailedSubmissionError, UncompletedJobError) as error:
        before = f"; jobs {listed(known)} were submitted before" if known else ""
        raise Failure(f"sbatch refused a job array: {one_line(error, 400)}{before}") from None


def submit(
    tasks: Sequence[RunTask],
    options: SlurmOptions,
    submit_array: Callable[[Sequence[TrainJob], str], str],
    trainer: Sequence[str] | None = None,
) -> list[Submitted]:
    """Call `submit_array` for the unfinished `tasks`, generation by generation and link by link of the chain.

    It takes the jobs and the id of the array that must have ended before, and gives the id of the new one.
    """
    to_do = [task for task in tasks if standing(task.folder).state not in {"finished", "diverged"}]
    submitted: list[Submitted] = []
    after = ""
    for generation in generations(to_do):
        works = [
            TrainJob(
                replace(task, folder=task.folder.absolute()), options, tuple(trainer or gemstones_train())
            )
            for task in generation
        ]
        for _ in range(options.chain):
            after = submit_array(works, after)
            submitted.append(Submitted(after, tuple(task.id for task in generation)))
    return submitted


@dataclass(frozen=True)
class TrainJob:
    """What a job does; submitit calls it on a node, in as many processes as there are tasks."""

    task: RunTask
    options: SlurmOptions
    trainer: tuple[str, ...]

    def __call__(self) -> str:
        """Train until the run ends, or the chain goes on elsewhere; returns how it stands."""
        task, began = self.task, time.monotonic()
        again = False
        while True:
            found = standing(task.folder)
            if found.state in {"finished", "diverged"}:
                return found.state
            self._check_parent()
            first_step = found.step
            status, reason = self._train(began)
            found = standing(task.folder)
            if found.state in {"finished", "diverged"}:
                return found.state
            alone = self.options.processes == ALONE  # several processes would not begin again together
            if status in STOPPED_STATUSES and found.state == "stopped":
                if self.options.chain > 1 or _rank() > 0:
                    return "stopped"  # the next link of the chain goes on, or rank 0 has the job queued again
                # SLURM's SIGTERM comes to the child first. What is to follow ends us here.
                time.sleep(AGAIN_SECONDS)
                if not alone:
                    raise Failure(f"{task.id}: was stopped by a signal, and is to be submitted again")
            elif again or found.step <= first_step or not alone:
                if _rank() == 0:
                    note_failure(task.folder, reason)
                raise Failure(f"{task.id}: {reason}")
            else:
                again = True

    def checkpoint(self) -> DelayedSubmission:
        """What submitit queues again, after the child has saved and left."""
        from submitit.core.utils import DelayedSubmission

        for child in list(_CHILDREN):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, ASK_TO_STOP)
                # Not Popen.wait: this is called in the middle of it, by a signal.
                os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(self)

    def _train(self, began: float) -> tuple[int, str]:
        """One child process, to its end: its exit status, and why it failed."""
        task = self.task
        with contextlib.suppress(FileNotFoundError):
            (task.folder / FAILURE).unlink()
        log = task.folder / (LOG if _rank() == 0 else f"train-{_rank()}.log")
        with log.open("ab") as output:
            start = output.tell()
            # SIGUSR2 comes to every process of a job, and is for us alone: blocked, here, is inherited.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
            try:
                process = subprocess.Popen(
                    self._command(began),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=os.environ | {"OMP_NUM_THREADS": str(self.options.threads)} | self._group(),
                )
                _CHILDREN.add(process.pid)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
        finally:
            _CHILDREN.discard(process.pid)
        return process.returncode, why_failed(log, start, process.returncode)

    def _command(self, began: float) -> list[str]:
        options = self.options
        made = train_command(self.trainer, self.task.folder, options.threads, options.training)
        if options.processes != ALONE:
            made += ["--layout", options.processes]
        if (budget := options.budget_seconds) is not None:
            made += ["--budget", f"{max(1.0, budget - (time.monotonic() - began)):.1f}"]
        return made

    def _group(self) -> dict[str, str]:
        """What torch.distributed reads of the environment, as torchrun would set it."""
        if self.options.nodes * self.options.tasks_per_node == 1:
            return {}
        from submitit.helpers import TorchDistributedEnvironment

        group = TorchDistributedEnvironment()
        return {
            "MASTER_ADDR": group.master_addr,
            "MASTER_PORT": str(group.master_port),
            "RANK": str(group.rank),
            "WORLD_SIZE": str(group.world_size),
            "LOCAL_RANK": str(group.local_rank),
            "LOCAL_WORLD_SIZE": str(group.local_world_size),
        }

    def _check_parent(self) -> None:
        if not (parent := self.task.spec.parent):
            return
        found = standing(self.task.folder.parent / parent)
        if found.state != "finished":
            raise Failure(
                f"{self.task.id}: its parent {parent} is not finished, but {found.state or 'not begun'}"
            )


_CHILDREN: set[int] = set()
"""Process ids of what a job has started."""


def _rank() -> int:
    return int(os.environ.get("SLURM_PROCID") or os.environ.get("SUBMITIT_LOCAL_GLOBALID") or 0)


def _submitted(jobs: Path) -> list[str]:
    """Ids of the arrays submitted last."""
    try:
        return msgspec.json.decode((jobs / SUBMITTED).read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError, UnicodeError):
        return []


def _queued() -> set[str]:
    """Ids of our jobs and arrays that wait or run."""
    asked = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%F"]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise Failure(f"squeue failed: {' '.join(done.stderr.split()) or f'exit status {done.returncode}'}")
    return set(re.findall(r"\d+", done.stdout))
