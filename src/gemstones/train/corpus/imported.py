"""Tokens that others made → a corpus: the same shards, manifest and fingerprint as of text.

Its documents are held out by the hash of their ids, or come from files of their own. The text of what is held out is
measured by decoding it, for bits per byte; that of the training split is not, and `bytes` is 0 there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gemstones.errors import InvalidRequest, UserError
from gemstones.train.corpus.build import described, read_tokenizer
from gemstones.train.corpus.encode import counts_path, tokens_path
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.extract import whole_file, write_whole
from gemstones.train.corpus.finish import Built, Progress, finish, write_splits
from gemstones.train.corpus.manifest import (
    Manifest,
    Skipped,
    TokenizerFile,
    dtype_for,
)
from gemstones.train.corpus.opened import Corpus
from gemstones.train.corpus.options import Options, checked
from gemstones.train.corpus.sources import find_sources
from gemstones.train.corpus.split import Documents, Mask, hold_out
from gemstones.train.corpus.tokenised import DType, Ids, Reading, documents_of, token_files
from gemstones.train.corpus.tokenizer import (
    TOKENIZER,
    Vocabulary,
    parse_tokenizer,
    require_tokenizers,
    vocabulary_of,
)
from gemstones.train.corpus.work import Request, discard, is_finished, locked, take_up

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNIT_TOKENS = 1 << 22
ASSUMED_BYTES_PER_TOKEN = 4
"""Where documents are chosen to be held out: their text is not known before."""


def import_tokens(
    paths: Sequence[Path | str],
    output: Path | str,
    options: Options,
    *,
    tokenizer: Path | str,
    validation_paths: Sequence[Path | str] = (),
    dtype: DType | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Built:
    """The corpus of the tokens at `paths` (see `gemstones.train.corpus.tokenised`), in the folder `output`.

    `options.field` names the column of Parquet and Arrow. What is at `validation_paths` is held out, and nothing
    else; without it, documents by the hash of their ids. Raises `InvalidRequest` and `InvalidCorpus` as `build` does.
    """
    output, say = Path(output), progress or (lambda what, done: None)
    options = msgspec.structs.replace(checked(options, tokenizer_given=True), tokens=dtype or "narrowest")
    version = require_tokenizers()
    content = read_tokenizer(Path(tokenizer), options)
    parsed = parse_tokenizer(content, Path(tokenizer))
    vocabulary = vocabulary_of(parsed, options.end_of_document)
    train, held = ([Path(p) for p in given] for given in (paths, validation_paths))
    if not train:
        raise InvalidCorpus("no tokens were given: name files or folders")
    files = [
        [(file, given) for path in group for file in token_files(path)]
        for given, group in enumerate((train, held))
    ]
    if twice := {file.resolve() for file, _ in files[0]} & {file.resolve() for file, _ in files[1]}:
        raise InvalidRequest(f"{min(twice)} is both trained on and held out: give it once")
    # Megatron's index is a source too, whichever of the two was named.
    beside = [
        other
        for path in (*train, *held)
        for other in (path.with_suffix(".bin"), path.with_suffix(".idx"))
        if path.is_file() and other != path and path.suffix in {".bin", ".idx"} and other.is_file()
    ]
    sources = find_sources(
        [*train, *held, *beside], exclude=output, progress=lambda done: say("hashing", done)
    )
    key = hashlib.sha256(f"{sources.key} {len(files[1])}".encode()).hexdigest()
    request = Request(key, hashlib.sha256(content).hexdigest(), options)
    with locked(output):
        if is_finished(output, request, force=force):
            discard(output)
            return Built(Corpus.open(output), made=False)
        work = take_up(output, request, force=force)
        try:
            reading = Reading(
                vocabulary.size,
                vocabulary.end_of_document,
                dtype,
                "" if options.field == Options().field else options.field,
            )
            manifest = _make(
                work,
                output,
                files[0] + files[1],
                reading,
                parsed,
                tokenizer=TokenizerFile(TOKENIZER, request.tokenizer_sha256 or "", trained=False),
                vocabulary=vocabulary,
                options=options,
                version=version,
                say=say,
                sources=described(sources),
                sources_key=key,
            )
        except UserError:
            discard(output)
            raise
        return finish(work, output, content, manifest)


def _make(
    work: Path,
    output: Path,
    files: Sequence[tuple[Path, int]],
    reading: Reading,
    parsed: Tokenizer,
    *,
    vocabulary: Vocabulary,
    options: Options,
    say: Progress,
    **others: Any,
) -> Manifest:
    dtype = dtype_for(vocabulary.size)
    counts: list[int] = []
    hashes: list[bytes] = []
    given: list[bool] = []
    units: list[tuple[int, int]] = []
    for unit in _units(files, reading, say):
        number = len(units)
        with whole_file(tokens_path(work, number)) as out:
            for ids, held_out in unit:
                stored = ids.astype(np.dtype(dtype).newbyteorder("<"))
                out.write(stored.tobytes())
                counts.append(len(ids))
                hashes.append(hashlib.sha256(stored.astype("<u4").tobytes()).digest())
                given.append(held_out)
        first = units[-1][1] if units else 0
        write_whole(counts_path(work, number), np.array(counts[first:], dtype=np.int64).tobytes())
        units.append((first, len(counts)))
    if not counts:
        raise InvalidCorpus("no token was found", file=files[0][0])
    tokens = np.array(counts, dtype=np.int64)
    documents = Documents(
        text=np.zeros_like(tokens),
        offset=np.zeros_like(tokens),
        length=ASSUMED_BYTES_PER_TOKEN * tokens,
        hashes=np.frombuffer(b"".join(hashes), dtype="V32"),
        duplicates=0,
        binary=0,
        empty=0,
    )
    held: Mask = np.array(given, dtype=np.bool_)
    notes = ["the text of the training split was not measured: its bytes are not known"]
    if not held.any():
        held, said = hold_out(documents, options, tokens)
        notes += said
    length = np.zeros_like(tokens)
    for number, (first, end) in enumerate(units):
        stored = np.fromfile(tokens_path(work, number), dtype=np.dtype(dtype).newbyteorder("<"))
        ends = np.cumsum(tokens[first:end])
        for i in np.flatnonzero(held[first:end]):
            ids = stored[ends[i] - tokens[first + i] : ends[i]].tolist()
            length[first + i] = len(parsed.decode(ids).encode())

    return write_splits(
        work,
        output,
        held,
        length,
        units,
        vocabulary=vocabulary,
        options=options,
        say=say,
        duplicates=0,
        skipped=Skipped(),
        notes=tuple(notes),
        **others,
    )


def _units(
    files: Sequence[tuple[Path, int]], reading: Reading, say: Progress
) -> Iterator[list[tuple[Ids, bool]]]:
    """Documents of all files, with whether they are given as held out, some millions of tokens at a time."""
    unit: list[tuple[Ids, bool]] = []
    size = 0
    for done, (file, held_out) in enumerate(files):
        say("reading", done / len(files))
        for ids in documents_of(file, reading):
            unit.append((ids, bool(held_out)))
            size += len(ids)
            if size >= UNIT_TOKENS:
                yield unit
                unit, size = [], 0
    if unit:
        yield unit
