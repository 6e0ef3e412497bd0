"""Tasks over processes that end with their parent, however it ends.

Processes are spawned, not forked (`tokenizers` has threads, and a fork would inherit locks), and each has a
pipe of its own: a process that dies is noticed at once, where a shared queue would wait for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from typing import TypeVar

from gemstones.errors import Failure, GemstonesError

Task = TypeVar("Task")


def run(work: Callable[[Task], None], tasks: Sequence[Task], workers: int) -> Iterator[Task]:
    """Do `work` of every task; yields each as it is done, in any order.

    `work` is a function of a module. With one worker or one task there is no other process. Raises what
    `work` raises, and `Failure` when a process dies.
    """
    if min(workers, len(tasks)) <= 1:
        for task in tasks:
            work(task)
            yield task
        return
    todo = iter(tasks)
    busy: dict[Connection, tuple[BaseProcess, Task]] = {}
    processes = []
    try:
        for _ in range(min(workers, len(tasks))):
            ours, process = _start(work)
            processes.append(process)
            _give(ours, process, todo, busy)
        while busy:
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                process, task = busy.pop(pipe)
                _receive(pipe, process)
                _give(pipe, process, todo, busy)
                yield task
    finally:
        # Whatever happened, including an interruption: unfinished work has left nothing that counts.
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _start(work: Callable[[Task], None]) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    # The mask is inherited: Ctrl-C reaches the whole group, and only the parent shall answer.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # the process has the only other end: its death closes the pipe
    return ours, process


def _give(
    pipe: Connection,
    process: BaseProcess,
    todo: Iterator[Task],
    busy: dict[Connection, tuple[BaseProcess, Task]],
) -> None:
    for task in todo:
        # A process that is already dead is noticed when its answer is read.
        with suppress(BrokenPipeError):
            pipe.send(task)
        busy[pipe] = (process, task)
        return


def _receive(pipe: Connection, process: BaseProcess) -> None:
    try:
        error = pipe.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise Failure(
            f"a worker process died (status {process.exitcode}), perhaps for want of memory: "
            "call again with fewer --workers to continue"
        ) from None
    if error is not None:
        raise error


def _serve(pipe: Connection, work: Callable[[Task], None]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            work(task)
        except (GemstonesError, OSError, MemoryError) as error:
            pipe.send(error)
        except Exception:
            # A defect of ours: the parent shows where.
            pipe.send(RuntimeError(traceback.format_exc()))
        else:
            pipe.send(None)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
