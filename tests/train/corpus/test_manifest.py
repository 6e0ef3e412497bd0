"""A corpus that is not as its manifest says is refused, in one line that names what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemstones.train.corpus import Corpus, InvalidCorpus


@pytest.fixture
def folder(corpus: Corpus, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus.folder, tmp_path / "c"))


def refused(folder: Path, *saying: str, verify: bool = False) -> None:
    with pytest.raises(InvalidCorpus) as caught:
        Corpus.open(folder, verify=verify)
    assert "\n" not in str(caught.value)
    for part in saying:
        assert part in str(caught.value)


def test_whole(folder: Path, corpus: Corpus) -> None:
    opened = Corpus.open(str(folder), verify=True)
    assert opened.manifest == corpus.manifest
    assert opened.total("train") == sum(len(shard) for shard in opened.tokens("train")) > 3000
    with pytest.raises(ValueError, match="read-only"):
        opened.tokens("train")[0][0] = 1


def test_missing(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "nothing: does not exist")
    refused(tmp_path, "not a finished corpus", "gemstones corpus build")
    (folder / "train-00001.bin").unlink()
    refused(folder, "train-00001.bin: is missing")


@pytest.mark.parametrize("size", [-2, -1, 1, 2])
def test_size(folder: Path, size: int) -> None:
    shard = folder / "validation-00000.bin"
    content = shard.read_bytes()
    shard.write_bytes(content[:size] if size < 0 else content + bytes(size))
    refused(folder, "validation-00000.bin: has", f"the manifest says {len(content)}")


def test_content(folder: Path) -> None:
    shard = folder / "train-00002.bin"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    Corpus.open(folder)
    refused(folder, "train-00002.bin: has SHA-256", verify=True)


def test_tokenizer(folder: Path) -> None:
    with (folder / "tokenizer.json").open("a") as file:
        file.write("\n")
    refused(folder, "tokenizer.json: has SHA-256")
    (folder / "tokenizer.json").unlink()
    refused(folder, "tokenizer.json: is missing")


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: Any) -> None:
        for step in path[:-1]:
            manifest = manifest[step]
        manifest[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (_set("format", to=2), "$.format"),
        (_set("extra", to=1), "extra"),
        (_set("train", "shards", 0, "extra", to=1), "$.train.shards[0]"),
        (_set("train", "shards", 0, "tokens", to=999), "train has"),
        (_set("train", "shards", 0, "tokens", to="999"), "$.train.shards[0].tokens"),
        (_set("train", "shards", 0, "file", to="train-00009.bin"), "not named in order"),
        (_set("train", "shards", 0, "file", to="../train-00000.bin"), "$.train.shards[0].file"),
        (_set("train", "sha256", to="0" * 64), "fingerprint"),
        (_set("tokenizer", "file", to="/etc/passwd"), "$.tokenizer.file"),
        (_set("end_of_document", to=300), "end_of_document < vocabulary"),
        (_set("vocabulary_padded", to=299), "end_of_document < vocabulary"),
        (_set("vocabulary_padded", to=384), "fingerprint"),
        (_set("dtype", to="uint32"), "dtype uint32"),
        (_set("dtype", to="float64"), "$.dtype"),
    ],
)
def test_manifest(folder: Path, change: Callable[[dict[str, Any]], None], saying: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    refused(folder, "manifest.json", saying)


def test_manifest_cut_short(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-10])
    refused(folder, "manifest.json: is not a manifest")
