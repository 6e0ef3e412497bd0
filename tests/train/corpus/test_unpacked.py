"""What is packed is read in a stream, within bounds, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gemstones.runs.formats.compression import zstandard
from gemstones.train.corpus import unpacked
from gemstones.train.corpus.documents import BinaryFileError, documents_of
from gemstones.train.corpus.errors import InvalidCorpus

PACK = {
    ".gz": gzip.compress,
    ".zst": zstandard().compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    "": bytes,
}
LINE = b'{"text": "one document"}\n'


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("called", ["a.jsonl", "a.json", "a.txt", "a", "a.html.jsonl"])
def test_json_lines_are_read_by_content(tmp_path: Path, suffix: str, called: str) -> None:
    for name in (called + suffix, called):  # the name need not say how it is packed
        path = tmp_path / name
        path.write_bytes(PACK[suffix](LINE * 3))
        assert list(documents_of(path)) == ["one document"] * 3


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".gz", "gzip"), (".zst", "Zstandard"), (".bz2", "bzip2"), (".xz", "xz")]
)
@pytest.mark.parametrize("called", ["a.jsonl", "a.txt", "a.json"])
def test_what_is_cut_or_damaged_is_one_line(tmp_path: Path, suffix: str, kind: str, called: str) -> None:
    path = tmp_path / (called + suffix)
    whole = PACK[suffix](b"".join(b'{"text": "%d"}\n' % i for i in range(5000)))
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 255
    # Without a checksum, as `zstd` writes them by default, or before it is reached, wrong content is not seen.
    for content in (whole[:-20], *([bytes(damaged)] if suffix in {".gz", ".xz"} else [])):
        path.write_bytes(content)
        with pytest.raises(InvalidCorpus) as caught:
            list(documents_of(path))
        assert f"is not a whole {kind} file" in str(caught.value) or "line" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_several_packed_parts_are_one(tmp_path: Path) -> None:
    for suffix, pack in PACK.items():
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(pack(LINE) + pack(LINE))
        assert list(documents_of(path)) == ["one document"] * 2


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".xz"])
@pytest.mark.parametrize("content", [b"a" * (1 << 20), LINE * 40_000, b"a b\n" * (1 << 18)])
def test_what_grows_more_than_a_hundredfold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, content: bytes
) -> None:
    monkeypatch.setattr(unpacked, "SMALL", 100_000)
    path = tmp_path / f"a.json{suffix}"
    path.write_bytes(PACK[suffix](content))
    with pytest.raises(
        InvalidCorpus, match=r"grows to more than 0 MiB when it is unpacked, from [\d,]+ bytes: unpack"
    ):
        for _ in documents_of(path):
            pass


def test_a_bomb_of_zeros_is_binary_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(bytes(10 << 20)))
    with pytest.raises(BinaryFileError, match="binary"):
        list(documents_of(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"a line\n" * 300_000),
        ("a.html", b"<p>a" * 400_000),
        ("a.jsonl", b'{"text": "' + b"x" * 1_500_000 + b'"}'),
        ("a.json", b'[{"text": "' + b"x" * 1_500_000 + b'"}]'),
        ("a.json", b'{"text": "' + b"x" * 1_500_000 + b'"}'),
    ],
)
def test_a_document_that_is_too_large_for_the_memory_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert len(list(documents_of(path))) == 1
    monkeypatch.setattr(unpacked, "document_limit", lambda: 1 << 20)
    with pytest.raises(
        InvalidCorpus, match=r"has a document of more than 1 MiB, a sixteenth .*: divide it into"
    ):
        list(documents_of(path))


def test_many_small_lines_are_no_large_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "document_limit", lambda: 1 << 20)
    path = tmp_path / "a.json.gz"
    path.write_bytes(
        gzip.compress(b"".join(b'{"text": "%064x"}\n' % (i * 0x9E3779B97F4A7C15) for i in range(60_000)))
    )
    assert sum(1 for _ in documents_of(path)) == 60_000


def test_a_bomb_under_a_limit_of_memory(tmp_path: Path) -> None:
    """As a user would meet it: 4 GB in 4 MB, and a process that may have 3 GB."""
    bomb = tmp_path / "bomb.txt.gz"
    piece = gzip.compress(b"ab cd\n" * (1 << 24), 1)
    bomb.write_bytes(piece * 40)
    command = ["corpus", "build", bomb, "--output", tmp_path / "c", "--vocabulary", "300", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "gemstones", *map(str, command)],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        encoding="utf-8",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)),
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"{bomb}: has a document of more than 192 MiB" in done.stderr
    assert not (tmp_path / "c").exists()
