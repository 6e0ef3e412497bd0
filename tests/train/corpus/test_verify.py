"""Content is held against the manifest where it is used, and read once a machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gemstones.runs.folders import ledger_of
from gemstones.train.corpus import Corpus, InvalidCorpus, Options, batch, build, verify
from gemstones.train.corpus.manifest import MANIFEST, fingerprint_of, read_manifest
from gemstones.train.run import Options as TrainOptions
from gemstones.train.run import train
from tests.train.conftest import spec_of
from tests.train.corpus.conftest import write_texts

MakeRun = Callable[..., Path]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A corpus to damage, and a cache that knows nothing."""
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    options = Options(vocabulary=300, validation=0.3, pad_vocabulary_to_multiple=64)
    return build([write_texts(tmp_path / "texts", range(40))], tmp_path / "corpus", options).corpus


def changed(path: Path, place: int, value: int) -> None:
    content = bytearray(path.read_bytes())
    assert content[place] != value
    content[place] = value
    path.write_bytes(content)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("place", [0, -2])
def test_a_run_is_not_trained_on_shards_that_changed(
    own: Corpus, make_run: MakeRun, split: str, place: int
) -> None:
    folder = make_run(spec=spec_of(own, steps=2), corpus=own)
    changed(own.folder / f"{split}-00000.bin", place, 7)  # a token id like any other
    with pytest.raises(InvalidCorpus, match=rf"{split}-00000.bin: has SHA-256 .*: copy it again, or build"):
        train(folder, TrainOptions(threads=1))
    assert ledger_of(folder).state is None


def with_large_ids(corpus: Corpus, largest: int) -> Corpus:
    """A corpus that is consistent in itself but for ids beyond its vocabulary, as another's tool might write it."""
    manifest = read_manifest(corpus.folder)
    shard = corpus.folder / manifest.train.shards[0].file
    tokens = np.fromfile(shard, dtype="<u2")
    tokens[3] = largest
    tokens.tofile(shard)
    sha256 = hashlib.sha256(shard.read_bytes()).hexdigest()
    train = msgspec.structs.replace(
        manifest.train,
        sha256=sha256,
        shards=(msgspec.structs.replace(manifest.train.shards[0], sha256=sha256),),
    )
    manifest = msgspec.structs.replace(manifest, train=train)
    manifest = msgspec.structs.replace(manifest, fingerprint=fingerprint_of(manifest))
    (corpus.folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return Corpus.open(corpus.folder)


@pytest.mark.parametrize("largest", [300, 319, 320, 65535])
def test_token_ids_beyond_the_vocabulary_are_one_line(own: Corpus, make_run: MakeRun, largest: int) -> None:
    wrong = with_large_ids(own, largest)
    assert (wrong.manifest.vocabulary, wrong.vocabulary) == (300, 320)
    folder = make_run(spec=spec_of(wrong, steps=2), corpus=wrong)
    what = rf"has the token id {largest}, and the vocabulary has 300 ids from 0: build the corpus again"
    with pytest.raises(InvalidCorpus, match=what):
        train(folder, TrainOptions(threads=1))
    with pytest.raises(InvalidCorpus, match=what):
        Corpus.open(wrong.folder, verify=True)
    with pytest.raises(InvalidCorpus, match=f"the train split has the token id {largest}"):
        batch(wrong, 0, 0, 2000, 32)  # the reader by itself, for what is damaged after the start


def test_shards_are_read_once_unless_they_change(own: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = verify._content
    monkeypatch.setattr(
        verify, "_content", lambda path, manifest: [read.append(path.name), plain(path, manifest)][1]
    )
    own.verify()
    assert sorted(read) == ["train-00000.bin", "validation-00000.bin"]
    own.verify()
    Corpus.open(own.folder).verify(("validation",))
    assert len(read) == 2
    os.utime(own.folder / "train-00000.bin", ns=(1, 1))
    own.verify()
    assert read[2:] == ["train-00000.bin"]
    Corpus.open(own.folder, verify=True)  # `corpus show --verify` always reads
    assert len(read) == 5
    # Another corpus of the same name elsewhere is another.
    copy = own.folder.with_name("copy")
    copy.mkdir()
    for file in own.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    Corpus.open(copy).verify()
    assert len(read) == 7
    assert len(verify._read_seen()) == 4


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a":{}}', b"\xff"])
def test_a_cache_that_cannot_be_read_or_written_is_done_without(
    own: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    own.verify()
    (tmp_path / "cache" / verify.SEEN).write_bytes(content)
    own.verify()
    assert len(verify._read_seen()) == 2
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "file" / "cache"))
    own.verify()
    changed(own.folder / "train-00000.bin", 5, 255)
    with pytest.raises(InvalidCorpus, match="has SHA-256"):
        own.verify()


def test_a_long_wait_is_said(own: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SAID_BYTES", 1)
    said: list[str] = []
    own.verify(say=said.append)
    own.verify(say=said.append)
    assert len(said) == 1
    assert said[0].startswith(f"checking 2 shards of {own.folder}")
