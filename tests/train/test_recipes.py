"""Recipes in training: Muon's update, its state across a resume, held-out sets, and activations that know no width."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.coordinate_check import coordinate_check
from gemstones.design.corpora import HeldOut, Source
from gemstones.design.layout import Layout
from gemstones.design.recipes import RECIPES
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.runs.collect import collect
from gemstones.runs.folders import RunFile, ledger_of, read_run, write_run
from gemstones.shape import Shape
from gemstones.train.checkpoint import read_weights
from gemstones.train.corpus import Corpus, Options, build
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.model import Transformer
from gemstones.train.muon import MuonWithAdamW, orthogonalised
from gemstones.train.optimizer import build_optimizer, set_rate
from gemstones.train.run import Options as Session
from gemstones.train.run import train
from tests.train.compare import SignalAt, trained
from tests.train.conftest import STEP, cooldown_of, spec_of

MUON = RECIPES["muon"]


@pytest.mark.parametrize("size", [(8, 8), (8, 32), (32, 8)])
def test_the_update_is_nearly_orthogonal(size: tuple[int, int]) -> None:
    gradient = torch.randn(size, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    update = orthogonalised(gradient)
    values = torch.linalg.svdvals(update)
    assert 0.6 < values.min() <= values.max() < 1.3
    # Along the singular vectors of the gradient: only the singular values change.
    assert torch.allclose(update, u @ torch.diag(torch.diag(u.T @ update @ v.T)) @ v, atol=1e-4)
    assert torch.allclose(orthogonalised(gradient * 1e3), update, atol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_muon_is_the_published_one(decay: float) -> None:
    # PyTorch's own, with Jordan's scale of the rate; it makes its products in bfloat16.
    def ours_and_torch(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(2)
        start = torch.randn(24, 16, generator=generator)
        one, other = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
        ours = MuonWithAdamW(
            [{"params": [one], "momentum": 0.95, "weight_decay": decay}], betas=(0.9, 0.95), eps=1e-8, lr=0.02
        )
        theirs = torch.optim.Muon(
            [other], lr=0.02, momentum=0.95, nesterov=True, weight_decay=decay, adjust_lr_fn="original"
        )
        for _ in range(steps):
            gradient = torch.randn(24, 16, generator=generator)
            one.grad, other.grad = gradient.clone(), gradient.clone()
            ours.step()
            theirs.step()
        return one.detach() - start, other.detach() - start

    ours, theirs = ours_and_torch(5)
    assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_the_rest_is_adamw_s_to_the_bit() -> None:
    start = torch.randn(7, 5, generator=torch.Generator().manual_seed(3))
    one, other = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    ours = MuonWithAdamW([{"params": [one], "weight_decay": 0.1}], betas=(0.9, 0.95), eps=1e-8, lr=0.01)
    theirs = torch.optim.AdamW([other], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    for number in range(4):
        one.grad = torch.randn(7, 5, generator=torch.Generator().manual_seed(number))
        other.grad = one.grad.clone()
        ours.step()
        theirs.step()
    assert torch.equal(one, other)


def test_muon_has_the_matrices_of_the_blocks_and_each_group_its_rate() -> None:
    shape = Shape(32, 2, head_size=8, vocabulary=64, context=16)
    model = Transformer(shape)
    optimizer = build_optimizer(model, MUON)
    set_rate(optimizer, 0.01)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            matrix = "blocks" in name and "norm" not in name
            assert ("momentum" in group) == matrix
            assert group["lr"] == pytest.approx(0.01 if matrix else 0.01 * 40 / 32)
            assert group["weight_decay"] == (0.0 if "norm" in name else 0.1)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(names)


@pytest.mark.long
@pytest.mark.parametrize("recipe", ["muon", "mup"])
def test_an_interrupted_run_is_the_same_to_the_bit(make_run: Callable[..., Path], recipe: str) -> None:
    rates = {"lr_base": 0.02} if recipe == "muon" else {}
    whole = make_run(under="whole", recipe=recipe, **rates)
    parts = make_run(under="parts", recipe=recipe, **rates)
    train(whole, Session(threads=1))
    # A budget of nothing stops after every step.
    sessions = 0
    while train(parts, Session(threads=1, budget_seconds=1e-9)).state != "finished":
        sessions += 1
    assert sessions > 5
    (_, one), (_, other) = read_weights(whole), read_weights(parts)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [done.loss for done in ledger_of(whole).steps] == [done.loss for done in ledger_of(parts).steps]


def test_recipes_differ(make_run: Callable[..., Path]) -> None:
    losses = set()
    for recipe in RECIPES:
        run = make_run(recipe=recipe, steps=6, lr_base=0.02 if recipe == "muon" else 0.5)
        train(run, Session(threads=1))
        losses.add(ledger_of(run).steps[-1].loss)
    assert len(losses) == 3


def test_muon_is_refused_where_matrices_are_sharded(make_run: Callable[..., Path]) -> None:
    run = make_run(recipe="muon", lr_base=0.02)
    with pytest.raises(InvalidRequest, match="recipe muon needs whole matrices, and layout 2x1 shards them"):
        train(run, Session(threads=1, layout=Layout(2, 1)))


def test_held_out_sets_are_evaluated_and_collected(corpus: Corpus, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for number in range(40):
        (text / f"{number}.txt").write_text(f"{number} bottles of beer on the wall. " * 40)
    build([text], tmp_path / "beer", Options(validation=0.3), tokenizer=corpus.tokenizer, workers=1)
    beer = Corpus.open(tmp_path / "beer")
    spec = spec_of(corpus, steps=10, held_out=(HeldOut("beer", beer.fingerprint),))
    folder = tmp_path / "runs" / spec.id
    write_run(folder, RunFile(corpus=str(corpus.folder), held_out={"beer": str(beer.folder)}, spec=spec))
    train(folder, Session(threads=1))
    ledger = ledger_of(folder)
    assert [set(evaluation.losses) for evaluation in ledger.evaluations] == [{"beer"}] * 2
    table = collect(tmp_path / "runs").table.frame
    split = beer.manifest.validation
    for row, evaluation in zip(table.iter_rows(named=True), ledger.evaluations, strict=True):
        assert (row["loss"], row["loss_beer"]) == (evaluation.loss, evaluation.losses["beer"])
        expected = row["loss_beer"] / math.log(2) * split.tokens / split.bytes
        assert row["bits_per_byte_beer"] == pytest.approx(expected)
        assert row["bits_per_byte"] == pytest.approx(
            row["loss"] / math.log(2) * corpus.manifest.validation.tokens / corpus.manifest.validation.bytes
        )
    # A run without the set has the same losses, and trained the same.
    plain = spec_of(corpus, steps=10)
    write_run(tmp_path / "plain" / plain.id, RunFile(corpus=str(corpus.folder), spec=plain))
    train(tmp_path / "plain" / plain.id, Session(threads=1))
    assert [e.loss for e in ledger_of(tmp_path / "plain" / plain.id).evaluations] == [
        e.loss for e in ledger.evaluations
    ]


def test_held_out_sets_that_are_not_the_planned_ones_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    spec = spec_of(corpus, held_out=(HeldOut("own", "0" * 64),))
    folder = tmp_path / spec.id

    def refused(held_out: dict[str, str]) -> str:
        write_run(folder, RunFile(corpus=str(corpus.folder), held_out=held_out, spec=spec))
        with pytest.raises(InvalidRequest) as caught:
            train(folder, Session(threads=1))
        assert read_run(folder).held_out == held_out
        return str(caught.value)

    assert refused({}).startswith("the run is evaluated on own too, and its folder names no such corpus: ")
    assert refused({"own": str(corpus.folder)}).startswith(f"held_out.own: {corpus.folder} has fingerprint ")
    assert refused({"own": str(tmp_path / "none")}).startswith("held_out.own: ")
    damaged = tmp_path / "damaged"
    shutil.copytree(corpus.folder, damaged)
    shard = next(damaged.glob("validation-*.bin"))
    shard.write_bytes(bytes(4) + shard.read_bytes()[4:])
    same = spec_of(corpus, held_out=(HeldOut("own", corpus.fingerprint),))
    write_run(folder, RunFile(corpus=str(corpus.folder), held_out={"own": str(damaged)}, spec=same))
    with pytest.raises(InvalidCorpus, match="has SHA-256"):
        train(folder, Session(threads=1))
    text = tmp_path / "text.txt"
    text.write_text("other words, another tokenizer\n" * 400)
    build([text], tmp_path / "other", Options(vocabulary=300, validation=0.3), workers=1)
    assert "has another tokenizer than" in refused({"own": str(tmp_path / "other")})


def test_no_activation_s_change_depends_on_the_width_in_mup() -> None:
    # The coordinate check of Yang et al. (2022), Appendix D.1. That of the logits falls a little at small widths, as
    # what the first head, of 1/width, adds to them fades.
    found = coordinate_check("mup", (64, 512))
    assert abs(found.slope("embedding")) < 0.05
    assert abs(found.slope("block")) < 0.1
    assert abs(found.slope("logits")) < 0.25


def test_the_check_sees_that_one_rate_for_all_tensors_is_no_mup() -> None:
    found = coordinate_check("gemstones", (64, 512))
    assert found.slope("embedding") == pytest.approx(-0.5, abs=0.05)
    assert found.slope("logits") > 0.15


def test_a_cooldown_is_added_to_a_finished_run_that_kept_all(
    make_run: Callable[..., Path], corpus: Corpus
) -> None:
    for keep, works in (("all", True), ("forks", False)):
        parent = make_run(under=keep, keep=keep)
        train(parent, Session(threads=1))
        child = cooldown_of(read_run(parent).spec, 8, 11)
        folder = make_run(under=keep, spec=child)
        if works:
            assert train(folder, Session(threads=1)).state == "finished"
            assert ledger_of(folder).steps[-1].tokens == 11 * STEP
        else:
            with pytest.raises(InvalidRequest, match="has no checkpoint of step 8"):
                train(folder, Session(threads=1))


def rates(spec: RunSpec) -> list[float]:
    return [spec.schedule.rate_factor(step * STEP, STEP) * spec.learning_rate for step in range(spec.steps)]


@pytest.mark.parametrize("decay", ["linear", "1-sqrt", "cosine"])
def test_the_rate_of_every_step_is_the_schedule_s(make_run: Callable[..., Path], decay: str) -> None:
    run = make_run(decay_tokens=8 * STEP, decay=decay, floor=0.05)
    train(run, Session(threads=1))
    done = [step.learning_rate for step in ledger_of(run).steps]
    assert done == rates(read_run(run).spec)
    assert done[11] == done[12] == max(done)
    assert done[13:] == sorted(done[13:], reverse=True)
    assert collect(run.parent).table.frame["annealed"].to_list() == [False] * 3 + [True]


@pytest.mark.long
def test_a_run_of_a_mixture_is_the_same_when_it_is_interrupted(corpus: Corpus, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for number in range(40):
        (text / f"{number}.txt").write_text(f"{number} bottles of beer on the wall. " * 40)
    build([text], tmp_path / "beer", Options(validation=0.3), tokenizer=corpus.tokenizer, workers=1)
    beer = Corpus.open(tmp_path / "beer")
    folders = {"beer": str(beer.folder), "code": str(corpus.folder)}
    mixture = (Source("beer", 3.0, beer.fingerprint), Source("code", 1.0, corpus.fingerprint))
    losses = []
    for under, budget in (("whole", None), ("parts", 1e-9)):
        spec = spec_of(corpus, steps=12, mixture=mixture)
        folder = tmp_path / under / spec.id
        write_run(folder, RunFile(corpus=str(corpus.folder), sources=folders, spec=spec))
        while train(folder, Session(threads=1, budget_seconds=budget)).state != "finished":
            pass
        losses.append([done.loss for done in ledger_of(folder).steps])
    assert losses[0] == losses[1]
    plain = spec_of(corpus, steps=12)
    write_run(tmp_path / "plain" / plain.id, RunFile(corpus=str(corpus.folder), spec=plain))
    train(tmp_path / "plain" / plain.id, Session(threads=1))
    # Beer is easier than code.
    assert losses[0][-1] < ledger_of(tmp_path / "plain" / plain.id).steps[-1].loss
    row = collect(tmp_path / "whole").table.frame.row(0, named=True)
    assert row["mixture"] == "3*beer+1*code"
    write_run(folder, RunFile(corpus=str(corpus.folder), sources={"beer": folders["beer"]}, spec=spec))
    with pytest.raises(
        InvalidRequest, match="the run is trained on code too, and its folder names no such corpus"
    ):
        train(folder, Session(threads=1))


def test_a_run_within_documents_is_another_run_and_resumes_to_the_bit(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    lines = Path(__file__).read_text().splitlines()
    text = "".join(json.dumps({"text": line}) + "\n" for line in dict.fromkeys(lines) if line)
    (tmp_path / "short.jsonl").write_text(
        text
    )  # so that there are several documents in a window of 32 tokens
    build([tmp_path / "short.jsonl"], tmp_path / "short", Options(vocabulary=300, validation=0.2))
    short = Corpus.open(tmp_path / "short")
    usual, alone, halved = (
        make_run(under, corpus=short, steps=8, document_mask=mask)
        for under, mask in (("usual", False), ("alone", True), ("halved", True))
    )
    for folder in (usual, alone):
        train(folder, Session(threads=1))
    train(halved, Session(threads=1, recompute="block", sinks=(SignalAt(5),)))
    train(halved, Session(threads=1))
    assert trained(halved) == trained(alone)
    assert trained(alone)["steps"] != trained(usual)["steps"]
    assert trained(alone)["evaluations"] != trained(usual)["evaluations"]
    assert read_run(alone).spec.id != read_run(usual).spec.id
