"""Mixtures: exact shares, every window of a source once in its epoch, and a pure function of (seed, step)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstones.train.corpus import Corpus, Mixture, Options, batch, build, windows
from gemstones.train.corpus.mixture import BLOCK, quotas

CONTEXT = 16


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, ...]:
    """Three corpora, of letters, figures and signs, with one tokenizer."""
    folder = tmp_path_factory.mktemp("mixture")
    for name, words in (("letters", "abcdefgh"), ("figures", "01234567"), ("signs", "+-*/<>=!")):
        (folder / name).mkdir()
        for number in range(12):
            start = number % 8
            (folder / name / f"{number}.txt").write_text((words[start:] + words[:start]) * (20 + number))
    build([folder / "letters"], folder / "c-letters", Options(vocabulary=257, validation=0.2), workers=1)
    tokenizer = folder / "c-letters" / "tokenizer.json"
    for name in ("figures", "signs"):
        build([folder / name], folder / f"c-{name}", Options(validation=0.2), tokenizer=tokenizer, workers=1)
    return tuple(Corpus.open(folder / f"c-{name}") for name in ("letters", "figures", "signs"))


def sources_of(corpora: tuple[Corpus, ...], rows: np.ndarray) -> list[int]:  # type: ignore[type-arg]
    """Which corpus each sequence is of."""
    seen = [set(np.concatenate(corpus.tokens("train")).tolist()) for corpus in corpora]
    end = corpora[0].manifest.end_of_document
    return [next(i for i, ids in enumerate(seen) if set(row.tolist()) - {end} <= ids) for row in rows]


def test_of_every_1024_sequences_each_source_has_its_share(corpora: tuple[Corpus, ...]) -> None:
    mixture = Mixture(corpora, (3.0, 2.0, 1.0))
    rows = np.concatenate([mixture.batch(0, step, 64, CONTEXT) for step in range(32)])
    found = sources_of(corpora, rows)
    for block in (found[:BLOCK], found[BLOCK:]):
        assert tuple(block.count(i) for i in range(3)) == mixture.quotas == (512, 341, 171)
    assert found[:BLOCK] != found[BLOCK:]
    # Well mixed: no source is missing for long.
    assert all(len(set(found[at : at + 64])) == 3 for at in range(0, len(found), 64))


def test_the_sequences_of_a_source_are_those_it_has_alone(corpora: tuple[Corpus, ...]) -> None:
    mixture = Mixture(corpora, (3.0, 2.0, 1.0))
    rows = np.concatenate([mixture.batch(5, step, 64, CONTEXT) for step in range(16)])
    found = np.array(sources_of(corpora, rows))
    for i, corpus in enumerate(corpora):
        alone = batch(corpus, 5, 0, mixture.quotas[i], CONTEXT)
        assert sorted(map(tuple, rows[found == i].tolist())) == sorted(map(tuple, alone.tolist()))
        epochs = mixture.quotas[i] / windows(corpus, "train", CONTEXT)
        assert mixture.epochs_needed(BLOCK * CONTEXT, CONTEXT) >= epochs


def test_one_source_is_the_corpus(corpora: tuple[Corpus, ...]) -> None:
    rows = np.concatenate([Mixture(corpora[:1], (7.0,)).batch(0, step, 64, CONTEXT) for step in range(16)])
    alone = batch(corpora[0], 0, 0, BLOCK, CONTEXT)
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, alone.tolist()))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([1, 2, 4]))
def test_ranks_have_slices_of_one_batch(
    corpora: tuple[Corpus, ...], seed: int, step: int, ranks: int
) -> None:
    mixture = Mixture(corpora, (0.2, 0.3, 0.5))
    whole = mixture.batch(seed, step, 8, CONTEXT)
    share = 8 // ranks
    parts = [mixture.batch(seed, step, 8, CONTEXT, slice(r * share, (r + 1) * share)) for r in range(ranks)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(mixture.batch(seed, step, 8, CONTEXT), whole)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12))
def test_quotas_are_within_one_of_the_weights(weights: list[float]) -> None:
    found = quotas(weights)
    assert sum(found) == BLOCK
    assert all(abs(q - BLOCK * w / sum(weights)) < 1 for q, w in zip(found, weights, strict=True))
