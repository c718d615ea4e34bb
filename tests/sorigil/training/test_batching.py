"""The plan of an epoch: every row once, within the limit, the same for the same seed, and local to the buffers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.training.batching import plan_batches, takes_part

LENGTHS = st.lists(st.floats(0.05, 30.0), min_size=1, max_size=120).map(np.array)


@given(LENGTHS, st.floats(1.0, 100.0), st.integers(0, 5), st.integers(0, 30), st.integers(1, 9))
def test_each_row_is_in_exactly_one_batch_and_batches_stay_within_the_limit(
    seconds: np.ndarray, batch_seconds: float, seed: int, epoch: int, group_size: int
) -> None:
    groups = np.arange(len(seconds)) // group_size
    for given_groups in (None, groups):
        batches = plan_batches(seconds, batch_seconds, seed, epoch, given_groups, buffer_groups=3)
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(seconds)))
        for batch in batches:
            assert len(batch) == 1 or len(batch) * seconds[batch].max() <= batch_seconds


@given(LENGTHS, st.integers(0, 1000))
def test_the_plan_depends_on_seed_and_epoch_only(seconds: np.ndarray, seed: int) -> None:
    first, again = (plan_batches(seconds, 20.0, seed, 3) for _ in range(2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in again]


def test_epochs_and_seeds_differ() -> None:
    seconds = np.random.default_rng(0).uniform(1, 2, 200)
    plans = {str([b.tolist() for b in plan_batches(seconds, 10.0, seed, epoch)]) for seed in (0, 1) for epoch in (0, 1)}
    assert len(plans) == 4


def test_a_buffer_holds_whole_groups_and_is_mixed_through() -> None:
    seconds = np.random.default_rng(0).uniform(1, 2, 1000)
    groups = np.arange(1000) // 25
    batches = plan_batches(seconds, 20.0, seed=1, epoch=0, groups=groups, buffer_groups=4)
    order = np.concatenate(batches)
    buffers = [set(groups[order[start : start + 100]].tolist()) for start in range(0, 1000, 100)]
    assert all(len(buffer) == 4 for buffer in buffers)  # four groups are read for each hundred rows, no more
    assert set.union(*buffers) == set(range(40))
    assert np.mean([len(set(groups[batch].tolist())) for batch in batches]) > 2.5  # of four that a batch can mix


def test_rows_of_a_batch_are_of_similar_length_and_batches_come_in_random_order() -> None:
    seconds = np.random.default_rng(0).uniform(1, 20, 2000)
    batches = plan_batches(seconds, 100.0, seed=0, epoch=0)
    padded = sum(len(batch) * seconds[batch].max() for batch in batches)
    assert padded < 1.25 * seconds.sum()  # without buckets it is near 1.9
    longest = [seconds[batch].max() for batch in batches]
    assert abs(np.corrcoef(np.arange(len(longest)), longest)[0, 1]) < 0.3


def test_nothing_gives_no_batches() -> None:
    assert plan_batches(np.array([]), 10.0, 0, 0) == []


def test_a_share_of_the_rows_takes_part_and_another_one_in_the_next_epoch() -> None:
    shares = np.r_[np.ones(1000), np.full(4000, 0.3)]
    epochs = [takes_part(shares, 7, epoch) for epoch in range(20)]
    assert all(epoch[:1000].all() for epoch in epochs)
    often = np.sum(epochs, axis=0)[1000:]
    assert often.mean() / 20 == pytest.approx(0.3, abs=0.01)
    assert often.min() < 3 and often.max() > 9  # not the same rows every time
    np.testing.assert_array_equal(takes_part(shares, 7, 3), epochs[3])
