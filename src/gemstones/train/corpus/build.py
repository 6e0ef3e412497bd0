"""Documents → a corpus, in steps that are each taken up where an interruption left them.

    sources → extract (tasks) → split → tokenizer → encode (units) → shards → manifest

The result depends on the text, the tokenizer and the options: not on the number of workers, nor on how often
the work was interrupted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from gemstones.errors import InvalidRequest, UserError
from gemstones.files import read_bytes, trouble
from gemstones.train.corpus import workers as pool
from gemstones.train.corpus.encode import (
    EncodeUnit,
    encode_unit,
    read_counts,
    unit_bounds,
)
from gemstones.train.corpus.errors import ChangedWhileReadError, InvalidCorpus
from gemstones.train.corpus.extract import SkippedFile, extract, extract_tasks, read_index, write_whole
from gemstones.train.corpus.finish import Built, Progress, finish, write_splits
from gemstones.train.corpus.manifest import (
    Manifest,
    Skipped,
    Source,
    TokenizerFile,
    dtype_for,
)
from gemstones.train.corpus.opened import Corpus
from gemstones.train.corpus.options import Options, checked
from gemstones.train.corpus.sources import MOST_NAMED, Sources, find_sources, hash_lines
from gemstones.train.corpus.split import (
    Documents,
    Mask,
    cut_single,
    hold_out,
    read_documents,
    training_sample,
)
from gemstones.train.corpus.tokenizer import (
    TOKENIZER,
    Vocabulary,
    parse_tokenizer,
    pieces,
    require_tokenizers,
    train_tokenizer,
    vocabulary_of,
)
from gemstones.train.corpus.work import Request, discard, is_finished, locked, take_up

SAMPLE_BYTES = 200_000_000
"""Text to train a tokenizer on: its merges change little beyond."""


class _Sized(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def is_done(self) -> bool: ...


_Task = TypeVar("_Task", bound=_Sized)


def build(
    paths: Sequence[Path | str],
    output: Path | str,
    options: Options,
    *,
    tokenizer: Path | str | None = None,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Built:
    """The corpus of the documents at `paths`, in the folder `output`.

    Call it again after an interruption, however rude, with the same arguments: it continues, and the corpus
    is the same, byte for byte. A corpus that is finished is left as it is. `progress` is told the step and
    how much of it is done, from 0 to 1.
    Raises `InvalidRequest` for options that make no sense, for a folder that holds something else (`force`
    replaces another corpus, never files of other kinds) or is being built, and `InvalidCorpus` for text.
    """
    output, say = Path(output), progress or (lambda what, done: None)
    options = checked(options, tokenizer_given=tokenizer is not None)
    if workers < 1:
        raise InvalidRequest(f"workers {workers} must be at least 1")
    version = require_tokenizers()
    given = None if tokenizer is None else read_tokenizer(Path(tokenizer), options)
    sources = find_sources(
        [Path(p) for p in paths], exclude=output, progress=lambda done: say("hashing", done)
    )
    request = Request(sources.key, None if given is None else hashlib.sha256(given).hexdigest(), options)
    with locked(output):
        if is_finished(output, request, force=force):
            corpus = Corpus.open(output)
            discard(output)
            return Built(corpus, made=False)
        work = take_up(output, request, force=force)
        try:
            manifest = _make(work, output, sources, options, given, version, workers, say)
        except (UserError, ChangedWhileReadError):
            # The text or the options must change, or have: nothing here serves others.
            discard(output)
            raise
        return finish(work, output, (work / TOKENIZER).read_bytes(), manifest)


def _make(
    work: Path,
    output: Path,
    sources: Sources,
    options: Options,
    given: bytes | None,
    version: str,
    workers: int,
    say: Progress,
) -> Manifest:
    tasks = extract_tasks(work, sources.files, options.field, options.bad_lines)
    _run(extract, tasks, workers, lambda done: say("reading", done))
    documents = read_documents(work, len(tasks))
    if not len(documents):
        raise InvalidCorpus(
            f"no text was found: {documents.binary} files are binary, {documents.empty} documents are empty"
        )
    indices = [read_index(work, task.number) for task in tasks]
    alone = len(documents) == 1 and bool(options.validation)
    notes = ["the only document was cut at a line: its last part is held out for validation"] if alone else []
    if as_text := [name for index in indices for name in index.as_text]:
        named = ", ".join(as_text[:3]) + (f" and {len(as_text) - 3} more" if len(as_text) > 3 else "")
        notes.append(
            f"{len(as_text)} files of JSON without the field {options.field!r} are plain text: {named}"
        )
    if alone:
        documents = cut_single(documents, work, options.validation or 0.0)
    held: Mask = np.array([False, True]) if alone else hold_out(documents, options)[0]

    sha256, vocabulary = _tokenizer_in(work, documents, held, options, given, say)
    if options.vocabulary is not None and vocabulary.size < options.vocabulary:
        notes.append(f"the text gives a vocabulary of {vocabulary.size}, {options.vocabulary} were asked for")

    dtype, bounds = dtype_for(vocabulary.size), unit_bounds(documents.length)
    units = [
        EncodeUnit(work, i, documents.part(first, end), sha256, vocabulary.end_of_document, dtype)
        for i, (first, end) in enumerate(bounds)
    ]
    _run(encode_unit, units, workers, lambda done: say("tokenising", done))
    if not alone:
        counts = np.concatenate([read_counts(work, unit.number) for unit in units])
        held, said = hold_out(documents, options, counts)
        notes += said

    return write_splits(
        work,
        output,
        held,
        documents.length,
        bounds,
        tokenizer=TokenizerFile(TOKENIZER, sha256, trained=given is None),
        vocabulary=vocabulary,
        options=options,
        version=version,
        say=say,
        duplicates=documents.duplicates,
        skipped=Skipped(documents.binary, documents.empty, sources.irregular),
        bad_lines=sum(index.bad_lines for index in indices),
        skipped_bytes=sum(file.bytes for index in indices for file in index.skipped),
        skipped_files=_largest(
            [
                *(file for index in indices for file in index.skipped),
                *(SkippedFile(path, 0, "no file and no folder") for path in sources.irregular_paths),
            ]
        ),
        sources=described(sources),
        sources_key=sources.key,
        notes=tuple(notes),
    )


def _run(
    work: Callable[[_Task], None], tasks: Sequence[_Task], workers: int, say: Callable[[float], None]
) -> None:
    """Do what is left of the tasks."""
    total = max(1, sum(task.size for task in tasks))
    remaining = [task for task in tasks if not task.is_done]
    done = total - sum(task.size for task in remaining)
    say(done / total)
    for task in pool.run(work, remaining, workers):
        done += task.size
        say(done / total)


def read_tokenizer(file: Path, options: Options) -> bytes:
    """The content of the tokenizer's file, known to be one that has an end of document."""
    try:
        content = read_bytes(file)
    except OSError as error:
        raise trouble(error, f"tokenizer {file} cannot be read") from None
    vocabulary_of(parse_tokenizer(content, file), options.end_of_document)
    return content


