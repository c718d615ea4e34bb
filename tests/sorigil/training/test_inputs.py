"""Raw audio as what a network hears: the samples, normalised as wav2vec 2.0 wants them, by the same road as features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sorigil.audio.augment import WaveAugment
from sorigil.errors import AudioError
from sorigil.features import LogMel, Mfcc, compute, dim
from sorigil.features.mask import FeatureMask
from sorigil.features.warp import FeatureWarp
from sorigil.fingerprint import to_dict
from sorigil.training.data import Batches, Road, UtteranceDataset, speaker_statistics
from sorigil.training.inputs import (
    InputSpec,
    Waveform,
    compute_input,
    hop_length,
    input_dim,
    input_frames,
    normalize_utterance,
)
from sorigil.training.spec import TrainSpec

RATE = 8000
RAW = Waveform()
MEL = LogMel(n_fft=256, win_length=200, hop_length=80, n_mels=20)


def noise(size: int, seed: int = 0, level: float = 0.1, offset: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(0, level, size) + offset).astype(np.float32)


class Sounds:
    """Rows of audio of several lengths; features of them are not there to be read."""

    keys = tuple(f"row{number}" for number in range(9))
    groups = None

    @property
    def seconds(self) -> np.ndarray:
        return 0.05 + np.arange(len(self.keys)) / 10

    def samples(self, index: int) -> np.ndarray:
        return noise(int(self.seconds[index] * RATE), index, offset=0.02)

    def features(self, index: int) -> np.ndarray:
        raise AssertionError("raw audio needs no features")


def raw_road(**settings: object) -> Road:
    return Road.of(TrainSpec(input="raw", **settings), RAW, RATE)  # type: ignore[arg-type]


def test_the_samples_come_through_untouched() -> None:
    samples = noise(777)
    frames_TF = compute_input(RAW, samples, RATE)
    assert frames_TF.shape == (777, 1) and frames_TF.dtype == np.float32
    np.testing.assert_array_equal(frames_TF[:, 0], samples)
    assert (input_dim(RAW), input_frames(RAW, 777), hop_length(RAW)) == (1, 777, 1)
    with pytest.raises(AudioError, match="no samples"):
        compute_input(RAW, samples[:0], RATE)


def test_a_feature_goes_the_way_of_features() -> None:
    samples = noise(900)
    np.testing.assert_array_equal(compute_input(MEL, samples, RATE), compute([MEL], samples, RATE)[0])
    assert input_dim(MEL) == dim(MEL) == 20 and hop_length(MEL) == 80
    assert input_frames(MEL, 900) == len(compute_input(MEL, samples, RATE))


@given(st.integers(1, 4000), st.floats(-6, 0), st.floats(-1, 1))
def test_an_utterance_is_normalised_by_the_formula_of_wav2vec(size: int, log_level: float, offset: float) -> None:
    samples_T1 = noise(size, size, 10**log_level, offset)[:, None]
    exact = samples_T1.astype(np.float64)
    expected = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-7)
    np.testing.assert_allclose(normalize_utterance(RAW, samples_T1), expected, rtol=1e-5, atol=1e-6)


def test_silence_stays_silence() -> None:
    assert not normalize_utterance(RAW, np.full((500, 1), 0.25, np.float32)).any()


def test_each_normalisation_works_on_raw_audio() -> None:
    rows = Sounds()
    for cmvn in ("utterance", "mean"):
        samples_T1 = raw_road(cmvn=cmvn).finish(rows.samples(5)[:, None], "row5")
        assert abs(samples_T1.mean()) < 1e-5 and samples_T1.std() == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(raw_road(cmvn="none").finish(rows.samples(5)[:, None], ""), rows.samples(5)[:, None])
    road = raw_road(cmvn="speaker")
    speakers = speaker_statistics(road, rows, ["a"] * 9)
    assert speakers is not None and speakers[0] is not None
    everything = np.concatenate([rows.samples(row) for row in range(9)]).astype(np.float64)
    assert speakers[0].count == len(everything)
    np.testing.assert_allclose(speakers[0].mean, everything.mean(), rtol=1e-6)


def test_batches_of_raw_audio_hold_samples_and_their_number() -> None:
    rows = Sounds()
    dataset = UtteranceDataset(rows=rows, targets=[[0]] * 9, road=raw_road(cmvn="none"))
    seen = set()
    for batch in Batches(dataset=dataset, batch_seconds=1.5).in_order():
        assert batch.features_BTF.shape[2] == 1
        assert batch.features_BTF.shape[0] * batch.features_BTF.shape[1] <= 1.5 * RATE + len(batch.keys)
        for row, length, samples_T1 in zip(batch.rows, batch.lengths_B.tolist(), batch.features_BTF, strict=True):
            np.testing.assert_array_equal(samples_T1[:length, 0], rows.samples(row))
            assert not samples_T1[length:].any()
            seen.add(row)
    assert seen == set(range(9))


def test_waveforms_are_changed_in_training_epochs_only_and_played_faster_in_evaluation() -> None:
    rows, road = Sounds(), raw_road(wave_augment=WaveAugment(), seed=4)
    first, second, again = (road.raw(rows, 7, epoch) for epoch in (0, 1, 0))
    assert first.shape != second.shape or not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(road.raw(rows, 7)[:, 0], rows.samples(7))
    faster = Road(input="audio", feature=RAW, sample_rate=RATE, speed=2.0).raw(rows, 7)
    assert abs(len(faster) - len(rows.samples(7)) / 2) <= 1


@pytest.mark.parametrize("changes", [{"mask": FeatureMask()}, {"warp": FeatureWarp()}])
def test_what_changes_features_is_refused_with_raw_audio(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"is set but input is 'raw'; it changes features"):
        TrainSpec(input="raw", **changes)  # type: ignore[arg-type]
    TrainSpec(input="raw", wave_augment=WaveAugment())


@pytest.mark.parametrize("spec", [RAW, MEL, Mfcc(n_mfcc=13)])
def test_a_spec_comes_back_from_its_json(spec: InputSpec) -> None:
    assert TypeAdapter(InputSpec).validate_python(to_dict(spec)) == spec
