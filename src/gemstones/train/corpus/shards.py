"""Units of tokens → the shards of a split: one stream, cut where a shard is full."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from gemstones.train.corpus.encode import read_counts, tokens_path
from gemstones.train.corpus.extract import whole_file
from gemstones.train.corpus.manifest import Shard, Split, SplitName, shard_name
from gemstones.train.corpus.split import Ints, Mask

Tokens: TypeAlias = "np.ndarray[tuple[int], np.dtype[Any]]"


def write_split(
    work: Path,
    output: Path,
    name: SplitName,
    chosen: Mask,
    length: Ints,
    units: list[tuple[int, int]],
    *,
    dtype: Literal["uint16", "uint32"],
    shard_tokens: int,
    progress: Callable[[float], None],
) -> Split:
    """The tokens of the `chosen` documents as shards in `output`; `units` are bounds of documents."""
    number_format = np.dtype(dtype).newbyteorder("<")
    whole = hashlib.sha256()

    def pieces() -> Iterable[Tokens]:
        for number, (first, end) in enumerate(units):
            tokens = np.fromfile(tokens_path(work, number), dtype=number_format)
            kept = tokens[np.repeat(chosen[first:end], read_counts(work, number))]
            whole.update(kept.tobytes())
            yield kept
            progress((number + 1) / len(units))

    shards: list[Shard] = []
    for tokens in cut(pieces(), shard_tokens):
        file = shard_name(name, len(shards))
        content = b"".join(piece.tobytes() for piece in tokens)
        # In the work folder until it is whole: an interruption leaves nothing strange beside the shards.
        with whole_file(work / file) as shard:
            shard.write(content)
        (work / file).replace(output / file)
        shards.append(
            Shard(file, len(content) // number_format.itemsize, hashlib.sha256(content).hexdigest())
        )
    return Split(
        documents=int(chosen.sum()),
        tokens=sum(shard.tokens for shard in shards),
        bytes=int(length[chosen].sum()),
        sha256=whole.hexdigest(),
        shards=tuple(shards),
    )


def cut(pieces: Iterable[Tokens], most: int) -> Iterable[list[Tokens]]:
    """The stream of `pieces` in groups of exactly `most` tokens, but for the last; none is empty."""
    group: list[Tokens] = []
    room = most
    for piece in pieces:
        rest = piece
        while len(rest) >= room:
            yield [*group, rest[:room]]
            rest, group, room = rest[room:], [], most
        if len(rest):
            group.append(rest)
            room -= len(rest)
    if group:
        yield group
