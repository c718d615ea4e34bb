"""A long recording is heard as if it had been held."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from sorigil.audio import decode, prepare_long
from sorigil.audio.spec import AudioSpec
from sorigil.errors import AudioError
from tasks.listening import HeldSound, LongSound, Sound, listening

SPEC = AudioSpec(sample_rate=8000)


def wav(seconds: float = 1.3, rate: int = 11025, channels: int = 2) -> bytes:
    samples = np.random.default_rng(1).standard_normal((round(seconds * rate), channels)) * 0.1
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def heard(sound: Sound) -> tuple[np.ndarray, list[np.ndarray], int, float]:
    places = [(0, 1), (0, sound.num_samples), (333, 4500), (sound.num_samples - 2, sound.num_samples)]
    windows = [sound.window(start, end).copy() for start, end in places]
    return np.concatenate(list(sound.blocks())), windows, sound.num_samples, sound.seconds


def test_windows_of_a_long_recording_are_those_of_a_held_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(io.BytesIO(wav()), SPEC, name="short.wav", raw=None) as sound:
        assert isinstance(sound, HeldSound)
        held = heard(sound)
    monkeypatch.setattr(decode, "HELD_VALUES", 2000)
    monkeypatch.setattr(decode, "READ_VALUES", 700)
    monkeypatch.setattr(prepare_long, "BLOCK", 900)
    with listening(io.BytesIO(wav()), SPEC, name="long.wav", raw=None) as sound:
        assert isinstance(sound, LongSound)
        long = heard(sound)
    np.testing.assert_array_equal(held[0], long[0])
    for left, right in zip(held[1], long[1], strict=True):
        np.testing.assert_array_equal(left, right)
    assert held[2:] == long[2:] == (10400, 14332 / 11025)


def test_a_long_recording_that_breaks_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "HELD_VALUES", 2000)
    monkeypatch.setattr(decode, "READ_VALUES", 700)
    with (
        pytest.raises(AudioError, match=r"cut\.wav: its header claims 1\.300 s"),
        listening(io.BytesIO(wav()[:-9000]), SPEC, name="cut.wav", raw=None),
    ):
        pass
