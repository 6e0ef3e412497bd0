"""On which device a session trains, and what the ledger is told of it."""

from __future__ import annotations

import datetime
import os
import platform
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gemstones.errors import InvalidRequest
from gemstones.runs.ledger import Start
from gemstones.train.beside import bytes_per_token
from gemstones.train.checkpoint import Checkpoint
from gemstones.train.loop import Position, Setup
from gemstones.version import __version__

if TYPE_CHECKING:
    from gemstones.train.run import Options
    from gemstones.train.ways import Way


def device_of(options: Options) -> torch.device:
    """The device that was asked for, or the accelerator if there is one; `InvalidRequest` where it is not to be had."""
    kind = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda" or not torch.cuda.is_available():
        raise InvalidRequest(
            f"device {kind!r} is not to be had here: choose cpu, or cuda where there is a GPU"
        )
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """Of the accelerator, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def start_event(
    setup: Setup,
    options: Options,
    position: Position,
    resumed: Checkpoint | None,
    way: Way,
) -> Start:
    """What a session says of itself as it starts: where it goes on, on which machine, with what."""
    spec, layout = setup.spec, options.layout
    return Start(
        step=position.step,
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        resumed_from=f"{resumed.complete.run}/{resumed.folder.name}" if resumed else "",
        skipped_batches=position.skipped_batches,
        host=socket.gethostname(),
        device=device_name(setup.ranks.device),
        data_parallel=layout.data,
        tensor_parallel=layout.tensor,
        threads=torch.get_num_threads(),
        matmul_flops_per_second=setup.matmul_flops_per_second,
        compiled=way.compiled,
        recompute=options.recompute,
        products=way.products,
        micro_sequences=options.micro_sequences or 0,
        epochs=setup.texts.epochs_needed(spec.trained_tokens, spec.context),
        versions={
            "gemstones": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        bytes_per_token=bytes_per_token(setup.texts.corpus, setup.texts.held_out),
    )
