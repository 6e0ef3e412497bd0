"""The ranks of a layout, each a process, as torchrun starts them: but forked from one that has imported torch already.

torchrun imports it once for itself and once for every rank, which is most of what such a test would take.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import socket
import sys
from pathlib import Path

PRELOADED = ["torch.distributed.tensor", "gemstones.cli.train", "gemstones.train.run"]


def on_ranks(count: int, program: str, arguments: list[str], said: Path) -> str:
    """Run `program`, a file or the name of a package, as `count` ranks; gives the end of what they wrote to `said`.

    What they make of it is for the caller to look at.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [
        context.Process(target=_rank, args=(rank, count, port, program, arguments, said))
        for rank in range(count)
    ]
    for process in ranks:
        process.start()
    try:
        for process in ranks:
            process.join(300)
    finally:
        for process in ranks:
            process.kill()
            process.join()
    return said.read_text("utf-8", "replace")[-3000:]


def _rank(rank: int, count: int, port: int, program: str, arguments: list[str], said: Path) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    numbers = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "MASTER_PORT": port,
    }
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"} | {
        k: str(v) for k, v in numbers.items()
    }
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
