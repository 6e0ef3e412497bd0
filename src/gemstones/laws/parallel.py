"""Chunks of work over processes, the same results whatever their number.

NumPy's threads do not help with arrays this small, and how a product is split over threads changes its
rounding: every chunk runs with one thread, wherever it runs.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from gemstones.errors import InvalidRequest

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def run_chunks(
    work: Callable[[Chunk], Result],
    chunks: Iterable[Chunk],
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[Result]:
    """`work` of every chunk, in order; `progress` is told how many are done.

    With `workers` other than 1, joblib runs them (its `parallel_config` of the caller applies: processes
    here, dask or ray where a user has a cluster).
    """
    if workers < 1:
        raise InvalidRequest(f"workers {workers} must be at least 1")
    todo = list(chunks)
    results: list[Result] = []
    if workers == 1 or len(todo) < 2:
        for chunk in todo:
            results.append(_single_threaded(work, chunk))
            if progress is not None:
                progress(len(results))
        return results
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, return_as="generator")
    with warnings.catch_warnings():
        # loky lets an idle process go and starts another: nothing that a user has to know.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        with _unasked():
            _start_trackers()
        with _unasked():  # once more: the trackers lift the block
            made = parallel(delayed(_single_threaded)(work, chunk) for chunk in todo)
        for result in made:
            results.append(result)
            if progress is not None:
                progress(len(results))
    return results


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


def _single_threaded(work: Callable[[Chunk], Result], chunk: Chunk) -> Result:
    with threadpool_limits(1):
        return work(chunk)
