"""Held-out sets: text in files and folders, or the held-out split of a corpus of ours, as documents.

Files are read as `gemstones corpus build` reads them: JSON lines, HTML, Parquet, plain text, packed or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gemstones.errors import InvalidRequest
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.documents import BinaryFileError, Reading, documents_of
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.manifest import MANIFEST
from gemstones.train.corpus.sources import find_sources
from gemstones.train.corpus.tokenizer import parse_tokenizer

if TYPE_CHECKING:
    from gemstones.train.corpus import Corpus

Ids: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TextSet:
    """A held-out set: its documents as text, none of them empty."""

    name: str
    location: str
    sha256: str
    """Of what decides the documents."""
    documents: tuple[str, ...]
    bytes: int
    """Of UTF-8, of all documents."""
    corpus_tokenizer: str = ""
    """SHA-256 of the tokenizer.json of a corpus; empty for text."""
    corpus_ids: tuple[Ids, ...] = ()
    """Of a corpus: what its own tokenizer made of the documents."""
    notes: tuple[str, ...] = ()


def named_sets(given: Sequence[str]) -> dict[str, Path]:
    """Paths by name, of `--corpus`s like wiki=text/wiki; a path without a name is called by its own.

    >>> named_sets(["wiki=text/wiki", "books.jsonl"])
    {'wiki': PosixPath('text/wiki'), 'books': PosixPath('books.jsonl')}
    """
    found: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals:
            name, path = Path(text).name.partition(".")[0], text
        if not (name.strip() and path.strip()) or not name.isprintable():
            raise InvalidRequest(
                f"corpus {one_line(text)!r} must be a name and a text: write it like wiki=text/wiki.jsonl"
            )
        if name in found:
            raise InvalidRequest(f"corpus {one_line(name)!r} is given twice: write another name before the =")
        found[name] = Path(path)
    return found


def read_set(name: str, path: Path, field: str = "text") -> TextSet:
    """The documents of files and folders, or those held out by a corpus of `gemstones corpus build`.

    Raises `InvalidCorpus` for what cannot be read and for text without a document.
    """
    if (path / MANIFEST).is_file():
        from gemstones.train.corpus import Corpus

        return _of_corpus(name, Corpus.open(path))
    sources = find_sources([path], exclude=path / ".none")
    reading, texts, skipped = Reading(field), [], []
    for file in sources.files:
        try:
            texts += [text for text in documents_of(file.path, reading) if text.strip()]
        except BinaryFileError as error:
            skipped.append(f"{one_line(file.path, 60)} ({error})")
    if not texts:
        why = f": {skipped[0]}" if skipped else ""
        raise InvalidCorpus(f"holds no document{why}: name a file or a folder of text", file=path)
    # As a corpus is built: a lone surrogate is no UTF-8.
    documents = tuple(text.encode("utf-8", "replace").decode() for text in texts)
    notes = (f"set {name}: {len(skipped)} files without text left out, like {skipped[0]}",) if skipped else ()
    return TextSet(
        name,
        str(path),
        hashlib.sha256(f"{field}\n{sources.key}".encode()).hexdigest(),
        documents,
        sum(len(text.encode()) for text in documents),
        notes=notes,
    )


def _of_corpus(name: str, corpus: Corpus) -> TextSet:
    """The held-out split, decoded by the corpus's own tokenizer."""
    split, end = corpus.manifest.validation, corpus.manifest.end_of_document
    corpus.verify(("validation",))
    if not split.tokens:
        raise InvalidCorpus("holds nothing out: build it with --validation", file=corpus.folder)
    stream = np.concatenate([np.asarray(shard) for shard in corpus.tokens("validation")]).astype(np.int32)
    ids = tuple(part for part in np.split(stream, np.flatnonzero(stream == end) + 1) if len(part))
    tokenizer = parse_tokenizer(corpus.tokenizer.read_bytes(), corpus.tokenizer)
    texts = tokenizer.decode_batch([part[part != end].tolist() for part in ids], skip_special_tokens=False)
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    notes = []
    if size != split.bytes:
        notes.append(
            f"set {name}: decoded, it has {size:,} bytes and not the {split.bytes:,} of its text, so other "
            "tokenizers than its own see slightly another text: give the text itself to them"
        )
    return TextSet(
        name,
        str(corpus.folder),
        corpus.fingerprint,
        tuple(texts),
        split.bytes,
        corpus.manifest.tokenizer.sha256,
        ids,
        tuple(notes),
    )
