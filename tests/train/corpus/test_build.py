"""From text to shards: what is in them, what they do not depend on, what is refused."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from gemstones.errors import Failure, InvalidPath, InvalidRequest
from gemstones.train.corpus import Corpus, InvalidCorpus, Options, build, encode, extract
from gemstones.train.corpus.documents import Reading
from tests.train.corpus.conftest import SMALL, decoded, snapshot, stream, text_of, write_texts


def test_documents_come_back_and_counts_are_right(corpus: Corpus) -> None:
    found = decoded(corpus, "train") + decoded(corpus, "validation")
    assert sorted(found) == sorted(text_of(seed) for seed in range(60))
    manifest = corpus.manifest
    assert (manifest.documents, manifest.duplicates) == (60, 0)
    for split in ("train", "validation"):
        shards = manifest.split(split).shards  # type: ignore[arg-type]
        assert [shard.tokens for shard in shards[:-1]] == [1000] * (len(shards) - 1)
        assert 0 < shards[-1].tokens <= 1000
        assert len(stream(corpus, split)) == manifest.split(split).tokens  # type: ignore[arg-type]
    assert len(manifest.train.shards) > 3


def test_duplicates_empty_and_binary(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(10))
    (texts / "zz.md").write_text(text_of(3))  # the same text under another name
    (texts / "zz.jsonl").write_text('{"text": "a"}\n{"text": " \\n"}\n{"text": "a"}\n{"text": "a "}\n')
    (texts / "zz.bin").write_bytes(b"\0")
    (texts / "zz.empty").write_bytes(b"")
    corpus = build([texts], tmp_path / "c", SMALL).corpus
    assert corpus.manifest.documents == 12
    assert corpus.manifest.duplicates == 2
    assert (corpus.manifest.skipped.binary, corpus.manifest.skipped.empty) == (1, 2)
    found = decoded(corpus, "train") + decoded(corpus, "validation")
    assert sorted(found) == sorted([text_of(seed) for seed in range(10)] + ["a", "a "])


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "UNIT_BYTES", 2000)
    monkeypatch.setattr(extract, "TASK_BYTES", 3000)


@pytest.mark.long
def test_the_number_of_workers_and_the_units_do_not_matter(
    tmp_path: Path, texts: Path, corpus: Corpus, small_units: None
) -> None:
    options = corpus.manifest.options
    for workers in (1, 2, 5):
        again = build([texts], tmp_path / str(workers), options, workers=workers).corpus
        assert snapshot(again.folder) == snapshot(corpus.folder), workers


def test_shards_are_little_endian_and_as_narrow_as_can_be(tmp_path: Path, texts: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    for size, dtype in ((65_536, "<u2"), (65_537, "<u4")):
        table = {"</s>": 0, "loss": 1, **{f"w{i}": i for i in range(2, size - 1)}, "[UNK]": size - 1}
        tokenizer = Tokenizer(models.WordLevel(table, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        file = tmp_path / f"{size}.json"
        tokenizer.save(str(file))
        corpus = build([texts], tmp_path / f"c{size}", Options(), tokenizer=file).corpus
        assert corpus.manifest.vocabulary == size
        assert corpus.vocabulary == -(-size // 64) * 64
        raw = np.fromfile(corpus.folder / "train-00000.bin", dtype=dtype)
        assert set(raw.tolist()) == {0, 1, size - 1}
        assert stream(corpus, "train") == raw.tolist()
        assert corpus.tokenizer.read_bytes() == file.read_bytes()


def test_a_finished_corpus_is_left_alone(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(8))
    assert build([texts], tmp_path / "c", SMALL).made
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}
    # The same text elsewhere, the same options said otherwise.
    texts.rename(tmp_path / "moved")
    assert not build([tmp_path / "moved"], tmp_path / "c", SMALL, workers=2).made
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()} == before


def test_the_default_said_or_unsaid_is_the_same(tmp_path: Path, texts: Path) -> None:
    build([texts], tmp_path / "c", Options(vocabulary=300))
    assert not build([texts], tmp_path / "c", Options(vocabulary=300, validation=0.01)).made


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ("text", "other text"),
        (Options(vocabulary=301, validation=0.2), "vocabulary 300 [(]now 301[)]"),
        (Options(vocabulary=300, validation=0.3), "validation 0.2 [(]now 0.3[)]"),
        (Options(vocabulary=300, validation_tokens=99), "validation_tokens None [(]now 99[)]"),
        (Options(vocabulary=300, validation=0.2, field="body"), "field text"),
        (Options(vocabulary=300, validation=0.2, shard_tokens=100), "shard_tokens"),
        (Options(vocabulary=300, validation=0.2, pad_vocabulary_to_multiple=1), "pad_vocabulary"),
    ],
)
def test_another_corpus_is_refused_unless_forced(tmp_path: Path, change: Options | str, saying: str) -> None:
    texts = write_texts(tmp_path / "t", range(8))
    old = build([texts], tmp_path / "c", SMALL).corpus
    before = snapshot(old.folder)
    options = SMALL if isinstance(change, str) else change
    if change == "text":
        (texts / "more").write_text("more")
    with pytest.raises(InvalidRequest, match=rf"{saying}.*--force"):
        build([texts], tmp_path / "c", options)
    assert snapshot(old.folder) == before
    assert build([texts], tmp_path / "c", options, force=True).made
    fresh = build([texts], tmp_path / "fresh", options).corpus
    assert snapshot(old.folder) == snapshot(fresh.folder) != before


def test_force_makes_even_the_same_again(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(8))
    before = snapshot(build([texts], tmp_path / "c", SMALL).corpus.folder)
    (tmp_path / "c" / "train-00000.bin").write_bytes(b"")
    with pytest.raises(InvalidCorpus, match="--force"):
        build([texts], tmp_path / "c", SMALL)
    assert build([texts], tmp_path / "c", SMALL, force=True).made
    assert snapshot(tmp_path / "c") == before
    (tmp_path / "c" / "manifest.json").write_text("{")
    with pytest.raises(InvalidCorpus, match="--force"):
        build([texts], tmp_path / "c", SMALL)
    assert build([texts], tmp_path / "c", SMALL, force=True).made
    assert snapshot(tmp_path / "c") == before


@pytest.mark.parametrize("force", [False, True])
def test_files_of_others_are_never_touched(tmp_path: Path, texts: Path, force: bool) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tokenizer.json").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("mine", "file"):
        with pytest.raises(InvalidRequest, match=f"output .*{name}"):
            build([texts], tmp_path / name, SMALL, force=force)
    assert snapshot(tmp_path) == {"mine/tokenizer.json": b"precious", "file": b"precious"}


def test_two_at_once_are_refused(tmp_path: Path, texts: Path) -> None:
    (tmp_path / "c").mkdir()
    descriptor = os.open(tmp_path / "c", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InvalidRequest, match="being built by another process"):
        build([texts], tmp_path / "c", SMALL)
    os.close(descriptor)
    assert build([texts], tmp_path / "c", SMALL).made


def test_the_output_within_the_input(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(8))
    assert build([texts], texts / "corpus", SMALL).made
    assert not build([texts], texts / "corpus", SMALL).made


def test_nothing_is_left_of_a_build_that_cannot_be(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "t", range(3))
    (texts / "bad.jsonl").write_text("{}\n")
    for workers in (1, 2):
        with pytest.raises(InvalidCorpus, match=r"bad\.jsonl, line 1"):
            build([texts], tmp_path / "c", SMALL, workers=workers)
        assert not (tmp_path / "c").exists()
    for path in texts.iterdir():
        path.write_bytes(b"\0")
    with pytest.raises(InvalidCorpus, match="line 1"):  # a name is a promise
        build([texts], tmp_path / "c", SMALL)
    (texts / "bad.jsonl").unlink()
    with pytest.raises(InvalidCorpus, match="no text was found: 3 files are binary"):
        build([texts], tmp_path / "c", SMALL)
    assert not (tmp_path / "c").exists()


def test_an_error_of_a_worker_arrives_whole(tmp_path: Path, small_units: None) -> None:
    texts = write_texts(tmp_path / "t", range(30))
    (texts / "bad.jsonl").write_text('{"text": "a"}\n{"body": "b"}\n')
    with pytest.raises(InvalidCorpus, match=r"bad\.jsonl, line 2: has no field 'text', only body"):
        build([texts], tmp_path / "c", SMALL, workers=2)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = write_texts(tmp_path / "t", range(3))
    read = extract.documents_of

    def touched(path: Path, reading: Reading) -> object:
        path.write_text("other")
        return read(path, reading)

    monkeypatch.setattr(extract, "documents_of", touched)
    with pytest.raises(Failure, match=r"0000\.txt was changed"):
        build([texts], tmp_path / "c", SMALL)


def test_options_that_make_no_sense(tmp_path: Path, texts: Path) -> None:
    for options, saying in (
        (Options(), "either a vocabulary"),
        (Options(vocabulary=256), "vocabulary 256"),
        (Options(vocabulary=300, validation=1.0), "validation"),
        (Options(vocabulary=300, validation=-0.1), "validation"),
        (Options(vocabulary=300, validation=float("nan")), "validation"),
        (Options(vocabulary=300, validation=0.1, validation_tokens=5), "give one"),
        (Options(vocabulary=300, shard_tokens=0), "shard_tokens"),
        (Options(vocabulary=300, pad_vocabulary_to_multiple=0), "pad_vocabulary_to_multiple"),
        (Options(vocabulary=300, end_of_document="x"), "end_of_document"),
    ):
        with pytest.raises(InvalidRequest, match=saying):
            build([texts], tmp_path / "c", options)
    with pytest.raises(InvalidRequest, match="not both"):
        build([texts], tmp_path / "c", Options(vocabulary=300), tokenizer=tmp_path / "t.json")
    with pytest.raises(InvalidPath, match=r"t\.json cannot be read"):
        build([texts], tmp_path / "c", Options(), tokenizer=tmp_path / "t.json")
    assert list(tmp_path.iterdir()) == []


def test_a_text_too_small_for_the_vocabulary_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("aa ab\nab aa\n")
    corpus = build([tmp_path / "t.txt"], tmp_path / "c", Options(vocabulary=5000, validation=0)).corpus
    assert 257 <= corpus.manifest.vocabulary < 300
    assert corpus.vocabulary % 64 == 0
    assert any("5000 were asked for" in note for note in corpus.manifest.notes)


def test_the_fingerprint_is_of_the_tokens_not_of_their_files(
    tmp_path: Path, texts: Path, corpus: Corpus
) -> None:
    whole = build([texts], tmp_path / "whole", SMALL).corpus
    assert len(whole.manifest.train.shards) == 1 < len(corpus.manifest.train.shards)
    assert whole.fingerprint == corpus.fingerprint
    joined = b"".join((corpus.folder / s.file).read_bytes() for s in corpus.manifest.train.shards)
    assert hashlib.sha256(joined).hexdigest() == whole.manifest.train.sha256
    other = build([texts], tmp_path / "other", Options(vocabulary=300, validation=0.3)).corpus
    assert other.fingerprint != corpus.fingerprint
