"""An export computes what the run computes, to the last bit, and is whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gemstones.accounting.parameters import params
from gemstones.design.corpora import Source
from gemstones.design.spec import RunSpec
from gemstones.errors import Failure, InvalidPath, InvalidRequest, MissingExtra
from gemstones.runs.folders import RunFile, write_run
from gemstones.runs.ledger import LEDGER, Evaluation, Start, Step
from gemstones.shape import Shape
from gemstones.train.checkpoint import state_of
from gemstones.train.corpus import Corpus, Options, build, sequences
from gemstones.train.initialisation import initialise
from gemstones.train.model import Transformer
from gemstones.train.optimizer import build_optimizer
from gemstones.train.ranks import Ranks
from gemstones.train.write_checkpoint import save
from tests.cli.conftest import Cli, cli
from tests.train.corpus.conftest import snapshot, write_texts

pytest.importorskip("transformers")

from gemstones.train.export import Exported, Provenance, Tokenizer, export, gemma_weights
from gemstones.train.export.check import check_tokenizer
from gemstones.train.export.folder import whole_folder

__all__ = ["cli"]  # the fixture

export_code = sys.modules["gemstones.train.export.export"]

SHAPES = {
    "ratio 2, padded to an odd vocabulary": Shape(64, 3, head_size=16, vocabulary=301, context=96),
    "ratio 1": Shape(48, 2, head_size=16, queries_per_kv=1, vocabulary=320, context=64),
    "ratio 3, narrow MLP": Shape(
        72, 2, head_size=24, queries_per_kv=3, mlp_expansion=3, vocabulary=333, context=33
    ),
    "three queries on one kv head": Shape(384, 1, vocabulary=300, context=160),
}
SMALL = SHAPES["ratio 2, padded to an odd vocabulary"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("export")
    texts = write_texts(folder / "texts", range(40))
    options = Options(vocabulary=300, validation=0.3, pad_vocabulary_to_multiple=7)
    built = build([texts], folder / "corpus", options).corpus
    assert built.vocabulary == 301
    return built


@pytest.fixture
def tokenizer(corpus: Corpus) -> Tokenizer:
    return Tokenizer(corpus.tokenizer, corpus.manifest.end_of_document, corpus.manifest.end_of_document_token)


def spec_of(shape: Shape, **others: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "family": "main",
        "tokens": 100 * 4 * shape.context,
        "batch_sequences": 4,
        "warmup_tokens": 4 * shape.context,
        "evaluate_tokens": 4 * shape.context,
        "checkpoint_tokens": 4 * shape.context,
    }
    return RunSpec.of(shape, **(fields | others))


def weights_of(shape: Shape, gain: float = 1.0, spread: float = 0.1) -> dict[str, Tensor]:
    """Weights as after a while of training: gains from a normal around `gain`."""
    model = Transformer(shape)
    initialise(model, shape, seed=7)
    generator = torch.Generator().manual_seed(8)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data.normal_(gain, spread, generator=generator)
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


PROVENANCE = Provenance(
    step=100, loss=1.25, evaluation_windows=12, corpus_fingerprint="f" * 64, corpus_tokens=5000
)


@pytest.fixture
def exported(tokenizer: Tokenizer, tmp_path: Path) -> tuple[Exported, Path]:
    """Of `SMALL`, in a folder."""
    output = tmp_path / "exported"
    return export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, output), output


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_the_same(name: str, tokenizer: Tokenizer, corpus: Corpus, tmp_path: Path) -> None:
    shape = SHAPES[name]
    held_out = torch.from_numpy(
        sequences(corpus, "validation", torch.arange(2).numpy(), shape.context)[:, :-1]
    )
    done = export(
        spec_of(shape), weights_of(shape), tokenizer, PROVENANCE, tmp_path / "out", held_out=held_out
    )
    assert done.max_logit_difference == 0
    assert done.compared_tokens == 6 * shape.context
    assert (done.moved_channels, done.rounded_channels) == (0, 0)


def test_gains_that_gemma_cannot_write_are_moved_and_logits_are_the_same(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    weights = weights_of(SMALL, gain=0.2, spread=0.6)
    gain = weights["norm.weight"]
    mantissa = 0.75
    gain[:3] = torch.tensor([0.0, 3000.0, mantissa * 2.0**-90])
    done = export(spec_of(SMALL), weights, tokenizer, PROVENANCE, tmp_path / "out")
    assert done.max_logit_difference == 0
    assert done.moved_channels > 100 and done.rounded_channels == 0
    written = tensors_in(tmp_path / "out")
    assert torch.equal(written["model.norm.weight"][:3], torch.tensor([-1.0, 2999.0, mantissa - 1.0]))
    # Where nothing had to move, the tensors are the run's own.
    same = 1.0 + written["model.norm.weight"] == gain
    assert 0 < int(same.sum()) < SMALL.width
    assert torch.equal(written["lm_head.weight"][:, same], weights["head.weight"][:, same])
    assert not torch.equal(written["lm_head.weight"], weights["head.weight"])
    assert torch.equal(written["model.embed_tokens.weight"], weights["embedding.weight"])


float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(gain=float32s, column=st.lists(float32s, min_size=2, max_size=2))
def test_products_of_gains_and_weights_are_kept(gain: float, column: list[float]) -> None:
    shape = Shape(1, 1, head_size=1, queries_per_kv=1, mlp_expansion=1, vocabulary=2, context=1)
    weights = {name: torch.ones(p.shape) for name, p in Transformer(shape).named_parameters()}
    weights["norm.weight"] = torch.tensor([gain])
    weights["head.weight"] = torch.tensor(column)[:, None]
    written = gemma_weights(shape, weights)
    seen = (1.0 + written.tensors["model.norm.weight"]).double()
    if written.rounded_channels:
        # Only where the factor leads out of float32's range.
        assert abs(gain) < 0.5 or abs(gain) > 2**24
        assert abs(float(seen) - gain) <= max(2**-24, abs(gain) * 2**-23)
        assert any(0 < abs(w) < 2**-20 or abs(w) > 2**100 for w in column) or abs(gain) < 1e-30
        return
    # Exact: the product of two float32 numbers fits in a float64 (but for its range, hence the factor).
    assert torch.equal(
        seen * (written.tensors["lm_head.weight"][:, 0].double() * 2.0**300),
        torch.tensor([gain]).double() * (weights["head.weight"][:, 0].double() * 2.0**300),
    )
    if 0.5 <= gain <= 2**24:
        assert written.moved_channels == 0


def test_the_configuration(exported: tuple[Exported, Path], corpus: Corpus) -> None:
    from transformers import AutoConfig

    _, folder = exported
    config = json.loads((folder / "config.json").read_text())
    end = corpus.manifest.end_of_document
    assert config | {
        "architectures": ["GemmaForCausalLM"], "model_type": "gemma", "tie_word_embeddings": False,
        "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 301, "max_position_embeddings": 96,
        "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "attention_bias": False, "torch_dtype": "float32",
        "bos_token_id": end, "eos_token_id": end, "pad_token_id": None,
    } == config  # fmt: skip
    read = AutoConfig.from_pretrained(folder)
    assert (read.pad_token_id, read.eos_token_id, read.dtype) == (None, end, torch.float32)
    assert read.rope_parameters == {"rope_type": "default", "rope_theta": 10_000.0}
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation == {"bos_token_id": end, "eos_token_id": end}


OFFLINE = """
import json, socket, sys

