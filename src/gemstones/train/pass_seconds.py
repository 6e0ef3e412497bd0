"""Seconds of a pass through one layer of a model, by each way to compute it: what the choice of a way is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import torch

from gemstones.accounting.flops import flops_per_token
from gemstones.memory import keep_freed_memory
from gemstones.runs.ledger import Products
from gemstones.train.compiled import compile_model, same_bits
from gemstones.train.initialisation import initialise
from gemstones.train.kernels import has_onednn, use_products
from gemstones.train.model import Transformer
from gemstones.train.step import Precision, autocast
from gemstones.train.stopping import StoppedError

if TYPE_CHECKING:
    from gemstones.shape import Shape

PASS_FLOPS = 1e10
"""Layers are measured together up to this, one at least: beside one alone the head weighs more than in a model."""
PATIENCE = 1.0
"""Seconds of the measurement for each way, once all have been tried twice."""
MARGIN = 0.03
"""By so much MKL must be faster: nearly equal, the choice is always the same."""


class Seconds(msgspec.Struct, frozen=True):
    """Seconds of a forward and backward pass through one layer, each way; the least of a few.

    CPU seconds with one thread, so that other work on the machine weighs nothing; else of the clock.
    """

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


def step_seconds(
    like: Shape, sequences: int, precision: Precision = "float32", stop: Callable[[], int] = lambda: 0
) -> Seconds:
    """Of a pass through one layer of `like`, by each library of products.

    `stop` is asked between passes for a place in `gemstones.train.stopping.REASONS`; raises `StoppedError` with it.
    """
    per_pass = [
        float(flops_per_token(replace(like, depth=layers), "matmul")) * sequences * like.context
        for layers in range(1, like.depth + 1)
    ]
    layers = max(1, sum(flops <= PASS_FLOPS for flops in per_pass))
    step, share = _pass(like, sequences, precision, layers=layers), per_pass[0] / per_pass[layers - 1]
    if precision != "float32" or not has_onednn():
        return Seconds(*(share * seconds for seconds in _least(step, stop=stop)))

    def by(products: Products) -> Callable[[], float]:
        def of_library() -> float:
            use_products(products)
            return share * step()

        return of_library

    return Seconds(*_least(by("mkl"), by("onednn"), stop=stop))


def compiled_too(plain: Seconds, like: Shape, sequences: int, precision: Precision) -> Seconds:
    """`plain`, measured again beside a compiled pass, with the seconds of that and of compiling it."""
    use_products(plain.products)
    step = _pass(like, sequences, precision)
    with same_bits(torch.device("cpu")):
        compiled = _pass(like, sequences, precision, compiled=True)
        began = time.perf_counter()
        try:
            compiled()
            first = time.perf_counter() - began  # compilers are other processes
            of_plain, least = _least(step, compiled)
        except RuntimeError:  # no compiler of C++, or one that cannot: all that PyTorch raises there is one
            return msgspec.structs.replace(plain, compiled=0.0)
        finally:
            torch.compiler.reset()
    return msgspec.structs.replace(
        plain, compiled=least * plain.plain / of_plain, compilation=max(0.0, first - least)
    )


def _pass(
    like: Shape, sequences: int, precision: Precision, *, layers: int = 1, compiled: bool = False
) -> Callable[[], float]:
    """A forward and backward pass through `layers` of `like`, which returns its seconds."""
    keep_freed_memory()
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    shape = replace(like, depth=layers)
    model = Transformer(shape)
    initialise(model, shape, seed=0)
    if compiled:
        compile_model(model)
    tokens = torch.arange(sequences * (shape.context + 1)).remainder(shape.vocabulary)
    tokens = tokens.view(sequences, shape.context + 1)

    def step() -> float:
        start = clock()
        with autocast(precision, tokens.device):
            loss = model(tokens[:, :-1], tokens[:, 1:])
        torch.autograd.backward(loss)
        return clock() - start

    return step


def _least(*steps: Callable[[], float], stop: Callable[[], int] = lambda: 0) -> list[float]:
    """Least seconds of each, by turns, so that other work on the machine is beside all of them."""
    least = [float("inf")] * len(steps)
    began, tries = time.perf_counter(), 0
    while tries < 3 or time.perf_counter() - began < PATIENCE * len(steps):
        taken = []
        for step in steps:
            if code := stop():
                raise StoppedError(code)
            taken.append(step())
        if tries:  # the first pays for what is set up once
            least = [min(pair) for pair in zip(least, taken, strict=True)]
        tries += 1
    return least
