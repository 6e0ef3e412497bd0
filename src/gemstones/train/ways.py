"""How a session computes on a CPU: products by MKL or by oneDNN, or the model compiled. The fastest, by a measurement.

oneDNN is 2.3 times as fast as MKL on a Zen 5 and up to 40% slower on an Intel Xeon, at the same shapes; torch.compile
gains 10% to 25% where models are narrow, and costs a minute at the start of a session. So the first session of a run
measures, and the ledger keeps what was chosen: each rounds differently, and a resumed run takes the recorded one. What
was measured is remembered for the machine, so that the same run trained again there is the same to the bit. Nothing is
chosen by itself where training is sharded or on an accelerator; in bfloat16 products are oneDNN's whatever is asked.
"""

from __future__ import annotations

import contextlib
import time
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
from gemstones.train.compiled import compile_model, same_bits
from gemstones.train.initialisation import initialise
from gemstones.train.kernels import has_onednn, use_products
from gemstones.train.memory import keep_freed_memory
from gemstones.train.model import Transformer
from gemstones.train.step import Precision, autocast

if TYPE_CHECKING:
    from gemstones.design.spec import RunSpec
    from gemstones.runs.ledger import Ledger
    from gemstones.shape import Shape

SEEN = "ways.json"
"""In the cache folder: what was measured on this machine."""
PATIENCE = 1.0
"""Seconds of the measurement for each way, once all have been tried twice."""
MARGIN = 0.03
"""By so much MKL must be faster: nearly equal, the choice is always the same."""
LONG = 1200.0
"""Seconds of training below which a run is not compiled, nor is it measured what that would gain."""
GRAPHS = 3
"""That a session compiles: of a step, of an evaluation and of its last batch."""
COMPILED_MARGIN = 0.05
"""Of a run's time: what compiling must save, its own time counted."""


@dataclass(frozen=True)
class Way:
    """How a session computes."""

    products: Products | Literal[""] = ""
    """The library of float32 products on a CPU; nothing where there is no choice."""
    compiled: bool = False


class Seconds(msgspec.Struct, frozen=True):
    """Wall-clock seconds of a forward and backward pass through one layer, each way; the least of a few."""

    mkl: float
    """Or of PyTorch's own choice, where there is no other."""
    onednn: float | None = None
    """None in bfloat16, and where PyTorch has no oneDNN."""
    compiled: float | None = None
    """None if it was not measured, 0 where nothing can be compiled."""
    compilation: float = 0.0
    """Seconds to compile one layer."""

    @property
    def products(self) -> Products:
        """The faster library.

        >>> Seconds(1.0, 2.0).products, Seconds(1.0, 1.01).products
        ('mkl', 'onednn')
        """
        return "mkl" if self.onednn is None or self.mkl < (1 - MARGIN) * self.onednn else "onednn"

    @property
    def plain(self) -> float:
        """Of the faster library."""
        return self.mkl if self.onednn is None or self.products == "mkl" else self.onednn


def is_long(seconds: Seconds, passes: float) -> bool:
    """Whether a run of so many `passes` through one layer is long enough to ask whether to compile it."""
    return seconds.plain * passes >= LONG


def saves(seconds: Seconds, passes: float, layers: int) -> bool:
    """Whether compiling pays for a run of `layers` and of `passes` through one layer, its own time counted.

    >>> saves(Seconds(1.0, 1.0, compiled=0.8, compilation=10.0), passes=3600, layers=16)
    True
    >>> saves(Seconds(1.0, 1.0, compiled=0.8, compilation=10.0), passes=1800, layers=16)
    False
    """
    if not seconds.compiled:
        return False
    compiled = seconds.compiled * passes + GRAPHS * layers * seconds.compilation
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
    say: Callable[[str], None],
) -> Way:
    """For a session of the run: asked for, else recorded, else known here, else measured.

    `sequences` are those that a process takes at a time; its whole batch if None. `alone_on_cpu` is False on an
    accelerator and where training is sharded: there is no choice of products, and nothing is compiled by itself.
    """
    if compiled is None and products is not None:
        compiled = False  # who names a library means it to be used
    if compiled is None and ledger.starts:
        compiled = ledger.starts[-1].compiled
    if compiled or not alone_on_cpu:
        return Way(compiled=bool(compiled))
    recorded = [start.products for start in ledger.starts if start.products]
    known = products or (recorded[-1] if recorded else "")
    there_is_a_choice = spec.precision == "float32" and not known and has_onednn()
    chosen = Way(known)
    if compiled is None or there_is_a_choice:
        chosen = _measured(spec, processor, sequences, may_compile=compiled is None, say=say)
    return replace(chosen, products="") if spec.precision != "float32" else chosen


