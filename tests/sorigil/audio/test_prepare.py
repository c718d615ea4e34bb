"""Spans of decoded recordings → prepared audio."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.decode import Decoded
from sorigil.audio.loudness import loudness, true_peak
from sorigil.audio.prepare import cut, decode_flac, encode_flac, prepare, to_float
from sorigil.audio.signal import measure
from sorigil.audio.spec import (
    AudioSpec,
    LoudnessNormalize,
    NoNormalize,
    PeakNormalize,
    RawAudio,
    RmsNormalize,
    SilenceTrim,
)
from sorigil.errors import AudioError
from sorigil.fingerprint import fingerprint

PLAIN = AudioSpec(normalize=NoNormalize())


def noise(num_samples: int, channels: int = 1, scale: float = 0.2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.standard_normal((num_samples, channels)) * scale, -0.99, 0.99).astype(np.float32)


def recording(samples: np.ndarray, sample_rate: int = 16000) -> Decoded:
    return Decoded(samples=samples.astype(np.float32), sample_rate=sample_rate, container="WAV/FLOAT")


def reason_of(decoded: Decoded, spec: AudioSpec = PLAIN, **span: int) -> str:
    with pytest.raises(AudioError) as caught:
        prepare(decoded, spec, **span)
    return caught.value.reason


def test_int16_passes_unchanged() -> None:
    pcm = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    prepared = prepare(recording(to_float(pcm)[:, None]), PLAIN)
    np.testing.assert_array_equal(prepared.pcm, pcm)
    assert prepared.pcm.dtype == np.int16 and prepared.sample_rate == 16000
    assert (prepared.source_samples, prepared.trimmed_samples) == (5000, 0)


def test_float_round_trip_is_exact() -> None:
    pcm = np.arange(-32768, 32768, dtype=np.int16)
    np.testing.assert_array_equal(np.rint(to_float(pcm).astype(np.float64) * 32768), pcm)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 12345, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("resampler", ["HQ", "VHQ"])
def test_a_span_equals_the_whole_resampled_and_cut(sample_rate: int, resampler: str) -> None:
    decoded = recording(noise(sample_rate * 2), sample_rate)
    whole = soxr.resample(decoded.samples[:, 0], sample_rate, 16000, quality=resampler)
    spec = AudioSpec(normalize=NoNormalize(), resampler=resampler)
    for start, length in [
        (0, sample_rate // 3),
        (sample_rate // 2 + 17, sample_rate // 3 + 5),
        (sample_rate, sample_rate),
    ]:
        pcm = prepare(decoded, spec, start, length).pcm
        first, last = (int(at * 16000 / sample_rate + 0.5) for at in (start, start + length))
        assert len(pcm) == last - first
        np.testing.assert_allclose(to_float(pcm), whole[first:last], atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([8000, 11025, 22050, 44100, 48000]), st.lists(st.integers(1000, 5000), min_size=1, max_size=5))
def test_neighbouring_spans_tile_the_recording(sample_rate: int, lengths: list[int]) -> None:
    decoded = recording(noise(sum(lengths), seed=sum(lengths)), sample_rate)
    starts = np.cumsum([0, *lengths[:-1]])
    parts = [prepare(decoded, PLAIN, int(start), length).pcm for start, length in zip(starts, lengths, strict=True)]
    whole = prepare(decoded, PLAIN).pcm
    joined = np.concatenate(parts)
    assert len(joined) == len(whole)
    assert np.abs(joined.astype(int) - whole).max() <= 3  # of 32,768: below 1e-4


def test_mono_is_the_mean_and_a_channel_is_itself() -> None:
    samples = noise(3000, channels=3)
    stereo = recording(samples)
    np.testing.assert_allclose(to_float(prepare(stereo, PLAIN).pcm), samples.mean(axis=1), atol=2e-5)
    chosen = AudioSpec(normalize=NoNormalize(), channels=2)
    np.testing.assert_allclose(to_float(prepare(stereo, chosen).pcm), samples[:, 2], atol=2e-5)
    np.testing.assert_allclose(to_float(prepare(stereo, chosen, channel=1).pcm), samples[:, 1], atol=2e-5)
    assert reason_of(stereo, channel=3) == "bad_channel"
    assert reason_of(stereo, channel=-1) == "bad_channel"


def test_peak_normalisation_reaches_full_scale_without_clipping() -> None:
    quiet = recording(noise(4000, scale=0.01))
    assert np.abs(prepare(quiet, AudioSpec()).pcm.astype(int)).max() == 32767
    loud = recording(noise(4000) * 5)  # a float file beyond full scale
    assert np.abs(prepare(loud, AudioSpec()).pcm.astype(int)).max() == 32767
    lower = prepare(quiet, AudioSpec(normalize=PeakNormalize(level_db=-6.0)))
    assert abs(np.abs(to_float(lower.pcm)).max() - 10 ** (-6 / 20)) < 1e-4


def test_rms_normalisation_and_its_limit() -> None:
    pcm = to_float(prepare(recording(noise(16000)), AudioSpec(normalize=RmsNormalize())).pcm)
    assert abs(20 * np.log10(np.sqrt(np.mean(pcm.astype(np.float64) ** 2))) + 20) < 0.01
    click = noise(16000, scale=0.001)
    click[8000] = 0.9
    limited = prepare(recording(click), AudioSpec(normalize=RmsNormalize(level_db=-10.0)))
    assert np.abs(limited.pcm.astype(int)).max() == 32767


@pytest.mark.parametrize("seconds", [0.2, 0.5, 4.0])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_loudness_normalisation_and_its_true_peak(seconds: float, rate: int) -> None:
    decoded = recording(noise(round(seconds * rate), scale=0.02), rate)
    pcm = to_float(prepare(decoded, AudioSpec(normalize=LoudnessNormalize())).pcm)
    assert loudness(pcm, 16000) == pytest.approx(-23.0, abs=0.02)
    spiky = noise(round(seconds * rate), scale=0.001)
    spiky[rate // 10] = 0.9
    limited = to_float(prepare(recording(spiky, rate), AudioSpec(normalize=LoudnessNormalize(true_peak_db=-2))).pcm)
    assert 20 * np.log10(true_peak(limited, 16000)) == pytest.approx(-2.0, abs=0.02)
    assert (loudness(limited, 16000) or -99) < -23


def test_what_has_no_loudness_keeps_its_level() -> None:
    faint = recording(noise(16000, scale=1e-4))
    spec = AudioSpec(normalize=LoudnessNormalize())
    np.testing.assert_array_equal(prepare(faint, spec).pcm, prepare(faint, PLAIN).pcm)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_an_offset_is_removed_when_asked(rate: int) -> None:
    samples = noise(rate)
    samples -= samples.mean(dtype=np.float64).astype(np.float32)
    spec = AudioSpec(normalize=NoNormalize(), remove_dc=True)
    prepared = prepare(recording(samples + np.float32(0.25), rate), spec)
    assert abs(to_float(prepared.pcm).mean()) < 2e-4 and prepared.dc == pytest.approx(0.25, abs=1e-5)
    np.testing.assert_allclose(prepared.pcm, prepare(recording(samples, rate), PLAIN).pcm, atol=1)
    assert to_float(prepare(recording(samples + np.float32(0.25), rate), PLAIN).pcm).mean() > 0.24


def test_the_signal_is_measured_before_anything_is_changed() -> None:
    samples = noise(44100, channels=2)
    spec = AudioSpec(trim=SilenceTrim(), remove_dc=True, normalize=LoudnessNormalize())
    found = prepare(recording(samples, 44100), spec, 4410, 22050).signal
    mixed = samples[4410:26460] @ np.full(2, 0.5, np.float32)
    assert found == measure(np.ascontiguousarray(mixed), 44100)


def test_new_options_leave_old_names_alone() -> None:
    assert fingerprint(AudioSpec()) == fingerprint(AudioSpec(remove_dc=False))
    assert fingerprint(AudioSpec(remove_dc=True)) != fingerprint(AudioSpec())
    assert fingerprint(AudioSpec()) == "3d7d1281f24a7cddd3848983bc43a2fd", (
        "every store knows prepared audio by this name"
    )


def test_without_normalisation_what_is_beyond_full_scale_is_clipped() -> None:
    prepared = prepare(recording(np.tile([[1.5], [-1.5]], (500, 1))), PLAIN)
    assert prepared.pcm.max() == 32767 and prepared.pcm.min() == -32768
    assert prepared.clipped_share == 1.0 and prepared.peak == 1.5


@pytest.mark.parametrize("top_db", [20.0, 60.0])
@pytest.mark.parametrize("before", [0, 1, 511, 512, 3000, 20000])
def test_trimming_is_librosas(top_db: float, before: int) -> None:
    speech = noise(9000) * np.hanning(9000)[:, None]
    samples = np.concatenate([noise(before, scale=1e-6), speech, noise(7000, scale=1e-6)]).astype(np.float32)
    spec = AudioSpec(normalize=NoNormalize(), trim=SilenceTrim(top_db=top_db))
    prepared = prepare(recording(samples), spec)
    _, (first, last) = librosa.effects.trim(samples[:, 0], top_db=top_db)
    np.testing.assert_array_equal(prepared.pcm, prepare(recording(samples[first:last]), PLAIN).pcm)
    assert prepared.trimmed_samples == len(samples) - (last - first)


@pytest.mark.parametrize("top_db", [10.0, 33.0, 47.5])
def test_trimming_a_long_fade_is_librosas(top_db: float) -> None:
    fade = 10 ** (-60 / 20 * np.linspace(1, 0, 80_000))[:, None]  # 0.4 dB a frame: a threshold 1 dB off would show
    samples = (noise(80_000) * fade).astype(np.float32)
    prepared = prepare(recording(samples), AudioSpec(normalize=NoNormalize(), trim=SilenceTrim(top_db=top_db)))
    _, (first, last) = librosa.effects.trim(samples[:, 0], top_db=top_db)
    assert first > 0
    np.testing.assert_array_equal(prepared.pcm, prepare(recording(samples[first:last]), PLAIN).pcm)


def test_trimmed_samples_are_counted_at_the_source_rate() -> None:
    samples = np.concatenate([np.zeros((48000, 1)), noise(48000), np.zeros((48000, 1))])
    prepared = prepare(recording(samples, 48000), AudioSpec(trim=SilenceTrim()))
    kept = len(prepared.pcm) * 3
    assert prepared.source_samples == 144000 and prepared.trimmed_samples == 144000 - kept
    assert 44000 < kept < 56000


def test_statistics_are_of_the_span_before_scaling() -> None:
    samples = np.full((2000, 1), 0.25, np.float32)
    samples[500:1500, 0] += np.tile([0.5, -0.5], 500).astype(np.float32)
    samples[600:610] = 1.0
    prepared = prepare(recording(samples), AudioSpec(), 500, 1000)
    assert prepared.peak == 1.0 and prepared.clipped_share == 0.01
    assert abs(prepared.dc - samples[500:1500].mean()) < 1e-6
    assert abs(prepared.rms - np.sqrt(np.mean(samples[500:1500].astype(np.float64) ** 2))) < 1e-6


def test_clipping_is_seen_in_either_channel() -> None:
    samples = noise(1000, channels=2)
    samples[:100, 1] = -1.0
    assert prepare(recording(samples), PLAIN).clipped_share == 0.05


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad: float) -> None:
    samples = noise(2000)
    samples[1000] = bad
    assert reason_of(recording(samples)) == "not_finite"
    assert len(prepare(recording(samples), PLAIN, 0, 900).pcm) == 900


@pytest.mark.parametrize("level", [0.0, 0.5, 5e-5])
def test_silence(level: float) -> None:
    constant = np.full((2000, 1), level)
    assert reason_of(recording(constant)) == "silent"
    assert reason_of(recording(noise(2000, scale=1e-6))) == "silent"


def test_too_short() -> None:
    assert reason_of(recording(noise(319))) == "too_short"
    assert len(prepare(recording(noise(320)), PLAIN).pcm) == 320
    assert reason_of(recording(noise(1000)), start=0, length=0) == "too_short"
    assert reason_of(recording(noise(1000)), AudioSpec(min_seconds=0.0), start=10, length=0) == "too_short"


@pytest.mark.parametrize("span", [(-1, 500), (0, 10_801), (10_000, 100), (500, -10), (9_900, 2_000)])
def test_spans_outside(span: tuple[int, int]) -> None:
    assert reason_of(recording(noise(10_000)), start=span[0], length=span[1]) == "span_outside"


def test_a_span_may_end_a_little_late() -> None:
    prepared = prepare(recording(noise(10_000)), PLAIN, 9_000, 1_500)
    assert len(prepared.pcm) == prepared.source_samples == 1_000


def test_cut_is_at_the_source_rate() -> None:
    samples = noise(1000, channels=2)
    np.testing.assert_array_equal(cut(recording(samples, 44100), 100, 50), samples[100:150])
    np.testing.assert_array_equal(cut(recording(samples, 44100), 100), samples[100:])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9000), st.sampled_from([8000, 16000, 44100, 192000]), st.integers(0, 999))
def test_flac_keeps_every_sample(num_samples: int, sample_rate: int, seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-32768, 32768, num_samples).astype(np.int16)
    again = decode_flac(encode_flac(pcm, sample_rate))
    assert again.dtype == np.int16
    np.testing.assert_array_equal(again, pcm)


def test_the_same_input_gives_the_same_bytes() -> None:
    decoded = recording(noise(44100, channels=2), 44100)
    first, second = (prepare(decoded, AudioSpec()) for _ in range(2))
    assert encode_flac(first.pcm, 16000) == encode_flac(second.pcm, 16000)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (AudioSpec, {"sample_rate": 10}), (AudioSpec, {"channels": -1}), (AudioSpec, {"silence_db": 3.0}),
        (AudioSpec, {"min_seconds": -1.0}), (PeakNormalize, {"level_db": 1.0}), (RmsNormalize, {"level_db": 1.0}),
        (SilenceTrim, {"top_db": 0.0}), (RawAudio, {"sample_rate": 0}), (LoudnessNormalize, {"lufs": 3.0}),
        (LoudnessNormalize, {"lufs": -90.0}), (LoudnessNormalize, {"true_peak_db": 1.0}),
    ],
)  # fmt: skip
def test_wrong_values_are_named(kind: type, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


def test_the_spec_is_validated_from_plain_values() -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(AudioSpec)
    values = {"channels": 1, "normalize": {"kind": "rms", "level_db": -23}, "trim": {"kind": "silence"}}
    assert adapter.validate_python(values) == AudioSpec(
        channels=1, normalize=RmsNormalize(level_db=-23.0), trim=SilenceTrim()
    )
    assert adapter.validate_python({"normalize": {"kind": "none"}}).normalize == NoNormalize()
    for wrong in ({"normalise": {}}, {"normalize": {"kind": "loud"}}, {"normalize": {"kind": "peak", "db": 1}}):
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python(wrong)
