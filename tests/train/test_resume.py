"""Exact resume, on the same layout: interrupted runs equal undisturbed ones to the bit (training.md)."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch

from gemstones.errors import InvalidRequest
from gemstones.runs.folders import ledger_of, read_run
from gemstones.runs.ledger import LEDGER, Products, Step
from gemstones.train.checkpoint import CHECKPOINTS, COMPLETE, checkpoints, read_weights
from gemstones.train.corpus import Corpus
from gemstones.train.lock import RUN_LOCK, locked
from gemstones.train.run import Options, train
from tests.train.compare import SignalAt, trained
from tests.train.conftest import STEP, cooldown_of, spec_of

MakeRun = Callable[..., Path]
PLAIN = Options(threads=1)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_the_run_goes_on_to_the_bit(make_run: MakeRun, number: signal.Signals) -> None:
    alone, halved = make_run("alone"), make_run("halved")
    assert train(alone, PLAIN).state == "finished"
    sink = SignalAt(10, number)
    outcome = train(halved, Options(threads=1, sinks=(sink,)))
    assert (outcome.state, outcome.step, outcome.reason) == ("stopped", 10, number.name)
    assert sink.state == "stopped"
    assert [c.step for c in checkpoints(halved)][-1] == 10
    outcome = train(halved, PLAIN)
    assert (outcome.state, outcome.step) == ("finished", 20)
    assert trained(halved) == trained(alone)
    assert len(trained(alone)["steps"]) == 20
    assert ledger_of(halved).starts[1].resumed_from.endswith("step-0000000010")
    assert signal.getsignal(number) is not None  # handlers are put back
    assert train(halved, PLAIN).state == "finished"
    assert len(ledger_of(halved).starts) == 2  # nothing to do: no new session


@pytest.mark.long
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, in its own modules
@pytest.mark.parametrize("products", ["mkl", "onednn"])
def test_compiled_too_with_more_threads_than_one(make_run: MakeRun, products: Products) -> None:
    """Threads that add to one gradient in the order in which they come made every run another one."""
    alone, halved = make_run("alone", shape="64x2"), make_run("halved", shape="64x2")
    compiled = Options(threads=2, compiled=True, products=products)
    assert train(alone, compiled).state == "finished"
    torch.compiler.reset()
    assert train(halved, dataclasses.replace(compiled, sinks=(SignalAt(10),))).state == "stopped"
    torch.compiler.reset()
    assert train(halved, dataclasses.replace(compiled, products=None)).state == "finished"
    assert [start.products for start in ledger_of(halved).starts] == [products] * 2
    assert trained(halved) == trained(alone)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.long
def test_a_spent_budget_saves_after_every_step(make_run: MakeRun) -> None:
    alone, short = make_run("alone", steps=6), make_run("short", steps=6)
    train(alone, PLAIN)
    outcomes = [train(short, Options(threads=1, budget_seconds=0)) for _ in range(6)]
    assert [o.step for o in outcomes] == [1, 2, 3, 4, 5, 6]
    assert [o.state for o in outcomes] == ["stopped"] * 5 + ["finished"]
    assert outcomes[0].reason == "the time budget"
    assert trained(short) == trained(alone)


def killed(folder: Path, seconds: float, *, saving: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gemstones", "train", str(folder), "--threads", "1"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    before = ledger_of(folder).last_step
    while ledger_of(folder).last_step <= before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    root = folder / CHECKPOINTS
    deadline = time.monotonic() + 2
    while saving and time.monotonic() < deadline and process.poll() is None:
        if root.is_dir() and any("saving" in path.name for path in root.iterdir()):
            break
    process.kill()
    process.wait()


@pytest.mark.long
def test_sigkill_at_any_moment_loses_only_what_was_not_saved(make_run: MakeRun) -> None:
    steps = 400
    alone, broken = make_run("alone", steps=steps), make_run("broken", steps=steps)
    train(alone, PLAIN)
    killed(broken, 0.2, saving=False)
    with (broken / LEDGER).open("ab") as ledger:
        ledger.write(b'{"event":"step","st')  # as a crash of the machine leaves it
    killed(broken, 0.1, saving=True)
    left = ledger_of(broken).last_step
    assert 0 < left < steps, "killed too late to test anything"
    train(broken, PLAIN)
    assert trained(broken) == trained(alone)
    ledger = ledger_of(broken)
    for before, after in zip(ledger.starts, ledger.starts[1:], strict=False):
        assert after.step >= before.step  # the same where the kill came before the next checkpoint
    assert ledger.starts[-1].step > 0
    assert not [path for path in (broken / CHECKPOINTS).iterdir() if path.name.startswith(".")]


def test_damaged_checkpoints_are_passed_over_with_a_message(make_run: MakeRun) -> None:
    alone, damaged = make_run("alone"), make_run("damaged")
    train(alone, PLAIN)
    train(damaged, Options(threads=1, sinks=(SignalAt(14),)))
    newest, older, oldest = reversed(checkpoints(damaged)[-3:])
    assert [newest.step, older.step, oldest.step] == [14, 12, 8]
    (newest.folder / COMPLETE).unlink()
    shard = older.folder / older.complete.files[0].name
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    said: list[str] = []
    train(damaged, Options(threads=1, say=said.append))
    assert len(said) == 2
    assert f"{newest.folder} is incomplete" in said[0]
    assert f"{older.folder} is passed over: {shard.name} is corrupted" in said[1]
    assert ledger_of(damaged).starts[-1].step == 8
    assert trained(damaged) == trained(alone)


def test_a_run_without_any_whole_checkpoint_begins_again(make_run: MakeRun) -> None:
    alone, lost = make_run("alone"), make_run("lost")
    train(alone, PLAIN)
    train(lost, Options(threads=1, sinks=(SignalAt(3),)))
    for checkpoint in checkpoints(lost):
        (checkpoint.folder / COMPLETE).write_text("{")
    said: list[str] = []
    train(lost, Options(threads=1, say=said.append))
    assert "damaged" in said[0]
    assert "its 3 steps are done again" in said[1]
    assert trained(lost) == trained(alone)


def test_retention_keeps_what_is_needed_and_for_good_what_branches_need(make_run: MakeRun) -> None:
    folder = make_run(steps=60, permanent_tokens=(8 * STEP, 10 * STEP))
    train(folder, Options(threads=1, sinks=(SignalAt(57),)))
    # Saved every 4 steps, at 10 and at the signal: those of the last 32 steps are kept, and two more.
    assert [c.step for c in checkpoints(folder)] == [8, 10, 20, 24, *range(28, 57, 4), 57]
    train(folder, PLAIN)
    assert [c.step for c in checkpoints(folder)] == [8, 10, 60]


def test_a_branch_starts_where_its_parent_was(make_run: MakeRun, corpus: Corpus) -> None:
    parent = spec_of(corpus, permanent_tokens=(12 * STEP,))
    child = cooldown_of(parent, 12, 17)
    root, branch = make_run(spec=parent), make_run(spec=child)
    with pytest.raises(InvalidRequest, match=f"its parent {parent.id} is at step 0 and not finished"):
        train(branch, PLAIN)
    train(root, PLAIN)
    train(branch, PLAIN)
    main, cooled = ledger_of(root), ledger_of(branch)
    assert cooled.starts[0].resumed_from == f"{parent.id}/step-0000000012"
    assert [s.step for s in cooled.steps] == [13, 14, 15, 16, 17]
    # The first step is on the parent's state, batch and rate: its loss is the parent's; then the rate falls.
    same = main.steps[12]
    first = cooled.steps[0]
    assert (first.loss, first.gradient_norm, first.learning_rate) == (
        same.loss,
        same.gradient_norm,
        same.learning_rate,
    )
    rates = [s.learning_rate / child.learning_rate for s in cooled.steps]
    assert rates == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2], rel=1e-12)
    # And the optimizer's state: the second loss follows from the first step of the parent, at the same rate.
    assert cooled.steps[1].loss == main.steps[13].loss
    assert cooled.steps[2].loss != main.steps[14].loss
    # A resumed branch does not start again from its parent.
    again = make_run("again", spec=child)
    make_run("again", spec=parent)
    for path in (root / CHECKPOINTS, root / LEDGER):
        (again.parent / parent.id / path.name).symlink_to(path)
    train(again, Options(threads=1, sinks=(SignalAt(15),)))
    train(again, PLAIN)
    assert trained(again) == trained(branch)


def test_a_branch_planned_after_its_parent_was_finished_says_so(make_run: MakeRun, corpus: Corpus) -> None:
    parent = spec_of(corpus)
    child = cooldown_of(parent, 6, 9)
    root, branch = make_run(spec=parent), make_run(spec=child)
    train(root, PLAIN)
    with pytest.raises(
        InvalidRequest, match="no checkpoint of step 6: there are 20: the parent was trained before"
    ):
        train(branch, PLAIN)
    make_run(spec=msgspec.structs.replace(parent, permanent_tokens=(6 * STEP,)))
    with pytest.raises(InvalidRequest, match="finished without the checkpoint of step 6 that a branch needs"):
        train(root, PLAIN)


def test_what_cannot_be_trained_is_refused_in_a_line(
    make_run: MakeRun, corpus: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match=r"has no run\.json: name a run's folder"):
        train(tmp_path, PLAIN)
    other = make_run(corpus_fingerprint="0" * 64)
    with pytest.raises(InvalidRequest, match="the run was planned on 000000000000: give that corpus"):
        train(other, PLAIN)
    folder = make_run()
    with (
        locked(folder / RUN_LOCK, 0, RuntimeError),
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(InvalidRequest, match="is being trained by process"),
    ):
        patch.setattr("gemstones.train.run.ORPHAN_SECONDS", 0.0)
        train(folder, PLAIN)
    assert not (folder / LEDGER).exists()
    train(folder, PLAIN)
    (folder / LEDGER).unlink()
    with pytest.raises(InvalidRequest, match=r"has checkpoints but no ledger\.jsonl"):
        train(folder, PLAIN)


def test_the_ledger_says_what_was_done(make_run: MakeRun, corpus: Corpus) -> None:
    folder = make_run()
    train(folder, PLAIN)
    ledger, spec = ledger_of(folder), read_run(folder).spec
    assert [e.step for e in ledger.evaluations] == [5, 10, 15, 20]
    assert all(isinstance(step, Step) and step.seconds > 0 and step.utilisation > 0 for step in ledger.steps)
    assert [s.tokens for s in ledger.steps] == [STEP * n for n in range(1, 21)]
    warm = [s.learning_rate / spec.learning_rate for s in ledger.steps]
    assert warm == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1.0] * 16)
    start = ledger.starts[0]
    assert start.devices == start.threads == 1
    assert start.matmul_flops_per_second > 1e8
    assert start.epochs == pytest.approx(spec.trained_tokens / (corpus.total("train") - 1), rel=0.1)
    assert ledger.steps[-1].loss < ledger.steps[0].loss - 0.5


def test_bfloat16_and_accumulation_resume_to_the_bit_too(make_run: MakeRun) -> None:
    for name, options in (("low", {}), ("pieces", {"micro_sequences": 3})):
        precision = "bfloat16" if name == "low" else "float32"
        alone, halved = (make_run(f"{name}-{i}", steps=8, precision=precision) for i in range(2))
        train(alone, Options(threads=1, **options))
        train(halved, Options(threads=1, sinks=(SignalAt(3),), **options))
        train(halved, Options(threads=1, **options))
        assert trained(halved) == trained(alone)
        if name == "pieces":
            plain = make_run("plain", steps=8)
            train(plain, PLAIN)
            losses = [[s.loss for s in ledger_of(f).steps] for f in (alone, plain)]
            assert losses[0] == pytest.approx(losses[1], abs=1e-5)
            assert ledger_of(alone).starts[0].micro_sequences == 3


def test_no_checkpoint_has_a_pickle_in_it(make_run: MakeRun) -> None:
    folder = make_run(steps=4)
    train(folder, PLAIN)
    (checkpoint,) = checkpoints(folder)
    files = sorted(path.name for path in checkpoint.folder.iterdir())
    assert files == [COMPLETE, "shard-00001-model-00001-of-00001.safetensors"]
    content = (checkpoint.folder / files[1]).read_bytes()
    header = msgspec.json.decode(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert {"weights.embedding.weight", "exp_avg.embedding.weight"} <= header.keys()


@pytest.mark.parametrize("beyond", [False, True])
def test_a_checkpoint_of_another_run_is_passed_over(make_run: MakeRun, *, beyond: bool) -> None:
    alone, mine, other = make_run("alone", steps=12), make_run("mine", steps=12), make_run("other", seed=1)
    train(alone, PLAIN)
    train(mine, Options(threads=1, sinks=(SignalAt(9),)))
    train(other, Options(threads=1, sinks=(SignalAt(9),)))
    foreign = checkpoints(other)[-1].folder
    there = mine / CHECKPOINTS / foreign.name
    if beyond:  # beside ours, in the place of a later one
        there = there.with_name("step-0000000010")
    else:
        shutil.rmtree(there)
    shutil.copytree(foreign, there)
    said: list[str] = []
    assert train(mine, Options(threads=1, say=said.append)).state == "finished"
    assert said == [f"{there} is passed over: it is of run {other.name}, not of {mine.name}"]
    assert ledger_of(mine).starts[-1].step == (9 if beyond else 8)
    assert trained(mine) == trained(alone)


def test_a_foreign_checkpoint_is_neither_exported_nor_branched_from(
    make_run: MakeRun, corpus: Corpus
) -> None:
    parent = spec_of(corpus, steps=8, permanent_tokens=(4 * STEP,))
    root, branch = make_run(spec=parent), make_run(spec=cooldown_of(parent, 4, 6))
    other = make_run("other", steps=8, seed=1, permanent_tokens=(4 * STEP,))
    for folder in (root, other):
        train(folder, PLAIN)
    for checkpoint in checkpoints(root):
        shutil.rmtree(checkpoint.folder)
    for checkpoint in checkpoints(other):
        shutil.copytree(checkpoint.folder, root / CHECKPOINTS / checkpoint.folder.name)
    with pytest.raises(InvalidRequest, match=f"no complete checkpoint .*it is of run {other.name}, not of"):
        read_weights(root)
    with pytest.raises(InvalidRequest, match=f"no checkpoint of step 8: .*it is of run {other.name}"):
        read_weights(root, 8)
    with pytest.raises(InvalidRequest, match=f"no checkpoint of step 4: .*it is of run {other.name}"):
        train(branch, PLAIN)


@pytest.mark.parametrize("field", ["step", "skipped_batches", "run"])
def test_a_marker_whose_content_changed_is_damaged(make_run: MakeRun, field: str) -> None:
    alone, damaged = make_run("alone"), make_run("damaged")
    train(alone, PLAIN)
    train(damaged, Options(threads=1, sinks=(SignalAt(9),)))
    marker = checkpoints(damaged)[-1].folder / COMPLETE
    content = msgspec.json.decode(marker.read_bytes())
    content[field] = damaged.name[:-1] + "z" if field == "run" else content[field] + 1
    marker.write_bytes(msgspec.json.encode(content))
    said: list[str] = []
    train(damaged, Options(threads=1, say=said.append))
    assert len(said) == 1
    assert f"its {COMPLETE} is damaged (its checksum is not the one of when it was written)" in said[0]
    assert ledger_of(damaged).starts[-1].step == 8
    assert trained(damaged) == trained(alone)


def test_markers_of_format_1_have_no_checksum_and_are_read(make_run: MakeRun) -> None:
    folder = make_run(steps=8)
    train(folder, Options(threads=1, sinks=(SignalAt(5),)))
    marker = checkpoints(folder)[-1].folder / COMPLETE
    content = msgspec.json.decode(marker.read_bytes())
    assert content.pop("crc32") > 0
    marker.write_bytes(msgspec.json.encode(content | {"format": 1}))
    assert [c.step for c in checkpoints(folder)] == [4, 5]
    marker.write_bytes(msgspec.json.encode(content))
    assert [c.step for c in checkpoints(folder)] == [4]