def _measured(
    spec: RunSpec, processor: str, sequences: int | None, *, may_compile: bool, say: Callable[[str], None]
) -> Way:
    """The faster way on this machine, by what is known of it or by a measurement."""
    taken = sequences or spec.batch_sequences
    name = f"{processor}; torch {torch.__version__}; threads {torch.get_num_threads()}; {spec.precision}; "
    name += f"{taken} of {spec.shape!r}"
    known = _read_seen().get(name)
    seconds = known or step_seconds(spec.shape, taken, spec.precision)
    one = flops_per_token(replace(spec.shape, depth=1), "matmul")
    steps = spec.own_tokens / spec.batch_tokens
    passes = steps * spec.batch_sequences / taken * flops_per_token(spec.shape, "matmul") / one
    if may_compile and seconds.compiled is None and is_long(seconds, passes):
        say("measuring whether to compile the model, once for this machine and shape (--no-compile: not)")
        seconds = compiled_too(seconds, spec.shape, taken, spec.precision)
    if seconds is not known:
        with contextlib.suppress(
            GemstonesError, OSError
        ):  # where it cannot be written, it is measured every time
            write_bytes(cache_folder() / SEEN, msgspec.json.encode(_read_seen() | {name: seconds}))
    if may_compile and is_long(seconds, passes) and saves(seconds, passes, spec.shape.depth):
        return Way(compiled=True)
    return Way(seconds.products)


def step_seconds(like: Shape, sequences: int, precision: Precision = "float32") -> Seconds:
    """Of a pass through one layer of `like`, by each library of products."""
    step = _pass(like, sequences, precision)
    if precision != "float32" or not has_onednn():
        return Seconds(*_least(step))

    def by(products: Products) -> Callable[[], float]:
        def of_library() -> float:
            use_products(products)
            return step()

        return of_library

    return Seconds(*_least(by("mkl"), by("onednn")))


def compiled_too(plain: Seconds, like: Shape, sequences: int, precision: Precision) -> Seconds:
    """`plain`, measured again beside a compiled pass, with the seconds of that and of compiling it."""
    use_products(plain.products)
    step = _pass(like, sequences, precision)
    with same_bits(torch.device("cpu")):
        compiled = _pass(like, sequences, precision, compiled=True)
        try:
            first = compiled()
            of_plain, least = _least(step, compiled)
        except RuntimeError:  # no compiler of C++, or one that cannot: all that PyTorch raises there is one
            return msgspec.structs.replace(plain, compiled=0.0)
        finally:
            torch.compiler.reset()
    return msgspec.structs.replace(
        plain, compiled=least * plain.plain / of_plain, compilation=max(0.0, first - least)
    )


def _pass(
    like: Shape, sequences: int, precision: Precision, *, compiled: bool = False
) -> Callable[[], float]:
    """A forward and backward pass through one layer of `like`, which returns its wall-clock seconds."""
    keep_freed_memory()
    shape = replace(like, depth=1)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    if compiled:
        compile_model(model)
    tokens = torch.arange(sequences * (shape.context + 1)).remainder(shape.vocabulary)
    tokens = tokens.view(sequences, shape.context + 1)

    def step() -> float:
        start = time.perf_counter()
        with autocast(precision, tokens.device):
            loss = model(tokens[:, :-1], tokens[:, 1:])
        torch.autograd.backward(loss)
        return time.perf_counter() - start

    return step


def _least(*steps: Callable[[], float]) -> list[float]:
    """Least seconds of each, by turns, so that other work on the machine is beside all of them."""
    least = [float("inf")] * len(steps)
    began, tries = time.perf_counter(), 0
    while tries < 3 or time.perf_counter() - began < PATIENCE * len(steps):
        taken = [step() for step in steps]
        if tries:  # the first pays for what is set up once
            least = [min(pair) for pair in zip(least, taken, strict=True)]
        tries += 1
    return least


def _read_seen() -> dict[str, Seconds]:
    try:
        return msgspec.json.decode((cache_folder() / SEEN).read_bytes(), type=dict[str, Seconds])
    except (OSError, ValueError):  # none yet, none that can be had, or that of another release
        return {}
