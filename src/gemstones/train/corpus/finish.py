"""How every corpus ends, of text or of tokens: two splits as shards, a manifest, the tokenizer, and no work left."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gemstones.train.corpus.extract import write_whole
from gemstones.train.corpus.manifest import (
    MANIFEST,
    Manifest,
    Split,
    SplitName,
    TokenizerFile,
    dtype_for,
    encode_manifest,
    fingerprint_of,
)
from gemstones.train.corpus.opened import Corpus
from gemstones.train.corpus.options import Options
from gemstones.train.corpus.shards import write_split
from gemstones.train.corpus.split import Ints, Mask
from gemstones.train.corpus.tokenizer import TOKENIZER, Vocabulary
from gemstones.train.corpus.work import discard

FINISHED_TOKENIZER = f"finished-{TOKENIZER}"

Progress = Callable[[str, float], None]
"""Told the step, and how much of it is done, from 0 to 1."""


@dataclass(frozen=True)
class Built:
    """The corpus, and whether this call made it or found it finished."""

    corpus: Corpus
    made: bool


def write_splits(
    work: Path,
    output: Path,
    held: Mask,
    length: Ints,
    units: list[tuple[int, int]],
    *,
    tokenizer: TokenizerFile,
    vocabulary: Vocabulary,
    options: Options,
    version: str,
    say: Progress,
    **others: Any,
) -> Manifest:
    """The documents that are `held` out and those that are not as shards in `output`, and the manifest of all.

    `length` are bytes of documents, `units` bounds of documents; `version` is of the library of tokenizers.
    `others` are the remaining fields of the manifest.
    """
    dtype = dtype_for(vocabulary.size)

    def split(name: SplitName, chosen: Mask) -> Split:
        return write_split(
            work,
            output,
            name,
            chosen,
            length,
            units,
            dtype=dtype,
            shard_tokens=options.shard_tokens,
            progress=lambda done: say(f"writing {name}", done),
        )

    multiple = options.pad_vocabulary_to_multiple
    manifest = Manifest(
        tokenizer=tokenizer,
        dtype=dtype,
        vocabulary=vocabulary.size,
        vocabulary_padded=-(-vocabulary.size // multiple) * multiple,
        end_of_document=vocabulary.end_of_document,
        end_of_document_token=vocabulary.end_of_document_token,
        documents=len(held),
        train=split("train", ~held),
        validation=split("validation", held),
        options=options,
        made_with={"python": platform.python_version(), "tokenizers": version},
        fingerprint="0" * 64,
        **others,
    )
    return msgspec.structs.replace(manifest, fingerprint=fingerprint_of(manifest))


def finish(work: Path, output: Path, tokenizer: bytes, manifest: Manifest) -> Built:
    """Tokenizer and manifest in `output`, the manifest last, and what is left of the work thrown away."""
    # A copy: an interruption from here on must find the tokenizer that the tokens were made with.
    write_whole(work / FINISHED_TOKENIZER, tokenizer)
    (work / FINISHED_TOKENIZER).replace(output / TOKENIZER)
    write_whole(work / MANIFEST, encode_manifest(manifest))
    (work / MANIFEST).replace(output / MANIFEST)
    discard(output)
    return Built(Corpus.open(output), made=True)
