"""The options of `gemstones suite run` that every run's `gemstones train` gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gemstones.cli.app import build, run
from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.train.command import PLAIN, TrainOptions, train_command
from gemstones.train.corpus import Corpus
from gemstones.train.queue import run_queue
from gemstones.train.slurm import SlurmOptions, TrainJob
from tests.train.fake_suite import FAKE, SUITE, folder_of, spec, start
from tests.train.test_queue import Seen

ALL = TrainOptions("cpu", 2, True, ("tensorboard", "wandb", "tensorboard"))
WORDS = "--device cpu --micro-batch 2 --compile --sink tensorboard --sink wandb"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def given(folder: Path) -> str:
    """What the fake trainer of the run in `folder` was told beside what it knows."""
    return (folder / "arguments").read_text()


def test_train_understands_what_it_is_told(tmp_path: Path) -> None:
    assert PLAIN.arguments == []
    assert " ".join(ALL.arguments) == WORDS
    words = train_command(["train"], tmp_path, 3, ALL)
    _, bound, _ = build().parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments == {
        "run": tmp_path,
        "threads": 3,
        "orphan_of": os.getpid(),
        "device": "cpu",
        "micro_batch": 2,
        "compiled": True,
        "sink": ("tensorboard", "wandb"),
    }


def test_the_queue_and_slurm_hand_them_on(tmp_path: Path) -> None:
    tasks = folder_of(tmp_path, spec(1), spec(2), spec(3))
    run_queue(tasks[:1], 1, 1, Seen(tasks), trainer=FAKE, options=ALL)
    run_queue(tasks[1:2], 1, 1, Seen(tasks), trainer=FAKE)
    assert (given(tasks[0].folder), given(tasks[1].folder)) == (WORDS, "")
    assert TrainJob(tasks[2], SlurmOptions(training=ALL), FAKE)() == "finished"
    assert given(tasks[2].folder) == WORDS


def test_the_command_hands_them_on(corpus: Corpus, tmp_path: Path) -> None:
    file, runs = tmp_path / "suite.toml", tmp_path / "runs"
    file.write_text(SUITE)
    suite = ["suite", "run", file, "--corpus", corpus.folder, "--output", runs, "--slots", 2]
    out, err = start(*suite, *WORDS.split(), seconds=0.001).communicate(timeout=60)
    assert (err, "4 of 4 runs finished" in out) == ("", True)
    assert [given(folder) for folder in runs.iterdir() if folder.is_dir()] == [WORDS] * 4


def test_mistakes_are_found_before_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="device 'gpu' is unknown: choose from cpu, cuda"):
        TrainOptions(device="gpu")
    with pytest.raises(InvalidRequest, match="micro-batch 0 must be at least 1"):
        TrainOptions(micro_sequences=0)
    with pytest.raises(InvalidRequest, match="sink 'mlflow' is unknown: choose from tensorboard, wandb"):
        TrainOptions(sinks=("mlflow",))
    monkeypatch.setattr("gemstones.train.sinks.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the sink wandb needs .*gemstones\[trackers\]"):
        TrainOptions(sinks=("wandb",))


def test_a_layout_is_of_as_many_processes_as_were_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert run(["train", str(tmp_path), "--layout", "2x2"]) == 2
    assert "torchrun --nproc-per-node 4 -m gemstones train RUN --layout 2x2" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(["train", str(tmp_path)]) == 2
    assert "2 processes were started, and layout 1x1 is of one" in capsys.readouterr().err
