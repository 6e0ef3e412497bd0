"""Tokens that others made: every format gives the corpus that the same tokens give as text; damage is one line."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gemstones.errors import InvalidRequest, UserError
from gemstones.train.corpus import Corpus, InvalidCorpus, Options, build, import_tokens

Documents = list[list[int]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus made of text, 60 documents."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(60):
        (folder / f"{number:03d}.txt").write_text(
            f"Document {number} tells of {number * 37} things — in words. " * 30
        )
    build(
        [*sorted(folder.glob("*.txt"))], folder / "corpus", Options(vocabulary=300, validation=0.2), workers=1
    )
    return Corpus.open(folder / "corpus")


def documents(corpus: Corpus, split: str = "train") -> Documents:
    stream = np.concatenate(corpus.tokens(split)).tolist()  # type: ignore[arg-type]
    found: Documents = [[]]
    for token in stream:
        found[-1].append(token)
        if token == corpus.manifest.end_of_document:
            found.append([])
    return found[:-1]


def nanogpt(path: Path, held: Documents) -> Path:
    np.array(list(chain(*held)), dtype="<u2").tofile(path.with_suffix(".bin"))
    return path.with_suffix(".bin")


def llmc(path: Path, held: Documents) -> Path:
    header = np.zeros(256, "<i4")
    ids = list(chain(*held))
    header[:3] = 20240520, 1, len(ids)
    path.with_suffix(".bin").write_bytes(header.tobytes() + np.array(ids, "<u2").tobytes())
    return path.with_suffix(".bin")


def megatron(path: Path, held: Documents, *, code: int = 8, dtype: str = "<u2") -> Path:
    """As Megatron-LM's IndexedDatasetBuilder writes it, ends of documents left out as without --append-eod."""
    rows = [row[:-1] for row in held]
    size = np.dtype(dtype).itemsize
    path.with_suffix(".bin").write_bytes(b"".join(np.array(row, dtype).tobytes() for row in rows))
    sizes = np.array([len(row) for row in rows], "<i4")
    pointers = np.concatenate([[0], np.cumsum(sizes[:-1].astype("<i8")) * size]).astype("<i8")
    index = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, code, len(rows), len(rows) + 1)
    index += sizes.tobytes() + pointers.tobytes() + np.arange(len(rows) + 1, dtype="<i8").tobytes()
    path.with_suffix(".idx").write_bytes(index)
    return path.with_suffix(".idx")


def megatron_wide(path: Path, held: Documents) -> Path:
    return megatron(path, held, code=4, dtype="<i4").with_suffix(".bin")


def olmo(path: Path, held: Documents) -> Path:
    np.array(list(chain(*held)), dtype="<u2").tofile(path.with_suffix(".npy"))
    return path.with_suffix(".npy")


def numpy(path: Path, held: Documents) -> Path:
    np.save(path.with_suffix(".npy"), np.array(list(chain(*held)), dtype=np.int64))
    return path.with_suffix(".npy")


def parquet(path: Path, held: Documents) -> Path:
    pl.DataFrame({"id": range(len(held)), "input_ids": [row[:-1] for row in held]}).write_parquet(
        path.with_suffix(".parquet")
    )
    return path.with_suffix(".parquet")


def arrow(path: Path, held: Documents) -> Path:
    pl.DataFrame({"tokens": held}).write_ipc(path.with_suffix(".arrow"))
    return path.with_suffix(".arrow")


def saved_to_disk(path: Path, held: Documents) -> Path:
    """As `datasets.save_to_disk` writes it: streams of Arrow, and a list of them."""
    path.mkdir()
    names = []
    for number, rows in enumerate((held[:20], held[20:])):
        names.append(f"data-{number:05d}-of-00002.arrow")
        frame = pl.DataFrame({"input_ids": rows}, schema={"input_ids": pl.List(pl.Int32)})
        frame.write_ipc_stream(path / names[-1])
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (path / "dataset_info.json").write_text("{}")
    return path


