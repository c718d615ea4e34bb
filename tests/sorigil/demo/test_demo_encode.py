"""Containers and broken files: the bytes are always the same, they open, and what is called broken is broken."""

from __future__ import annotations

import io
import struct
import time
from typing import get_args

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sorigil.demo.acoustics import finish, pink, record, rms, white
from sorigil.demo.corpus import SAMPLE_RATES, Acoustics, Broken, Container
from sorigil.demo.encode import SUBTYPES, break_file, encode, ogg_checksum

ALL = [(container, subtype) for container in get_args(Container) for subtype in sorted(set(SUBTYPES[container]))]


def tone(sample_rate: int, channels: int, seconds: float = 1.5) -> NDArray[np.float64]:
    """A 300 Hz tone that swells and fades, with a hint of noise: [N, channels], the second channel at 0.7."""
    time_N = np.arange(round(seconds * sample_rate)) / sample_rate
    sound = 0.4 * np.sin(2 * np.pi * 300 * time_N) * np.sin(np.pi * time_N / seconds)
    sound += np.random.default_rng(0).normal(scale=1e-3, size=len(sound))
    return np.outer(sound, [1, 0.7][:channels])


def read(data: bytes) -> tuple[NDArray[np.float64], int]:
    return sf.read(io.BytesIO(data), always_2d=True)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
@pytest.mark.parametrize(("container", "subtype"), ALL)
def test_what_was_encoded_is_heard_again(container: Container, subtype: str, sample_rate: int, channels: int) -> None:
    sound = tone(sample_rate, channels)
    heard, rate = read(encode(sound, sample_rate, container, subtype))
    assert rate == sample_rate and heard.shape == sound.shape
    # Two steps of 16 bits; and for the lossy ones a bound that libsndfile's MP3 of 16-bit stereo (1.35) does not keep.
    error = np.abs(heard - sound).max() if container in ("wav", "flac") else rms(heard - sound) / rms(sound)
    assert error < (5e-5 if container in ("wav", "flac") else 0.1)


def test_bytes_do_not_depend_on_the_moment() -> None:
    sound = tone(16_000, 2)
    first = {kind: encode(sound, 16_000, *kind) for kind in ALL}
    time.sleep(1.1)  # a float WAV carries a time stamp in seconds
    assert {kind for kind in ALL if encode(sound, 16_000, *kind) != first[kind]} == set()


def bitwise_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x104C11DB7 if crc & 0x80000000 else crc << 1
    return crc


@given(st.binary(max_size=200))
def test_ogg_checksum_is_the_standards(data: bytes) -> None:
    assert ogg_checksum(data) == bitwise_crc(data)


def broken(kind: Broken) -> tuple[bytes, str]:
    file = break_file(kind, tone(16_000, 1), 16_000, np.random.default_rng(3))
    return file.data, file.extension


@pytest.mark.parametrize("kind", ["empty", "text_as_wav", "garbage_mp3", "truncated_flac"])
def test_files_that_cannot_be_decoded(kind: Broken) -> None:
    data, _ = broken(kind)
    with pytest.raises(sf.LibsndfileError):
        read(data)


def test_truncated_wav_says_more_than_it_holds() -> None:
    data, extension = broken("truncated_wav")
    place = data.index(b"data")
    (said,) = struct.unpack("<I", data[place + 4 : place + 8])
    assert extension == "wav" and said == 2 * 24_000
    assert len(data) - place - 8 < said / 2
    assert 0 < len(read(data)[0]) < 12_000


def test_files_that_decode_to_nothing_of_use() -> None:
    assert len(read(broken("header_only")[0])[0]) == 0
    silent = read(broken("silent")[0])[0]
    assert len(silent) == 24_000 and not silent.any()
    bad = np.isnan(read(broken("nan")[0])[0])
    assert 0.1 < bad.mean() < 0.3


@pytest.mark.parametrize("kind", get_args(Broken))
def test_every_kind_is_broken_in_the_same_way_each_time(kind: Broken) -> None:
    assert broken(kind) == broken(kind)


ROOM = {"sample_rate": 16_000, "lead": 0.1, "tail": 0.2, "peak_db": -6.0}


@pytest.mark.parametrize("noise", ["white", "pink"])
def test_noise_has_the_level_asked_for(noise: str) -> None:
    acoustics = Acoustics(channels=1, snr_db=20.0, noise=noise, **ROOM)  # type: ignore[arg-type]
    quiet = Acoustics(channels=1, snr_db=None, noise=noise, **ROOM)  # type: ignore[arg-type]
    sound = tone(16_000, 1)[:, 0]
    clean = finish(sound, rms(sound), quiet, np.random.default_rng(0))[:, 0]
    noisy = finish(sound, rms(sound), acoustics, np.random.default_rng(0))[:, 0]
    gain = np.dot(noisy, clean) / np.dot(clean, clean)
    assert 20 * np.log10(gain * rms(clean) / rms(noisy - gain * clean)) == pytest.approx(20, abs=0.3)
    assert np.abs(noisy).max() == pytest.approx(10 ** (-6 / 20))


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    def octaves(noise: NDArray[np.float64]) -> NDArray[np.float64]:
        power = np.abs(np.fft.rfft(noise)) ** 2
        return np.array([power[2**k : 2 ** (k + 1)].sum() for k in range(9, 14)])

    rng = np.random.default_rng(0)
    assert np.diff(10 * np.log10(octaves(pink(50_000, rng)))) == pytest.approx(0, abs=1)
    assert np.diff(10 * np.log10(octaves(white(50_000, rng)))) == pytest.approx(3, abs=1)
    assert len(pink(1, rng)) == 1 and len(pink(12_345, rng)) == 12_345


def test_recording_places_the_speech_between_its_silences() -> None:
    acoustics = Acoustics(channels=2, snr_db=None, noise="white", **ROOM)  # type: ignore[arg-type]
    dry = (tone(22_050, 1, 1.0)[:, 0] * 20_000).astype(np.int16)
    heard = record(dry, 22_050, acoustics, np.random.default_rng(0))
    assert heard.shape == (round(1.3 * 16_000), 2)
    assert not heard[:1_600].any() and not heard[-3_200:].any() and heard[1_600:-3_200].any()
    ratio = np.abs(heard[:, 1]).max() / np.abs(heard[:, 0]).max()
    assert 0.5 <= ratio <= 1
