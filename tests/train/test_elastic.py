"""Whole sessions on several processes, on gloo: any layout trains, saves and resumes alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gemstones.design.layout import Layout
from gemstones.runs.folders import ledger_of
from gemstones.runs.ledger import LEDGER, Ledger
from gemstones.shape import Shape
from gemstones.train.checkpoint import checkpoints, delete
from gemstones.train.run import Options, train
from tests.train import checkpoint_worker
from tests.train.conftest import STEP
from tests.train.ranks import on_ranks

MakeRun = Callable[..., Path]
STEPS, HALF = 20, 12
SHAPE = "64x2"  # 8 query heads and 4 kv heads of size 8


def by_torchrun(layout: str, folder: Path) -> None:
    """Train the run in `folder` on `layout`, as a user does."""
    launcher = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={Layout.parse(layout).processes}",
    ]
    train = ["-m", "gemstones", "train", folder, "--layout", layout, "--threads", "1"]
    done = subprocess.run(
        [sys.executable, *launcher, *map(str, train)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ledger_of(folder).state == "finished", done.stderr[-3000:]


def on(layout: str, folder: Path) -> None:
    """The same, started faster."""
    arguments = ["train", str(folder), "--layout", layout, "--threads", "1"]
    said = on_ranks(
        Layout.parse(layout).processes, "gemstones", arguments, folder.parent / f"said-{folder.name}"
    )
    assert ledger_of(folder).state == "finished", said


def cut_back(folder: Path, to: Path, step: int) -> Path:
    """A copy of a run as if it had been killed after its checkpoint of `step`."""
    copy = to / folder.name
    shutil.copytree(folder, copy)
    for checkpoint in checkpoints(copy):
        if checkpoint.step > step:
            delete(checkpoint.folder)
    lines = (copy / LEDGER).read_bytes().splitlines(keepends=True)
    last = next(
        i for i, line in enumerate(lines) if b'"saved"' in line and f'"step":{step},'.encode() in line
    )
    (copy / LEDGER).write_bytes(b"".join(lines[: last + 1]))
    return copy


def assert_alike(one: Ledger, other: Ledger) -> None:
    for ledger in (one, other):
        assert [s.step for s in ledger.steps] == list(range(1, STEPS + 1))
    np.testing.assert_allclose([s.loss for s in one.steps], [s.loss for s in other.steps], atol=1e-5, rtol=0)
    np.testing.assert_allclose(
        [e.loss for e in one.evaluations], [e.loss for e in other.evaluations], atol=1e-5, rtol=0
    )
    assert [e.step for e in one.evaluations] == [e.step for e in other.evaluations]
    assert [s.learning_rate for s in one.steps] == [s.learning_rate for s in other.steps]


@pytest.mark.long
def test_any_layout_trains_alike_and_what_it_saves_any_other_goes_on_with(
    make_run: MakeRun, tmp_path: Path
) -> None:
    # 7 windows of evaluation do not divide over the ranks.
    fields = {"shape": SHAPE, "steps": STEPS, "evaluate_sequences": 7, "permanent_tokens": (HALF * STEP,)}
    alone = make_run("alone", **fields)
    train(alone, Options(threads=1))
    two = make_run("two", **fields)
    by_torchrun("2x1", two)
    assert_alike(ledger_of(two), ledger_of(alone))
    assert ledger_of(two).starts[0].devices == 2
    assert len(checkpoints(two)[-1].complete.files) == 2

    single = cut_back(two, tmp_path / "single", HALF)
    train(single, Options(threads=1))
    assert ledger_of(single).starts[-1].step == HALF
    assert_alike(ledger_of(single), ledger_of(alone))

    for layout in ("2x2", "4x1"):
        four = cut_back(two, tmp_path / layout, HALF)
        on(layout, four)
        assert ledger_of(four).starts[-1].devices == 4
        assert_alike(ledger_of(four), ledger_of(alone))


@pytest.mark.long
@pytest.mark.parametrize(("vocabulary", "saved_on", "read_on"), [(101, "3x1", "4x1"), (100, "2x2", "1x2")])
def test_tensors_are_read_back_bit_exact_uneven_shards_included(
    tmp_path: Path, vocabulary: int, saved_on: str, read_on: str
) -> None:
    # 101 rows are 34, 34 and 33 on three ranks, and 26, 26, 26 and 23 on four.
    shape = Shape(64, 2, head_size=8, vocabulary=vocabulary, context=16)
    saved = checkpointed(saved_on, str(vocabulary), tmp_path / "there", "save", tmp_path / "saved.json")
    assert checkpoint_worker.run(Layout(), shape, tmp_path / "there", saves=False) == saved
    read = checkpointed(read_on, str(vocabulary), tmp_path / "there", "load", tmp_path / "read.json")
    assert read == saved
    # And what one process saves, on the same ranks.
    assert checkpoint_worker.run(Layout(), shape, tmp_path / "back", saves=True) == saved
    assert checkpointed(read_on, str(vocabulary), tmp_path / "back", "load", tmp_path / "back.json") == saved


def checkpointed(layout: str, vocabulary: str, folder: Path, mode: str, output: Path) -> dict[str, str]:
    arguments = [layout, vocabulary, str(folder), mode, str(output)]
    said = on_ranks(
        Layout.parse(layout).processes, checkpoint_worker.__file__, arguments, output.with_suffix(".said")
    )
    assert output.exists(), said
    found: dict[str, str] = json.loads(output.read_text())
    return found
