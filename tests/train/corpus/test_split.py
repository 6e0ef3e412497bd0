"""What is held out, by the hash of the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemstones.errors import InvalidRequest
from gemstones.train.corpus import Corpus, Options, build
from gemstones.train.corpus.split import LEAST_BYTES
from tests.train.corpus.conftest import decoded, text_of, write_texts


def made(texts: Path, name: str, **options: object) -> Corpus:
    return build([texts], texts.parent / name, Options(vocabulary=300, **options)).corpus  # type: ignore[arg-type]


def test_sides_do_not_change_when_documents_are_added(tmp_path: Path) -> None:
    few = made(write_texts(tmp_path / "t", range(0, 200, 2)), "few", validation=0.2)
    more = made(write_texts(tmp_path / "t", range(200)), "more", validation=0.2)
    for split in ("train", "validation"):
        assert set(decoded(few, split)) < set(decoded(more, split))
    # Binomial with 200 documents: five standard deviations around 40.
    assert 12 <= more.manifest.validation.documents <= 68


def test_the_whole_text_is_in_one_split_or_the_other(tmp_path: Path) -> None:
    corpus = made(write_texts(tmp_path / "t", range(40)), "c", validation=0.3)
    train, validation = decoded(corpus, "train"), decoded(corpus, "validation")
    assert sorted(train + validation) == sorted(text_of(seed) for seed in range(40))
    order = [text_of(seed) for seed in range(40)]
    assert train == sorted(train, key=order.index)  # in the order of the files
    assert corpus.manifest.validation.bytes == sum(len(text.encode()) for text in validation)


def test_of_a_small_corpus_a_tenth_is_held_out_and_no_more(tmp_path: Path) -> None:
    corpus = made(write_texts(tmp_path / "t", range(100)), "c")
    total = sum(len(text_of(seed).encode()) for seed in range(100))
    longest = max(len(text_of(seed).encode()) for seed in range(100))
    assert total < LEAST_BYTES
    assert total / 10 - longest < corpus.manifest.validation.bytes <= total / 10
    assert any("little text to judge by" in note for note in corpus.manifest.notes)


def test_a_number_of_tokens(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(60))
    corpus = made(texts, "c", validation_tokens=500)
    longest = max(len(text.encode()) + 1 for text in decoded(corpus, "validation"))
    assert 500 <= corpus.total("validation") < 500 + longest
    assert made(texts, "again", validation_tokens=500).fingerprint == corpus.fingerprint
    larger = made(texts, "larger", validation_tokens=1000)
    assert set(decoded(corpus, "validation")) < set(decoded(larger, "validation"))
    with pytest.raises(InvalidRequest, match="validation_tokens 1000000 is more than the"):
        made(texts, "too many", validation_tokens=1_000_000)
    assert not (tmp_path / "too many").exists()


def test_a_tokenizer_is_not_trained_on_what_is_held_out(tmp_path: Path) -> None:
    for name, options in (("f", {"validation": 0.3}), ("t", {"validation_tokens": 400})):
        texts = write_texts(tmp_path / name / "t", range(40))
        whole = made(texts, "whole", **options)
        for text in decoded(whole, "validation"):
            (texts / f"{text.split()[-1]:0>4}.txt").unlink()
        alone = made(texts, "alone", validation=0)
        if name == "f":
            assert alone.tokenizer.read_bytes() == whole.tokenizer.read_bytes()
        else:  # more than the tokens need is kept from the training
            assert alone.tokenizer.read_bytes() != whole.tokenizer.read_bytes()


def test_few_documents_still_have_both_splits(tmp_path: Path) -> None:
    for fraction in (0.0001, 0.9999):
        corpus = made(write_texts(tmp_path / "t", range(3)), f"c{fraction}", validation=fraction)
        counts = corpus.manifest.train.documents, corpus.manifest.validation.documents
        assert counts == ((2, 1) if fraction < 0.5 else (1, 2))
        assert len(corpus.manifest.notes) == 1


def test_nothing_held_out(tmp_path: Path) -> None:
    corpus = made(write_texts(tmp_path / "t", range(3)), "c", validation=0)
    assert (corpus.manifest.train.documents, corpus.total("validation")) == (3, 0)
    assert corpus.tokens("validation") == []


def test_a_single_document_is_cut_at_a_line(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(1000))
    (tmp_path / "t.txt").write_text(text)
    corpus = made(tmp_path / "t.txt", "c", validation=0.1)
    (train,), (validation,) = decoded(corpus, "train"), decoded(corpus, "validation")
    assert train + validation == text
    assert train.endswith("\n") and validation.startswith("line 9")
    assert "cut" in corpus.manifest.notes[0]
    (tmp_path / "t.txt").write_text("one line only")
    with pytest.raises(InvalidRequest, match="--validation 0"):
        made(tmp_path / "t.txt", "d", validation=0.1)
