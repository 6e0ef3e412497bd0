"""`gemstones train FOLDER` as a process of its own: what a suite's queue and its SLURM jobs start."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gemstones.errors import InvalidRequest
from gemstones.runs.ledger import Products, Recompute
from gemstones.train.sinks import check_sink

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class TrainOptions:
    """What every run of a suite is told, beside its threads; nothing here changes a run beyond rounding."""

    device: str = ""
    """cpu or cuda; the accelerator if there is one."""
    micro_sequences: int | None = None
    """Sequences at a time on a process; its whole share of the batch if None."""
    compiled: bool | None = None
    """With torch.compile; where it pays if None."""
    sinks: tuple[str, ...] = ()
    """tensorboard, wandb, beside the ledger."""
    recompute: Recompute = "none"
    """Activations that are computed again in the backward pass and not kept."""
    products: Products | None = None
    """Library of float32 products on a CPU; the faster one if None."""

    def __post_init__(self) -> None:
        if self.device not in {"", *DEVICES}:
            raise InvalidRequest(f"device {self.device!r} is unknown: choose from {', '.join(DEVICES)}")
        if self.micro_sequences is not None and self.micro_sequences < 1:
            raise InvalidRequest(f"micro-batch {self.micro_sequences} must be at least 1")
        for sink in self.sinks:  # found wrong here, once, and not by every run
            check_sink(sink)

    @property
    def arguments(self) -> list[str]:
        """As `gemstones train` takes them."""
        made = ["--device", self.device] if self.device else []
        if self.micro_sequences is not None:
            made += ["--micro-batch", str(self.micro_sequences)]
        if self.compiled is not None:
            made.append("--compile" if self.compiled else "--no-compile")
        if self.recompute != "none":
            made += ["--recompute", self.recompute]
        if self.products is not None:
            made += ["--products", self.products]
        for sink in dict.fromkeys(self.sinks):
            made += ["--sink", sink]
        return made


PLAIN = TrainOptions()


def gemstones_train() -> list[str]:
    """The command that trains a run's folder."""
    # A file of the user's that is called like a module is none of ours, unless we were started beside our own.
    safe = [] if Path(__file__).parents[2] == Path.cwd() else ["-P"]
    return [sys.executable, *safe, "-m", "gemstones", "train"]


def train_command(
    trainer: Sequence[str], folder: Path, threads: int, options: TrainOptions = PLAIN
) -> list[str]:
    """To train the run in `folder` in a process that ends when this one does."""
    own = ["--threads", str(threads), "--orphan-of", str(os.getpid())]
    return [*trainer, str(folder), *own, *options.arguments]
