"""What a corpus is: `manifest.json`, written last, so a folder that has one is whole.

The fingerprint covers what decides the tokens that a run sees: tokenizer, number format, vocabulary, and
every split as one stream. It depends neither on where the text was nor on how the streams are cut in files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from gemstones.files import read_bytes, unreadable
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.extract import SkippedFile
from gemstones.train.corpus.options import Options, Positive

MANIFEST = "manifest.json"

SplitName = Literal["train", "validation"]
SPLITS: tuple[SplitName, ...] = ("train", "validation")

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """One path that was given, as it was written; the hash is over the names, kinds and hashes of its files."""

    path: str
    files: Count
    bytes: Count
    sha256: Sha256


class Skipped(Struct, frozen=True, forbid_unknown_fields=True):
    """Files without text, documents without any, and what is neither file nor folder."""

    binary: Count = 0
    empty: Count = 0
    irregular: Count = 0


class Shard(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of tokens; a document may begin in one shard and end in the next."""

    # Names are joined to the folder: nothing in a manifest may point elsewhere.
    file: Annotated[str, Meta(pattern=r"^(train|validation)-[0-9]{5,}\.bin$")]
    tokens: Positive
    sha256: Sha256


class Split(Struct, frozen=True, forbid_unknown_fields=True):
    """One stream of tokens: its shards in order. `bytes` are of UTF-8 text; `sha256` is of the whole stream."""

    documents: Count
    tokens: Count
    bytes: Count
    sha256: Sha256
    shards: tuple[Shard, ...]


class TokenizerFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The tokenizer beside the shards."""

    file: Literal["tokenizer.json"]
    sha256: Sha256
    trained: bool


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A finished corpus. `vocabulary` counts ids that tokens can have, `vocabulary_padded` rows of a model."""

    format: Literal[1] = 1
    tokenizer: TokenizerFile
    dtype: Literal["uint16", "uint32"]
    vocabulary: Positive
    vocabulary_padded: Positive
    end_of_document: Count
    end_of_document_token: str
    documents: Count
    duplicates: Count
    skipped: Skipped
    bad_lines: Count = 0
    """Of JSON, left out because they cannot be read (`options.bad_lines`)."""
    skipped_bytes: Count = 0
    """Of the files of `sources`, that gave no text: of binary files, and of bad lines."""
    skipped_files: tuple[SkippedFile, ...] = ()
    """These, the largest first; of many, the first hundred."""
    train: Split
    validation: Split
    sources: tuple[Source, ...]
    sources_key: Sha256
    options: Options
    notes: tuple[str, ...]
    made_with: dict[str, str]
    fingerprint: Sha256

    @property
    def skipped_share(self) -> float:
        """Of the bytes of `sources`, those that gave no text."""
        return self.skipped_bytes / max(1, sum(source.bytes for source in self.sources))

    def split(self, name: SplitName) -> Split:
        """Of that name."""
        return self.train if name == "train" else self.validation

    @property
    def bytes_per_token(self) -> int:
        """Of the shards: 2 or 4."""
        return 2 if self.dtype == "uint16" else 4

    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        splits = {name: self.split(name) for name in SPLITS}
        return {
            "documents": self.documents,
            "duplicates": self.duplicates,
            "skipped": msgspec.to_builtins(self.skipped),
            "bad_lines": self.bad_lines,
            "skipped_bytes": self.skipped_bytes,
            "skipped_share": self.skipped_share,
            "skipped_files": msgspec.to_builtins(self.skipped_files),
            "documents_by_split": {name: split.documents for name, split in splits.items()},
            "tokens": {name: split.tokens for name, split in splits.items()},
            "bytes": {name: split.bytes for name, split in splits.items()},
            "shards": {name: len(split.shards) for name, split in splits.items()},
            "vocabulary": self.vocabulary,
            "vocabulary_padded": self.vocabulary_padded,
            "end_of_document": self.end_of_document,
            "dtype": self.dtype,
            "tokenizer": msgspec.to_builtins(self.tokenizer),
            "options": msgspec.to_builtins(self.options),
            "sources": msgspec.to_builtins(self.sources),
            "notes": list(self.notes),
            "fingerprint": self.fingerprint,
        }


def fingerprint_of(manifest: Manifest) -> str:
    """SHA-256 over what decides the tokens that a run sees."""
    content = {
        "tokenizer": manifest.tokenizer.sha256,
        "dtype": manifest.dtype,
        "vocabulary": manifest.vocabulary,
        "vocabulary_padded": manifest.vocabulary_padded,
        "end_of_document": manifest.end_of_document,
        "train": [manifest.train.tokens, manifest.train.sha256],
        "validation": [manifest.validation.tokens, manifest.validation.sha256],
    }
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def encode_manifest(manifest: Manifest) -> bytes:
    """As it is written."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of `folder`, its numbers held against each other.

    Raises `InvalidCorpus` where there is none, or one that cannot be.
    """
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(read_bytes(path), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        what = "is not a finished corpus" if folder.exists() else "does not exist"
        raise InvalidCorpus(f"{what}: make one with `gemstones corpus build`", file=folder) from None
    except OSError as error:
        raise unreadable(error, InvalidCorpus, file=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidCorpus(f"is not a manifest: {one_line(error)}", file=path) from None
    for rule in _broken(manifest):
        raise InvalidCorpus(rule, file=path)
    return manifest


def _broken(manifest: Manifest) -> list[str]:
    rules = []
    for name in SPLITS:
        split = manifest.split(name)
        if sum(shard.tokens for shard in split.shards) != split.tokens:
            rules.append(f"{name} has {split.tokens} tokens, its shards another number")
        if [shard.file for shard in split.shards] != [shard_name(name, i) for i in range(len(split.shards))]:
            rules.append(f"the shards of {name} are not named in order")
    if not manifest.end_of_document < manifest.vocabulary <= manifest.vocabulary_padded:
        rules.append("end_of_document < vocabulary <= vocabulary_padded does not hold")
    if manifest.dtype != dtype_for(manifest.vocabulary):
        rules.append(f"dtype {manifest.dtype} does not go with a vocabulary of {manifest.vocabulary}")
    if manifest.fingerprint != fingerprint_of(manifest):
        rules.append("the fingerprint is that of another content: the file was changed by hand")
    return rules


def shard_name(split: SplitName, number: int) -> str:
    """Of shard `number`, counted from 0."""
    return f"{split}-{number:05d}.bin"


def dtype_for(vocabulary: int) -> Literal["uint16", "uint32"]:
    """The narrowest that holds every id: 65,536 ids fit in two bytes."""
    return "uint16" if vocabulary <= 1 << 16 else "uint32"
