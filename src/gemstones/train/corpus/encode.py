"""Documents → their tokens, in units of about 4 MB of text that do not depend on the number of workers.

A unit leaves `tokens-N.bin`, the documents' tokens, each document's end after it, and then, as the record
that the first is whole, `tokens-N.counts`: tokens of each document, its end included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gemstones.train.corpus.extract import whole_file, write_whole
from gemstones.train.corpus.split import Documents, Ints
from gemstones.train.corpus.tokenizer import TOKENIZER, encode, parse_tokenizer, pieces

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNIT_BYTES = 4 << 20
"""Some seconds of work: what an interruption may lose."""

UNIT_DOCUMENTS = 1 << 16


@dataclass(frozen=True)
class EncodeUnit:
    """Encode `documents` with the tokenizer in `folder`, leave the tokens there as number `number`."""

    folder: Path
    number: int
    documents: Documents
    tokenizer_sha256: str
    end_of_document: int
    dtype: Literal["uint16", "uint32"]

    @property
    def size(self) -> int:
        """How much there is to do, in bytes."""
        return int(self.documents.length.sum())

    @property
    def is_done(self) -> bool:
        """Whether its record is there."""
        return counts_path(self.folder, self.number).exists()


def unit_bounds(length: Ints) -> list[tuple[int, int]]:
    """First document and the one after the last, of every unit: at most 4 MiB of text, but for one document."""
    bounds, first, size = [], 0, 0
    for i, n in enumerate(length.tolist()):
        if i > first and (size + n > UNIT_BYTES or i - first >= UNIT_DOCUMENTS):
            bounds.append((first, i))
            first, size = i, 0
        size += n
    return [*bounds, (first, len(length))]


def tokens_path(folder: Path, number: int) -> Path:
    """The tokens of a unit."""
    return folder / f"tokens-{number:06d}.bin"


def counts_path(folder: Path, number: int) -> Path:
    """The record that they are whole."""
    return folder / f"tokens-{number:06d}.counts"


def read_counts(folder: Path, number: int) -> Ints:
    """Tokens of each document of a unit that is done."""
    return np.fromfile(counts_path(folder, number), dtype=np.int64)


def encode_unit(unit: EncodeUnit) -> None:
    """Do one unit."""
    tokenizer = _tokenizer(unit.folder, unit.tokenizer_sha256)
    dtype = np.dtype(unit.dtype).newbyteorder("<")
    counts = np.empty(len(unit.documents), dtype=np.int64)
    with whole_file(tokens_path(unit.folder, unit.number)) as output:
        for i in range(len(unit.documents)):
            counts[i] = 1
            for piece in pieces(unit.documents.read(unit.folder, i)):
                ids = encode(tokenizer, piece)
                output.write(np.array(ids, dtype=dtype).tobytes())
                counts[i] += len(ids)
            output.write(np.array([unit.end_of_document], dtype=dtype).tobytes())
    write_whole(counts_path(unit.folder, unit.number), counts.tobytes())


@lru_cache(maxsize=1)
def _tokenizer(folder: Path, sha256: str) -> Tokenizer:
    # The hash is part of the key: another build in this process may have another tokenizer at this path.
    file = folder / TOKENIZER
    return parse_tokenizer(file.read_bytes(), file)
