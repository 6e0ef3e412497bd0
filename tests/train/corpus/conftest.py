"""Small texts, and corpora of them, in folders of the test."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gemstones.train.corpus import Corpus, Options, build

pytest.importorskip("tokenizers")

WORDS = [
    *("width", "depth", "tokens", "loss", "envelope", "exponent", "cooldown", "stone", "gem", "ruby"),
    *("opal", "jade", "é", "ß", "東京", "🙂", "x=1", "{\n}", "\t"),
]

SMALL = Options(vocabulary=300, validation=0.2)


def text_of(seed: int, words: int = 60) -> str:
    generator = random.Random(seed)
    return " ".join(generator.choice(WORDS) for _ in range(words)) + f"\n{seed}\n"


def write_texts(folder: Path, seeds: range, words: int = 60) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / f"{seed:04d}.txt").write_bytes(text_of(seed, words).encode())
    return folder


def stream(corpus: Corpus, split: str) -> list[int]:
    return [int(t) for shard in corpus.tokens(split) for t in shard]  # type: ignore[arg-type]


def decoded(corpus: Corpus, split: str) -> list[str]:
    """The documents of a split, from its tokens alone."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(corpus.tokenizer))
    documents: list[list[int]] = [[]]
    for token in stream(corpus, split):
        if token == corpus.manifest.end_of_document:
            documents.append([])
        else:
            documents[-1].append(token)
    assert documents.pop() == []  # the last document is ended too
    return [tokenizer.decode(ids, skip_special_tokens=False) for ids in documents]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"), range(60))


@pytest.fixture(scope="session")
def corpus(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """60 documents in shards of 1,000 tokens."""
    options = Options(vocabulary=300, validation=0.2, shard_tokens=1000)
    return build([texts], tmp_path_factory.mktemp("corpus") / "c", options).corpus
