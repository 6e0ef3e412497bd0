"""The sweep of learning rates that chose lr_base = 5: four extreme shapes, six rates each (paper §3.1, Figure 3).

A run's name has its shape and rate: `PyGemma-256x80_16-2048_16nodes_olmoTrue_lr5e-03_scalernull` is 256x80, 16
sequences of 2048 tokens per device, 16 nodes, OLMo's initialisation (`olmoTrue`), and 5e-3 as the rate itself
(`scalernull`: nothing scales it by the shape). Each run saw 2B tokens. The paper's text calls the shapes "64
layers, 768 width" and "128 layers, 512 width"; the file's are 256x80, 768x3, 1536x50 and 3072x12.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import msgspec

from gemstones.design.recipe import Patch, learning_rate
from gemstones.errors import InvalidTable
from gemstones.runs.architecture import GEMSTONES_ARCHITECTURE
from gemstones.runs.fetch import ENTRIES, Entry, fetch
from gemstones.runs.formats.delimited import typed_csv
from gemstones.runs.one_line import one_line
from gemstones.shape import Shape

UNIFORM_LOSS = math.log(GEMSTONES_ARCHITECTURE.like().vocabulary)
"""Nats per token of a model that finds every token of the vocabulary equally likely: 10.83."""

_NAME = re.compile(r"PyGemma-(\d+x\d+)_\d+-2048_\d+nodes_olmoTrue_lr(\d+e-\d+)_scalernull")
_UNPATCHED = Patch(mode="off")


@dataclass(frozen=True)
class SweepRun:
    """One run of the sweep."""

    shape: Shape
    lr_eff: float
    """The rate that it was trained with, after warm-up."""
    loss: float
    """At its end, in nats per token."""

    @property
    def lr_base(self) -> float:
        """lr_eff · width · √depth: what the rule would have scaled to this rate."""
        return self.lr_eff / learning_rate(self.shape, 1.0, _UNPATCHED)

    @property
    def diverged(self) -> bool:
        """Whether it ended worse than knowing nothing, above `UNIFORM_LOSS`."""
        return self.loss > UNIFORM_LOSS


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the published file."""

    name: str = msgspec.field(name="Name")
    wandb: None = msgspec.field(name="_wandb")
    """Empty throughout."""
    loss: float = msgspec.field(name="scaling/global_loss")


def load_lr_sweep() -> tuple[SweepRun, ...]:
    """The runs, by width, depth and rate.

    Raises `InvalidTable` for a file that is not what was published, `Unavailable` where it cannot be had.
    """
    entry = ENTRIES["lr-sweep"]
    return parse_lr_sweep(fetch(entry).read_bytes(), entry)


def parse_lr_sweep(content: bytes, entry: Entry) -> tuple[SweepRun, ...]:
    """The runs of a file's content: every shape once with every rate, and a finite loss for each."""
    rows = typed_csv(content, entry.name).iter_rows(named=True)
    runs = [_run(row, number, entry.name) for number, row in enumerate(rows, start=1)]
    if len(runs) != entry.rows:
        raise InvalidTable(f"has {len(runs)} rows, expected {entry.rows}", file=entry.name)
    found = {(run.shape, run.lr_eff) for run in runs}
    shapes, rates = {shape for shape, _ in found}, {rate for _, rate in found}
    for shape in sorted(shapes):
        if missing := [rate for rate in sorted(rates) if (shape, rate) not in found]:
            raise InvalidTable(f"{shape} has no run at rate {missing[0]:g}, others have", file=entry.name)
    if len(found) != len(runs):
        raise InvalidTable("has a shape twice at the same rate", file=entry.name)
    return tuple(sorted(runs, key=lambda run: (run.shape, run.lr_eff)))


def _run(row: dict[str, object], number: int, file: str) -> SweepRun:
    try:
        read = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        raise InvalidTable(one_line(error), file=file, row=number) from None
    if (name := _NAME.fullmatch(read.name)) is None:
        raise InvalidTable(
            f"{one_line(read.name, 80)!r} is not named by its shape and an unscaled rate",
            file=file,
            row=number,
            column="Name",
        )
    if not (math.isfinite(read.loss) and read.loss > 0):
        raise InvalidTable(f"loss {read.loss} must be positive and finite", file=file, row=number)
    return SweepRun(Shape.parse(name[1]), float(name[2]), read.loss)