def _tokenizer_in(
    work: Path, documents: Documents, held: Mask, options: Options, given: bytes | None, say: Progress
) -> tuple[str, Vocabulary]:
    """The SHA-256 and the vocabulary of the tokenizer in `work`, put there now if it is not yet."""
    file = work / TOKENIZER
    if not file.exists():
        if given is None:
            assert options.vocabulary is not None
            texts = _sample(work, documents, held, lambda done: say("training the tokenizer", done))
            given = train_tokenizer(texts, options.vocabulary).encode()
        write_whole(file, given)
    content = file.read_bytes()
    return hashlib.sha256(content).hexdigest(), vocabulary_of(
        parse_tokenizer(content, file), options.end_of_document
    )


def _sample(work: Path, documents: Documents, held: Mask, say: Callable[[float], None]) -> Iterator[str]:
    chosen = training_sample(documents, held, SAMPLE_BYTES)
    for i, number in enumerate(chosen.tolist()):
        yield from pieces(documents.read(work, number))
        say((i + 1) / len(chosen))


def _largest(skipped: list[SkippedFile]) -> tuple[SkippedFile, ...]:
    return tuple(sorted(skipped, key=lambda file: (-file.bytes, file.path))[:MOST_NAMED])


def described(sources: Sources) -> tuple[Source, ...]:
    """As a manifest has them."""
    return tuple(
        Source(
            path=path,
            files=len(files),
            bytes=sum(file.size for file in files),
            sha256=hash_lines(f"{os.path.relpath(file.path, path)} {file.key}" for file in files),
        )
        for path, files in sources.given
    )
