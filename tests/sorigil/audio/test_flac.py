"""The fast FLAC decoder brings what libsndfile brings, or nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.flac import is_damaged, read_flac, read_flac_int16
from sorigil.audio.headers import stream_info
from sorigil.audio.prepare import decode_flac, encode_flac


def flac(seed: int, num_samples: int, channels: int, subtype: str, rate: int = 16000) -> bytes:
    steps = np.random.default_rng(seed).standard_normal((num_samples, channels))
    file = io.BytesIO()
    soundfile.write(file, np.clip(steps.cumsum(0) * 0.01, -1, 1), rate, format="FLAC", subtype=subtype)
    return file.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 16),
    st.integers(1, 9000),
    st.integers(1, 8),
    st.sampled_from(["PCM_16", "PCM_24"]),
    st.sampled_from([8000, 11025, 44100, 96000]),
)
def test_samples_are_those_of_libsndfile(seed: int, num_samples: int, channels: int, subtype: str, rate: int) -> None:
    data = flac(seed, num_samples, channels, subtype, rate)
    info = stream_info(data)
    assert info is not None
    assert (info.sample_rate, info.channels, info.num_samples) == (rate, channels, num_samples)
    assert info.bits == int(subtype[-2:])
    expected = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    samples = read_flac(data, info)
    np.testing.assert_array_equal(samples, expected)
    assert not is_damaged(info, expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 16), st.integers(0, 7), st.booleans())
def test_what_is_damaged_or_cut_is_left_to_others(place: int, bit: int, cut: bool) -> None:
    data = flac(1, 6000, 1, "PCM_16")
    info = stream_info(data)
    assert info is not None
    first = len(data) - (6000 % 4096) // 2  # in the last frame, behind its header
    place = first + place % (len(data) - first)
    changed = data[:place] if cut else data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    assert read_flac(changed, info) is None


def test_another_depth_is_left_to_others() -> None:
    data = flac(1, 500, 1, "PCM_S8")
    info = stream_info(data)
    assert info is not None and info.bits == 8
    assert read_flac(data, info) is None
    assert stream_info(b"RIFF") is None and stream_info(data[:30]) is None


def test_one_other_sample_is_damage() -> None:
    data = flac(2, 500, 2, "PCM_24")
    info = stream_info(data)
    assert info is not None
    samples = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    samples[400, 1] += 2**-23
    assert is_damaged(info, samples)


@given(st.lists(st.integers(-(1 << 15), (1 << 15) - 1), min_size=1, max_size=300))
def test_prepared_audio_is_read_as_it_was_written(values: list[int]) -> None:
    pcm = np.array(values, np.int16)
    np.testing.assert_array_equal(decode_flac(encode_flac(pcm, 16000)), pcm)


def test_prepared_audio_that_is_no_mono_of_16_bits_is_refused() -> None:
    assert read_flac_int16(flac(3, 100, 2, "PCM_16")) is None
    with pytest.raises(ValueError, match="not the FLAC of prepared audio"):
        decode_flac(flac(3, 100, 1, "PCM_24"))
