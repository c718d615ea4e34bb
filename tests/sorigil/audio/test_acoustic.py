"""Acoustic fingerprints: what must not change them, what must, and that pieces give what the whole gives."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import SAMPLE_RATE, babble

from sorigil.audio.acoustic import BITS, HOP, MOST_CODES, RATE, acoustic_fingerprint
from sorigil.duplicates import Fingerprints, near_pairs


def entries(fingerprint: bytes) -> Any:
    return np.frombuffer(fingerprint, "<u8")


def same(*recordings: tuple[Any, int]) -> list[list[int]]:
    prints = [entries(acoustic_fingerprint([samples], rate)) for samples, rate in recordings]
    found = near_pairs(
        Fingerprints(
            entries=np.concatenate(prints),
            starts=np.cumsum([0, *map(len, prints)]),
            seconds=np.array([len(samples) / rate for samples, rate in recordings]),
        )
    )
    return found.tolist()  # type: ignore[no-any-return]


def encoded(samples: Any, kind: str, subtype: str) -> tuple[Any, int]:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format=kind, subtype=subtype)
    return soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "changed",
    [
        lambda samples: (0.05 * samples, SAMPLE_RATE),
        lambda samples: encoded(samples, "MP3", "MPEG_LAYER_III"),
        lambda samples: encoded(samples, "OGG", "VORBIS"),
        lambda samples: (samples[3001:-4567], SAMPLE_RATE),
        lambda samples: (soxr.resample(samples, SAMPLE_RATE, 8000), 8000),
        lambda samples: (soxr.resample(samples, SAMPLE_RATE, 44100), 44100),
        lambda samples: encoded(0.3 * samples[1234:], "MP3", "MPEG_LAYER_III"),
    ],
    ids=["gain", "mp3", "ogg", "trimmed", "8 kHz", "44.1 kHz", "all at once"],
)
def test_the_same_sound_is_known_again_and_another_is_not(changed: Any) -> None:
    originals = [babble(seed) for seed in range(4)]
    recordings = [(samples, SAMPLE_RATE) for samples in originals] + [changed(samples) for samples in originals]
    assert same(*recordings) == [[number, number + 4] for number in range(4)]


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 48000), max_size=6))
def test_pieces_give_what_the_whole_gives(cuts: list[int]) -> None:
    samples = babble(1, seconds=3.0)
    pieces = np.split(samples, sorted(cuts))
    assert acoustic_fingerprint(pieces, SAMPLE_RATE) == acoustic_fingerprint([samples], SAMPLE_RATE)


def test_an_entry_is_a_code_and_a_frame() -> None:
    found = entries(acoustic_fingerprint([babble(2, seconds=5.0)], SAMPLE_RATE))
    codes, frames = found >> np.uint64(32), (found & np.uint64(0xFFFFFFFF)).astype(int)
    assert len(found) == MOST_CODES and codes.max() < 2**BITS
    assert np.all(np.diff(frames) > 0) and frames[-1] <= 5.0 * RATE / HOP


def test_a_code_is_the_sign_of_how_band_differences_change() -> None:
    """Against the definition, frame by frame, with a transform written out."""
    samples = babble(3, seconds=0.4)
    at_rate = soxr.resample(samples, SAMPLE_RATE, RATE, quality="LQ")
    starts = range(0, len(at_rate) - 1024 + 1, HOP)
    edges = np.round(np.geomspace(250, 3400, 22) * 1024 / RATE).astype(int)
    logs = []
    for start in starts:
        power = np.abs(np.fft.fft(at_rate[start : start + 1024] * np.hanning(1024))) ** 2
        bands = np.array([power[low:high].sum() for low, high in itertools.pairwise(edges)])
        logs.append(np.log(bands + 1e-4 * bands.sum()))
    found = entries(acoustic_fingerprint([samples], SAMPLE_RATE))
    assert len(found) > 10
    for entry in found:
        code, frame = int(entry) >> 32, int(entry) & 0xFFFFFFFF
        change = np.diff(logs[frame + 6]) - np.diff(logs[frame])
        assert code == sum(1 << bit for bit in range(BITS) if change[bit] > 0)


def test_nothing_to_hear_gives_nothing() -> None:
    assert acoustic_fingerprint([np.zeros(SAMPLE_RATE, np.float32)], SAMPLE_RATE) == b""
    assert acoustic_fingerprint([babble(4, seconds=0.05)], SAMPLE_RATE) == b"", "shorter than one frame and its lag"
    assert acoustic_fingerprint([], SAMPLE_RATE) == b""
