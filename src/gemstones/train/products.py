"""Which library multiplies float32 matrices in training on a CPU: MKL or oneDNN, whichever is faster there.

oneDNN is 2.3 times as fast as MKL on a Zen 5 and up to 40% slower on an Intel Xeon, at the same shapes. So the first
session of a run measures, within about a second, and the ledger keeps what it found: the two round differently, and a
resumed run takes the recorded one. What was found is remembered for the machine, so that the same run trained again
there is the same to the bit. Nothing is chosen in bfloat16 (oneDNN's in both), compiled, sharded or on an accelerator.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import torch

from gemstones.errors import GemstonesError
from gemstones.files import write_bytes
from gemstones.runs.fetch import cache_folder
from gemstones.runs.ledger import Products
from gemstones.train.initialisation import initialise
from gemstones.train.kernels import has_onednn, use_products
from gemstones.train.memory import keep_freed_memory
from gemstones.train.model import Transformer

if TYPE_CHECKING:
    from gemstones.design.spec import RunSpec
    from gemstones.runs.ledger import Ledger
    from gemstones.shape import Shape

SEEN = "products.json"
"""In the cache folder: what was found on this machine."""
PATIENCE = 1.0
"""Seconds of the measurement, once each way has been tried twice."""
MARGIN = 0.03
"""By so much MKL must be faster: nearly equal, the choice is always the same."""


def products_of(
    spec: RunSpec, ledger: Ledger, asked: Products | None, processor: str, sequences: int | None
) -> Products:
    """The library for a session of the run on this CPU: asked for, else recorded, else known here, else measured.

    `sequences` are those that a process takes at a time; its whole batch if None.
    """
    if asked is not None:
        return asked
    recorded = [start.products for start in ledger.starts if start.products]
    if recorded:
        return recorded[-1]
    if not has_onednn():
        return "mkl"
    taken = sequences or spec.batch_sequences
    name = f"{processor}; torch {torch.__version__}; threads {torch.get_num_threads()}; {taken} of {spec.shape!r}"
    known = _read_seen()
    if name not in known:
        seconds = step_seconds(spec.shape, taken)
        known = _read_seen() | {name: faster(seconds)}
        with contextlib.suppress(
            GemstonesError, OSError
        ):  # where it cannot be written, it is measured every time
            write_bytes(cache_folder() / SEEN, msgspec.json.encode(known))
    return known[name]


def faster(seconds: Mapping[Products, float]) -> Products:
    """Of two ways and their seconds.

    >>> faster({"mkl": 1.0, "onednn": 2.0}), faster({"mkl": 1.0, "onednn": 1.01})
    ('mkl', 'onednn')
    """
    return "mkl" if seconds["mkl"] < (1 - MARGIN) * seconds["onednn"] else "onednn"


def step_seconds(like: Shape, sequences: int) -> dict[Products, float]:
    """Least wall-clock seconds of a forward and backward pass through one layer of `like`, by each library."""
    keep_freed_memory()
    shape = replace(like, depth=1)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    tokens = torch.arange(sequences * (shape.context + 1)).remainder(shape.vocabulary)
    tokens = tokens.view(sequences, shape.context + 1)
    least: dict[Products, float] = {"mkl": float("inf"), "onednn": float("inf")}
    began, tries = time.perf_counter(), 0
    while tries < 3 or time.perf_counter() - began < PATIENCE:
        for way, best in least.items():
            use_products(way)
            start = time.perf_counter()
            torch.autograd.backward(model(tokens[:, :-1], tokens[:, 1:]))
            if tries:  # the first pays for what is set up once
                least[way] = min(best, time.perf_counter() - start)
        tries += 1
    return least


def _read_seen() -> dict[str, Products]:
    try:
        return msgspec.json.decode((cache_folder() / SEEN).read_bytes(), type=dict[str, Products])
    except (OSError, ValueError):  # none yet, none that can be had, or that of another release
        return {}
