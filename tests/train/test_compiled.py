"""Compiling: before the first step, where a signal ends it at once; evaluations are not compiled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import Event, Start
from gemstones.train.run import Options, train

MakeRun = Callable[..., Path]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of PyTorch, in its own modules
]


class Graphs:
    """A sink that counts the graphs that are made before the first step."""

    def start(self, spec: object, session: Start) -> None:
        self.first = counters["stats"]["unique_graphs"]

    def log(self, event: Event) -> None:
        pass

    def finish(self, state: str) -> None:
        self.all = counters["stats"]["unique_graphs"]


def test_steps_are_compiled_before_the_first_and_evaluations_not_at_all(make_run: MakeRun) -> None:
    folder, graphs = make_run(shape="32x1", steps=6), Graphs()
    torch.compiler.reset()
    counters.clear()
    # Four sequences are three and one.
    assert train(folder, Options(threads=1, compiled=True, micro_sequences=3, sinks=(graphs,))).step == 6
    assert (graphs.first, graphs.all) == (2, 2)
    assert [e.step for e in ledger_of(folder).evaluations] == [5, 6]


def test_a_signal_ends_compiling_and_the_session(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run(shape="32x1", steps=2)
    with subprocess.Popen(
        [sys.executable, "-m", "gemstones", "train", str(folder), "--threads", "1", "--compile"],
        env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "none")},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "compiling the model" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(1.0)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    assert not ledger_of(folder).starts  # a session that had compiled would have said that it starts
    assert train(folder, Options(threads=1)).state == "finished"
