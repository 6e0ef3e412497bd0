"""`gemstones train` ends with 0 when its run is done, and never else: a script can rely on it."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gemstones.cli.app import run
from gemstones.runs.folders import ledger_of
from gemstones.train import loop
from gemstones.train.loop import Setup
from gemstones.train.run import Options, train
from gemstones.train.step import StepResult
from tests.train.compare import SignalAt

MakeRun = Callable[..., Path]


def status_of(*arguments: object) -> int:
    """Of the command, as the shell sees it."""
    try:
        return run([str(argument) for argument in arguments])
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_with_128_and_its_number(make_run: MakeRun, number: signal.Signals) -> None:
    outcome = train(make_run(), Options(threads=1, sinks=(SignalAt(3, number),)))
    assert (outcome.state, outcome.exit_status) == ("stopped", 128 + number)


def test_a_budget_ends_with_75_and_a_finished_run_with_0(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = make_run(steps=3), tmp_path / "exported"
    statuses = [status_of("train", folder, "--threads", 1, "--budget", 0.001)]
    assert "stopped at step 1 of 3: the time budget" in capsys.readouterr().out
    # What `train R && export R` does: nothing is exported before the run is done.
    while statuses[-1] != 0:
        assert not output.exists()
        statuses.append(status_of("train", folder, "--threads", 1, "--budget", 0.001))
    assert statuses == [75, 75, 0]
    assert ledger_of(folder).state == "finished"
    assert status_of("train", folder, "--threads", 1) == 0  # and stays done


def test_a_stopped_run_ends_so_whether_or_not_anybody_reads_what_it_says(make_run: MakeRun) -> None:
    command = [sys.executable, "-m", "gemstones", "train", str(make_run(steps=3)), "--threads", "1"]
    with subprocess.Popen([*command, "--budget", "0.001"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode == 75


def test_a_run_that_diverged_ends_with_1(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = loop._step

    def step(setup: Setup, number: int, rate: float) -> StepResult:
        return replace(plain(setup, number, rate), loss=math.nan)

    monkeypatch.setattr(loop, "_step", step)
    folder = make_run(steps=4)
    assert status_of("train", folder, "--threads", 1) == 1
    assert "diverged at step 0 of 4: the loss is nan" in capsys.readouterr().out
    assert status_of("train", folder, "--threads", 1) == 1
