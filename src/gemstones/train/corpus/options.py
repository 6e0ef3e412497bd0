"""What a corpus is made with, beside the text and a given tokenizer."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gemstones.errors import InvalidRequest
from gemstones.runs.one_line import one_line
from gemstones.train.corpus.json_text import BadLines
from gemstones.train.corpus.tokenizer import check_trained_vocabulary

DEFAULT_VALIDATION = 0.01

Positive = Annotated[int, Meta(ge=1)]


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What decides a corpus of given text.

    `vocabulary` is that of the tokenizer to train, None when one is given. Documents whose hash is below
    `validation` as a fraction are held out, or, with `validation_tokens`, those of the lowest hashes until
    there are so many tokens. `end_of_document` names a token of a given tokenizer, where it has an unusual one.
    """

    vocabulary: Positive | None = None
    validation: Annotated[float, Meta(ge=0, lt=1)] | None = None
    validation_tokens: Positive | None = None
    field: str = "text"
    bad_lines: BadLines = "refuse"
    end_of_document: str | None = None
    pad_vocabulary_to_multiple: Positive = 64
    shard_tokens: Positive = 50_000_000
    tokens: str = ""
    """Of a corpus that was imported: the type of the ids of raw streams."""


def checked(options: Options, *, tokenizer_given: bool) -> Options:
    """The same with defaults filled in; raises `InvalidRequest` for options that make no sense."""
    try:
        options = msgspec.convert(msgspec.to_builtins(options), Options)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"option out of range: {one_line(error)}") from None
    if tokenizer_given == (options.vocabulary is not None):
        given = "not both" if tokenizer_given else "and neither is"
        raise InvalidRequest(
            "either a vocabulary, to train a tokenizer of that size on this text, or the file of a tokenizer must be "
            f"given, {given}: choose --vocabulary or --tokenizer"
        )
    if options.vocabulary is not None:
        check_trained_vocabulary(options.vocabulary)
        if options.end_of_document is not None:
            raise InvalidRequest(
                "end_of_document names a token of a given tokenizer: a trained one has its own"
            )
    if options.validation is not None and options.validation_tokens is not None:
        raise InvalidRequest("validation and validation_tokens say the same in two ways: give one")
    if options.validation is None and options.validation_tokens is None:
        return msgspec.structs.replace(options, validation=DEFAULT_VALIDATION)
    return options
