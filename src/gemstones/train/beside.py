"""Corpora beside the run's own: held-out sets, of which the validation split is evaluated, and sources of a mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gemstones.design.corpora import VALIDATION, HeldOut, Source
from gemstones.design.field_errors import under
from gemstones.design.spec import RunSpec
from gemstones.errors import InvalidRequest
from gemstones.train.corpus import Corpus, Mixture, batch, epochs_needed, windows
from gemstones.train.corpus.manifest import SplitName
from gemstones.train.corpus.read import Batch


@dataclass(frozen=True)
class Texts:
    """What a run reads."""

    corpus: Corpus
    held_out: Mapping[str, Corpus] = field(default_factory=dict)
    """Other held-out sets, by name."""
    mixture: Mixture | None = None
    """Trained on in the place of the corpus's training split."""

    def batch(
        self, seed: int, step: int, batch_sequences: int, context: int, rows: slice = slice(None)
    ) -> Batch:
        """The training batch of `step` (from 0), or the `rows` of it."""
        if self.mixture is not None:
            return self.mixture.batch(seed, step, batch_sequences, context, rows)
        return batch(self.corpus, seed, step, batch_sequences, context, rows)

    def epochs_needed(self, tokens: int, context: int) -> float:
        """How often a run of `tokens` reads what it is trained on; of a mixture, the source that is read most often."""
        if self.mixture is not None:
            return self.mixture.epochs_needed(tokens, context)
        return epochs_needed(self.corpus, tokens, context)


def open_held_out(corpus: Corpus, folders: Mapping[str, Path | str], context: int) -> dict[str, Corpus]:
    """The held-out sets in `folders`, by name.

    `InvalidRequest` names the set whose tokens are not those of `corpus`, or that is too small for one window.
    """
    return _opened(corpus, folders, context, "validation", "held_out")


def open_sources(corpus: Corpus, folders: Mapping[str, Path | str], context: int) -> dict[str, Corpus]:
    """The sources of mixtures in `folders`, by name, with the same errors."""
    return _opened(corpus, folders, context, "train", "sources")


def _opened(
    corpus: Corpus, folders: Mapping[str, Path | str], context: int, split: SplitName, table: str
) -> dict[str, Corpus]:
    found = {}
    for name, folder in folders.items():
        with under(f"{table}.{name}"):
            opened = Corpus.open(folder)
            if opened.manifest.tokenizer.sha256 != corpus.manifest.tokenizer.sha256:
                raise InvalidRequest(
                    f"{folder} has another tokenizer than {corpus.folder}: build it with --tokenizer {corpus.tokenizer}"
                )
            windows(opened, split, context)
        found[name] = opened
    return found


def fingerprints(opened: Mapping[str, Corpus]) -> dict[str, str]:
    """By name."""
    return {name: corpus.fingerprint for name, corpus in opened.items()}


def check_held_out(spec: RunSpec, found: Mapping[str, Corpus]) -> None:
    """Refuse sets that are not those that the run was planned with."""
    _check(spec.held_out, found, "evaluated on", "held_out")


def mixture_of(spec: RunSpec, found: Mapping[str, Corpus]) -> Mixture | None:
    """The mixture of the run, None if it has none; refused if its sources are not those that it was planned with."""
    _check(spec.mixture, found, "trained on", "sources")
    if not spec.mixture:
        return None
    corpora = tuple(found[source.name] for source in spec.mixture)
    return Mixture(corpora, tuple(source.weight for source in spec.mixture))


def _check(planned: Sequence[HeldOut | Source], found: Mapping[str, Corpus], done: str, table: str) -> None:
    for one in planned:
        if one.name not in found:
            raise InvalidRequest(
                f"the run is {done} {one.name} too, and its folder names no such corpus: call `gemstones suite run` "
                "again, which restores it"
            )
        corpus = found[one.name]
        if one.fingerprint and corpus.fingerprint != one.fingerprint:
            raise InvalidRequest(
                f"{table}.{one.name}: {corpus.folder} has fingerprint {corpus.fingerprint[:12]}, the run was "
                f"planned with {one.fingerprint[:12]}: put that corpus back, or plan the suite again"
            )


def bytes_per_token(corpus: Corpus, held_out: Mapping[str, Corpus]) -> dict[str, float]:
    """UTF-8 bytes of text over tokens, ends of documents included, of the whole held-out split of each set."""
    splits = {VALIDATION: corpus, **held_out}
    return {name: of.manifest.validation.bytes / of.manifest.validation.tokens for name, of in splits.items()}
