"""Which documents there are, which are duplicates, and which are held out: all by the hash of their text.

A document's place in 0..1 is the first 8 bytes of its SHA-256 over 2^64. With a fraction, those below it
are held out, so a document stays on its side whatever is added to the corpus; of a small corpus, more are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from gemstones.errors import InvalidRequest
from gemstones.train.corpus.extract import Index, read_index, text_path
from gemstones.train.corpus.options import Options

Ints: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"
Hashes: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.void]]"
Mask: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool_]]"

LEAST_BYTES = 1 << 16
"""Of text held out by a fraction, some 25,000 tokens, unless that is more than a tenth of all."""
BYTES_PER_TOKEN = 8
"""More than any tokenizer reaches on average: so many bytes are kept from its training per held-out token."""


@dataclass(frozen=True)
class Documents:
    """Documents in the order of the corpus, each once: where its text is, and its hash."""

    text: Ints
    offset: Ints
    length: Ints
    hashes: Hashes
    duplicates: int
    binary: int
    empty: int

    def __len__(self) -> int:
        return len(self.length)

    def part(self, first: int, end: int) -> Documents:
        """Some consecutive ones."""
        bounds = slice(first, end)
        return replace(
            self,
            text=self.text[bounds],
            offset=self.offset[bounds],
            length=self.length[bounds],
            hashes=self.hashes[bounds],
        )

    def places(self) -> Ints:
        """The first 8 bytes of the hashes, as they compare (uint64)."""
        words = np.frombuffer(self.hashes.tobytes(), dtype=">u8").reshape(-1, 4)
        first: Ints = words[:, 0].astype(np.uint64)
        return first

    def read(self, folder: Path, i: int) -> str:
        """The text of document `i`."""
        with text_path(folder, int(self.text[i])).open("rb") as file:
            file.seek(int(self.offset[i]))
            return file.read(int(self.length[i])).decode()


def read_documents(folder: Path, tasks: int) -> Documents:
    """The documents that `tasks` tasks extracted, the first of equal ones kept."""
    indices: list[Index] = [read_index(folder, number) for number in range(tasks)]
    length = np.array([n for index in indices for n in index.lengths], dtype=np.int64)
    counts = [len(index.lengths) for index in indices]
    text = np.repeat(np.arange(tasks, dtype=np.int64), counts)
    offset = np.concatenate([_starts(index.lengths) for index in indices])
    hashes: Hashes = np.frombuffer(b"".join(index.hashes for index in indices), dtype="V32")
    kept = np.sort(np.unique(hashes, return_index=True)[1])
    return Documents(
        text[kept],
        offset[kept],
        length[kept],
        hashes[kept],
        duplicates=len(length) - len(kept),
        binary=sum(index.binary for index in indices),
        empty=sum(index.empty for index in indices),
    )


def hold_out(documents: Documents, options: Options, tokens: Ints | None = None) -> tuple[Mask, list[str]]:
    """Which documents are held out, and what is to be said of it.

    `tokens` of each document are needed for `validation_tokens`; without them the documents that may be held
    out are marked, for the tokenizer to be trained on others. Raises `InvalidRequest` where too few are left.
    """
    if options.validation_tokens is not None:
        return _hold_out_tokens(documents, options.validation_tokens, tokens), []
    places, notes = documents.places(), []
    fraction = options.validation or 0.0
    held = places < np.uint64(int(fraction * 2.0**64))
    if fraction > 0:
        more = _lowest(documents, min(LEAST_BYTES, int(documents.length.sum()) // 10))
        if (more & ~held).any():
            held |= more
            notes.append(
                f"{fraction:.3g} of the documents is little text to judge by: more were held out, by lowest hash"
            )
    if fraction > 0 and not held.any() and len(documents) > 1:
        held[np.argmin(places)] = True
        notes.append(
            "no document was in the validation fraction by its hash: the one of the lowest was taken"
        )
    if held.all():
        held[np.argmax(places)] = False
        notes.append("every document was in the validation fraction: the one of the highest hash was left")
    return held, notes


def _lowest(documents: Documents, most_bytes: int) -> Mask:
    """The documents of the lowest hashes that have no more than `most_bytes` of text together."""
    ascending = np.argsort(documents.places(), kind="stable")
    chosen = np.zeros(len(documents), dtype=np.bool_)
    chosen[ascending[np.cumsum(documents.length[ascending]) <= most_bytes]] = True
    return chosen


def _hold_out_tokens(documents: Documents, wanted: int, tokens: Ints | None) -> Mask:
    ascending = np.argsort(documents.places(), kind="stable")
    bytes_before = np.cumsum(documents.length[ascending]) - documents.length[ascending]
    eligible = bytes_before < min(BYTES_PER_TOKEN * wanted, documents.length.sum() // 2)
    eligible[-1] = False  # something must be left to train on
    held = np.zeros(len(documents), dtype=np.bool_)
    if tokens is None:
        held[ascending[eligible]] = True
        return held
    tokens_before = np.cumsum(tokens[ascending]) - tokens[ascending]
    chosen = ascending[eligible & (tokens_before < wanted)]
    if tokens[chosen].sum() < wanted:
        raise InvalidRequest(
            f"validation_tokens {wanted} is more than the {tokens[chosen].sum()} that can be held out of these "
            "documents: ask for fewer, or give more text"
        )
    held[chosen] = True
    return held


def cut_single(documents: Documents, folder: Path, fraction: float) -> Documents:
    """A corpus of one document as two, cut at a line end: the second is about `fraction` of it, to hold out.

    Raises `InvalidRequest` where there is no such line end.
    """
    content = documents.read(folder, 0).encode()
    cut = content.rfind(b"\n", 0, int(len(content) * (1 - fraction))) + 1
    parts = (content[:cut], content[cut:])
    if not all(part.strip() for part in parts):
        raise InvalidRequest(
            "the only document has no line end to cut it at for validation: give more documents, or "
            "--validation 0"
        )
    return replace(
        documents,
        text=np.repeat(documents.text, 2),
        offset=documents.offset + np.array([0, cut]),
        length=np.array([len(part) for part in parts], dtype=np.int64),
        hashes=np.frombuffer(b"".join(hashlib.sha256(part).digest() for part in parts), dtype="V32"),
    )


def training_sample(documents: Documents, held: Mask, most_bytes: int) -> Ints:
    """Documents to train a tokenizer on: not held out, and of these so many by hash as have `most_bytes`."""
    train = np.flatnonzero(~held)
    total = int(documents.length[train].sum())
    if total <= most_bytes:
        return train
    # Bytes 8 to 15 of the hash: independent of what decides the split.
    words = np.frombuffer(documents.hashes.tobytes(), dtype=">u8").reshape(-1, 4)[train, 1]
    chosen: Ints = train[words.astype(np.uint64) < np.uint64(int(most_bytes / total * 2.0**64))]
    return chosen if len(chosen) else train[:1]


def _starts(lengths: Sequence[int]) -> Ints:
    ends: Ints = np.cumsum(np.array(lengths, dtype=np.int64))
    return ends - np.array(lengths, dtype=np.int64)
