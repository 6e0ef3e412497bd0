"""Activations that are computed again: less memory, the same bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Recompute
from gemstones.train.run import Options, train
from tests.train.compare import SignalAt, trained

MakeRun = Callable[..., Path]
KINDS: tuple[Recompute, ...] = ("attention", "block")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_is_the_same_to_the_bit(make_run: MakeRun, precision: str) -> None:
    plain = make_run("none", steps=6, precision=precision)
    train(plain, Options(threads=1))
    for kind in KINDS:
        folder = make_run(kind, steps=6, precision=precision)
        train(folder, Options(threads=1, recompute=kind, sinks=(SignalAt(3),)))
        train(
            folder, Options(threads=1, recompute=kind, micro_sequences=4)
        )  # and may change from session to session
        assert trained(folder) == trained(plain), kind
        assert [start.recompute for start in ledger_of(folder).starts] == [kind, kind]


SCRIPT = """
import re, sys, torch
from gemstones.shape import Shape
from gemstones.train.initialisation import initialise
from gemstones.train.model import Transformer
torch.set_num_threads(1)
shape = Shape(128, 12, head_size=32, vocabulary=512, context=256)
model = Transformer(shape)
initialise(model, shape, seed=0)
for block in model.blocks:
    block.recompute = sys.argv[1]
def passes(sequences):
    tokens = torch.zeros(sequences, 256, dtype=torch.int64)
    model(tokens, tokens).backward()
    status = open("/proc/self/status").read()  # ru_maxrss would begin with that of the process that forked this one
    return int(re.search(r"VmHWM:\\s+([0-9]+)", status)[1]) * 1024
before = passes(1)
print(passes(16) - before)
"""


def peak(kind: str) -> int:
    """Bytes that a pass over 16 sequences takes beyond one over a single one."""
    command = [sys.executable, "-c", SCRIPT, kind]
    return int(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout)


@pytest.mark.long
def test_it_saves_memory() -> None:
    whole, attention, block = (peak(kind) for kind in ("none", *KINDS))
    assert attention < 0.97 * whole  # little: the MLP's activations are four times as wide
    assert block < 0.5 * whole


def test_evaluations_keep_nothing_anyway(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from gemstones.train import model

    called: list[bool] = []
    plain = model._again

    def again(*arguments: object) -> torch.Tensor:
        called.append(torch.is_grad_enabled())
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "_again", again)
    train(make_run(steps=5), Options(threads=1, recompute="block"))
    assert called == [True] * 10  # two blocks a step
