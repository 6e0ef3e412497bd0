"""How a session computes on a CPU: products by MKL or by oneDNN, compiled or not. The fastest, by a measurement.

oneDNN is 2.3 times as fast as MKL on a Zen 5 and up to 40% slower on an Intel Xeon, at the same shapes; torch.compile
gains 5% to 35%, most where models are narrow, and costs up to a minute at the start of a session. So the first session
of a run measures, and the ledger keeps what was chosen: each rounds differently, and a resumed run takes the recorded
one. What was measured is remembered for the machine and this release, so that the same run trained again there is the
same to the bit. Nothing is chosen by itself where training is sharded or on an accelerator; in bfloat16 products are
oneDNN's whatever is asked. Compiled steps take the library that is faster in steps that are not compiled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import msgspec
import torch

from gemstones.accounting.flops import flops_per_token
from gemstones.errors import GemstonesError
from gemstones.files import write_bytes
from gemstones.runs.fetch import cache_folder
from gemstones.runs.ledger import Products
from gemstones.train.apart import compiled_too
from gemstones.train.kernels import has_onednn
from gemstones.train.pass_seconds import Seconds, step_seconds
from gemstones.train.stopping import Stopping
from gemstones.version import __version__

if TYPE_CHECKING:
    from gemstones.design.spec import RunSpec
    from gemstones.runs.ledger import Ledger

SEEN = "ways.json"
"""In the cache folder: what was measured on this machine."""
LONG = 600.0
"""Seconds of training below which a run is not compiled, nor is it measured what that would gain."""
LAYER_SHARE = 0.1
"""Of the time to compile a step of one layer, what each further one takes: 0.06 at width 32, 0.10 at 256 (LOG.md)."""
COMPILED_MARGIN = 0.05
"""Of a run's time: what compiling must save, its own time counted."""


@dataclass(frozen=True)
class Way:
    """How a session computes."""

    products: Products | Literal[""] = ""
    """The library of float32 products on a CPU; nothing where there is no choice."""
    compiled: bool = False


def is_long(seconds: Seconds, passes: float) -> bool:
    """Whether a run of so many `passes` through one layer is long enough to ask whether to compile it."""
    return seconds.plain * passes >= LONG


def saves(seconds: Seconds, passes: float, layers: int) -> bool:
    """Whether compiling pays for a run of `layers` and of `passes` through one layer, its own time counted.

    >>> saves(Seconds(1.0, 1.0, compiled=0.8, compilation=10.0), passes=300, layers=16)
    True
    >>> saves(Seconds(1.0, 1.0, compiled=0.8, compilation=10.0), passes=150, layers=16)
    False
    """
    if not seconds.compiled:
        return False
    compiled = seconds.compiled * passes + (1 + LAYER_SHARE * (layers - 1)) * seconds.compilation
    return compiled < (1 - COMPILED_MARGIN) * seconds.plain * passes


def way_of(
    spec: RunSpec,
    ledger: Ledger,
    *,
    products: Products | None,
    compiled: bool | None,
    alone_on_cpu: bool,
    processor: str,
    sequences: int | None,
    stopping: Stopping,
    say: Callable[[str], None],
) -> Way:
    """For a session of the run: asked for, else recorded, else known here, else measured.

    A signal ends a measurement, and raises `StoppedError`; the budget ends that of compiling: nothing is compiled then.

    `sequences` are those that a process takes at a time; its whole batch if None. `alone_on_cpu` is False on an
    accelerator and where training is sharded: there is no choice of products, and nothing is compiled by itself.
    """
    if compiled is None and products is not None:
        compiled = False  # who names a library means it to be used
    if compiled is None and ledger.starts:
        compiled = ledger.starts[-1].compiled
    if not alone_on_cpu:
        return Way(compiled=bool(compiled))
    recorded = [start.products for start in ledger.starts if start.products]
    if compiled and ledger.starts and ledger.starts[-1].compiled:
        recorded = recorded or ["mkl"]  # by an earlier release, whose compiled products were always MKL's
    known = products or (recorded[-1] if recorded else "")
    there_is_a_choice = spec.precision == "float32" and not known and has_onednn()
    chosen = Way(known)
    if compiled is None or there_is_a_choice:
        chosen = _measured(
            spec, processor, sequences, may_compile=compiled is None, stopping=stopping, say=say
        )
    chosen = replace(chosen, compiled=chosen.compiled or bool(compiled))
    return replace(chosen, products="") if spec.precision != "float32" else chosen


def _measured(
    spec: RunSpec,
    processor: str,
    sequences: int | None,
    *,
    may_compile: bool,
    stopping: Stopping,
    say: Callable[[str], None],
) -> Way:
    """The faster way on this machine, by what is known of it or by a measurement."""
    taken = sequences or spec.batch_sequences
    name = f"{processor}; gemstones {__version__}; torch {torch.__version__}; threads {torch.get_num_threads()}; "
    name += f"{spec.precision}; {taken} of {spec.shape!r}"
    known = _read_seen().get(name)
    seconds = known or step_seconds(spec.shape, taken, spec.precision, lambda: stopping.signalled)
    one = flops_per_token(replace(spec.shape, depth=1), "matmul")
    steps = spec.own_tokens / spec.batch_tokens
    passes = steps * spec.batch_sequences / taken * flops_per_token(spec.shape, "matmul") / one
    if may_compile and seconds.compiled is None and is_long(seconds, passes):
        say("measuring whether to compile the model, once for this machine and shape (--no-compile: not)")
        seconds = compiled_too(seconds, spec.shape, taken, spec.precision, stopping)
        if seconds.compiled is None:
            say("it was not measured whether to compile: the run is not compiled")
    if seconds is not known:
        with contextlib.suppress(
            GemstonesError, OSError
        ):  # where it cannot be written, it is measured every time
            write_bytes(cache_folder() / SEEN, msgspec.json.encode(_read_seen() | {name: seconds}))
    compiled = may_compile and is_long(seconds, passes) and saves(seconds, passes, spec.shape.depth)
    return Way(seconds.products, compiled)


def _read_seen() -> dict[str, Seconds]:
    try:
        return msgspec.json.decode((cache_folder() / SEEN).read_bytes(), type=dict[str, Seconds])
    except (OSError, ValueError):  # none yet, none that can be had, or that of another release
        return {}
