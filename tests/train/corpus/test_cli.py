"""`gemstones corpus build | show`, as a user calls them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App

from gemstones.cli import app as cli_app
from gemstones.cli import corpus as cli_corpus
from gemstones.train.corpus import Corpus
from tests.train.corpus.conftest import write_texts

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    def application(_called: str = "") -> App:
        app = App(name="gemstones")
        app.command(cli_corpus.app)
        return app

    monkeypatch.setattr(cli_app, "build", application)

    def call(*arguments: object) -> tuple[int, str, str]:
        status = cli_app.run(["corpus", *(str(a) for a in arguments)])
        return status, *capsys.readouterr()

    return call


def test_build_and_show(cli: Cli, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(20))
    build = ("build", texts, texts / "0003.txt", "--output", tmp_path / "c", "--vocabulary", "300", "--json")
    status, out, err = cli(*build, "--validation", "0.2", "--workers", "2")
    assert (status, err) == (0, "")
    summary = json.loads(out)
    corpus = Corpus.open(tmp_path / "c", verify=True)
    assert summary["made"] is True
    assert summary["documents"] == 20 and summary["duplicates"] == 0
    assert summary["skipped"] == {"binary": 0, "empty": 0, "irregular": 0}
    assert summary["tokens"] == {"train": corpus.total("train"), "validation": corpus.total("validation")}
    assert (summary["vocabulary"], summary["vocabulary_padded"]) == (300, 320)
    assert summary["fingerprint"] == corpus.fingerprint

    status, out, _ = cli("show", tmp_path / "c", "--json", "--verify")
    assert status == 0
    assert json.loads(out) == {key: value for key, value in summary.items() if key != "made"}
    status, out, _ = cli("show", tmp_path / "c")
    assert status == 0 and f"{corpus.total('train'):,}" in out and corpus.fingerprint in out

    status, out, _ = cli(*build[:-1], "--validation", "0.2")
    assert status == 0 and out.startswith("nothing to do")


def test_quantities_with_suffixes(cli: Cli, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(60))
    status, out, err = cli(
        *("build", texts, "--output", tmp_path / "c", "--vocabulary", "0.3K", "--shard-tokens", "2K"),
        *("--validation-tokens", "1K", "--json"),
    )
    assert (status, err) == (0, "")
    assert 1000 <= json.loads(out)["tokens"]["validation"] < 1400
    assert Corpus.open(tmp_path / "c").manifest.train.shards[0].tokens == 2000


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (("build", "TEXTS"), ("--output",)),
        (("build", "--output", "OUT", "--vocabulary", "300"), ("no text was given",)),
        (("build", "none", "--output", "OUT", "--vocabulary", "300"), ("none: does not exist",)),
        (("build", "TEXTS", "--output", "OUT"), ("vocabulary", "tokenizer")),
        (("build", "TEXTS", "--output", "OUT", "--vocabulary", "3"), ("vocabulary 3", "257")),
        (("build", "TEXTS", "--output", "OUT", "--vocabulary", "many"), ("vocabulary 'many'",)),
        (("build", "TEXTS", "--output", "OUT", "--tokenizer", "none.json"), ("none.json",)),
        (("build", "TEXTS", "--output", "OUT", "--vocabulary", "300", "--validation", "2"), ("validation",)),
        (("build", "TEXTS", "--output", "OUT", "--vocabulary", "300", "--workers", "0"), ("workers 0",)),
        (("build", "BAD", "--output", "OUT", "--vocabulary", "300"), ("bad.jsonl, line 2",)),
        (
            ("build", "BAD", "--output", "OUT", "--vocabulary", "300", "--field", "x"),
            ("bad.jsonl, line 1", "'x'"),
        ),
        (("build", "TEXTS", "--output", "TEXTS", "--vocabulary", "300"), ("no file",)),
        (("build", "BAD", "--output", "TEXTS", "--vocabulary", "300"), ("not a corpus",)),
        (("show", "TEXTS"), ("not a finished corpus",)),
        (("show", "none"), ("none: does not exist",)),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], saying: tuple[str, ...]
) -> None:
    places = {"TEXTS": write_texts(tmp_path / "t", range(5)), "OUT": tmp_path / "c", "BAD": tmp_path / "b"}
    places["BAD"].mkdir()
    (places["BAD"] / "bad.jsonl").write_text('{"text": "a"}\n{"text": 1}\n')
    before = sorted(tmp_path.rglob("*"))
    status, out, err = cli(*(places.get(a, a) for a in arguments))
    assert (status, out) == (2, ""), err
    assert err.startswith("gemstones: ") and err.count("\n") == 1, err
    for part in saying:
        assert part in err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_the_extra(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    texts = write_texts(tmp_path / "t", range(5))
    status, out, err = cli("build", texts, "--output", tmp_path / "c", "--vocabulary", "300")
    assert (status, out) == (1, "")
    assert err == ("gemstones: tokenising needs the extra 'train': pip install 'gemstones[train]'\n")
    assert not (tmp_path / "c").exists()


def test_progress_goes_to_a_terminal_on_standard_error_only(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    texts = write_texts(tmp_path / "t", range(5))
    status, out, err = cli("build", texts, "--output", tmp_path / "c", "--vocabulary", "300", "--json")
    assert status == 0 and json.loads(out)["documents"] == 5
    for step in ("hashing", "reading", "training the tokenizer", "tokenising", "writing train"):
        assert f"100% {step}" in err
    assert err.endswith("\n")


def test_importing_the_command_is_light() -> None:
    import subprocess

    script = "import sys, gemstones.cli.corpus, gemstones.train.corpus; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert "gemstones.train.corpus.build" in done.stdout.split()
    assert {"tokenizers", "polars", "torch", "scipy"} & {
        m.partition(".")[0] for m in done.stdout.split()
    } == set()


def test_import_says_what_it_made_and_damage_in_one_line(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("one line of words after another\n" * 2000)
    assert cli("build", text, "--output", tmp_path / "built", "--vocabulary", 300)[0] == 0
    np.array([5, 6, 7, 8] * 40_000, "<u2").tofile(tmp_path / "train.bin")
    np.array([5, 6, 7, 8] * 400, "<u2").tofile(tmp_path / "val.bin")
    tokenizer = ("--tokenizer", tmp_path / "built" / "tokenizer.json")
    files = (tmp_path / "train.bin", "--validation-from", tmp_path / "val.bin")
    status, out, _ = cli("import", *files, *tokenizer, "--output", tmp_path / "corpus", "--json")
    made = json.loads(out)
    assert (status, made["tokens"]) == (0, {"train": 160_000, "validation": 1600})
    assert made["bytes"]["train"] == 0 < made["bytes"]["validation"]
    _, shown, _ = cli("show", tmp_path / "corpus", "--verify")
    assert "160,000" in shown and "its bytes are not known" in shown
    status, _, wrong = cli("import", text, *tokenizer, "--output", tmp_path / "wrong")
    assert status == 2
    assert "has the token id" in wrong
    assert len(wrong.splitlines()) == 1
