"""The corpora of a run beside its own, by name: held-out sets, and the sources of a mixture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from gemstones.errors import InvalidRequest

VALIDATION = "validation"
"""Name of the held-out split of the corpus itself, whose loss is the `loss` of a run."""


class HeldOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A held-out set beside that of the corpus: the validation split of another corpus with the same tokenizer."""

    name: str
    """As it stands in the columns `loss_NAME` and `bits_per_byte_NAME`: of a-z, 0-9 and _."""
    fingerprint: str = ""
    """Of that corpus; nothing until it is known."""

    def __post_init__(self) -> None:
        check_set(self.name)
        if self.name == VALIDATION:
            raise InvalidRequest(
                f"name: {VALIDATION} is the corpus's own held-out split: choose another name"
            )


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a mixture: the training split of a corpus with the tokenizer of the run's, and its weight."""

    name: str
    """Of a-z, 0-9 and _."""
    weight: float
    """Positive, in any unit."""
    fingerprint: str = ""
    """Of that corpus; nothing until it is known."""

    def __post_init__(self) -> None:
        check_set(self.name)
        msgspec.structs.force_setattr(self, "weight", float(self.weight))
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise InvalidRequest(f"weight: {self.weight!r} must be positive and finite")


def check_set(name: str) -> None:
    """Refuse what cannot name a held-out set or a source."""
    if not re.fullmatch("[a-z][a-z0-9_]{0,31}", name):
        raise InvalidRequest(
            f"name: {name!r} must begin with a letter of a-z, go on with a-z, 0-9 and _, and have at most 32"
        )


def check_corpora(held_out: Sequence[HeldOut], mixture: Sequence[Source]) -> None:
    """Refuse a name that is there twice, and a source of too little weight; both are in the order of their names."""
    for field, names in (
        ("held_out", [one.name for one in held_out]),
        ("mixture", [source.name for source in mixture]),
    ):
        for before, after in pairwise(names):
            if before == after:
                raise InvalidRequest(f"{field}: {after} is there twice: leave one out")
    total = sum(source.weight for source in mixture)
    for source in mixture:
        if source.weight < total / 1024:
            raise InvalidRequest(
                f"mixture: {source.name} has {source.weight / total:.2g} of the weight: sources are mixed by "
                "1,024 sequences, give it one of them or leave it out"
            )
