"""A long span prepared in blocks is, sample for sample, what `prepare` makes of the whole."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio import prepare_long
from sorigil.audio.decode import Decoded
from sorigil.audio.prepare import prepare
from sorigil.audio.prepare_long import LongSpan
from sorigil.audio.spec import (
    AudioSpec,
    LoudnessNormalize,
    NoNormalize,
    NoTrim,
    PeakNormalize,
    RmsNormalize,
    SilenceTrim,
)
from sorigil.errors import AudioError
from storage.streams import Spool


def sound(rate: int, length: int, channels: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise with a quiet beginning and end, and some clipped samples."""
    rng = np.random.default_rng(seed)
    shape = np.minimum(1, np.abs(np.sin(np.linspace(0, np.pi, length)))) ** 6
    noise = rng.standard_normal((length, channels)) * shape[:, None] * 0.4 + 0.01
    return np.clip(noise, -1, 1).astype(np.float32)


def prepare_in_blocks(
    samples: Any, rate: int, spec: AudioSpec, cuts: list[int], start: int, length: int | None, channel: int | None
) -> Any:
    span = LongSpan(spec, rate, start=start, length=length, channel=channel, set_aside=Spool)
    at = 0
    for block in np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)):
        span.add(block, at)
        at += len(block)
    return span.finish(len(samples))


_normalize = st.sampled_from([NoNormalize(), PeakNormalize(), RmsNormalize(), LoudnessNormalize()])
_rates = st.sampled_from([(16000, 16000), (44100, 16000), (8000, 16000), (22050, 8000), (48000, 16000)])


@given(
    rates=_rates,
    cuts=st.lists(st.integers(0, 60_000), max_size=5),
    seed=st.integers(0, 100),
    channels=st.integers(1, 3),
    normalize=_normalize,
    trim=st.sampled_from([NoTrim(), SilenceTrim(top_db=20.0)]),
    remove_dc=st.booleans(),
    resampler=st.sampled_from(["QQ", "HQ", "VHQ"]),
    data=st.data(),
)
@settings(max_examples=80)
def test_it_is_the_same_sample_for_sample(
    rates: tuple[int, int],
    cuts: list[int],
    seed: int,
    channels: int,
    normalize: Any,
    trim: Any,
    remove_dc: bool,
    resampler: Any,
    data: Any,
) -> None:
    source_rate, rate = rates
    samples = sound(source_rate, 40_000, channels, seed)
    spec = AudioSpec(
        sample_rate=rate, normalize=normalize, trim=trim, remove_dc=remove_dc, resampler=resampler, min_seconds=0.0
    )
    start = data.draw(st.sampled_from([0, 1, 777, 12_345]))
    length = data.draw(st.sampled_from([None, 20_000, 40_000 - start, 40_000 - start + 200]))
    channel = data.draw(st.sampled_from([None, channels - 1]))
    decoded = Decoded(samples=samples, sample_rate=source_rate, container="WAV")
    expected = prepare(decoded, spec, start, length, channel)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prepare_long, "BLOCK", 7000)
        found = prepare_in_blocks(samples, source_rate, spec, cuts, start, length, channel)
        pcm = np.concatenate(list(found.pcm()))
        assert np.array_equal(np.concatenate(list(found.pcm())), pcm)  # it can be swept again
    if channels > 2 or remove_dc or isinstance(normalize, RmsNormalize | LoudnessNormalize):
        # sums in another order: the last bit of the mix, the mean or the gain may differ, and with it a rounding
        assert pcm.shape == expected.pcm.shape and np.abs(pcm.astype(int) - expected.pcm).max() <= 1
        assert np.mean(pcm != expected.pcm) < 1e-3
    else:
        assert np.array_equal(pcm, expected.pcm)
    assert found.num_samples == expected.num_samples
    for name in ("sample_rate", "source_samples", "trimmed_samples", "clipped_share"):
        assert getattr(found, name) == getattr(expected, name), name
    facts = (found.peak, found.rms, found.dc)
    assert facts == pytest.approx((expected.peak, expected.rms, expected.dc), rel=1e-6, abs=1e-7)
    for name, value in dataclasses.asdict(expected.signal).items():
        assert getattr(found.signal, name) == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize(
    ("change", "span", "reason"),
    [
        ({}, {"start": 9000}, "span_outside"),
        ({}, {"length": 9000}, "span_outside"),
        ({}, {"start": 10, "length": 3}, "too_short"),
        ({"channels": 3}, {}, "bad_channel"),
        ({"silence_db": 0.0}, {}, "silent"),
        ({"nan": 5000}, {}, "not_finite"),
        ({"trim": SilenceTrim(top_db=0.001)}, {}, "too_short"),
    ],
)
def test_it_is_refused_for_the_same_reasons_in_the_same_words(
    change: dict[str, Any], span: dict[str, int], reason: str
) -> None:
    samples = sound(8000, 8000, 1, 0) * np.float32(0.3)
    if "nan" in change:
        samples[change.pop("nan")] = np.nan
    spec = AudioSpec(sample_rate=16000, **{"min_seconds": 0.2, **change})
    place = {"start": 0, "length": None, "channel": None, **span}
    with pytest.raises(AudioError) as whole:
        prepare(Decoded(samples=samples, sample_rate=8000, container="WAV"), spec, **place)
    with pytest.raises(AudioError) as found:
        prepare_in_blocks(samples, 8000, spec, [3000, 6000], **place)
    assert (found.value.reason, found.value.detail) == (reason, whole.value.detail)