def refused(*_, **__):
    raise AssertionError("a connection was tried")

socket.socket.connect = socket.getaddrinfo = refused
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, text = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
given = tokenizer(text, return_tensors="pt")
made = model.generate(**given, max_new_tokens=12, do_sample=False)[0]
print(json.dumps({"class": type(model).__name__, "ids": made.tolist(), "text": tokenizer.decode(made)}))
"""


@pytest.mark.long
def test_text_is_generated_offline(exported: tuple[Exported, Path], corpus: Corpus) -> None:
    from tokenizers import Tokenizer as File

    text = "width depth"
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(exported[1]), text],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["class"] == "GemmaForCausalLM"
    # What our model says next, token by token.
    model = Transformer(SMALL)
    model.load_state_dict(weights_of(SMALL))
    file = File.from_file(str(corpus.tokenizer))
    ids = file.encode(text).ids
    for _ in range(12):
        if ids[-1] == corpus.manifest.end_of_document:
            break
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert said["ids"] == ids
    assert said["text"].startswith(text)


def test_large_weights_are_in_several_files(tokenizer: Tokenizer, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, output, shard_bytes=200_000)
    assert done.max_logit_difference == 0
    index = json.loads((output / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in output.glob("*.safetensors"))
    assert len(files) > 2 and set(index["weight_map"].values()) == set(files)
    # Another export takes its place, and nothing of it stays.
    export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, output, force=True)
    assert sorted(path.name for path in output.iterdir()) == [
        "README.md", "config.json", "gemstones.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_the_files(exported: tuple[Exported, Path], corpus: Corpus, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard
    from safetensors import safe_open

    done, folder = exported
    assert msgspec.json.decode((folder / "gemstones.json").read_bytes(), type=Exported) == done
    assert (folder / "tokenizer.json").read_bytes() == corpus.tokenizer.read_bytes()
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert sum(file.get_tensor(name).numel() for name in file.keys()) == params(SMALL)  # noqa: SIM118
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~umask}
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "transformers" and card.data.pipeline_tag == "text-generation"
    assert "1.2500 nats per token" in card.text and "12 held-out windows" in card.text
    assert f"{params(SMALL):,}" in card.text and done.run in card.text and "f" * 64 in card.text
    assert "$" not in card.text
    for content in snapshot(folder).values():
        assert str(tmp_path).encode() not in content  # it is made to be published


def test_other_files_are_never_replaced(
    exported: tuple[Exported, Path], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    def again(output: Path, **options: Any) -> None:
        export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, output, **options)

    _, folder = exported
    before = snapshot(tmp_path)
    with pytest.raises(InvalidRequest, match="holds an export: name another folder, or --force"):
        again(folder)
    notes = folder / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(InvalidRequest, match=r"holds other files than an export, like notes\.txt"):
        again(folder, force=True)
    with pytest.raises(InvalidRequest, match="is a file"):
        again(notes, force=True)
    notes.unlink()
    # A model that is not ours.
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(InvalidRequest, match=r"holds other files than an export, like config\.json"):
        again(other, force=True)
    (other / "config.json").unlink()
    assert snapshot(tmp_path) == before
    again(other)  # empty
    assert (other / "model.safetensors").exists()


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("failure", [1e-4, float("nan"), Failure("disk"), Interrupted(), OSError(28, "full")])
@pytest.mark.parametrize("replacing", [False, True])
def test_what_fails_leaves_nothing(
    failure: float | BaseException,
    replacing: bool,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "out"
    if replacing:
        output.mkdir()
        for name in ("config.json", "gemstones.json"):
            (output / name).write_text("{}")
    before = snapshot(tmp_path)

    def difference(*_: object) -> float:
        if isinstance(failure, BaseException):
            raise failure
        return failure

    monkeypatch.setattr(export_code, "logit_difference", difference)
    expected = type(failure) if isinstance(failure, BaseException) else Failure
    with pytest.raises(expected):
        export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, output, force=replacing)
    assert snapshot(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == (["out"] if replacing else [])


def test_an_export_that_computes_something_else_is_refused(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = export_code.gemma_weights

    def swapped(shape: Shape, weights: Mapping[str, Tensor]) -> Any:
        gate, up = (f"blocks.1.mlp.{part}.weight" for part in ("gate", "up"))
        return true(shape, {**weights, gate: weights[up], up: weights[gate]})

    monkeypatch.setattr(export_code, "gemma_weights", swapped)
    with pytest.raises(
        Failure, match=r"^logits of the export differ by up to [\d.e-]+ from those of the run"
    ):
        export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, tmp_path / "out")

    def without(shape: Shape, weights: Mapping[str, Tensor]) -> Any:
        written = true(shape, weights)
        del written.tensors["lm_head.weight"]
        return written

    monkeypatch.setattr(export_code, "gemma_weights", without)
    with pytest.raises(Failure, match=r"transformers does not take the weights as they are.*lm_head"):
        export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_logits_that_are_no_numbers_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    weights = weights_of(SMALL)
    weights["head.weight"].fill_(3e38)  # finite, its products are not
    with pytest.raises(Failure, match="differ by up to nan"):
        export(spec_of(SMALL), weights, tokenizer, PROVENANCE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_was_to_be_replaced_is_put_back(
    exported: tuple[Exported, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = snapshot(tmp_path), Path.rename

    def full(path: Path, target: Path) -> Path:
        if target == exported[1] and not path.name.endswith(".replaced"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"), whole_folder(exported[1], force=True) as folder:
        (folder / "config.json").write_text("{}")
    assert snapshot(tmp_path) == before


def test_weights_and_tokenizer_must_be_those_of_the_run(tokenizer: Tokenizer, tmp_path: Path) -> None:
    def attempt(shape: Shape = SMALL, change: Mapping[str, Tensor] | None = None, **of: Any) -> None:
        given = Tokenizer(**(vars(tokenizer) | of))
        export(spec_of(shape), weights_of(SMALL) | dict(change or {}), given, PROVENANCE, tmp_path / "out")

    with pytest.raises(InvalidRequest, match=r"blocks\.3\.\S+ is missing"):
        attempt(Shape(64, 4, head_size=16, vocabulary=301, context=96))
    with pytest.raises(InvalidRequest, match=r"head\.weight is torch\.bfloat16"):
        attempt(change={"head.weight": torch.zeros(301, 64, dtype=torch.bfloat16)})
    with pytest.raises(InvalidRequest, match=r"norm\.weight is not finite.*diverged"):
        attempt(change={"norm.weight": torch.full((64,), float("inf"))})
    with pytest.raises(InvalidRequest, match="has the id 299, beyond the model's vocabulary of 299"):
        attempt(Shape(64, 3, head_size=16, vocabulary=299, context=96))
    with pytest.raises(InvalidRequest, match="is not id 5, which ends a document"):
        attempt(end_of_document=5)
    with pytest.raises(InvalidPath, match=r"none\.json cannot be read"):
        attempt(file=tmp_path / "none.json")
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_loads_as_another_is_seen(
    exported: tuple[Exported, Path], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = exported
    windows = [torch.arange(90, 299)]
    check_tokenizer(folder, 0, windows)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    for change, message in (
        ({"tokenizer_class": "GemmaTokenizer"}, "does not encode as the corpus"),  # this model's own
        ({"eos_token": "!"}, "ends a document with id 1, the corpus with 0"),
    ):
        (folder / "tokenizer_config.json").write_text(json.dumps(config | change))
        with pytest.raises(Failure, match=message):
            check_tokenizer(folder, 0, windows)
    # `export` looks too, before there is anything.
    monkeypatch.setattr(
        export_code, "_tokenizer_config", lambda *_: config | {"tokenizer_class": "GemmaTokenizer"}
    )
    with pytest.raises(Failure, match="does not encode as the corpus"):
        export(spec_of(SMALL), weights_of(SMALL), tokenizer, PROVENANCE, folder.with_name("other"))
    assert not folder.with_name("other").exists()


@pytest.fixture
def run_folder(corpus: Corpus, tmp_path: Path) -> Path:
    """A run of 40 steps in two sessions, with checkpoints after steps 20 and 40."""
    spec = spec_of(SMALL, corpus_fingerprint=corpus.fingerprint)
    folder = tmp_path / "runs" / spec.id
    write_run(folder, RunFile(corpus=str(corpus.folder), spec=spec))

    def step(number: int) -> Step:
        return Step(
            step=number, tokens=number * spec.batch_tokens, loss=3.0, gradient_norm=1.0, learning_rate=1e-3,
            seconds=0.1, utilisation=0.5,
        )  # fmt: skip

    def start(at: int) -> Start:
        return Start(
            step=at, time="2025-01-01T00:00:00Z", device="cpu", matmul_flops_per_second=1e9, epochs=1.5
        )

    events = [
        start(0), *map(step, range(1, 21)),
        Evaluation(step=20, tokens=20 * spec.batch_tokens, loss=2.5, sequences=9, seconds=1.0),
        start(20), *map(step, range(21, 41)),
    ]  # fmt: skip
    (folder / LEDGER).write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))

    model = Transformer(SMALL)
    optimizer = build_optimizer(model)
    for at, gain in ((20, 1.0), (40, 0.4)):
        model.load_state_dict(weights_of(SMALL, gain))
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()  # at the rate 0: only to have a state to save
        ranks = Ranks(None, torch.device("cpu"))
        save(folder, state_of(model, optimizer), ranks, run=spec.id, step=at, skipped_batches=0)
    return folder


def test_the_command(run_folder: Path, corpus: Corpus, cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "hf"
    said = cli("export", run_folder, "--output", output, "--step", "20", "--json").json
    assert said["folder"] == str(output) and said["run"] == run_folder.name
    assert (said["step"], said["tokens"], said["loss"], said["evaluation_windows"]) == (20, 20 * 384, 2.5, 9)
    assert (said["sessions"], said["rollbacks"], said["epochs"]) == (1, 0, 1.5)
    assert (said["max_logit_difference"], said["compared_tokens"]) == (0, 8 * 96)
    assert said["corpus_fingerprint"] == corpus.fingerprint and said["params_total"] == params(SMALL)
    assert said["moved_channels"] == 0
    assert "2.5000 nats per token" in (output / "README.md").read_text()
    norm = tensors_in(output)["model.norm.weight"] + 1.0
    assert torch.equal(norm, weights_of(SMALL)["norm.weight"])

    newest = cli("export", run_folder, "--output", output, "--force")
    assert newest.status == 0 and newest.err == ""
    assert "after step 40" in newest.out and "held-out loss not evaluated" in newest.out
    assert newest.out.endswith("in float32: 0\n")
    card = (output / "README.md").read_text()
    assert "not evaluated at step 40" in card and "has no float32 for" in card and "| 2, 0 |" in card


def test_mistakes_are_one_line(run_folder: Path, corpus: Corpus, cli: Cli, tmp_path: Path) -> None:
    other = build(
        [write_texts(tmp_path / "texts", range(9))], tmp_path / "corpus", Options(vocabulary=260)
    ).corpus
    for arguments, message in (
        ([run_folder, "--step", "30"], "no checkpoint of step 30: there are 20, 40"),
        (
            [run_folder, "--corpus", other.folder],
            f"has the fingerprint {other.fingerprint[:12]}, run main-64x3-",
        ),
        (
            [run_folder, "--corpus", tmp_path / "no"],
            "does not exist: name the corpus that the run was trained on",
        ),
        ([tmp_path], "has no run.json"),
    ):
        outcome = cli("export", *arguments, "--output", tmp_path / "hf")
        assert (outcome.status, outcome.out) == (2, "")
        assert message in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "hf").exists()


def test_without_transformers(run_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"needs the extra 'export': pip install 'gemstones\[export\]'"):
        export_code.export_run(run_folder, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def tensors_in(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_the_card_says_recipe_schedule_and_mixture(tokenizer: Tokenizer, tmp_path: Path) -> None:
    def card(**fields: Any) -> str:
        spec = spec_of(SMALL, **fields)
        export(spec, weights_of(SMALL), tokenizer, PROVENANCE, tmp_path / spec.id)
        return (tmp_path / spec.id / "README.md").read_text()

    muon = card(recipe="muon", lr_base=0.02, decay_tokens=40 * SMALL.context, decay="cosine", floor=0.1)
    assert "| optimizer | Muon for the matrices of the blocks, AdamW for the rest, β 0.9 and 0.95" in muon
    assert f"0.02 / √{SMALL.depth} |" in muon and "muon: AdamW's rate is 40/width times Muon's" in muon
    start, end = 360 * SMALL.context, 400 * SMALL.context
    assert f"then constant; as a cosine to 0.1 of it from {start:,} to {end:,} tokens" in muon
    mup = card(recipe="mup", rate_power=0.5, mixture=(Source("a", 3.0, "ab"), Source("b", 1.0)))
    assert f"5 / (width · √{SMALL.depth})^0.5 |" in mup and "; head 8/width" in mup
    assert "trained on a mixture of 3 of a (`ab`), 1 of b (`unknown`)" in mup
    assert "| optimizer | AdamW, β" in mup
