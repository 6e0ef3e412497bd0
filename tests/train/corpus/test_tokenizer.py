"""Tokenizers, trained and given."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest, MissingExtra
from gemstones.train.corpus.tokenizer import (
    LONGEST_WORD,
    encode,
    parse_tokenizer,
    pieces,
    train_tokenizer,
    unbroken,
    vocabulary_of,
)
from tests.train.corpus.conftest import text_of

TEXTS = [text_of(seed, 300) for seed in range(20)]
TRAINED = train_tokenizer(TEXTS, 320)


def test_trained_is_lossless_and_of_the_size_asked_for() -> None:
    tokenizer = parse_tokenizer(TRAINED.encode(), Path("t"))
    vocabulary = vocabulary_of(tokenizer)
    assert (vocabulary.size, vocabulary.end_of_document) == (320, 0)
    for text in (*TEXTS, "never seen: \x00\x7f ÿ ∑ 한국어 \r\n\t  "):
        ids = encode(tokenizer, text)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        assert all(0 < i < 320 for i in ids)


def test_trained_again_elsewhere_is_the_same() -> None:
    script = (
        "import sys; from tests.train.corpus.conftest import text_of\n"
        "from gemstones.train.corpus.tokenizer import train_tokenizer\n"
        "sys.stdout.write(train_tokenizer((text_of(s, 300) for s in range(20)), 320))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "RAYON_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=True, encoding="utf-8"
    )
    assert done.stdout == TRAINED


def test_text_that_spells_the_end_of_a_document_is_text() -> None:
    tokenizer = parse_tokenizer(TRAINED.encode(), Path("t"))
    ids = encode(tokenizer, "a<|endoftext|>b")
    assert 0 not in ids
    assert tokenizer.decode(ids) == "a<|endoftext|>b"


def test_nothing_is_cut_padded_or_added() -> None:
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    made = Tokenizer.from_str(TRAINED)
    plain = encode(parse_tokenizer(TRAINED.encode(), Path("t")), TEXTS[0])
    made.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    made.enable_truncation(5)
    made.enable_padding(length=10_000)
    assert encode(parse_tokenizer(made.to_str().encode(), Path("t")), TEXTS[0]) == plain


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"model": {"type": "None"}}'])
def test_not_a_tokenizer(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^tokenizer my\.json is not a tokenizer\.json: [^\n]+$"):
        parse_tokenizer(content, Path("my.json"))


def test_ends_of_documents() -> None:
    from tokenizers import Tokenizer, models

    def of(*words: str, size: int = 0) -> Tokenizer:
        table = {word: i for i, word in enumerate(words)} | ({"last": size - 1} if size else {})
        return Tokenizer(models.WordLevel(table, unk_token=words[0]))

    assert vocabulary_of(of("a", "</s>", size=10)).end_of_document == 1
    assert vocabulary_of(of("a", "</s>", size=10)).size == 10  # ids have holes
    assert vocabulary_of(of("a", "</s>", "<|endoftext|>")).end_of_document_token == "<|endoftext|>"
    assert vocabulary_of(of("a", "</s>"), "a").end_of_document == 0
    for tokenizer, name in ((of("a"), None), (of("a", "</s>"), "b")):
        with pytest.raises(InvalidRequest, match="--end-of-document"):
            vocabulary_of(tokenizer, name)


@pytest.mark.parametrize("vocabulary", [0, 256, 1_000_001])
def test_vocabularies_that_cannot_be(vocabulary: int) -> None:
    with pytest.raises(InvalidRequest, match=f"vocabulary {vocabulary} must be from 257"):
        train_tokenizer(TEXTS, vocabulary)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gemstones\[train\]'"):
        parse_tokenizer(b"", Path("t"))


@given(st.text("ab \n", max_size=60), st.integers(1, 8))
def test_pieces_are_the_text(text: str, longest: int) -> None:
    parts = list(pieces(text, longest))
    assert "".join(parts) == text
    assert all(len(part) <= longest for part in parts)
    # A piece ends with a line where a line end is in reach.
    for part in parts[:-1]:
        assert part.endswith("\n") or "\n" not in part


RUNS = {
    "letters": "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", k=200_000)),
    "one letter": "a" * 3_000_000,
    "spaces": " " * 1_000_000,
    "line ends and tabs": "\n\t" * 200_000,
    "digits": "0123456789" * 30_000,
    "rules": "=-" * 200_000,
    "ideographs": "東京都" * 50_000,
    "bases": "".join(random.Random(1).choices("ACGT", k=300_000)),
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_long_unbroken_run_takes_no_long_time(kind: str) -> None:
    before = time.process_time()
    tokenizer = train_tokenizer([RUNS[kind], *TEXTS], 400)
    ids = encode(parse_tokenizer(tokenizer.encode(), Path("t")), RUNS[kind])
    assert time.process_time() - before < 10  # the first took half a minute, the second never ended
    assert ids


@given(st.lists(st.sampled_from(["a" * 1999, "a" * 2001, " " * 4100, "b", " ", "\n", "é" * 6001])))
def test_unbroken_is_the_text(parts: list[str]) -> None:
    text = "".join(parts)
    cut = list(unbroken(text))
    assert "".join(cut) == text
    assert not any(len(run) > LONGEST_WORD for part in cut for run in re.findall(r"\S+|\s+", part))
    if max(map(len, re.findall(r"\S+|\s+", text)), default=0) <= LONGEST_WORD:
        assert cut == [text]  # and the tokenizers of ordinary texts are what they were


@pytest.mark.long
def test_training_can_be_interrupted(tmp_path: Path) -> None:
    """Ctrl-C while the library is at work: unbroken words of 2,000 letters keep it busy for minutes."""
    text = tmp_path / "run.txt"
    text.write_text("".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=20_000_000)))
    command = ["corpus", "build", text, "--output", tmp_path / "c", "--vocabulary", "60000", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gemstones", *map(str, command), "--validation", "0"],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    work = tmp_path / "c" / ".work"
    while process.poll() is None and not (work / "text-000000.index").exists():
        time.sleep(0.05)
    time.sleep(2)
    assert process.poll() is None, "it was done too soon to test anything"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert (process.returncode, err) == (130, "gemstones: interrupted\n")


def test_an_error_in_the_texts_is_raised_as_it_is() -> None:
    def texts() -> Iterator[str]:
        yield "a"
        raise InvalidRequest("as it is")

    with pytest.raises(InvalidRequest, match=r"^as it is$"):
        train_tokenizer(texts(), 300)