def dictionary_of_splits(path: Path, held: Documents) -> Path:
    path.mkdir()
    saved_to_disk(path / "train", held)
    (path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    return path


FORMATS = [
    nanogpt,
    llmc,
    megatron,
    megatron_wide,
    olmo,
    numpy,
    parquet,
    arrow,
    saved_to_disk,
    dictionary_of_splits,
]


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_the_corpus_of_the_text(
    source: Corpus, tmp_path: Path, write: Callable[[Path, Documents], Path]
) -> None:
    train = write(tmp_path / "train", documents(source))
    held = write(tmp_path / "val", documents(source, "validation"))
    made = import_tokens(
        [train], tmp_path / "corpus", Options(), tokenizer=source.tokenizer, validation_paths=[held]
    ).corpus
    assert made.fingerprint == source.fingerprint
    one, other = made.manifest.validation, source.manifest.validation
    # Text that was decoded is the text: bits per byte are those of the corpus made of it.
    assert (one.documents, one.bytes, one.tokens) == (other.documents, other.bytes, other.tokens)
    assert made.manifest.train.documents == source.manifest.train.documents
    made.verify()


def test_documents_are_held_out_by_their_hash_wherever_they_are(source: Corpus, tmp_path: Path) -> None:
    rows = documents(source)
    options = Options(validation=0.3)
    forwards = import_tokens(
        [parquet(tmp_path / "a", rows)], tmp_path / "one", options, tokenizer=source.tokenizer
    ).corpus
    backwards = import_tokens(
        [parquet(tmp_path / "b", rows[::-1])], tmp_path / "two", options, tokenizer=source.tokenizer
    ).corpus
    held = sorted(documents(forwards, "validation"))
    assert held == sorted(documents(backwards, "validation"))
    assert 0 < len(held) < len(rows)
    assert sorted(held + documents(forwards)) == sorted(rows)


def test_a_stream_without_ends_is_cut_for_some_of_it_to_be_held_out(source: Corpus, tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(1, 250, 500_000)
    ids[ids == source.manifest.end_of_document] = 1
    ids.astype("<u2").tofile(tmp_path / "stream.bin")
    made = import_tokens(
        [tmp_path / "stream.bin"], tmp_path / "corpus", Options(), tokenizer=source.tokenizer
    ).corpus
    assert made.total("train") + made.total("validation") == len(ids)
    assert made.total("validation") == 65_536 or made.total("validation") == len(ids) % 65_536


def test_calling_it_again_does_nothing_and_other_tokens_are_refused(source: Corpus, tmp_path: Path) -> None:
    rows = documents(source)
    first = nanogpt(tmp_path / "a", rows)
    call = {"tokenizer": source.tokenizer}
    assert import_tokens([first], tmp_path / "corpus", Options(), **call).made
    assert not import_tokens([first], tmp_path / "corpus", Options(), **call).made
    nanogpt(tmp_path / "a", rows[1:])
    with pytest.raises(InvalidRequest, match="holds a corpus of other text"):
        import_tokens([first], tmp_path / "corpus", Options(), **call)


def cut(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def broken_index(path: Path, damage: Callable[[bytes], bytes]) -> Path:
    index = megatron(path, [[1, 2, 3, 0]] * 5)
    index.write_bytes(damage(index.read_bytes()))
    return index


def lists_elsewhere(path: Path) -> Path:
    path.mkdir()
    (path / "state.json").write_text('{"_data_files": [{"filename": "../../etc/passwd"}]}')
    return path


def frame(path: Path, **columns: Any) -> Path:
    pl.DataFrame(columns).write_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


DAMAGE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "odd": (lambda p: cut(p.with_suffix(".bin"), b"123"), "has 3 bytes, no whole number of 2-byte ids"),
    "wide": (
        lambda p: cut(p.with_suffix(".bin"), b"\xff\xff" * 9),
        "has the token id 65535, and the tokenizer has 0 to",
    ),
    "negative": (lambda p: frame(p, tokens=[[1, -5]]), "has the token id -5, and the tokenizer has 0 to"),
    "empty": (lambda p: cut(p.with_suffix(".bin"), b""), "no token was found"),
    "missing": (lambda p: p / "nowhere", "does not exist: name files or folders of tokens"),
    "nothing": (
        lambda p: (p.mkdir(), p)[1],
        "holds no file of tokens: .arrow, .bin, .npy, .parquet are read",
    ),
    "pickle": (
        lambda p: (np.save(p.with_suffix(".npy"), np.array([{}], dtype=object)), p.with_suffix(".npy"))[1],
        "is no array of NumPy's: ",
    ),
    "floats": (
        lambda p: (np.save(p.with_suffix(".npy"), np.ones(3)), p.with_suffix(".npy"))[1],
        "is an array of float64: token ids are whole numbers",
    ),
    "index cut": (lambda p: broken_index(p, lambda content: content[:40]), "is no index of Megatron's: "),
    "index other": (
        lambda p: broken_index(p, lambda content: b"x" + content[1:]),
        "is no index of Megatron's: ",
    ),
    "index type": (
        lambda p: broken_index(p, lambda content: content[:17] + b"\x63" + content[18:]),
        "is no index of Megatron's: version 1 with numbers of type 99",
    ),
    "data cut": (
        lambda p: cut(broken_index(p, lambda content: content).with_suffix(".bin"), b"12"),
        "has 2 bytes, fewer than ",
    ),
    "no column": (
        lambda p: frame(p, text=["a"]),
        "has none of the columns input_ids, tokens, token_ids, ids",
    ),
    "no list": (
        lambda p: frame(p, tokens=[1, 2]),
        "has Int64 in 'tokens': token ids are lists of whole numbers",
    ),
    "gap": (lambda p: frame(p, tokens=[[1, None, 2]]), "has a row in 'tokens' with a gap in its ids"),
    "no parquet": (lambda p: cut(p.with_suffix(".parquet"), b"PAR1 no"), "cannot be read: "),
    "elsewhere": (lists_elsewhere, "lists '../../etc/passwd', which is not in it"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_one_line(source: Corpus, tmp_path: Path, what: str) -> None:
    make, rule = DAMAGE[what]
    with pytest.raises(UserError) as caught:
        import_tokens([make(tmp_path / "tokens")], tmp_path / "corpus", Options(), tokenizer=source.tokenizer)
    assert rule in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "corpus").exists()


def test_a_file_is_not_both_trained_on_and_held_out(source: Corpus, tmp_path: Path) -> None:
    file = nanogpt(tmp_path / "a", documents(source))
    with pytest.raises(InvalidRequest, match="is both trained on and held out"):
        import_tokens([file], tmp_path / "c", Options(), tokenizer=source.tokenizer, validation_paths=[file])
    with pytest.raises(InvalidCorpus, match="no tokens were given"):
        import_tokens([], tmp_path / "c", Options(), tokenizer=source.tokenizer)
