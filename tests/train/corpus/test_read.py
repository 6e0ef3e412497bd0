"""Windows, their order, and batches: every token once per epoch, everything a pure function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstones.errors import InvalidRequest
from gemstones.train.corpus import (
    Corpus,
    batch,
    epochs_needed,
    order,
    sequences,
    validation_windows,
    windows,
)
from tests.train.corpus.conftest import stream


@given(st.integers(1, 5000), st.integers(-(2**63), 2**64), st.integers(0, 10**6))
def test_an_order_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    found = order(seed, epoch, count)(np.arange(count))
    assert np.array_equal(np.sort(found), np.arange(count))


@given(st.integers(2**33, 2**60), st.data())
def test_a_large_order_stays_within_bounds_and_never_repeats(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, count - 4096))
    found = order(1, 0, count)(np.arange(first, first + 4096))
    assert len(set(found.tolist())) == 4096
    assert 0 <= found.min() <= found.max() < count


def test_orders_differ_by_seed_epoch_and_count() -> None:
    orders = {
        tuple(order(seed, epoch, count)(np.arange(20)).tolist())
        for seed in range(5)
        for epoch in range(5)
        for count in (1000, 1001)
    }
    assert len(orders) == 50
    assert order(3, 4, 1000) == order(3, 4, 1000)


@pytest.mark.parametrize("count", [8, 1000, 4096])
@pytest.mark.long
def test_orders_are_spread_evenly(count: int) -> None:
    """Where position p goes, over 1,600 seeds: chi-squared over 8 bins, 7 degrees of freedom."""
    for position in (0, 1, count - 1):
        found = np.array([int(order(seed, 0, count)(position)) for seed in range(1600)])
        bins = np.bincount(found * 8 // count, minlength=8)
        assert ((bins - 200) ** 2 / 200).sum() < 35  # p below 1e-5


@pytest.mark.parametrize("shift", [0, 3, 6, 9])
def test_how_two_positions_differ_is_spread_evenly(shift: int) -> None:
    """Three bits of the difference between the first two windows: chi-squared, 7 degrees of freedom."""
    pairs = np.array([order(seed, 0, 4096)(np.array([0, 1])) for seed in range(1600)])
    bins = np.bincount(((pairs[:, 0] ^ pairs[:, 1]) >> shift) & 7, minlength=8)
    assert ((bins - 200) ** 2 / 200).sum() < 35


def test_neighbours_are_torn_apart() -> None:
    found = order(0, 0, 10_000)(np.arange(10_000))
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.05


def test_positions_outside_an_epoch() -> None:
    for position in (-1, 10):
        with pytest.raises(IndexError):
            order(0, 0, 10)(position)
    with pytest.raises(ValueError, match="no order"):
        order(0, 0, 0)


@given(context=st.integers(1, 1500), split=st.sampled_from(["train", "validation"]))
def test_windows_cover_the_stream_once(corpus: Corpus, context: int, split: str) -> None:
    tokens = stream(corpus, split)
    if len(tokens) < context + 1:
        with pytest.raises(InvalidRequest, match=f"{split} split .* fewer than one window of {context + 1}"):
            windows(corpus, split, context)  # type: ignore[arg-type]
        return
    count = windows(corpus, split, context)  # type: ignore[arg-type]
    rows = sequences(corpus, split, np.arange(count), context)  # type: ignore[arg-type]
    assert (rows.shape, rows.dtype) == ((count, context + 1), np.int64)
    assert rows[:, 1:].ravel().tolist() == tokens[1 : count * context + 1]  # each predicted once
    assert rows[:, 0].tolist() == tokens[0 : count * context : context]
    assert len(tokens) - (count * context + 1) < context  # what is left is less than a window


def test_one_window_and_those_that_do_not_exist(corpus: Corpus) -> None:
    count = windows(corpus, "train", 300)
    for index in (0, 3, count - 1):  # 3 spans the first two shards of 1,000
        expected = stream(corpus, "train")[index * 300 : index * 300 + 301]
        assert sequences(corpus, "train", np.array([index]), 300)[0].tolist() == expected
    for index in (-1, count):
        with pytest.raises(IndexError):
            sequences(corpus, "train", np.array([index]), 300)


@pytest.mark.long
@given(context=st.integers(5, 200), size=st.integers(1, 40), seed=st.integers(0, 9))
def test_an_epoch_of_batches_is_every_window_once(corpus: Corpus, context: int, size: int, seed: int) -> None:
    count = windows(corpus, "train", context)
    steps = -(-2 * count // size)
    rows = np.concatenate([batch(corpus, seed, step, size, context) for step in range(steps)])
    every = sequences(corpus, "train", np.arange(count), context)
    expected = sorted(every.tolist())
    assert sorted(rows[:count].tolist()) == expected
    assert sorted(rows[count : 2 * count].tolist()) == expected
    if count > 20:
        assert rows[:count].tolist() != rows[count : 2 * count].tolist()  # in another order


def test_a_batch_is_a_pure_function(corpus: Corpus) -> None:
    again = Corpus.open(corpus.folder)
    late = batch(corpus, 1, 10**9, 8, 32)
    assert np.array_equal(batch(again, 1, 10**9, 8, 32), late)
    assert not np.array_equal(batch(corpus, 2, 10**9, 8, 32), late)
    assert not np.array_equal(batch(corpus, 1, 10**9 + 1, 8, 32), late)
    # Ranks read their rows only, and together they read the batch.
    parts = [batch(again, 1, 10**9, 8, 32, rows=slice(rank, None, 2)) for rank in range(2)]
    assert np.array_equal(np.stack(parts, 1).reshape(8, 33), late)
    # Larger batches read the same windows sooner.
    assert np.array_equal(batch(corpus, 1, 3, 4, 32), batch(corpus, 1, 1, 8, 32)[4:])


def test_epochs_needed(corpus: Corpus) -> None:
    count = windows(corpus, "train", 64)
    assert epochs_needed(corpus, count * 64, 64) == 1
    assert epochs_needed(corpus, count * 160, 64) == 2.5


def test_validation_windows(corpus: Corpus) -> None:
    count = windows(corpus, "validation", 16)
    assert validation_windows(corpus, 16).tolist() == list(range(count))
    some = validation_windows(corpus, 16, 10)
    assert len(set(some.tolist())) == 10 and some[0] == 0 and some[-1] >= count * 0.8
    assert np.array_equal(some, validation_windows(Corpus.open(corpus.folder), 16, 10))
    assert len(validation_windows(corpus, 16, 10**9)) == count
    for context, limit in ((0, None), (16, 0)):
        with pytest.raises(InvalidRequest):
            validation_windows(corpus, context, limit)
