"""Held-out sets beside the corpus's own: other corpora, of which the validation split is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gemstones.design.field_errors import under
from gemstones.design.spec import VALIDATION, RunSpec
from gemstones.errors import InvalidRequest
from gemstones.train.corpus import Corpus, windows


def open_held_out(corpus: Corpus, folders: Mapping[str, Path | str], context: int) -> dict[str, Corpus]:
    """The corpora in `folders`, by the names of the sets.

    `InvalidRequest` names the set whose tokens are not those of `corpus`, or that is too small for one window.
    """
    found = {}
    for name, folder in folders.items():
        with under(f"held_out.{name}"):
            opened = Corpus.open(folder)
            if opened.manifest.tokenizer.sha256 != corpus.manifest.tokenizer.sha256:
                raise InvalidRequest(
                    f"{folder} has another tokenizer than {corpus.folder}: build it with --tokenizer {corpus.tokenizer}"
                )
            windows(opened, "validation", context)
        found[name] = opened
    return found


def check_held_out(spec: RunSpec, found: Mapping[str, Corpus]) -> None:
    """Refuse sets that are not those that the run was planned with."""
    for held_out in spec.held_out:
        if held_out.name not in found:
            raise InvalidRequest(
                f"the run is evaluated on {held_out.name} too, and its folder names no such set: call `gemstones suite "
                "run` again, which restores it"
            )
        corpus = found[held_out.name]
        if held_out.fingerprint and corpus.fingerprint != held_out.fingerprint:
            raise InvalidRequest(
                f"held_out.{held_out.name}: {corpus.folder} has fingerprint {corpus.fingerprint[:12]}, the run was "
                f"planned with {held_out.fingerprint[:12]}: put that corpus back, or plan the suite again"
            )


def bytes_per_token(corpus: Corpus, held_out: Mapping[str, Corpus]) -> dict[str, float]:
    """UTF-8 bytes of text over tokens, ends of documents included, of the whole held-out split of each set."""
    splits = {VALIDATION: corpus, **held_out}
    return {name: of.manifest.validation.bytes / of.manifest.validation.tokens for name, of in splits.items()}
