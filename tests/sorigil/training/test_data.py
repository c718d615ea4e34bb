"""The road from rows to batches: padding, what training alone may change, and the same for any number of workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sorigil.audio.augment import WaveAugment
from sorigil.features import LogMel
from sorigil.features.cmvn import GlobalStats
from sorigil.features.mask import FeatureMask
from sorigil.features.warp import FeatureWarp
from sorigil.training.data import Batch, Batches, Road, UtteranceDataset, collate, speaker_statistics
from sorigil.training.spec import TrainSpec

SAMPLE_RATE = 8000


@dataclass(frozen=True)
class FakeRows:
    """Noise of different lengths; its "cached features" are told apart from computed ones by their width."""

    count: int = 23

    @property
    def keys(self) -> list[str]:
        return [f"row{number}" for number in range(self.count)]

    @property
    def seconds(self) -> np.ndarray:
        return 0.1 + np.arange(self.count) / 40

    @property
    def groups(self) -> np.ndarray | None:
        return np.arange(self.count) // 6

    def samples(self, index: int) -> np.ndarray:
        size = int(self.seconds[index] * SAMPLE_RATE)
        return np.random.default_rng(index).normal(0, 0.1, size).astype(np.float32)

    def features(self, index: int) -> np.ndarray:
        return np.random.default_rng(index).normal(3, 2, (5 + index, 4)).astype(np.float32)


def dataset(spec: TrainSpec) -> UtteranceDataset:
    rows = FakeRows()
    feature = LogMel(n_fft=256, win_length=200, hop_length=80, n_mels=20)
    targets = [[1 + number % 3] * (1 + number % 4) for number in range(rows.count)]
    return UtteranceDataset(rows=rows, targets=targets, road=Road.of(spec, feature, SAMPLE_RATE))


AUDIO = TrainSpec(input="audio", wave_augment=WaveAugment(), mask=FeatureMask(), seed=5)


def equal(left: Iterable[Batch], right: Iterable[Batch]) -> bool:
    pairs = list(zip(left, right, strict=True))
    assert pairs
    return all(
        a.keys == b.keys and torch.equal(a.features_BTF, b.features_BTF) and torch.equal(a.targets_BL, b.targets_BL)
        for a, b in pairs
    )


def test_collate_pads_with_zeros_and_keeps_every_value() -> None:
    items = [dataset(TrainSpec())[(0, row)] for row in (3, 11, 0)]
    batch = collate(items)
    assert batch.keys == ("row3", "row11", "row0") and batch.rows == (3, 11, 0)
    assert batch.features_BTF.shape == (3, 16, 4) and batch.lengths_B.tolist() == [8, 16, 5]
    for place, item in enumerate(items):
        np.testing.assert_array_equal(batch.features_BTF[place, : batch.lengths_B[place]], item.features_TF)
        assert batch.features_BTF[place, batch.lengths_B[place] :].abs().sum() == 0
        assert batch.targets_BL[place, : batch.target_lengths_B[place]].tolist() == list(item.target)


def test_each_row_is_seen_once_in_an_epoch_and_only_the_chosen_ones() -> None:
    chosen = np.array([1, 4, 5, 9, 20, 21])
    batches = Batches(dataset=dataset(TrainSpec()), batch_seconds=1.0, chosen=chosen)
    for epoch in (0, 1):
        steps, read = batches.batches(epoch)
        seen = [batch.rows for batch in read]
        assert len(seen) == steps
        assert sorted(row for rows in seen for row in rows) == chosen.tolist()
    assert sorted(row for batch in batches.in_order() for row in batch.rows) == chosen.tolist()


@pytest.mark.parametrize("spec", [TrainSpec(mask=FeatureMask()), AUDIO], ids=["features", "audio"])
def test_changes_differ_between_epochs_are_repeatable_and_leave_evaluation_alone(spec: TrainSpec) -> None:
    rows = dataset(spec)
    first, second = rows[(0, 20)], rows[(1, 20)]
    assert not np.array_equal(first.features_TF, second.features_TF)
    np.testing.assert_array_equal(first.features_TF, dataset(spec)[(0, 20)].features_TF)
    plain = dataset(TrainSpec(input=spec.input))
    np.testing.assert_array_equal(rows[(-1, 20)].features_TF, plain[(-1, 20)].features_TF)
    np.testing.assert_array_equal(plain[(-1, 20)].features_TF, plain[(4, 20)].features_TF)


def test_any_number_of_workers_gives_the_same_batches() -> None:
    here = Batches(dataset=dataset(AUDIO), batch_seconds=2.0)
    there = Batches(dataset=dataset(AUDIO), batch_seconds=2.0, workers=2)
    for epoch in (0, 1):
        assert equal(here.batches(epoch)[1], there.batches(epoch)[1])
    assert equal(here.in_order(), there.in_order())


def test_reading_draws_nothing_from_the_generator_of_dropout() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(Batches(dataset=dataset(AUDIO), batch_seconds=2.0).batches(0)[1])
    assert torch.equal(before, torch.get_rng_state())


def test_global_statistics_normalise_the_training_set_not_each_item() -> None:
    rows = FakeRows()
    statistics = GlobalStats.merge_all(GlobalStats.of(rows.features(row)) for row in range(rows.count))
    road = Road.of(TrainSpec(cmvn="global"), None, SAMPLE_RATE, statistics)
    features_TF = road.finish(rows.features(7), "row7")
    np.testing.assert_allclose(features_TF, (rows.features(7) - statistics.mean) / statistics.deviation, rtol=1e-5)
    assert abs(features_TF.mean()) > 1e-3
    with pytest.raises(ValueError, match="no statistics"):
        Road(cmvn="global").finish(rows.features(7), "row7")


def test_cmvn_mean_keeps_how_much_each_feature_varies() -> None:
    stored_TF = FakeRows().features(20) * np.array([1, 2, 3, 4], np.float32) - 50
    features_TF = Road(cmvn="mean").finish(stored_TF, "row20")
    np.testing.assert_allclose(features_TF.mean(axis=0), 0, atol=1e-5)
    assert features_TF.std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(
        features_TF.std(axis=0) / stored_TF.std(axis=0), 1 / (stored_TF - stored_TF.mean(0)).std(), rtol=1e-4
    )
    assert not Road(cmvn="mean").finish(np.full((5, 4), -80, np.float32), "silent").any()


def test_cmvn_none_gives_the_stored_values() -> None:
    rows = FakeRows()
    np.testing.assert_array_equal(Road(cmvn="none").finish(rows.features(3), "row3"), rows.features(3))


def test_warping_touches_training_epochs_only() -> None:
    rows = FakeRows()
    road = Road(cmvn="none", warp=FeatureWarp(tempo=0.4, voice=0))
    stored_TF = rows.features(20)
    np.testing.assert_array_equal(road.finish(stored_TF, "row20"), stored_TF)
    lengths = {len(road.finish(stored_TF, "row20", epoch)) for epoch in range(8)}
    assert len(lengths) > 3
    np.testing.assert_array_equal(road.finish(stored_TF, "row20", 2), road.finish(stored_TF, "row20", 2))


def test_rows_with_a_share_come_in_some_epochs() -> None:
    shares = np.where(np.arange(23) < 10, 1.0, 0.5)
    batches = Batches(dataset=dataset(TrainSpec()), batch_seconds=2, shares=shares)
    seen = [sorted(row for batch in batches.batches(epoch)[1] for row in batch.rows) for epoch in range(16)]
    assert all(rows[:10] == list(range(10)) for rows in seen)
    assert len(set(map(tuple, seen))) > 1
    assert set().union(*seen) == set(range(23))
    assert sorted(row for batch in batches.in_order() for row in batch.rows) == list(range(23))


def test_a_speaker_is_normalised_over_all_of_their_rows() -> None:
    rows = FakeRows()
    speakers = ["a" if row < 9 else "b" if row < 20 else None for row in range(rows.count)]
    road = Road.of(TrainSpec(cmvn="speaker"), None, SAMPLE_RATE)
    statistics = speaker_statistics(road, rows, speakers)
    assert statistics is not None and statistics[0] is statistics[8] and statistics[9] is not statistics[0]
    spoken = UtteranceDataset(rows=rows, targets=[[0]] * rows.count, road=road, speakers=statistics)
    for theirs in (range(9), range(9, 20)):
        together = np.concatenate([spoken[0, row].features_TF for row in theirs])
        np.testing.assert_allclose(together.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(together.std(axis=0), 1, rtol=1e-5)
        assert abs(spoken[0, theirs[0]].features_TF.mean(axis=0)).max() > 0.01  # a single row keeps what is its own
    nobody = spoken[0, 21].features_TF  # of an unknown speaker: by itself
    np.testing.assert_allclose(nobody.mean(axis=0), 0, atol=1e-5)
    assert speaker_statistics(Road(cmvn="mean"), rows, speakers) is None


def test_a_speakers_statistics_are_of_what_was_said_not_of_its_changed_copies() -> None:
    rows = FakeRows()
    spec = TrainSpec(cmvn="speaker", input="audio", wave_augment=WaveAugment(gain_db=(-30, -30), gain_p=1))
    road = dataset(spec).road
    plain = dataset(TrainSpec(cmvn="speaker", input="audio")).road
    changed, unchanged = (speaker_statistics(each, rows, ["a"] * rows.count) for each in (road, plain))
    assert changed is not None and unchanged is not None
    np.testing.assert_array_equal(changed[0].mean, unchanged[0].mean)  # type: ignore[union-attr]
