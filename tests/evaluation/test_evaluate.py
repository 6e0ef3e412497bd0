"""From models and text to a run table: what is in it, what happens when it is interrupted, what is refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gemstones.design.spec import RunSpec
from gemstones.runs import load
from gemstones.runs.folders import RunFile, ledger_of, write_run
from gemstones.shape import Shape
from gemstones.train.corpus import Corpus, build
from gemstones.train.corpus import Options as CorpusOptions
from tests.cli.conftest import Cli
from tests.evaluation.conftest import model_of

Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def without_a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def test_the_table_and_the_json(cli: Cli, saved: Save, text: Path) -> None:
    for kind in ("gemma", "gpt2"):
        saved(kind, kind)
    words = [
        "evaluate",
        "gemma",
        "gpt2",
        "--corpus",
        f"a={text}",
        "--corpus",
        f"b={text}",
        "--output",
        "r.parquet",
    ]
    words += ["--columns", "tokens=number*512", "--json"]
    refused = cli(*words)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "training tokens are not told by its name, nor by tokens=" in refused.err
    words[-2] = "tokens=20*params_total,family='toy',batch=512"
    told = cli(*words).json
    rows = told["rows"]
    assert [(row["model"], row["set"]) for row in rows] == [
        ("gemma", "a"), ("gemma", "b"), ("gpt2", "a"), ("gpt2", "b"),
    ]  # fmt: skip
    assert {*rows[0]} >= {
        "model", "revision", "set", "loss", "loss_unit", "bits_per_byte", "tokens", "bytes", "standard_error",
    }  # fmt: skip
    assert rows[0]["loss"] == rows[1]["loss"] and rows[0]["loss_unit"] == "nats"
    table = load("r.parquet")
    assert (table.loss_unit, table.format, table.flops_convention) == (
        "nats",
        "evaluation",
        "gemstones+6N_total",
    )
    frame = table.frame
    assert frame["run"].to_list() == ["gemma on a", "gemma on b", "gpt2 on a", "gpt2 on b"]
    assert frame["loss"].to_list() == [row["loss"] for row in rows]
    assert frame["tokens"].to_list() == [20 * n for n in frame["params_total"]]
    assert frame["batch"].to_list() == [512] * 4 and frame["family"].to_list() == ["toy"] * 4
    for place, kind in ((0, "gemma"), (2, "gpt2")):
        model = model_of(kind, int(frame["vocabulary"][place]))
        assert frame["params_total"][place] == sum(p.numel() for p in model.parameters())
        assert (frame["width"][place], frame["depth"][place]) == (32, 2)
    assert frame["flops_per_token"][2] == 6 * frame["params_total"][2]
    assert "2 of them" not in cli(*words[:-1]).out
    assert cli(*words).json["resumed"] == 4
    assert len(load("r.parquet").select(where="set = 'a'")) == 2
    bits = load("r.parquet", columns="loss=bits_per_byte", loss_unit="bits_per_byte")
    assert bits["loss"].to_list() == frame["bits_per_byte"].to_list()


def test_bits_per_byte_as_the_loss(cli: Cli, saved: Save, text: Path) -> None:
    saved()
    words = ["evaluate", "model", "--corpus", f"a={text}", "--columns", "tokens=1B", "--json"]
    nats, bits = (
        cli(*words).json["rows"][0],
        cli(*words, "--loss-unit", "bits_per_byte", "--output", "b.parquet").json,
    )
    (row,) = bits["rows"]
    assert row["loss"] == pytest.approx(nats["bits_per_byte"]) and row["loss_unit"] == "bits_per_byte"
    factor = nats["bits_per_byte"] / nats["loss"]
    assert row["standard_error"] == pytest.approx(nats["standard_error"] * factor)
    table = load("b.parquet")
    assert (table.loss_unit, table["loss"][0]) == ("bits_per_byte", row["loss"])
    again = cli(*words, "--loss-unit", "bits_per_byte", "--output", "b.parquet").json
    assert again["rows"] == bits["rows"] and again["resumed"] == 1
    assert "has losses in bits_per_byte, not nats" in cli(*words, "--output", "b.parquet").err


def revisions(saved: Save, folder: str, steps: list[int]) -> list[Path]:
    return [saved("gemma", f"{folder}/step_{step:08d}", seed=step) for step in steps]


@pytest.mark.long
def test_a_folder_of_revisions_and_a_fit_to_it(cli: Cli, saved: Save, text: Path) -> None:
    revisions(saved, "Gemstone-256x23", [2385, 4770, 7155])
    words = ["evaluate", "Gemstone-256x23", "--corpus", f"a={text}", "--output", "r.parquet"]
    told = cli(*words, "--every", "20B", "--json").json
    assert [(row["revision"], row["training_tokens"]) for row in told["rows"]] == [
        ("step_00004770", 4770 * 2048**2)
    ]  # fmt: skip
    everything = cli(*words, "--json").json
    assert [row["revision"] for row in everything["rows"]] == [
        "step_00002385",
        "step_00004770",
        "step_00007155",
    ]
    assert everything["resumed"] == 1
    fitted = cli("fit", "r.parquet", "--law", "T", "--force", "--json")
    assert fitted.status == 0 and fitted.json["loss_unit"] == "nats"
    assert "mixed" not in fitted.out
    cli(*words[:-2], "--corpus", f"b={text}", "--output", "two.parquet")
    assert (
        "caution: losses on 2 sets together, a, b" in cli("fit", "two.parquet", "--law", "T", "--force").out
    )
    assert "mixed" not in cli("fit", "two.parquet", "--law", "T", "--force", "--where", "set = 'b'").out


@pytest.mark.long
def test_killed_at_random_moments(cli: Cli, saved: Save, text: Path) -> None:
    revisions(saved, "Gemstone-256x23", [2385, 4770, 7155, 9540])
    words = [
        "evaluate",
        "Gemstone-256x23",
        "--corpus",
        f"a={text}",
        "--corpus",
        f"b={text}",
        "--context",
        "16",
    ]
    command = [sys.executable, "-m", "gemstones", *words, "--output"]
    began = time.monotonic()
    assert subprocess.run([*command, "whole.parquet"], capture_output=True, check=False).returncode == 0
    whole_takes = time.monotonic() - began
    rng, kills = random.Random(0), 0
    while kills < 10:
        running = subprocess.Popen(
            [*command, "killed.parquet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            running.wait(timeout=rng.uniform(0.1, 0.95) * whole_takes)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            kills += 1
        else:
            assert running.returncode == 0
            if kills:
                break
            Path("killed.parquet").unlink()  # it was faster than before: once more
            continue
        if Path("killed.parquet").exists():
            assert 1 <= len(load("killed.parquet")) <= 8
    assert cli(*words, "--output", "killed.parquet").status == 0
    whole, killed = load("whole.parquet"), load("killed.parquet")
    assert kills and len(killed) == 8
    assert_frame_equal(whole.frame, killed.frame, check_exact=True)
    assert whole.assumptions == killed.assumptions and whole.sources == killed.sources


@pytest.mark.long
def test_what_was_written_is_kept_and_gone_on_with(
    cli: Cli, saved: Save, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemstones.evaluation import evaluate as module

    revisions(saved, "Gemstone-256x23", [2385, 4770])
    words = ["evaluate", "Gemstone-256x23", "--corpus", f"a={text}", "--corpus", f"b={text}"]
    assert cli(*words, "--output", "whole.parquet").status == 0
    real, calls = module.evaluate_windows, []

    def breaking(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(module, "evaluate_windows", breaking)
    assert [cli(*words, "--output", "r.parquet").status for _ in range(3)] == [130, 130, 0]
    assert len(calls) == 6
    assert_frame_equal(load("whole.parquet").frame, load("r.parquet").frame, check_exact=True)


@pytest.mark.long
def test_another_text_or_other_windows_are_not_mixed_in(cli: Cli, saved: Save, text: Path) -> None:
    saved()
    words = ["evaluate", "model", "--corpus", f"a={text}", "--columns", "tokens=1B", "--output", "r.parquet"]
    assert cli(*words).status == 0
    before = Path("r.parquet").read_bytes()
    for more, said in (
        (["--context", "32"], "with window tokens 64, not 32"),
        (["--stride", "3"], "with window stride 64, not 3"),
        (["--dtype", "bfloat16"], "with dtype float32, not bfloat16"),
        (["--windows", "stream"], "with windows document, not stream"),
    ):
        outcome = cli(*words, *more)
        assert outcome.status == 2 and said in outcome.err and outcome.err.count("\n") == 1
    text.write_text(json.dumps({"text": "another"}) + "\n")
    assert "with set sha256" in cli(*words).err
    saved("gemma", "model", seed=1)
    assert "with commit" in cli(*words).err
    assert Path("r.parquet").read_bytes() == before
    assert cli(*words, "--force").status == 0 and Path("r.parquet").read_bytes() != before
    Path("mine.csv").write_text("a,b\n1,2\n")
    outcome = cli(*words[:-1], "mine.csv")
    assert outcome.status == 2 and "is no table of an evaluation" in outcome.err


def test_the_hubs_cache(
    cli: Cli, saved: Save, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    folder, commits = cache / "models--EleutherAI--pythia-70m", ["a" * 40, "b" * 40]
    for commit, name in zip(commits, ("step1000", "main"), strict=True):
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / name).write_text(commit)
        shutil.copytree(saved("neox", f"of-{name}", seed=len(name)), folder / "snapshots" / commit)
    words = ["evaluate", "EleutherAI/pythia-70m", "--corpus", f"a={text}", "--json"]
    (row,) = cli(*words).json["rows"]
    assert (row["revision"], row["commit"], row["training_tokens"]) == ("main", "b" * 40, 143_000 * 2_097_152)
    both = cli(*words, "--revision", "step*", "--revision", "main").json["rows"]
    assert [(one["revision"], one["commit"]) for one in both] == [("step1000", "a" * 40), ("main", "b" * 40)]
    assert both[1]["loss"] == row["loss"] != both[0]["loss"]
    words[1] = "EleutherAI/pythia-70m@step1000"
    assert cli(*words).json["rows"] == both[:1]
    words[1] = "EleutherAI/pythia-160m"
    outcome = cli(*words)
    assert (
        outcome.status == 1
        and "is not in the cache of the hub" in outcome.err
        and outcome.err.count("\n") == 1
    )


@pytest.mark.long
def test_a_run_of_ours_has_the_loss_of_its_ledger(cli: Cli, tmp_path: Path) -> None:
    import gemstones

    source = sorted((Path(gemstones.__file__).parent / "runs").glob("*.py"))
    build(source, tmp_path / "corpus", CorpusOptions(vocabulary=300, validation=0.2), workers=1)
    corpus = Corpus.open(tmp_path / "corpus")
    step = 4 * 32
    shape = Shape.parse("32x2", head_size=8, vocabulary=corpus.vocabulary, context=32)
    spec = RunSpec.of(
        shape, family="main", tokens=6 * step, batch_sequences=4, warmup_tokens=step, evaluate_tokens=2 * step,
        evaluate_sequences=0, checkpoint_tokens=2 * step, lr_base=0.5, corpus_fingerprint=corpus.fingerprint,
        precision="float32",
    )  # fmt: skip
    folder = tmp_path / "runs" / spec.id
    write_run(folder, RunFile(corpus=str(corpus.folder), spec=spec))
    assert cli("train", folder, "--device", "cpu").status == 0
    words = ["evaluate", folder, "--corpus", "held=corpus", "--windows", "stream", "--context", "32"]
    (row,) = cli(*words, "--output", "r.parquet", "--json").json["rows"]
    last = ledger_of(folder).evaluations[-1]
    assert row["loss"] == pytest.approx(last.loss, rel=1e-6)
    assert (row["revision"], row["training_tokens"], row["model"]) == ("step-6", last.tokens, spec.id)
    split = corpus.manifest.validation
    assert row["bits_per_byte"] == pytest.approx(
        row["loss"] / 0.6931471805599453 * split.tokens / split.bytes, rel=1e-4
    )
    # An export of it, by its own tokenizer, document by document.
    assert cli("export", folder, "--output", "hf").status == 0
    ours, export = (
        cli("evaluate", model, "--corpus", "held=corpus", "--context", "32", "--json").json["rows"][0]
        for model in (folder, "hf")
    )
    assert export["loss"] == pytest.approx(ours["loss"], rel=1e-6)
    assert (export["tokens"], export["bytes"]) == (ours["tokens"], ours["bytes"])
    assert export["training_tokens"] == last.tokens


def broken(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


@pytest.mark.long
def test_models_that_are_refused(cli: Cli, saved: Save, text: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    def said(more: str = "") -> str:
        words = f"evaluate model --corpus a={text} --columns tokens=1B --output r.parquet {more}"
        outcome = cli(*words.split())
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
        assert not Path("r.parquet").exists()
        return outcome.err

    def again(kind: str = "gemma") -> Path:
        shutil.rmtree("model", ignore_errors=True)
        return saved(kind)

    broken(again(), model_type="mine", auto_map={"AutoModelForCausalLM": "modeling_mine.Mine"})
    assert "needs code of its own (mine), which is never run (trust_remote_code is off)" in said()
    broken(again(), model_type="t5")
    assert "is of type 't5', which is no causal language model" in said()
    broken(again(), num_hidden_layers=3)
    assert "lacks weights, which would be random: model.layers.2" in said()
    folder = again()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "no weights in safetensors, only pytorch_model.bin: pickles are not opened" in said()
    (again() / "model.safetensors").write_bytes(b"not weights")
    assert "model model cannot be loaded: " in said()
    folder = again()
    weights = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
    weights["model.norm.weight"] *= float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    words = f"evaluate model --corpus a={text} --columns tokens=1B --output r.parquet"
    outcome = cli(*words.split())
    assert outcome.status == 1 and "model on a: the loss is not finite" in outcome.err
    (again() / "config.json").write_text("[]")
    assert "has no model_type" in said()
    again("gpt2")
    assert "context 65 is beyond the 64 positions of model" in said("--context 65")
    from transformers import BertConfig, BertLMHeadModel

    shutil.rmtree("model")
    saved()
    for path in Path("model").glob("model*"):
        path.unlink()
    config = BertConfig(
        vocab_size=303, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, pad_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    BertLMHeadModel(config).save_pretrained("model")
    assert "is not causal: its logits depend on later tokens" in said()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--columns tokens=1B --corpus a=nowhere", "nowhere: does not exist"),
        ("--columns tokens=1B --corpus a=empty.txt", "holds no document"),
        ("--corpus a=", "must be a name and a text"),
        ("--corpus a={text} --corpus a={text}", "'a' is given twice"),
        ("--corpus a={text} --context 1", "context 1 must be at least 2 tokens"),
        ("--corpus a={text} --context 8 --stride 9", "stride 9 must be from 1 to the context, 8"),
        ("--corpus a={text} --dtype float64", "float64"),
        ("--corpus a={text} --device tpu", "device 'tpu' is not to be had here"),
        ("--corpus a={text} --columns loss=1", "loss is measured here"),
        ("--corpus a={text} --columns tokens=nothing", "nothing"),
        ("--corpus a={text} --columns tokens", "is not NAME=EXPRESSION"),
        ("--corpus a={text} --columns tokens=0", "model model: training tokens 0 must be positive"),
        ("--corpus a={text} --columns tokens=-1e9", "training tokens -1e+09 must be positive"),
        (
            "--corpus a={text}",
            "model model: its training tokens are not told by its name: give them with --columns",
        ),
        ("--corpus a={text} --memory nothing", "memory 'nothing' is not a number"),
        ("--corpus a={text} --batch-tokens 0", "0"),
        ("--corpus a={text} --output nowhere/r.parquet", "does not exist"),
        ("--corpus a={text} --trust-remote-code", "--trust-remote-code"),
        ("--columns tokens=1B --corpus a={text} --field no.such", "no.such"),
        ("--corpus a={text} --revision step_*", "model model is one model and has no revision 'step_*'"),
    ],
)
def test_wrong_words(cli: Cli, saved: Save, text: Path, more: str, said: str) -> None:
    saved()
    Path("empty.txt").write_text("\n")
    before = {*Path().rglob("*")}
    outcome = cli("evaluate", "model", *more.format(text=text.name).split())
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1), outcome
    assert said in outcome.err and {*Path().rglob("*")} == before


def test_a_folder_without_a_tokenizer(cli: Cli, saved: Save, text: Path) -> None:
    folder = saved()
    for file in ("tokenizer.json", "tokenizer_config.json"):  # without the latter transformers makes one up
        (folder / file).unlink()
        outcome = cli("evaluate", "model", "--corpus", f"a={text}", "--columns", "tokens=1B")
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert "model model has no tokenizer (tokenizer.json)" in outcome.err


def test_a_text_of_one_letter(cli: Cli, saved: Save) -> None:
    saved()
    Path("one.txt").write_text("a")
    for windows in ("document", "stream"):
        words = ["evaluate", "model", "--corpus", "one.txt", "--columns", "tokens=1B", "--windows", windows]
        (row,) = cli(*words, "--json").json["rows"]
        assert (row["tokens"], row["bytes"], row["standard_error"]) == (1, 1, None)


def test_two_processes_do_not_lose_rows(
    cli: Cli, saved: Save, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemstones.evaluation import evaluate as module

    saved()
    real = module.evaluate_windows

    def beside(*arguments: Any, **options: Any) -> Any:
        pl.DataFrame({"a": [1]}).write_parquet("r.parquet")
        return real(*arguments, **options)

    monkeypatch.setattr(module, "evaluate_windows", beside)
    outcome = cli(
        "evaluate", "model", "--corpus", f"a={text}", "--columns", "tokens=1B", "--output", "r.parquet"
    )
    assert outcome.status == 1 and "was changed by another process" in outcome.err


@pytest.mark.long
def test_torch_alone_is_one_line(tmp_path: Path, text: Path) -> None:
    code = (
        "import sys; sys.modules['transformers'] = None; from gemstones.cli.app import run; "
        f"sys.exit(run(['evaluate', 'gpt2', '--corpus', 'a={text}', '--columns', 'tokens=1B']))"
    )
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub")}
    (tmp_path / "hub" / "models--gpt2" / "refs").mkdir(parents=True)
    (tmp_path / "hub" / "models--gpt2" / "refs" / "main").write_text("c" * 40)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "pip install 'gemstones[export]'" in line
