"""The tokenizer of a corpus: a given `tokenizer.json`, or a byte-level BPE trained on its training documents.

Byte-level BPE (Radford et al., 2019): every text can be encoded and is decoded exactly. Trained again on the
same documents by the same release of `tokenizers`, it is the same file, byte for byte.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gemstones.errors import InvalidRequest, extra
from gemstones.runs.one_line import one_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER: Literal["tokenizer.json"] = "tokenizer.json"

END_OF_DOCUMENT = "<|endoftext|>"

ENDS_OF_DOCUMENT = (END_OF_DOCUMENT, "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[SEP]")
"""Looked for in this order where nothing is said: GPT-2 and NeoX, Llama 3, Llama 2, Gemma, others, BERT."""

FEWEST_TRAINED = 256 + 1
"""One id for every byte, and the end of document."""

MOST_TRAINED = 1_000_000

PIECE_CHARACTERS = 1 << 20
"""Encoded at once: a `tokenizers` encoding takes about 115 bytes a character (measured), so 120 MB at most."""


LONGEST_WORD = 2_000
"""Characters of a run without a space, or of spaces alone, that training takes as a word. Merging takes the square of
a word's length: 200,000 letters in a row took half a minute, and nothing in a language is as long as this."""
_LONG_RUN = re.compile(rf"(?<!\S)\S{{{LONGEST_WORD + 1},}}|(?<!\s)\s{{{LONGEST_WORD + 1},}}")
POLL_SECONDS = 0.1
LEAVING_SECONDS = 1.0


@dataclass(frozen=True)
class Vocabulary:
    """What the ids of a tokenizer are; `size` is one more than the largest."""

    size: int
    end_of_document: int
    end_of_document_token: str


def require_tokenizers() -> str:
    """The version of `tokenizers`; raises `MissingExtra` where it is not installed."""
    with extra("train", "tokenising"):
        import tokenizers
    return str(tokenizers.__version__)


def parse_tokenizer(content: bytes, file: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, for encoding text as it is: nothing is cut, padded or added.

    Raises `InvalidRequest`, which names `file`, for content that is not a tokenizer.
    """
    require_tokenizers()
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # tokenizers raises no narrower class
        raise InvalidRequest(f"tokenizer {file} is not a tokenizer.json: {one_line(error)}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # Text that spells a special token is text: only we may end a document.
    tokenizer.encode_special_tokens = True
    return tokenizer


def vocabulary_of(tokenizer: Tokenizer, end_of_document: str | None = None) -> Vocabulary:
    """The vocabulary, with the token that ends a document: the named one, or the first known.

    Raises `InvalidRequest` where the tokenizer has no such token.
    """
    candidates = ENDS_OF_DOCUMENT if end_of_document is None else (end_of_document,)
    for token in candidates:
        number = tokenizer.token_to_id(token)
        if number is not None:
            # Ids may have holes: their number is not the largest.
            size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
            return Vocabulary(size, number, token)
    raise InvalidRequest(
        f"the tokenizer has no token {' or '.join(candidates)} to end a document: name its own with "
        "--end-of-document"
    )


def check_trained_vocabulary(vocabulary: int) -> None:
    """Raises `InvalidRequest` for a vocabulary that cannot be trained."""
    if not FEWEST_TRAINED <= vocabulary <= MOST_TRAINED:
        raise InvalidRequest(
            f"vocabulary {vocabulary} must be from {FEWEST_TRAINED} (256 bytes and {END_OF_DOCUMENT}) "
            f"to {MOST_TRAINED}"
        )


def train_tokenizer(documents: Iterable[str], vocabulary: int) -> str:
    """A byte-level BPE of at most `vocabulary` ids, as the text of its tokenizer.json.

    Id 0 ends a document, 1 to 256 are bytes, the rest merges; few documents may not give enough of them. Runs of
    more than 2,000 characters without a space, or of spaces, are broken, here and not where text is encoded. Can be
    interrupted: the work is done in a thread.
    """
    check_trained_vocabulary(vocabulary)
    require_tokenizers()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_DOCUMENT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    broken = (part for text in documents for part in unbroken(text))
    _interruptible(lambda texts: tokenizer.train_from_iterator(texts, trainer), broken)
    return str(tokenizer.to_str(pretty=True)) + "\n"


def unbroken(text: str) -> Iterator[str]:
    """`text` in parts, cut within runs of more than `LONGEST_WORD` characters without a space, or of spaces alone."""
    start = 0
    for run in _LONG_RUN.finditer(text):
        for cut in range(run.start() + LONGEST_WORD, run.end(), LONGEST_WORD):
            yield text[start:cut]
            start = cut
    yield text[start:]


def _interruptible(work: Callable[[Iterator[str]], None], texts: Iterator[str]) -> None:
    """`work(texts)` in a thread: Python serves signals in this one, which the library would keep from doing so."""
    gone = threading.Event()
    failed: list[BaseException] = []

    def given() -> Iterator[str]:
        for text in texts:
            if gone.is_set():
                raise InterruptedError
            yield text

    def run() -> None:
        try:
            work(given())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="train-tokenizer")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL_SECONDS)
    except BaseException:
        gone.set()
        thread.join(LEAVING_SECONDS)
        raise
    if failed:
        raise failed[0]


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of one document, without its end.

    Documents of over a million characters are encoded in pieces that end with a line, to bound memory.
    """
    ids: list[int] = []
    for piece in pieces(text):
        # The batch call without offsets is faster than the call for one text.
        (encoding,) = tokenizer.encode_batch_fast([piece], add_special_tokens=False)
        ids += encoding.ids
    return ids


def pieces(text: str, longest: int = PIECE_CHARACTERS) -> Iterable[str]:
    """`text` in pieces of at most `longest` characters, cut after the last line end or space in reach."""
    start = 0
    while len(text) - start > longest:
        cut = text.rfind("\n", start, start + longest) + 1 or text.rfind(" ", start, start + longest)
        # No line end and no space in a million characters: not prose, cut anywhere.
        end = cut if cut > start else start + longest
        yield text[start:end]
        start = end
    yield text[start:]
