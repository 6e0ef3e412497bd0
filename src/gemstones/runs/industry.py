"""Industry models: their shapes, and their losses on the validation data of the Gemstones (Figures 5 and 8).

Published beside the runs, as columns of equal length. A loss is per token of the model's *own* tokenizer: one with
more words takes fewer tokens for a text and loses more on each, so a loss compares with those of the Gemstones,
whose vocabulary has 50,304, in order of magnitude only.
"""

from __future__ import annotations

import msgspec

from gemstones.errors import InvalidTable
from gemstones.runs.fetch import ENTRIES, Entry, fetch
from gemstones.runs.one_line import one_line


class IndustryModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One open-weights model."""

    name: str
    """On the Hugging Face hub: `meta-llama/Llama-2-7b-hf`."""
    params_total: int
    """A matrix that is embedding and head at once counted once."""
    params_no_embedding: int
    """Without one matrix of vocabulary x width: of a model whose embedding is its head, without both."""
    width: int
    depth: int
    vocabulary: int
    loss: float
    """On the validation data of the Gemstones, in nats per token of the model's own tokenizer."""

    @property
    def short_name(self) -> str:
        """The name without the owner and the hub's suffix: `Llama-2-7b`."""
        return self.name.rpartition("/")[2].removesuffix("-hf")

    @property
    def aspect_ratio(self) -> float:
        """Width over depth."""
        return self.width / self.depth


class _Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The published file; columns in the order of a model's fields."""

    hf_name: tuple[str, ...]
    params: tuple[int, ...]
    non_emb_params: tuple[int, ...]
    width: tuple[int, ...]
    depth: tuple[int, ...]
    vocab_size: tuple[int, ...]
    loss: tuple[float, ...]


def load_industry() -> tuple[IndustryModel, ...]:
    """Published models with their parameters, tokens and losses, in the file's order.

    Raises `InvalidTable` for a file that is not what was published, `Unavailable` where it cannot be had.

    >>> len(load_industry())  # doctest: +SKIP
    """
    entry = ENTRIES["industry-losses"]
    return parse_industry(fetch(entry).read_bytes(), entry)


def parse_industry(text: bytes, entry: Entry) -> tuple[IndustryModel, ...]:
    """The models of a file's text, every one of them checked; `entry` says what the file is."""
    try:
        columns = msgspec.json.decode(text, type=_Columns)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidTable(one_line(error), file=entry.name) from None
    by_field = msgspec.structs.astuple(columns)
    lengths = {len(column) for column in by_field}
    if lengths != {entry.rows}:
        raise InvalidTable(
            f"has columns of {', '.join(map(str, sorted(lengths)))} values, expected {entry.rows} of each",
            file=entry.name,
        )
    models = tuple(IndustryModel(*row) for row in zip(*by_field, strict=True))
    for number, model in enumerate(models, start=1):
        if (broken := _broken_rule(model)) is not None:
            raise InvalidTable(f"{one_line(model.name, 60)}: {broken}", file=entry.name, row=number)
    return models


def _broken_rule(model: IndustryModel) -> str | None:
    """What is wrong with a model, if anything is."""
    numbers = (model.params_no_embedding, model.width, model.depth, model.vocabulary)
    if min(numbers) < 1 or not 0 < model.loss < 20:
        return "width, depth, vocabulary, parameters and loss must be positive, the loss below 20 nats"
    embedding = model.params_total - model.params_no_embedding
    if embedding != model.vocabulary * model.width:
        return f"{embedding:,} parameters of embedding are not vocabulary x width"
    return None
