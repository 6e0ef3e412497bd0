"""Chunks of work over processes, the same results whatever their number.

NumPy's threads do not help with arrays this small, and how a product is split over threads changes its rounding: every
chunk runs with one thread, wherever it runs.

`workers` is a number of processes on this machine, or the address of the scheduler of a Dask cluster, like
`tcp://host:8786`; None is one process, or where the caller is inside a `joblib.parallel_config(...)`, those that it
names (`docs/clusters.md`). No worker outlives the process that started it, whatever ended that.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from gemstones.arguments import shown
from gemstones.errors import InvalidRequest, Unavailable, extra
from gemstones.memory import keep_freed_memory

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
Own = TypeVar("Own")

Workers = int | str | None
"""A number of processes, the address of a Dask cluster, or None for one or what `joblib.parallel_config` names."""
_ADDRESS = re.compile(r"(?:dask|tcp|tls|ucx|ws|wss)://[^\s/]+:\d{1,5}/?")
CLUSTER_SECONDS = 30.0
"""Within which a cluster must answer, and have a worker."""
GROWTH = 2 * 1024**3
"""Bytes by which a worker may grow before another takes its place: what draws grows by 300 MB at once, at which loky
would end it, and the next had to load everything again."""
ORPHAN_SECONDS = 0.5
"""How often a worker looks whether the process that started it is still there."""


def check_workers(workers: Workers) -> None:
    """Refuse what is neither a number of processes nor the address of a cluster."""
    if isinstance(workers, str):
        if not _ADDRESS.fullmatch(workers):
            raise InvalidRequest(
                f"workers {shown(workers)} must be a number, or the address of the scheduler of a Dask cluster like "
                "tcp://host:8786"
            )
    elif workers is not None and workers < 1:
        raise InvalidRequest(f"workers {shown(workers)} must be at least 1")


def run_chunks(
    work: Callable[[Chunk], Result],
    chunks: Iterable[Chunk],
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """`work` of every chunk, in order; `progress` is told how many are done."""
    return run_beside(work, chunks, lambda: None, workers, progress)[0]


def run_beside(
    work: Callable[[Chunk], Result],
    chunks: Iterable[Chunk],
    own: Callable[[], Own],
    workers: Workers = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Result], Own]:
    """As `run_chunks`, and what `own` returns, which this process does meanwhile."""
    check_workers(workers)
    results: list[Result] = []
    with _done(work, list(chunks), workers) as done:
        mine = own()
        for result in done:
            results.append(result)
            if progress is not None:
                progress(len(results))
    return results, mine


@contextmanager
def _done(work: Callable[[Chunk], Result], todo: list[Chunk], workers: Workers) -> Iterator[Iterator[Result]]:
    """The results as they come, in order; what is still at work when the caller leaves is ended."""
    elsewhere = isinstance(workers, str) or (workers is None and _configured())
    if len(todo) < 2 or not (elsewhere or (isinstance(workers, int) and workers > 1)):
        yield (_single_threaded(work, chunk) for chunk in todo)
        return
    if isinstance(workers, str):
        with _cluster(workers), _done(work, todo, None) as done:
            yield done
        return
    Path.cwd()  # processes are started there: where it has been removed, this says so, before they all do
    from joblib import Parallel, delayed

    # Without a number joblib takes the caller's own, or as many as the cluster has.
    jobs = None if workers is None else min(workers, len(todo))
    parallel = Parallel(n_jobs=jobs, return_as="generator")
    with warnings.catch_warnings():
        # loky lets an idle process go and starts another: nothing that a user has to know.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        with _unasked():
            _start_trackers()
        with _unasked():  # once more: the trackers lift the block
            done = parallel(delayed(_in_worker)(work, chunk, os.getpid()) for chunk in todo)
        try:
            yield done
        finally:
            done.close()  # on an error or Ctrl-C this ends the workers at once


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Within the block, joblib's work goes to the Dask cluster of that scheduler."""
    with extra("dask", f"a cluster ({address})"):
        from dask.distributed import Client
        from joblib import parallel_config
    try:
        client = Client(re.sub("^dask:", "tcp:", address), timeout=CLUSTER_SECONDS)
    except (OSError, TimeoutError) as error:
        raise Unavailable(
            f"no Dask scheduler answers at {address} ({type(error).__name__}): start one (`dask scheduler`), or give "
            "its address"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CLUSTER_SECONDS)
        except TimeoutError:
            raise Unavailable(
                f"the cluster at {address} has no workers: start some (`dask worker {address}`)"
            ) from None
        with parallel_config(backend="dask"):
            yield


def _configured() -> bool:
    """Whether the caller is inside a `joblib.parallel_config` that names workers; loads nothing."""
    if "joblib" not in sys.modules:
        return False
    from joblib.parallel import get_active_backend

    backend, jobs = get_active_backend()
    return int(backend.effective_n_jobs(jobs or backend.default_n_jobs)) > 1


@contextmanager
def _unasked() -> Iterator[None]:
    """Start processes that a terminal neither interrupts nor hangs up on: only the parent answers, and ends them.

    They would each end with a traceback on standard error. Processes inherit what their parent blocks.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_trackers() -> None:
    """Start the processes that remove what joblib shares between processes when this one has ended, however it has.

    They say on standard error what they had to remove: nothing that a user has to know.
    """
    import multiprocessing.resource_tracker as tracker

    from joblib.externals.loky.backend import resource_tracker as joblib_tracker

    before = os.environ.get("PYTHONWARNINGS")
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = f"{before},{quiet}" if before else quiet
    try:
        tracker.ensure_running()
        joblib_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _in_worker(work: Callable[[Chunk], Result], chunk: Chunk, parent: int) -> Result:
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = GROWTH
    if os.getpid() != parent:
        keep_freed_memory()
    _end_with(parent)
    return _single_threaded(work, chunk)


def _single_threaded(work: Callable[[Chunk], Result], chunk: Chunk) -> Result:
    with threadpool_limits(1):
        return work(chunk)


_watching: list[Any] = []


def _end_with(parent: int) -> None:
    """End this process when `parent`, which started it, has ended: SIGTERM and SIGKILL leave it no time to say so.

    Nothing is done in a process that `parent` did not start, as on a cluster.
    """
    if _watching or os.getppid() != parent or os.getpid() == parent:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    _watching.append(threading.Thread(target=watch, name="end-with-parent", daemon=True))
    _watching[0].start()
