"""A corpus as it is read: the manifest, and its shards as memory maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.manifest import SPLITS, Manifest, Shard, SplitName, read_manifest
from gemstones.train.corpus.sources import sha256_of
from gemstones.train.corpus.verify import verify as verify_shards

TokenMap: TypeAlias = "np.memmap[tuple[int], np.dtype[np.uint16 | np.uint32]]"

REMEDY = "build the corpus again with --force"


@dataclass(frozen=True)
class Corpus:
    """A finished corpus in `folder`; nothing of it is in memory until it is read."""

    folder: Path
    manifest: Manifest
    _maps: Mapping[SplitName, tuple[TokenMap, ...]] = field(repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path | str, *, verify: bool = False) -> Corpus:
        """The corpus in `folder`.

        The manifest, the tokenizer's hash and the size of every shard are checked; with `verify`, every shard is
        read, and its hash and token ids are too. Raises `InvalidCorpus` for the first thing that is not as the
        manifest says.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        tokenizer = folder / manifest.tokenizer.file
        _check_present(tokenizer)
        _check_hash(tokenizer, manifest.tokenizer.sha256)
        maps: dict[SplitName, tuple[TokenMap, ...]] = {}
        for name in SPLITS:
            maps[name] = tuple(_map(folder, shard, manifest) for shard in manifest.split(name).shards)
        if verify:
            verify_shards(folder, manifest, again=True)
        return cls(folder, manifest, maps)

    def verify(
        self, splits: Sequence[SplitName] = SPLITS, say: Callable[[str], None] = lambda message: None
    ) -> None:
        """Read the shards of `splits`, unless this machine has, and raise `InvalidCorpus` where they are not right."""
        verify_shards(self.folder, self.manifest, splits, say=say)

    @property
    def fingerprint(self) -> str:
        """Of what decides the tokens that a run sees."""
        return self.manifest.fingerprint

    @property
    def vocabulary(self) -> int:
        """Rows of a model's embedding: padding included."""
        return self.manifest.vocabulary_padded

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file."""
        return self.folder / self.manifest.tokenizer.file

    def tokens(self, split: SplitName) -> list[TokenMap]:
        """The shards of a split, in order: together they are one stream."""
        return list(self._maps[split])

    def total(self, split: SplitName) -> int:
        """Tokens of a split, ends of documents included."""
        return self.manifest.split(split).tokens


def _map(folder: Path, shard: Shard, manifest: Manifest) -> TokenMap:
    path = folder / shard.file
    _check_present(path)
    size, expected = path.stat().st_size, shard.tokens * manifest.bytes_per_token
    if size != expected:
        raise InvalidCorpus(f"has {size} bytes, the manifest says {expected}: {REMEDY}", file=path)
    # Little-endian whatever the machine.
    return np.memmap(path, dtype=np.dtype(manifest.dtype).newbyteorder("<"), mode="r")


def _check_present(path: Path) -> None:
    if not path.is_file():
        raise InvalidCorpus(f"is missing: {REMEDY}", file=path)


def _check_hash(path: Path, expected: str) -> None:
    found = sha256_of(path)
    if found != expected:
        raise InvalidCorpus(f"has SHA-256 {found}, the manifest says {expected}: {REMEDY}", file=path)
