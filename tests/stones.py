"""A suite of the Gemstones' size that nobody trained: what a study of such runs shows, without a published file.

10 shapes of 30M to 1.2B parameters at 7 checkpoints each. Losses follow our refit of the width-depth law and step
times its model, with errors of a run and of a row, always the same ones.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from gemstones.accounting.parameters import params
from gemstones.laws.law import Law
from gemstones.laws.published import REFIT_PLAIN, refit
from gemstones.planning.defaults import default_throughput
from gemstones.shape import Shape, Shapes

SHAPES = tuple(
    Shape(width, depth)
    for width, depths in {
        256: (8, 24, 72), 512: (6, 24), 1024: (7, 14, 28), 2048: (6, 18),
    }.items()
    for depth in depths
)  # fmt: skip
TOKENS = tuple(k * 10_000_000_000 for k in (1, 2, 4, 8, 12, 24, 35))
STEP = 2048 * 2048
"""Tokens of a step."""
OF_RUN, OF_ROW = 0.001, 0.0005
"""Standard deviations of errors in log loss."""


def law() -> Law:
    """The law that the losses follow."""
    return refit(REFIT_PLAIN).law


def write(path: Path) -> Path:
    """The table as a CSV."""
    rng = np.random.default_rng(0)
    time = default_throughput(law())
    assert time is not None
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["run", "width", "depth", "tokens", "step", "loss", "seconds_per_step", "devices"])
        for shape in SHAPES:
            devices = 64 if shape.width < 1024 else 256
            of_run, slow = rng.normal(scale=OF_RUN), np.exp(rng.normal(scale=0.1))
            hours = float(time.device_hours_per_token(Shapes.of(shape.width, shape.depth, shape)))
            seconds = 3600 * hours * STEP * slow / devices
            for tokens in TOKENS:
                columns = np.array([shape.width, shape.depth, params(shape), tokens], float)  # w,d,N,T
                loss = float(law().loss(columns)) * np.exp(of_run + rng.normal(scale=OF_ROW))
                out.writerow(
                    [
                        shape,
                        shape.width,
                        shape.depth,
                        tokens,
                        tokens // STEP,
                        f"{loss:.6f}",
                        f"{seconds:.6f}",
                        devices,
                    ]
                )
    return path
